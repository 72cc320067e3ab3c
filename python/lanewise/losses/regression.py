"""Losses for numbers. Formulas are for one row of d values; t the target, p the prediction."""

from __future__ import annotations

from typing import Any

from .._names import check_default, check_number, check_positive
from .base import Loss, Param


class MeanSquaredError(Loss):
    """sum (p - t)**2 / d."""

    kernel = "mse"


class MeanAbsoluteError(Loss):
    """sum |p - t| / d."""

    kernel = "mae"


class MeanAbsolutePercentageError(Loss):
    """100 * sum |p - t| / max(|t|, 1e-7) / d."""

    kernel = "mape"


class MeanSquaredLogarithmicError(Loss):
    """sum (log(1 + p) - log(1 + t))**2 / d; p and t count as 1e-7 where they are less, without a gradient there."""

    kernel = "msle"


class Huber(Loss):
    """Mean of e**2/2 where |e| <= delta, else delta*|e| - delta**2/2; e = p - t (Huber 1964).

    Args:
        delta: positive.
    """

    kernel = "huber"
    default_name = "huber_loss"

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:  # fmt: skip
        super().__init__(reduction, name, dtype)
        self.delta = check_positive("delta", delta)

    @property
    def param(self) -> Param:
        return self.delta

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


class LogCosh(Loss):
    """sum log(cosh(p - t)) / d, exact for small and large errors alike."""

    kernel = "log_cosh"


class Poisson(Loss):
    """sum (p - t * log(p + 1e-7)) / d."""

    kernel = "poisson"


class CosineSimilarity(Loss):
    """-(t . p) / (|t| |p|), from -1 (same direction) to 1; a length below 1e-7 counts as that.

    Args:
        axis: -1.
    """

    kernel = "cosine_similarity"
    joint = True

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:  # fmt: skip
        super().__init__(reduction, name, dtype)
        check_default("axis", axis, -1, "the last one")


# --- losses that tables need and Keras does not have -----------------------------------------------------------------


class Quantile(Loss):
    """Mean of max(q * e, (q - 1) * e), e = t - p: the pinball loss, least at the q-quantile of t (Koenker 1978).

    Args:
        q: in (0, 1); 0.5 gives half the absolute error.
    """

    kernel = "quantile"

    def __init__(self, q: float = 0.5, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:  # fmt: skip
        super().__init__(reduction, name, dtype)
        self.q = check_number("q", q, "a number in (0, 1)", lambda v: 0.0 < v < 1.0)

    @property
    def param(self) -> Param:
        return self.q

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "q": self.q}


class _PositiveMean(Loss):
    """A loss whose prediction is a mean m > 0, or log(m) with log_input=True."""

    def __init__(self, log_input: bool, reduction: str | None, name: str | None, dtype: Any) -> None:
        super().__init__(reduction, name, dtype)
        self.log_input = bool(log_input)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "log_input": self.log_input}


class Tweedie(_PositiveMean):
    """Mean of t * m**(1 - w) / (w - 1) + m**(2 - w) / (2 - w): for amounts that are often exactly 0, as claims or rain.

    The negative log-likelihood of a Tweedie distribution of dispersion 1, without what does not depend on m (half of
    its deviance, but for a constant; Jorgensen 1987). Targets are >= 0.

    Args:
        power: w in (1, 2): 1 would be Poisson, 2 gamma.
        log_input: the output is log(m), which needs no activation. Otherwise it is m (activation 'softplus' or
            'exponential'), and counts as 1e-7 where it is less, without a gradient there.
    """

    kernel = "tweedie"
    interval = "not negative"

    def __init__(self, power: float = 1.5, log_input: bool = False, reduction: str | None = "sum_over_batch_size",
                 name: str | None = None, dtype: Any = None) -> None:  # fmt: skip
        super().__init__(log_input, reduction, name, dtype)
        self.power = check_number("power", power, "a number in (1, 2)", lambda v: 1.0 < v < 2.0)

    @property
    def param(self) -> Param:
        return self.power, float(self.log_input)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power": self.power}


class Gamma(_PositiveMean):
    """Mean of t / m + log(m): for positive, skewed amounts, whose error grows with their size.

    The negative log-likelihood of a gamma distribution of shape 1, without what does not depend on m (half of its
    deviance, but for a constant). Targets are > 0.

    Args:
        log_input: the output is log(m), which needs no activation; otherwise m, as in `Tweedie`.
    """

    kernel = "gamma"
    interval = "positive"

    def __init__(self, log_input: bool = False, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:  # fmt: skip
        super().__init__(log_input, reduction, name, dtype)

    @property
    def param(self) -> Param:
        return float(self.log_input)


class GaussianNLL(Loss):
    """Mean of (v + (t - m)**2 * exp(-v)) / 2: a model that says how sure it is (Nix and Weigend 1994).

    The model has two outputs for each target: of 2 d columns, the first d are the means m, the other d the logarithms v
    of the variances; so `Dense(2)` without an activation for targets (n,). The constant log(2 pi) / 2 is left out. A
    variance below 1e-6 counts as that, and is still pushed up by its gradient. Metrics that compare targets with
    predictions of the same shape cannot be used beside it.
    """

    kernel = "gaussian_nll"
    outputs = 2
