"""Penalties on weights, added to the loss: l1 * sum |w| + l2 * sum w**2."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _missing
from .._given import is_own, refuse_methods
from .._names import Configurable, check_not_negative, deserialize as _deserialize, lookup, resolve, serialize, table_of

_OTHER = (
    "use L1, L2 or L1L2; for another penalty take model.value_and_grad(x, y), add its gradient to that of the weight, "
    "and give them to model.apply_gradients(gradients)"
)


class Regularizer(Configurable):
    """A penalty l1 * sum |w| + l2 * sum w**2 on one weight.

    Attributes:
        l1: factor of the sum of absolute values, >= 0.
        l2: factor of the sum of squares, >= 0.
    """

    l1: float = 0.0
    l2: float = 0.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_methods(cls, ("__call__",), _OTHER)

    def __call__(self, x: ArrayLike) -> np.float32:
        """The penalty of an array."""
        x = np.asarray(x, np.float64)
        return np.float32(self.l1 * np.abs(x).sum() + self.l2 * np.square(x).sum())


class L1(Regularizer):
    """l1 * sum |w|."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = check_not_negative("l1", 0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """l2 * sum w**2."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = check_not_negative("l2", 0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class L1L2(Regularizer):
    """l1 * sum |w| + l2 * sum w**2."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = check_not_negative("l1", 0.0 if l1 is None else l1)
        self.l2 = check_not_negative("l2", 0.0 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


def l1(l1: float = 0.01) -> L1:
    """L1(l1)."""
    return L1(l1)


def l2(l2: float = 0.01) -> L2:
    """L2(l2)."""
    return L2(l2)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """L1L2(l1, l2)."""
    return L1L2(l1, l2)


_TABLE: dict[str, type[Regularizer]] = table_of(L1, L2, L1L2)


def get_class(name: str) -> type[Regularizer]:
    """The class of this name."""
    return lookup("regularizer", name, _TABLE)


def get(identifier: Any, argument: str = "regularizer") -> Regularizer | None:
    """A regularizer from None, a name, a config, a class or an instance.

    Raises:
        NotImplementedError: a function.
    """
    if isfunction(identifier) and is_own(identifier):
        raise NotImplementedError(f"{argument}: a function is no regularizer here: {_OTHER}")
    return None if identifier is None else resolve(argument, identifier, _TABLE, Regularizer)


def deserialize(config: Mapping[str, Any]) -> Regularizer:
    """The regularizer that `serialize` described."""
    return _deserialize("regularizer", config, _TABLE)


__all__ = ["L1", "L1L2", "L2", "Regularizer", "deserialize", "get", "get_class", "l1", "l1_l2", "l2", "serialize"]

__getattr__ = _missing.getter(__name__, __all__)
