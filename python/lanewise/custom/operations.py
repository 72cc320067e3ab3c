"""The operations of `keras.ops` that dense networks need: on arrays, and on traced arrays inside your own functions.

Arrays come out as ndarrays with `.numpy()`. Lists become float32 or int32, as in Keras; other arrays keep their type.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._arrays import converted, number_type
from .._engine import Array, current
from .functions import _axes, log_sum_exp
from .tape import Traced, plain

_DEFAULT = {"f": np.float32, "i": np.int32, "u": np.int32}


def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None, name: Any = None) -> Any:
    """x as an array; lists and numbers as float32, int32 or bool where no dtype is given."""
    x = current(x)
    if isinstance(x, Traced):
        found = x if dtype is None else x.astype(number_type(dtype))
        return found if isinstance(found, Traced) else found.view(Array)
    typed = hasattr(x, "dtype") or (isinstance(x, list | tuple) and len(x) > 0 and hasattr(x[0], "dtype"))
    if dtype is None and not typed:
        array = np.asarray(plain(x))
        kind = np.dtype(_DEFAULT.get(array.dtype.kind, array.dtype))
        if kind == np.int32 and array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
            kind = array.dtype  # numbers that need more bits have them
        return array.astype(kind).view(Array)
    array = np.asarray(x)
    if dtype is not None and array.dtype != (asked := number_type(dtype)):
        array = converted(array, asked) if array.dtype.kind == "f" else np.asarray(x, asked)
    if isinstance(x, Array):  # a metric's weights stay what they are
        return array.view(type(x))
    return array if array.dtype.kind in "OUS" else array.view(Array)


def _value(x: Any) -> Any:
    """What NumPy's functions take: a traced array as it is, a bare number weak, anything else an array."""
    x = current(x)
    if isinstance(x, Traced | np.ndarray | float | int | bool):
        return x
    if isinstance(x, list | tuple) and _holds_traced(x):
        return np.stack([_value(item) for item in x])
    return convert_to_tensor(x)


def _holds_traced(x: Any) -> bool:
    return builtins.any(isinstance(v, Traced) or (isinstance(v, list | tuple) and _holds_traced(v)) for v in x)


def _out(y: Any) -> Any:
    return y if isinstance(y, Traced) else convert_to_tensor(y)


def _elementwise(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    def operation(x: Any) -> Any:
        x = _value(x)
        if isinstance(x, np.ndarray | float | int) and np.asarray(x).dtype.kind not in "fc":
            x = convert_to_tensor(x, "float32")
        return _out(function(x))

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{text}, elementwise."
    return operation


def _pairwise(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    def operation(x1: Any, x2: Any) -> Any:
        return _out(function(_value(x1), _value(x2)))

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{text}, elementwise, broadcasting."
    return operation


exp = _elementwise(np.exp, "exp", "e**x")
expm1 = _elementwise(np.expm1, "expm1", "e**x - 1")
log = _elementwise(np.log, "log", "Natural logarithm")
log1p = _elementwise(np.log1p, "log1p", "log(1 + x)")
log2 = _elementwise(np.log2, "log2", "Logarithm to base 2")
log10 = _elementwise(np.log10, "log10", "Logarithm to base 10")
sqrt = _elementwise(np.sqrt, "sqrt", "Square root")
rsqrt = _elementwise(lambda x: 1.0 / np.sqrt(x), "rsqrt", "1/sqrt(x)")
sin = _elementwise(np.sin, "sin", "Sine")
cos = _elementwise(np.cos, "cos", "Cosine")
tan = _elementwise(np.tan, "tan", "Tangent")
arctan = _elementwise(np.arctan, "arctan", "Inverse tangent")
sinh = _elementwise(np.sinh, "sinh", "Hyperbolic sine")
cosh = _elementwise(np.cosh, "cosh", "Hyperbolic cosine")
tanh = _elementwise(np.tanh, "tanh", "Hyperbolic tangent")
reciprocal = _elementwise(np.reciprocal, "reciprocal", "1/x")

add = _pairwise(np.add, "add", "x1 + x2")
subtract = _pairwise(np.subtract, "subtract", "x1 - x2")
multiply = _pairwise(np.multiply, "multiply", "x1*x2")
divide = true_divide = _pairwise(np.true_divide, "divide", "x1/x2")
floor_divide = _pairwise(np.floor_divide, "floor_divide", "Floor of x1/x2")
mod = _pairwise(np.remainder, "mod", "Remainder of x1/x2")
power = _pairwise(np.power, "power", "x1**x2")
maximum = _pairwise(np.maximum, "maximum", "The larger one")
minimum = _pairwise(np.minimum, "minimum", "The smaller one")
logaddexp = _pairwise(np.logaddexp, "logaddexp", "log(exp(x1) + exp(x2))")
arctan2 = _pairwise(np.arctan2, "arctan2", "Angle of (x2, x1)")
equal = _pairwise(np.equal, "equal", "x1 == x2")
not_equal = _pairwise(np.not_equal, "not_equal", "x1 != x2")
greater = _pairwise(np.greater, "greater", "x1 > x2")
greater_equal = _pairwise(np.greater_equal, "greater_equal", "x1 >= x2")
less = _pairwise(np.less, "less", "x1 < x2")
less_equal = _pairwise(np.less_equal, "less_equal", "x1 <= x2")
logical_and = _pairwise(np.logical_and, "logical_and", "x1 and x2")
logical_or = _pairwise(np.logical_or, "logical_or", "x1 or x2")
matmul = _pairwise(np.matmul, "matmul", "Matrix product")
outer = _pairwise(np.outer, "outer", "Outer product")


def dot(x1: Any, x2: Any) -> Any:
    """Sums of products along the last axis of x1 and the one before the last of x2; the product with a number."""
    x1, x2 = _value(x1), _value(x2)
    return _out(np.dot(x1, x2)) if ndim(x1) and ndim(x2) else multiply(x1, x2)


def inner(x1: Any, x2: Any) -> Any:
    """Sums of products along the last axes."""
    x1, x2 = _value(x1), _value(x2)
    if not (ndim(x1) and ndim(x2)):
        return multiply(x1, x2)
    if shape(x1)[-1] != shape(x2)[-1]:
        raise ValueError(f"inner: expected last axes of one length, received shapes {shape(x1)} and {shape(x2)}")
    return tensordot(x1, x2, (-1, -1))


def divide_no_nan(x1: Any, x2: Any) -> Any:
    """x1/x2, 0 where x2 is 0."""
    x1, x2 = _value(x1), _value(x2)
    nothing = np.equal(plain(x2), 0)
    return where(nothing, 0.0, np.true_divide(x1, where(nothing, 1.0, x2)))


def _keeping(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    """An operation that keeps integers integers."""

    def operation(x: Any) -> Any:
        return _out(function(_value(x)))

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{text}, elementwise."
    return operation


abs = absolute = _keeping(np.absolute, "abs", "|x|")
negative = _keeping(np.negative, "negative", "-x")
square = _keeping(np.square, "square", "x**2")
sign = _keeping(np.sign, "sign", "-1, 0 or 1")
floor = _keeping(np.floor, "floor", "Largest integer that is not above x")
ceil = _keeping(np.ceil, "ceil", "Smallest integer that is not below x")
round = _keeping(np.rint, "round", "Nearest integer, half to even")
isnan = _keeping(np.isnan, "isnan", "Whether NaN")
isfinite = _keeping(np.isfinite, "isfinite", "Whether finite")
isinf = _keeping(np.isinf, "isinf", "Whether infinite")
logical_not = _keeping(np.logical_not, "logical_not", "not x")


def _reduction(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    def operation(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return _out(function(_value(x), axis=_axes(axis), keepdims=keepdims))

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"{text}, over all axes or those of `axis`."
    return operation


sum = _reduction(np.sum, "sum", "Sum")
mean = _reduction(np.mean, "mean", "Mean")
max = amax = _reduction(np.max, "max", "Largest element")
min = amin = _reduction(np.min, "min", "Smallest element")
prod = _reduction(np.prod, "prod", "Product")
var = _reduction(np.var, "var", "Variance")
std = _reduction(np.std, "std", "Standard deviation")
any = _reduction(np.any, "any", "Whether any is true")
all = _reduction(np.all, "all", "Whether all are true")
logsumexp = _reduction(log_sum_exp, "logsumexp", "log(sum(exp(x)))")


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Median, over all axes or those of `axis`."""
    x = _value(x)
    whole = shape(x)
    given = range(len(whole)) if axis is None else [axis] if isinstance(axis, int | np.integer) else axis
    if builtins.any(not -len(whole) <= a < len(whole) for a in given):
        raise ValueError(f"median: axis {axis}: expected axes of shape {whole}")
    axes = [a % len(whole) for a in given]
    kept = [a for a in range(len(whole)) if a not in axes]
    flat = np.reshape(np.transpose(x, (*kept, *axes)), (*(whole[a] for a in kept), math.prod(whole[a] for a in axes)))
    result = np.median(flat, axis=-1)
    return _out(np.reshape(result, [1 if a in axes else n for a, n in enumerate(whole)]) if keepdims else result)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Place of the first largest element, int32."""
    return convert_to_tensor(np.argmax(plain(_value(x)), axis=axis, keepdims=keepdims).astype(np.int32))


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """Place of the first smallest element, int32."""
    return convert_to_tensor(np.argmin(plain(_value(x)), axis=axis, keepdims=keepdims).astype(np.int32))


def argsort(x: Any, axis: int = -1) -> Any:
    """Places in ascending order, int32."""
    return convert_to_tensor(np.argsort(plain(_value(x)), axis=axis, kind="stable").astype(np.int32))


def cumsum(x: Any, axis: int | None = None) -> Any:
    """Running sums."""
    return _out(np.cumsum(_value(x), axis))


def sort(x: Any, axis: int = -1) -> Any:
    """Elements in ascending order."""
    return _out(np.sort(_value(x), axis))


_whole_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf(x: Any) -> Any:
    """2/sqrt(pi) times the integral of exp(-t**2) from 0 to x, elementwise."""
    x = _value(x)
    a = np.asarray(plain(x))
    a = a if a.dtype.kind == "f" and not isinstance(x, float) else a.astype(np.float32)
    parts = [_whole_erf(a.ravel()[at : at + 2**16]).astype(a.dtype) for at in range(0, a.size, 2**16)]  # of objects
    y = np.concatenate(parts).reshape(a.shape) if a.size else a
    if not isinstance(x, Traced):
        return _out(y)
    return Traced(y, [(x, lambda g: g * (np.exp(-a * a) * np.asarray(2 / math.sqrt(math.pi), a.dtype)))])


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """(the k largest elements along the last axis in descending order, their places); of equals the first."""
    x = _value(x)
    if isinstance(x, list | tuple | int | float):
        x = convert_to_tensor(x)
    places = argsort(np.negative(plain(x)))[..., :k]
    return _out(np.take_along_axis(x, places.astype(np.int64), -1)), places


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norm of vectors: sqrt(sum x**2), or sum |x| with ord=1."""
    return _out(np.linalg.norm(_value(x), ord, _axes(axis), keepdims))


# --- choosing, shapes ---------------------------------------------------------------------------------------------


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition holds, else x2; without them the places where it holds."""
    if x1 is None:
        return tuple(convert_to_tensor(i) for i in np.where(plain(_value(condition))))
    return _out(np.where(plain(_value(condition)), _value(x1), _value(x2)))


def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """x limited to [x_min, x_max]."""
    return _out(np.clip(_value(x), x_min, x_max))


def cast(x: Any, dtype: Any, name: Any = None) -> Any:
    """x in another dtype."""
    return convert_to_tensor(x, dtype)


def stop_gradient(x: Any) -> Any:
    """x, through which no gradient flows."""
    return convert_to_tensor(plain(_value(x)))


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Sums of products over axes: the last `axes` of x1 and the first of x2, or a list of them for each."""
    x1, x2 = _value(x1), _value(x2)
    rank1, rank2 = ndim(x1), ndim(x2)
    if isinstance(axes, int):
        first, second = list(range(rank1 - axes, rank1)), list(range(axes))
    else:
        if builtins.any(not -r <= a < r for e, r in zip(axes, (rank1, rank2), strict=True) for a in np.ravel(e)):
            raise ValueError(f"tensordot: axes {axes}: expected axes of shapes {shape(x1)} and {shape(x2)}")
        first, second = (
            [a % r for a in ([e] if isinstance(e, int) else e)] for e, r in zip(axes, (rank1, rank2), strict=True)
        )
    if [shape(x1)[a] for a in first] != [shape(x2)[a] for a in second]:
        raise ValueError(f"tensordot: axes {axes}: expected equal lengths, received shapes {shape(x1)} and {shape(x2)}")
    kept1, kept2 = ([a for a in range(r) if a not in used] for r, used in ((rank1, first), (rank2, second)))
    rows, columns = np.transpose(x1, (*kept1, *first)), np.transpose(x2, (*second, *kept2))
    outer = (*shape(rows)[: len(kept1)], *shape(columns)[len(second) :])
    summed = math.prod(shape(columns)[: len(second)])
    left, right = math.prod(outer[: len(kept1)]), math.prod(outer[len(kept1) :])
    product = np.matmul(np.reshape(rows, (left, summed)), np.reshape(columns, (summed, right)))
    return _out(np.reshape(product, outer))


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sums of products by Einstein's convention, with an explicit result: 'ij,jk->ik'."""
    return _out(np.einsum(subscripts, *(_value(x) for x in operands)))


def shape(x: Any) -> tuple[int, ...]:
    """The shape."""
    return tuple(np.shape(plain(_value(x))))


def ndim(x: Any) -> int:
    """Number of axes."""
    return len(shape(x))


def size(x: Any) -> int:
    """Number of elements."""
    return int(np.size(plain(_value(x))))


def zeros(shape: Any, dtype: Any = "float32") -> Any:
    """Zeros."""
    return convert_to_tensor(np.zeros(shape, number_type(dtype)))


def ones(shape: Any, dtype: Any = "float32") -> Any:
    """Ones."""
    return convert_to_tensor(np.ones(shape, number_type(dtype)))


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """The same number everywhere."""
    return convert_to_tensor(np.full(shape, convert_to_tensor(fill_value, dtype)))


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape of x."""
    return convert_to_tensor(np.zeros_like(plain(_value(x)), None if dtype is None else number_type(dtype)))


def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones in the shape of x."""
    return convert_to_tensor(np.ones_like(plain(_value(x)), None if dtype is None else number_type(dtype)))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = "float32") -> Any:
    """Ones on a diagonal."""
    return convert_to_tensor(np.eye(N, M, k, number_type(dtype)))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """Numbers at equal distances."""
    return convert_to_tensor(np.arange(*((start,) if stop is None else (start, stop, step))).tolist(), dtype)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    """`num` numbers from start to stop."""
    return convert_to_tensor(np.linspace(start, stop, num, endpoint), "float32")


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None) -> Any:
    """Rows with a 1 in column x[i]; zeros where it is outside."""
    labels = np.asarray(plain(_value(x)))
    kind = np.dtype("float32") if dtype is None else number_type(dtype)
    if labels.size:
        hot = (labels[..., None] == np.arange(num_classes)).astype(kind)
    else:  # however many classes there are, none is counted up
        hot = np.zeros((*labels.shape, num_classes), kind)
    return convert_to_tensor(np.moveaxis(hot, -1, axis))


def normalize(x: Any, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """x divided by its norm along an axis, or by `epsilon` (None: 1e-7) where that is larger."""
    x = _value(x)
    return _out(x / np.maximum(norm(x, order, axis, True), 1e-7 if epsilon is None else epsilon))


def convert_to_numpy(x: Any) -> Any:
    """x as a plain ndarray."""
    return np.asarray(plain(x))


def is_tensor(x: Any) -> bool:
    """Whether x is an array of this package's."""
    return isinstance(x, Traced | Array)


__all__ = sorted(
    name
    for name, value in list(globals().items())
    if not name.startswith("_") and getattr(value, "__module__", None) == __name__
)
