"""Activation functions by name: NumPy in, NumPy out; inside a model they are operations of the engine.

Formulas: relu max(x, 0); sigmoid 1/(1+exp(-x)); tanh; softmax exp(x_i)/sum_j exp(x_j) along the last axis; linear x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _engine
from ._engine import Float32
from ._names import lookup

Activation = Callable[[ArrayLike], Float32]


def linear(x: ArrayLike) -> Float32:
    """x as float32."""
    return np.asarray(x, dtype=np.float32)


def relu(x: ArrayLike) -> Float32:
    """max(x, 0) elementwise, float32, any shape; NaN stays NaN."""
    return _apply("relu", x)


def sigmoid(x: ArrayLike) -> Float32:
    """1/(1 + exp(-x)) elementwise, float32, any shape."""
    return _apply("sigmoid", x)


def tanh(x: ArrayLike) -> Float32:
    """Hyperbolic tangent elementwise, float32, any shape."""
    return _apply("tanh", x)


def softmax(x: ArrayLike, axis: int = -1) -> Float32:
    """exp(x)/sum(exp(x)) along the last axis, float32; rank 2 or more, as in Keras.

    Raises:
        ValueError: rank below 2. NotImplementedError: another axis than the last.
    """
    array = np.asarray(x)
    if array.ndim < 2:
        raise ValueError(f"x: softmax expects rank 2 or more, received shape {array.shape}")
    if axis not in (-1, array.ndim - 1):
        raise NotImplementedError(f"axis: softmax runs along the last axis, received axis={axis}")
    return _apply("softmax", array)


def _apply(name: str, x: ArrayLike) -> Float32:
    array = np.ascontiguousarray(x, dtype=np.float32)
    rows = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)
    return _engine.activation_rows(name, rows).reshape(array.shape)


_TABLE: dict[str, Activation] = {"linear": linear, "relu": relu, "sigmoid": sigmoid, "tanh": tanh, "softmax": softmax}


def get(identifier: Any) -> Activation:
    """The activation for None (linear), a name, one of these functions, or an activation layer.

    Raises:
        ValueError: unknown name. NotImplementedError: a function of the user's.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return lookup("activation", identifier, _TABLE)
    name = getattr(identifier, "activation_name", getattr(identifier, "__name__", None))
    if isinstance(name, str) and (identifier is _TABLE.get(name) or hasattr(identifier, "activation_name")):
        return _TABLE[name]
    if callable(identifier):
        raise NotImplementedError(
            f"activation: only {', '.join(_TABLE)} run inside the engine, received the function {identifier!r}"
        )
    raise TypeError(f"activation: expected a name, received {identifier!r} of type {type(identifier).__name__}")


def serialize(activation: Activation) -> str:
    """The name of an activation."""
    return str(activation.__name__)


def deserialize(name: str) -> Activation:
    """The activation of this name."""
    return lookup("activation", name, _TABLE)


def lower(activation: Activation, builder: _engine.Builder, value: int) -> int:
    """The operation of this activation on a value of the graph; linear adds none."""
    return value if activation is linear else builder.add(serialize(activation), value)


__all__ = ["deserialize", "get", "linear", "relu", "serialize", "sigmoid", "softmax", "tanh"]
