"""Many networks at once: `fit_many` trains them side by side, `Ensemble` predicts with them together."""

from .fit import fit_many
from .results import Fit, Fits

__all__ = ["Fit", "Fits", "fit_many"]
