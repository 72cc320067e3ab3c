"""What every optimizer is: hyper-parameters that can change between steps, and the engine's state behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from .. import _engine
from .._engine import Array, Float32, Weight
from .._given import refuse_methods
from .._names import Configurable, check_default, check_integer, check_not_negative, check_share, serialize, warn
from .schedules import LearningRateSchedule, Rate, checked_rates, deserialize as _deserialize_schedule


class LearningRate(Rate):
    """The learning rate as a float that also answers what scripts ask a Keras variable."""

    _owner: Optimizer

    def assign(self, value: Any) -> None:
        """Set the optimizer's learning rate."""
        self._owner.learning_rate = value


class Count(int):
    """A number of steps that also answers `.numpy()`."""

    def numpy(self) -> np.int64:
        """As a NumPy scalar."""
        return np.int64(self)


class Optimizer(Configurable):
    """Base of the optimizers.

    Args:
        engine_name: the engine's name of the equation.
        hyper: its own hyper-parameters, checked, by the engine's names.
        learning_rate: >= 0, a `schedules.LearningRateSchedule`, or a function without arguments that is asked before
            each slice of an epoch (some 50 ms). Can be set between epochs and batches.
        weight_decay: decoupled decay, w -= weight_decay * learning_rate * w before each step; None: none.
        clipnorm: each gradient is scaled down to this norm at most.
        clipvalue: each element of a gradient is clipped to [-clipvalue, clipvalue].
        global_clipnorm: all gradients together are scaled down to this norm at most. Only one of the three.
        use_ema: whether moving averages of the weights are kept, average = ema_momentum * average +
            (1 - ema_momentum) * weight after each step; they become the weights at the end of `fit`.
        ema_momentum: in [0, 1].
        ema_overwrite_frequency: after every so many steps the averages become the weights; None: only at the end.
        loss_scale_factor: None; training is in float32.
        gradient_accumulation_steps: one step is made for so many batches (>= 2), with the mean of their gradients.
        name: kept.
        decay: ignored with a warning, as in Keras 3.

    Raises:
        ValueError: a hyper-parameter outside its range, or two kinds of clipping.
        NotImplementedError: what is not supported.
    """

    use_ema: bool

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = "for an update rule of your own take model.value_and_grad(x, y) and set each weight: w.assign(...)"
        refuse_methods(cls, ("update_step", "apply_gradients", "apply", "minimize"), own)

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
        decay: float | None = None,
    ) -> None:
        if decay is not None:
            warn("decay: ignored, as in Keras 3; use learning_rate=schedules.InverseTimeDecay(...)")
        check_default("loss_scale_factor", loss_scale_factor, None, "training is in float32")
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(f"clipnorm, clipvalue, global_clipnorm: give at most one, received {clips}")
        shared: dict[str, Any] = {"weight_decay": weight_decay, **clips}
        for argument, value in shared.items():
            if value is not None:
                shared[argument] = check_not_negative(argument, value)
        shared["use_ema"] = bool(use_ema)
        shared["ema_momentum"] = check_share("ema_momentum", ema_momentum)
        shared["ema_overwrite_frequency"] = ema_overwrite_frequency and check_integer(
            "ema_overwrite_frequency", ema_overwrite_frequency, 1
        )
        shared["gradient_accumulation_steps"] = gradient_accumulation_steps and check_integer(
            "gradient_accumulation_steps", gradient_accumulation_steps, 2
        )
        self._shared = shared
        self._hyper = hyper
        self.name = type(self).__name__.lower() if name is None else name
        self._excluded: tuple[frozenset[int], re.Pattern[str] | None] | None = None
        self._weights: Sequence[Weight] = ()
        self._owner: object = None  # of the weights
        self._schedule: Any = None
        self._learning_rate = 0.0
        given = {key: float(value) for key, value in shared.items() if value}
        self.native = _engine.make_optimizer(engine_name, **given, **hyper)
        self._set_rate(learning_rate)
        self.__dict__.update(shared | self._own_config())  # to be read: `beta_1`, `clipnorm`, `use_ema`

    # --- learning rate ------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> LearningRate:
        """Size of a step, of the next one where a schedule gives it; setting it holds from the next batch on.

        Raises:
            ValueError: it is set to a number that is negative or not finite.
            TypeError: it is set to a number while a schedule gives it.
        """
        value = self._rates(self.native.iterations, 1)[0] if self._schedule is not None else self._learning_rate
        rate = LearningRate(value)
        rate._owner = self
        return rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self._schedule, LearningRateSchedule) and not callable(value):
            raise TypeError(
                f"learning_rate: {self._schedule!r} gives it, so it cannot be set to {value!r}; set it to another "
                "schedule, or make the optimizer with a number"
            )
        self._set_rate(value)

    lr = learning_rate

    def _set_rate(self, value: Any) -> None:
        if isinstance(value, Mapping):
            value = _deserialize_schedule(value)
        if callable(value):
            self._schedule = value
            return
        number = check_not_negative("learning_rate", value)
        self.native.set("learning_rate", number)
        self.native.set_rates(0, [])
        self._learning_rate, self._schedule = number, None

    def _rates(self, first: int, count: int) -> Any:
        if isinstance(self._schedule, LearningRateSchedule):
            return self._schedule.rates(first, count)
        return checked_rates(self._schedule, [self._schedule()], first).repeat(count)

    def restore_rate(self, value: float) -> None:
        """Set the learning rate that a file remembers; a schedule goes on giving it."""
        if self._schedule is None:
            self.learning_rate = value

    def plan_steps(self, count: int) -> None:
        """Called before the engine makes `count` steps: hands it the rates of a schedule."""
        if self._schedule is not None:
            first = self.native.iterations
            self.native.set_rates(first, self._rates(first, count))

    @property
    def iterations(self) -> Count:
        """Number of steps made: of batches, where gradients are not accumulated."""
        return Count(self.native.iterations // (self._shared["gradient_accumulation_steps"] or 1))

    # --- what scripts read --------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_shared", ()) or name in self.__dict__.get("_hyper", ()):
            raise AttributeError(
                f"{name}: fixed when the optimizer is made, {type(self).__name__}({name}={value!r}, ...); only "
                "learning_rate can be set later"
            )
        super().__setattr__(name, value)

    @property
    def follows_schedule(self) -> bool:
        """Whether the learning rate comes from a schedule."""
        return isinstance(self._schedule, LearningRateSchedule)

    @property
    def asks_for_rate(self) -> bool:
        """Whether a function is asked for the learning rate."""
        return self._schedule is not None and not self.follows_schedule

    @property
    def built(self) -> bool:
        """Whether it has been given weights."""
        return bool(self._weights)

    @property
    def variables(self) -> list[Array]:
        """Copies, to be read: iterations, learning_rate, then what is kept for each weight in training."""
        slots: list[Any] = [slot for weight in self._weights for slot in weight.slots(self.native)]
        return [_engine.as_array(value) for value in [self.iterations, self.learning_rate, *slots]]

    # --- weights ------------------------------------------------------------------------------------------------

    def exclude_from_weight_decay(
        self, var_list: Sequence[Weight] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leave weights alone in weight decay; to be called before training.

        Args:
            var_list: the weights themselves.
            var_names: patterns; a weight in whose name (`bias`, `kernel`) one of them is found is excluded.
        """
        pattern = re.compile("|".join(var_names)) if var_names else None
        self._excluded = frozenset(id(weight.variable) for weight in var_list or ()), pattern

    def build(self, weights: Sequence[Weight], owner: object = None) -> None:
        """Called before training with the weights that will be trained.

        Args:
            weights: all of them.
            owner: what is one and the same for a model, whose trained weights may change.

        Raises:
            ValueError: the optimizer belongs to another model, of which it does not know all of these weights.
        """
        if self._weights and (owner is None or self._owner is not owner):
            known = set(map(id, self._weights))
            unknown = [weight.path for weight in weights if id(weight) not in known]
            if unknown:
                raise ValueError(
                    f"optimizer: this {type(self).__name__} trains another model already and keeps moments and steps "
                    f"for that one's weights, not for {unknown[0]}; give each model an optimizer of its own"
                )
        self._weights, self._owner = weights, owner
        if self._excluded is None:
            return
        self.native.set_undecayed([weights[i].variable for i in self.excluded(weights)])

    def excluded(self, weights: Sequence[Weight]) -> list[int]:
        """Which of these weights are left alone in weight decay."""
        ids, pattern = self._excluded or (frozenset(), None)
        return [i for i, w in enumerate(weights) if id(w.variable) in ids or (pattern and pattern.search(w.name))]

    def anew(self) -> Self:
        """Another one like it, for a model of its own: without state."""
        made = type(self).from_config(self.get_config())
        if self._excluded is not None:
            made._excluded = frozenset(), self._excluded[1]
        return made

    def finalize_variable_values(self, weights: Sequence[Weight]) -> None:
        """With use_ema: the averages become the weights. `fit` does it at its end."""
        if self.use_ema:
            for weight, average in zip(weights, self.averages(weights), strict=True):
                weight.assign(average)

    def averages(self, weights: Sequence[Weight]) -> list[Float32]:
        """The moving averages of these weights. Raises ValueError without use_ema."""
        at = self._average_slot()
        return [weight.slots(self.native)[at] for weight in weights]

    def set_averages(self, weights: Sequence[Weight], values: Sequence[Float32]) -> None:
        """Overwrite the moving averages. Raises ValueError without use_ema."""
        at = self._average_slot()
        for weight, value in zip(weights, values, strict=True):
            slots = weight.slots(self.native)
            slots[at] = weight.checked(value)
            weight.set_slots(self.native, slots)

    def _average_slot(self) -> int:
        if not self.use_ema:
            raise ValueError(f"use_ema: there are no averaged weights; make the optimizer with use_ema=True: {self!r}")
        return self.native.slot_names().index("average")

    # --- describing ---------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        rate: Any = self._learning_rate
        if isinstance(self._schedule, LearningRateSchedule):
            rate = serialize(self._schedule)
        elif self._schedule is not None:
            rate = float(self.learning_rate)
        return {"name": self.name, "learning_rate": rate, **self._shared, **self._own_config()}

    def _own_config(self) -> dict[str, Any]:
        return self._hyper

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """The optimizer that `get_config` described; schedules of your own by name in `custom_objects`."""
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            config = {**config, "learning_rate": _deserialize_schedule(rate, custom_objects)}
        return super().from_config(config)

    def __reduce__(self) -> tuple[Any, ...]:
        rate = self._learning_rate if self._schedule is None else self._schedule
        pattern = None if self._excluded is None else self._excluded[1]
        return _made, (type(self), {**self.get_config(), "learning_rate": rate}, pattern)

    def __repr__(self) -> str:
        rate = self._learning_rate if self._schedule is None else self._schedule
        return f"<{type(self).__name__} learning_rate={rate}>"


def _made(cls: type[Optimizer], config: Mapping[str, Any], pattern: re.Pattern[str] | None = None) -> Optimizer:
    """The optimizer that copy or pickle took apart, without what it keeps for weights: a model's pickle has that."""
    made = cls.from_config(config)
    if pattern is not None:
        made._excluded = frozenset(), pattern
    return made
