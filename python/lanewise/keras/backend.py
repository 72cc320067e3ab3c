"""`keras.backend`: what scripts still ask of it. The mathematics is that of `keras.ops`, under its older names too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import _missing
from ..random import normal as random_normal, uniform as random_uniform
from ..utils import clear_session
from . import ops as _ops
from .ops import *  # noqa: F403

_epsilon = 1e-7


def floatx() -> str:
    """'float32'."""
    return "float32"


def set_floatx(value: str) -> None:
    """Accepts 'float32'. Raises NotImplementedError for anything else."""
    if value != "float32":
        raise NotImplementedError(f"value: layers compute in float32, received {value!r}")


def epsilon() -> float:
    """1e-7, or what `set_epsilon` was given."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """What `epsilon` returns; layers and losses keep their own."""
    global _epsilon
    _epsilon = float(value)


def backend() -> str:
    """'lanewise'."""
    return "lanewise"


def image_data_format() -> str:
    """'channels_last'."""
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Accepts 'channels_last'. Raises NotImplementedError for anything else."""
    if data_format != "channels_last":
        raise NotImplementedError(f"data_format: only 'channels_last', received {data_format!r}")


def set_learning_phase(value: Any) -> None:
    """Accepted; dropout is on where training=True, and in `fit`."""


# --- reading and writing weights and learning rates -----------------------------------------------------------------


def get_value(x: Any) -> Any:
    """The value of a weight (an ndarray) or of a learning rate (a float)."""
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x: Any, value: Any) -> None:
    """Overwrite a weight or `model.optimizer.learning_rate`.

    Raises:
        TypeError: neither of these.
    """
    if not hasattr(x, "assign"):
        raise TypeError(f"x: expected a weight or an optimizer's learning_rate, received {x!r}")
    x.assign(value)


def batch_get_value(tensors: Iterable[Any]) -> list[Any]:
    """The values of several weights."""
    return [get_value(x) for x in tensors]


def batch_set_value(tuples: Iterable[tuple[Any, Any]]) -> None:
    """Overwrite several weights: pairs of weight and value."""
    for x, value in tuples:
        set_value(x, value)


eval = get_value


def int_shape(x: Any) -> tuple[int, ...]:
    """The shape."""
    return tuple(x.shape)


def count_params(x: Any) -> int:
    """Number of elements."""
    return int(np.prod(x.shape))


# --- older names of operations --------------------------------------------------------------------------------------


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Any:
    """value as an array."""
    array = _ops.convert_to_tensor(value, dtype)
    return array if shape is None else _ops.broadcast_to(array, shape)


def cast_to_floatx(x: Any) -> Any:
    """x as float32."""
    return np.asarray(x, np.float32)


def pow(x: Any, a: Any) -> Any:
    """x**a, elementwise."""
    return _ops.power(x, a)


def argmax(x: Any, axis: int = -1) -> Any:
    """Where the largest element stands along an axis."""
    return _ops.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """Where the least element stands along an axis."""
    return _ops.argmin(x, axis)


def cumsum(x: Any, axis: int = 0) -> Any:
    """Sums so far along an axis."""
    return _ops.cumsum(x, axis)


def expand_dims(x: Any, axis: int = -1) -> Any:
    """x with one more axis."""
    return _ops.expand_dims(x, axis)


def repeat(x: Any, n: int) -> Any:
    """(rows, columns) n times, (rows, n, columns)."""
    return _ops.repeat(_ops.expand_dims(x, 1), n, 1)


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element `rep` times along an axis."""
    return _ops.repeat(x, rep, axis)


def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Arrays one after the other along an axis."""
    return _ops.concatenate(tensors, axis)


def permute_dimensions(x: Any, pattern: Any) -> Any:
    """Axes in another order."""
    return _ops.transpose(x, pattern)


def flatten(x: Any) -> Any:
    """The same elements along one axis."""
    return _ops.ravel(x)


def batch_flatten(x: Any) -> Any:
    """The same elements, all axes but the first as one."""
    return _ops.reshape(x, (_ops.shape(x)[0], -1))


def gather(reference: Any, indices: Any) -> Any:
    """Rows by their places."""
    return _ops.take(reference, indices, 0)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One or the other (values or functions), elementwise."""
    first, second = (e() if callable(e) else e for e in (then_expression, else_expression))
    return _ops.where(condition, first, second)


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """x divided by its norm along an axis."""
    return _ops.normalize(x, axis)


__all__ = [
    "argmax", "argmin", "backend", "batch_flatten", "batch_get_value", "batch_set_value", "cast_to_floatx",
    "clear_session", "concatenate", "constant", "count_params", "cumsum", "epsilon", "eval", "expand_dims", "flatten",
    "floatx", "gather", "get_value", "image_data_format", "int_shape", "l2_normalize", "permute_dimensions", "pow",
    "random_normal", "random_uniform", "repeat", "repeat_elements", "set_epsilon", "set_floatx",
    "set_image_data_format", "set_learning_phase", "set_value", "switch",
]  # fmt: skip
__all__ += [name for name in _ops.__all__ if name not in __all__]

__getattr__ = _missing.getter(__name__, __all__)
