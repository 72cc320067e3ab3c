"""A loss or a metric that a person wrote as a function of (y_true, y_pred), inside the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _engine
from .._engine import AnyArray, Array
from .._names import _shown
from . import functions  # noqa: F401  what the tape looks up
from .tape import Traced, gradients


class RowsHost:
    """What the engine calls: values of rows, and the gradient of their weighted sum.

    Args:
        function: of (y_true, y_pred), float32 arrays of the batch.
        name: for messages.
        target_shape: of the target of one sample.
        traced: whether the function is differentiated.
    """

    def __init__(self, function: Callable[..., Any], name: str, target_shape: tuple[int, ...], traced: bool) -> None:
        self._function = function
        self._name = name
        self._target_shape = target_shape
        self._traced = traced
        self._tape = threading.local()  # of this thread's last batch: the backward pass comes right after

    def __call__(self, stage: str, arrays: Sequence[Any], training: bool, scale: float) -> None:
        """Views of the engine's memory come in, valid during the call: nothing of them is handed on."""
        if stage == "slope":
            _, _, weights, out = arrays
            pred, value = self._tape.last
            self._tape.last = None
            out[...] = self.slope(pred, value, weights, scale)
            return
        pred, target, out = arrays
        true = target.reshape(len(pred), *self._target_shape).astype(np.float32)
        given = Traced(pred.copy()) if scale else pred.copy().view(Array)
        value = self._function(true.view(Array), given)
        if scale:
            self._tape.last = (given, value)
        rows = per_row(value.value if isinstance(value, Traced) else value, len(pred), self._name)
        out[...] = rows[:, None]

    def slope(self, pred: Traced, value: Any, weights: AnyArray | None, scale: float) -> AnyArray:
        """Gradient of scale * sum over the rows of weight * value."""
        n = len(pred)
        rows = np.full(n, scale, np.float32) if weights is None else weights * np.float32(scale)
        if not isinstance(value, Traced):
            return np.zeros_like(pred.value)
        if value.ndim == 0:
            seed = np.asarray(rows.sum(dtype=np.float64), value.dtype)
        else:
            inner = value.size // n or 1
            seed = np.broadcast_to((rows / inner).reshape(n, *[1] * (value.ndim - 1)), value.shape).astype(value.dtype)
        return gradients(value, seed, [pred])[0]

    def check(self, output_shape: tuple[int, ...]) -> int:
        """Run the function once on two rows of ones, so that it fails before anything has changed.

        Returns:
            How many values it gives for a row; 0: one number for all.
        """
        true, pred = np.ones((2, *self._target_shape), np.float32), np.full((2, *output_shape), 0.5, np.float32)
        with np.errstate(all="ignore"):
            value = self._function(true.view(Array), Traced(pred) if self._traced else pred.view(Array))
        found = np.asarray(value.value if isinstance(value, Traced) else value)
        per_row(found, 2, self._name)
        if self._traced and not isinstance(value, Traced):
            raise ValueError(
                f"{self._name}: the value does not depend on y_pred in a way that can be differentiated; write it with "
                "operators, NumPy functions or lanewise.keras.ops on y_pred itself"
            )
        return found.size // 2 if found.ndim else 0


def per_row(value: Any, n: int, name: str) -> _engine.Float32:
    """One float32 a row: the mean of what a row has, or the same number for all.

    Raises:
        ValueError: neither one value (or several) a row nor a single number. TypeError: no numbers.
    """
    given = np.asarray(value)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected a value for each row, or one number, received {_shown(given.tolist())}")
    array = given.astype(np.float32, copy=False)
    if array.ndim == 0:
        return np.full(n, array, np.float32)
    if len(array) != n:
        raise ValueError(f"{name}: expected a value for each of the {n} rows, or one number, received {array.shape}")
    return np.asarray(array.reshape(n, -1).mean(axis=1, dtype=np.float64), np.float32)
