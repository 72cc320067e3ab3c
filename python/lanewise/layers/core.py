"""Input, Dense, Identity."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import activations, constraints, initializers, regularizers
from .._arrays import sample_shape
from .._engine import Builder, Weight
from .._names import check_default, check_integer, serialize
from .base import Layer
from .operation import KerasTensor, Node, Shape


class InputLayer(Layer):
    """The shape of one sample, as the first entry of a model.

    Args:
        shape: axes of one sample, without the rows.
        batch_size: accepted; models take any number of rows.
        dtype: accepted; every real dtype goes in and is computed with as float32.
        batch_shape: instead of `shape`, with the rows in front.
        name: by default `input_layer`.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        name: str | None = None,
        optional: bool = False,
        input_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        if sparse or ragged or optional:
            raise NotImplementedError("Input: sparse, ragged and optional inputs are not supported")
        if batch_shape is not None:
            shape = tuple(batch_shape)[1:]
        shape = input_shape if shape is None else shape
        if shape is None:
            raise ValueError("shape: expected the axes of one sample, received None")
        super().__init__(name=name, **kwargs)
        self.shape = sample_shape("shape", shape)
        self.given_input_shape = self.shape

        dtype = "float32" if dtype is None else getattr(dtype, "name", dtype)
        if isinstance(dtype, type):
            dtype = np.dtype(dtype).name
        if not isinstance(dtype, str):
            raise TypeError(f"dtype: expected the name of a type, received {str(dtype)[:60]}")
        self.input_dtype = dtype
        self.built = True
        self._sample_shape = self.shape
        self.nodes.append(Node(None, [(None, *self.shape)], [self.name], None))

    def _output_dtype(self) -> str:
        return self.input_dtype

    def lower(self, builder: Builder, value: int) -> int:
        return value

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": [None, *self.shape], "dtype": self.input_dtype, "name": self.name}


def Input(
    shape: Any = None, batch_size: int | None = None, dtype: Any = None, name: str | None = None, **kwargs: Any
) -> KerasTensor:
    """A symbolic tensor for samples of this shape: the first entry of a Sequential, or what layers are called on.

    Args:
        shape: axes of one sample, without the rows.
        batch_size: accepted; models take any number of rows.
        dtype: accepted; every real dtype goes in.
        name: by which `fit` and `predict` find this input in a dict; by default `input_layer`, ...
        **kwargs: see `InputLayer`.
    """
    layer = InputLayer(shape=shape, batch_size=batch_size, dtype=dtype, name=name, **kwargs)
    return layer.tensors_of(0)[0]


class Dense(Layer):
    """y = activation(x @ kernel + bias), x (..., k), kernel (k, units), bias (units,), y (..., units).

    Args:
        units: number of outputs, >= 1.
        activation: name or function of `lanewise.activations`; None is linear.
        use_bias: whether there is a bias.
        kernel_initializer: first values of the kernel (glorot_uniform).
        bias_initializer: first values of the bias (zeros).
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output, divided by the rows of the batch.
        kernel_constraint: limit on the kernel, enforced after each step.
        bias_constraint: limit on the bias.
        lora_rank, lora_alpha, quantization_config: not supported; None.
        **kwargs: see `Layer`.

    Raises:
        ValueError: units below 1, unknown names. NotImplementedError: what is not supported.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        self.units = check_integer("units", units, 1)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.kernel_regularizer = regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = regularizers.get(bias_regularizer, "bias_regularizer")
        self.kernel_constraint = constraints.get(kernel_constraint, "kernel_constraint")
        self.bias_constraint = constraints.get(bias_constraint, "bias_constraint")
        check_default("lora_rank", lora_rank, None, "low-rank adapters are not there yet")
        check_default("lora_alpha", lora_alpha, None, "low-rank adapters are not there yet")
        check_default("quantization_config", quantization_config, None, "quantised layers are not there yet")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.bias: Weight | None = None

    @property
    def kernel(self) -> Weight:
        """The kernel (k, units). Raises ValueError before the layer is built."""
        self._check_built("kernel")
        return self._weights[0]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise ValueError(f"{self.name}: expected input of at least two axes (rows, width), received {input_shape}")
        if self.built and input_shape[-1] != self.kernel.shape[0]:
            raise ValueError(
                f"{self.name}: the last axis of the input must be {self.kernel.shape[0]}, received shape {input_shape}"
            )
        return (*input_shape[:-1], self.units)

    def make_weights(self, shape: tuple[int, ...]) -> None:
        kernel = (shape[-1], self.units)
        self.add_weight(
            "kernel", kernel, self.kernel_initializer, self.kernel_regularizer, constraint=self.kernel_constraint
        )
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", kernel[1:], self.bias_initializer, self.bias_regularizer, constraint=self.bias_constraint
            )

    def lower(self, builder: Builder, value: int) -> int:
        value = builder.add("matmul", value, [self.kernel.variable])
        if self.bias is not None:
            value = builder.add("bias_add", value, [self.bias.variable])
        return activations.lower(self.activation, builder, value)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "kernel_regularizer": None if self.kernel_regularizer is None else serialize(self.kernel_regularizer),
            "bias_regularizer": None if self.bias_regularizer is None else serialize(self.bias_regularizer),
            "kernel_constraint": None if self.kernel_constraint is None else serialize(self.kernel_constraint),
            "bias_constraint": None if self.bias_constraint is None else serialize(self.bias_constraint),
        }


class Identity(Layer):
    """y = x."""

    def lower(self, builder: Builder, value: int) -> int:
        return value
