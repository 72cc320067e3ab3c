"""Weights other than those of the rows: for losses that are no mean; and metrics that are told the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._engine import AnyArray, Float32, Float64, Network
from ..metrics.own import OwnState


class Weighing(NamedTuple):
    """What differs, by the index of a target.

    Attributes:
        told: metrics of a person's own in `weighted_metrics`.
        reductions: of each loss that is no mean.
        row_values: of a loss written in Python that is a sum: how many values a row has, 0: one number for the batch.
        copies: the targets of such losses that weighted metrics look at, with the weights as given: they come last.
    """

    told: Sequence[tuple[OwnState, int]]
    reductions: Mapping[int, str]
    copies: Sequence[int]
    row_values: Mapping[int, int]


class WeighedNetwork:
    """A network that gets other weights than it is called with.

    The loss of a batch is sum(w * l) / rows in the engine; with the weights w * rows it is the sum, with
    w * rows / sum(w) the weighted mean. A row of several values counts with their mean: their sum is that times their
    number. One number for the whole batch is every row's; its sum is as in Keras that number, with weights that times
    their sum.
    """

    def __init__(self, network: Network, weighing: Weighing) -> None:
        self._network = network
        self._weighing = weighing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def train(
        self, x: Any, y: Any, weights: Any, order: AnyArray | None, start: int, stop: int, batch: int, *rest: Any
    ) -> Float64:
        """`Network.train`."""
        y, weights = self._weigh(y, weights, order, start, stop, batch)
        return self._network.train(x, y, weights, order, start, stop, batch, *rest, weights_in_order=True)

    def evaluate(
        self, x: Any, y: Any, weights: Any, start: int, stop: int, batch: int, *words: int, order: Any = None
    ) -> Float64:
        """`Network.evaluate`."""
        y, weights = self._weigh(y, weights, order, start, stop, batch)
        return self._network.evaluate(
            x, y, weights, start, stop, batch, *words, order=order, weights_in_order=True
        )  # fmt: skip

    def value_and_grad(self, x: Any, y: Any, weights: Any, *rest: Any) -> tuple[Float64, list[Float32]]:
        """`Network.value_and_grad`."""
        y, weights = self._weigh(y, weights, None, 0, len(y[0]), len(y[0]))
        return self._network.value_and_grad(x, y, weights, *rest)

    def _weigh(
        self, y: Any, weights: Any, order: AnyArray | None, start: int, stop: int, batch: int
    ) -> tuple[list[AnyArray], Any]:
        """(targets, weights of the rows from start to stop in their order: one row may be in several batches)."""
        rows = slice(start, stop) if order is None else order[start:stop]
        given = [None if weight is None else weight[rows] for weight in weights or [None] * len(y)]
        starts = np.arange(0, stop - start, batch)
        for metric, target in self._weighing.told:
            weight = given[target]
            metric.weights = iter([None if weight is None else weight[at : at + batch] for at in starts])
        sizes = np.diff(starts, append=stop - start)
        changed = list(given)
        for target, reduction in self._weighing.reductions.items():
            weight, factor = given[target], sizes.astype(np.float64)
            values = self._weighing.row_values.get(target, 1)
            if weight is None and (reduction != "sum" or values == 0):
                continue
            factor *= values or 1
            if weight is not None and reduction != "sum":
                total = np.add.reduceat(weight.astype(np.float64), starts)
                factor = np.divide(factor, total, out=np.zeros(len(sizes)), where=total != 0)
            each = np.repeat(factor, sizes)
            changed[target] = (each if weight is None else weight * each).astype(np.float32)
        copies = self._weighing.copies
        return [*y, *(y[target] for target in copies)], [*changed, *(given[target] for target in copies)]
