"""What every optimizer is: hyper-parameters that can change between steps, and the engine's state behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _engine
from .._names import Configurable, check_default, check_not_negative, check_number


class LearningRate(float):
    """The learning rate as a float that also answers what scripts ask a Keras variable."""

    _owner: Optimizer

    def numpy(self) -> np.float32:
        """As a NumPy scalar."""
        return np.float32(self)

    def assign(self, value: Any) -> None:
        """Set the optimizer's learning rate."""
        self._owner.learning_rate = value


class Optimizer(Configurable):
    """Base of the optimizers.

    Args:
        engine_name: the engine's name of the equation.
        hyper: its own hyper-parameters, checked.
        learning_rate: >= 0; can be set between epochs and batches.
        weight_decay: decoupled decay, w -= weight_decay * learning_rate * w before each step; None: none.
        clipnorm: each gradient is scaled down to this norm at most.
        clipvalue: each element of a gradient is clipped to [-clipvalue, clipvalue].
        global_clipnorm: all gradients together are scaled down to this norm at most. Only one of the three.
        use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps: only at
            their defaults.
        name: kept.

    Raises:
        ValueError: a hyper-parameter outside its range, or two kinds of clipping.
        NotImplementedError: a learning-rate schedule, or what is not supported.
    """

    def __init__(
        self,
        engine_name: str,
        hyper: dict[str, Any],
        /,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        check_default("use_ema", use_ema, False, "averaged weights are not there yet")
        check_default("ema_overwrite_frequency", ema_overwrite_frequency, None, "averaged weights are not there yet")
        check_default("loss_scale_factor", loss_scale_factor, None, "training is in float32")
        check_default("gradient_accumulation_steps", gradient_accumulation_steps, None, "use a larger batch_size")
        shared: dict[str, Any] = {"weight_decay": weight_decay}
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(f"clipnorm, clipvalue, global_clipnorm: give at most one, received {clips}")
        shared.update(clips)
        for argument, value in shared.items():
            if value is not None:
                shared[argument] = check_not_negative(argument, value)
        self._hyper = hyper
        self._shared = shared
        self.name = engine_name if name is None else name
        self._learning_rate = _check_rate(learning_rate)
        given = {key: value for key, value in shared.items() if value is not None}
        self.native = _engine.make_optimizer(engine_name, learning_rate=self._learning_rate, **hyper, **given)

    @property
    def learning_rate(self) -> LearningRate:
        """Size of a step; setting it holds from the next batch on. Raises ValueError where it is negative or NaN."""
        rate = LearningRate(self._learning_rate)
        rate._owner = self
        return rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate = _check_rate(value)
        self.native.set("learning_rate", self._learning_rate)

    lr = learning_rate

    @property
    def iterations(self) -> int:
        """Number of batches that this optimizer has stepped on."""
        return self.native.iterations

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "learning_rate": self._learning_rate, **self._shared, **self._hyper}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} learning_rate={self._learning_rate}>"


def _check_rate(value: Any) -> float:
    if callable(value):
        raise NotImplementedError(
            f"learning_rate: schedules are not there yet, received {value!r}; set model.optimizer.learning_rate in a "
            "callback instead"
        )
    return check_not_negative("learning_rate", value)


def positive(argument: str, value: Any) -> float:
    """value as a finite float > 0."""
    return check_number(argument, value, "a finite number > 0", lambda v: 0.0 < v < float("inf"))
