"""Many networks at once: `fit_many` and `halving` train them, `Ensemble` predicts with them, `lr_find` finds a rate."""

from .ensemble import Ensemble
from .fit import fit_many
from .rates import Rates, lr_find
from .results import Fit, Fits
from .rungs import Halving, halving

__all__ = ["Ensemble", "Fit", "Fits", "Halving", "Rates", "fit_many", "halving", "lr_find"]
