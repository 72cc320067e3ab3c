"""Initializers without randomness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._engine import Float64
from .._names import check_finite
from .base import Initializer


class Zeros(Initializer):
    """All zeros."""

    def values(self, shape: tuple[int, ...]) -> Float64:
        return np.zeros(shape)


class Ones(Initializer):
    """All ones."""

    def values(self, shape: tuple[int, ...]) -> Float64:
        return np.ones(shape)


class Constant(Initializer):
    """One value everywhere, or an array that broadcasts to the shape.

    Args:
        value: number or array.
    """

    def __init__(self, value: ArrayLike = 0.0) -> None:
        self.value = np.asarray(value, dtype=np.float64)

    def values(self, shape: tuple[int, ...]) -> Float64:
        return np.broadcast_to(self.value, shape)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist()}


class Identity(Initializer):
    """gain on the diagonal of a matrix, zero elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_finite("gain", gain)

    def values(self, shape: tuple[int, ...]) -> Float64:
        if len(shape) != 2:
            raise ValueError(f"Identity: expected a shape of two axes, received {shape}")
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
