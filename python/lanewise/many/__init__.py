"""Many networks at once: `fit_many` trains them side by side, `Ensemble` predicts with them together."""

from .ensemble import Ensemble
from .fit import fit_many
from .results import Fit, Fits

__all__ = ["Ensemble", "Fit", "Fits", "fit_many"]
