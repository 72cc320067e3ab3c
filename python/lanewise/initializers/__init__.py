"""Initial values of weights, by Keras's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import _missing
from .._names import deserialize as _deserialize, lookup, resolve, serialize, table_of
from .base import Constant, Identity, Initializer, Ones, Zeros
from .scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

_TABLE: dict[str, type[Initializer]] = table_of(
    Zeros, Ones, Constant, Identity, Orthogonal, RandomUniform, RandomNormal, TruncatedNormal, VarianceScaling,
    GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal,
    zero=Zeros, one=Ones, normal=RandomNormal, uniform=RandomUniform,
    OrthogonalInitializer=Orthogonal, IdentityInitializer=Identity,
)  # fmt: skip

OrthogonalInitializer, IdentityInitializer = Orthogonal, Identity
constant, identity, ones, zeros, orthogonal = Constant, Identity, Ones, Zeros, Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, glorot_normal, glorot_uniform = VarianceScaling, GlorotNormal, GlorotUniform
he_normal, he_uniform, lecun_normal, lecun_uniform = HeNormal, HeUniform, LecunNormal, LecunUniform


class _Function(Initializer):
    """A function of the user's: (shape, dtype=None) -> array."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def values(self, shape: tuple[int, ...]) -> Any:
        return self.function(shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"initializer: a function of yours cannot be saved by name: {self.function!r}")


def get_class(name: str) -> type[Initializer]:
    """The class of this name."""
    return lookup("initializer", name, _TABLE)


def get(identifier: Any, argument: str = "initializer") -> Initializer:
    """An initializer from a name, a config, a class, an instance or a function (shape, dtype)."""
    if callable(identifier) and not isinstance(identifier, Initializer | type):
        return _Function(identifier)
    return resolve(argument, identifier, _TABLE, Initializer)


def deserialize(config: Mapping[str, Any]) -> Initializer:
    """The initializer that `serialize` described."""
    return _deserialize("initializer", config, _TABLE)


__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal",
    "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros", "constant", "deserialize", "get",
    "get_class", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal",
    "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform", "serialize", "truncated_normal",
    "variance_scaling", "zeros",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
