"""History, LambdaCallback, TerminateOnNaN."""

from collections.abc import Callable
from typing import Any

from .base import Callback, Logs


class History(Callback):
    """What `fit` returns.

    Attributes:
        epoch: the epochs that were run, counted from 0.
        history: name -> one value an epoch.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: functions (epoch, logs).
        on_train_begin, on_train_end: functions (logs).
        on_train_batch_begin, on_train_batch_end: functions (batch, logs); with one of them `fit` runs batch by batch.
        **kwargs: functions for further hooks, by name.

    Raises:
        TypeError: no function, or no such hook.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any] | None,
    ) -> None:
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if not (name.startswith("on_") and hasattr(Callback, name)):
                raise TypeError(f"{name}: there is no such hook")
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"{name}: expected a function, received {function!r} of type {type(function).__name__}")
            setattr(self, name, function)


class TerminateOnNaN(Callback):
    """Stops training after the batch in which the loss became NaN or infinite. Makes `fit` run batch by batch."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not abs(loss) < float("inf"):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
