"""F scores, R2, and the plain mean and sum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import Array, Float64
from .._names import check_integer, check_number, check_positive, warn
from ..losses.base import Param
from .base import Metric, ratio

EPSILON = 1e-7  # Keras's, in the quotients of F scores and intersections


class FBetaScore(Metric):
    """(1 + beta**2) * precision * recall / (beta**2 * precision + recall) of each class, as Keras computes it.

    Args:
        average: None for one score a class, "micro" over all elements, "macro" the mean of the classes, "weighted" the
            mean by how often a class occurs.
        beta: positive.
        threshold: predictions above it are chosen; None chooses the largest of a row.
    """

    kernel = "choice_counts"
    joint = True
    default_name = "fbeta_score"

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"average: expected None, 'micro', 'macro' or 'weighted', received {average!r}")
        self.average = average
        self.beta = check_positive("beta", beta)
        self.threshold = threshold
        if threshold is not None:
            self.threshold = check_number("threshold", threshold, "a number in (0, 1]", lambda v: 0.0 < v <= 1.0)
        super().__init__(name, dtype)

    @property
    def param(self) -> Param:
        return (0.0, 0.0) if self.threshold is None else (self.threshold, 1.0)

    def size(self, columns: int) -> int:
        return 4 * columns

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if np.ndim(y_pred) < 2:
            raise ValueError(f"{self.name}: expected predictions (rows, classes), received shape {np.shape(y_pred)}")
        return super().update_state(y_true, y_pred, sample_weight)

    def finish(self, sums: Float64) -> Any:
        tp, fp, fn, support = sums.reshape(-1, 4).T
        if self.average == "micro":
            tp, fp, fn, support = tp.sum(), fp.sum(), fn.sum(), support.sum()
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + EPSILON) * (1 + square)
        if self.average == "weighted":
            return (score * support).sum() / (support.sum() + EPSILON)
        return score if self.average is None else np.mean(score)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """`FBetaScore` with beta 1: 2 * precision * recall / (precision + recall)."""

    default_name = "f1_score"

    def __init__(
        self, average: str | None = None, threshold: float | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "average": self.average, "threshold": self.threshold}


class R2Score(Metric):
    """1 - sum (t - p)**2 / sum (t - mean t)**2 of each column.

    Args:
        class_aggregation: "uniform_average" or "variance_weighted_average" of the columns, None for each.
        num_regressors: for the adjusted score; 0 for the plain one.
    """

    kernel = "moment_sums"
    default_name = "r2_score"

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise ValueError(
                "class_aggregation: expected None, 'uniform_average' or 'variance_weighted_average', received "
                f"{class_aggregation!r}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = check_integer("num_regressors", num_regressors, 0)
        super().__init__(name, dtype)

    def size(self, columns: int) -> int:
        return 4 * columns + 1

    def finish(self, sums: Float64) -> Any:
        weight, total, squares, residual = sums[:-1].reshape(-1, 4).T
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            spread = squares - total * (total / weight)
            score = 1 - residual / spread
            score = np.where(np.isinf(score), 0.0, score)
            if self.class_aggregation == "uniform_average":
                score = np.asarray(np.mean(score))
            elif self.class_aggregation == "variance_weighted_average":
                score = np.asarray((spread * score).sum() / spread.sum())
        samples, p = float(sums[-1]), self.num_regressors
        if p == 0:
            return score
        if p >= samples - 1:
            warn(f"num_regressors: {p} for {samples:.0f} numbers, no adjusted R2; this is the plain one")
            return score
        return 1 - (1 - score) * (samples - 1) / (samples - p - 1)

    def get_config(self) -> dict[str, Any]:
        aggregation = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {"name": self.name, **aggregation}


class _Values(Metric):
    """A metric of plain numbers, for loops of one's own; `compile` does not take it."""

    kernel = ""

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:  # type: ignore[override]
        """Add numbers of any shape, each row with its weight (1)."""
        array = np.asarray(values, np.float64)
        weights = np.ones(()) if sample_weight is None else np.asarray(sample_weight, np.float64)
        rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
        weights = np.broadcast_to(weights.reshape(-1), (len(rows),))
        sums = np.array([(self.of_row(rows) * weights).sum(), weights.sum()])
        self._sums = sums if self._sums is None else self._sums + sums

    def of_row(self, rows: Float64) -> Float64:
        """One number a row."""
        raise NotImplementedError


class Mean(_Values):
    """The (weighted) mean of numbers."""

    def of_row(self, rows: Float64) -> Float64:
        return np.asarray(rows.mean(axis=1))


class Sum(_Values):
    """The (weighted) sum of numbers."""

    def of_row(self, rows: Float64) -> Float64:
        return np.asarray(rows.sum(axis=1))

    def result(self) -> Array:
        """The sum of the numbers seen."""
        return _engine.as_array(0.0 if self._sums is None else self._sums[0])


__all__ = ["F1Score", "FBetaScore", "Mean", "R2Score", "Sum", "ratio"]
