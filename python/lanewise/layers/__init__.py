"""Layers, by Keras's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing
from .._names import deserialize as _deserialize, lookup, serialize
from .base import Layer
from .core import Activation, Dense, Dropout, Flatten, Input, InputLayer, ReLU, Softmax
from .normalization import Normalization

_TABLE: dict[str, type[Layer]] = {
    cls.__name__: cls for cls in (Activation, Dense, Dropout, Flatten, InputLayer, Normalization, ReLU, Softmax)
}


def get_class(name: str) -> type[Layer]:
    """The class of this name, from a closed table."""
    return lookup("layer", name, _TABLE)


def deserialize(config: Mapping[str, Any]) -> Layer:
    """The layer that `serialize` described."""
    return _deserialize("layer", config, _TABLE)


__all__ = [
    "Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer", "Normalization", "ReLU", "Softmax",
    "deserialize", "get_class", "serialize",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
