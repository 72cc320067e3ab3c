"""Optimizers, by Keras's names and equations; the steps run in the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing
from .._names import deserialize as _deserialize, lookup, resolve, serialize
from .base import Optimizer
from .classes import SGD, Adam, RMSprop

_TABLE: dict[str, type[Optimizer]] = {
    "SGD": SGD, "sgd": SGD, "Adam": Adam, "adam": Adam, "RMSprop": RMSprop, "rmsprop": RMSprop,
}  # fmt: skip


def get_class(name: str) -> type[Optimizer]:
    """The class of this name."""
    return lookup("optimizer", name, _TABLE)


def get(identifier: Any) -> Optimizer:
    """An optimizer from a name, a config, a class or an instance."""
    return resolve("optimizer", identifier, _TABLE, Optimizer)


def deserialize(config: Mapping[str, Any]) -> Optimizer:
    """The optimizer that `serialize` described."""
    return _deserialize("optimizer", config, _TABLE)


__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "deserialize", "get", "get_class", "serialize"]

__getattr__ = _missing.getter(__name__, __all__)
