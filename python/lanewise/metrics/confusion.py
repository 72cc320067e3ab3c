"""Metrics of positives and negatives at thresholds: counts, precision, recall, and points on curves.

A prediction is positive where it is greater than the threshold; a target where it is not 0. The engine counts between
which thresholds each prediction lies, so that any number of them costs one search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._engine import Float64
from .._names import check_integer, check_number, check_share
from ..initializers.base import take_items
from ..losses.base import Param
from .base import Metric, ratio

_NOT_CHOSEN = -1e10  # of Keras: what is not among the k largest, and the threshold that goes with it


class Counts(NamedTuple):
    """True and false positives and negatives, each at every threshold (and of every column, before it)."""

    tp: Float64
    fp: Float64
    tn: Float64
    fn: Float64


class ThresholdMetric(Metric):
    """A metric of the counts at thresholds, in the order in which they were given."""

    kernel = "threshold_counts"
    numbered = True

    def __init__(
        self, thresholds: Sequence[float], name: str | None, dtype: Any, top_k: int | None = None,
        class_id: int | None = None, from_logits: bool = False, by_column: bool = False,
    ) -> None:  # fmt: skip
        self.thresholds = [float(t) for t in thresholds]
        self.top_k = None if top_k is None else check_integer("top_k", top_k, 1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id, 0)
        self._from_logits, self._by_column = bool(from_logits), by_column
        self._order = np.argsort(self.thresholds, kind="stable")
        super().__init__(name, dtype)

    @property
    def param(self) -> Param:
        only = -1.0 if self.class_id is None else float(self.class_id)
        ascending = [self.thresholds[i] for i in self._order]
        return only, float(self.top_k or 0), float(self._from_logits), float(self._by_column), *ascending

    def size(self, columns: int) -> int:
        return 2 * (len(self.thresholds) + 1) * (columns if self._by_column else 1)

    def counts(self, sums: Float64) -> Counts:
        """(thresholds,), or (columns, thresholds) where columns are counted apart."""
        pieces = sums.reshape(-1, 2, len(self.thresholds) + 1)
        above = np.empty((len(pieces), 2, len(self.thresholds)))
        # entry b is of what is greater than b thresholds; so greater than the i-th is all from b = i + 1 on
        above[:, :, self._order] = np.cumsum(pieces[:, :, ::-1], axis=2)[:, :, -2::-1]
        totals = pieces.sum(axis=2)[:, :, None]
        counts = Counts(above[:, 0], above[:, 1], (totals - above)[:, 1], (totals - above)[:, 0])
        return counts if self._by_column else Counts(*(c[0] for c in counts))

    def at(self, counts: Counts) -> Any:
        """The metric at each threshold."""
        raise NotImplementedError

    def finish(self, sums: Float64) -> Any:
        values = self.at(self.counts(sums))
        return values[0] if len(self.thresholds) == 1 else values


def _thresholds(given: Any, default: float) -> list[float]:
    if given is None:
        return [default]
    values = list(given) if isinstance(given, list | tuple | np.ndarray) else [given]
    if not values:
        raise ValueError("thresholds: expected at least one number, received none")
    return [check_number("thresholds", v, "numbers in [0, 1]", lambda v: 0.0 <= v <= 1.0) for v in values]


class _Count(ThresholdMetric):
    """A number of elements.

    Args:
        thresholds: a number in [0, 1] or several, 0.5; with several the result is an array.
    """

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self._given = thresholds
        super().__init__(_thresholds(thresholds, 0.5), name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "thresholds": self._given}


class TruePositives(_Count):
    """How many positives are predicted as such."""

    def at(self, counts: Counts) -> Any:
        return counts.tp


class FalsePositives(_Count):
    """How many negatives are predicted as positive."""

    def at(self, counts: Counts) -> Any:
        return counts.fp


class TrueNegatives(_Count):
    """How many negatives are predicted as such."""

    def at(self, counts: Counts) -> Any:
        return counts.tn


class FalseNegatives(_Count):
    """How many positives are predicted as negative."""

    def at(self, counts: Counts) -> Any:
        return counts.fn


class _Quotient(ThresholdMetric):
    """True positives among others; 0 where there are none.

    Args:
        thresholds: a number in [0, 1] or several, 0.5; with several the result is an array.
        top_k: only a row's k largest predictions are positive (without a threshold, unless one is given).
        class_id: only this column counts.
    """

    def __init__(
        self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        self._given = thresholds
        default = 0.5 if top_k is None else _NOT_CHOSEN
        super().__init__(_thresholds(thresholds, default), name, dtype, top_k, class_id)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "thresholds": self._given, "top_k": self.top_k, "class_id": self.class_id}


class Precision(_Quotient):
    """True positives / predicted positives."""

    def at(self, counts: Counts) -> Any:
        return ratio(counts.tp, counts.tp + counts.fp)


class Recall(_Quotient):
    """True positives / positives."""

    def at(self, counts: Counts) -> Any:
        return ratio(counts.tp, counts.tp + counts.fn)


def _even_thresholds(n: int) -> list[float]:
    take_items("num_thresholds", n)
    return [0.5] if n == 1 else [0.0] + [(i + 1) * 1.0 / (n - 1) for i in range(n - 2)] + [1.0]


class _AtValue(ThresholdMetric):
    """The largest value of one curve where another is at least as asked, over evenly spaced thresholds."""

    asked: str

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        self._value = vars(self)[self.asked] = check_share(self.asked, value)
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, 1)
        super().__init__(_even_thresholds(self.num_thresholds), name, dtype, None, class_id)

    def curves(self, c: Counts) -> tuple[Any, Any]:
        """(the one that is asked for, the one that is returned), at each threshold."""
        raise NotImplementedError

    def finish(self, sums: Float64) -> Any:
        constrained, dependent = self.curves(self.counts(sums))
        reached = np.float32(constrained) >= np.float32(self._value)  # as float32, so that 0.8 is 4 of 5
        return np.max(np.where(reached, dependent, 0.0), initial=0.0)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "num_thresholds": self.num_thresholds,
            self.asked: self._value,
            "class_id": self.class_id,
        }


def _sensitivity(c: Counts) -> Any:
    return ratio(c.tp, c.tp + c.fn)


def _specificity(c: Counts) -> Any:
    return ratio(c.tn, c.tn + c.fp)


def _precision(c: Counts) -> Any:
    return ratio(c.tp, c.tp + c.fp)


class SensitivityAtSpecificity(_AtValue):
    """The largest sensitivity (recall) at a specificity of at least so much.

    Args:
        specificity: in [0, 1].
        num_thresholds: 200.
        class_id: only this column counts.
    """

    asked = "specificity"

    def __init__(
        self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def curves(self, c: Counts) -> tuple[Any, Any]:
        return _specificity(c), _sensitivity(c)


class SpecificityAtSensitivity(_AtValue):
    """The largest specificity at a sensitivity (recall) of at least so much.

    Args:
        sensitivity: in [0, 1].
        num_thresholds: 200.
        class_id: only this column counts.
    """

    asked = "sensitivity"

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def curves(self, c: Counts) -> tuple[Any, Any]:
        return _sensitivity(c), _specificity(c)


class PrecisionAtRecall(_AtValue):
    """The largest precision at a recall of at least so much.

    Args:
        recall: in [0, 1].
        num_thresholds: 200.
        class_id: only this column counts.
    """

    asked = "recall"

    def __init__(
        self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def curves(self, c: Counts) -> tuple[Any, Any]:
        return _sensitivity(c), _precision(c)


class RecallAtPrecision(_AtValue):
    """The largest recall at a precision of at least so much.

    Args:
        precision: in [0, 1].
        num_thresholds: 200.
        class_id: only this column counts.
    """

    asked = "precision"

    def __init__(
        self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def curves(self, c: Counts) -> tuple[Any, Any]:
        return _precision(c), _sensitivity(c)


class AUC(ThresholdMetric):
    """The area under a curve, as Keras computes it: Riemann sums over thresholds.

    Args:
        num_thresholds: evenly spaced in [0, 1], the outermost a little beyond.
        curve: "ROC", "PR" or "PRGAIN".
        summation_method: "interpolation" (for PR by Davis and Goadrich 2006), "minoring" or "majoring".
        thresholds: the inner thresholds, instead.
        multi_label: the mean of one area a column, instead of one over all elements.
        num_labels: accepted with multi_label; the columns are counted.
        label_weights: weight of each column in the mean, or of its elements.
        from_logits: predictions go through a sigmoid first.
    """

    def __init__(
        self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation",
        name: str | None = None, dtype: Any = None, thresholds: Sequence[float] | None = None,
        multi_label: bool = False, num_labels: int | None = None, label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:  # fmt: skip
        self.curve = curve.upper() if isinstance(curve, str) else curve
        if self.curve not in ("ROC", "PR", "PRGAIN"):
            raise ValueError(f"curve: expected 'ROC', 'PR' or 'PRGAIN', received {curve!r}")
        self.summation_method = summation_method.lower() if isinstance(summation_method, str) else summation_method
        if self.summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f"summation_method: expected 'interpolation', 'minoring' or 'majoring', received {summation_method!r}"
            )
        if thresholds is None:
            self.num_thresholds = check_integer("num_thresholds", num_thresholds, 2)
            inner = _even_thresholds(self.num_thresholds)[1:-1]
        else:
            inner = sorted(_thresholds(list(thresholds), 0.5))
            self.num_thresholds = len(inner) + 2
        self._given = None if thresholds is None else inner
        if num_labels is not None and not multi_label:
            raise ValueError("num_labels: goes with multi_label=True only")
        self.multi_label, self.num_labels = bool(multi_label), num_labels
        self.label_weights = None if label_weights is None else [float(w) for w in label_weights]
        by_column = self.multi_label or self.label_weights is not None
        super().__init__([-1e-7, *inner, 1.0 + 1e-7], name, dtype, None, None, from_logits, by_column)

    def param_for(self, columns: int) -> Param:
        for argument, count in (
            ("num_labels", self.num_labels),
            ("label_weights", None if self.label_weights is None else len(self.label_weights)),
        ):
            if count is not None and count != columns:
                raise ValueError(f"{argument}: expected {columns}, as the output has columns, received {count}")
        return self.param

    def finish(self, sums: Float64) -> Any:
        counts = self.counts(sums)
        if not self.multi_label:
            if self.label_weights is not None:
                weights = np.asarray(self.label_weights)
                counts = Counts(*(weights @ c for c in counts))
            return self._area(counts)
        areas = [self._area(Counts(*(c[i] for c in counts))) for i in range(len(counts.tp))]
        if self.label_weights is None:
            return np.mean(areas)
        return ratio(np.dot(areas, self.label_weights), np.sum(self.label_weights))

    def _area(self, c: Counts) -> Any:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_precision(c)
        if self.curve == "ROC":
            x, y = ratio(c.fp, c.fp + c.tn), _sensitivity(c)
        elif self.curve == "PR":
            x, y = _sensitivity(c), _precision(c)
        else:  # Flach and Kull 2015
            prior = ratio(c.tp + c.fn, c.tn + c.fp)
            x = np.maximum(np.where(c.tp == 0, 0.0, 1 - prior * ratio(c.fn, c.tp)), 0.0)
            y = np.where(c.tp == 0, 1.0, 1 - prior * ratio(c.fp, c.tp))
        heights = {
            "interpolation": (y[:-1] + y[1:]) / 2,
            "minoring": np.minimum(y[:-1], y[1:]),
            "majoring": np.maximum(y[:-1], y[1:]),
        }[self.summation_method]
        return np.sum((x[:-1] - x[1:]) * heights)

    def get_config(self) -> dict[str, Any]:
        config = {
            "name": self.name, "num_thresholds": self.num_thresholds, "curve": self.curve,
            "summation_method": self.summation_method, "multi_label": self.multi_label, "num_labels": self.num_labels,
            "label_weights": self.label_weights, "from_logits": self._from_logits,
        }  # fmt: skip
        return config if self._given is None else {**config, "thresholds": self._given}


def _interpolated_precision(c: Counts) -> Any:
    """Between two thresholds true positives are linear in the positives: Davis and Goadrich 2006."""
    gained, predicted = c.tp[:-1] - c.tp[1:], c.tp + c.fp
    slope = ratio(gained, np.maximum(predicted[:-1] - predicted[1:], 0))
    intercept = c.tp[1:] - slope * predicted[1:]
    both = (predicted[:-1] > 0) & (predicted[1:] > 0)
    growth = np.where(both, ratio(predicted[:-1], np.maximum(predicted[1:], 0)), 1.0)
    return np.sum(ratio(slope * (gained + intercept * np.log(growth)), np.maximum(c.tp[1:] + c.fn[1:], 0)))
