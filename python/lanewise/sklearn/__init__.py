"""Estimators for scikit-learn (1.6 or newer): the only part of lanewise that imports it."""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(f"lanewise.sklearn: needs scikit-learn: pip install scikit-learn ({error})") from error

from .estimators import MLPClassifier, MLPRegressor
from .keras import KerasClassifier, KerasRegressor

__all__ = ["KerasClassifier", "KerasRegressor", "MLPClassifier", "MLPRegressor"]
