"""Metrics that are the mean of a loss's row values. Formulas and arguments are those of the losses."""

from __future__ import annotations

import math
from typing import Any

from .. import losses
from .._names import check_default
from ..losses.base import Param
from ..losses.classification import CrossEntropy
from .base import Metric


class MeanSquaredError(Metric):
    """Mean of the squared errors."""

    kernel = "mse"


class RootMeanSquaredError(Metric):
    """Square root of the mean of the squared errors."""

    kernel = "mse"

    def from_mean(self, mean: float) -> float:
        return math.sqrt(mean) if mean >= 0.0 else math.nan  # as weights below 0 can make it


class MeanAbsoluteError(Metric):
    """Mean of the absolute errors."""

    kernel = "mae"


class MeanAbsolutePercentageError(Metric):
    """Mean of 100 * |p - t| / max(|t|, 1e-7)."""

    kernel = "mape"


class MeanSquaredLogarithmicError(Metric):
    """Mean of (log(1 + p) - log(1 + t))**2."""

    kernel = "msle"


class LogCoshError(Metric):
    """Mean of log(cosh(p - t))."""

    kernel = "log_cosh"
    default_name = "logcosh"


class CosineSimilarity(Metric):
    """Mean of (t . p) / (|t| |p|), from -1 to 1 (same direction); the loss of that name has the other sign.

    Args:
        axis: -1.
    """

    kernel = "cosine_similarity"
    joint = True

    def __init__(self, name: str | None = None, dtype: Any = None, axis: int = -1) -> None:
        check_default("axis", axis, -1, "the last one")
        super().__init__(name, dtype)

    def from_mean(self, mean: float) -> float:
        return -mean


class Poisson(Metric):
    """Mean of p - t * log(p + 1e-7)."""

    kernel = "poisson"


class KLDivergence(Metric):
    """Mean over rows of sum t * log(t / p)."""

    kernel = "kl_divergence"
    joint = True


class Hinge(Metric):
    """Mean of max(1 - t * p, 0), targets -1 or 0, and 1."""

    kernel = "hinge"


class SquaredHinge(Metric):
    """Mean of max(1 - t * p, 0)**2."""

    kernel = "squared_hinge"


class CategoricalHinge(Metric):
    """Mean over rows of max(max_c (1 - t_c) * p_c - sum t * p + 1, 0)."""

    kernel = "categorical_hinge"
    joint = True


class _Parametric(Metric):
    """The mean of a loss with parameters of its own, which it takes."""

    loss: type[losses.Loss]
    fixed: tuple[str, ...] = ()

    def __init__(self, name: str | None = None, dtype: Any = None, **parameters: Any) -> None:
        self._loss = self.loss(**parameters)
        super().__init__(name, dtype)

    @property
    def param(self) -> Param:
        return self._loss.param

    def param_for(self, columns: int) -> Param:
        return self._loss.param_for(columns)

    def kernel_after(self, operation: str) -> tuple[str, bool]:
        return self._loss.kernel_after(operation)

    def get_config(self) -> dict[str, Any]:
        config = self._loss.get_config()
        del config["reduction"]
        return {**config, "name": self.name}


class Huber(_Parametric):
    """Mean of the Huber loss."""

    loss = losses.Huber
    kernel = loss.kernel

    def __init__(self, name: str | None = None, dtype: Any = None, delta: float = 1.0) -> None:
        super().__init__(name, dtype, delta=delta)


class Quantile(_Parametric):
    """Mean of the pinball loss of the quantile q."""

    loss = losses.Quantile
    kernel = loss.kernel

    def __init__(self, q: float = 0.5, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype, q=q)


class Tweedie(_Parametric):
    """Mean of the Tweedie loss."""

    loss = losses.Tweedie
    kernel = loss.kernel
    interval = loss.interval

    def __init__(self, power: float = 1.5, log_input: bool = False, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype, power=power, log_input=log_input)


class Gamma(_Parametric):
    """Mean of the gamma loss."""

    loss = losses.Gamma
    kernel = loss.kernel
    interval = loss.interval

    def __init__(self, log_input: bool = False, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype, log_input=log_input)


class GaussianNLL(Metric):
    """Mean of the Gaussian negative log-likelihood; the prediction holds means and log variances."""

    kernel = "gaussian_nll"
    outputs = 2


class _CrossEntropy(_Parametric):
    """A metric with the rules of a cross-entropy loss."""

    loss: type[CrossEntropy]

    def __init__(
        self, name: str | None = None, dtype: Any = None, from_logits: bool = False, label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class BinaryCrossentropy(_CrossEntropy):
    """Mean of the binary cross-entropy."""

    loss = losses.BinaryCrossentropy
    kernel = loss.kernel
    interval = "unit"

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["axis"]  # Keras's has none
        return config


class CategoricalCrossentropy(_CrossEntropy):
    """Mean of the categorical cross-entropy, for one-hot targets."""

    loss = losses.CategoricalCrossentropy
    kernel = loss.kernel
    joint = True


class SparseCategoricalCrossentropy(_Parametric):
    """Mean of the categorical cross-entropy, for integer labels."""

    loss = losses.SparseCategoricalCrossentropy
    kernel = loss.kernel
    joint = True
    sparse = True

    def __init__(
        self, name: str | None = None, dtype: Any = None, from_logits: bool = False, ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)


class BinaryFocalCrossentropy(_Parametric):
    """Mean of the binary focal cross-entropy with the arguments of the loss at their defaults."""

    loss = losses.BinaryFocalCrossentropy
    kernel = loss.kernel
    interval = "unit"


class CategoricalFocalCrossentropy(_Parametric):
    """Mean of the categorical focal cross-entropy with the arguments of the loss at their defaults."""

    loss = losses.CategoricalFocalCrossentropy
    kernel = loss.kernel
    joint = True
