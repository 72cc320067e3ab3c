"""Callbacks that watch one value of the logs: EarlyStopping, ModelCheckpoint, OptunaPruning."""

import os
from math import isfinite
from typing import Any

from .._given import is_own
from .._names import check_finite, check_integer, check_number, near_match, warn
from .base import Callback, Logs
from .files import check_save_freq

_LARGER_IS_BETTER = frozenset({
    "Accuracy", "AutoAccuracy", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy",
    "TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "AUC", "Precision", "Recall", "F1Score", "FBetaScore",
    "R2Score", "CosineSimilarity", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity",
    "SpecificityAtSensitivity", "IoU", "MeanIoU", "BinaryIoU", "OneHotIoU", "OneHotMeanIoU",
})  # fmt: skip


class MonitorCallback(Callback):
    """Watches logs[monitor].

    Args:
        monitor: name in the logs: 'loss', 'val_loss', 'val_accuracy', ...
        mode: 'min' or 'max': which values are better; 'auto' goes by the metric.
        min_delta: a value is an improvement only if it is better by more than this.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor: expected a text, received {monitor!r} of type {type(monitor).__name__}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode: expected 'auto', 'min' or 'max', received {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(check_finite("min_delta", min_delta))
        self._larger_is_better: bool | None = None
        self._seen = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._larger_is_better = None
        self._seen = False

    def get_monitor_value(self, logs: Logs) -> float | None:
        """logs[monitor]; None with a warning where it is not there (a validation that is left out is no surprise)."""
        logs = logs or {}
        if self.monitor in logs:
            self._seen = True
            return float(logs[self.monitor])
        if not self._seen:
            self._seen = True
            near = near_match(self.monitor, list(logs))
            if self.monitor.startswith("val_") and not [name for name in logs if name.startswith("val_")]:
                near = " Give fit validation_data= or validation_split=, or watch 'loss'."
            warn(
                f"{type(self).__name__}: monitor={self.monitor!r} is not in the logs.{near} Available: "
                f"{', '.join(logs)}."
            )
        return None

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether value is better than reference by more than min_delta; NaN never is, anything else beats None.

        Raises:
            ValueError: mode 'auto' and a value of which it is not known whether more is better.
        """
        if self._larger_is_better is None:
            self._larger_is_better = self.direction()
        if value != value:
            return False
        if reference is None:
            return True
        if self._larger_is_better:
            return value > reference + self.min_delta
        return value < reference - self.min_delta

    def direction(self) -> bool:
        """Whether larger values are better. Raises ValueError as `improves` does."""
        name = self.monitor.removeprefix("val_")
        if self.mode != "auto":
            return self.mode == "max"
        if name == "loss":
            return False
        if name.endswith("_loss") and name in self.model.metrics_names:  # of an output
            return False
        metric = self.model.metric_called(name)
        kinds: list[Any] = [cls for cls in type(metric).__mro__ if not is_own(cls)]
        if not kinds or not hasattr(kinds[0], "kernel"):
            raise ValueError(
                f"mode: 'auto' works for the loss and for metrics of the package, received monitor={self.monitor!r}; "
                "give mode='min' or mode='max'"
            )
        return any(kind.__name__ in _LARGER_IS_BETTER for kind in kinds)


class EarlyStopping(MonitorCallback):
    """Stops training when a value has stopped improving (the rules are Keras 3's).

    Args:
        monitor: which value of the logs.
        min_delta: an improvement is better by more than this.
        patience: how many epochs without improvement are allowed; the very first epoch never stops.
        verbose: 1 says when it stops and what it restores.
        mode: 'min', 'max', or 'auto': by the metric.
        baseline: only what is better than this, too, makes the waiting start again.
        restore_best_weights: at the end of training, stopped early or not, the weights of the best epoch come back.
        start_from_epoch: earlier epochs are not looked at.

    Attributes:
        stopped_epoch: the epoch, counted from 0, that stopped the training; 0 if none did.
        best: the best value; None if there was none.
        best_epoch: its epoch.
        best_weights: its weights, with restore_best_weights.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = check_integer("patience", patience, 0)
        self.start_from_epoch = check_integer("start_from_epoch", start_from_epoch, 0)
        self.baseline = None if baseline is None else check_number("baseline", baseline, "a finite number", isfinite)
        self.verbose = verbose
        self.restore_best_weights = bool(restore_best_weights)
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        super().on_train_begin(logs)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        improved = self.improves(current, self.best)
        if self.restore_best_weights and (improved or self.best_weights is None):
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if improved:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(MonitorCallback):
    """Saves the model after each epoch, or after each that is the best so far.

    Args:
        filepath: where to; '{epoch:02d}' and '{val_loss:.3f}' in it are filled with the epoch, counted from 1, and the
            logs. Missing directories are made.
        monitor: which value of the logs says what is best.
        verbose: 1 says what is saved.
        save_best_only: only save when the value is better than all before.
        save_weights_only: weights instead of the whole model.
        mode: 'min', 'max', or 'auto': by the metric.
        save_freq: 'epoch', or after every so many batches ('{batch}' in filepath then counts them from 1); makes
            `fit` run batch by batch.
        initial_value_threshold: with save_best_only, the value that the first save has to beat.

    Raises:
        ValueError: a file name that lanewise cannot write (`saving.save_model` says which).
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        from ..saving import check_suffix

        super().__init__(monitor, mode)
        self.save_freq = check_save_freq(save_freq)
        self.filepath = os.fspath(filepath)
        check_suffix("filepath", self.filepath, weights=save_weights_only)
        self.verbose = verbose
        self.save_best_only = bool(save_best_only)
        self.save_weights_only = bool(save_weights_only)
        self.best = initial_value_threshold
        self._epoch = self._batches = 0
        if self.save_freq != "epoch":
            self.__dict__["on_train_batch_end"] = self._after_batch  # without it batches need no Python

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs or {}, {})

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._save(self._epoch, logs or {}, {"batch": batch + 1})

    def _save(self, epoch: int, logs: dict[str, Any], batch: dict[str, int]) -> None:
        try:
            path = self.filepath.format(**{**batch, **logs, "epoch": epoch + 1})
        except KeyError as error:
            raise KeyError(f"filepath: {self.filepath!r} asks for {error}, the logs have {', '.join(logs)}") from None
        improved = ""
        if self.save_best_only:
            current = self.get_monitor_value(logs)
            if current is not None and not self.improves(current, self.best):
                self._say(epoch, f"{self.monitor} did not improve from {self.best:.5f}")
                return
            if current is not None:
                before = None if self.best is None else f"{self.best:.5f}"
                improved, self.best = f"{self.monitor} improved from {before} to {current:.5f}, ", current
        self._say(epoch, f"{improved}saving model to {path}")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _say(self, epoch: int, what: str) -> None:
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: {what}")


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
