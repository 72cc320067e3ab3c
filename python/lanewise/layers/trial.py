"""A function of `keras.ops` with its arguments, and the shape of what it gives, found on a few rows."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from .._structure import flatten
from .operation import Shape
from .slots import Slot, filled, given_as

_GROW = frozenset({"tile", "repeat", "broadcast_to", "one_hot"})
_MOST_ELEMENTS = 2**24  # of two samples
_FEW_ELEMENTS = 2**20
_ALONG = frozenset({"argsort", "cumprod", "cumsum", "flip", "log_softmax", "normalize", "roll", "softmax", "sort",
                    "take", "take_along_axis"})  # fmt: skip
"""Functions whose result goes along `axis`."""


def _all_rows(key: Any, axes: int) -> bool:
    """Whether x[key] has every row, however many there are, of an x of so many axes."""
    entries = [entry for entry in (key if isinstance(key, list | tuple) else [key]) if entry is not None]
    if entries and entries[0] is Ellipsis:
        entries = entries[1:] if len(entries) > axes else []
    return not entries or (isinstance(entries[0], slice) and entries[0].indices(2**62) == (0, 2**62, 1))


def _padding(axes: int, width: Any) -> list[int]:
    """How many elements `pad` adds to each axis."""
    with suppress(ValueError):
        pairs = np.broadcast_to(np.asarray(width, object), (axes, 2)).tolist()
        if all(isinstance(n, int | np.integer) and n >= 0 for pair in pairs for n in pair):
            return [int(before) + int(after) for before, after in pairs]
    raise ValueError(
        f"pad_width: expected numbers of elements, (before, after) for each of {axes} axes, received {str(width)[:99]}"
    )


class Applied(NamedTuple):
    """A function of `keras.ops`, called `name`, and its arguments, slots in the places of the tensors."""

    name: str
    function: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]

    def on(self, inputs: Sequence[Any]) -> Any:
        """The result for these tensors."""
        return self.function(*filled(self.args, inputs), **filled(self.kwargs, inputs))

    def options(self) -> Mapping[str, Any]:
        """All arguments by name, those left out too."""
        bound = inspect.signature(self.function).bind(*self.args, **self.kwargs)
        bound.apply_defaults()
        return bound.arguments

    def result_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """(None, ...): by a call on two rows of ones. Raises ValueError where rows do not stay rows of their own."""
        shapes = [(2, *(axis or 1 for axis in shape[1:])) for shape in input_shape]
        elements = self._elements(shapes)
        if not elements <= _MOST_ELEMENTS:  # a file may say any number, and NaN
            raise ValueError(f"{self.name}: expected fewer than {_MOST_ELEMENTS} elements of two samples")
        ones = [np.ones(shape, np.float32) for shape in shapes]
        given = ", ".join(map(str, input_shape))
        with np.errstate(all="ignore"):
            try:
                result = np.asarray(self.on(ones))
            except ValueError as error:
                raise ValueError(f"{self.name}: called on {given}: with two rows, {error}") from None
        if result.shape[:1] != (2,):
            raise ValueError(
                f"{self.name}: expected a result with the rows of {given} as its first axis, received shape "
                f"{result.shape} for two rows"
            )
        if self._moves_rows(input_shape) or (elements <= _FEW_ELEMENTS and not self._rows_alone(ones)):
            raise ValueError(
                f"{self.name}: expected that the rows of {given} do not go into one another and their number does "
                "not matter: sum, sort, roll, take, slices, ... along another axis than 0"
            )
        return (None, *result.shape[1:])

    def _moves_rows(self, input_shape: Sequence[Shape]) -> bool:
        """Whether it takes some of the rows, or goes along them, as no trial on a few rows tells for certain."""
        x = self.args[0] if self.args else None
        if not isinstance(x, Slot):  # places in an array of numbers
            return False
        rank = len(input_shape[x.index])
        if self.name == "get_item":
            return not _all_rows(given_as(self.args, 1, self.kwargs, "key"), rank)
        axis = self.options()["axis"] if self.name in _ALONG else ()
        return axis is None or any(a % rank == 0 for a in (axis if isinstance(axis, list | tuple) else [axis]))

    def _rows_alone(self, rows: Sequence[Any]) -> bool:
        """Whether two equal rows give one result, and give it too beside a third one and rows of zeros."""
        rows = [two.astype(np.float64) for two in rows]  # a sum that is 0 but for rounding is the same
        five = [np.concatenate([two, two[:1], np.zeros_like(two)]) for two in rows]
        with np.errstate(all="ignore"):
            try:
                result, again = np.asarray(self.on(rows)), np.asarray(self.on(five))
            except ValueError:
                return False
        if again.shape != (5, *result.shape[1:]):
            return False
        return np.allclose([*result, *again[:3]], result[0], rtol=1e-3, equal_nan=again.dtype.kind == "f")

    def _elements(self, inputs: Sequence[tuple[int, ...]]) -> int:
        """No fewer elements than the inputs and the result have."""
        given = [np.broadcast_to(np.float32(0), shape) for shape in inputs]
        leaves = flatten([filled(self.args, given), list(filled(self.kwargs, given).values())])
        shapes = [leaf.shape for leaf in leaves if isinstance(leaf, np.ndarray)]
        sizes = list(map(math.prod, shapes))
        if self.name in _GROW:
            numbers: list[Any] = [abs(n) for n in leaves if isinstance(n, int | float)]
            return math.prod(max(n, 1) for n in (*numbers, *sizes))
        result = 0
        if self.name == "einsum":
            terms, arrow, kept = str(self.args[0]).replace(" ", "").partition("->")
            axes: dict[str, int] = {}
            middle = 1
            for term, shape in zip(terms.split(","), shapes, strict=False):
                left, dots, right = term.partition("...")
                end = len(shape) - len(right) if dots else len(left)
                axes |= dict(zip(left + right, (*shape[: len(left)], *shape[end:]), strict=False))
                middle = max(middle, math.prod(shape[len(left) : end]))
            result = middle * math.prod(axes.get(c, 1) for c in (kept if arrow else "".join(axes)))
        elif self.name in ("matmul", "dot", "outer", "inner", "tensordot"):
            over: Any = 0 if self.name == "outer" else 1
            if self.name == "tensordot":
                over = given_as(self.args, 2, self.kwargs, "axes", 2)
            first = range(-over, 0) if isinstance(over, int) else map(int, np.ravel(over[0]))
            summed = math.prod(shapes[0][a] for a in first if -len(shapes[0]) <= a < len(shapes[0]))
            result = math.prod(sizes) // max(summed, 1) ** 2
        elif self.name == "pad":
            width = given_as(self.args, 1, self.kwargs, "pad_width")
            result = math.prod(map(sum, zip(shapes[0], _padding(len(shapes[0]), width), strict=True)))
        else:
            with suppress(ValueError):  # of concatenate
                result = math.prod(np.broadcast_shapes(*shapes))
        return max(result, sum(sizes))
