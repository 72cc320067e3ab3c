"""Limits on weights, enforced after every step of the optimizer, as Keras's.

The norms are those of the columns of a kernel (k, units), that is of the weights that enter one unit, or of a whole
bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing
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


class Constraint(Configurable):
    """Base of the limits on weights."""

    def limits(self) -> tuple[str, float, float, float]:
        """What the engine is told: ("norm", least norm, largest norm, rate) or ("non_neg", 0, 0, 0)."""
        raise NotImplementedError(f"{type(self).__name__} has no limits")


class MaxNorm(Constraint):
    """Columns longer than `max_value` are scaled down to it.

    Args:
        max_value: largest norm, >= 0.
        axis: 0, the axis along which norms are taken; others are not supported.
    """

    def __init__(self, max_value: float = 2, axis: int = 0) -> None:
        self.max_value = check_not_negative("max_value", max_value)
        self.axis = _first_axis(axis)

    def limits(self) -> tuple[str, float, float, float]:
        return "norm", 0.0, self.max_value, 1.0

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Negative weights become 0."""

    def limits(self) -> tuple[str, float, float, float]:
        return "non_neg", 0.0, 0.0, 0.0


class UnitNorm(Constraint):
    """Columns are scaled to norm 1.

    Args:
        axis: 0, the axis along which norms are taken; others are not supported.
    """

    def __init__(self, axis: int = 0) -> None:
        self.axis = _first_axis(axis)

    def limits(self) -> tuple[str, float, float, float]:
        return "norm", 1.0, 1.0, 1.0

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Columns are scaled to the norm rate * clip(norm, min_value, max_value) + (1 - rate) * norm.

    Args:
        min_value: least norm, >= 0.
        max_value: largest norm, >= min_value.
        rate: how much of the way is gone in one step, in [0, 1].
        axis: 0, the axis along which norms are taken; others are not supported.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0) -> None:
        self.min_value = check_not_negative("min_value", min_value)
        self.max_value = check_not_negative("max_value", max_value)
        if self.max_value < self.min_value:
            raise ValueError(f"max_value: expected at least min_value = {min_value!r}, received {max_value!r}")
        self.rate = 1.0 if rate == 1 else check_below_one("rate", rate)
        self.axis = _first_axis(axis)

    def limits(self) -> tuple[str, float, float, float]:
        return "norm", self.min_value, self.max_value, self.rate

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


def _first_axis(axis: Any) -> int:
    if axis not in (0, [0], (0,)):
        raise NotImplementedError(f"axis: norms are taken along axis 0 (the weights of one unit), received {axis!r}")
    return 0


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_TABLE: dict[str, type[Constraint]] = table_of(
    MaxNorm, NonNeg, UnitNorm, MinMaxNorm, maxnorm=MaxNorm, nonneg=NonNeg, unitnorm=UnitNorm
)


def get_class(name: str) -> type[Constraint]:
    """The class of this name."""
    return lookup("constraint", name, _TABLE)


def get(identifier: Any, argument: str = "constraint") -> Constraint | None:
    """A constraint from None, a name, a config, a class or an instance."""
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
