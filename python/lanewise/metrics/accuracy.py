"""Shares of right answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import Array
from .._names import check_finite, check_integer
from ..losses.base import Param
from .base import Metric


class Accuracy(Metric):
    """Share of elements where the prediction equals the target exactly.

    The text 'accuracy' in `compile` is another thing: it goes by the shapes of outputs and targets.
    """

    kernel = "accuracy"


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

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "threshold": self.threshold}


class CategoricalAccuracy(Metric):
    """Share of rows whose largest prediction is at the target's largest value (the first one counts)."""

    kernel = "categorical_accuracy"
    joint = True


class SparseCategoricalAccuracy(Metric):
    """Share of rows whose largest prediction is at the integer label."""

    kernel = "sparse_categorical_accuracy"
    joint = True
    sparse = True


class _TopK(Metric):
    """Share of rows where fewer than k predictions are larger than the one at the target.

    Args:
        k: 5.
    """

    joint = True

    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None) -> None:
        self.k = check_integer("k", k, 1)
        super().__init__(name, dtype)

    @property
    def param(self) -> Param:
        return float(self.k)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self.k}


class TopKCategoricalAccuracy(_TopK):
    """Share of one-hot rows where fewer than k predictions are larger than the one at the target.

    Args:
        k: 5.
    """

    kernel = "top_k_categorical_accuracy"


class SparseTopKCategoricalAccuracy(_TopK):
    """Share of integer labels where fewer than k predictions are larger than the one at the label.

    Args:
        k: 5.
        from_sorted_ids: not supported; False.
    """

    kernel = "sparse_top_k_categorical_accuracy"
    sparse = True

    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None, from_sorted_ids: bool = False) -> None:
        if from_sorted_ids:
            raise NotImplementedError("from_sorted_ids: predictions are scores, not sorted class numbers")
        super().__init__(k, name, dtype)


class AutoAccuracy(Metric):
    """Stands for 'accuracy' until the shapes of output and target say which accuracy it is.

    One output: binary; integer labels for several: sparse categorical; else categorical.
    """

    kernel = "binary_accuracy"
    default_name = "accuracy"

    def resolved(self, target_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Metric:
        """The accuracy for targets and outputs of these shapes per sample."""
        if output_shape[-1] == 1:
            return BinaryAccuracy(self.name)
        if len(target_shape) < len(output_shape) or target_shape[-1] == 1:
            return SparseCategoricalAccuracy(self.name)
        return CategoricalAccuracy(self.name)


# --- as functions (y_true, y_pred) -> one value a row, with `.numpy()` --------------------------------------------


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Array:
    """1 where (p > threshold) equals the target, for each element, in the shape of y_pred."""
    pred = np.asarray(y_pred, np.float32)
    true = np.asarray(y_true)
    flat = BinaryAccuracy(threshold=threshold).rows(true.reshape(-1), pred.reshape(-1))
    return _engine.as_array(flat.reshape(pred.shape))


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`CategoricalAccuracy` of each row."""
    return CategoricalAccuracy().values(y_true, y_pred)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`SparseCategoricalAccuracy` of each row."""
    return SparseCategoricalAccuracy().values(y_true, y_pred)


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """`TopKCategoricalAccuracy` of each row."""
    return TopKCategoricalAccuracy(k).values(y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """`SparseTopKCategoricalAccuracy` of each row."""
    return SparseTopKCategoricalAccuracy(k).values(y_true, y_pred)
