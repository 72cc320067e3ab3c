"""Functions of `keras.ops`, operators and slices on symbolic tensors, as layers.

What the engine has (elementwise arithmetic, activations, sums, whatever moves elements) runs in it; the rest is called
once a batch in Python, differentiated by the tape.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial, reduce
from typing import Any

import numpy as np

from .. import activations
from .._engine import Builder, Weight
from .._names import automatic_name
from .._structure import flatten
from .base import Layer
from .operation import KerasTensor, Shape
from .slots import Slot, decoded, encoded, filled, given_as

_KERAS = {"abs": "absolute", "swish": "silu", "amax": "max", "amin": "min", "divide": "true_divide"}
"""Keras's classes are called after these names."""


# --- what the engine makes of them ------------------------------------------------------------------------------

_MOVES = frozenset({
    "get_item", "transpose", "flip", "take", "tile", "repeat", "swapaxes", "moveaxis", "expand_dims", "squeeze",
    "reshape", "ravel", "broadcast_to", "roll",
})  # fmt: skip
_PAIRS = {"add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide", "true_divide": "divide",
          "maximum": "maximum", "minimum": "minimum"}  # fmt: skip
_ALONE = {"sigmoid", "tanh", "softplus", "log_sigmoid", "softsign", "silu", "selu", "relu6", "hard_sigmoid",
          "hard_silu"}  # fmt: skip
_ACTIVATIONS: dict[str, Callable[..., activations.Operation]] = {
    "relu": activations.relu_operation,
    "leaky_relu": lambda negative_slope=0.2: activations.relu_operation(negative_slope),
    "elu": activations.elu_operation,
    "gelu": lambda approximate=True: ("gelu_tanh" if approximate else "gelu", {}),
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
    value = builder.add("scale_columns", ones, [_variable(flat), _variable(np.zeros_like(flat))])
    return builder.reshaped(value, np.shape(array) or (1,))


def _pair(builder: Builder, name: str, a: Any, b: Any) -> int:
    """Elementwise, of two values or of one and numbers (which are no integers: ids of values are `_Value`)."""
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
            with np.errstate(divide="ignore"):
                scale = c if name == "multiply" else 1 / c if name == "divide" else np.ones_like(c)
            offset = c if name in ("add", "subtract") else np.zeros_like(c)
            if name == "subtract":
                scale, offset = (scale, -offset) if isinstance(a, _Value) else (-scale, offset)
            return builder.add("scale_columns", value, [_variable(scale), _variable(offset)])
        made = _Value(_constant(builder, value, array))
        a, b = (x if isinstance(x, _Value) else made for x in (a, b))
    shape = np.broadcast_shapes(builder.shape(a.id), builder.shape(b.id))
    return builder.add(name, [builder.broadcast(a.id, shape), builder.broadcast(b.id, shape)])


class _Value:
    def __init__(self, value: int) -> None:
        self.id = value


def _reduced(builder: Builder, name: str, value: int, axis: Any = None, keepdims: bool = False) -> int:
    """sum, mean, max or min over axes of the samples, which become the first one."""
    shape = builder.shape(value)
    axes = [a % (len(shape) + 1) for a in (axis if isinstance(axis, list | tuple) else [axis])]
    order = [*axes, *(a for a in range(1, len(shape) + 1) if a not in axes)]
    kept = [shape[a - 1] for a in order[len(axes) :]]
    value = builder.moved(value, lambda rows: np.transpose(rows, (0, *order)).reshape(len(rows), -1, *(kept or [1])))
    flat = builder.reshaped(value, (builder.shape(value)[0], int(np.prod(kept, dtype=np.int64))))
    if name == "min":
        flat = builder.add("scale", flat, factor=-1.0)
    flat = builder.add("max_pool" if name in ("max", "min") else "average_pool", flat, (), **_SUMS.get(name, {}))
    if name == "min":
        flat = builder.add("scale", flat, factor=-1.0)
    whole = [1 if a + 1 in axes else n for a, n in enumerate(shape)]
    return builder.moved(flat, lambda rows: rows.reshape(len(rows), *(whole if keepdims else kept)))


_GROW = frozenset({"tile", "repeat", "broadcast_to", "one_hot"})
_MOST_ELEMENTS = 2**24  # of two samples
_FEW_ELEMENTS = 2**20
_SUMS = {"sum": {"sum": 1.0}}


def _padding(axes: int, width: Any) -> list[int]:
    """How many elements `pad` adds to each axis."""
    with suppress(ValueError):
        pairs = np.broadcast_to(np.asarray(width, object), (axes, 2)).tolist()
        if all(isinstance(n, int | np.integer) and n >= 0 for pair in pairs for n in pair):
            return [int(before) + int(after) for before, after in pairs]
    raise ValueError(
        f"pad_width: expected numbers of elements, (before, after) for each of {axes} axes, received {str(width)[:99]}"
    )


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
        self.function = function
        self._function = function_called(function)
        self._args, self._kwargs = decoded(list(args)), decoded(dict(kwargs))
        super().__init__(name=automatic_name(_KERAS.get(function, function)) if name is None else name)

    def _call(self, inputs: Sequence[Any]) -> Any:
        return self._function(*filled(self._args, inputs), **filled(self._kwargs, inputs))

    def _argument(self, shapes: Sequence[Shape]) -> Any:
        return list(shapes)

    def build(self, input_shape: Any) -> None:
        """Nothing is made; the shapes are tried."""
        self._input_shapes = [tuple(shape) for shape in input_shape]
        self.compute_output_shape(self._input_shapes)
        self.built = True

    @property
    def input_shape(self) -> Any:
        """What the function was called on."""
        return self._input_shapes[0] if len(self._input_shapes) == 1 else list(self._input_shapes)

    @property
    def output_shape(self) -> Shape:
        """(None, ...): what comes out."""
        return self.compute_output_shape(self._input_shapes)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Shape of the result, found by a call on two rows of ones. Raises ValueError where rows do not stay rows."""
        if not input_shape:
            raise ValueError(f"{self.function}: expected a symbolic tensor among its arguments, received none")
        shapes = [(2, *(axis or 1 for axis in shape[1:])) for shape in input_shape]
        elements = self._elements(shapes)
        if not elements <= _MOST_ELEMENTS:  # a file may say any number, and NaN
            raise ValueError(f"{self.function}: expected fewer than {_MOST_ELEMENTS} elements of two samples")
        ones = [np.ones(shape, np.float32) for shape in shapes]
        given = ", ".join(map(str, input_shape))
        with np.errstate(all="ignore"):
            try:
                result = np.asarray(self._call(ones))
            except ValueError as error:
                raise ValueError(f"{self.function}: called on {given}: with two rows, {error}") from None
        if result.shape[:1] != (2,):
            raise ValueError(
                f"{self.function}: expected a result with the rows of {given} as its first axis, received shape "
                f"{result.shape} for two rows"
            )
        if elements <= _FEW_ELEMENTS and not self._rows_alone(ones):
            raise ValueError(
                f"{self.function}: expected that the rows of {given} do not go into one another and their number does "
                "not matter: sum, sort, roll, take, ... along another axis than 0"
            )
        return (None, *result.shape[1:])

    def _rows_alone(self, rows: Sequence[Any]) -> bool:
        """Whether two equal rows give one result, and give it too beside a third one and rows of zeros."""
        rows = [two.astype(np.float64) for two in rows]  # a sum that is 0 but for rounding is the same
        five = [np.concatenate([two, two[:1], np.zeros_like(two)]) for two in rows]
        with np.errstate(all="ignore"):
            try:
                result, again = np.asarray(self._call(rows)), np.asarray(self._call(five))
            except ValueError:
                return False
        if again.shape != (5, *result.shape[1:]):
            return False
        return np.allclose([*result, *again[:3]], result[0], rtol=1e-3, equal_nan=again.dtype.kind == "f")

    def _elements(self, inputs: Sequence[tuple[int, ...]]) -> int:
        """No fewer elements than the inputs and the result have."""
        given = [np.broadcast_to(np.float32(0), shape) for shape in inputs]
        leaves = flatten([filled(self._args, given), list(filled(self._kwargs, given).values())])
        shapes = [leaf.shape for leaf in leaves if isinstance(leaf, np.ndarray)]
        sizes = list(map(math.prod, shapes))
        if self.function in _GROW:
            numbers: list[Any] = [abs(n) for n in leaves if isinstance(n, int | float)]
            return math.prod(max(n, 1) for n in (*numbers, *sizes))
        result = 0
        if self.function == "einsum":
            terms, arrow, kept = str(self._args[0]).replace(" ", "").partition("->")
            axes: dict[str, int] = {}
            middle = 1
            for term, shape in zip(terms.split(","), shapes, strict=False):
                left, dots, right = term.partition("...")
                end = len(shape) - len(right) if dots else len(left)
                axes |= dict(zip(left + right, (*shape[: len(left)], *shape[end:]), strict=False))
                middle = max(middle, math.prod(shape[len(left) : end]))
            result = middle * math.prod(axes.get(c, 1) for c in (kept if arrow else "".join(axes)))
        elif self.function in ("matmul", "dot", "outer", "inner", "tensordot"):
            over: Any = 0 if self.function == "outer" else 1
            if self.function == "tensordot":
                over = given_as(self._args, 2, self._kwargs, "axes", 2)
            first = range(-over, 0) if isinstance(over, int) else map(int, np.ravel(over[0]))
            summed = math.prod(shapes[0][a] for a in first if -len(shapes[0]) <= a < len(shapes[0]))
            result = math.prod(sizes) // max(summed, 1) ** 2
        elif self.function == "pad":
            width = given_as(self._args, 1, self._kwargs, "pad_width")
            result = math.prod(map(sum, zip(shapes[0], _padding(len(shapes[0]), width), strict=True)))
        else:
            with suppress(ValueError):  # of concatenate
                result = math.prod(np.broadcast_shapes(*shapes))
        return max(result, sum(sizes))

    def merge(self, builder: Builder, values: Sequence[int]) -> int:
        found = self._native(builder, values)
        return self._in_python(builder, values) if found is None else found

    def _native(self, builder: Builder, values: Sequence[int]) -> int | None:
        """The operations of the engine; None where there are none for this function with these arguments."""
        name, wrapped = self.function, [_Value(value) for value in values]
        args, kwargs = filled(self._args, wrapped), filled(self._kwargs, wrapped)
        first = args[0] if args else None
        alone = len(values) == 1 and isinstance(first, _Value)
        if name in ("concatenate", "stack") and isinstance(first, list | tuple) and len(first) == len(values):
            rank = len(builder.shape(values[0])) + 1
            axis = given_as(args, 1, kwargs, "axis", 0) % (rank + (name == "stack"))
            if name == "stack":
                values = [builder.moved(value, lambda rows: np.expand_dims(rows, axis)) for value in values]
            return builder.add("concatenate", values, axis=axis - 1) if axis > 0 else None
        if name in _PAIRS and not kwargs and len(args) == 2:
            return _pair(builder, _PAIRS[name], *args)
        if not alone:
            return None
        value, shape = values[0], builder.shape(values[0])
        if name in _MOVES:
            return builder.moved(value, lambda rows: self._call([rows]))
        if name in _ACTIVATIONS and len(args) == 1:
            operation, numbers = _ACTIVATIONS[name](**kwargs)
            return builder.add(operation, value, (), **numbers)
        if name in ("softmax", "log_softmax") and given_as(args, 1, kwargs, "axis", -1) in (-1, len(shape)):
            return builder.add(name, value)
        if name in ("sum", "mean", "max", "min", "amax", "amin"):
            options = dict(zip(("axis", "keepdims"), args[1:], strict=False)) | kwargs
            return _reduced(builder, name.removeprefix("a"), value, **options)
        if name == "negative":
            return builder.add("scale", value, factor=-1.0)
        if name in ("abs", "absolute"):
            return builder.add("maximum", [value, builder.add("scale", value, factor=-1.0)])
        power = 2 if name == "square" else args[1] if name == "power" and len(args) == 2 else None
        if isinstance(power, int | float) and power in (1, 2, 3, 4):
            return reduce(lambda a, b: builder.add("multiply", [a, b]), [value] * int(power))
        if name in ("matmul", "dot") and len(args) == 2 and np.ndim(args[1]) == 2 and shape:
            return builder.add("matmul", value, [_variable(args[1])])
        if name == "cast":
            dtype = np.dtype(given_as(args, 1, kwargs, "dtype"))
            ids = (
                dtype in (np.int32, np.int64) and builder.graph.integer_input(value) >= 0
            )  # checked to be whole numbers
            if (ids and builder.for_ids) or dtype in (np.float32, np.float64):
                return value
            cast = self._in_python(builder, values)
            if ids:
                builder.ids[cast] = value
            return cast
        return None

    def _in_python(self, builder: Builder, values: Sequence[int]) -> int:
        from ..custom.layer import LayerHost

        samples = [builder.shape(value) for value in values]
        shape = self.compute_output_shape([(None, *sample) for sample in samples])
        host = LayerHost(lambda inputs, training: self._call(inputs), self.name, [])
        host.takes(samples, [0] * len(samples))
        return builder.call_python(values, [], [axis or 1 for axis in shape[1:]], host)

    def get_config(self) -> dict[str, Any]:
        return {"function": self.function, "args": encoded(self._args), "kwargs": encoded(self._kwargs),
                "name": self.name}  # fmt: skip


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
        x, k = args[:2]
        places = apply("get_item", apply("argsort", apply("negative", x)), (..., slice(k)))
        return apply("take_along_axis", x, places, axis=-1), places
    if name == "reshape":
        args = (args[0], _rows_kept(*args))
    if name == "split":
        x, sections, axis = args
        if axis % x.ndim == 0:
            raise ValueError(f"split: called on {x.shape}: expected another axis than 0, that of the rows")
        places = np.split(np.arange(x.shape[axis]), sections)
        lead = (slice(None),) * (axis % x.ndim)
        return [x[(*lead, slice(int(part[0]), int(part[-1]) + 1) if len(part) else slice(0))] for part in places]
    layer = Function(name, [slots(value) for value in args], {key: slots(value) for key, value in kwargs.items()})
    return layer.call_on(tensors)


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


# --- as Keras writes them -------------------------------------------------------------------------------------------

_CALLED = frozenset({"x", "x1", "x2", "xs", "condition", "key", "indices", "operands", "target", "output"})
_MODULES = {"nn": "sigmoid softplus log_sigmoid softsign silu relu relu6 leaky_relu elu selu gelu softmax log_softmax "
            "hard_sigmoid hard_silu binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy "
            "one_hot normalize",
            "math": "logsumexp rsqrt erf", "linalg": "norm", "core": "cast stop_gradient"}  # fmt: skip


def keras_entry(layer: Function, tensors: Sequence[Any]) -> dict[str, Any]:
    """A function as Keras 3 describes its operation; `tensors`: descriptions of what it is called on."""
    name = _KERAS.get(layer.function, layer.function)
    config: dict[str, Any] = {"name": layer.name}
    if name == "einsum":
        config["subscripts"], called = layer._args[0], layer._args[1:]
    else:
        bound = inspect.signature(layer._function).bind(*layer._args, **layer._kwargs)
        bound.apply_defaults()
        config |= {k: encoded(value) for k, value in bound.arguments.items() if k not in _CALLED and k != "name"}
        called = [value for key, value in bound.arguments.items() if key in _CALLED]
    args = [filled(_encoded_slots(value), tensors) for value in called]
    kwargs = {key: config.pop(key) for key in ("constant_values",) if key in config}  # of the call in Keras
    home = next((module for module, names in _MODULES.items() if name in names.split()), "numpy")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return {
        "module": f"keras.src.ops.{home}", "class_name": class_name, "config": config, "registered_name": class_name,
        "name": layer.name, "inbound_nodes": [{"args": args, "kwargs": kwargs}],
    }  # fmt: skip


def _encoded_slots(value: Any) -> Any:
    if isinstance(value, Slot):
        return value
    return [_encoded_slots(entry) for entry in value] if isinstance(value, list) else encoded(value)


def from_keras(kind: str, config: Mapping[str, Any], args: Sequence[Any]) -> tuple[Function, list[Any]]:
    """(the function that an operation of Keras's is, the descriptions of the tensors it is called on).

    Raises:
        ValueError: an operation that is not in `keras.ops` here.
    """
    from .._names import snake_case

    name = snake_case(kind)
    tensors: list[Any] = []

    def slots(value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            tensors.append(value)
            return Slot(len(tensors) - 1)
        return [slots(entry) for entry in value] if isinstance(value, list) else value

    function = function_called(name)
    known = inspect.signature(function).parameters
    options = {key: slots(value) for key, value in config.items() if key in known and key != "name"}
    called = [slots(value) for value in args]
    if name == "einsum":
        called, options = [options.pop("subscripts"), *called], options
    return Function(name, called, options, config.get("name")), tensors
