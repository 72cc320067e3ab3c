"""`tf.nn`: the activation functions, and the cross-entropies of logits."""

from typing import Any

from . import _missing, activations as _source
from .activations import *  # noqa: F403
from .keras import ops as _ops
from .random import dropout


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    """x / sqrt(max(sum x**2, epsilon))."""
    return x * _ops.rsqrt(_ops.maximum(_ops.sum(_ops.square(x), axis, True), epsilon))


def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """Binary cross-entropy of sigmoid(logits), elementwise."""
    return _ops.binary_crossentropy(labels, logits, from_logits=True)


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1) -> Any:
    """Cross-entropy of softmax(logits) along an axis."""
    return _ops.categorical_crossentropy(labels, logits, True, axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """Cross-entropy of softmax(logits) along the last axis, for integer labels."""
    return _ops.sparse_categorical_crossentropy(labels, logits, True)


top_k = _ops.top_k

__all__ = [
    "dropout", "l2_normalize", "sigmoid_cross_entropy_with_logits", "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits", "top_k",
]  # fmt: skip
__all__ += [name for name in _source.__all__ if name not in ("get", "serialize", "deserialize", "lower")]

__getattr__ = _missing.getter(__name__, __all__)
