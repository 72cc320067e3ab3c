"""Activation functions by name: NumPy in, NumPy out; inside a model they are operations of the engine.

On a symbolic tensor they make the layer that computes them.

Every function takes arrays of any shape and gives float32 of that shape; NaN stays NaN. Meanings and defaults are
Keras's (`keras.activations`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _engine, _registry
from ._engine import Float32
from ._names import check_finite, check_not_negative, check_number, check_positive, lookup
from ._operators import TracedBase

Activation = Callable[..., Float32]
"""A function of this module, or a layer that is an activation: `LeakyReLU(0.1)`."""

Operation = tuple[str, dict[str, float]]
"""An operation of the engine and its numbers, in the order in which the kernel has them."""

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


# --- what an activation is to the engine ------------------------------------------------------------------------


def relu_operation(negative_slope: Any = 0.0, max_value: Any = None, threshold: Any = 0.0) -> Operation:
    """relu with Keras's arguments, checked."""
    slope = check_finite("negative_slope", negative_slope)
    low = check_not_negative("threshold", threshold)
    most = np.inf if max_value is None else check_number("max_value", max_value, "a number >= 0", lambda v: v >= 0)
    if slope == 0.0 and low == 0.0 and most == np.inf:
        return "relu", {}
    return "leaky_relu", {"slope": slope, "threshold": low, "most": most}


def elu_operation(alpha: Any = 1.0, rate: float = 1.0, scale: float = 1.0) -> Operation:
    """x > 0: scale * x, else alpha * (exp(rate * x) - 1)."""
    return "elu", {"alpha": check_finite("alpha", alpha), "rate": rate, "scale": scale}


def _ramp(width: float, shift: float, least: float) -> Operation:
    """(x + shift) / width, cut to [least, 1]."""
    return "hard_sigmoid", {"width": width, "shift": shift, "least": least}


_PLAIN = (
    "sigmoid", "tanh", "softmax", "log_softmax", "exponential", "softsign", "gelu", "silu", "mish", "hard_silu",
)  # fmt: skip
_OPERATIONS: dict[str, Operation] = {
    "relu": relu_operation(),
    "leaky_relu": relu_operation(0.2),
    "relu6": relu_operation(max_value=6.0),
    "elu": elu_operation(),
    "celu": elu_operation(),
    "selu": elu_operation(_SELU_SCALE * _SELU_ALPHA, 1.0, _SELU_SCALE),
    "hard_sigmoid": _ramp(6.0, 3.0, 0.0),
    "hard_tanh": _ramp(1.0, 0.0, -1.0),
    "sparse_sigmoid": _ramp(2.0, 1.0, 0.0),
    "softplus": ("softplus", {"sign": 1.0}),
    "log_sigmoid": ("softplus", {"sign": -1.0}),
    **{name: (name, {}) for name in _PLAIN},
}
"""What each function is with its default arguments; linear is none."""


def operation_of(name: str) -> Operation:
    """The operation of the activation of this name, with its default arguments."""
    return _OPERATIONS[name]


def _is_symbolic(x: Any) -> bool:
    return hasattr(x, "_keras_history")


def _apply(operation: Operation, x: Any) -> Float32:
    if _is_symbolic(x):  # a layer is called on it
        called: Float32 = _as_layer(operation)(x)
        return called
    if isinstance(x, TracedBase):  # inside a function of a person's own: gradients flow through it
        from .custom.layer import engine_call

        traced: Float32 = engine_call(lambda b, values: b.add(operation[0], values, (), **operation[1]), [x], [], False)
        return traced
    array = np.ascontiguousarray(x, dtype=np.float32)
    rows = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)
    name, numbers = operation
    return _engine.activation_rows(name, rows, *numbers.values()).reshape(array.shape)


def _as_layer(operation: Operation) -> Any:
    """The layer that computes an operation."""
    from . import layers

    name, numbers = operation
    known = next((key for key, other in _OPERATIONS.items() if other == operation), None)
    if known is not None:
        return layers.Activation(known)
    if name == "leaky_relu":
        most = None if numbers["most"] == np.inf else numbers["most"]
        return layers.ReLU(most, numbers["slope"], numbers["threshold"])
    if name == "elu" and numbers["rate"] == numbers["scale"] == 1.0:
        return layers.ELU(numbers["alpha"])
    raise NotImplementedError(f"{name}: on a symbolic tensor only with its default arguments, received {numbers}")


def _along(name: str, x: Any, axis: int) -> Float32:
    if _is_symbolic(x):
        if axis not in (-1, len(x.shape) - 1):
            raise NotImplementedError(f"axis: {name} of a symbolic tensor runs along the last axis, received {axis}")
        return _apply((name, {}), x)
    array: Any = x if isinstance(x, TracedBase) else np.asarray(x)
    if array.ndim < 1:
        raise ValueError(f"x: {name} expects rank 1 or more, received a single number")
    if array.ndim == 1 and axis in (0, -1):
        row: Float32 = _apply((name, {}), array[None])[0]
        return row
    return np.moveaxis(_apply((name, {}), np.moveaxis(array, axis, -1)), -1, axis)


# --- the functions ----------------------------------------------------------------------------------------------


def linear(x: ArrayLike) -> Float32:
    """x as float32."""
    given: Any = x
    if _is_symbolic(x) or isinstance(x, TracedBase):
        same: Float32 = given
        return same
    return np.asarray(x, dtype=np.float32)


def relu(x: ArrayLike, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Float32:
    """max(x, 0); with its arguments: x above `threshold` but at most `max_value`, else slope * (x - threshold).

    Raises:
        ValueError: max_value or threshold below 0.
    """
    return _apply(relu_operation(negative_slope, max_value, threshold), x)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2, alpha: float | None = None) -> Float32:
    """x > 0: x, else negative_slope * x (TensorFlow's name for it, `alpha`, is accepted)."""
    return _apply(relu_operation(negative_slope if alpha is None else alpha), x)


def relu6(x: ArrayLike) -> Float32:
    """min(max(x, 0), 6)."""
    return _apply(_OPERATIONS["relu6"], x)


def elu(x: ArrayLike, alpha: float = 1.0) -> Float32:
    """x > 0: x, else alpha * (exp(x) - 1) (Clevert et al. 2016)."""
    return _apply(elu_operation(alpha), x)


def celu(x: ArrayLike, alpha: float = 1.0) -> Float32:
    """x > 0: x, else alpha * (exp(x / alpha) - 1) (Barron 2017).

    Raises:
        ValueError: alpha not above 0.
    """
    alpha = check_positive("alpha", alpha)
    return _apply(elu_operation(alpha, 1.0 / alpha), x)


def selu(x: ArrayLike) -> Float32:
    """1.0507... * (x > 0: x, else 1.6732... * (exp(x) - 1)) (Klambauer et al. 2017)."""
    return _apply(_OPERATIONS["selu"], x)


def gelu(x: ArrayLike, approximate: bool = False) -> Float32:
    """x * (1 + erf(x / sqrt(2))) / 2; approximate: x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x**3))).

    Hendrycks and Gimpel 2016.
    """
    return _apply(("gelu_tanh" if approximate else "gelu", {}), x)


def silu(x: ArrayLike) -> Float32:
    """x * sigmoid(x); also called swish (Ramachandran et al. 2017)."""
    return _apply(_OPERATIONS["silu"], x)


def mish(x: ArrayLike) -> Float32:
    """x * tanh(log(1 + exp(x))) (Misra 2019)."""
    return _apply(_OPERATIONS["mish"], x)


def softplus(x: ArrayLike) -> Float32:
    """log(1 + exp(x))."""
    return _apply(_OPERATIONS["softplus"], x)


def softsign(x: ArrayLike) -> Float32:
    """x / (1 + abs(x))."""
    return _apply(_OPERATIONS["softsign"], x)


def exponential(x: ArrayLike) -> Float32:
    """exp(x)."""
    return _apply(_OPERATIONS["exponential"], x)


def sigmoid(x: ArrayLike) -> Float32:
    """1 / (1 + exp(-x))."""
    return _apply(_OPERATIONS["sigmoid"], x)


def log_sigmoid(x: ArrayLike) -> Float32:
    """-log(1 + exp(-x))."""
    return _apply(_OPERATIONS["log_sigmoid"], x)


def hard_sigmoid(x: ArrayLike) -> Float32:
    """(x + 3) / 6, cut to [0, 1]."""
    return _apply(_OPERATIONS["hard_sigmoid"], x)


def sparse_sigmoid(x: ArrayLike) -> Float32:
    """(x + 1) / 2, cut to [0, 1]."""
    return _apply(_OPERATIONS["sparse_sigmoid"], x)


def hard_silu(x: ArrayLike) -> Float32:
    """x * hard_sigmoid(x); also called hard_swish (Howard et al. 2019)."""
    return _apply(_OPERATIONS["hard_silu"], x)


def tanh(x: ArrayLike) -> Float32:
    """Hyperbolic tangent."""
    return _apply(_OPERATIONS["tanh"], x)


def hard_tanh(x: ArrayLike) -> Float32:
    """x, cut to [-1, 1]."""
    return _apply(_OPERATIONS["hard_tanh"], x)


def softmax(x: ArrayLike, axis: int = -1) -> Float32:
    """exp(x) / sum(exp(x)) along an axis.

    Raises:
        ValueError: a single number.
    """
    return _along("softmax", x, axis)


def log_softmax(x: ArrayLike, axis: int = -1) -> Float32:
    """x - log(sum(exp(x))) along an axis.

    Raises:
        ValueError: a single number.
    """
    return _along("log_softmax", x, axis)


swish, hard_swish = silu, hard_silu


# --- by name ----------------------------------------------------------------------------------------------------

_TABLE: dict[str, Activation] = {
    f.__name__: f
    for f in (
        linear, relu, leaky_relu, relu6, elu, celu, selu, gelu, silu, mish, softplus, softsign, exponential, sigmoid,
        log_sigmoid, hard_sigmoid, sparse_sigmoid, hard_silu, tanh, hard_tanh, softmax, log_softmax,
    )
} | {"swish": silu, "hard_swish": hard_silu}  # fmt: skip


def get(identifier: Any) -> Activation:
    """The activation for None (linear), a name, a function, an activation layer or its description.

    Raises:
        ValueError: unknown name, or a layer with weights. TypeError: none of these.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return _registry.find_function(identifier) or lookup("activation", identifier, _TABLE)
    if isinstance(identifier, Mapping):
        from . import layers

        identifier = layers.deserialize(identifier)
    if isinstance(identifier, type):
        raise TypeError(
            f"activation: expected a name, function or layer, received a class; write {identifier.__name__}()"
        )
    if hasattr(identifier, "operation"):  # an activation layer
        layer: Activation = identifier
        return layer
    known = _TABLE.get(getattr(identifier, "__name__", ""))
    if known is not None and known is identifier:
        return known
    if hasattr(identifier, "add_weight"):
        raise ValueError(
            f"activation: {type(identifier).__name__} is no activation without weights; put it into the model as a "
            "layer of its own"
        )
    if callable(identifier):
        own: Activation = identifier  # in Python, called once a batch
        return own
    raise TypeError(f"activation: expected a name, received {identifier!r} of type {type(identifier).__name__}")


def serialize(activation: Activation) -> Any:
    """The name of a function; for an activation layer its description."""
    if hasattr(activation, "operation"):
        from . import layers

        return layers.serialize(activation)  # type: ignore[arg-type]
    return _registry.get_registered_name(activation)


def deserialize(config: Any) -> Activation:
    """The activation of this name or description."""
    return get(config)


def lower(activation: Activation, builder: _engine.Builder, value: int) -> int:
    """The operation of this activation on a value of the graph; linear adds none."""
    if activation is linear:
        return value
    if not hasattr(activation, "operation") and _TABLE.get(getattr(activation, "__name__", "")) is not activation:
        from .custom.layer import write_function

        return write_function(activation, builder, value)
    operation: Operation | None = getattr(activation, "operation", None)
    name, numbers = _OPERATIONS[activation.__name__] if operation is None else operation
    return builder.add(name, value, (), **numbers)


__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "serialize", "sigmoid",
    "silu", "softmax", "softplus", "softsign", "sparse_sigmoid", "swish", "tanh",
]  # fmt: skip
