"""OneCycle and OptunaPruning: callbacks for those who search rates and networks."""

from typing import Any

from .._names import check_integer
from ..optimizers.schedules import OneCycle as Schedule
from .base import Callback, Logs
from .monitor import MonitorCallback


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


class OptunaPruning(MonitorCallback):
    """Reports each epoch's value to a trial of Optuna and raises `optuna.TrialPruned` where the study's pruner says so.

    Args:
        trial: of Optuna, or anything with `report(value, step)` and `should_prune()`.
        monitor: which value of the logs; the study knows which way is better.

    Raises:
        TypeError: no trial.
    """

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        super().__init__(monitor, "auto")
        for method in ("report", "should_prune"):
            if not callable(getattr(trial, method, None)):
                raise TypeError(f"trial: expected a trial of Optuna, received {trial!r} without {method}()")
        self.trial = trial

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None:
            return
        self.trial.report(value, epoch)
        if self.trial.should_prune():
            from optuna import TrialPruned

            raise TrialPruned(f"{self.monitor} {value:.6g} after epoch {epoch + 1}")
