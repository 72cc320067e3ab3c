"""ModelCheckpoint."""

import os
from typing import Any

from .base import Logs
from .files import check_save_freq
from .monitor import MonitorCallback


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
