"""Normalization and Rescaling: columns brought to a scale by statistics of the data, or by given numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._arrays import as_array
from .._engine import Builder, Float32, Float64, Weight
from ..initializers import Ones, Zeros
from .base import Layer, match_rank
from .operation import Shape

_SMALLEST_STD = 1e-7  # Keras's epsilon: a constant column becomes 0, not a division by zero


class Normalization(Layer):
    """y = (x - mean)/max(sqrt(variance), 1e-7) by column of the last axis, or its inverse; never trained.

    Args:
        axis: -1, one mean and variance for each column; None, one for all elements.
        mean, variance: given together, instead of `adapt`: a number or one for each column.
        invert: True takes y back to x: x = y * max(sqrt(variance), 1e-7) + mean.
    """

    def __init__(
        self, axis: Any = -1, mean: ArrayLike | None = None, variance: ArrayLike | None = None, invert: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        self.invert = bool(invert)
        if isinstance(axis, list | tuple) and len(axis) == 1:
            axis = axis[0]
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int)):
            raise NotImplementedError(f"axis: only the last axis (-1) or None is supported, received {axis!r}")
        if (mean is None) != (variance is None):
            raise ValueError(f"mean, variance: give both or none, received mean={mean!r}, variance={variance!r}")
        self.axis: int | None = axis
        self._given = None if mean is None else (_statistics("mean", mean), _statistics("variance", variance))
        if self._given is not None and (self._given[1] < 0).any():
            raise ValueError(f"variance: expected numbers >= 0, received {variance!r}")
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise ValueError(f"{self.name}: expected input of two axes or more, received {input_shape}")
        if self.axis not in (None, -1, len(input_shape) - 1):
            raise NotImplementedError(f"axis: only the last axis or None is supported, received {self.axis}")
        columns = self._mean.shape[0] if self.built else None
        if self._given is not None and self._given[0].size != 1:
            columns = self._given[0].size
        if columns not in (None, input_shape[-1]):
            raise ValueError(f"{self.name}: the last axis of the input must be {columns}, received shape {input_shape}")
        return input_shape

    def make_weights(self, shape: tuple[int, ...]) -> None:
        columns = (shape[-1],)
        self._mean = Weight("mean", f"{self.name}/mean", Zeros()(columns), trainable=False)
        self._variance = Weight("variance", f"{self.name}/variance", Ones()(columns), trainable=False)
        self._std = Weight("std", f"{self.name}/std", Ones()(columns), trainable=False)
        self._variance.after_assign = self._refresh
        if self._given is None:
            self._weights = [self._mean, self._variance]
        else:
            self._mean.assign(np.broadcast_to(self._given[0], columns))
            self._variance.assign(np.broadcast_to(self._given[1], columns))

    def _refresh(self) -> None:
        self._std.assign(np.maximum(np.sqrt(self._variance.numpy()), np.float32(_SMALLEST_STD)))

    @property
    def mean(self) -> Float32:
        """The means (columns,). Raises ValueError before the layer is built or adapted."""
        self._check_built("mean")
        return self._mean.numpy()

    @property
    def variance(self) -> Float32:
        """The variances (columns,). Raises ValueError before the layer is built or adapted."""
        self._check_built("variance")
        return self._variance.numpy()

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Take mean and variance (of the population, /n) from data, in float64 by a fixed order of sums.

        Args:
            data: (n, ..., columns), or (n,) for one column; what `fit` takes as x.
            batch_size, steps: accepted; the data is read once, in place.

        Raises:
            ValueError: mean and variance were given, or the width is another one.
        """
        if self._given is not None:
            raise ValueError(f"{self.name}: adapt() has nothing to do: mean= and variance= were given")
        x = match_rank(as_array("data", data), None)
        self.build((None, *x.shape[1:]))
        mean, variance = _engine.column_moments(x.reshape(-1, x.shape[-1] if self.axis is not None else 1))
        self._mean.assign(np.broadcast_to(mean, self._mean.shape))
        self._variance.assign(np.broadcast_to(variance, self._variance.shape))

    def lower(self, builder: Builder, value: int) -> int:
        if self.invert:
            return builder.add("scale_columns", value, [self._std.variable, self._mean.variable])
        return builder.add("normalize", value, [self._mean.variable, self._std.variable])

    def get_config(self) -> dict[str, Any]:
        mean, variance = (None, None) if self._given is None else (s.tolist() for s in self._given)
        return {**super().get_config(), "axis": self.axis, "mean": mean, "variance": variance, "invert": self.invert}


def _statistics(argument: str, value: Any) -> Float64:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(f"{argument}: expected finite numbers, received {value!r}")
    return array.astype(np.float64).reshape(-1)


class Rescaling(Layer):
    """y = x * scale + offset.

    Args:
        scale: a number, or one for each column of the last axis.
        offset: likewise; 0.
        **kwargs: see `Layer`.
    """

    def __init__(self, scale: ArrayLike, offset: ArrayLike = 0.0, **kwargs: Any) -> None:
        self._numbers = (_statistics("scale", scale), _statistics("offset", offset))
        self._given = {key: np.asarray(v).tolist() for key, v in (("scale", scale), ("offset", offset))}
        super().__init__(**kwargs)

    @property
    def scale(self) -> Any:
        """What x is multiplied by, as it was given."""
        return self._given["scale"]

    @property
    def offset(self) -> Any:
        """What is added, as it was given."""
        return self._given["offset"]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for key, numbers in zip(self._given, self._numbers, strict=True):
            if numbers.size not in (1, input_shape[-1]):
                raise ValueError(
                    f"{self.name}: {key} has {numbers.size} numbers, the input has {input_shape[-1]} columns"
                )
        return input_shape

    def make_weights(self, shape: tuple[int, ...]) -> None:
        self._constants = [
            Weight(key, f"{self.name}/{key}", Zeros()(shape[-1:] or (1,)), trainable=False) for key in self._given
        ]
        for weight, numbers in zip(self._constants, self._numbers, strict=True):
            weight.assign(np.broadcast_to(numbers, weight.shape))

    def lower(self, builder: Builder, value: int) -> int:
        return builder.add("scale_columns", value, [weight.variable for weight in self._constants])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._given}
