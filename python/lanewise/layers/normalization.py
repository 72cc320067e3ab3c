"""Normalisation inside a network: BatchNormalization, LayerNormalization, RMSNormalization, UnitNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers
from .._engine import Builder, Variable, Weight
from .._names import Configurable, check_default, check_not_negative, check_share, serialize
from ..initializers import Zeros
from .base import Layer
from .operation import Shape


def _last_axis(layer: Layer, axis: Any) -> Any:
    """axis as it was given; only the last one, or [the last one], is supported."""
    given = list(axis) if isinstance(axis, list | tuple) else [axis]
    if len(given) != 1 or isinstance(given[0], bool) or not isinstance(given[0], int | np.integer):
        raise NotImplementedError(f"axis: only the last axis is supported, received {axis!r}")
    return axis if isinstance(axis, list) else int(given[0])


def _constant(columns: tuple[int, ...], value: float) -> Weight:
    """What stands in the place of a weight that the layer does not have."""
    weight = Weight("constant", "constant", Zeros()(columns), trainable=False)
    weight.assign(np.full(columns, value, np.float32))
    return weight


def _optional(value: Configurable | None) -> dict[str, Any] | None:
    return None if value is None else serialize(value)


class _Normalizing(Layer):
    """Along the last axis: checks it."""

    axis: Any

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        last = self.axis[0] if isinstance(self.axis, list) else self.axis
        if len(input_shape) < 2:
            raise ValueError(f"{self.name}: expected input of at least two axes (rows, width), received {input_shape}")
        if last not in (-1, len(input_shape) - 1):
            raise NotImplementedError(f"axis: only the last axis is supported, received {last} for {input_shape}")
        if self._weights and input_shape[-1] != self._weights[0].shape[0]:
            raise ValueError(
                f"{self.name}: the last axis of the input must be {self._weights[0].shape[0]}, received shape "
                f"{input_shape}"
            )
        return input_shape


class _GammaBeta(_Normalizing):
    """Those with a scale gamma and an offset beta for each column."""

    def __init__(
        self, axis: Any, epsilon: float, center: bool, scale: bool, beta_initializer: Any, gamma_initializer: Any,
        beta_regularizer: Any, gamma_regularizer: Any, beta_constraint: Any, gamma_constraint: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.axis = _last_axis(self, axis)
        self.epsilon = check_not_negative("epsilon", epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer, "beta_initializer")
        self.gamma_initializer = initializers.get(gamma_initializer, "gamma_initializer")
        self.beta_regularizer = regularizers.get(beta_regularizer, "beta_regularizer")
        self.gamma_regularizer = regularizers.get(gamma_regularizer, "gamma_regularizer")
        self.beta_constraint = constraints.get(beta_constraint, "beta_constraint")
        self.gamma_constraint = constraints.get(gamma_constraint, "gamma_constraint")
        super().__init__(**kwargs)
        self.gamma: Weight | None = None
        self.beta: Weight | None = None

    def make_weights(self, shape: tuple[int, ...]) -> None:
        columns = shape[-1:]
        if self.scale:
            self.gamma = self.add_weight(
                "gamma", columns, self.gamma_initializer, self.gamma_regularizer, constraint=self.gamma_constraint
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", columns, self.beta_initializer, self.beta_regularizer, constraint=self.beta_constraint
            )
        self._gamma = self.gamma or _constant(columns, 1.0)
        self._beta = self.beta or _constant(columns, 0.0)

    def _scale_and_offset(self) -> list[Variable]:
        return [self._gamma.variable, self._beta.variable]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": serialize(self.beta_initializer),
            "gamma_initializer": serialize(self.gamma_initializer),
            "beta_regularizer": _optional(self.beta_regularizer),
            "gamma_regularizer": _optional(self.gamma_regularizer),
            "beta_constraint": _optional(self.beta_constraint),
            "gamma_constraint": _optional(self.gamma_constraint),
        }


class BatchNormalization(_GammaBeta):
    """y = (x - mean)/sqrt(variance + epsilon) * gamma + beta by column of the last axis (Ioffe and Szegedy 2015).

    In training, mean and variance (of the population, /n) are those of the batch, and once a step
    moving = moving * momentum + statistic * (1 - momentum). Otherwise, and always with trainable=False, they are the
    moving ones. `model(x, training=True)` moves them too, as in Keras; `value_and_grad` does not.

    Args:
        axis: -1, the last.
        momentum: of the moving statistics, in [0, 1].
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: first values (zeros, ones).
        moving_mean_initializer, moving_variance_initializer: likewise (zeros, ones).
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: limits, enforced after each step.
        renorm, renorm_clipping, renorm_momentum, synchronized: not supported; their defaults.
        **kwargs: see `Layer`.
    """

    mask_use = "refused"

    in_training = "statistics"

    def __init__(
        self, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
        beta_constraint: Any = None, gamma_constraint: Any = None, renorm: bool = False, renorm_clipping: Any = None,
        renorm_momentum: float = 0.99, synchronized: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.momentum = check_share("momentum", momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer, "moving_mean_initializer")
        self.moving_variance_initializer = initializers.get(moving_variance_initializer, "moving_variance_initializer")
        check_default("renorm", renorm, False, "batch renormalisation is not there")
        check_default("renorm_clipping", renorm_clipping, None, "batch renormalisation is not there")
        check_default("synchronized", synchronized, False, "there is one machine")
        super().__init__(
            axis, epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.moving_mean: Weight | None = None
        self.moving_variance: Weight | None = None

    def make_weights(self, shape: tuple[int, ...]) -> None:
        super().make_weights(shape)
        columns = shape[-1:]
        self.moving_mean = self.add_weight("moving_mean", columns, self.moving_mean_initializer, trainable=False)
        self.moving_variance = self.add_weight(
            "moving_variance", columns, self.moving_variance_initializer, trainable=False
        )

    @property
    def frozen(self) -> list[Weight]:
        return [] if self.trainable or self.moving_mean is None else [self.moving_mean]

    def lower(self, builder: Builder, value: int) -> int:
        moving = [weight.variable for weight in (self.moving_mean, self.moving_variance) if weight is not None]
        if builder.mode is False:
            builder.frozen.append(moving[0])
        return builder.add(
            "batch_norm", value, [*self._scale_and_offset(), *moving], momentum=self.momentum, epsilon=self.epsilon
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "moving_mean_initializer": serialize(self.moving_mean_initializer),
            "moving_variance_initializer": serialize(self.moving_variance_initializer),
            "renorm": False,
            "renorm_clipping": None,
            "renorm_momentum": 0.99,
            "synchronized": False,
        }


class LayerNormalization(_GammaBeta):
    """y = (x - mean)/sqrt(variance + epsilon) * gamma + beta, mean and variance of each row (Ba, Kiros, Hinton 2016).

    Args:
        axis: -1, the last.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: first values (zeros, ones).
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: limits, enforced after each step.
        rms_scaling: not supported; False. See `RMSNormalization`.
        **kwargs: see `Layer`.
    """

    def __init__(
        self, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None,
        rms_scaling: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_default("rms_scaling", rms_scaling, False, "which Keras has given up; use RMSNormalization")
        super().__init__(
            axis, epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip

    def lower(self, builder: Builder, value: int) -> int:
        return builder.add("layer_norm", value, self._scale_and_offset(), epsilon=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rms_scaling": False}


class RMSNormalization(_Normalizing):
    """y = x/sqrt(mean(x**2) + epsilon) * scale by row (Zhang and Sennrich 2019).

    Args:
        axis: -1, the last.
        epsilon: added to the mean square.
        **kwargs: see `Layer`.
    """

    mask_use = "drops"

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        self.axis = _last_axis(self, axis)
        self.epsilon = check_not_negative("epsilon", epsilon)
        super().__init__(**kwargs)

    def make_weights(self, shape: tuple[int, ...]) -> None:
        self.scale = self.add_weight("scale", shape[-1:], initializers.Ones())
        self._offset = _constant(shape[-1:], 0.0)

    def lower(self, builder: Builder, value: int) -> int:
        return builder.add("rms_norm", value, [self.scale.variable, self._offset.variable], epsilon=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(_Normalizing):
    """y = x/max(|x|, 1e-12), |x| the Euclidean length of each row.

    Args:
        axis: -1, the last.
        **kwargs: see `Layer`.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        self.axis = _last_axis(self, axis)
        super().__init__(**kwargs)

    def lower(self, builder: Builder, value: int) -> int:
        return builder.add("unit_norm", value, epsilon=1e-12)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
