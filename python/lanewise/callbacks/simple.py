"""History, LambdaCallback, TerminateOnNaN."""

from collections.abc import Callable
from typing import Any

from ..progress import subplots
from .base import Callback, Logs, told_late


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

    @told_late
    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)

    def __repr__(self) -> str:
        last = "".join(f", {key}={values[-1]:.4g}" for key, values in self.history.items())
        return f"<History of {len(self.epoch)} epochs{last}>"

    def plot(self, metrics: Any = None) -> Any:
        """Draw the curves with matplotlib, one picture for each metric, training and validation together.

        Args:
            metrics: names to draw; by default everything that was recorded.

        Returns:
            A list of matplotlib's Axes.

        Raises:
            ImportError: matplotlib is not installed. ValueError: nothing was recorded, or a name that was not.
        """
        if not self.history:
            raise ValueError("history.plot: nothing was recorded; fit has not run an epoch")
        names = [key for key in self.history if not key.startswith("val_") or key[4:] not in self.history]
        names = names if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
        unknown = [name for name in names if name not in self.history]
        if unknown or not names:
            raise ValueError(f"metrics: recorded are {', '.join(self.history)}, received {metrics!r}")
        _, axes = subplots("history.plot", 1, len(names), squeeze=False, figsize=(4.8 * len(names), 3.6))
        for ax, name in zip(axes[0], names, strict=True):
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                values = self.history.get(key, [])
                if values:  # validation may run every few epochs only
                    step = max(1, len(self.epoch) // len(values))
                    ax.plot([epoch + 1 for epoch in self.epoch[step - 1 :: step]][: len(values)], values, label=label)
            ax.set(xlabel="epoch", title=name)
            ax.legend()
        return list(axes[0])


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
    """Stops training after the batch in which the loss became NaN or infinite. Makes `fit` run batch by batch.

    Args:
        raise_error: whether it raises RuntimeError instead.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = bool(raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not abs(loss) < float("inf"):
            if self.raise_error:
                raise RuntimeError(f"loss: {loss} after batch {batch}, training ends")
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True
