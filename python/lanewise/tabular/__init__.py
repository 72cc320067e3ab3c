"""Tables with numbers, categories, booleans, dates and gaps, learnt by ensembles of small networks."""

from .estimators import TabularClassifier, TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor"]
