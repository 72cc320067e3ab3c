"""Functions of `keras.ops`, operators and slices on symbolic tensors, as layers.

What the engine has (elementwise arithmetic, activations, sums, whatever moves elements) runs in it; the rest is called
once a batch in Python, differentiated by the tape.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from operator import index
from typing import Any

import numpy as np

from .. import activations
from .._arrays import number_type
from .._engine import Builder, Weight
from .._names import automatic_name
from .applied import Applied
from .base import Layer
from .operation import KerasTensor, Shape
from .slots import Slot, decoded, filled

_KERAS = {"abs": "absolute", "swish": "silu", "hard_swish": "hard_silu", "amax": "max", "amin": "min",
          "divide": "true_divide"}  # fmt: skip
"""Keras's classes are called after these names."""


# --- what the engine makes of them ------------------------------------------------------------------------------

_RESHAPES = frozenset({"expand_dims", "squeeze", "reshape", "ravel"})
_MOVES = _RESHAPES | {"get_item", "transpose", "flip", "take", "tile", "repeat", "swapaxes", "moveaxis", "roll"}
_MOST_LOOKS = 20_000  # arguments that are looked at for shapes, by one function
_MOST_MOVED = 2**20  # elements of a sample, each with its place in the engine's list
_TINY = np.finfo(np.float32).tiny
_PAIRS = frozenset({"add", "subtract", "multiply", "true_divide", "maximum", "minimum"})
_ALONE = {"sigmoid", "tanh", "softplus", "log_sigmoid", "softsign", "silu", "selu", "relu6", "hard_sigmoid",
          "hard_silu"}  # fmt: skip
_ACTIVATIONS: dict[str, Callable[..., activations.Operation]] = {
    "relu": activations.relu_operation,
    "leaky_relu": lambda negative_slope: activations.relu_operation(float(negative_slope)),
    "elu": lambda alpha: activations.elu_operation(float(alpha)),
    "gelu": lambda approximate: ("gelu_tanh" if approximate else "gelu", {}),
    "exp": lambda: ("exponential", {}),
    **{name: partial(activations.operation_of, name) for name in _ALONE},
}


def _variable(array: Any) -> Any:
    return Weight("constant", "constant", np.ascontiguousarray(array, np.float32)).variable


def _constant(builder: Builder, like: int, array: Any) -> int:
    """A value that is this array in each sample: ones (no number equals NaN), times its elements."""
    first = builder.moved(like, lambda rows: rows.reshape(len(rows), -1)[:, :1])
    flat = np.asarray(array, np.float32).ravel()
    ones = builder.broadcast(builder.add("differs", first, other=np.nan), flat.shape)
    value = builder.add("scale_columns", ones, [_variable(flat), _variable(np.full_like(flat, -0.0))])
    return builder.moved(value, lambda rows: rows.reshape(len(rows), *np.shape(array)))


def _pair(builder: Builder, name: str, a: Any, b: Any) -> int | None:
    """Elementwise, of two values or of one and numbers (which are no integers: ids of values are `_Value`). None where
    one of them would have to be repeated too often."""
    values = [x.id for x in (a, b) if isinstance(x, _Value)]
    numbers = [np.asarray(x, np.float32) for x in (a, b) if not isinstance(x, _Value)]
    if numbers:
        (value,), (array,) = values, numbers
        shape = builder.shape(value)
        if array.ndim == len(shape) + 1 and array.shape[0] == 1:
            array = array[0]
        columns = array.size == 1 or (array.size == array.shape[-1] == (shape or (1,))[-1])
        if columns and (name in ("add", "subtract", "multiply") or (name == "divide" and isinstance(a, _Value))):
            c = np.broadcast_to(array.reshape(-1), (shape or (1,))[-1:])
            with np.errstate(divide="ignore", over="ignore"):
                scale = c if name == "multiply" else 1 / c if name == "divide" else np.ones_like(c)
            offset = c if name in ("add", "subtract") else np.full_like(c, -0.0)  # x + -0.0 is x, for -0.0 too
            if name == "subtract":
                scale, offset = (scale, -offset) if isinstance(a, _Value) else (-scale, offset)
            if name != "divide" or np.all((np.frexp(c)[0] % 0.5 == 0) & (np.abs(scale) >= _TINY) & np.isfinite(scale)):
                return builder.add("scale_columns", value, [_variable(scale), _variable(offset)])
        if array.size > _MOST_MOVED:
            return None
        made = _Value(_constant(builder, value, array))
        a, b = (x if isinstance(x, _Value) else made for x in (a, b))
    shape = np.broadcast_shapes(builder.shape(a.id), builder.shape(b.id))
    if math.prod(shape) > _MOST_MOVED and any(builder.shape(x.id) != shape for x in (a, b)):
        return None
    return builder.add(name, [builder.broadcast(a.id, shape), builder.broadcast(b.id, shape)])


class _Value:
    def __init__(self, value: int) -> None:
        self.id = value


def _reduced(builder: Builder, name: str, value: int, axis: Any = None, keepdims: bool = False) -> int | None:
    """sum, mean, max or min over axes of the samples, which become the first one. None where `_pair` has none, and
    where there would be too many places to go through."""
    shape = builder.shape(value)
    if math.prod(shape) > _MOST_MOVED:
        return None
    axes = [a % (len(shape) + 1) for a in (axis if isinstance(axis, list | tuple) else [axis])]
    order = [*axes, *(a for a in range(1, len(shape) + 1) if a not in axes)]
    kept = [shape[a - 1] for a in order[len(axes) :]]
    value = builder.moved(value, lambda rows: np.transpose(rows, (0, *order)).reshape(len(rows), -1, *(kept or [1])))
    flat = builder.reshaped(value, (builder.shape(value)[0], int(np.prod(kept, dtype=np.int64))))
    if name == "min":
        flat = builder.add("scale", flat, factor=-1.0)
    count = float(builder.shape(flat)[0])
    flat = builder.add("average_pool", flat, (), sum=1.0) if name in ("sum", "mean") else builder.add("max_pool", flat)
    if name == "mean":  # a sum times 1/count would be off by a rounding
        quotient = _pair(builder, "divide", _Value(flat), count)
        if quotient is None:
            return None
        flat = quotient
    if name == "min":
        flat = builder.add("scale", flat, factor=-1.0)
    whole = [1 if a + 1 in axes else n for a, n in enumerate(shape)]
    return builder.moved(flat, lambda rows: rows.reshape(len(rows), *(whole if keepdims else kept)))


_PRODUCTS: dict[str, Callable[..., Any]] = {
    "matmul": lambda rank, other: ([rank - 1], [max(other - 2, 0)]) if other < 3 else None,  # product by product
    "dot": lambda rank, other: ([rank - 1], [max(other - 2, 0)]),
    "inner": lambda rank, other: ([rank - 1], [other - 1]),
    "tensordot": lambda rank, other, axes: (
        (range(rank - axes, rank), range(axes)) if isinstance(axes, int) else tuple(map(np.ravel, axes))
    ),
}
"""Products with an array: over which axes of the value, rows included, and of the array."""


def _contracted(builder: Builder, value: int, array: Any, summed: Sequence[int], over: Sequence[int]) -> int:
    """Sums of products over these axes of a value and of an array, as a matrix product, whose rows have their bits in
    any batch."""
    shape = builder.shape(value)
    rank = len(shape) + 1
    axes, over = [int(a) % rank for a in summed], [int(a) % array.ndim for a in over]
    kept, columns = ([a for a in range(n) if a not in used] for n, used in ((rank, axes), (array.ndim, over)))
    matrix = np.transpose(array, (*over, *columns)).reshape(math.prod(array.shape[a] for a in over), -1)
    outer = [shape[a - 1] for a in kept[1:]]
    whole = (*outer, *(array.shape[a] for a in columns))
    if axes != [rank - 1]:
        value = builder.moved(value, lambda rows: rows.transpose(*kept, *axes).reshape(len(rows), *outer, len(matrix)))
    product = builder.add("matmul", value, [_variable(matrix)])
    return product if len(columns) == 1 else builder.moved(product, lambda rows: rows.reshape(len(rows), *whole))


_NO_TENSOR = frozenset({"is_tensor", "ndim", "shape", "size", "split", "top_k"})


class Function(Layer):
    """A function of `keras.ops`, or an operator, called on symbolic tensors.

    Args:
        function: its name, from a closed table.
        args, kwargs: its arguments, slots in the places of the tensors.
    """

    several_inputs = True
    mask_use = "used"

    @property
    def moves_ids(self) -> bool:  # type: ignore[override]
        """Whether numbers that are ids stay what they are."""
        return self.function in _MOVES or self.function == "cast"

    def __init__(self, function: str, args: Sequence[Any], kwargs: Mapping[str, Any], name: str | None = None) -> None:
        self.function = function = _KERAS.get(function, function)
        self.applied = Applied.of(function, function_called(function), decoded(list(args)), decoded(dict(kwargs)))
        self._known_shapes: dict[tuple[Shape, ...], Shape] = {}
        if function in _NO_TENSOR:
            raise ValueError(f"{function}: gives no tensor with the rows of another one")
        super().__init__(name=automatic_name(function) if name is None else name)

    def _argument(self, shapes: Sequence[Shape]) -> Any:
        return list(shapes)

    def build(self, input_shape: Any) -> None:
        """Nothing is made; the shapes are looked at."""
        self._output_shape = self.compute_output_shape(input_shape)
        self._input_shapes = [tuple(shape) for shape in input_shape]
        self.built = True

    @property
    def input_shape(self) -> Any:
        """What the function was called on."""
        return self._input_shapes[0] if len(self._input_shapes) == 1 else list(self._input_shapes)

    @property
    def output_shape(self) -> Shape:
        """(None, ...): what comes out."""
        return self._output_shape

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Shape of the result. Raises ValueError where rows do not stay rows."""
        if not input_shape:
            raise ValueError(f"{self.function}: expected a symbolic tensor among its arguments, received none")
        shapes = tuple(tuple(shape) for shape in input_shape)
        if shapes not in self._known_shapes:
            if len(self._known_shapes) * self.applied.length > _MOST_LOOKS:
                raise ValueError(
                    f"{self.function}: expected fewer calls on other shapes: after {len(self._known_shapes)} of them, "
                    f"with {self.applied.length} arguments each, called on {shapes[0]}"
                )
            self._known_shapes[shapes] = self.applied.result_shape(shapes)
        return self._known_shapes[shapes]

    def merge(self, builder: Builder, values: Sequence[int]) -> int:
        shapes = [(None, *builder.shape(value)) for value in values]
        shape = tuple(axis or 1 for axis in self.compute_output_shape(shapes)[1:])
        found = self._native(builder, values, shape)
        found = self._in_python(builder, values, shape) if found is None else found
        if tuple(builder.shape(found)) != shape:
            raise ValueError(f"{self.name}: expected samples of shape {shape}, received {builder.shape(found)}")
        return found

    def _native(self, builder: Builder, values: Sequence[int], result: tuple[int, ...]) -> int | None:
        """The operations of the engine; None where there are none for this function with these arguments."""
        name = self.function
        options = filled(self.applied.options, [_Value(value) for value in values])
        first, *others = options.values()
        if name in ("concatenate", "stack") and all(isinstance(part, _Value) for part in first):
            parts = [part.id for part in first]
            axis = options["axis"] % (len(builder.shape(parts[0])) + 1 + (name == "stack"))
            if name == "stack":
                parts = [builder.moved(part, lambda rows: np.expand_dims(rows, axis)) for part in parts]
            return builder.add("concatenate", parts, axis=axis - 1)
        if name in _PAIRS:
            return _pair(builder, name.removeprefix("true_"), first, *others)
        if name in ("inner", "tensordot") and isinstance(first, np.ndarray) and isinstance(others[0], _Value):
            of_value = len(builder.shape(others[0].id)) + 1
            over, axes = _PRODUCTS[name](first.ndim, of_value, *others[1:])  # all of the array's: rows come first
            return _contracted(builder, others[0].id, first.astype(np.float32), axes, over)
        if not isinstance(first, _Value) or any(isinstance(other, _Value) for other in others):
            return None
        value, shape = first.id, builder.shape(first.id)
        if name in _RESHAPES and result:
            return value if result == shape else builder.reshaped(value, result)
        if name in _MOVES:
            ids = builder.for_ids or value in builder.ids
            if max(math.prod(shape), math.prod(result)) > _MOST_MOVED and not ids:
                return None
            return builder.moved(value, lambda rows: self.applied.on([rows] * len(values)))
        if name in _ACTIVATIONS and all(isinstance(other, int | float) and math.isfinite(other) for other in others):
            operation, numbers = _ACTIVATIONS[name](*others)
            return builder.add(operation, value, (), **numbers)
        if name in ("softmax", "log_softmax") and options["axis"] in (-1, len(shape), [-1], [len(shape)]):
            return builder.add(name, value)
        if name in ("sum", "mean", "max", "min"):
            return _reduced(builder, name, value, *others)
        if name == "negative":
            return builder.add("scale", value, factor=-1.0)
        if name == "absolute":
            larger = builder.add("maximum", [value, builder.add("scale", value, factor=-1.0)])
            return _pair(builder, "add", _Value(larger), 0.0)  # of 0.0 and -0.0 either is the larger one
        power = 2 if name == "square" else others[0] if name == "power" else None
        if isinstance(power, int | float) and power in (1, 2, 3, 4):
            return reduce(lambda a, b: builder.add("multiply", [a, b]), [value] * int(power))
        if name in _PRODUCTS and np.ndim(others[0]) and shape:
            axes = _PRODUCTS[name](len(shape) + 1, *map(np.ndim, others[:1]), *others[1:])
            return None if axes is None else _contracted(builder, value, np.asarray(others[0], np.float32), *axes)
        if name == "cast":
            dtype = number_type(options["dtype"])
            ids = (
                dtype in (np.int32, np.int64) and builder.graph.integer_input(value) >= 0
            )  # checked to be whole numbers
            if (ids and builder.for_ids) or dtype in (np.float32, np.float64):
                return value
            cast = self._in_python(builder, values, shape)
            if ids:
                builder.ids[cast] = value
            return cast
        return None

    def _in_python(self, builder: Builder, values: Sequence[int], shape: Sequence[int]) -> int:
        from ..custom.layer import LayerHost

        shapes = [builder.shape(value) for value in values]
        host = LayerHost(lambda inputs, training: self.applied.called(inputs), self.name, [])
        host.takes(shapes, [0] * len(values))
        return builder.call_python(values, [], shape, host, not self.applied.has_slope(shapes))

    def get_config(self) -> dict[str, Any]:
        return {"function": self.function, **self.applied.config(), "name": self.name}


_WITHOUT_TENSORS = frozenset({"arange", "eye", "full", "linspace", "ones", "zeros"})


def get_item(x: Any, key: Any) -> Any:
    """x[key]."""
    return x[tuple(key) if isinstance(key, list) else key]


def function_called(name: str) -> Callable[..., Any]:
    """The function of this name. Raises ValueError for one that is not in `keras.ops`."""
    from ..custom import moves, neural, operations

    for module in (operations, moves, neural):
        if name in module.__all__:
            if name in _WITHOUT_TENSORS:
                raise ValueError(f"{name}: makes an array of numbers, received a symbolic tensor")
            found: Callable[..., Any] = getattr(module, name)
            return found
    if name == "get_item":
        return get_item
    raise ValueError(f"function: {name!r} is no function of lanewise.keras.ops")


def apply(name: str, *args: Any, **kwargs: Any) -> Any:
    """The result of a function of `keras.ops` on symbolic tensors: another one.

    Raises:
        ValueError: rows that do not stay rows of their own, or shapes that do not fit.
    """
    tensors: list[KerasTensor] = []

    def slots(value: Any) -> Any:
        if isinstance(value, KerasTensor):
            tensors.append(value)
            return Slot(len(tensors) - 1)
        if isinstance(value, list | tuple):
            return [slots(entry) for entry in value]
        return np.dtype(value).name if isinstance(value, np.dtype | type) else value

    first = args[0] if args else kwargs.get("x")
    if name in ("shape", "ndim", "size") and isinstance(first, KerasTensor):
        if name == "size":
            raise ValueError(f"size: the number of rows of {first} is not known; x.shape has the other axes")
        return first.shape if name == "shape" else first.ndim
    if name in ("top_k", "reshape", "split"):
        bound = inspect.signature(function_called(name)).bind(*args, **kwargs)
        bound.apply_defaults()
        args, kwargs = bound.args, {}
    if name == "top_k":
        x, k = args[0], index(args[1])
        places = apply("get_item", apply("argsort", apply("negative", x)), (..., slice(k)))
        return apply("take_along_axis", x, places, axis=-1), places
    if name == "reshape":
        args = (args[0], _rows_kept(*args))
    if name == "split":
        x, sections, axis = args
        places = np.split(np.arange(_split_axis(x, sections, axis)), sections)
        lead = (slice(None),) * (axis % x.ndim)
        return [x[(*lead, slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0))] for part in places]
    layer = Function(name, [slots(value) for value in args], {key: slots(value) for key, value in kwargs.items()})
    return layer.call_on(tensors)


def _split_axis(x: KerasTensor, sections: Any, axis: Any) -> int:
    """Elements along the axis. Raises ValueError for one that is not there, and for parts that there cannot be."""
    if not isinstance(x, KerasTensor):
        raise TypeError(
            f"split: expected a symbolic tensor, received a {type(x).__name__}; ops.stack makes one of several"
        )
    if not isinstance(axis, int | np.integer) or not -x.ndim <= axis < x.ndim:
        raise ValueError(f"split: called on {x.shape}: axis: expected {-x.ndim} to {x.ndim - 1}, received {axis!r}")
    if axis % x.ndim == 0:
        raise ValueError(f"split: called on {x.shape}: expected another axis than 0, that of the rows")
    n = x.shape[axis] or 1
    if isinstance(sections, int | np.integer):
        if sections < 1 or n % sections:
            raise ValueError(f"split: called on {x.shape}: expected a number that divides {n}, received {sections}")
    elif not all(isinstance(place, int | np.integer) for place in sections):
        raise ValueError(f"split: expected a number of equal parts or a list of places, received {sections!r}")
    return n


def _rows_kept(x: KerasTensor, shape: Any) -> Any:
    """A shape for reshape, with -1 where it says None for the rows, as `keras.ops.shape(x)[0]` does."""
    if not isinstance(shape, list | tuple) or shape[:1] not in ([None], (None,)):
        return shape
    rest = [*shape[1:]]
    if None in rest or rest.count(-1) > 1 or (-1 in rest and None in x.shape[1:]):
        raise ValueError(f"reshape: called on {x.shape}: expected None for the rows alone, received {shape}")
    if -1 in rest:
        rest[rest.index(-1)] = math.prod(x.shape[1:]) // max(1, -math.prod(rest))  # type: ignore[arg-type]
    return [-1, *rest]
