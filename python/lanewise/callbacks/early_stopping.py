"""EarlyStopping."""

from math import isfinite
from typing import Any

from .._names import check_integer, check_number
from .base import Logs
from .monitor import MonitorCallback


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
