"""PyDataset: batches made by a person's own code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any


class PyDataset:
    """Base of a data set that makes its batches itself: `ds[i]` is (x, y) or (x, y, sample_weight) of batch i.

    A subclass defines `__getitem__` and `__len__` (how many batches), and may define `on_epoch_begin` and
    `on_epoch_end`.

    Args:
        workers, use_multiprocessing, max_queue_size: accepted; batches are made one after the other.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    @property
    def num_batches(self) -> int | None:
        """How many batches an epoch has; None for any number."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} has neither __len__ nor num_batches")

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Called before the first batch of an epoch."""

    def on_epoch_end(self) -> None:
        """Called after the last batch of an epoch."""


Sequence = PyDataset
