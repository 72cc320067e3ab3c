"""Small helpers, by Keras's names."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _missing, random as _random
from ._names import check_integer


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's global generator and lanewise.

    Args:
        seed: an integer in [0, 2**32), NumPy's range.

    Raises:
        TypeError: not an integer. ValueError: outside the range; nothing is seeded then.
    """
    import random

    seed = check_integer("seed", seed, 0)
    if seed >= 2**32:
        raise ValueError(f"seed: expected an integer in [0, 2**32), received {seed}")
    random.seed(seed)
    np.random.seed(seed)
    _random.set_seed(seed)


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


__all__ = ["normalize", "set_random_seed", "to_categorical"]

__getattr__ = _missing.getter(__name__, __all__)
