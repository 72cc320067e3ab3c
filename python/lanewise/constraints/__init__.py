"""Limits on weights, enforced after every step of the optimizer, as Keras's.

`axis` says along which axis of a weight norms are taken: 0, the weights of a kernel (k, units) that enter one unit, or
the whole of a bias; 1, those that leave one input; -1, the last axis; (0, 1), a whole kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _missing
from .._engine import Float32
from .._given import is_own, refuse_methods
from .._names import (
    Configurable,
    check_below_one,
    check_not_negative,
    deserialize as _deserialize,
    lookup,
    resolve,
    serialize,
    table_of,
)

_OTHER = (
    "use NonNeg, MaxNorm, MinMaxNorm or UnitNorm, or a callback with on_train_batch_end(self, batch, logs=None), in "
    "which layer.kernel.assign(...) sets the weight after each step"
)


class Constraint(Configurable):
    """Base of the limits on weights."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_methods(cls, ("__call__",), _OTHER)

    def limits(self) -> tuple[str, float, float, float]:
        """What the engine is told: (which norms, least norm, largest norm, rate) or ("non_neg", 0, 0, 0)."""
        raise NotImplementedError(f"{type(self).__name__} has no limits")

    def __call__(self, w: ArrayLike) -> Float32:
        """w (a NumPy array) within the limits."""
        kind, least, largest, rate = self.limits()
        w = np.asarray(w, np.float32)
        if kind == "non_neg":
            return np.asarray(np.maximum(w, np.float32(0)))
        axis = {"norm": 0, "row_norm": 1, "last_norm": -1, "whole_norm": None}[kind]
        norms = np.sqrt(np.sum(np.square(w, dtype=np.float64), axis=axis, keepdims=True))
        wanted = rate * np.clip(norms, least, largest) + (1 - rate) * norms
        return np.asarray(w * (wanted / (1e-7 + norms)), np.float32)


class MaxNorm(Constraint):
    """Columns longer than `max_value` are scaled down to it.

    Args:
        max_value: largest norm, >= 0.
        axis: along which norms are taken, 0 (see above).
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value = check_not_negative("max_value", max_value)
        self.axis = _checked_axis(axis)

    def limits(self) -> tuple[str, float, float, float]:
        return _kind(self.axis), 0.0, self.max_value, 1.0

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Negative weights become 0."""

    def limits(self) -> tuple[str, float, float, float]:
        return "non_neg", 0.0, 0.0, 0.0


class UnitNorm(Constraint):
    """Columns are scaled to norm 1.

    Args:
        axis: along which norms are taken, 0 (see above).
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = _checked_axis(axis)

    def limits(self) -> tuple[str, float, float, float]:
        return _kind(self.axis), 1.0, 1.0, 1.0

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Columns are scaled to the norm rate * clip(norm, min_value, max_value) + (1 - rate) * norm.

    Args:
        min_value: least norm, >= 0.
        max_value: largest norm, >= min_value.
        rate: how much of the way is gone in one step, in [0, 1].
        axis: along which norms are taken, 0 (see above).
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value = check_not_negative("min_value", min_value)
        self.max_value = check_not_negative("max_value", max_value)
        if self.max_value < self.min_value:
            raise ValueError(f"max_value: expected at least min_value = {min_value!r}, received {max_value!r}")
        self.rate = 1.0 if rate == 1 else check_below_one("rate", rate)
        self.axis = _checked_axis(axis)

    def limits(self) -> tuple[str, float, float, float]:
        return _kind(self.axis), self.min_value, self.max_value, self.rate

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


_KINDS = {(0,): "norm", (1,): "row_norm", (-1,): "last_norm", (-2,): "norm", (0, 1): "whole_norm"}


def _checked_axis(axis: Any) -> Any:
    """The axis as Keras writes it down: a number, or a list of both."""
    axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    if axes not in _KINDS or any(isinstance(a, bool) for a in axes):
        raise ValueError(f"axis: expected 0, 1, -1, -2 or (0, 1), received {axis!r}")
    return axes[0] if len(axes) == 1 else list(axes)


def _kind(axis: Any) -> str:
    return _KINDS[tuple(axis) if isinstance(axis, list) else (axis,)]


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_TABLE: dict[str, type[Constraint]] = table_of(
    MaxNorm, NonNeg, UnitNorm, MinMaxNorm, maxnorm=MaxNorm, nonneg=NonNeg, unitnorm=UnitNorm
)


def get_class(name: str) -> type[Constraint]:
    """The class of this name."""
    return lookup("constraint", name, _TABLE)


def get(identifier: Any, argument: str = "constraint") -> Constraint | None:
    """A constraint from None, a name, a config, a class or an instance.

    Raises:
        NotImplementedError: a function.
    """
    if isfunction(identifier) and is_own(identifier):
        raise NotImplementedError(f"{argument}: a function is no constraint here: {_OTHER}")
    return None if identifier is None else resolve(argument, identifier, _TABLE, Constraint)


def deserialize(config: Mapping[str, Any]) -> Constraint:
    """The constraint that `serialize` described."""
    return _deserialize("constraint", config, _TABLE)


__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "get_class",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

__getattr__ = _missing.getter(__name__, __all__)
