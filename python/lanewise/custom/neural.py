"""Activations and cross-entropies among the operations of `keras.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .functions import _axes
from .operations import _elementwise, _out, _value, convert_to_tensor, erf, ndim, one_hot, shape
from .tape import Traced, plain

sigmoid = _elementwise(lambda x: 0.5 * np.tanh(0.5 * x) + 0.5, "sigmoid", "1/(1 + exp(-x))")
softplus = _elementwise(lambda x: np.logaddexp(x, 0.0), "softplus", "log(1 + exp(x))")
log_sigmoid = _elementwise(lambda x: -np.logaddexp(-x, 0.0), "log_sigmoid", "log(sigmoid(x))")
softsign = _elementwise(lambda x: x / (1 + np.absolute(x)), "softsign", "x/(1 + |x|)")
silu = swish = _elementwise(lambda x: x * (0.5 * np.tanh(0.5 * x) + 0.5), "silu", "x*sigmoid(x)")


def relu(x: Any) -> Any:
    """max(x, 0), elementwise; its gradient at 0 is 0."""
    x = _value(x)
    return _out(np.where(np.isnan(x.value) | (x.value > 0), x, 0.0) if isinstance(x, Traced) else np.maximum(x, 0))


def _real(x: Any) -> Any:
    """x; integers and bare numbers as float32."""
    x = _value(x)
    return (
        x
        if isinstance(x, Traced) or getattr(x, "dtype", np.dtype(bool)).kind == "f"
        else convert_to_tensor(x, "float32")
    )


def relu6(x: Any) -> Any:
    """max(x, 0), at most 6."""
    return _limited(_value(x), 0, 6)


def hard_sigmoid(x: Any) -> Any:
    """x/6 + 1/2, limited to [0, 1]."""
    x = _real(x)
    result = _limited(x / 6.0 + 0.5, 0.0, 1.0)
    return (
        result if isinstance(result, Traced) else convert_to_tensor(result, x.dtype)
    )  # NumPy 1: float64 of one number


def hard_silu(x: Any) -> Any:
    """x*hard_sigmoid(x)."""
    return _real(x) * hard_sigmoid(x)


def _limited(x: Any, low: float, high: float) -> Any:
    """np.clip, whose gradient at both ends is 0, as the engine's."""
    if not isinstance(x, Traced):
        return _out(np.clip(x, low, high))
    return np.where((x.value > low) & (x.value < high), x, np.clip(x.value, low, high))


hard_swish = hard_silu


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where x > 0, else negative_slope*x."""
    x = _value(x)
    return _out(np.where(np.greater(x, 0), x, np.multiply(x, negative_slope)))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else alpha*(exp(x) - 1)."""
    x = _value(x)
    return _out(np.where(np.greater(x, 0), x, np.multiply(np.expm1(np.where(np.greater(x, 0), 0.0, x)), alpha)))


def selu(x: Any) -> Any:
    """Scaled elu (Klambauer et al. 2017)."""
    return _out(np.multiply(elu(x, 1.6732632423543772848170429916717), 1.0507009873554804934193349852946))


def gelu(x: Any, approximate: bool = True) -> Any:
    """x times the normal distribution function of x; approximate: by tanh."""
    x = _value(x)
    if not approximate:
        return _out(np.multiply(np.multiply(x, 0.5), np.add(erf(np.multiply(x, 0.7071067811865476)), 1.0)))
    inner = np.multiply(np.add(x, np.multiply(np.power(x, 3), 0.044715)), 0.7978845608028654)
    return _out(np.multiply(np.multiply(x, 0.5), np.add(np.tanh(inner), 1.0)))


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x)/sum(exp(x)) along an axis."""
    powers = np.exp(_below_largest(x, axis))
    return _out(powers / np.sum(powers, axis=_axes(axis), keepdims=True))


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x)) along an axis."""
    below = _below_largest(x, axis)
    return _out(below - np.log(np.sum(np.exp(below), axis=_axes(axis), keepdims=True)))


def _below_largest(x: Any, axis: Any) -> Any:
    """x less the largest number along the axis, which no gradient goes through: no digit is lost beside it."""
    x = convert_to_tensor(x, None if isinstance(x, Traced | np.ndarray) else "float32")
    x = x if isinstance(x, Traced) or x.dtype.kind == "f" else convert_to_tensor(x, "float32")
    top = np.max(plain(x), axis=_axes(axis), keepdims=True)
    return x - np.where(np.isfinite(top), top, 0).astype(x.dtype)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """-(t*log(p) + (1 - t)*log(1 - p)), elementwise."""
    target, output = _value(target), _value(output)
    if from_logits:
        return _out(np.logaddexp(output, 0.0) - target * output)
    p = np.clip(output, 1e-7, 1 - 1e-7)
    return _out(-(target * np.log(p) + (1 - target) * np.log(1 - p)))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-sum t*log(p) along an axis."""
    target, output = _value(target), _value(output)
    if from_logits:
        return _out(-np.sum(target * log_softmax(output, axis), axis=axis))
    p = np.clip(output / np.sum(output, axis=axis, keepdims=True), 1e-7, 1 - 1e-7)
    return _out(-np.sum(target * np.log(p), axis=axis))


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-log(p[label]) along an axis."""
    labels, classes = np.asarray(plain(_value(target))), shape(output)[axis]
    if labels.ndim == ndim(output):
        labels = labels.squeeze(-1)
    if np.size(plain(output)):
        target = one_hot(labels, classes, axis)
    else:  # no rows: however many labels and classes there are, only their shape matters
        target = np.moveaxis(np.broadcast_to(np.float32(0), (*labels.shape, classes)), -1, axis)
    return categorical_crossentropy(target, output, from_logits, axis)


__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "elu", "gelu", "hard_sigmoid", "hard_silu", "hard_swish",
    "leaky_relu", "log_sigmoid", "log_softmax", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "sparse_categorical_crossentropy", "swish",
]  # fmt: skip
