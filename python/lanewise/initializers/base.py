"""What an initializer is, and those without randomness."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._engine import Float32, Float64
from .._names import Configurable, check_default, check_finite
from .._structure import Held, Within
from ..random import check_seed

_left = Held()


def zeros_only(elements: int) -> Within[list[int]]:
    """Inside, every initializer gives zeros, `elements` of them in all: what a file is read into.

    The first values of a model that is about to be overwritten cost nothing then and take nothing from the random
    streams, and layers that ask for more weights than the file holds are refused before memory is taken.
    """
    return Within(_left, [elements])


_items = Held()


def few_items(count: int) -> Within[list[int]]:
    """Inside, what a description names by a number alone, such as thresholds of metrics, may be so many in all."""
    return Within(_items, [count])


def take_items(argument: str, count: int) -> None:
    """Raises ValueError where a file asks for too many."""
    left = _items.value
    if left is not None:
        left[0] -= count
        if left[0] < 0:
            raise ValueError(f"{argument}: {count} are too many for a file")


class Initializer(Configurable):
    """Makes the first values of a weight: call it with a shape.

    Everything is computed in float64 from +, -, *, / and square roots in a fixed order, then rounded once to
    float32, so that a seed gives the same bits on every machine.
    """

    def clone(self) -> Self:
        """Another with the same arguments."""
        return self.from_config(self.get_config())

    def values(self, shape: tuple[int, ...]) -> Any:
        """float64 values of this shape."""
        raise NotImplementedError(f"{type(self).__name__} must define values(shape) or __call__(shape, dtype=None)")

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Float32:
        """float32 array of this shape.

        Raises:
            ValueError: the values do not have this shape. NotImplementedError: a dtype other than float32.
        """
        check_default("dtype", "float32" if dtype is None else str(np.dtype(dtype)), "float32", "weights are float32")
        shape = tuple(shape)
        left = _left.value
        if left is not None:
            left[0] -= math.prod(shape)
            if left[0] < 0:
                raise ValueError(f"the weights do not have the shapes that the layers ask for: {shape} is too large")
            return np.zeros(shape, np.float32)
        value = np.asarray(self.values(shape))
        if value.shape != shape:
            raise ValueError(f"{type(self).__name__}: expected values of shape {shape}, received {value.shape}")
        return np.asarray(value, np.float32, order="C")


class RandomInitializer(Initializer):
    """An initializer with a seed. None: the next values of the global seed (`lanewise.random.set_seed`)."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else check_seed("seed", seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


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
