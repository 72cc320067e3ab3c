"""Losses that a person wrote in Python: a function of (y_true, y_pred), or a subclass of `Loss` with `call`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import Array, Float32
from .._given import own_method
from .._names import serialize
from .._operators import TracedBase
from .._registry import get_registered_name
from .base import Loss, RowFunction, align


class OwnRows(RowFunction):
    """A row function written in Python; it runs at Python's speed, once a batch.

    Attributes:
        function: of (y_true, y_pred), float32 arrays of the batch: a value (or several) for each row, or one number.
        row_values: how many values it gives for a row, 0: one number; for what `host` was last called with.
    """

    own = True
    function: Callable[..., Any]
    traced = False
    row_values = 1

    def host(self, target_shape: tuple[int, ...], output_shape: tuple[int, ...], labels: bool) -> _engine.Host:
        """What the engine calls, for targets and predictions of these shapes per sample.

        Raises:
            whatever the function raises on two rows of ones.
        """
        from ..custom.rows import RowsHost

        hosts: dict[Any, tuple[_engine.Host, int]] = self.__dict__.setdefault("_hosts", {})
        key = (target_shape, output_shape, labels)
        if key not in hosts:
            called = RowsHost(self.function, self.name, target_shape, self.traced)
            values = called.check(output_shape)
            like = target_shape == output_shape or labels
            width = 0 if like else int(np.prod(target_shape, dtype=np.int64))
            hosts[key] = _engine.host_of(called, width, labels), values
        host, self.row_values = hosts[key]
        return host

    def __getstate__(self) -> dict[str, Any]:
        """A copy is given hosts of its own."""
        return {key: value for key, value in vars(self).items() if key != "_hosts"}

    @property
    def written(self) -> Any:
        """The function, or the object whose `call` it is: what a person wrote."""
        owner = getattr(self.function, "__self__", None)
        return owner if isinstance(owner, RowFunction) else self.function

    def described(self) -> Any:
        """What stands for it in a file: the name of the function, or the class that its `call` is of.

        Raises:
            ValueError: a lambda, which has no name.
        """
        if isinstance(self.written, RowFunction):
            return serialize(self.written)
        name = get_registered_name(self.function)
        if name == "<lambda>":
            raise ValueError(f"{self.name}: a lambda has no name that a file could hold; write it as a function: def")
        return name

    def rows(self, y_true: ArrayLike, y_pred: ArrayLike) -> Float32:
        from ..custom.rows import per_row

        traced: Any = y_pred if isinstance(y_pred, TracedBase) else None
        pred = np.asarray(y_pred if traced is None else traced.value, np.float32)
        true = align(self, np.asarray(y_true), pred.shape[1:], "y_true")
        value = self.function(true.astype(np.float32).view(Array), pred.view(Array) if traced is None else traced)
        if not isinstance(value, TracedBase):
            return per_row(value, len(pred), self.name)
        made: Any = value
        rows = made.reshape(len(pred), -1).mean(1) if made.ndim else made + np.zeros(len(pred), np.float32)
        return rows  # type: ignore[no-any-return]


class OwnLoss(OwnRows, Loss):
    """A loss written in Python, differentiated by the tape of `lanewise.custom`.

    Args:
        function: of (y_true, y_pred).
        name: by default the function's.
        reduction: as of `Loss`.
    """

    traced = True

    def __init__(self, function: Callable[..., Any], name: str | None = None,
                 reduction: str | None = "sum_over_batch_size") -> None:  # fmt: skip
        super().__init__(reduction, name or function_name(function))
        self.function = function


def function_name(function: Any) -> str:
    """What a function is called in logs."""
    return str(getattr(function, "__name__", type(function).__name__))


def own_loss(identifier: Any, known: Any) -> Any:
    """An OwnLoss for a person's own function or subclass of `Loss` with `call`; anything else as it is."""
    if isinstance(identifier, type) and issubclass(identifier, Loss) and own_method(identifier, "call"):
        identifier = identifier()
    if isinstance(identifier, Loss):
        own = not identifier.own and own_method(type(identifier), "call")
        return OwnLoss(identifier.call, identifier.name, identifier.reduction) if own else identifier
    return OwnLoss(identifier) if is_own_function(identifier, known) else identifier


def is_own_function(identifier: Any, known: Any) -> bool:
    """Whether it is a function (or an object that is called as one) of a person's own."""
    if not callable(identifier) or isinstance(identifier, type | RowFunction):
        return False
    try:
        return identifier not in known
    except TypeError:  # not hashable
        return True
