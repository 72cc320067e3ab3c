"""Callback: the hooks; CallbackList: several callbacks as one; History, LambdaCallback, TerminateOnNaN."""

from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from .._names import KeywordChecked
from ..progress import subplots

Logs = dict[str, Any] | None
"""What a hook is told: loss and metrics by name."""

Hook = TypeVar("Hook", bound=Callable[..., None])
T = TypeVar("T")


def told_late(hook: Hook) -> Hook:
    """A hook of epochs that does not look at the model: further epochs may have run by the time it is called."""
    hook.told_late = True  # type: ignore[attr-defined]
    return hook


class Callback(KeywordChecked):
    """Base of all callbacks: a subclass overrides the hooks that it needs.

    Hooks for batches cost a run batch by batch, so they are only called where a callback overrides them. `logs` may be
    changed: what a hook adds to the logs of an epoch stands in the history.

    Attributes:
        model: the model in training.
        params: {"verbose", "epochs", "steps"}.
    """

    model: Any = None
    params: Any = None
    pauses: Collection[int] = ()
    """How many epochs have run where all hooks have to be called in time, those that are `told_late` as well."""

    def set_model(self, model: Any) -> None:
        """Called before training."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before training."""
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch; logs are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of training, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of training; logs are the means of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before `evaluate` or a validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After `evaluate` or a validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of `evaluate` or of a validation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of `evaluate` or of a validation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before `predict`."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of `predict`."""


class _kept(Generic[T]):
    """A property that is worked out once. functools.cached_property has a lock in Python 3.11, which a child that is
    forked while another thread holds it waits for for ever."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out

    def __get__(self, instance: Any, owner: Any) -> T:
        value = vars(instance)[self._work_out.__name__] = self._work_out(instance)
        return value


class CallbackList(Callback):
    """Several callbacks as one, each called in the order given.

    Args:
        callbacks: callbacks, lists of them may be nested; None for none.
        model: the model that they watch.
        params: {"verbose", "epochs", "steps"}.

    Attributes:
        callbacks: the callbacks.
        needs_batches: whether one of them overrides a hook for batches of training.
        needs_tests: whether one overrides a hook for evaluations or their batches.
        needs_test_batches, needs_predict_batches: the same for batches of evaluating and predicting.

    Raises:
        TypeError: an entry that is no instance of Callback.
    """

    def __init__(self, callbacks: Any = None, model: Any = None, params: dict[str, Any] | None = None) -> None:
        self.callbacks = flat(callbacks)
        self.set_params(params or {})
        self.set_model(model)

    @_kept
    def needs_batches(self) -> bool:
        return self._overridden("train_batch", "batch")

    @_kept
    def needs_test_batches(self) -> bool:
        return self._overridden("test_batch")

    @_kept
    def needs_tests(self) -> bool:
        return self._overridden("test", "test_batch")

    @_kept
    def needs_predict_batches(self) -> bool:
        return self._overridden("predict_batch")

    @_kept
    def _needs_epochs(self) -> bool:
        return self._overridden("epoch", "test", "test_batch", "train_batch", "batch")

    def _overridden(self, *kinds: str) -> bool:
        """Whether a callback has a hook of these kinds that is not `told_late`."""
        hooks = [(hook, getattr(Callback, hook)) for kind in kinds for hook in (f"on_{kind}_begin", f"on_{kind}_end")]
        for callback in self.callbacks:
            kind, own = type(callback), vars(callback)
            for hook, inherited in hooks:
                if hook in own:
                    return True
                found = getattr(kind, hook)
                if found is not inherited and not hasattr(found, "told_late"):
                    return True
        return False

    def ahead(self, epoch: int) -> int:
        """How many epochs may run from this one on until a callback has to be called."""
        if self._needs_epochs:
            return 1
        return min((at - epoch for each in self.callbacks for at in each.pauses if at > epoch), default=1 << 30)

    def _call(self, hook: str, *arguments: Any) -> None:
        *first, logs = arguments
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(*first, logs)

    def set_model(self, model: Any) -> None:
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def on_train_begin(self, logs: Logs = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: Logs = None) -> None:
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_batch_end", batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: Logs = None) -> None:
        self._call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._call("on_predict_end", logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_predict_batch_end", batch, logs)


def flat(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    if isinstance(callbacks, CallbackList):
        return callbacks.callbacks
    if isinstance(callbacks, list | tuple):
        return [callback for entry in callbacks for callback in flat(entry)]
    if isinstance(callbacks, Callback):
        return [callbacks]
    hint = f"; write {callbacks.__name__}()" if isinstance(callbacks, type) and issubclass(callbacks, Callback) else ""
    raise TypeError(
        f"callbacks: expected instances of lanewise.callbacks.Callback, received {callbacks!r} of type "
        f"{type(callbacks).__name__}{hint}"
    )


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
