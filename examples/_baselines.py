"""What the network of solubility.py is compared with: ridge regression in NumPy and scikit-learn's boosting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from _report import rmse

try:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits
except ImportError:
    HistGradientBoostingRegressor = None

PENALTIES = np.geomspace(1, 1000, 13)

# Boosting chooses between scikit-learn's defaults and many small, decorrelated trees, and how many of them.
# 63 bins a column instead of 255: several times faster on 1,000 columns, and no less accurate here.
TREES: list[dict[str, Any]] = [
    {"max_bins": 63, "max_iter": 100},
    {
        "max_bins": 63,
        "max_iter": 400,
        "learning_rate": 0.05,
        "max_features": 0.1,
        "max_leaf_nodes": 16,
        "min_samples_leaf": 5,
    },
]


def has_boosting() -> bool:
    """Whether scikit-learn is installed."""
    return HistGradientBoostingRegressor is not None


def predict_ridge(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Ridge regression; its penalty is chosen by leave-one-out errors, which one eigendecomposition gives for all rows.

    Args:
        x, y: (n, columns), (n,): to learn.
        x_test: (rows, columns): to predict.

    Returns:
        (rows,) predictions.
    """
    centre, mean = x.mean(axis=0, dtype=np.float64), y.mean()
    centred = x - centre
    variance, u = np.linalg.eigh(centred @ centred.T)  # (n,), (n, n)
    projected = u.T @ (y - mean)

    def leave_one_out(penalty: float) -> float:
        shrink = variance / (variance + penalty)
        residual = y - mean - u @ (shrink * projected)
        leverage = u**2 @ shrink + 1 / len(y)
        return rmse(residual / (1 - leverage))

    penalty = min(PENALTIES, key=leave_one_out)
    return (x_test - centre) @ (centred.T @ (u @ (projected / (variance + penalty)))) + mean


def predict_boosting(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, inner: np.ndarray, held: np.ndarray, quick: bool
) -> np.ndarray:
    """Gradient boosting: the rows `held` choose its settings and number of trees, then it learns all rows.

    Args:
        x, y: (n, columns), (n,): to learn; inner, held: the two parts of range(n).
        x_test: (rows, columns): to predict.
        quick: scikit-learn's default settings only.

    Returns:
        (rows,) predictions.
    """
    best_error, best_settings = math.inf, TREES[0]
    # One thread: two gain a tenth on 1,000 rows, and lose minutes in their barriers while other programs run.
    with threadpool_limits(1):
        for settings in TREES[:1] if quick else TREES:
            trial = HistGradientBoostingRegressor(early_stopping=False, random_state=0, **settings)
            trial.fit(x[inner], y[inner])
            curve = [rmse(stage - y[held]) for stage in trial.staged_predict(x[held])]
            if min(curve) < best_error:
                best_error, best_settings = min(curve), settings | {"max_iter": int(np.argmin(curve)) + 1}
        final = HistGradientBoostingRegressor(early_stopping=False, random_state=0, **best_settings)
        return final.fit(x, y).predict(x_test)
