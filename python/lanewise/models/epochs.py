"""The epochs of one `fit`: training and validation, slice by slice; short ones many in one call of the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _engine
from .._engine import Network
from ..progress import Silent
from .base import Settled, sorted_logs
from .batches import Batches, Cursor, Pace, Place, batch_rows, slices
from .compiled import Compiled
from .data import Rows

if TYPE_CHECKING:
    from ..callbacks import CallbackList
    from .predictor import Source
    from .trainer import Trainer


@dataclass(eq=False)
class Epochs:
    """Runs them in the order of their numbers.

    Attributes:
        model, compiled, network: what is trained, with what.
        settled: which of its weights are.
        rows: all rows, or the first batch of `batches`.
        batches: what gives batches, None: `rows` are all there is.
        validation: what to validate on, if anything, after the epochs `validated`.
        end: the first epoch that is not to be run.
        the others: as `fit` takes them.
    """

    model: Trainer
    compiled: Compiled
    network: Network
    settled: Settled
    rows: Rows
    batches: Source | None
    batch_size: int
    class_weight: Any
    steps_per_epoch: int | None
    shuffle: bool
    validation: Rows | Source | None
    validated: Collection[int]
    validation_batch_size: int | None
    validation_steps: int | None
    end: int
    hooks: CallbackList
    progress: Silent

    def __post_init__(self) -> None:
        self._cursor = Cursor(self.rows.size, self.batch_size, self.steps_per_epoch)
        self._seed: int | None = None
        self._pace = Pace()  # epochs in a call of the engine
        self._ready: deque[dict[str, Any]] = deque()
        self._alone: bool | None = None
        self._error: BaseException | None = None  # what ended a call of several epochs, after those that it finished

    def steps_after(self, seen: int) -> int | None:
        """How many batches an epoch has, for a backup that was made after so many of the order."""
        return self._cursor.steps_after(seen) if self.batches is None else self.steps_per_epoch or self.batches.count

    def go_to(self, place: Place) -> None:
        """Begin where a backup was made."""
        self._cursor.go_to(place.seen)
        if isinstance(self.batches, Batches) and self.steps_per_epoch and place.seen:
            self.batches.go_to(place.seen, self.seed, place.began, self.shuffle)

    @property
    def seed(self) -> int:
        """Of all epochs, whatever another thread does with the global one."""
        if self._seed is None:
            self._seed = self.model._run_seed()
        return self._seed

    @property
    def told(self) -> bool:
        """Whether the logs of all epochs that have run were asked for."""
        return not self._ready

    def logs(self, epoch: int) -> dict[str, Any]:
        """Run the epoch, if it has not run yet. Returns loss and metrics by name, sorted."""
        if not self._ready and self._error is None:
            began, count = perf_counter(), 1
            if self._pace.units > 1 and self._runs_alone() and not self.model.stop_training:
                count = min(self._pace.units, self.end - epoch, self.hooks.ahead(epoch))
                self._run_ahead(epoch, count)
            else:
                self._ready.append(self._run(epoch))
            self._pace.record(count, perf_counter() - began)
        self.raise_late()
        return self._ready.popleft()

    def raise_late(self) -> None:
        """Raise what ended a call of several epochs, once those that it finished are told: it may be all of them."""
        if not self._ready and self._error is not None:
            raise self._error

    # --- many at once -------------------------------------------------------------------------------------------

    def _runs_alone(self) -> bool:
        """Whether the engine can run an epoch and its validation without Python."""
        if self._alone is None:
            held, hooks = self.validation, self.hooks
            self._alone = (
                self.batches is None and self.steps_per_epoch is None and self.validation_steps is None
                and (held is None or (isinstance(held, Rows) and not self.model._words()))
                and not hooks.needs_batches and not hooks.needs_tests and type(self.progress) is Silent
                and isinstance(self.network, Network) and not self.model.calls_python(self.compiled)
                and not self.compiled.optimizer.asks_for_rate
            )  # fmt: skip
        return self._alone

    def _run_ahead(self, epoch: int, count: int) -> None:
        """So many epochs at once, which take some 50 ms: a hand-over to the engine takes as long as a tiny epoch, and
        threads that train side by side wait for each other there."""
        model, compiled, rows = self.model, self.compiled, (*self.rows, self.batch_size)
        held, validated = rows, [False] * count
        if isinstance(self.validation, Rows):
            held = *self.validation, batch_rows(self.validation_batch_size, self.validation.size, None)
            validated = [e in self.validated for e in range(epoch + 1, epoch + count + 1)]
        seed, first = self.seed, model._epochs_shuffled
        model._epochs_shuffled += count
        compiled.optimizer.plan_steps(count * -(-self.rows.size // self.batch_size))
        done: list[Any] = []
        try:
            model._weights_lock.write(
                self.network.train_epochs, rows, compiled.optimizer.native, seed, first, self.shuffle, validated, held,
                done,
            )  # fmt: skip
        except BaseException as error:
            self._error = error
        sums = np.concatenate([[], *done]).reshape(-1, 2, len(compiled.begin()))
        if self._error is not None:
            model._epochs_shuffled = first + min(len(sums) + 1, count)
        for (trained, judged), (losses, held_losses), validates in zip(
            sums, compiled.losses(sums), validated, strict=False
        ):
            logs = compiled.results(trained, losses)
            if validates:
                results = compiled.results(judged, held_losses)
                logs |= {f"val_{key}": value for key, value in results.items()}
            self._ready.append(sorted_logs(logs))

    # --- one, in slices -----------------------------------------------------------------------------------------

    def _run(self, epoch: int) -> dict[str, Any]:
        logs = self._train() if self.batches is None else self._train_batches(self.batches)
        if self.validation is not None and epoch + 1 in self.validated:
            results = self.model._evaluate(
                self.compiled, self.network, self.validation, self.validation_batch_size, self.hooks, None,
                self.validation_steps,
            )  # fmt: skip
            logs |= {f"val_{key}": value for key, value in results.items()}
        return sorted_logs(logs)

    def _train(self) -> dict[str, Any]:
        model, compiled, rows, cursor = self.model, self.compiled, self.rows, self._cursor
        seed, place = self.seed, model._place
        if cursor.at_start and not place.batch:
            model._epochs_shuffled += 1
            place.order = None
        if place.order is None:  # a new epoch's, or that in which a backup was made
            order = _engine.permutation(seed, model._epochs_shuffled - 1, rows.size) if self.shuffle else None
            place.order = (rows.shuffled(order),)
        first, last = cursor.span()
        sums, batch_size = place.begin(compiled.begin()), self.batch_size
        skipped = place.batch * batch_size
        first = min(first + skipped, last)
        results = compiled.results(sums) if place.batch else {}
        pace = model._paces.setdefault(("train", batch_size), Pace())
        one = (
            self.hooks.needs_batches or model.stop_training
        )  # set before the epoch: it ends after one batch, as in Keras
        for start, stop in slices(last - first, batch_size, pace, one):
            batch = (skipped + start) // batch_size
            results = self._slice(
                self.network, rows, place.order[0], first + start, first + stop, batch_size, seed, batch
            )  # fmt: skip
            if model.stop_training:
                break
        place.end(cursor.seen)
        return results

    def _slice(
        self, network: Network, rows: Rows, order: Any, start: int, stop: int, batch_size: int, seed: int, batch: int
    ) -> dict[str, Any]:  # fmt: skip
        """Train on rows start to stop of the order, batch number `batch` of the epoch and those after it.

        Returns loss and metrics of the epoch so far.
        """
        model, compiled, each = self.model, self.compiled, self.hooks.needs_batches
        place = model._place
        if each:
            with self._between():
                self.hooks.on_train_batch_begin(batch, None)
        count = -(-(stop - start) // batch_size)
        compiled.optimizer.plan_steps(count)
        place.sums += model._weights_lock.write(
            network.train, rows.x, rows.y, rows.weights, order, start, stop, batch_size, compiled.optimizer.native,
            seed,
        )  # fmt: skip
        results = compiled.results(place.sums)
        place.batch = batch + count
        if each:
            with self._between():
                self.hooks.on_train_batch_end(batch, sorted_logs(results))
        self.progress.update(place.batch, results)
        return results

    @contextmanager
    def _between(self) -> Iterator[None]:
        """Two batches of an epoch, whose metrics go on afterwards."""
        self.model.within_epoch = True
        try:
            yield
        finally:
            self.model.within_epoch = False

    def _train_batches(self, batches: Source) -> dict[str, Any]:
        model, compiled = self.model, self.compiled
        seed, place, done = self.seed, model._place, 0
        model._epochs_shuffled += place.batch == 0
        epoch = model._epochs_shuffled - 1
        sums = place.begin(compiled.begin())
        results: dict[str, Any] = compiled.results(sums) if place.batch else {}
        for raw in batches.epoch(self.steps_per_epoch, seed, epoch, self.shuffle):
            rows = model._batch_rows(compiled, raw, self.class_weight)
            network = model._network(compiled, rows, self.settled)
            batch_size = raw.batch or rows.size
            unit = batch_size if self.hooks.needs_batches or model.stop_training else rows.size
            for start in range(0, rows.size, unit):
                stop = min(start + unit, rows.size)
                behind = min(max(place.batch - done, 0), -(-(stop - start) // batch_size))  # trained before the backup
                done, start = done + behind, start + behind * batch_size
                if start >= stop:
                    continue
                results = self._slice(network, rows, None, start, stop, batch_size, seed, done)
                done = place.batch
                if model.stop_training:
                    place.end(0)
                    return results
        place.end(*(batches.place if self.steps_per_epoch else (0, 0)))
        return results
