"""Helpers that prepare arrays: one-hot rows, normalised rows, padded sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._names import check_integer


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """One-hot rows: the i-th row has a 1 in column x[i] (float64, as in Keras).

    Args:
        x: class numbers 0 .. num_classes - 1, of any shape; a last axis of 1 is dropped.
        num_classes: number of columns; by default the largest class number + 1.

    Returns:
        Array of shape (..., num_classes).

    Raises:
        TypeError: no whole numbers. ValueError: no elements, or a class number outside the range.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"x: expected whole numbers, received dtype {array.dtype}")
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():
        raise TypeError("x: expected whole numbers, received fractions or NaN")
    if array.ndim > 1 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.size == 0:
        raise ValueError(f"x: expected at least one class number, received shape {array.shape}")
    low, high = int(array.min()), int(array.max())
    classes = high + 1 if num_classes is None else check_integer("num_classes", num_classes, 1)
    if low < 0 or high >= classes:
        raise ValueError(f"x: expected class numbers in [0, {classes}), received {low if low < 0 else high}")
    rows = np.zeros((array.size, classes))
    rows[np.arange(array.size), array.reshape(-1).astype(np.int64)] = 1.0
    return rows.reshape(*array.shape, classes)


def normalize(x: ArrayLike, axis: int = -1, order: Any = 2) -> NDArray[Any]:
    """x divided by its norm along an axis; where the norm is 0, x stays.

    Args:
        x: array.
        axis: along which to take the norm.
        order: of the norm, as in `numpy.linalg.norm`.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"x: expected real numbers, received dtype {array.dtype}")
    norm: NDArray[Any] = np.asarray(np.linalg.norm(array, order, axis, keepdims=True))
    return np.asarray(array / np.where(norm == 0, 1.0, norm).astype(norm.dtype))


def pad_sequences(
    sequences: Sequence[Any], maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre",
    truncating: str = "pre", value: Any = 0.0,
) -> NDArray[Any]:  # fmt: skip
    """Sequences of several lengths as one array: the short ones padded, the long ones cut.

    Args:
        sequences: n lists or arrays, their first axis the time.
        maxlen: length of each row; by default that of the longest.
        dtype: of the result.
        padding: 'pre' or 'post': where `value` is put.
        truncating: 'pre' or 'post': which end is cut off.
        value: what fills up.

    Returns:
        Array (n, maxlen, ...).

    Raises:
        TypeError: no sequence of sequences. ValueError: bad arguments, or samples of several shapes.
    """
    for argument, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f"{argument}: expected 'pre' or 'post', received {given!r}")
    try:
        rows = [row if hasattr(row, "__len__") else list(row) for row in sequences]
    except TypeError:
        raise TypeError(
            f"sequences: expected a list of sequences, received {type(sequences).__name__} of something else"
        ) from None
    length = max(map(len, rows), default=0) if maxlen is None else check_integer("maxlen", maxlen, 0)
    inner = next((np.shape(row)[1:] for row in rows if len(row)), ())
    padded = np.full((len(rows), length, *inner), value, dtype=dtype)
    for i, row in enumerate(rows):
        kept = row[max(0, len(row) - length) :] if truncating == "pre" else row[:length]
        if len(kept) == 0:
            continue
        array = np.asarray(kept, dtype=dtype)
        if array.shape[1:] != inner:
            raise ValueError(f"sequences: expected samples of shape {inner}, received {array.shape[1:]} at {i}")
        if padding == "pre":
            padded[i, length - len(array) :] = array
        else:
            padded[i, : len(array)] = array
    return padded
