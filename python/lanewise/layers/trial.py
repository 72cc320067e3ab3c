"""A function of `keras.ops` with its arguments, and the shape of what it gives, found on a few rows."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from .._structure import flatten
from ..initializers.base import take_items
from .operation import Shape
from .slots import Slot, filled, settled

_GROW = frozenset({"tile", "repeat", "broadcast_to", "one_hot", "outer"})
_SIZED = _GROW | {"concatenate", "get_item", "hstack", "pad", "ravel", "reshape", "split", "take", "take_along_axis",
                  "sparse_categorical_crossentropy", "vstack"}  # fmt: skip
"""Functions for which it matters how long an axis is; for others only which ones are equally long."""

_MOST_ELEMENTS = 2**24  # of two samples
_FEW_ELEMENTS = 2**18
_ROWS = (2, 5)
_KEEP = frozenset(
    {"argsort", "cumsum", "flip", "log_softmax", "normalize", "roll", "softmax", "sort", "take_along_axis"}
)
"""Functions along `axis` whose result has the shape of x, which tells nothing of the axis."""


_VALUES = frozenset({"condition", "output", "target", "x", "x1", "x2", "x_max", "x_min"})
_ARRAYS = _VALUES | {"indices"}
_AXES = frozenset({"axes", "axis", "destination", "shift", "source"})
_MOST_AXES = 64  # of an array of NumPy's


def _checked(name: str, key: str, value: Any) -> Any:
    """An argument; numbers in a list where arrays stand are one, so that their size counts."""
    if key in ("operands", "xs") or (name, key) == ("stack", "x"):
        return [_checked("", "x", operand) for operand in value] if isinstance(value, list) else value
    if isinstance(value, np.ndarray) and key not in _ARRAYS and value.dtype.kind != "f":
        value = value.tolist()  # numbers that count
    leaves = flatten([value])
    if key in _ARRAYS:
        if not all(isinstance(leaf, Slot | int | float | np.ndarray | None) for leaf in leaves):
            raise TypeError(f"{name}: {key}: expected tensors or numbers, received {str(value)[:60]}")
        if isinstance(value, list) and any(isinstance(leaf, Slot) for leaf in leaves):
            raise TypeError(f"{name}: {key}: expected a tensor, received a list of them; ops.stack makes one")
    most = 8 if name == "roll" else 2 * _MOST_AXES  # which copies 2**axes parts
    if key in _AXES and len(leaves) > most:
        raise ValueError(f"{name}: {key}: expected at most {most} numbers, received {len(leaves)}")
    if key in _VALUES and isinstance(value, list) and leaves and all(isinstance(leaf, int | float) for leaf in leaves):
        return settled(np.asarray(value))
    if name == "tensordot" and key == "axes" and isinstance(value, int) and not 0 <= value <= _MOST_AXES:
        raise ValueError(f"tensordot: axes: expected 0 to {_MOST_AXES}, received {value}")
    return value


def _all_rows(key: Any, axes: int) -> bool:
    """Whether x[key] has every row, however many there are, of an x of so many axes."""
    entries = [entry for entry in (key if isinstance(key, list) else [key]) if entry is not None]
    if entries and entries[0] is Ellipsis:
        entries = entries[1:] if len(entries) > axes else []
    return not entries or (isinstance(entries[0], slice) and entries[0].indices(2**62) == (0, 2**62, 1))


def _picked(shape: Shape, key: Any) -> int:
    """How many elements x[key] has at most, x of this shape, for places in lists and arrays."""
    entries = [e for e in (key if isinstance(key, list) else [key]) if e is not None and not isinstance(e, bool)]
    left = [int(axis or 1) for axis in shape]
    before = next((i for i, entry in enumerate(entries) if entry is Ellipsis), len(entries))
    behind = len(entries) - before - 1
    at = [*range(before), -1, *range(len(left) - behind, len(left))] if behind >= 0 else [*range(before)]
    places = []
    for entry, axis in zip(entries, at, strict=True):
        if isinstance(entry, list | np.ndarray) and 0 <= axis < len(left):
            found = np.asarray(entry)
            places.append((np.count_nonzero(found),) if found.dtype == bool else found.shape)
            left[axis] = 1
    with suppress(ValueError):  # NumPy says what does not fit
        return math.prod(left) * math.prod(np.broadcast_shapes(*places))
    return 1


def _cut(value: Any, small: Mapping[int, int]) -> Any:
    """Arrays without what is beyond their axes' stand-ins."""
    if isinstance(value, list):
        return [_cut(entry, small) for entry in value]
    return value[tuple(slice(small.get(n, n)) for n in value.shape)] if isinstance(value, np.ndarray) else value


def _padding(axes: int, width: Any) -> list[int]:
    """How many elements `pad` adds to each axis."""
    with suppress(ValueError):
        pairs = np.broadcast_to(np.asarray(width, object), (axes, 2)).tolist()
        if all(isinstance(n, int | np.integer) and n >= 0 for pair in pairs for n in pair):
            return [int(before) + int(after) for before, after in pairs]
    raise ValueError(
        f"pad_width: expected numbers of elements, (before, after) for each of {axes} axes, received {str(width)[:99]}"
    )


@dataclass(frozen=True, eq=False)
class Applied:
    """A function of `keras.ops`, called `name`, and all its arguments by name, slots in the places of the tensors."""

    name: str
    function: Callable[..., Any]
    signature: inspect.Signature
    options: dict[str, Any]

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Applied:
        """With these arguments, and those that are left out. Raises TypeError where they are not the function's."""
        signature = inspect.signature(function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        bound.apply_defaults()
        options = {key: _checked(name, key, settled(value)) for key, value in bound.arguments.items()}
        return cls(name, function, signature, options)

    def bound(self, options: dict[str, Any]) -> inspect.BoundArguments:
        """Arguments in their places."""
        return inspect.BoundArguments(self.signature, options)

    def on(self, inputs: Sequence[Any]) -> Any:
        """The result for these tensors."""
        bound = self.bound(filled(self.options, inputs))
        return self.function(*bound.args, **bound.kwargs)

    def result_shape(self, input_shape: Sequence[Shape], short: bool = True) -> Shape:
        """(None, ...): by calls on two rows and on five, of large inputs on three and on four.

        Where it does not matter how long axes are, short ones stand for long ones in them, unless not `short`.

        Raises:
            ValueError: rows that do not stay rows of their own, or more elements than anybody means.
        """
        shapes = [tuple(axis or 1 for axis in shape[1:]) for shape in input_shape]
        largest = max(map(math.prod, shapes))
        arrays = [leaf for leaf in flatten(list(self.options.values())) if isinstance(leaf, np.ndarray)]
        taken: set[int] = {axis for shape in (*shapes, *(a.shape for a in arrays)) for axis in shape}
        taken |= {len(value) for value in self.options.values() if isinstance(value, list)}  # of stack
        whole = self._elements([(_ROWS[0], *shape) for shape in shapes])
        if self.name == "einsum":
            self._check(whole, 2**33)  # products
        alike = self.name not in _SIZED
        sizes = sorted(n for n in taken if n > 12) if alike and whole > 2**8 and short else []
        free = (n for n in count(4) if n not in _ROWS and n not in taken)
        small = {n: new for n, new in zip(sizes, free, strict=False) if new < n}
        tried = replace(self, options={key: _cut(value, small) for key, value in self.options.items()})
        shapes = [tuple(small.get(n, n) for n in shape) for shape in shapes]
        elements = tried._elements([(_ROWS[0], *shape) for shape in shapes])
        self._check(elements, (_FEW_ELEMENTS if alike else _MOST_ELEMENTS) // 2)
        take_items(self.name, int(elements) >> (2 if self.name in ("erf", "gelu", "norm") else 5 if alike else 12))
        few = alike or elements <= _FEW_ELEMENTS
        n = _ROWS[0] if few else 3
        many = "two" if few else n
        rows = [self._row(shape, np.float32 if few else np.uint8).repeat(n, 0) for shape in shapes]
        given = ", ".join(map(str, input_shape))
        with np.errstate(all="ignore"):
            try:
                result = np.asarray(tried.on(rows))
            except (ValueError, IndexError) as error:
                if small and whole <= _FEW_ELEMENTS:
                    return self.result_shape(input_shape, short=False)  # says which axes do not fit
                raise ValueError(f"{self.name}: called on {given}: with {many} rows, {error}") from None
        if not few:
            del rows
            result = np.broadcast_to(np.uint8(0), result.shape)
        if result.shape[:1] != (n,) or not (few or tried._grows(shapes, (n + 1, *result.shape[1:]))):
            raise ValueError(
                f"{self.name}: expected a result with the rows of {given} as its first axis, received shape "
                f"{result.shape} for {many} rows"
            )
        if self._goes_along_rows(input_shape) or (few and not tried._rows_alone(rows)):
            raise ValueError(
                f"{self.name}: expected that the rows of {given} do not go into one another and their number does "
                "not matter: sum, sort, roll, take, slices, ... along another axis than 0"
            )
        long = {n: n for n in result.shape} | {n: size for size, n in small.items()}
        axes = [long[n] for n in result.shape[1:]]
        self._check(2 * math.prod(axes), max(_MOST_ELEMENTS, 2 * largest))
        return (None, *axes)

    def _grows(self, shapes: Sequence[tuple[int, ...]], wanted: tuple[int, ...]) -> bool:
        """Whether as many rows give this shape."""
        with suppress(ValueError, IndexError):
            return bool(np.shape(self.on([self._row(s, np.uint8).repeat(wanted[0], 0) for s in shapes])) == wanted)
        return False

    def _check(self, elements: float, most: int) -> None:
        if not elements <= most:  # a file may say any number, and NaN
            raise ValueError(f"{self.name}: expected fewer than {_MOST_ELEMENTS} elements of two samples")

    def _row(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """What is tried: places are 0, which is one where there is any; numbers that no sum makes alike."""
        if self.name in _SIZED:
            return np.full((1, *shape), not self.name.startswith("take"), dtype)
        return (1 + np.arange(math.prod(shape)) * 0.618 % 1).astype(dtype).reshape(1, *shape)

    def _goes_along_rows(self, input_shape: Sequence[Shape]) -> bool:
        """Whether the arguments say so, where a trial on a few rows need not show it."""
        x = self.options.get("x", self.options.get("output"))
        if not isinstance(x, Slot):
            return False
        rank = len(input_shape[x.index])
        if self.name == "get_item":
            return not _all_rows(self.options["key"], rank)
        axis = self.options["axis"] if self.name in _KEEP | {"take", "sparse_categorical_crossentropy"} else []
        return axis is None or any(a % rank == 0 for a in (axis if isinstance(axis, list) else [axis]))

    def _rows_alone(self, two: Sequence[Any]) -> bool:
        """Whether two equal rows give one result, and give it too beside a third one and rows of zeros."""
        two = [rows.astype(np.float64) for rows in two]  # a sum that is 0 but for rounding is the same
        five = [np.concatenate([rows, rows[:1], np.zeros_like(rows)]) for rows in two]
        with np.errstate(all="ignore"):
            try:
                result, again = np.asarray(self.on(two)), np.asarray(self.on(five))
            except (ValueError, IndexError):
                return False
        if again.shape != (5, *result.shape[1:]):
            return False
        most = np.abs(result, where=np.isfinite(result), out=np.zeros(result.shape)).max(initial=0)
        same: bool = np.allclose([*result, *again[:3]], result[0], 1e-3, 1e-9 * most, again.dtype.kind == "f")
        return same

    def _elements(self, inputs: Sequence[tuple[int, ...]]) -> int:
        """No fewer elements than the inputs and the result have."""
        options = filled(self.options, [np.broadcast_to(np.float32(0), shape) for shape in inputs])
        leaves = flatten(list(options.values()))
        shapes = [leaf.shape for leaf in leaves if isinstance(leaf, np.ndarray)]
        sizes = list(map(math.prod, shapes))
        if self.name in _GROW:
            numbers: list[Any] = [abs(n) for n in leaves if isinstance(n, int | float)]
            if self.name == "repeat" and isinstance(options["repeats"], list):
                numbers = [sum(numbers)]
            return math.prod(max(n, 1) for n in (*numbers, *sizes))
        result = 0
        if self.name == "einsum":
            shapes = [np.shape(operand) for operand in options["operands"]]
            terms = str(options["subscripts"]).replace(" ", "").partition("->")[0]
            axes: dict[str, int] = {}
            middle = 1
            for term, shape in zip(terms.split(","), shapes, strict=False):
                left, dots, right = term.partition("...")
                end = len(shape) - len(right) if dots else len(left)
                for letter, size in zip(left + right, (*shape[: len(left)], *shape[end:]), strict=False):
                    axes[letter] = max(size, axes.get(letter, 1))
                middle = max(middle, math.prod(shape[len(left) : end]))
            result = middle * math.prod(axes.values())
        elif self.name in ("matmul", "dot", "inner", "tensordot"):
            over: Any = 1
            if self.name == "tensordot":
                over = options["axes"]
            first = range(-min(over, len(shapes[0])), 0) if isinstance(over, int) else map(int, np.ravel(over[0]))
            summed = math.prod(shapes[0][a] for a in first if -len(shapes[0]) <= a < len(shapes[0]))
            result = math.prod(sizes) // max(summed, 1) ** 2
        elif self.name == "pad":
            width = _padding(len(shapes[0]), options["pad_width"])
            result = math.prod(map(sum, zip(shapes[0], width, strict=True)))
        elif self.name == "take":
            x, axis = np.shape(options["x"]), options["axis"]
            whole = math.prod(x) // max(x[axis], 1) if isinstance(axis, int) and -len(x) <= axis < len(x) else 1
            result = 8 * whole * np.size(options["indices"])  # whose places have 8 bytes
        elif self.name == "take_along_axis" and isinstance(options["axis"], int):
            x = [*np.shape(options["x"])]
            if -len(x) <= options["axis"] < len(x):
                x[options["axis"]] = 1
            with suppress(ValueError):
                result = 8 * math.prod(np.broadcast_shapes(tuple(x), np.shape(options["indices"])))
        elif self.name == "sparse_categorical_crossentropy":
            result = math.prod(sizes)
        elif self.name == "get_item":
            result = _picked(np.shape(options["x"]), options["key"])
        else:
            with suppress(ValueError):  # of concatenate
                result = math.prod(np.broadcast_shapes(*shapes))
        return max(result, sum(sizes))
