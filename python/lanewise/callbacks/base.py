"""Callback: the hooks; CallbackList: several callbacks as one."""

from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from .._names import KeywordChecked

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
