"""The names that scripts of dense networks take from `tf` itself: arrays and mathematics, NumPy inside.

`lanewise.constant`, `lanewise.reduce_mean`, `lanewise.math.square`, ... are found here. Inside a loss, an activation or
a layer of your own they are differentiated.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._missing import module_of
from .custom.tape import plain
from .keras import ops as _ops
from .keras.ops import (
    abs, add, argsort, broadcast_to, cast, ceil, convert_to_tensor, cos, cosh, divide, einsum, equal, exp, expand_dims,
    expm1, eye, floor, greater, greater_equal, is_tensor, less, less_equal, linspace, log1p, logical_and, logical_not,
    logical_or, maximum, minimum, multiply, negative, not_equal, ones, ones_like, repeat, round, sigmoid, sign, sin,
    sinh, sort, sqrt, square, squeeze, stop_gradient, subtract, tan, tanh, tensordot, tile, zeros, zeros_like,
)  # fmt: skip

float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
int8, int16, int32, int64 = np.dtype("int8"), np.dtype("int16"), np.dtype("int32"), np.dtype("int64")
uint8, uint16, uint32, uint64 = np.dtype("uint8"), np.dtype("uint16"), np.dtype("uint32"), np.dtype("uint64")
bool = np.dtype("bool")


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = "Const") -> Any:
    """value as an array, in `shape` if one is given."""
    array = convert_to_tensor(value, dtype)
    if shape is None:
        return array
    return _ops.broadcast_to(array, shape) if _ops.size(array) == 1 else _ops.reshape(array, shape)


def _reduced(operation: Callable[..., Any], name: str) -> Callable[..., Any]:
    def reduce(input_tensor: Any, axis: Any = None, keepdims: builtins.bool = False, name: Any = None) -> Any:
        return operation(input_tensor, axis, keepdims)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = operation.__doc__
    return reduce


reduce_sum = _reduced(_ops.sum, "reduce_sum")
reduce_mean = _reduced(_ops.mean, "reduce_mean")
reduce_max = _reduced(_ops.max, "reduce_max")
reduce_min = _reduced(_ops.min, "reduce_min")
reduce_prod = _reduced(_ops.prod, "reduce_prod")
reduce_any = _reduced(_ops.any, "reduce_any")
reduce_all = _reduced(_ops.all, "reduce_all")
reduce_std = _reduced(_ops.std, "reduce_std")
reduce_variance = _reduced(_ops.var, "reduce_variance")
reduce_logsumexp = _reduced(_ops.logsumexp, "reduce_logsumexp")

pow = _ops.power


def argmax(input: Any, axis: int | None = None, output_type: Any = None, name: Any = None) -> Any:
    """Where the largest element stands along an axis, by default the first (NumPy's and Keras's default is none)."""
    return _ops.argmax(input, 0 if axis is None else axis)


def argmin(input: Any, axis: int | None = None, output_type: Any = None, name: Any = None) -> Any:
    """Where the least element stands along an axis, by default the first."""
    return _ops.argmin(input, 0 if axis is None else axis)


def cumsum(x: Any, axis: int = 0, name: Any = None) -> Any:
    """Sums so far along an axis, by default the first."""
    return _ops.cumsum(x, axis)


def where(condition: Any, x: Any = None, y: Any = None, name: Any = None) -> Any:
    """Elements of x or y; without them the indices where the condition holds, a row for each, int64."""
    if x is None and y is None:
        return convert_to_tensor(np.argwhere(plain(condition)))
    return _ops.where(condition, x, y)


def identity(input: Any, name: Any = None) -> Any:
    """The same array."""
    return convert_to_tensor(input)


def matmul(a: Any, b: Any, transpose_a: builtins.bool = False, transpose_b: builtins.bool = False) -> Any:
    """Matrix product; `lanewise.ops.matmul` is the kernel of float32 arrays."""
    a = _ops.swapaxes(a, -1, -2) if transpose_a else a
    return _ops.matmul(a, _ops.swapaxes(b, -1, -2) if transpose_b else b)


def transpose(a: Any, perm: Any = None) -> Any:
    """Axes in another order; by default reversed."""
    return _ops.transpose(a, perm)


def reshape(tensor: Any, shape: Any, name: Any = None) -> Any:
    """The same elements in another shape."""
    return _ops.reshape(tensor, tuple(None if n is None else int(n) for n in np.ravel(shape)))


def concat(values: Any, axis: int, name: Any = "concat") -> Any:
    """Arrays one after the other along an axis."""
    return _ops.concatenate(values, axis)


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: Any = None) -> Any:
    """More elements at both ends of each axis: paddings holds (before, after) for each."""
    mode = mode.lower()
    return _ops.pad(tensor, np.asarray(paddings).tolist(), mode, constant_values if mode == "constant" else None)


def roll(input: Any, shift: Any, axis: Any, name: Any = None) -> Any:
    """Elements moved along an axis; what leaves at one end comes in at the other."""
    return _ops.roll(input, shift, axis)


def stack(values: Any, axis: int = 0, name: Any = "stack") -> Any:
    """Arrays along a new axis."""
    return _ops.stack(values, axis)


def split(value: Any, num_or_size_splits: Any, axis: int = 0) -> Any:
    """Equal parts along an axis, or parts of the sizes given."""
    if np.ndim(num_or_size_splits) == 0:
        return _ops.split(value, int(num_or_size_splits), axis)
    length, sizes = _ops.shape(value)[axis], [int(size) for size in num_or_size_splits]
    if length is None:  # the rows of a symbolic tensor, which are not split
        return _ops.split(value, len(sizes), axis)
    if sizes.count(-1) == 1:  # whatever is left
        sizes[sizes.index(-1)] = length - builtins.sum(sizes) - 1
    if builtins.sum(sizes) != length or builtins.min(sizes) < 0:
        raise ValueError(f"split: expected sizes that add up to {length}, received {num_or_size_splits}")
    return _ops.split(value, np.cumsum(sizes)[:-1].tolist(), axis)


def gather(params: Any, indices: Any, axis: int = 0) -> Any:
    """Slices along an axis by their places."""
    return _ops.take(params, indices, axis)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    """t limited to [clip_value_min, clip_value_max]."""
    return _ops.clip(t, clip_value_min, clip_value_max)


def one_hot(indices: Any, depth: int, on_value: float = 1.0, off_value: float = 0.0, dtype: Any = None) -> Any:
    """Rows with `on_value` in column indices[i]."""
    return _ops.one_hot(indices, depth, dtype=dtype) * (on_value - off_value) + off_value


def fill(dims: Any, value: Any) -> Any:
    """The same number everywhere."""
    return _ops.full(tuple(np.ravel(dims)), value)


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Any:
    """Numbers at equal distances."""
    return _ops.arange(start, limit, delta, dtype)


def shape(input: Any) -> Any:
    """The shape, as an int32 array; of a symbolic tensor a tuple, None for its rows."""
    axes = _ops.shape(input)
    return axes if None in axes else convert_to_tensor(list(axes), "int32")


def size(input: Any) -> Any:
    """Number of elements."""
    return _ops.size(input)


def rank(input: Any) -> Any:
    """Number of axes."""
    return _ops.ndim(input)


def norm(tensor: Any, ord: Any = None, axis: Any = None, keepdims: builtins.bool = False) -> Any:
    """Norm of vectors, 'euclidean', 1 or 2; without an axis of all elements in a row."""
    if axis is None and not keepdims:
        tensor = _ops.ravel(tensor)
    return _ops.norm(tensor, None if ord == "euclidean" else ord, axis, keepdims)


def executing_eagerly() -> builtins.bool:
    """True."""
    return True


def print(*inputs: Any, **options: Any) -> None:
    """Python's print."""
    builtins.print(*inputs)


def get_logger() -> Any:
    """Python's logger of the name 'lanewise'."""
    import logging

    return logging.getLogger("lanewise")


@contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Accepted; everything runs on the CPU."""
    yield


_MATH = (
    "abs", "add", "argmax", "argmin", "ceil", "cos", "cosh", "cumsum", "divide", "equal", "exp", "expm1", "floor",
    "greater", "greater_equal", "less", "less_equal", "log", "log1p", "log_sigmoid", "logical_and", "logical_not",
    "logical_or", "maximum", "minimum", "multiply", "negative", "not_equal", "pow", "reciprocal", "reduce_all",
    "reduce_any", "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_std",
    "reduce_sum", "reduce_variance", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "subtract",
    "tan", "tanh",
)  # fmt: skip


def confusion_matrix(labels: Any, predictions: Any, num_classes: int | None = None) -> Any:
    """Counts, int32: a row for each true class, a column for each predicted one."""
    true, found = (np.asarray(a).ravel().astype(np.int64) for a in (labels, predictions))
    n = num_classes or int(builtins.max(true.max(), found.max())) + 1
    return convert_to_tensor(np.bincount(true * n + found, minlength=n * n).reshape(n, n), "int32")


math = module_of(
    "lanewise.math",
    **{name: globals().get(name) or getattr(_ops, name) for name in _MATH},
    atan=_ops.arctan, atan2=_ops.arctan2, confusion_matrix=confusion_matrix, divide_no_nan=_ops.divide_no_nan,
    erf=_ops.erf, is_finite=_ops.isfinite, is_inf=_ops.isinf, is_nan=_ops.isnan, mod=_ops.mod, softplus=_ops.softplus,
    top_k=_ops.top_k,
    squared_difference=lambda x, y: square(subtract(x, y)),
)  # fmt: skip

linalg = module_of("lanewise.linalg", matmul=matmul, norm=norm)
test = module_of(
    "lanewise.test", is_gpu_available=lambda *args, **kwargs: False, is_built_with_cuda=lambda: False,
    gpu_device_name=lambda: "",
)  # fmt: skip

__all__ = sorted({
    "argsort", "bool", "broadcast_to", "cast", "clip_by_value", "concat", "constant", "convert_to_tensor", "device",
    "einsum", "executing_eagerly", "expand_dims", "eye", "fill", "float16", "float32", "float64", "gather",
    "get_logger", "identity", "int16", "int32", "int64", "int8", "is_tensor", "linalg", "linspace", "math",
    "matmul", "norm", "one_hot", "ones", "ones_like", "pad", "print", "range", "rank", "repeat", "reshape", "roll",
    "shape", "size", "sort", "split", "squeeze", "stack", "stop_gradient", "tensordot", "test", "tile", "transpose",
    "uint16", "uint32", "uint64", "uint8", "where", "zeros", "zeros_like", *_MATH,
} - {"log", "log_sigmoid", "reciprocal", "reduce_std", "reduce_variance", "rsqrt"})  # fmt: skip
