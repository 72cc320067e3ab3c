"""Metrics that a person wrote in Python: a function of (y_true, y_pred), or a subclass of `Metric`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import _engine
from .._engine import Array, Float64
from .._given import is_own
from ..losses.own import OwnRows, function_name
from .base import Metric


class OwnMetric(OwnRows, Metric):
    """The mean over the rows of a function of (y_true, y_pred), float32 arrays of the batch.

    Args:
        function: gives a value for each row, or one number for the batch.
        name: by default the function's.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.function = function
        super().__init__(name or function_name(function))


class RowWeights(Array):
    """Weights (n,) of a batch: beside an array (n, 1) they stand row by row too, not as n columns.

    Keras hands a metric y as it was given, (n,) or (n, 1); here y is always (n, 1) where the output has two axes, so
    what is worked out from it has one axis or two, and the weights must fit both.
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        shapes = {np.shape(x) for x in inputs}
        column = method == "__call__" and any(len(shape) == 2 and shape[1] == 1 for shape in shapes)

        def bare(x: Any) -> Any:
            if not isinstance(x, RowWeights):
                return x
            array = np.asarray(x)
            return array[:, None] if column and array.ndim == 1 and (len(array), 1) in shapes else array

        if "out" in options:
            options["out"] = tuple(np.asarray(out) for out in options["out"])
        found = getattr(ufunc, method)(*map(bare, inputs), **options)
        only = all(isinstance(x, RowWeights) or np.ndim(x) == 0 for x in inputs)
        return found.view(RowWeights if only else Array) if isinstance(found, np.ndarray) else found


class OwnState(OwnMetric):
    """A subclass of `Metric` that a person wrote, in the engine: `update_state` once a batch, `result` when shown.

    Attributes:
        metric: the person's object.
        weights: of each batch to come; None: `update_state` gets (y_true, y_pred) alone.
    """

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric.update_state, metric.name)
        self.metric = metric
        self.weights: Iterator[Any] | None = None

    def host(self, target_shape: tuple[int, ...], output_shape: tuple[int, ...], labels: bool) -> _engine.Host:
        def update(stage: str, arrays: Sequence[Any], training: bool, scale: float) -> None:
            pred, target, out = arrays
            out[...] = 0  # the engine's own sums mean nothing
            true = target.reshape(len(pred), *target_shape).copy()
            given = [true.view(Array), pred.copy().view(Array)]
            if self.weights is not None:
                weights = next(self.weights, None)
                weights = None if weights is None else weights.copy()  # the user's own, where nothing is shuffled
                given.append(weights.view(RowWeights) if weights is not None and pred.ndim == 2 else weights)
            self.function(*given)

        hosts: dict[Any, _engine.Host] = self.__dict__.setdefault("_hosts", {})
        return hosts.setdefault(target_shape, _engine.host_of(update))

    def finished(self, sums: Float64) -> Any:
        """What `result` gives: a Python float, an array, or a dict of these."""
        found = self.metric.result()
        return {key: _plain(value) for key, value in found.items()} if isinstance(found, dict) else _plain(found)

    def reset_state(self) -> None:
        self.metric.reset_state()


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    return array if array.ndim else float(array)


def own_state(metric: Metric) -> Metric:
    """An OwnState for a metric whose class or a class of a person's below it updates or reads its state itself.

    Raises:
        NotImplementedError: neither the class nor one below it does. ValueError: one of plain numbers.
    """
    if not isinstance(metric, Metric) or isinstance(metric, OwnMetric):
        return metric
    hooks = ("update_state", "result", "reset_state")
    where = [next(cls for cls in type(metric).__mro__ if hook in vars(cls)) for hook in hooks]
    if not hasattr(metric, "kernel") and Metric in where[:2]:
        raise NotImplementedError(f"{type(metric).__name__}: a metric needs update_state(...) and result()")
    if any(map(is_own, where)):
        return OwnState(metric)
    if not metric.kernel:
        raise ValueError(f"metrics: {type(metric).__name__} takes numbers, it does not compare y_true and y_pred")
    return metric
