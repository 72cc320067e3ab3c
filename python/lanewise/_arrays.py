"""What the user hands in as data becomes an array that the engine can read in place."""

from __future__ import annotations

from contextlib import suppress
from inspect import isfunction
from typing import Any

import numpy as np

from ._engine import AnyArray
from ._operators import unmasked

_WHAT_NOW = {
    "O": "make every column numeric first",
    "U": "encode text as numbers first",
    "S": "encode text as numbers first",
    "c": "split it into real and imaginary columns",
    "M": "convert dates to numbers first",
    "m": "convert durations to numbers first",
}


def is_type_name(text: Any) -> bool:
    """Whether it names one type, and is no text that NumPy would have Python read."""
    return isinstance(text, str) and text.lstrip("<>=|").isalnum()


def number_type(dtype: Any) -> np.dtype[Any]:
    """A type of real numbers. Raises TypeError for any other one, and for text that NumPy would have Python read."""
    name = getattr(dtype, "name", dtype)  # tf.float32, "float32", np.float32
    if isinstance(name, type) or is_type_name(name):
        with suppress(TypeError):  # a type that NumPy does not know
            found: np.dtype[Any] = np.dtype(name)
            if found.kind in "biuf" and found.itemsize <= 8:
                return found
    raise TypeError(f"dtype: expected real numbers of up to 64 bits, received {str(dtype)[:60]!r}")


def converted(array: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    """An array in another type.

    Real numbers become integers by what stands before their point, NaN 0; what is beyond 64 bits ends there, and
    smaller types have the last bits, as of integers. (C leaves both open, and NumPy's results differ by the place in
    the array.)
    """
    if array.dtype.kind != "f" or dtype.kind not in "iu":
        return array.astype(dtype)
    wide = np.nan_to_num(array.astype(np.float64))
    integers = np.asarray(np.clip(wide, -(2.0**63), np.nextafter(2.0**63, 0))).astype(np.int64).astype(dtype)
    if dtype != np.uint64:
        return integers
    return np.where(wide < 2.0**63, integers, np.clip(wide, 2.0**63, np.nextafter(2.0**64, 0)).astype(np.uint64))


def any_array(value: Any) -> AnyArray:
    """value, a series or a frame too, as an array of whatever it holds."""
    return np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else unmasked(value))


def as_array(argument: str, value: Any) -> AnyArray:
    """value as an array of a real dtype, without a copy where it is one already (memory maps included).

    Takes arrays, (nested) lists, everything with `to_numpy` (pandas and polars frames and series) or `__array__`.

    Raises:
        TypeError: None, text, objects, complex numbers, dates, sparse matrices, generators.
        ValueError: a ragged list, a scalar, no rows.
    """
    if isinstance(value, list | tuple) and len(value) == 1 and getattr(value[0], "ndim", 0) >= 2:
        value = value[0]  # Keras's list of inputs, of one input
    if isinstance(value, np.ndarray):
        if hasattr(value, "_mask"):
            raise TypeError(
                f"{argument}: expected an array without a mask, received MaskedArray; fill it first: .filled(0)"
            )
        array: AnyArray = value
    elif value is None or isinstance(value, str | bytes | dict) or hasattr(value, "tocsr"):
        hint = "; a sparse matrix goes in as .toarray()" if hasattr(value, "tocsr") else ""
        if isinstance(value, dict):
            hint = f" of {', '.join(map(repr, value))[:60]}; its keys are to be the names of inputs or outputs"
        raise TypeError(f"{argument}: expected an array, a list or a data frame, received {type(value).__name__}{hint}")
    elif hasattr(value, "to_numpy"):
        array = _from_frame(argument, value)
    elif hasattr(value, "__array__") or isinstance(value, list | tuple | memoryview):
        try:
            array = np.asarray(value)
        except ValueError as error:
            what = f"a ragged list ({error})"
            if getattr(value[0], "ndim", 0) > 1:
                what = "arrays of several shapes; targets come as an argument of their own: fit(x, y)"
            raise ValueError(f"{argument}: expected rows of one shape, received {what}") from None
        except (RuntimeError, TypeError) as error:
            raise TypeError(f"{argument}: {error}") from None
    else:
        hint = "; batches come as x= of fit, evaluate and predict alone" if hasattr(value, "__iter__") else ""
        if isfunction(value):
            hint = f"; a generator is what the function gives: {value.__name__}()"
        raise TypeError(f"{argument}: expected an array, a list or a data frame, received {type(value).__name__}{hint}")
    if array.dtype.kind not in "biuf":
        what_now = _what_now(value, array, argument)
        dtype = getattr(value, "dtype", array.dtype)
        raise TypeError(f"{argument}: expected real numbers, received an array of dtype {dtype}; {what_now}")
    if array.ndim == 0:
        raise ValueError(f"{argument}: expected an array of rows, received the single number {array}")
    if len(array) == 0:
        raise ValueError(f"{argument}: expected at least one row, received an empty array of shape {array.shape}")
    if array.dtype.itemsize > 8:  # the engine does not read long double
        array = array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _what_now(given: Any, array: AnyArray, argument: str = "") -> str:
    """What to do with an array that holds no real numbers, or with the column of a frame."""
    kind = array.dtype.kind
    if str(getattr(given, "dtype", "")).lower().startswith(("category", "categorical", "enum")):
        return "take the numbers of the category: .cat.codes in pandas, .to_physical() in polars"
    if kind == "O" and array.ndim == 1 and all(isinstance(item, str) for item in array[:32]):
        kind = "U"
    if kind in "US" and argument.endswith("y"):
        return "encode text as numbers first: labels, y = numpy.unique(y, return_inverse=True)"
    return _WHAT_NOW.get(kind, "convert it first")


def _from_frame(argument: str, frame: Any) -> AnyArray:
    """frame.to_numpy(); column by column where mixed columns would make an object array."""
    array = np.asarray(frame.to_numpy())
    columns = getattr(frame, "columns", None)
    if array.dtype.kind != "O" or columns is None:
        return array
    parts = [np.asarray(frame[c].to_numpy()) for c in columns]
    if all(p.ndim == 1 and p.dtype.kind in "biuf" for p in parts):
        return np.stack(parts, axis=1)
    name, part = next((c, p) for c, p in zip(columns, parts, strict=True) if p.dtype.kind not in "biuf" or p.ndim != 1)
    what_now = f"{_what_now(frame[name], part)}, or give the table to lanewise.tabular"
    raise TypeError(f"{argument}: column {name!r} has dtype {getattr(frame[name], 'dtype', part.dtype)}; {what_now}")


def sample_shape(argument: str, value: Any) -> tuple[int, ...]:
    """A shape given by the user: positive axes without the batch.

    Raises:
        TypeError / ValueError: not a tuple of positive integers.
    """
    from ._names import check_integer

    if isinstance(value, int | np.integer):
        value = (value,)
    if not isinstance(value, tuple | list):
        raise TypeError(f"{argument}: expected a tuple of integers, received {value!r} of type {type(value).__name__}")
    if any(axis is None for axis in value):
        raise NotImplementedError(f"{argument}: every axis needs a size, received {tuple(value)}; give its length")
    if not value:
        raise ValueError(f"{argument}: expected at least one axis besides the rows, received ()")
    return tuple(check_integer(argument, axis, 1) for axis in value)
