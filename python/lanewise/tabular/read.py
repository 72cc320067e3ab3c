"""Tables of any library as named NumPy columns, and what kind of values a column holds."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import any_array

AnyArray = NDArray[Any]
KINDS = ("number", "category", "boolean", "date")
_MISSING = ("NAType", "NaTType")


class Values(NamedTuple):
    """A column: float64 with NaN (numbers, booleans), datetime64[us] with NaT, or text with None (categories).

    kind: None where every value is missing. text: whether a category was text, not numbers. zone: whether dates had a
    time zone (they are in UTC then). labelled: whether its library has the column as a category.
    """

    kind: str | None
    array: AnyArray
    text: bool = False
    zone: bool = False
    labelled: bool = False

    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value."""
        if self.kind == "category":
            return np.array([v is None for v in self.array], bool)
        return np.isnat(self.array) if self.array.dtype.kind == "M" else np.isnan(self.array)


def read(x: Any) -> tuple[list[str], list[Any], int, bool]:
    """(names, columns, rows, whether the names are its own) of a table.

    Args:
        x: a data frame of pandas or polars, a PyArrow table, a dict of columns (or of the values of one row), a
            (structured) array or a list of rows.

    Raises:
        TypeError: something else. ValueError: no rows, no columns, two columns of one name, columns of unequal lengths.
    """
    named = True
    if isinstance(x, Mapping):
        names, columns = list(x), list(x.values())
        if all(isinstance(value, str | bytes) or not _is_column(value) for value in columns):  # one row
            columns = [[value] for value in columns]
    elif hasattr(x, "collect"):
        raise TypeError("x: expected a table, received a lazy one; call collect() first")
    elif hasattr(x, "column_names") and hasattr(x, "to_pylist"):  # PyArrow
        names, columns = list(x.column_names), list(x.columns)
    elif hasattr(x, "columns") and hasattr(x, "dtypes"):
        names = list(x.columns)
        columns = [x.iloc[:, i] for i in range(len(names))] if hasattr(x, "iloc") else [x[name] for name in names]
    elif hasattr(x, "tocsr"):
        raise TypeError("x: expected a table, received a sparse matrix; call toarray() first")
    else:
        array = np.asarray(x) if hasattr(x, "__array__") else np.array(x, object)
        if array.dtype.names:
            names, columns = list(array.dtype.names), [array[name] for name in array.dtype.names]
        elif array.ndim != 2:
            raise ValueError(f"x: expected a table (rows, columns), received {type(x).__name__} of shape {array.shape}")
        else:
            named = False
            names, columns = [f"x{i}" for i in range(array.shape[1])], list(array.T)
    names = [str(name) for name in names]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"x: two columns are called {twice[0]!r}")
    if not names:
        raise ValueError("x: expected at least one column, received none")
    rows = len(columns[0]) if _is_column(columns[0]) else 0
    for name, column in zip(names, columns, strict=True):
        if not _is_column(column):
            raise TypeError(f"x: column {name!r}: expected its values, received {column!r}")
        if len(column) != rows:
            raise ValueError(f"x: column {name!r} has {len(column)} rows, {names[0]!r} has {rows}")
    if not rows:
        raise ValueError("x: expected at least one row, received none")
    return names, columns, rows, named


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, pandas' NA."""
    return value is None or type(value).__name__ in _MISSING or (isinstance(value, numbers.Real) and value != value)


def values_of(name: str, column: Any) -> Values:
    """What a column holds.

    Raises:
        TypeError: values of no kind that is known, or of several.
    """
    dtype = str(getattr(column, "dtype", getattr(column, "type", "")))
    labelled = dtype.startswith(("category", "Categorical", "Enum", "dictionary"))
    if dtype.startswith("dictionary"):
        column = column.cast(column.type.value_type)
    array = any_array(column)
    if array.ndim != 1:
        raise TypeError(f"x: column {name!r}: expected one value a row, received shape {array.shape}")
    kind = array.dtype.kind
    if not labelled:
        if kind in "iuf":
            array = array.astype(np.float64)
            array[np.isinf(array)] = np.nan
            return Values(None if np.isnan(array).all() else "number", array)
        if kind == "b":
            return Values("boolean", array.astype(np.float64))
        if kind == "m":
            days = np.where(np.isnat(array), np.nan, array / np.timedelta64(1, "D"))
            return Values(None if np.isnan(days).all() else "number", days)
        if kind == "M":
            zone = "tz=" in dtype or "time_zone='" in dtype  # of PyArrow, polars
            return Values(None if np.isnat(array).all() else "date", array.astype("datetime64[us]"), zone=zone)
    given = [None if is_missing(v) else v for v in array.tolist()] if kind != "M" else list(array.astype(str))
    return _objects(name, given, labelled)


def _interval(value: Any) -> str:
    """'(0, 2]'; pandas has ends 0.0 and 2.0 in a column where something is missing."""
    opened, ended = "[" if value.closed_left else "(", "]" if value.closed_right else ")"
    return f"{opened}{_label(value.left)}, {_label(value.right)}{ended}"


def _plain(value: Any, labelled: bool) -> Any:
    kind = type(value)
    if kind.__name__ not in ("Interval", "Period") or kind.__module__.partition(".")[0] != "pandas":
        return value
    if kind.__name__ == "Interval":
        return _interval(value)
    return str(value) if labelled else value.to_timestamp()


def _objects(name: str, given: list[Any], labelled: bool) -> Values:
    """A column of Python objects; of pandas' a Period is the date it begins with, an Interval a level by its text."""
    given = [_plain(v, labelled) for v in given]
    known = [v for v in given if v is not None]
    if not known:
        return Values(None, np.full(len(given), np.nan))
    real = (bool, np.bool_, numbers.Real, decimal.Decimal)
    if not labelled:
        if all(isinstance(v, bool | np.bool_) for v in known):
            return Values("boolean", _floats(given))
        if all(isinstance(v, real) for v in known):
            found = _floats(given)
            found[np.isinf(found)] = np.nan
            return Values("number", found)
        if all(isinstance(v, datetime.timedelta) for v in known):
            days = [np.nan if v is None else v / datetime.timedelta(days=1) for v in given]
            return Values("number", np.array(days))
        if all(isinstance(v, datetime.date | np.datetime64) for v in known):
            moments = [_utc(v) for v in given]
            zone = any(getattr(v, "tzinfo", None) is not None for v in known)
            return Values("date", np.array(moments, "datetime64[us]"), zone=zone)
    if not all(isinstance(v, (str, bytes, *real)) for v in known):
        odd = next(v for v in known if not isinstance(v, (str, bytes, *real)))
        raise TypeError(f"x: column {name!r}: expected numbers, text, booleans or dates, received {odd!r}")
    texts = np.array([None if v is None else _label(v) for v in given], object)
    return Values("category", texts, any(isinstance(v, str | bytes) for v in known), labelled=labelled)


def _floats(given: list[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if v is None else float(v) for v in given])


def _utc(value: Any) -> Any:
    if getattr(value, "tzinfo", None) is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return "NaT" if value is None else np.datetime64(value.isoformat() if hasattr(value, "isoformat") else value, "us")


def _label(value: Any) -> str:
    """The text of a level: 1 and 1.0 are one, so that it does not matter how a library stores them."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer():
        return str(int(float(value)))
    return str(value)


def as_kind(name: str, kind: str, values: Values, text: bool | None = None, zone: bool | None = None) -> Values:
    """A column as `kind`; text, zone: whether a category was text, dates had a zone, in `fit` (None: not known yet).

    Raises:
        ValueError: it holds something else; the message names the column.
    """
    found, array = values.kind, values.array
    if found is None:
        blank: Any = np.nan
        if kind == "date":
            blank = np.datetime64("NaT", "us")
        return Values(kind, np.full(len(array), None if kind == "category" else blank), bool(text), bool(zone))
    if kind == "category" and found in ("number", "boolean"):
        array = np.array([None if v != v else _label(v) for v in array.tolist()], object)
        values = Values(kind, array, False)
        found = kind
    same = (kind != "category" or text in (None, values.text)) and (kind != "date" or zone in (None, values.zone))
    if found == kind and same:
        return values
    if kind == "number" and found == "boolean":
        return Values(kind, array)
    if kind == "boolean" and found == "number" and np.isin(array[~np.isnan(array)], (0, 1)).all():
        return Values(kind, array)
    dates = "dates" if found != "date" else "dates with a time zone" if zone else "dates without a time zone"
    expected = {"number": "numbers", "boolean": "booleans", "date": dates, "category": "text" if text else "numbers"}
    known = [v for v in array.tolist() if v is not None and v == v]
    shown = next((v for v in known if isinstance(v, str) and not _is_number(v)), known[0])
    with_zone = " with a time zone" if values.zone else ""
    raise ValueError(f"x: column {name!r}: expected {expected[kind]}, received values such as {shown!r}{with_zone}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
