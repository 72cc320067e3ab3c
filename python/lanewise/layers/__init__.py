"""Layers, by Keras's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing
from .._names import deserialize as _deserialize, lookup, serialize
from .activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .base import Layer
from .categories import CategoryEncoding, Discretization
from .core import Dense, Identity, Input, InputLayer
from .embedding import Embedding, Masking
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
from .noise import AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from .normalization import BatchNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from .pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from .preprocessing import Normalization, Rescaling
from .reshaping import Flatten, Permute, RepeatVector, Reshape
from .symbolic import Function
from .vocabulary import IntegerLookup, StringLookup

_TABLE: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        Activation, Add, AlphaDropout, Average, BatchNormalization, CategoryEncoding, Concatenate, Dense,
        Discretization, Dot, Dropout, ELU, Embedding, Flatten, Function, GaussianDropout, GaussianNoise,
        GlobalAveragePooling1D, GlobalMaxPooling1D, Identity, InputLayer, IntegerLookup, LayerNormalization, LeakyReLU,
        Masking, Maximum, Minimum, Multiply, Normalization, Permute, PReLU, ReLU, RepeatVector, Rescaling, Reshape,
        RMSNormalization, Softmax, StringLookup, Subtract, UnitNormalization,
    )
}  # fmt: skip

GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D


def get_class(name: str) -> type[Layer]:
    """The class of this name, from a closed table."""
    return lookup("layer", name, _TABLE)


def deserialize(config: Mapping[str, Any]) -> Layer:
    """The layer that `serialize` described."""
    return _deserialize("layer", config, _TABLE)


__all__ = [
    "ELU", "Activation", "Add", "AlphaDropout", "Average", "BatchNormalization", "CategoryEncoding", "Concatenate",
    "Dense", "Discretization", "Dot", "Dropout", "Embedding", "Flatten", "GaussianDropout", "GaussianNoise",
    "GlobalAveragePooling1D", "GlobalAvgPool1D", "GlobalMaxPool1D", "GlobalMaxPooling1D", "Identity", "Input",
    "InputLayer", "IntegerLookup", "Layer", "LayerNormalization", "LeakyReLU", "Masking", "Maximum", "Minimum",
    "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "ReLU", "RepeatVector", "Rescaling",
    "Reshape", "Softmax", "StringLookup", "Subtract", "UnitNormalization", "add", "average", "concatenate",
    "deserialize", "dot", "get_class", "maximum", "minimum", "multiply", "serialize", "subtract",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
