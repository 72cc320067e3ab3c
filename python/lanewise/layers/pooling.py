"""Mean and maximum over time: GlobalAveragePooling1D, GlobalMaxPooling1D."""

from __future__ import annotations

from typing import Any

from .._engine import Builder
from .base import Layer
from .operation import Shape


class _GlobalPooling1D(Layer):
    """(n, time, k) -> (n, k), or (n, 1, k) with keepdims=True.

    Args:
        data_format: 'channels_last' or None.
        keepdims: whether the axis of time stays, with one step.
    """

    operation: str

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        if data_format not in (None, "channels_last"):
            raise NotImplementedError(f"data_format: only 'channels_last' is supported, received {data_format!r}")
        self.keepdims = bool(keepdims)
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ValueError(f"{self.name}: expected input of shape (rows, time, channels), received {input_shape}")
        return (input_shape[0], *((1,) if self.keepdims else ()), input_shape[2])

    def lower(self, builder: Builder, value: int) -> int:
        value = self.pooled(builder, value)
        return builder.add("reshape", value, axis0=1, axis1=builder.shape(value)[0]) if self.keepdims else value

    def pooled(self, builder: Builder, value: int) -> int:
        """(time, k) -> (k,)."""
        return builder.add(self.operation, value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": "channels_last", "keepdims": self.keepdims}


class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean over the steps of each sample that are not masked: (n, time, k) -> (n, k); NaN where all are."""

    operation = "average_pool"
    mask_use = "used"

    def pooled(self, builder: Builder, value: int) -> int:
        mask = builder.masks.get(value)
        if mask is None:
            return super().pooled(builder, value)
        counted = builder.add("multiply", [value, builder.broadcast(mask, builder.shape(value))])
        total, steps = builder.summed(counted), builder.summed(mask)
        return builder.add("divide", [total, builder.broadcast(steps, builder.shape(total))])


class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest over the steps of each sample: (n, time, k) -> (n, k). Equal ones share the gradient."""

    operation = "max_pool"
    mask_use = "drops"
