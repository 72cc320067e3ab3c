"""Embedding: a row of a table for each id; Masking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import constraints, initializers, regularizers
from .._engine import Builder, Weight
from .._names import check_default, check_finite, check_integer, serialize
from .base import Layer
from .operation import Shape


class Embedding(Layer):
    """y[..., :] = embeddings[x[...]]: ids (n, time) -> (n, time, output_dim).

    Ids are whole numbers of any dtype from 0 to input_dim - 1, read from an input of the model; others raise
    ValueError with their row, before anything runs. The gradient is dense, as in Keras: an optimizer's moments of rows
    that a batch does not name decay too.

    Args:
        input_dim: number of ids.
        output_dim: width of a row.
        embeddings_initializer: first values of the table (uniform in [-0.05, 0.05)).
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: limit on the table, enforced after each step.
        mask_zero: whether steps whose id is 0 do not count in what comes behind (GlobalAveragePooling1D).
        weights: the table's values, (input_dim, output_dim), instead of the initializer's.
        input_length: steps of a sample: input_shape=(input_length,).
        lora_rank, lora_alpha, quantization_config: not supported; None.
        **kwargs: see `Layer`.
    """

    reads_ids = True

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        weights: Any = None, lora_rank: int | None = None, lora_alpha: int | None = None,
        quantization_config: Any = None, input_length: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.input_dim = check_integer("input_dim", input_dim, 1)
        self.output_dim = check_integer("output_dim", output_dim, 1)
        self.embeddings_initializer = initializers.get(embeddings_initializer, "embeddings_initializer")
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer, "embeddings_regularizer")
        self.embeddings_constraint = constraints.get(embeddings_constraint, "embeddings_constraint")
        self.mask_zero = bool(mask_zero)
        check_default("lora_rank", lora_rank, None, "low-rank adapters are not there yet")
        check_default("lora_alpha", lora_alpha, None, "low-rank adapters are not there yet")
        check_default("quantization_config", quantization_config, None, "quantised layers are not there yet")
        if input_length is not None:
            kwargs.setdefault("input_shape", input_length)
        super().__init__(**kwargs)
        if weights is not None:
            self._make_table()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    @property
    def embeddings(self) -> Weight:
        """The table (input_dim, output_dim). Raises ValueError before the layer is built."""
        if not self._weights:
            self._check_built("embeddings")
        return self._weights[0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def make_weights(self, shape: tuple[int, ...]) -> None:
        if not self._weights:
            self._make_table()

    def _make_table(self) -> None:
        self.add_weight(
            "embeddings", (self.input_dim, self.output_dim), self.embeddings_initializer, self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )  # fmt: skip

    def lower(self, builder: Builder, value: int) -> int:
        return builder.add("embedding", value, [self.embeddings.variable])

    @property
    def makes_mask(self) -> bool:
        return self.mask_zero

    def mask_of(self, builder: Builder, values: Sequence[int], masks: Sequence[int | None]) -> int | None:
        (ids,) = values
        return (
            builder.add("differs", builder.reshaped(ids, (*builder.shape(ids), 1)), other=0.0)
            if self.mask_zero
            else None
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": serialize(self.embeddings_initializer),
            "embeddings_regularizer": None
            if self.embeddings_regularizer is None
            else serialize(self.embeddings_regularizer),
            "embeddings_constraint": None
            if self.embeddings_constraint is None
            else serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }


class Masking(Layer):
    """Steps of (n, time, k) that are `mask_value` throughout become 0 and do not count in what comes behind.

    Args:
        mask_value: 0.
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        self.mask_value = check_finite("mask_value", mask_value)
        super().__init__(**kwargs)

    def lower(self, builder: Builder, value: int) -> int:
        mask = builder.add("differs", value, other=self.mask_value)
        return builder.add("multiply", [value, builder.broadcast(mask, builder.shape(value))])

    @property
    def makes_mask(self) -> bool:
        return True

    def mask_of(self, builder: Builder, values: Sequence[int], masks: Sequence[int | None]) -> int | None:
        return builder.add("differs", values[0], other=self.mask_value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
