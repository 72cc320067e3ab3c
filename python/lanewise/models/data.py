"""Rows for training: x, targets and weights, checked against each other before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import as_array
from .._engine import AnyArray, Float32, within
from .._names import check_integer, check_not_negative, check_number


@dataclass(frozen=True)
class Picked:
    """As x of `fit`: only these rows of it, in this order, and of what comes with it; nothing is copied."""

    x: Any
    index: NDArray[np.uint32]


class Rows(NamedTuple):
    """x: each input (n, ...); y: each target as its loss wants it; weights (n,) or None of each. Read in place.

    order: which rows count, None: all.
    """

    x: list[AnyArray]
    y: list[AnyArray]
    weights: list[Float32 | None] | None
    order: NDArray[np.uint32] | None = None

    @property
    def size(self) -> int:
        """How many rows count."""
        return len(self.x[0] if self.order is None else self.order)

    def shuffled(self, order: NDArray[np.uint32] | None) -> NDArray[np.uint32] | None:
        """Which rows these positions among those that count are; None: as they stand."""
        return order if self.order is None else self.order if order is None else self.order[order]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of a sample of each input."""
        return [array.shape[1:] for array in self.x]

    def part(self, start: int, stop: int) -> Rows:
        """Rows start..stop, as views."""
        if self.order is not None:
            return self._replace(order=self.order[start:stop])
        weights = self.weights
        if weights is not None:
            weights = [None if w is None else w[start:stop] for w in weights]
        return Rows([a[start:stop] for a in self.x], [a[start:stop] for a in self.y], weights)


def check_rows(argument: str, received: int, expected: int, first: str = "x") -> None:
    """Raises ValueError where two arrays do not have the same number of rows."""
    if received != expected:
        raise ValueError(f"{argument}: expected {expected} rows as {first} has, received {received}")


def alone(value: Any, rows: int) -> Any:
    """The array of a list that holds it alone, as Keras takes the targets or weights of one output."""
    one = isinstance(value, list | tuple) and len(value) == 1 != rows and getattr(value[0], "ndim", 0) == 1
    return value[0] if one else value


def row_weights(argument: str, value: Any, rows: int) -> Float32 | None:
    """Weights (n,) or (n, 1) of the rows as contiguous float32.

    Raises:
        ValueError: another shape, NaN or infinite.
    """
    if value is None:
        return None
    weights = as_array(argument, alone(value, rows))
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.ndim != 1:
        raise ValueError(f"{argument}: expected one weight a row, shape (n,), received {weights.shape}")
    check_rows(argument, len(weights), rows)
    finite = within(weights)
    if not finite.all():
        raise ValueError(f"{argument}: expected finite numbers in the range of float32, received {weights[~finite][0]}")
    return np.ascontiguousarray(weights, dtype=np.float32)


def class_weights(class_weight: Any, y: AnyArray) -> Float32:
    """The weight of each row by its class: integer labels, or the largest column of one-hot rows; 1 if not listed.

    Raises:
        TypeError: not a dict. ValueError: a key that is no class number, or a negative weight.
    """
    if not isinstance(class_weight, Mapping):
        hint = ""
        if isinstance(class_weight, str) and class_weight == "balanced":
            hint = "; of k classes that is dict(enumerate(len(y) / k / numpy.bincount(y)))"
        elif isinstance(class_weight, list | tuple | np.ndarray):
            hint = "; in the order of the classes it becomes one by dict(enumerate(class_weight))"
        received = repr(class_weight) if isinstance(class_weight, str) else type(class_weight).__name__
        raise TypeError(f"class_weight: expected a dict from class to weight, received {received}{hint}")
    if y.ndim > 2:
        raise ValueError(f"class_weight: expected targets of one or two axes, received shape {y.shape}")
    if y.ndim == 2:
        y = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0]
    labels = np.rint(y)
    weights = np.ones(len(labels), np.float32)
    for key, value in class_weight.items():
        whole = isinstance(key, bool | np.bool_ | float | np.floating) and float(key).is_integer()  # as labels may be
        label = check_integer("class_weight: key", int(key) if whole else key, 0)
        weights[labels == label] = check_not_negative(f"class_weight[{label}]", value)
    return weights


def split_point(fraction: Any, rows: int) -> int:
    """Number of rows that train: floor(n * (1 - fraction)).

    Raises:
        ValueError: a fraction outside [0, 1), or one that leaves a part empty.
    """
    number = check_number("validation_split", fraction, "a number in [0, 1)", lambda v: 0.0 <= v < 1.0)
    at = int(rows * (1.0 - number))
    if at == 0 or at == rows:
        raise ValueError(
            f"validation_split: {rows} rows split at {number} give {at} rows to train on and {rows - at} to validate "
            "on; neither part may be empty"
        )
    return at


def unpack_validation(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, weights) of validation_data=(x, y) or (x, y, weights).

    Raises:
        ValueError: anything else.
    """
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        size = f" of {len(data)}" if isinstance(data, tuple | list) else ""
        raise ValueError(
            f"validation_data: expected (x, y) or (x, y, sample_weight), received {type(data).__name__}{size}"
        )
    return data[0], data[1], data[2] if len(data) == 3 else None


_CHUNK = 4096  # rows looked at together


def not_finite(argument: str, values: AnyArray, given: bool = True) -> str | None:
    """The first number that is not finite in float32, in words; None where all are; given: NaN and infinity count."""
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK].reshape(min(_CHUNK, len(values) - start), -1)
        finite = within(chunk)
        if not given:
            finite |= ~np.isfinite(chunk)
        if not finite.all():
            row, column = divmod(int(np.argmin(finite)), chunk.shape[1])
            value = chunk[row, column]
            shown = "NaN" if np.isnan(value) else f"{value}"
            why = " (beyond the range of float32)" if np.isfinite(value) else ""
            return f"{argument} has {shown}{why} in row {start + row}"
    return None


def largest(values: AnyArray) -> float:
    """max |values|."""
    return max(abs(float(values.max())), abs(float(values.min())))


def largest_column(values: AnyArray) -> int:
    """The column of max |values| in an array of two axes."""
    return int(np.maximum(values.max(axis=0), -values.min(axis=0)).argmax())
