"""How gradients go back through NumPy's operations: one line each.

y is the result, a and b what it was made of, g the gradient of y; a rule gives the gradient of a (and of b). Where the
derivative jumps (|x| at 0, max of two equal numbers), the middle of both sides is taken, as JAX and PyTorch do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._engine import current
from .tape import AnyArray, Pullback, Traced, plain, typed

_HALF = np.float32(0.5)


def _tie(a: AnyArray, b: AnyArray, larger: AnyArray) -> AnyArray:
    """1 where a is chosen, 1/2 where both are, else 0."""
    return np.asarray(np.where(a == b, _HALF, larger))


def _log_sum(a: AnyArray, y: AnyArray) -> AnyArray:
    return np.asarray(np.exp(a - y))


def _times(g: AnyArray, factor: Any) -> AnyArray:
    """g * factor, 0 where g is 0 even if the factor is not finite: `where` takes the other branch there."""
    with np.errstate(all="ignore"):
        return np.where(g == 0, 0, g * factor)


_UNARY: dict[Any, Callable[[Any, Any, Any], Any]] = {
    np.negative: lambda g, y, a: -g,
    np.positive: lambda g, y, a: g,
    np.absolute: lambda g, y, a: g * np.sign(a),
    np.fabs: lambda g, y, a: g * np.sign(a),
    np.exp: lambda g, y, a: g * y,
    np.exp2: lambda g, y, a: g * y * np.log(2.0),
    np.expm1: lambda g, y, a: g * (y + 1),
    np.log: lambda g, y, a: _times(g, 1 / a),
    np.log2: lambda g, y, a: _times(g, 1 / (a * np.log(2.0))),
    np.log10: lambda g, y, a: _times(g, 1 / (a * np.log(10.0))),
    np.log1p: lambda g, y, a: _times(g, 1 / (1 + a)),
    np.sqrt: lambda g, y, a: _times(g, 0.5 / y),
    np.cbrt: lambda g, y, a: _times(g, 1 / (3 * y * y)),
    np.square: lambda g, y, a: g * 2 * a,
    np.reciprocal: lambda g, y, a: -g * y * y,
    np.sin: lambda g, y, a: g * np.cos(a),
    np.cos: lambda g, y, a: -g * np.sin(a),
    np.tan: lambda g, y, a: g * (1 + y * y),
    np.arctan: lambda g, y, a: g / (1 + a * a),
    np.arcsin: lambda g, y, a: g / np.sqrt(1 - a * a),
    np.arccos: lambda g, y, a: -g / np.sqrt(1 - a * a),
    np.sinh: lambda g, y, a: g * np.cosh(a),
    np.cosh: lambda g, y, a: g * np.sinh(a),
    np.tanh: lambda g, y, a: g * (1 - y * y),
}

_BINARY: dict[Any, tuple[Callable[..., Any], Callable[..., Any]]] = {
    np.add: (lambda g, y, a, b: g, lambda g, y, a, b: g),
    np.subtract: (lambda g, y, a, b: g, lambda g, y, a, b: -g),
    np.multiply: (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    np.true_divide: (lambda g, y, a, b: _times(g, 1 / b), lambda g, y, a, b: _times(g, -y / b)),
    np.power: (
        lambda g, y, a, b: _times(g, np.where(b == 0, 0, b * np.power(a, np.where(b == 0, 1, b - 1)))),
        lambda g, y, a, b: _times(g, y * np.log(np.where(a > 0, a, 1))),
    ),
    np.maximum: (lambda g, y, a, b: g * _tie(a, b, a > b), lambda g, y, a, b: g * _tie(a, b, b > a)),
    np.minimum: (lambda g, y, a, b: g * _tie(a, b, a < b), lambda g, y, a, b: g * _tie(a, b, b < a)),
    np.logaddexp: (lambda g, y, a, b: g * _log_sum(a, y), lambda g, y, a, b: g * _log_sum(b, y)),
    np.arctan2: (lambda g, y, a, b: g * b / (a * a + b * b), lambda g, y, a, b: -g * a / (a * a + b * b)),
    np.hypot: (lambda g, y, a, b: _times(g, a / y), lambda g, y, a, b: _times(g, b / y)),
    np.remainder: (lambda g, y, a, b: g, lambda g, y, a, b: -g * np.floor(a / b)),
}
_BINARY[np.fmax], _BINARY[np.fmin] = _BINARY[np.maximum], _BINARY[np.minimum]

_FLAT = {
    np.sign, np.floor, np.ceil, np.rint, np.trunc, np.isnan, np.isfinite, np.isinf, np.signbit, np.equal, np.not_equal,
    np.less, np.less_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or, np.logical_not, np.logical_xor,
    np.floor_divide, np.invert, np.bitwise_and, np.bitwise_or,
}  # fmt: skip
"""Their derivative is 0, or they give no real numbers: plain arrays come out."""


def unbroadcast(g: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """The sum of g over the axes that broadcasting made larger, so that it has `shape`."""
    g = np.asarray(g)
    if g.shape == shape:
        return g
    g = np.broadcast_to(g, np.broadcast_shapes(g.shape, shape))
    if g.ndim > len(shape):
        g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    ones = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return np.asarray(g.sum(axis=ones, keepdims=True) if ones else g)


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """ufunc(*inputs) where one of them is traced."""
    if method == "reduce" and ufunc in _REDUCTIONS:
        return _REDUCTIONS[ufunc](*inputs, **{k: v for k, v in options.items() if k in ("axis", "keepdims")})
    if method != "__call__" or options:
        how = f"numpy.{ufunc.__name__}" + (f".{method}" if method != "__call__" else f" with {', '.join(options)}")
        raise TypeError(f"{how}: not known to the tape that differentiates your function")
    inputs = [current(x) for x in inputs]
    values = typed(*map(plain, inputs))
    y = ufunc(*values)
    if ufunc in _FLAT:
        return y
    if ufunc is np.matmul:
        return _matmul(inputs, values, y)
    arrays = [np.asarray(v, y.dtype if y.dtype.kind == "f" else None) for v in values]  # where integers would wrap
    rules = (_UNARY[ufunc],) if ufunc in _UNARY else _BINARY.get(ufunc)
    if rules is None:
        raise TypeError(f"numpy.{ufunc.__name__}: not known to the tape that differentiates your function")

    def pullback(rule: Callable[..., Any], shape: tuple[int, ...]) -> Pullback:
        return lambda g: unbroadcast(rule(g, y, *arrays), shape)

    pairs = zip(inputs, rules, strict=True)
    return Traced(y, [(x, pullback(rule, x.shape)) for x, rule in pairs if isinstance(x, Traced)])


def _matmul(inputs: Sequence[Any], values: Sequence[Any], y: Any) -> Traced:
    a, b = (np.asarray(v) for v in values)
    rows, columns = (a if a.ndim > 1 else a[None, :]), (b if b.ndim > 1 else b[:, None])

    def _rows(g: AnyArray) -> AnyArray:  # with the axes that a vector does not have
        if b.ndim == 1:
            g = np.expand_dims(g, -1)
        return np.expand_dims(g, -2) if a.ndim == 1 else g

    def back_a(g: AnyArray) -> AnyArray:
        return unbroadcast(np.matmul(_rows(g), np.swapaxes(columns, -1, -2)), rows.shape).reshape(a.shape)

    def back_b(g: AnyArray) -> AnyArray:
        return unbroadcast(np.matmul(np.swapaxes(rows, -1, -2), _rows(g)), columns.shape).reshape(b.shape)

    backs = (back_a, back_b)
    return Traced(y, [(x, back) for x, back in zip(inputs, backs, strict=True) if isinstance(x, Traced)])


def call_function(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """function(*args, **kwargs) where one of the arguments is traced."""
    from .functions import FLAT_FUNCTIONS, FUNCTIONS

    if function in FUNCTIONS:
        return FUNCTIONS[function](*(current(a) for a in args), **{k: current(v) for k, v in kwargs.items()})
    if function in FLAT_FUNCTIONS:
        return function(*(plain(a) for a in args), **{k: plain(v) for k, v in kwargs.items()})
    raise TypeError(
        f"numpy.{function.__name__}: not known to the tape that differentiates your function; write it with the "
        f"operations of lanewise.keras.ops, or on x.numpy() where no gradient is wanted"
    )


def _reduce_sum(x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims)


_REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: _reduce_sum,
    np.maximum: lambda x, axis=0, keepdims=False: np.max(x, axis=axis, keepdims=keepdims),
    np.minimum: lambda x, axis=0, keepdims=False: np.min(x, axis=axis, keepdims=keepdims),
}
