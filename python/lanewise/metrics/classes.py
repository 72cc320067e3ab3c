"""The metrics: means over rows, inside `fit` and `evaluate` computed by the engine, on their own by `update_state`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import losses
from .._engine import AnyArray, Float32
from .._names import check_finite
from ..losses.base import Param, RowFunction
from ..losses.classification import CrossEntropy


class Metric(RowFunction):
    """A mean of row values over all rows seen since `reset_state`.

    Args:
        name: key in logs and history; None for the class's name in snake case.
    """

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all rows."""
        self._total = 0.0
        self._count = 0.0

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add rows, each with its weight (1)."""
        rows = self.rows(y_true, y_pred).astype(np.float64)
        weights = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, np.float64).reshape(-1)
        self._total += float((rows * weights).sum())
        self._count += float(weights.sum())

    def result(self) -> np.float32:
        """The metric over the rows seen; 0 without rows, as in Keras."""
        return np.float32(self.finish(self._total / self._count) if self._count else 0.0)

    def finish(self, mean: float) -> float:
        """The metric from the mean of its row values."""
        return mean

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> np.float32:
        """update_state, then result."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class MeanSquaredError(Metric):
    """Mean of the squared errors."""

    kernel = "mse"


class RootMeanSquaredError(Metric):
    """Square root of the mean of the squared errors."""

    kernel = "mse"

    def finish(self, mean: float) -> float:
        return float(np.sqrt(mean))


class MeanAbsoluteError(Metric):
    """Mean of the absolute errors."""

    kernel = "mae"


class Huber(Metric):
    """Mean of the Huber loss with delta 1."""

    kernel = "huber"

    @property
    def param(self) -> Param:
        return 1.0


class _CrossEntropy(Metric):
    """A metric with the rules of a cross-entropy loss."""

    loss: type[CrossEntropy]

    def __init__(
        self, name: str | None = None, dtype: Any = None, from_logits: bool = False, label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:  # fmt: skip
        smoothing: dict[str, Any] = {} if self.sparse else {"label_smoothing": label_smoothing}
        self._loss = self.loss(from_logits=from_logits, axis=axis, **smoothing)
        super().__init__(name, dtype)

    @property
    def param(self) -> Param:
        return self._loss.param

    def kernel_after(self, operation: str) -> tuple[str, bool]:
        return self._loss.kernel_after(operation)

    def get_config(self) -> dict[str, Any]:
        config = {"name": self.name, "from_logits": self._loss.from_logits, "axis": -1}
        return config if self.sparse else {**config, "label_smoothing": self._loss.label_smoothing}


class BinaryCrossentropy(_CrossEntropy):
    """Mean of the binary cross-entropy."""

    loss = losses.BinaryCrossentropy
    kernel = loss.kernel
    interval = "unit"

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["axis"]  # Keras's has none
        return config


class CategoricalCrossentropy(_CrossEntropy):
    """Mean of the categorical cross-entropy, for one-hot targets."""

    loss = losses.CategoricalCrossentropy
    kernel = loss.kernel
    joint = True


class SparseCategoricalCrossentropy(_CrossEntropy):
    """Mean of the categorical cross-entropy, for integer labels."""

    loss = losses.SparseCategoricalCrossentropy
    kernel = loss.kernel
    joint = True
    sparse = True


class BinaryAccuracy(Metric):
    """Share of elements with (p > threshold) equal to the target.

    Args:
        threshold: 0.5.
    """

    kernel = "binary_accuracy"

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None:
        self.threshold = check_finite("threshold", threshold)
        super().__init__(name, dtype)

    @property
    def param(self) -> Param:
        return self.threshold

    def flat_rows(self, target: AnyArray, pred: Float32) -> Float32:
        equal = (pred > np.float32(self.threshold)) == target
        return np.asarray(equal.mean(axis=1), np.float32)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "threshold": self.threshold}


class CategoricalAccuracy(Metric):
    """Share of rows whose largest prediction is at the target's largest value (the first one counts)."""

    kernel = "categorical_accuracy"
    joint = True

    def flat_rows(self, target: AnyArray, pred: Float32) -> Float32:
        return np.asarray(pred.argmax(axis=1) == target.argmax(axis=1), np.float32)


class SparseCategoricalAccuracy(Metric):
    """Share of rows whose largest prediction is at the integer label."""

    kernel = "sparse_categorical_accuracy"
    joint = True
    sparse = True

    def flat_rows(self, target: AnyArray, pred: Float32) -> Float32:
        return np.asarray(pred.argmax(axis=1) == target, np.float32)


class Accuracy(Metric):
    """Stands for 'accuracy' until the shapes of output and target say which accuracy it is.

    One output: binary; integer labels for several: sparse categorical; else categorical.
    """

    kernel = "binary_accuracy"

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__("accuracy" if name is None else name, dtype)

    def resolved(self, target_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Metric:
        """The accuracy for targets and outputs of these shapes per sample."""
        if output_shape[-1] == 1:
            return BinaryAccuracy(self.name)
        if len(target_shape) < len(output_shape) or target_shape[-1] == 1:
            return SparseCategoricalAccuracy(self.name)
        return CategoricalAccuracy(self.name)

    def rows(self, y_true: ArrayLike, y_pred: ArrayLike) -> Float32:
        true, pred = np.asarray(y_true), np.asarray(y_pred)
        return self.resolved(true.shape[1:], pred.shape[1:] or (1,)).rows(true, pred)
