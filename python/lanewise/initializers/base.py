"""What an initializer is."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._engine import Float32
from .._names import Configurable, check_default
from ..random import check_seed


class Initializer(Configurable):
    """Makes the first values of a weight: call it with a shape.

    Everything is computed in float64 from +, -, *, / and square roots in a fixed order, then rounded once to
    float32, so that a seed gives the same bits on every machine.
    """

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
        value = np.asarray(self.values(shape))
        if value.shape != shape:
            raise ValueError(f"{type(self).__name__}: expected values of shape {shape}, received {value.shape}")
        return np.ascontiguousarray(value, dtype=np.float32)


class RandomInitializer(Initializer):
    """An initializer with a seed. None: the next values of the global seed (`lanewise.random.set_seed`)."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else check_seed("seed", seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}
