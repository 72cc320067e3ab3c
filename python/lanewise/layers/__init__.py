"""Layers, by Keras's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing
from .._names import deserialize as _deserialize, lookup, serialize
from .activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .base import Layer
from .core import Dense, Dropout, Flatten, Input, InputLayer
from .merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .noise import AlphaDropout, GaussianDropout, GaussianNoise
from .normalization import Normalization

_TABLE: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        Activation, Add, AlphaDropout, Average, Concatenate, Dense, Dot, Dropout, ELU, Flatten, GaussianDropout,
        GaussianNoise, InputLayer, LeakyReLU, Maximum, Minimum, Multiply, Normalization, PReLU, ReLU, Softmax, Subtract,
    )
}  # fmt: skip


def get_class(name: str) -> type[Layer]:
    """The class of this name, from a closed table."""
    return lookup("layer", name, _TABLE)


def deserialize(config: Mapping[str, Any]) -> Layer:
    """The layer that `serialize` described."""
    return _deserialize("layer", config, _TABLE)


__all__ = [
    "ELU", "Activation", "Add", "AlphaDropout", "Average", "Concatenate", "Dense", "Dot", "Dropout", "Flatten",
    "GaussianDropout", "GaussianNoise", "Input", "InputLayer", "Layer", "LeakyReLU", "Maximum", "Minimum", "Multiply",
    "Normalization", "PReLU", "ReLU", "Softmax", "Subtract", "add", "average", "concatenate", "deserialize", "dot",
    "get_class", "maximum", "minimum", "multiply", "serialize", "subtract",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
