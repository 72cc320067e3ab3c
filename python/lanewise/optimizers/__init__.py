"""Optimizers, by Keras's names and equations; the steps run in the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing
from .._names import deserialize as _deserialize, lookup, resolve, serialize
from . import legacy, schedules
from .base import Optimizer
from .classes import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Ftrl, Lion, Nadam, RMSprop

_CLASSES = (SGD, RMSprop, Adam, AdamW, Adadelta, Adagrad, Adamax, Nadam, Ftrl, Lion)
_TABLE: dict[str, type[Optimizer]] = {name: c for c in _CLASSES for name in (c.__name__, c.__name__.lower())}


def get_class(name: str) -> type[Optimizer]:
    """The class of this name."""
    return lookup("optimizer", name, _TABLE)


def get(identifier: Any) -> Optimizer:
    """An optimizer from a name (upper and lower case alike), a config, a class or an instance."""
    if isinstance(identifier, str) and identifier.lower() in _TABLE:
        identifier = identifier.lower()
    return resolve("optimizer", identifier, _TABLE, Optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer that `serialize` described; a schedule of your own by name in `custom_objects`."""
    if custom_objects and isinstance(config, Mapping) and isinstance(config.get("config"), Mapping):
        return get_class(config["class_name"]).from_config(config["config"], custom_objects)
    return _deserialize("optimizer", config, _TABLE)


__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "Optimizer", "RMSprop",
    "deserialize", "get", "get_class", "legacy", "schedules", "serialize",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
