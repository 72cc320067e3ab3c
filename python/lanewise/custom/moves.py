"""The operations of `keras.ops` that move elements, join arrays and take parts of them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from .._engine import current
from .functions import _axes
from .operations import _out, _value
from .tape import plain


def transpose(x: Any, axes: Any = None) -> Any:
    """Axes in another order; by default reversed."""
    return _out(np.transpose(_value(x), axes))


def reshape(x: Any, newshape: Any) -> Any:
    """The same elements in another shape."""
    return _out(np.reshape(_value(x), newshape))


def ravel(x: Any) -> Any:
    """The same elements along one axis."""
    return _out(np.reshape(_value(x), -1))


def concatenate(xs: Any, axis: int = 0) -> Any:
    """Arrays one after the other along an axis."""
    return _out(np.concatenate([_value(x) for x in xs], axis))


def stack(x: Any, axis: int = 0) -> Any:
    """Arrays along a new axis."""
    return _out(np.stack([_value(item) for item in x], axis))


def hstack(xs: Any) -> Any:
    """Arrays one after the other along the second axis, vectors along the first."""
    values = [x if np.ndim(plain(x)) else np.reshape(x, (1,)) for x in map(_value, xs)]
    return concatenate(values, 1 if values and np.ndim(plain(values[0])) > 1 else 0)


def vstack(xs: Any) -> Any:
    """Arrays one after the other along the first axis, vectors as rows."""
    return concatenate([x if np.ndim(plain(x)) > 1 else np.reshape(x, (1, -1)) for x in map(_value, xs)])


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts along an axis."""
    return [_out(part) for part in np.split(_value(x), indices_or_sections, axis)]


def expand_dims(x: Any, axis: Any) -> Any:
    """A new axis of one element."""
    return _out(np.expand_dims(_value(x), axis))


def squeeze(x: Any, axis: Any = None) -> Any:
    """Without the axes of one element."""
    return _out(np.squeeze(_value(x), _axes(axis)))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    return _out(np.swapaxes(_value(x), axis1, axis2))


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes in other places, the rest in the order that they have."""
    return _out(np.moveaxis(_value(x), source, destination))


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Elements moved along an axis; what leaves at one end comes in at the other."""
    return _out(np.roll(_value(x), shift, axis))


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """More elements at both ends: pad_width is a number, (before, after), or such a pair for each axis.

    mode: 'constant' (`constant_values`, 0), 'edge', 'reflect', 'symmetric' or 'wrap'.
    """
    modes = ("constant", "edge", "reflect", "symmetric", "wrap")
    if mode not in modes or (constant_values is not None and mode != "constant"):
        raise ValueError(f"mode: expected one of {modes}, the first for constant_values, received {mode!r}")
    options: Any = {} if constant_values is None else {"constant_values": constant_values}
    x, rank = _value(x), np.ndim(plain(_value(x)))
    if isinstance(x, np.ndarray) and rank and not len(x):  # no rows: only the shape matters
        with suppress(ValueError):  # a width that does not fit: NumPy says so
            widths = np.broadcast_to(np.asarray(pad_width, object), (rank, 2)).tolist()
            np.broadcast_to(np.asarray(0 if constant_values is None else constant_values, x.dtype), (rank, 2))
            if widths[0] == [0, 0] and all(isinstance(n, int) and n >= 0 for pair in widths for n in pair):
                return _out(np.zeros([n + sum(pair) for n, pair in zip(x.shape, widths, strict=True)], x.dtype))
    padded: Any = np.pad
    return _out(padded(x, pad_width, mode, **options))


def flip(x: Any, axis: Any = None) -> Any:
    """Elements in reverse order."""
    return _out(np.flip(_value(x), axis))


def _places(indices: Any) -> Any:
    """Integers, of whatever type; a layer's call has them as float32. Raises ValueError for what is no whole number."""
    given = np.asarray(plain(_value(indices)))
    if given.dtype.kind in "iub":
        return given.astype(np.int64, copy=False)
    with np.errstate(invalid="ignore"):
        places = given.astype(np.int64)
    if (places != given).any():
        raise ValueError(f"indices: expected whole numbers, received {given[places != given][0]}")
    return places


def _check_places(x: Any, places: Any, axis: int | None) -> None:
    """Raises ValueError for places that are not there; NumPy does not look where x has no rows."""
    n = np.size(plain(x)) if axis is None else np.shape(plain(x))[axis]
    odd = places[(places < -n) | (places >= n)]
    if odd.size:
        raise ValueError(f"indices: expected {-n} to {n - 1}, received {odd.ravel()[0]}")


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Elements, or slices along an axis, by their places."""
    x, places = _value(x), _places(indices)
    _check_places(x, places, axis)
    return _out(np.take(x, places, axis))


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Elements along an axis by their places, a place for each row."""
    x, places = _value(x), _places(indices)
    _check_places(x, places, axis)
    return _out(np.take_along_axis(x, places, axis))


def tile(x: Any, repeats: Any) -> Any:
    """x again and again."""
    return _out(np.tile(_value(x), repeats))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element again and again: `repeats` times, or a number for each.

    Raises:
        ValueError: numbers below 0, or beyond 2**62 in all (NumPy would count modulo 2**64 and write past the end).
    """
    x, given = _value(x), plain(current(repeats))
    times = np.ravel(np.asarray(given))
    if (times.size and times.dtype.kind not in "biuO") or (
        times.dtype.kind == "O" and not all(isinstance(n, int) for n in times)
    ):
        raise TypeError(f"repeat: expected integers, received {str(given)[:60]}")
    each = (np.size(plain(x)) if axis is None else np.shape(plain(x))[axis]) if len(times) == 1 else 1
    if times.size and (times.min() < 0 or float(times.max()) * times.size * each > 2**62):
        raise ValueError(f"repeat: expected numbers of times from 0 on, received {str(given)[:60]}")
    return _out(np.repeat(x, times.astype(np.int64), axis))


def broadcast_to(x: Any, shape: Any) -> Any:
    """x in a larger shape."""
    return _out(np.broadcast_to(_value(x), shape))


__all__ = sorted(
    name
    for name, value in list(globals().items())
    if not name.startswith("_") and getattr(value, "__module__", None) == __name__
)
