"""Accuracies as functions (y_true, y_pred) -> one value a row, with `.numpy()`; losses are in `lanewise.losses`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import Array
from . import accuracy as a


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Array:
    """1 where (p > threshold) equals the target, for each element, in the shape of y_pred."""
    pred = np.asarray(y_pred, np.float32)
    true = np.asarray(y_true)
    flat = a.BinaryAccuracy(threshold=threshold).rows(true.reshape(-1), pred.reshape(-1))
    return _engine.as_array(flat.reshape(pred.shape))


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`CategoricalAccuracy` of each row."""
    return a.CategoricalAccuracy().values(y_true, y_pred)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`SparseCategoricalAccuracy` of each row."""
    return a.SparseCategoricalAccuracy().values(y_true, y_pred)


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """`TopKCategoricalAccuracy` of each row."""
    return a.TopKCategoricalAccuracy(k).values(y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """`SparseTopKCategoricalAccuracy` of each row."""
    return a.SparseTopKCategoricalAccuracy(k).values(y_true, y_pred)
