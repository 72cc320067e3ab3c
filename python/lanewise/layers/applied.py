"""A function of `keras.ops` with its arguments, and the shape of what it gives.

The function itself says it, called on no rows: nothing is computed then, however large a file says that a sample is.
Whether rows stay apart, which shapes alone do not tell, is read off the arguments.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import number_type
from .._names import LARGEST
from .operation import MAX_AXES, Shape
from .slots import Slot, encoded, filled, list_leaves, settled

_MOST = 2**24  # elements of a sample, where no input has more
_MOST_PLACES = 2**22  # that are counted up for themselves, whatever the rows are
_MOST_TENSORS = 2000  # in one list
_MOST_PRODUCTS = 2**30  # of one sample, one after the other: some seconds

_VALUES = frozenset({"alpha", "condition", "negative_slope", "output", "target", "x", "x1", "x2", "x_max", "x_min"})
_ARRAYS = _VALUES | {"indices"}
_LISTS = frozenset({"operands", "xs"})
_AXES = frozenset({"axes", "axis", "destination", "newshape", "shift", "source"})
_COUNTS = frozenset({"axis1", "axis2", "num_classes", "pad_width", "repeats", "shape"})
_NUMBERS = frozenset({"epsilon", "num_classes", "order", "axis1", "axis2"})
_ONE_AXIS = frozenset({"argmax", "argmin", "argsort", "concatenate", "cumsum", "repeat", "sort", "stack", "take",
                       "take_along_axis"})  # fmt: skip
_LEAVES = Slot | int | float | None | slice | type(...) | np.ndarray
_FEW = _AXES | {"constant_values"}
_FLAGS = frozenset({"approximate", "from_logits", "keepdims"})
_ALONG = frozenset({
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "concatenate", "cumsum", "flip", "log_softmax",
    "logsumexp", "max", "mean", "median", "min", "norm", "normalize", "prod", "repeat", "roll", "softmax", "sort",
    "std", "sum", "take", "take_along_axis", "var",
})  # fmt: skip
"""Functions along `axis`; all axes without one."""


# --- arguments ----------------------------------------------------------------------------------------------------


def _checked(name: str, key: str, value: Any) -> Any:
    """An argument; numbers in a list where arrays stand are one."""
    said = f"{name}: {key}: expected"
    if key in _LISTS or (name, key) == ("stack", "x"):
        if not isinstance(value, list):
            raise TypeError(f"{said} a list of tensors, received {str(value)[:60]}")
        most = MAX_AXES if key == "operands" else _MOST_TENSORS
        if len(value) > most:
            raise ValueError(f"{said} at most {most} tensors, received {len(value)}")
        return [_checked(name, "x1", operand) for operand in value]
    if isinstance(value, np.ndarray) and key not in _ARRAYS and value.dtype.kind != "f":
        value = value.tolist()  # numbers that count
    leaves = list_leaves(value)
    if not isinstance(value, str) and not all(isinstance(leaf, _LEAVES) for leaf in leaves):  # words stand alone
        raise TypeError(f"{said} numbers, received {str(value)[:60]}")
    if any(isinstance(leaf, int | float) and LARGEST < abs(leaf) < math.inf for leaf in leaves):
        raise ValueError(f"{said} numbers of float32, received {str(value)[:60]}")
    if key in _ARRAYS:
        none = name in ("where", "clip") and value is None
        if not none and not all(isinstance(leaf, Slot | int | float | np.ndarray) for leaf in leaves):
            raise TypeError(f"{said} tensors or numbers, received {str(value)[:60]}")
        if isinstance(value, list) and any(isinstance(leaf, Slot) for leaf in leaves):
            raise TypeError(f"{said} a tensor, received a list of them; ops.stack makes one")
        if isinstance(value, list):
            array = _array(said, value)
            value = settled(array) if key in _VALUES else array.tolist()
        if isinstance(value, np.ndarray) and not (value.size and value.ndim <= MAX_AXES):
            raise ValueError(f"{said} numbers along up to {MAX_AXES} axes, received shape {value.shape}")
    elif any(isinstance(leaf, Slot) or (isinstance(leaf, slice) and key != "key") for leaf in leaves):
        raise TypeError(f"{said} numbers, received a symbolic tensor or a slice")
    ends = [end for leaf in leaves if isinstance(leaf, slice) for end in (leaf.start, leaf.stop, leaf.step)]
    if any(not isinstance(end, int | None) or isinstance(end, bool) for end in ends):
        raise TypeError(f"{said} slices of integers, received {str(value)[:60]}")
    most = 8 if name == "roll" else 2 * MAX_AXES  # which copies 2**axes parts
    if key in _FEW and len(leaves) > most:
        raise ValueError(f"{said} at most {most} numbers, received {len(leaves)}")
    if (
        key == "constant_values"
        and value is not None
        and not all(isinstance(n, int | float | np.ndarray) for n in leaves)
    ):
        raise TypeError(f"{said} numbers, received {str(value)[:60]}")
    one = key in _NUMBERS or (key == "axis" and name in _ONE_AXIS)
    if one and isinstance(value, list | np.ndarray | str):
        raise TypeError(f"{said} one number, received {str(value)[:60]}")
    if key == "ord" and not isinstance(value, int | float | str | None):
        raise TypeError(f"{said} the order of a norm, received {str(value)[:60]}")
    if key in _AXES | _COUNTS:
        nested = isinstance(value, list) and any(isinstance(entry, list) for entry in value)
        whole = int | None if key in _AXES else int
        odd = any(not isinstance(leaf, whole) or isinstance(leaf, bool) for leaf in leaves)
        if odd or (nested and key not in ("axes", "pad_width")):
            raise TypeError(f"{said} integers, received {str(value)[:60]}")
    if key in _FLAGS and not isinstance(value, int):
        raise TypeError(f"{said} True or False, received {str(value)[:60]}")
    if key == "dtype" and (value is not None or name == "cast"):
        number_type(value)
    if key == "subscripts" and not (isinstance(value, str) and re.fullmatch(r"[A-Za-z,. >-]{1,999}", value)):
        raise TypeError(f"{said} text such as 'ij,jk->ik', received {str(value)[:60]}")
    pair = isinstance(value, list) and len(value) == 2
    if name == "tensordot" and key == "axes" and not (pair or isinstance(value, int)):
        raise TypeError(f"{said} a number, or axes of either, received {str(value)[:60]}")
    if name == "tensordot" and key == "axes" and isinstance(value, int) and not 0 <= value <= MAX_AXES:
        raise ValueError(f"{said} 0 to {MAX_AXES}, received {value}")
    return value


def _array(said: str, value: Any) -> Any:
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{said} lists of one length, received {str(value)[:60]}") from None


def _ready(name: str, key: str, value: Any) -> Any:
    """An argument as the function is called with it: of lists of places and counts arrays, made once."""
    if key == "key" and isinstance(value, list):
        return [_ready(name, "indices", entry) for entry in value]
    places = key == "indices" or (name, key) == ("repeat", "repeats")
    if not places or not isinstance(value, list) or not value:
        return value
    array = _array(f"{name}: {key}: expected", value)
    if array.dtype.kind not in "ibf":
        raise ValueError(f"{name}: {key}: expected numbers of 64 bits, received {str(value)[:60]}")
    return array


def _padding(axes: int, width: Any) -> list[int]:
    """How many elements `pad` adds to each axis."""
    with suppress(ValueError):
        pairs = np.broadcast_to(np.asarray(width, object), (axes, 2)).tolist()
        if all(isinstance(n, int | np.integer) and n >= 0 for pair in pairs for n in pair):
            return [int(before) + int(after) for before, after in pairs]
    raise ValueError(
        f"pad_width: expected numbers of elements, (before, after) for each of {axes} axes, received {str(width)[:99]}"
    )


def _named_axes(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[list[str]], list[str]]:
    """The names of the axes of each operand of einsum, and of its result; those of ... by their place from its end."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: subscripts: expected {len(shapes)} operands' axes, received {subscripts!r}")
    if not arrow:
        letters = inputs.replace(",", "").replace(".", "")
        output = "..." * ("..." in inputs) + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    covered = [len(shape) - len(term.replace("...", "")) for term, shape in zip(terms, shapes, strict=True)]

    def names(term: str, count: int) -> list[str]:
        left, dots, right = term.partition("...")
        return [*left, *(str(i) for i in range(count if dots else 0, 0, -1)), *right]

    return [names(*pair) for pair in zip(terms, covered, strict=True)], names(output, max(covered))


# --- rows ---------------------------------------------------------------------------------------------------------


def _all_rows(key: Any, axes: int) -> bool:
    """Whether x[key] has every row, however many there are, of an x of so many axes."""
    entries = [e for e in (key if isinstance(key, list) else [key]) if e is not None and not isinstance(e, bool)]
    if entries and entries[0] is Ellipsis:
        lists = [np.asarray(e) for e in entries if isinstance(e, list | np.ndarray)]
        taken = len(entries) - 1 + sum(places.ndim - 1 for places in lists if places.dtype == bool)
        entries = entries[1:] if taken >= axes else []
    return not entries or (isinstance(entries[0], slice) and entries[0].indices(2**62) == (0, 2**62, 1))


@dataclass(frozen=True, eq=False)
class Applied:
    """A function of `keras.ops`, called `name`, and all its arguments by name, slots in the places of the tensors."""

    name: str
    function: Callable[..., Any]
    signature: inspect.Signature
    options: dict[str, Any]
    ready: dict[str, Any]  # the same, as the function is called
    used: frozenset[int]  # the inputs among them
    length: int  # numbers and tensors, lists of places as one

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
        ready = {key: _ready(name, key, value) for key, value in options.items()}
        leaves = list_leaves([*ready.values()])
        used = frozenset(leaf.index for leaf in leaves if isinstance(leaf, Slot))
        return cls(name, function, signature, options, ready, used, len(leaves))

    def bound(self, options: dict[str, Any]) -> inspect.BoundArguments:
        """Arguments in their places."""
        return inspect.BoundArguments(self.signature, options)

    def config(self) -> dict[str, Any]:
        """The arguments as a config has them."""
        bound = self.bound(encoded(self.options))
        return {"args": list(bound.args), "kwargs": bound.kwargs}

    def on(self, inputs: Sequence[Any]) -> Any:
        """The result for these tensors."""
        bound = self.bound(filled(self.ready, inputs))
        return self.function(*bound.args, **bound.kwargs)

    def called(self, inputs: Sequence[Any]) -> Any:
        """The result for rows, each of which has its bits in any number of them.

        einsum's order of summation is another one for one row, and for rows that do not lie side by side.
        """
        if self.name != "einsum" or not isinstance(inputs[0], np.ndarray):
            return self.on(inputs)
        n = len(inputs[0])
        return self.on([np.concatenate([rows] * (2 if n == 1 else 1)) for rows in inputs])[:n]

    def has_slope(self, shapes: Sequence[tuple[int, ...]]) -> bool:
        """Whether the tape follows the result back to samples of these shapes: not through steps and comparisons."""
        from ..custom.tape import Traced

        with np.errstate(all="ignore"), suppress(ValueError, TypeError, IndexError, ArithmeticError, RuntimeError):
            return isinstance(self.on([Traced(np.zeros((0, *shape), np.float32)) for shape in shapes]), Traced)
        return True

    def result_shape(self, input_shape: Sequence[Shape]) -> Shape:
        """(None, ...): what the function gives for inputs of these shapes.

        Raises:
            ValueError: shapes that do not fit, rows that do not stay rows of their own, or more elements than anybody
                means.
        """
        shapes = [tuple(axis or 1 for axis in shape[1:]) for shape in input_shape]
        given = ", ".join(map(str, input_shape))
        if not all(0 <= index < len(shapes) for index in self.used):
            raise ValueError(f"args: there is no input {max(self.used)}, the function has {len(shapes)}")
        if not self.used:
            raise ValueError(f"{self.name}: expected a symbolic tensor among its arguments, received none")
        most = max(_MOST, *(math.prod(shapes[index]) for index in self.used))
        if self._mixes(shapes):
            if self.name == "reshape":
                raise ValueError(
                    f"reshape: called on {given}: expected (-1, ...) for the rows and {math.prod(shapes[0])} elements "
                    f"of each, received {self.options['newshape']}"
                )
            raise ValueError(
                f"{self.name}: expected that the rows of {given} do not go into one another and their number does "
                "not matter: sum, sort, roll, take, slices, ... along another axis than 0"
            )
        self._check_size(self._on_the_way(shapes), most)
        with np.errstate(all="ignore"):
            try:
                result = np.asarray(self.on([np.zeros((0, *shape), np.float32) for shape in shapes]))
            except (ValueError, TypeError, IndexError, ArithmeticError, RuntimeError) as error:
                said = str(error).replace("(0,", "(None,")
                raise ValueError(f"{self.name}: called on {given}, rows first: {said}") from None
        shape = result.shape
        if result.dtype.kind not in "biuf":
            raise TypeError(f"{self.name}: expected numbers, received None")
        if shape[:1] != (0,) or 0 in shape[1:]:
            raise ValueError(
                f"{self.name}: expected a result with the rows of {given} along its first axis alone and elements "
                f"along each, received shape {tuple(n or None for n in shape)}"
            )
        self._check_size(math.prod(shape[1:]), most)
        return (None, *shape[1:])

    def _check_size(self, count: int, most: int, what: str = "elements") -> None:
        if count > most:
            raise ValueError(f"{self.name}: expected at most {most} {what} of a sample, received {count}")

    def _on_the_way(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """How many elements of a sample there are on the way to the result, where those are more than its own."""
        options = filled(self.ready, [np.broadcast_to(np.float32(0), (1, *shape)) for shape in shapes])
        first, *others = options.values()
        with suppress(ValueError):  # shapes that do not fit: the function says so
            if self.name in ("binary_crossentropy", "categorical_crossentropy"):
                return math.prod(np.broadcast_shapes(np.shape(first), np.shape(others[0])))
        if self.name == "sparse_categorical_crossentropy":
            output, axis = np.shape(others[0]), options["axis"]
            self._check_size(max(output, default=1), _MOST_PLACES)
            labels = np.shape(first)[: -1 if np.ndim(first) == len(output) else None]
            with suppress(ValueError, ZeroDivisionError):  # a number has no classes
                at = axis % len(output)
                return math.prod(np.broadcast_shapes((*labels[:at], output[at], *labels[at:]), output))
        if self.name == "one_hot":
            self._check_size(others[0], _MOST_PLACES)
            return int(np.size(first)) * int(others[0])
        if self.name == "take_along_axis":
            self._check_size(sum(np.shape(first)), _MOST_PLACES)
        if self.name in ("matmul", "dot") and all(isinstance(x, Slot) for x in self.options.values()):
            products = math.prod(np.shape(first)) * np.shape(others[0])[-1]
            self._check_size(products // 2**4, _MOST_PRODUCTS, "products")  # faster, by BLAS
        if options.get("ord", options.get("order")) in (2, -2, "nuc"):  # singular values
            axis = options["axis"] if isinstance(options["axis"], list) else [-1]
            sides = [np.shape(first)[a] for a in axis if -np.ndim(first) <= a < np.ndim(first)]
            if len(sides) == 2:
                each = max(math.prod(sides) * min(sides) * 2**3, 2**9)  # a matrix of one element takes a microsecond
                self._check_size(math.prod(np.shape(first)) // math.prod(sides) * each, _MOST_PRODUCTS, "products")
        if self.name == "pad":
            return math.prod(map(sum, zip(np.shape(first), _padding(np.ndim(first), others[0]), strict=True)))
        if self.name == "einsum":
            operands = [np.shape(operand) for operand in others[0]]
            named, kept = _named_axes(first, operands)
            sizes: dict[str, int] = {}
            for names, shape in zip(named, operands, strict=True):
                for name, n in zip(names, shape, strict=False):
                    sizes[name] = max(n, sizes.get(name, 1))
            for names, operand in zip(named, self.options["operands"], strict=True):
                kept = [*kept, *names] if isinstance(operand, Slot) else kept
            if set(sizes) - set(kept):  # whose sums NumPy groups by the number of rows
                raise ValueError(f"einsum: {first!r}: expected sums over axes of a symbolic tensor; sum arrays before")
            self._check_size(math.prod(sizes.values()) * 2 ** max(len(operands) - 2, 0), _MOST_PRODUCTS, "products")
        return 0

    def _mixes(self, shapes: Sequence[tuple[int, ...]]) -> bool:
        """Whether rows go into one another, or their order or number matters, where the result has as many."""
        options = self.ready
        first, *others = options.values()
        slots = [leaf for leaf in list_leaves(first) if isinstance(leaf, Slot)]
        elements = [math.prod(shapes[slot.index]) for slot in slots]
        rank = len(shapes[slots[0].index]) + 1 if slots else 0
        match self.name:
            case "get_item":
                return not _all_rows(options["key"], rank)
            case "reshape":
                shape = options["newshape"]
                shape = shape if isinstance(shape, list) else [shape]
                return shape[:1] != [-1] or math.prod(shape[1:]) != elements[0]
            case "ravel":
                return elements[0] > 1
            case "outer":
                return elements != [1] or isinstance(others[0], Slot)
            case "tile":
                times = np.ravel(options["repeats"])
                return bool(len(times) == rank and times[0] != 1)
            case "hstack":
                return any(not shapes[slot.index] for slot in slots)
            case "vstack":
                return len(first) > 1
            case "broadcast_to":
                return True  # their number would stand in the shape
            case "categorical_crossentropy" | "sparse_categorical_crossentropy":
                target, output = (
                    len(shapes[x.index]) + 1 if isinstance(x, Slot) else np.ndim(x) for x in (first, others[0])
                )
                target += self.name.startswith("sparse") and target != output  # one hot
                rank = max(target, output)
                given = [r for x, r in ((first, target), (others[0], output)) if isinstance(x, Slot)]
                axis = options["axis"]
                return min(given) < rank or not isinstance(axis, int) or not -rank <= axis < rank or axis % rank == 0
            case "einsum":
                operands = options["operands"]
                ranks = [(1, *shapes[o.index]) if isinstance(o, Slot) else np.shape(o) for o in operands]
                named, result = _named_axes(first, ranks)
                return any(n[:1] != result[:1] for n, o in zip(named, operands, strict=True) if isinstance(o, Slot))
        if self.name not in _ALONG or not slots:  # places in an array
            return False
        axis = options["axis"]
        return axis is None or any(a % rank == 0 for a in (axis if isinstance(axis, list) else [axis]))
