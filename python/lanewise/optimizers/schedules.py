"""Learning rates that follow the step, by Keras's names, arguments and equations.

`optimizer=Adam(learning_rate=CosineDecay(1e-3, decay_steps=1000))`. A schedule is evaluated in float64 for a slice of
steps ahead, so that the engine never waits for Python between two batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _missing
from .._engine import Float64
from .._names import (
    LARGEST,
    Configurable,
    check_finite,
    check_not_negative,
    check_number,
    check_positive,
    deserialize as _deserialize,
    lookup,
    serialize,
    table_of,
)
from . import exact


class Rate(float):
    """A learning rate as a float that also answers `.numpy()`, as a Keras variable does."""

    def numpy(self) -> np.float32:
        """As a NumPy scalar."""
        return np.float32(self)


class LearningRateSchedule(Configurable):
    """Base of the schedules. A subclass of yours defines `__call__(step)`: an integer from 0 in, a number out.

    Attributes:
        name: kept.
    """

    name: str | None = None

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def rates(self, first: int, count: int) -> Float64:
        """Those of the steps first, first + 1, ...

        Raises:
            ValueError: a rate that is negative or not finite.
        """
        return checked_rates(self, [self(step) for step in np.arange(first, first + count, dtype=np.int64)], first)


def checked_rates(source: Any, rates: Any, first: int) -> Float64:
    """rates as float64, all finite and >= 0."""
    array = np.asarray([float(np.asarray(rate)) for rate in rates], np.float64)
    bad = np.flatnonzero(~((array >= 0) & (array <= LARGEST)))
    if bad.size:
        raise ValueError(
            f"learning_rate: expected finite numbers >= 0 from {source!r}, received {array[bad[0]]} for step "
            f"{first + int(bad[0])}"
        )
    return array


class _Formula(LearningRateSchedule):
    """A schedule written down as an equation over an array of steps."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    def at(self, step: Float64) -> Float64:
        """The equation."""
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        value = self.at(np.asarray(step, np.float64))
        return Rate(value) if value.ndim == 0 else value

    def rates(self, first: int, count: int) -> Float64:
        if type(self).__call__ is not _Formula.__call__:  # a person's
            return super().rates(first, count)
        return checked_rates(self, self.at(np.arange(first, first + count, dtype=np.float64)), first)

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}


def _positive(argument: str, value: float) -> float:
    check_positive(argument, value)
    return value


class ExponentialDecay(_Formula):
    """initial_learning_rate * decay_rate**(step / decay_steps); staircase: the quotient is rounded down.

    Args:
        initial_learning_rate: that of step 0.
        decay_steps: > 0.
        decay_rate: >= 0.
        staircase: whether the rate falls in steps.
        name: kept.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False,
        name: str | None = "ExponentialDecay",
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.initial_learning_rate = check_not_negative("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = check_not_negative("decay_rate", decay_rate)
        self.staircase = bool(staircase)

    def at(self, step: Float64) -> Float64:
        part = step / self.decay_steps
        return self.initial_learning_rate * exact.power(self.decay_rate, np.floor(part) if self.staircase else part)


class InverseTimeDecay(_Formula):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps); arguments as `ExponentialDecay`."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False,
        name: str | None = "InverseTimeDecay",
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.initial_learning_rate = check_not_negative("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = check_not_negative("decay_rate", decay_rate)
        self.staircase = bool(staircase)

    def at(self, step: Float64) -> Float64:
        part = step / self.decay_steps
        return self.initial_learning_rate / (1.0 + self.decay_rate * (np.floor(part) if self.staircase else part))


class PiecewiseConstantDecay(_Formula):
    """values[0] up to step boundaries[0] (included), values[1] up to boundaries[1], ..., then values[-1].

    Args:
        boundaries: ascending steps.
        values: learning rates, one more than boundaries.
        name: kept.
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str | None = "PiecewiseConstant"
    ) -> None:
        super().__init__(name)
        self.boundaries = [check_finite("boundaries", b) for b in boundaries]
        self.values = [check_not_negative("values", v) for v in values]
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueError(
                f"values: expected one more than boundaries, received {len(self.values)} values and "
                f"{len(self.boundaries)} boundaries"
            )
        if self.boundaries != sorted(self.boundaries):
            raise ValueError(f"boundaries: expected ascending steps, received {boundaries!r}")

    def at(self, step: Float64) -> Float64:
        rates: Float64 = np.asarray(self.values)[np.searchsorted(self.boundaries, step, side="left")]
        return rates


class PolynomialDecay(_Formula):
    """(initial - end) * (1 - step / decay_steps)**power + end, then end; cycle: decay_steps is multiplied instead.

    Args:
        initial_learning_rate: that of step 0.
        decay_steps: > 0.
        end_learning_rate: that of step decay_steps and later.
        power: >= 0; 1 is a straight line.
        cycle: whether decay_steps becomes the first multiple of itself that is not below step.
        name: kept.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, end_learning_rate: float = 0.0001, power: float = 1.0,
        cycle: bool = False, name: str | None = "PolynomialDecay",
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.initial_learning_rate = check_not_negative("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.end_learning_rate = check_not_negative("end_learning_rate", end_learning_rate)
        self.power = check_not_negative("power", power)
        self.cycle = bool(cycle)

    def at(self, step: Float64) -> Float64:
        if self.cycle:
            part = step / (self.decay_steps * np.maximum(np.ceil(step / self.decay_steps), 1.0))
        else:
            part = np.minimum(step, self.decay_steps) / self.decay_steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * exact.power(1.0 - part, self.power) + self.end_learning_rate


class CosineDecay(_Formula):
    """rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha), then rate * alpha.

    With warmup_target a straight line leads from initial_learning_rate to it in warmup_steps, and the cosine starts
    there; without it the cosine starts at initial_learning_rate.

    Args:
        initial_learning_rate: that of step 0.
        decay_steps: > 0, without the warm-up.
        alpha: what share is left in the end.
        name: kept.
        warmup_target: where the warm-up leads to; None: no warm-up.
        warmup_steps: its length.

    Source: Loshchilov & Hutter 2016.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0, name: str | None = "CosineDecay",
        warmup_target: float | None = None, warmup_steps: float = 0,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.initial_learning_rate = check_not_negative("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.alpha = check_not_negative("alpha", alpha)
        self.warmup_target = None if warmup_target is None else check_not_negative("warmup_target", warmup_target)
        check_not_negative("warmup_steps", warmup_steps)
        self.warmup_steps = warmup_steps

    def at(self, step: Float64) -> Float64:
        target, warm = self.warmup_target, self.warmup_steps
        if target is None:
            target, warm = self.initial_learning_rate, 0
        cosine = exact.cos_pi(np.clip(step - warm, 0.0, self.decay_steps) / self.decay_steps)
        decayed = target * ((1.0 - self.alpha) * 0.5 * (1.0 + cosine) + self.alpha)
        if not warm:
            return np.asarray(decayed)
        rising = (target - self.initial_learning_rate) * (step / warm) + self.initial_learning_rate
        return np.where(step < warm, rising, decayed)


class CosineDecayRestarts(_Formula):
    """`CosineDecay` that starts again: period i lasts first_decay_steps * t_mul**i and begins at rate * m_mul**i.

    Args:
        initial_learning_rate: that of step 0.
        first_decay_steps: > 0.
        t_mul: > 0, growth of the periods.
        m_mul: growth of the rate they begin with.
        alpha: what share is left at the end of a period.
        name: kept.

    Source: Loshchilov & Hutter 2016 (SGDR).
    """

    def __init__(
        self, initial_learning_rate: float, first_decay_steps: float, t_mul: float = 2.0, m_mul: float = 1.0,
        alpha: float = 0.0, name: str | None = "SGDRDecay",
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.initial_learning_rate = check_not_negative("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = _positive("first_decay_steps", first_decay_steps)
        self.t_mul = _positive("t_mul", t_mul)
        self.m_mul = check_not_negative("m_mul", m_mul)
        self.alpha = check_not_negative("alpha", alpha)

    def at(self, step: Float64) -> Float64:
        part = step / self.first_decay_steps  # in lengths of the first period
        if self.t_mul == 1.0:
            period = np.floor(part)
            within = part - period
        else:
            starts, lengths = self._periods(float(np.max(part, initial=0.0)))
            number: NDArray[np.intp] = np.searchsorted(starts, part, side="right") - 1
            period = number.astype(np.float64)
            within = (part - starts[number]) / lengths[number]
        height = 0.5 * exact.power(self.m_mul, period) * (1.0 + exact.cos_pi(np.clip(within, 0.0, 1.0)))
        return self.initial_learning_rate * ((1.0 - self.alpha) * height + self.alpha)

    def _periods(self, last: float) -> tuple[Float64, Float64]:
        """Where the periods up to `last` begin, and their lengths; periods too short to count end the list."""
        starts, lengths = [0.0], [float(self.t_mul) ** 0]
        while starts[-1] + lengths[-1] <= last and starts[-1] + lengths[-1] > starts[-1]:
            if len(starts) == 10_000:
                raise ValueError(f"t_mul: expected less than 10,000 periods, received {self!r}")
            starts.append(starts[-1] + lengths[-1])
            lengths.append(lengths[-1] * self.t_mul)
        return np.asarray(starts), np.asarray(lengths)


class OneCycle(_Formula):
    """Half a cosine up from peak / 25 to peak in the first part of the steps, then half a cosine down to almost 0.

    `callbacks.OneCycle` sets it with the steps of its `fit`. Keras has no such schedule: a .keras file with it is read
    here, not there.

    Args:
        peak: the highest learning rate.
        total_steps: > 0.
        warmup: in (0, 1): the share of the steps that the rise takes.
        start_factor, end_factor: > 0: it begins at peak * start_factor and ends at peak * end_factor.
        first_step: the step with which it begins; before it the rate is that of the beginning.
        name: kept.

    Source: Smith & Topin 2018, with fastai's cosines and ends.
    """

    def __init__(
        self, peak: float, total_steps: float, warmup: float = 0.3, start_factor: float = 0.04,
        end_factor: float = 1e-5, first_step: float = 0, name: str | None = "OneCycle",
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.peak = _positive("peak", peak)
        self.total_steps = _positive("total_steps", total_steps)
        self.warmup = check_number("warmup", warmup, "a number in (0, 1)", lambda v: 0.0 < v < 1.0)
        self.start_factor = _positive("start_factor", start_factor)
        self.end_factor = _positive("end_factor", end_factor)
        self.first_step = check_not_negative("first_step", first_step)

    def at(self, step: Float64) -> Float64:
        part = np.clip((step - self.first_step) / max(self.total_steps - 1.0, 1.0), 0.0, 1.0)
        rising = part < self.warmup
        ends = np.where(rising, self.start_factor, self.end_factor)
        way = np.where(rising, 1.0 - part / self.warmup, (part - self.warmup) / (1.0 - self.warmup))  # from the peak
        share = 0.5 * (1.0 + exact.cos_pi(np.clip(way, 0.0, 1.0)))
        return np.asarray(self.peak * (ends + (1.0 - ends) * share))


_TABLE: dict[str, type[LearningRateSchedule]] = table_of(
    ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay, CosineDecay, CosineDecayRestarts,
    OneCycle,
)  # fmt: skip


def get_class(name: str) -> type[LearningRateSchedule]:
    """The class of this name."""
    return lookup("schedule", name, _TABLE)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` described; classes of your own by name in `custom_objects`."""
    table: dict[str, type[LearningRateSchedule]] = {**_TABLE, **(custom_objects or {})}
    return _deserialize("schedule", config, table)


__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "OneCycle", "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
