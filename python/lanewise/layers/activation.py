"""Activation, ReLU, LeakyReLU, ELU, Softmax; PReLU, which learns its slope."""

from __future__ import annotations

from typing import Any

from .. import activations, constraints, initializers, regularizers
from .._engine import Builder, Weight
from .._names import check_not_negative, check_number, serialize
from .base import Layer
from .operation import Shape


class Activation(Layer):
    """An activation as a layer of its own.

    Args:
        activation: name or function of `lanewise.activations`, or an activation layer.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        self.activation = activations.get(activation)
        super().__init__(**kwargs)

    def lower(self, builder: Builder, value: int) -> int:
        return activations.lower(self.activation, builder, value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class _Elementwise(Layer):
    """A layer that is one operation without weights: it also stands as `activation=` of another layer."""

    operation: activations.Operation

    def lower(self, builder: Builder, value: int) -> int:
        name, numbers = self.operation
        return builder.add(name, value, (), **numbers)


class ReLU(_Elementwise):
    """x above `threshold` but at most `max_value`, else negative_slope * (x - threshold).

    Args:
        max_value: >= 0; None is unlimited.
        negative_slope: >= 0.
        threshold: >= 0.

    Raises:
        ValueError: a number below 0.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        self.negative_slope = check_not_negative("negative_slope", negative_slope)
        activations.relu_operation(negative_slope, max_value, threshold)  # raises
        self.max_value = None if max_value is None else float(max_value)
        self.threshold = float(threshold)
        super().__init__(**kwargs)

    @property
    def operation(self) -> activations.Operation:  # type: ignore[override]
        return activations.relu_operation(self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        numbers = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return {**super().get_config(), **numbers}


class LeakyReLU(_Elementwise):
    """x > 0: x, else negative_slope * x.

    Args:
        negative_slope: >= 0.
        alpha: Keras 2's name for it, accepted.

    Raises:
        ValueError: a slope below 0.
    """

    def __init__(self, negative_slope: float = 0.3, alpha: float | None = None, **kwargs: Any) -> None:
        if alpha is not None:
            negative_slope = alpha
        self.negative_slope = check_not_negative("negative_slope", negative_slope)
        super().__init__(**kwargs)

    @property
    def operation(self) -> activations.Operation:  # type: ignore[override]
        return activations.relu_operation(self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_Elementwise):
    """x > 0: x, else alpha * (exp(x) - 1) (Clevert et al. 2016)."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        activations.elu_operation(alpha)  # raises
        self.alpha = float(alpha)
        super().__init__(**kwargs)

    @property
    def operation(self) -> activations.Operation:  # type: ignore[override]
        return activations.elu_operation(self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(_Elementwise):
    """exp(x) / sum(exp(x)) along the last axis.

    Args:
        axis: -1, or the number of the last axis.

    Raises:
        NotImplementedError: another axis.
    """

    mask_use = "refused"

    def __init__(self, axis: int | list[int] | tuple[int, ...] = -1, **kwargs: Any) -> None:
        self.operation = ("softmax", {})
        if isinstance(axis, list | tuple) and len(axis) == 1:
            axis = axis[0]
        if isinstance(axis, list | tuple):
            raise NotImplementedError(f"axis: softmax runs along one axis, the last one; received {axis!r}")
        self.axis = int(check_number("axis", axis, "a whole number", float.is_integer))
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.axis not in (-1, len(input_shape) - 1):
            raise NotImplementedError(
                f"axis: softmax runs along the last axis (-1), received axis={self.axis} for shape {input_shape}"
            )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class PReLU(Layer):
    """x > 0: x, else alpha * x with an alpha for each element of a sample, which is trained (He et al. 2015).

    Args:
        alpha_initializer: first values of alpha.
        alpha_regularizer: penalty on alpha.
        alpha_constraint: limit on alpha, enforced after each step.
        shared_axes: axes (1, 2, ...; the rows are 0) along which one alpha serves all: all axes, or all but the last.

    Raises:
        NotImplementedError: other axes; a norm as the constraint of an alpha with several axes.
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        self.alpha_initializer = initializers.get(alpha_initializer, "alpha_initializer")
        self.alpha_regularizer = regularizers.get(alpha_regularizer, "alpha_regularizer")
        self.alpha_constraint = constraints.get(alpha_constraint, "alpha_constraint")
        if shared_axes is not None and not isinstance(shared_axes, list | tuple):
            shared_axes = [shared_axes]
        self.shared_axes = None if shared_axes is None else [int(axis) for axis in shared_axes]
        super().__init__(**kwargs)
        self.alpha: Weight

    def make_weights(self, shape: tuple[int, ...]) -> None:
        shared = [(axis if axis >= 0 else axis + len(shape) + 1) - 1 for axis in self.shared_axes or ()]
        if any(not 0 <= axis < len(shape) for axis in shared):
            raise ValueError(f"shared_axes: expected axes from 1 to {len(shape)}, received {self.shared_axes}")
        kept = [axis for axis, length in enumerate(shape) if axis not in shared and length > 1]
        unshared = [axis for axis, length in enumerate(shape) if length > 1]
        if kept and kept != unshared and kept != [len(shape) - 1]:
            raise NotImplementedError(
                f"shared_axes: alpha is shared along all axes, all but the last, or none; received {self.shared_axes} "
                f"for samples of shape {shape}"
            )
        own = tuple(1 if axis in shared else length for axis, length in enumerate(shape))
        if len(own) > 1 and not isinstance(self.alpha_constraint, constraints.NonNeg | None):
            raise NotImplementedError("alpha_constraint: the norm of an alpha of several axes is not limited")
        self.alpha = self.add_weight(
            "alpha", own, self.alpha_initializer, self.alpha_regularizer, constraint=self.alpha_constraint, flat=True
        )

    def lower(self, builder: Builder, value: int) -> int:
        return builder.add("prelu", value, [self.alpha.variable])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": serialize(self.alpha_initializer),
            "alpha_regularizer": None if self.alpha_regularizer is None else serialize(self.alpha_regularizer),
            "alpha_constraint": None if self.alpha_constraint is None else serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }
