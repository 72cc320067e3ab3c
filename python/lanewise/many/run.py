"""Threads, one for each core, that train one network after the other."""

from __future__ import annotations

import random as python_random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import perf_counter
from types import FrameType
from typing import Any

import numpy as np

from .. import _engine, _names, random
from .._names import near_match, warn
from ..callbacks import Callback, EarlyStopping
from ..callbacks.base import Logs, told_late
from ..callbacks.monitor import MonitorCallback
from ..models.data import Picked
from ..progress import ManyProgress
from .jobs import Apart, Given, Job, Recipe, callbacks_for
from .results import Fit, Fits

_REDRAW_SECONDS = 0.1


class Stopped(Exception):
    """A training ends because all do."""


class Watch(Callback):
    """In each training: remembers the logs, and ends it where all are to end or the loss is not finite."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.logs: dict[int, dict[str, Any]] = {}
        self.share = 0.0  # of the epochs

    @told_late
    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self._run.stopping:
            raise Stopped

    @told_late
    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.on_epoch_begin(epoch)
        self.share = (epoch + 1) / self.params["epochs"]
        self.logs[epoch] = seen = dict(logs or {})
        if self._run.fail_on_nan and not abs(seen["loss"]) < float("inf"):
            raise FloatingPointError(f"loss: {seen['loss']} in epoch {epoch + 1}")

    def known(self, last: int) -> dict[str, Any]:
        """The latest value of everything up to this epoch."""
        return {k: v for epoch, logs in self.logs.items() if epoch <= last for k, v in logs.items()}

    def judged(self, last: int) -> dict[str, Any]:
        """`known`. Raises ValueError where what decides is not in it."""
        logs, monitor = self.known(last), self._run.monitor
        if monitor not in logs:
            raise ValueError(
                f"monitor: {monitor!r} was not recorded.{near_match(monitor, list(logs))} Recorded: {', '.join(logs)}"
            )
        return logs


class Run:
    """All trainings of one fit_many.

    Args:
        jobs: what is to be trained.
        recipe: makes the models.
        data: x and y.
        parts: rows that train and rows that validate, for each fold.
        arguments: of fit.
        judge: knows which value decides and which way.
        fail_on_nan: whether a loss that is not finite is an error.
    """

    def __init__(
        self, jobs: Sequence[Job], recipe: Recipe | Given, data: tuple[Any, Any], parts: Sequence[tuple[Any, Any]],
        arguments: dict[str, Any], judge: MonitorCallback, fail_on_nan: bool,
    ) -> None:  # fmt: skip
        self.fail_on_nan = fail_on_nan
        self.stopping = False
        self._total = len(jobs)
        self._left = iter(jobs)
        self._recipe = recipe
        self._data = data
        self._parts = parts
        self._arguments = arguments
        self._judge = judge
        self.monitor = judge.monitor
        self._larger = False
        self._turn = threading.Lock()  # who builds: one at a time, in the order of the jobs
        self._bell = threading.Lock()  # released where a thread ends
        self._bell.acquire()
        self._begun: list[int] = []  # threads that run, and those that have ended
        self._ended: list[int] = []
        self._generation = random.generation()
        self._watches: dict[int, Watch] = {}
        self._fits: dict[int, Fit] = {}
        self._errors: dict[int, BaseException] = {}
        self._apart = Apart("the builder has to make a new one at each call")
        self._best: float | None = None

    def watch(self, job: Job) -> Watch:
        """What watches the training of a job."""
        return Watch(self)

    def run(self, threads: int, verbose: int) -> Fits:
        """Train them all on so many threads."""
        began = perf_counter()
        workers, asked = min(threads, self._total), _names.frame_outside()
        self._progress = ManyProgress(verbose, self._total, self._judge.monitor)
        team = [
            threading.Thread(target=self._work, args=(threads // workers, asked), daemon=True, name=f"fit_many-{i}")
            for i in range(workers)
        ]
        try:
            for thread in team:
                thread.start()
            self._wait(workers)
        except KeyboardInterrupt:
            self._stop()
            self._wait(
                len(self._begun)
            )  # it may come before all threads are there; a second one does not wait for them
        finally:
            self.stopping = True
            self._draw(last=True)
        interrupted = len(self._fits) + len(self._errors) < self._total
        if self._errors and not self._fits and not interrupted:
            error = self._errors[min(self._errors)]
            if self._total > 1:
                error.add_note(f"fit_many: all {self._total} networks failed, this is the first of their errors")
            raise error
        if self._errors:
            index = min(self._errors)
            warn(
                f"fit_many: {len(self._errors)} of {self._total} networks failed; number {index} with "
                f"{type(self._errors[index]).__name__}: {self._errors[index]}; all are in .errors",
                RuntimeWarning,
            )
        fits = [self._fits[index] for index in sorted(self._fits)]
        errors = dict(sorted(self._errors.items()))
        seconds = perf_counter() - began
        return Fits(fits, errors, self._total, interrupted, self._judge.monitor, self._larger, seconds)

    def _wait(self, workers: int) -> None:
        """Until so many threads have ended. (After Ctrl-C in `Thread.join` Python 3.11 takes the thread for ended.)"""
        while len(self._ended) < workers:
            self._bell.acquire(timeout=_REDRAW_SECONDS)
            self._draw()

    def _work(self, threads: int, asked: FrameType) -> None:
        _names.asked.frame = asked
        self._begun.append(threads)
        _engine.limit_threads(threads)
        try:
            self._train_in_turn()
        finally:
            self._ended.append(threads)
            with suppress(RuntimeError):  # another thread that ends has rung it
                self._bell.release()

    def _train_in_turn(self) -> None:
        while True:
            self._turn.acquire()
            job = None if self.stopping else next(self._left, None)
            if job is None:
                self._turn.release()
                return
            watch = self._watches[job.index] = self.watch(job)
            try:
                self._finished(self._train(job, watch))
            except Stopped:
                pass
            except KeyboardInterrupt:  # raised by a callback
                self._stop()
            except BaseException as error:
                self._errors[job.index] = error
            del self._watches[job.index]

    def _train(self, job: Job, watch: Watch) -> Fit:
        began = perf_counter()
        with random.seeded(job.seed or 0):
            try:
                with generators_seeded(job.seed):
                    model = self._recipe.make(job)
                self._apart.add(model)
            finally:
                self._turn.release()
            self._judge.model = model
            self._larger = self._judge.direction()
            arguments = {**self._arguments, **self._recipe.parts(job.params)[2]}
            callbacks = callbacks_for(arguments.pop("callbacks"))(job.labels)
            x, y = self._data
            train, test = self._parts[job.fold or 0]
            if test is not None:
                arguments["validation_data"] = (Picked(x, test), y, arguments["sample_weight"])
            if train is not None:
                x = Picked(x, train)
            history = model.fit(x, y, verbose=0, callbacks=[*callbacks, watch], **arguments)
        if not history.epoch:
            raise ValueError("epochs: none was run")
        model.free_workspaces()
        model.keep_streams(self._generation)
        restored = [c.best_epoch for c in callbacks if isinstance(c, EarlyStopping) and c.best_weights is not None]
        ranked = test is not None or all(test is None for _, test in self._parts)
        logs = (watch.judged if ranked else watch.known)(restored[-1] if restored else history.epoch[-1])
        return Fit(job.index, job.params, job.seed, job.fold, model, history, logs, perf_counter() - began)

    def _finished(self, fit: Fit) -> None:
        value = fit.logs.get(self._judge.monitor, np.nan)
        with self._turn:
            if value == value and (self._best is None or (value > self._best) == self._larger):
                self._best = value
            self._fits[fit.index] = fit
            self._progress.finished(fit.row(), len(self._fits))

    def _stop(self) -> None:
        self.stopping = True
        for watch in list(self._watches.values()):
            if watch.model is not None:
                watch.model.stop_training = True

    def _share(self, done: int) -> float:
        """How many networks' worth of work is done, `done` having ended."""
        return done + sum(watch.share for watch in list(self._watches.values()))

    def _draw(self, last: bool = False) -> None:
        done = len(self._fits) + len(self._errors)
        self._progress.draw(self._share(done), len(self._fits), len(self._errors), self._best, last)


@contextmanager
def generators_seeded(seed: int | None) -> Iterator[None]:
    """Python's and NumPy's global generators as after `set_random_seed`, and afterwards as before.

    They are one for the process: what another thread draws meanwhile comes from the seed, and is drawn again later.
    """
    if seed is None or seed >= 2**32:
        yield
        return
    before = python_random.getstate(), np.random.get_state()
    python_random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        python_random.setstate(before[0])
        np.random.set_state(before[1])
