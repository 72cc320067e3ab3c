"""The losses. Formulas are for one row of d values; t the target, p the prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._engine import Float32
from .._names import check_default, check_number
from .base import RowFunction


class Loss(RowFunction):
    """A row function to train on; a batch's loss is the (weighted) sum over its rows, divided by their number.

    Args:
        reduction: "sum_over_batch_size" (or "auto"), the mean over rows; others are not supported.
        name: kept; None for the class's name in snake case.
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(name, dtype)
        if reduction not in ("sum_over_batch_size", "auto"):
            raise NotImplementedError(f"reduction: only 'sum_over_batch_size' is supported, received {reduction!r}")

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> np.float32:
        """The mean of the (weighted) row values."""
        rows = self.rows(y_true, y_pred)
        if sample_weight is not None:
            rows = rows * np.asarray(sample_weight, dtype=np.float32).reshape(-1)
        return np.float32(rows.mean(dtype=np.float64))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": "sum_over_batch_size"}


class MeanSquaredError(Loss):
    """sum (p - t)**2 / d."""

    kernel = "mse"


class MeanAbsoluteError(Loss):
    """sum |p - t| / d."""

    kernel = "mae"


class Huber(Loss):
    """Mean of e**2/2 where |e| <= delta, else delta*|e| - delta**2/2; e = p - t (Huber 1964).

    Args:
        delta: positive.
    """

    kernel = "huber"

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:  # fmt: skip
        super().__init__(reduction, name, dtype)
        self.delta = check_number("delta", delta, "a finite number > 0", lambda v: 0.0 < v < float("inf"))

    @property
    def param(self) -> float:
        return self.delta

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


class CrossEntropy(Loss):
    """Base of the cross-entropies: how they take logits.

    With from_logits=True the model's output is read as logits. Otherwise it holds probabilities; where the model ends
    with the matching activation, its input is read as logits all the same, which is the same value without the
    rounding (as Keras on TensorFlow does).
    """

    activation = "softmax"

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(reduction, name, dtype)
        check_default("axis", axis, -1, "classes are along the last axis")
        self.from_logits = bool(from_logits)
        self.label_smoothing = check_number(
            "label_smoothing", label_smoothing, "a number in [0, 1]", lambda v: 0.0 <= v <= 1.0
        )

    @property
    def param(self) -> float:
        return self.label_smoothing

    def kernel_after(self, operation: str) -> tuple[str, bool]:
        if self.from_logits:
            return self.kernel, False
        return (self.kernel, True) if operation == self.activation else (f"{self.kernel}_probs", False)

    def get_config(self) -> dict[str, Any]:
        smoothing = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": -1}
        return {**super().get_config(), **smoothing}


class BinaryCrossentropy(CrossEntropy):
    """Mean of -(t*log(p) + (1 - t)*log(1 - p)).

    Args:
        from_logits: p is sigmoid of the output.
        label_smoothing: s in [0, 1]: t becomes t*(1 - s) + s/2.
        axis: -1.
    """

    kernel = "binary_crossentropy"
    activation = "sigmoid"
    unit_interval = True


class CategoricalCrossentropy(CrossEntropy):
    """-sum t*log(p); targets are one-hot rows or distributions.

    Args:
        from_logits: p is softmax of the output.
        label_smoothing: s in [0, 1]: t becomes t*(1 - s) + s/classes.
        axis: -1.
    """

    kernel = "categorical_crossentropy"
    joint = True


class SparseCategoricalCrossentropy(CrossEntropy):
    """-log(p[label]); targets are integer labels (n,) or (n, 1).

    Args:
        from_logits: p is softmax of the output.
        ignore_class: not supported; None.
        axis: -1.
    """

    kernel = "sparse_categorical_crossentropy"
    joint = True
    sparse = True

    def __init__(
        self, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_default("ignore_class", ignore_class, None, "a class that does not count is not there yet")
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["label_smoothing"]
        return {**config, "ignore_class": None}


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Float32:
    """`MeanSquaredError` of each row, (n,) float32."""
    return MeanSquaredError().rows(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Float32:
    """`MeanAbsoluteError` of each row, (n,) float32."""
    return MeanAbsoluteError().rows(y_true, y_pred)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Float32:
    """`Huber` of each row, (n,) float32."""
    return Huber(delta).rows(y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0
) -> Float32:
    """`BinaryCrossentropy` of each row, (n,) float32."""
    return BinaryCrossentropy(from_logits, label_smoothing).rows(y_true, y_pred)


def categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0
) -> Float32:
    """`CategoricalCrossentropy` of each row, (n,) float32."""
    return CategoricalCrossentropy(from_logits, label_smoothing).rows(y_true, y_pred)


def sparse_categorical_crossentropy(y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False) -> Float32:
    """`SparseCategoricalCrossentropy` of each row, (n,) float32."""
    return SparseCategoricalCrossentropy(from_logits).rows(y_true, y_pred)
