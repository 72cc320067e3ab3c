"""NumPy's functions of traced arrays: each by its own rule, or written with those that have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .rules import unbroadcast
from .tape import AnyArray, Pullback, Traced, plain, typed


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _kept(g: AnyArray, ndim: int, axis: Any, keepdims: bool) -> AnyArray:
    """g with the reduced axes back in place, so that it broadcasts against what was reduced."""
    if keepdims:
        return g
    return np.reshape(g, (1,) * ndim) if axis is None else np.asarray(np.expand_dims(g, axis))


def _sum(x: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Any:
    axis, shape = _axes(axis), x.shape
    y = np.sum(x.value, axis=axis, dtype=dtype, keepdims=keepdims)
    return Traced(y, [(x, lambda g: np.broadcast_to(_kept(g, len(shape), axis, keepdims), shape))])


def _mean(x: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Any:
    total = _sum(x, axis, dtype, keepdims=keepdims)
    return total / float(x.size / (total.size or 1))


def _prod(x: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Any:
    axis, value = _axes(axis), x.value
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % x.ndim for a in axes)

    def back(g: AnyArray) -> AnyArray:  # the product of all others, right where one of them is 0
        last = np.moveaxis(value, axes, range(-len(axes), 0))
        flat = last.reshape(*last.shape[: x.ndim - len(axes)], -1)
        ones = np.ones_like(flat[..., :1])
        before = np.cumprod(np.concatenate([ones, flat[..., :-1]], -1), -1)
        after = np.cumprod(np.concatenate([ones, flat[..., :0:-1]], -1), -1)[..., ::-1]
        others = np.moveaxis((before * after).reshape(last.shape), range(-len(axes), 0), axes)
        return _kept(g, x.ndim, axis, keepdims) * others

    return Traced(np.prod(value, axis=axis, keepdims=keepdims), [(x, back)])


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    """max or min: the gradient is shared by all elements that are equal to it."""

    def reduced(x: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Any:
        axis = _axes(axis)
        y = function(x.value, axis=axis, keepdims=keepdims)

        def back(g: AnyArray) -> AnyArray:
            chosen = x.value == _kept(y, x.ndim, axis, keepdims)
            return np.asarray(chosen * (_kept(g, x.ndim, axis, keepdims) / chosen.sum(axis=axis, keepdims=True)))

        return Traced(y, [(x, back)])

    return reduced


def _var(x: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False) -> Any:
    centred = x - _mean(x, axis, keepdims=True)
    mean = _mean(centred * centred, axis, keepdims=keepdims)
    count = x.size / (mean.size or 1)
    return mean if ddof == 0 else mean * float(count / (count - ddof))


def _std(x: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False) -> Any:
    return np.sqrt(_var(x, axis, ddof=ddof, keepdims=keepdims))


def _average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return _mean(x, axis) if isinstance(x, Traced) else np.mean(x, axis)
    return np.sum(np.multiply(x, weights), axis=axis) / np.sum(np.multiply(np.ones_like(plain(x)), weights), axis=axis)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    axis = _axes(axis)
    matrix = (axis is None and x.ndim > 1) or (isinstance(axis, tuple) and len(axis) > 1)
    if ord not in (None, 1, 2) or (ord is not None and matrix):
        raise TypeError(f"numpy.linalg.norm: expected ord=1 or 2 of vectors, received ord={ord!r}, axis={axis!r}")
    if ord == 1:
        return np.sum(np.absolute(x), axis=axis, keepdims=keepdims)
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _cumsum(x: Any, axis: Any = None, dtype: Any = None, out: None = None) -> Any:
    if axis is None:
        return _cumsum(_reshape(x, -1), 0)
    return Traced(np.cumsum(x.value, axis), [(x, lambda g: np.flip(np.cumsum(np.flip(g, axis), axis), axis))])


# --- shapes ---------------------------------------------------------------------------------------------------------


def _reshape(x: Any, shape: Any = None, newshape: Any = None, order: str = "C") -> Any:
    if order != "C":
        raise TypeError(f"numpy.reshape: expected order='C', received {order!r}")
    new = np.reshape(x.value, newshape if shape is None else shape)
    return Traced(new, [(x, lambda g: np.reshape(g, x.shape))])


def _transpose(x: Any, axes: Any = None) -> Any:
    back = None if axes is None else np.argsort([a % x.ndim for a in axes]).tolist()
    return Traced(np.transpose(x.value, axes), [(x, lambda g: np.transpose(g, back))])


def _moved(function: Callable[..., Any], inverse: Callable[..., Any]) -> Callable[..., Any]:
    """A function that only moves elements; `inverse` takes its other arguments too."""

    def moved(x: Any, *args: Any, **kwargs: Any) -> Any:
        return Traced(function(x.value, *args, **kwargs), [(x, lambda g: inverse(g, *args, **kwargs))])

    return moved


def _reshaped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that only gives another shape to the same elements."""

    def reshaped(x: Any, *args: Any, **kwargs: Any) -> Any:
        return Traced(function(x.value, *args, **kwargs), [(x, lambda g: np.reshape(g, x.shape))])

    return reshaped


def _gathered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result is made of elements of x: the gradient is added up where each came from."""

    def gathered(x: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = plain(args), {k: plain(v) for k, v in kwargs.items()}
        places = function(np.arange(x.size).reshape(x.shape), *args, **kwargs)

        def back(g: AnyArray) -> AnyArray:
            return np.bincount(places.ravel(), g.ravel().astype(np.float64), x.size).reshape(x.shape)

        return Traced(x.value.ravel()[places], [(x, back)])

    return gathered


def _pad(x: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    if mode in ("edge", "reflect", "symmetric", "wrap") and not options:
        return _gathered(np.pad)(x, pad_width, mode)
    if mode != "constant" or isinstance(pad_width, dict):
        raise TypeError(f"numpy.pad: expected 'constant', 'edge', 'reflect', 'symmetric' or 'wrap', received {mode!r}")
    before = np.broadcast_to(pad_width, (x.ndim, 2))[:, 0]
    inside = tuple(slice(first, first + n) for first, n in zip(before, x.shape, strict=True))
    return Traced(np.pad(x.value, pad_width, mode, **options), [(x, lambda g: g[inside])])


def _split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    places = np.split(np.arange(x.shape[axis]), indices_or_sections)
    return [x[(slice(None),) * (axis % x.ndim) + (slice(p[0], p[-1] + 1) if len(p) else slice(0, 0),)] for p in places]


def _concatenate(arrays: Sequence[Any], axis: int | None = 0, **options: Any) -> Any:
    if axis is None:
        return _concatenate([np.reshape(a, -1) for a in arrays])
    values = [np.asarray(plain(a)) for a in arrays]
    y = np.concatenate(values, axis)
    ends = np.cumsum([v.shape[axis] for v in values]).tolist()
    lead = (slice(None),) * (axis % y.ndim)

    def part(start: int, stop: int) -> Pullback:
        return lambda g: g[(*lead, slice(start, stop))]

    spans = zip(arrays, [0, *ends[:-1]], ends, strict=True)
    return Traced(y, [(a, part(start, stop)) for a, start, stop in spans if isinstance(a, Traced)])


def _stack(arrays: Sequence[Any], axis: int = 0, **options: Any) -> Any:
    return _concatenate([np.expand_dims(a, axis) for a in arrays], axis)


def _broadcast_to(x: Any, shape: Any, subok: bool = False) -> Any:
    return Traced(np.broadcast_to(x.value, shape), [(x, lambda g: unbroadcast(g, x.shape))])


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None:
        return np.where(plain(condition))
    chosen = plain(condition)

    def part(a: Any, first: bool) -> Pullback:
        return lambda g: unbroadcast(np.where(chosen, g, 0) if first else np.where(chosen, 0, g), a.shape)

    made_of = [(a, part(a, first)) for a, first in ((x, True), (y, False)) if isinstance(a, Traced)]
    return Traced(np.where(chosen, *typed(plain(x), plain(y))), made_of)


def _clip(x: Any, a_min: Any = None, a_max: Any = None, out: None = None, **names: Any) -> Any:
    a_min, a_max = names.get("min", a_min), names.get("max", a_max)
    if isinstance(a_min, Traced) or isinstance(a_max, Traced):
        x = x if a_min is None else np.maximum(x, a_min)
        return x if a_max is None else np.minimum(x, a_max)
    value, a_min, a_max = typed(x.value, a_min, a_max)
    inside = np.ones(value.shape, bool)
    if a_min is not None:
        inside = inside & (value >= a_min)
    if a_max is not None:
        inside = inside & (value <= a_max)
    return Traced(np.clip(value, a_min, a_max), [(x, lambda g: unbroadcast(np.where(inside, g, 0), x.shape))])


# --- products -------------------------------------------------------------------------------------------------------


def _dot(a: Any, b: Any) -> Any:
    if np.ndim(plain(a)) == 0 or np.ndim(plain(b)) == 0:
        return np.multiply(a, b)
    if np.ndim(plain(b)) > 2:
        raise TypeError("numpy.dot: expected arrays of at most two axes; numpy.matmul takes more")
    return np.matmul(a, b)


def _outer(a: Any, b: Any) -> Any:
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


def _einsum(subscripts: str, *operands: Any, **options: Any) -> Any:
    terms, arrow, result = subscripts.replace(" ", "").partition("->")
    names = terms.split(",")
    if not arrow or "." in subscripts or any(len(set(n)) < len(n) for n in (*names, result)):
        raise TypeError(f"numpy.einsum: expected 'ij,jk->ik' with each letter once in a term, received {subscripts!r}")
    values = [np.asarray(plain(x)) for x in operands]

    def back(g: AnyArray, i: int) -> AnyArray:
        others = [(n, v) for j, (n, v) in enumerate(zip(names, values, strict=True)) if j != i]
        seen = set(result).union(*(n for n, _ in others))
        kept = "".join(letter for letter in names[i] if letter in seen)
        part = np.einsum(f"{','.join([result, *(n for n, _ in others)])}->{kept}", g, *(v for _, v in others))
        gaps = [k for k, letter in enumerate(names[i]) if letter not in seen]  # summed over: the same for all
        return unbroadcast(np.expand_dims(part, gaps), values[i].shape)

    y = np.einsum(subscripts, *values)
    return Traced(y, [(x, partial(back, i=i)) for i, x in enumerate(operands) if isinstance(x, Traced)])


def _sorted(x: Any, axis: int | None = -1, **options: Any) -> Any:
    if axis is None:
        return _sorted(_reshape(x, -1))
    return FUNCTIONS[np.take_along_axis](x, np.argsort(x.value, axis, kind="stable"), axis)


def _median(x: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    if axis is None:
        median = _median(_reshape(x, -1), 0)
        return _reshape(median, (1,) * x.ndim) if keepdims else median
    ordered, n = np.moveaxis(_sorted(x, axis), axis, 0), x.shape[axis]
    middle = ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) * 0.5
    middle = np.where(np.isnan(ordered[-1].value), ordered[-1], middle)  # where NaNs are, they come last
    return np.expand_dims(middle, axis) if keepdims else middle


def _negative(shift: Any) -> Any:
    return [-int(n) for n in shift] if isinstance(shift, list | tuple) else -int(shift)


_maximum_of, _minimum_of = _extreme(np.max), _extreme(np.min)

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _sum, np.mean: _mean, np.prod: _prod, np.max: _maximum_of, np.amax: _maximum_of, np.min: _minimum_of,
    np.amin: _minimum_of, np.var: _var, np.std: _std, np.average: _average, np.cumsum: _cumsum, np.linalg.norm: _norm,
    np.reshape: _reshape, np.transpose: _transpose, np.ravel: _reshaped(np.ravel), np.squeeze: _reshaped(np.squeeze),
    np.expand_dims: _reshaped(np.expand_dims), np.swapaxes: _moved(np.swapaxes, np.swapaxes),
    np.moveaxis: _moved(np.moveaxis, lambda g, source, destination: np.moveaxis(g, destination, source)),
    np.flip: _moved(np.flip, np.flip),
    np.roll: _moved(np.roll, lambda g, shift, axis=None: np.roll(g, _negative(shift), axis)),
    np.pad: _pad, np.take: _gathered(np.take), np.take_along_axis: _gathered(np.take_along_axis),
    np.tile: _gathered(np.tile),
    np.repeat: _gathered(np.repeat), np.diff: lambda x, n=1, axis=-1: _diff(x, n, axis), np.split: _split,
    np.diagonal: _gathered(np.diagonal), np.concatenate: _concatenate, np.stack: _stack,
    np.broadcast_to: _broadcast_to, np.where: _where, np.clip: _clip, np.dot: _dot, np.outer: _outer,
    np.einsum: _einsum, np.sort: _sorted, np.median: _median, np.copy: lambda x: x,
    np.nan_to_num: lambda x, nan=0.0, **options: _where(np.isnan(x.value), nan, x),
}  # fmt: skip

FLAT_FUNCTIONS = {
    np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.full_like, np.argmax, np.argmin, np.argsort, np.any,
    np.all, np.round, np.around, np.count_nonzero, np.array_equal, np.allclose, np.isclose, np.result_type, np.bincount,
    np.searchsorted, np.digitize, np.isin, np.unique, np.percentile, np.quantile, np.nonzero, np.array_repr,
    np.array_str, np.array2string, np.iscomplexobj, np.isneginf, np.isposinf,
}  # fmt: skip
"""Their derivative is 0, or they give no real numbers: plain arrays come out."""


def _diff(x: Any, n: int, axis: int) -> Any:
    for _ in range(n):
        lead = (slice(None),) * (axis % x.ndim)
        x = x[(*lead, slice(1, None))] - x[(*lead, slice(None, -1))]
    return x


def log_sum_exp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) without overflow."""
    axis = _axes(axis)
    value = plain(x)
    top = np.max(value, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(value.dtype if hasattr(value, "dtype") else np.float32)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    if keepdims:
        return total
    return np.reshape(total, np.shape(np.sum(value, axis=axis)))
