"""ReduceLROnPlateau, LearningRateScheduler, OneCycle: callbacks that set the learning rate."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._names import check_integer, check_not_negative, check_number, warn
from ..optimizers.schedules import OneCycle as Schedule
from .base import Callback, Logs
from .monitor import MonitorCallback


def rounded_rate(model: Any) -> float:
    """The learning rate as Keras shows it: rounded to float32."""
    return float(np.float32(model.optimizer.learning_rate))


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when a value has stopped improving (the rules are Keras 3's).

    The logs of each epoch get the learning rate that it was trained with.

    Args:
        monitor: which value of the logs.
        factor: in [0, 1): the new rate is the old one times this, and at least min_lr.
        patience: how many epochs without improvement are allowed.
        verbose: 1 says what is set.
        mode: 'min', 'max', or 'auto': by the metric.
        min_delta: an improvement is better by more than this.
        cooldown: epochs after a reduction that do not count.
        min_lr: least learning rate.

    Raises:
        TypeError: in training, where a schedule gives the learning rate.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = check_number("factor", factor, "a number in [0, 1)", lambda v: 0.0 <= v < 1.0)
        self.patience = check_integer("patience", patience, 0)
        self.cooldown = check_integer("cooldown", cooldown, 0)
        self.min_lr = check_not_negative("min_lr", min_lr)
        self.verbose = verbose
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        super().on_train_begin(logs)
        self._forget()

    def in_cooldown(self) -> bool:
        """Whether epochs do not count yet."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        rate = rounded_rate(self.model)
        logs.setdefault("learning_rate", rate)  # OneCycle's stays
        current = self.get_monitor_value(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > float(np.float32(self.min_lr)):
                lower = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = lower
                if self.verbose:
                    print(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {lower}.")
                self.cooldown_counter = self.cooldown
                self.wait = 0


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch; the logs get it.

    Args:
        schedule: function (epoch, learning rate) or (epoch) that returns the new rate, epochs counted from 0.
        verbose: 1 says what is set.

    Raises:
        ValueError: in training, where it does not return a float.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule: expected a function (epoch, learning rate), received {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        try:
            rate = self.schedule(epoch, rounded_rate(self.model))
        except TypeError:  # as in Keras: an older form takes the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise ValueError(f"schedule: expected a float, received {rate!r} of type {type(rate).__name__}")
        self.model.optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = rounded_rate(self.model)


class SwapEMAWeights(Callback):
    """Puts the averaged weights (optimizer with use_ema=True) into the model while it is evaluated or predicts.

    Args:
        swap_on_epoch: whether they are there between epochs, too, for example when a checkpoint is written.

    Raises:
        ValueError: in training, with an optimizer without use_ema.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = bool(swap_on_epoch)
        self._averages_inside = False

    def _swap(self) -> None:
        weights, optimizer = self.model.trainable_weights, self.model.optimizer
        averages, values = optimizer.averages(weights), [weight.numpy() for weight in weights]
        for weight, average in zip(weights, averages, strict=True):
            weight.assign(average)
        optimizer.set_averages(weights, values)
        self._averages_inside = not self._averages_inside

    def on_train_begin(self, logs: Logs = None) -> None:
        self._averages_inside = False
        self.model.optimizer.averages([])  # says what is missing, before anything is trained

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch and self._averages_inside:
            self._swap()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self.swap_on_epoch or self._averages_inside:
            return
        self._swap()
        if self.params and epoch == self.params["epochs"] - 1:  # the end of `fit` takes the averages once more
            weights = self.model.trainable_weights
            self.model.optimizer.set_averages(weights, [weight.numpy() for weight in weights])

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._averages_inside:
            self._swap()

    def on_test_end(self, logs: Logs = None) -> None:
        if self._averages_inside:
            self._swap()

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end


class ProgbarLogger(Callback):
    """Accepted; `fit(verbose=1)` shows the progress."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            warn("ProgbarLogger: arguments are ignored; fit(verbose=1) shows the progress")


class OneCycle(Callback):
    """One cycle of the learning rate over a whole `fit`: `schedules.OneCycle` with the number of its steps.

    Afterwards the optimizer has the last, small rate as a number: set `learning_rate` before training on.

    Args:
        peak: the highest learning rate, for example the `suggestion` of `lanewise.lr_find`.
        warmup, start_factor, end_factor: as in the schedule.
        steps_per_epoch: needed only where `fit` cannot count the batches (generators without a length).

    Raises:
        ValueError: in training, before anything changes: the steps are not known. TypeError: a schedule gives the rate.

    Source: Smith & Topin 2018.
    """

    def __init__(
        self, peak: float, warmup: float = 0.3, start_factor: float = 0.04, end_factor: float = 1e-5,
        steps_per_epoch: int | None = None,
    ) -> None:  # fmt: skip
        Schedule(peak, 1, warmup, start_factor, end_factor)  # says what is wrong with them
        self._cycle: dict[str, Any] = {
            "peak": peak,
            "warmup": warmup,
            "start_factor": start_factor,
            "end_factor": end_factor,
        }
        self.steps_per_epoch = steps_per_epoch and check_integer("steps_per_epoch", steps_per_epoch, 1)

    def on_train_begin(self, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        steps = self.steps_per_epoch or self.params.get("steps")
        if steps is None:
            raise ValueError("steps_per_epoch: fit does not know how many batches there are; give it to OneCycle")
        self._steps, self._begun = steps, False
        self._begin(0)
        if not isinstance(optimizer._schedule, Schedule):  # of a `fit` that was interrupted
            optimizer.learning_rate = 1.0  # raises where a schedule gives it
        optimizer.learning_rate = self._schedule

    def _begin(self, epochs: int, batches: int = 0) -> None:
        """The cycle, of which so many epochs and batches have run, by a `fit` that was interrupted."""
        total = self._steps * (self.params["epochs"] - self.model._first_epoch)
        first = self.model.optimizer.native.iterations - self._steps * epochs - batches
        self._schedule = Schedule(**self._cycle, total_steps=max(total, 1), first_step=max(first, 0))

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if not self._begun:
            self._begun = True
            self._begin(epoch - self.model._first_epoch, self.model._place.batch)
            self.model.optimizer.learning_rate = self._schedule

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self._latest()

    def on_train_end(self, logs: Logs = None) -> None:
        self.model.optimizer._set_rate(self._latest())

    def _latest(self) -> float:
        """The rate of the last step."""
        return float(self._schedule(max(self.model.optimizer.native.iterations - 1, 0)))
