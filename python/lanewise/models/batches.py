"""Data that comes batch by batch: generators, `PyDataset`, any iterable of (x, y[, w]), sparse matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .. import _engine
from .._arrays import as_array
from .._names import warn
from ..utils.batches import PyDataset
from .data import Picked

_PEEKED = 2  # batches of a generator that every validation reads
_MOST_ROWS = 1 << 62  # what the engine counts with
_DENSE_BYTES = 1 << 22  # of a sparse matrix made dense at a time


class Raw(NamedTuple):
    """What a source gives at a time; batch: rows of a step, None: all of them."""

    x: Any
    y: Any
    weights: Any
    batch: int | None


class Batches:
    """Batches from an iterable, one epoch after the other.

    A generator goes on from epoch to epoch; anything else begins again, unless an epoch has fewer steps than it has
    batches.

    Attributes:
        count: how many batches there are, None where that is not known.
    """

    def __init__(self, argument: str, source: Any) -> None:
        self.argument = argument
        self._source = source
        self._again = not hasattr(source, "__next__")
        self._iterator: Iterator[Any] | None = None
        self._seen = self._began = 0
        self._first: Any = None
        self._peeked: list[Any] | None = None
        self._has_first = False
        self.count: int | None = source.num_batches if isinstance(source, PyDataset) else _length(source)

    def first(self) -> Raw:
        """The first batch, which the first epoch gives again. Raises ValueError where there is none."""
        try:
            if isinstance(self._source, PyDataset):
                return self._raw(self._source[0])
            if self._iterator is None:
                self._iterator = iter(self._source)
            self._first, self._has_first = next(self._iterator), True
        except StopIteration:
            raise ValueError(f"{self.argument}: expected batches, received none") from None
        return self._raw(self._first)

    def epoch(self, steps: int | None, seed: int, epoch: int, shuffle: bool) -> Iterator[Raw]:
        """The batches of an epoch: `steps` of them, or all.

        Raises:
            ValueError: there is none left.
        """
        if isinstance(self._source, PyDataset):
            self._source.on_epoch_begin()
        if self._iterator is None or (steps is None and self._again and not self._has_first):
            self._iterator = self._from_start(seed, epoch, shuffle)
        wanted = steps if steps is not None else self.count
        given = 0
        while self._iterator is not None and (wanted is None or given < wanted):
            try:
                batch = self._first if self._has_first else next(self._iterator)
            except StopIteration:
                again = self._again and given == 0 < self._seen  # the epoch before took the last
                self._iterator = self._from_start(seed, epoch, shuffle) if again else None
                continue
            self._first, self._has_first = None, False
            given += 1
            self._seen += 1
            yield self._raw(batch)
        if self._again and self.count is not None and self._seen >= self.count:
            self._iterator = None
        if given == 0:
            raise ValueError(
                f"{self.argument}: no batches are left; a generator must go on for all epochs, or give a PyDataset or "
                "a list-like object that can be run through again"
            )
        if steps is not None and given < steps:
            warn(f"{self.argument}: expected {steps} batches in an epoch, received {given}", RuntimeWarning)
        if isinstance(self._source, PyDataset):
            self._source.on_epoch_end()

    def begin_again(self) -> None:
        """The next epoch begins with the first batch; of a generator with its first two again, then it goes on.

        So does Keras, which keeps the two at which it looked for shapes.
        """
        if self._again:
            self._iterator, self._has_first = None, False
        elif self._peeked is None:
            given = [self._first] if self._has_first else []
            self._peeked = [_kept(batch) for batch in chain(given, islice(self._source, _PEEKED - len(given)))]
            self._iterator, self._has_first = chain(self._peeked, self._source), False
        else:
            self._iterator = chain(self._peeked, self._source)

    def has_more(self) -> bool:
        """Whether another epoch finds a batch."""
        if self._again or self._has_first:
            return True
        if self._iterator is None:
            return False
        try:
            self._first, self._has_first = next(self._iterator), True
        except StopIteration:
            self._iterator = None
        return self._has_first

    @property
    def place(self) -> tuple[int, int]:
        """(batches of the order that earlier epochs took, with `steps`; the epoch that began with it), or (0, 0) where
        the next one begins again."""
        return (self._seen, self._began) if self._again and self._iterator is not None else (0, 0)

    def go_to(self, seen: int, seed: int, epoch: int, shuffle: bool) -> None:
        """Begin the next epoch after so many batches of the order that `epoch` began with."""
        if self._again and (self.count is None or seen < self.count):
            self._iterator, self._has_first = self._from_start(seed, epoch, shuffle, seen), False

    def _from_start(self, seed: int, epoch: int, shuffle: bool, seen: int = 0) -> Iterator[Any]:
        self._seen, self._began = seen, epoch
        source = self._source
        if not isinstance(source, PyDataset):
            return islice(source, seen, None)
        order: Iterable[int] = count(seen)
        self.count = source.num_batches  # it may change from epoch to epoch
        if self.count is not None:
            order = _engine.permutation(seed, epoch, self.count)[seen:].tolist() if shuffle else range(seen, self.count)
        return map(source.__getitem__, order)

    def _raw(self, batch: Any) -> Raw:
        if isinstance(batch, tuple | list) and 1 <= len(batch) <= 3 and not _is_row_list(batch):
            x, y, weights = (*batch, None, None)[:3]
            return Raw(x, y, weights, None)
        return Raw(batch, None, None, None)


class SparseBatches:
    """Rows of a SciPy sparse matrix, some batches at a time made dense, never the whole."""

    place = (0, 0)  # each epoch has an order of its own

    def __init__(
        self, argument: str, x: Any, y: Any, weights: Any, batch_size: int | None, steps: int | None = None
    ) -> None:
        self.argument = argument
        self._x = x.tocsr()
        self.rows = int(self._x.shape[0])
        batch_size = batch_rows(batch_size, self.rows, steps)
        self._y = None if y is None else as_array("y", y)
        self._weights = None if weights is None else as_array("sample_weight", weights)
        self._batch_size = batch_size
        self.count: int | None = -(-self.rows // batch_size)
        row = 4 * max(int(self._x.shape[1]), 1)
        self._chunk = batch_size * max(1, _DENSE_BYTES // (row * batch_size))
        for name, array in (("y", self._y), ("sample_weight", self._weights)):
            if array is not None and len(array) != self.rows:
                raise ValueError(f"{name}: expected {self.rows} rows as x has, received {len(array)}")
        if self.rows == 0:
            raise ValueError(f"{argument}: expected at least one row, received an empty matrix")

    def part(self, start: int, stop: int, batch_size: int | None, steps: int | None) -> SparseBatches:
        """Rows start..stop, in batches of their own."""
        y = None if self._y is None else self._y[start:stop]
        weights = None if self._weights is None else self._weights[start:stop]
        return SparseBatches(self.argument, self._x[start:stop], y, weights, batch_size, steps)

    def first(self) -> Raw:
        """The first batch."""
        return self._raw(np.arange(min(self._batch_size, self.rows)))

    def begin_again(self) -> None:
        """Every epoch does."""

    def has_more(self) -> bool:
        """True: rows are there for every epoch."""
        return True

    def epoch(self, steps: int | None, seed: int, epoch: int, shuffle: bool) -> Iterator[Raw]:
        """The rows in the order of this epoch, or the first `steps` batches of them."""
        order = _engine.permutation(seed, epoch, self.rows) if shuffle else np.arange(self.rows)
        last = self.rows if steps is None else min(self.rows, steps * self._batch_size)
        for start in range(0, last, self._chunk):
            yield self._raw(order[start : min(start + self._chunk, last)])

    def _raw(self, rows: Any) -> Raw:
        x = self._x[rows].toarray()
        y = None if self._y is None else self._y[rows]
        return Raw(x, y, None if self._weights is None else self._weights[rows], self._batch_size)


def _kept(batch: Any) -> Any:
    """A copy of a batch: a generator may fill the same arrays again."""
    if isinstance(batch, dict):
        return {key: _kept(value) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return (list if isinstance(batch, list) else tuple)(map(_kept, batch))
    if isinstance(batch, np.ndarray) or hasattr(batch, "to_numpy"):
        return batch.clone() if hasattr(batch, "clone") else batch.copy()
    return np.array(batch) if isinstance(batch, memoryview) or hasattr(batch, "__array__") else batch


def batch_rows(given: int | None, rows: int, steps: int | None) -> int:
    """Rows of a batch. Without a `batch_size` 32, or as many as make `steps` batches of all rows, as in Keras."""
    return min(given, _MOST_ROWS) if given else max(1, -(-rows // steps)) if steps else 32


def is_sparse(x: Any) -> bool:
    """Whether x, or what is picked from, is a SciPy sparse matrix."""
    return hasattr(x.x if isinstance(x, Picked) else x, "tocsr")


def batches_of(
    argument: str, x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None = None
) -> Batches | SparseBatches | None:
    """x as a source of batches; None where it is arrays.

    Raises:
        ValueError: y or sample_weight beside a source that has its own.
    """
    if isinstance(x, Picked):
        if not is_sparse(x):
            return None
        y, sample_weight = (
            None if a is None else as_array(n, a)[x.index] for n, a in (("y", y), ("sample_weight", sample_weight))
        )
        x = x.x.tocsr()[x.index]
    if is_sparse(x):
        return SparseBatches(argument, x, y, sample_weight, batch_size, steps)
    arrays = (np.ndarray, list, tuple, dict, str, bytes, memoryview)
    if not isinstance(x, PyDataset):
        if x is None or isinstance(x, arrays) or hasattr(x, "to_numpy") or hasattr(x, "__array__"):
            return None
        if not hasattr(x, "__iter__") and not hasattr(x, "__next__"):
            return None
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name}: batches of {type(x).__name__} bring their own; received {type(value).__name__}")
    return Batches(argument, x)


def _length(source: Any) -> int | None:
    try:
        return len(source)
    except TypeError:
        return None


def _is_row_list(batch: Any) -> bool:
    """A list of numbers is one array, not (x, y)."""
    return not any(isinstance(item, list | tuple | dict) or np.ndim(item) for item in batch)


class Place:
    """Where `fit` stands in its epoch, for BackupAndRestore.

    Attributes:
        batch: batches done. seen: batches of the order that earlier epochs took, with `steps_per_epoch`.
        began: the epoch that began with that order, where batches come from a data set.
        sums: of losses and metrics so far.
        order: the order of the rows, in a tuple; None before it is made.
        steps_after: how many batches an epoch has that begins after so many of the order; None where it is not known.
    """

    def __init__(self, batch: int = 0, seen: int = 0, began: int = 0, sums: Any = None) -> None:
        self.batch, self.seen, self.began, self.sums = batch, seen, began, sums
        self.order: tuple[Any] | None = None
        self.steps_after: Callable[[int], int | None] = lambda seen: None

    def check(self, zeros: Any, steps: int | None) -> None:
        """Raises ValueError for a backup of other metrics, or of epochs of more steps."""
        if self.batch and (np.shape(self.sums) != zeros.shape or self.sums.dtype != zeros.dtype):
            raise ValueError("BackupAndRestore: the backup was made with other losses or metrics")
        if steps is not None and self.batch > steps:
            raise ValueError(f"BackupAndRestore: the backup was made after batch {self.batch} of an epoch of {steps}")

    def begin(self, zeros: Any) -> Any:
        """The sums with which the epoch begins, or goes on."""
        if self.batch:
            zeros += self.sums
        self.sums = zeros
        return zeros

    def end(self, seen: int, began: int = 0) -> None:
        """The epoch is over."""
        self.batch, self.seen, self.began = 0, seen, began


class Cursor:
    """Where training with `steps_per_epoch` stands in the rows: the next epoch goes on there.

    As in Keras, an epoch ends early where the rows end, and the next one begins with a new order.
    """

    def __init__(self, rows: int, batch_size: int, steps: int | None) -> None:
        self._count = -(-rows // batch_size)
        self._rows = rows
        self._batch_size = batch_size
        self._steps = steps
        self._seen = 0

    @property
    def seen(self) -> int:
        """Batches of the order that earlier epochs took."""
        return self._seen

    def go_to(self, seen: int) -> None:
        """Begin the next epoch after so many batches of the order."""
        self._seen = seen if seen < self._count else 0

    def steps_after(self, seen: int) -> int:
        """How many batches an epoch has that begins after so many of the order."""
        left = self._count - (seen if seen < self._count else 0)
        return left if self._steps is None else min(self._steps, left)

    @property
    def at_start(self) -> bool:
        """Whether the next epoch takes a new order."""
        return self._seen == 0

    def span(self) -> tuple[int, int]:
        """(first, last) row of the next epoch's part of the order."""
        wanted = self._count if self._steps is None else self._steps
        stop = min(self._seen + wanted, self._count)
        if self._steps is not None and stop - self._seen < wanted:
            warn(f"x: expected {wanted} batches in an epoch, {stop - self._seen} were left", RuntimeWarning)
        first, last = self._seen * self._batch_size, min(stop * self._batch_size, self._rows)
        self._seen = 0 if stop == self._count else stop
        return first, last


# --- slices of an epoch -----------------------------------------------------------------------------------------

SLICE_SECONDS = 0.05  # Ctrl-C is answered and the progress bar redrawn after each slice


class Pace:
    """How many units (batches or rows) make a slice of SLICE_SECONDS, learnt from the slices before it."""

    def __init__(self, first: int = 1) -> None:
        self.units = first

    def record(self, units: int, seconds: float) -> None:
        """A slice of `units` took `seconds`: aim the next one, growing at most eightfold."""
        fitting = int(units * SLICE_SECONDS / max(seconds, 1e-9))
        self.units = max(1, min(fitting, 8 * max(units, self.units)))


def slices(rows: int, unit: int, pace: Pace, every_unit: bool = False) -> Iterator[tuple[int, int]]:
    """(start, stop) of each slice of `rows`, cut at multiples of `unit`; the pace learns from the time between two."""
    start = 0
    while start < rows:
        units = 1 if every_unit else pace.units
        stop = min(rows, start + units * unit)
        begun = perf_counter()
        yield start, stop
        if not every_unit:
            pace.record(-(-(stop - start) // unit), perf_counter() - begun)
        start = stop
