"""Layers that put the same numbers into another shape: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._engine import Builder
from .._names import check_integer
from .base import Layer
from .operation import Shape


class Flatten(Layer):
    """Samples of any shape as one axis: (n, a, b) -> (n, a*b)."""

    mask_use = "drops"
    moves_ids = True

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        if data_format not in (None, "channels_last"):
            raise NotImplementedError(f"data_format: only 'channels_last' is supported, received {data_format!r}")
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], math.prod(axis or 1 for axis in input_shape[1:]))

    def lower(self, builder: Builder, value: int) -> int:
        return value if len(builder.shape(value)) == 1 else builder.add("reshape", value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": "channels_last"}


class Reshape(Layer):
    """Each sample in another shape of as many elements, row-major.

    Args:
        target_shape: axes of one sample; one of them may be -1.
    """

    mask_use = "drops"
    moves_ids = True

    def __init__(self, target_shape: Sequence[int] | int, **kwargs: Any) -> None:
        axes = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        self.target_shape = tuple(check_integer("target_shape", axis, -1) for axis in axes)
        if 0 in self.target_shape or self.target_shape.count(-1) > 1 or not axes:
            raise ValueError(f"target_shape: expected positive axes, one of them -1 at most, received {target_shape!r}")
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        elements = math.prod(axis or 1 for axis in input_shape[1:])
        known = math.prod(axis for axis in self.target_shape if axis > 0)
        if elements % known or (-1 not in self.target_shape and elements != known):
            raise ValueError(
                f"{self.name}: samples of shape {input_shape[1:]} have {elements} elements, which do not fit "
                f"target_shape={self.target_shape}"
            )
        return (input_shape[0], *(elements // known if axis == -1 else axis for axis in self.target_shape))

    def lower(self, builder: Builder, value: int) -> int:
        axes = self.compute_output_shape((None, *builder.shape(value)))[1:]
        return builder.add("reshape", value, (), **{f"axis{i}": float(axis or 1) for i, axis in enumerate(axes)})

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Permute(Layer):
    """The axes of each sample in another order.

    Args:
        dims: the axes, counted from 1: (2, 1) turns (n, a, b) into (n, b, a).
    """

    mask_use = "drops"
    moves_ids = True

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        self.dims = tuple(check_integer("dims", axis, 1) for axis in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims: expected each axis once, counted from 1, received {dims!r}")
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(f"{self.name}: expected input of {len(self.dims) + 1} axes, received {input_shape}")
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def lower(self, builder: Builder, value: int) -> int:
        return builder.moved(value, lambda rows: np.transpose(rows, (0, *self.dims)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": list(self.dims)}


class RepeatVector(Layer):
    """(n, k) -> (n, times, k): each row several times.

    Args:
        n: how many times.
    """

    mask_use = "drops"

    def __init__(self, n: int, **kwargs: Any) -> None:
        self.n = check_integer("n", n, 1)
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ValueError(f"{self.name}: expected input of shape (rows, width), received {input_shape}")
        return (input_shape[0], self.n, input_shape[1])

    def lower(self, builder: Builder, value: int) -> int:
        return builder.add("repeat", value, times=self.n)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
