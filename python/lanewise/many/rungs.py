"""halving: many candidates train a little, the best of them train on."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from .. import _engine
from .._names import check_integer
from ..callbacks.base import Logs, told_late
from .fit import fit_many
from .jobs import Job, grid_of
from .results import Fit, Fits, frame_of, mean_and_deviation, rank
from .run import Run, Watch


@dataclass(eq=False, repr=False)
class Halving(Fits):
    """What `halving` returns: the networks as `Fits`, each as it was when it stopped, and what was decided.

    Attributes:
        rungs: one dict for each candidate at each rung, best first: rung (counted from 0), epochs, the candidate's
            number and params, mean and std of `monitor` over its seeds and folds, and whether it was kept: it trained
            on, or is the winner of the last rung.
        stages: the epochs at which it was decided.
    """

    rungs: list[dict[str, Any]]
    stages: list[int]
    numbers: dict[int, int]  # network -> candidate

    def candidates(self) -> list[dict[str, Any]]:
        """As of `Fits`, those first that came furthest."""
        reached = {row["candidate"]: row["rung"] + row["kept"] for row in self.rungs}
        found = super().candidates()
        return sorted(found, key=lambda entry: -reached.get(self.numbers[entry["fits"][0].index], -1))

    def frame(self) -> Any:
        """`rungs` as a pandas data frame; `results` has the networks.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame_of(self.rungs, ".rungs")

    def plot(self, metric: str | None = None) -> Any:
        """As `Fits.plot`, with a line where it was decided."""
        ax = super().plot(metric)
        for epochs in self.stages[:-1]:
            ax.axvline(epochs, color="0.5", linestyle=":", linewidth=0.8)
        return ax


def halving(
    models: Any, x: Any, y: Any, grid: Any, *, epochs: tuple[int, int], factor: int = 3, **arguments: Any
) -> Halving:
    """Successive halving: all candidates train for a few epochs, the best 1/factor of them for factor times as many ...

    A network that trains on goes on where it was, in one `fit` that only pauses: it has the bits of a training of its
    own, and so have those that are stopped. Rungs are at epochs[0], factor * epochs[0], factor**2 * epochs[0], ... and
    epochs[1]; of n candidates max(1, n // factor) go on. Learning-rate schedules see nothing of it: they follow the
    step.

    Args:
        models: a function or a model, as of `fit_many`.
        x, y, grid: as of `fit_many`; a list of dicts in the place of grid is a list of candidates, of a random search
            for example.
        epochs: (those of the first rung, those of the last).
        factor: >= 2.
        **arguments: of `fit_many`: seeds, folds (a candidate is judged by its mean over both), validation_split,
            validation_data, monitor, mode, n_jobs, callbacks, batch_size, ... A network that its callbacks stop
            competes with the value that it has then.

    Returns:
        Halving: `.best`, `.frame()`, `.plot()`, `.rungs`, and all that `Fits` has. A candidate of which a network fails
        drops out, its exception is in `.errors`. After Ctrl-C the networks that had finished their rung.

    Raises:
        ValueError / TypeError: bad arguments; nothing has been trained then. Where all networks fail: what the first
            one raised.

    Source: Jamieson & Talwalkar 2016; one bracket of Hyperband, Li et al. 2018.
    """
    if not isinstance(epochs, tuple | list) or len(epochs) != 2:
        raise TypeError(f"epochs: expected (those of the first rung, those of the last), received {epochs!r}")
    first = check_integer("epochs[0]", epochs[0], 1)
    last = check_integer("epochs[1]", epochs[1], first)
    factor = check_integer("factor", factor, 2)
    if isinstance(models, list | tuple) or grid is None:
        raise TypeError("models, grid: expected a function or a model, and candidates, received "
                        f"{type(models).__name__} and {type(grid).__name__}")  # fmt: skip
    candidates = grid_of(grid)
    for name in ("epochs", "initial_epoch", "_run"):
        if name in arguments or any(name in candidate for candidate in candidates):
            raise ValueError(f"{name}: the rungs say how long a network trains; give epochs=(first, last)")
    stages = [*itertools.takewhile(lambda n: n < last, (first * factor**i for i in itertools.count())), last]
    runs: list[_Rungs] = []

    def made(*given: Any) -> _Rungs:
        runs.append(_Rungs(*given, stages=stages, factor=factor))
        return runs[0]

    fits = fit_many(models, x, y, grid=candidates, epochs=last, **arguments, _run=made)
    run = runs[0]
    numbers = {index: number for number, group in enumerate(run.groups) for index in group}
    interrupted = fits.interrupted or (run.rung < len(stages) and bool(run.alive))
    return Halving(**{**vars(fits), "interrupted": interrupted}, rungs=run.rows, stages=stages, numbers=numbers)


class _Watch(Watch):
    """Lets a network wait at the start and at the end of each rung."""

    def __init__(self, run: _Rungs, index: int) -> None:
        super().__init__(run)
        self._rungs, self._index = run, index
        self.pauses = run.stages
        self.waited = 0.0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._wait()

    @told_late
    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._rungs.epochs += 1  # only for the progress bar
        stages = self._rungs.stages
        if epoch + 1 in stages[:-1] and not self.model.stop_training:
            value = self.judged(epoch)[self._rungs.monitor]
            self.model.stop_training = not self._wait(stages.index(epoch + 1), value)

    def _wait(self, *seen: Any) -> bool:
        began = perf_counter()
        goes_on = self._rungs.wait(self._index, *seen)
        self.waited += perf_counter() - began
        return goes_on


class _Rungs(Run):
    """All fits at once, each in a thread of its own, of which as many run as there are cores."""

    def __init__(self, jobs: Sequence[Job], *given: Any, stages: Sequence[int], factor: int) -> None:
        super().__init__(jobs, *given)
        self.stages, self._factor = stages, factor
        same = itertools.groupby(jobs, key=lambda job: id(job.params))
        self._params, self.groups = [], []
        for _, group in same:
            members = list(group)
            self._params.append(members[0].params)
            self.groups.append([job.index for job in members])
        self.rows: list[dict[str, Any]] = []
        self.rung = 0  # the one that is being trained for
        self.alive = set(range(len(self.groups)))
        self.epochs = 0
        self._gate = threading.Lock()  # of what follows and the three above
        self._decided = threading.Condition(self._gate)
        self._free = threading.Condition(self._gate)  # a core is
        self._values: dict[int, float] = {}  # network -> its value at the end of this rung
        self._over: dict[int, float] = {}  # ... of those whose fit is over
        self._group = {index: number for number, group in enumerate(self.groups) for index in group}
        self._inside: set[int] = set()  # networks that train just now
        sizes = [max(1, len(self.groups) // factor**i) for i in range(len(stages))]
        spans = [after - before for before, after in itertools.pairwise((0, *stages))]
        self._planned = len(self.groups[0]) * sum(n * span for n, span in zip(sizes, spans, strict=True))

    def watch(self, job: Job) -> Watch:
        return _Watch(self, job.index)

    def run(self, threads: int, verbose: int) -> Fits:
        self._cores = threads
        try:
            return super().run(self._total, verbose)
        finally:
            self._wake()

    def wait(self, index: int, rung: int | None = None, value: float = 0.0) -> bool:
        """Until the network's turn comes, at the end of a rung after it is decided. False: it is to end."""
        number = self._group[index]
        with self._gate:
            if rung is not None:
                self._inside.discard(index)
                self._values[index] = value
                self._free.notify()
                self._decide()
                self._decided.wait_for(lambda: self.stopping or self.rung > rung or number not in self.alive)
                if number not in self.alive:
                    return False
            self._free.wait_for(lambda: self.stopping or len(self._inside) < self._cores)
            if self.stopping:
                return False
            self._inside.add(index)
            left = sum(i not in self._over for n in self.alive for i in self.groups[n])
        _engine.limit_threads(max(1, self._cores // max(1, left)))
        return True

    def _train(self, job: Job, watch: Watch) -> Fit:
        failed = True
        try:
            fit = super()._train(job, watch)
            failed = False
        finally:
            with self._gate:
                if not failed:
                    self._over[job.index] = fit.logs[self.monitor]
                elif not self.stopping:
                    self.alive.discard(self._group[job.index])
                    self._decided.notify_all()
                self._inside.discard(job.index)
                self._free.notify()
                self._decide()
        fit.seconds -= getattr(watch, "waited", 0.0)
        return fit

    def _decide(self) -> None:
        """Where all have come to the end of the rung: who trains on."""
        while self.rung < len(self.stages) and self.alive and not self.stopping:
            known = {**self._values, **self._over}
            if any(i not in known for number in self.alive for i in self.groups[number]):
                return
            found = {n: mean_and_deviation([known[i] for i in self.groups[n]]) for n in self.alive}
            order = sorted(found, key=lambda n: (*rank(found[n][0], self._larger), n))
            last = self.rung == len(self.stages) - 1
            kept = order[: 1 if last else max(1, len(order) // self._factor)]
            for n in order:
                mean, std = found[n]
                row = {"rung": self.rung, "epochs": self.stages[self.rung], "candidate": n, **self._params[n]}
                self.rows.append(row | {"mean": mean, "std": std, "kept": n in kept})
            self.alive = set(kept)
            self._values = {}
            self.rung += 1
            self._decided.notify_all()

    def _wake(self) -> None:
        with self._gate:
            self._decided.notify_all()
            self._free.notify_all()

    def _stop(self) -> None:
        super()._stop()
        self._wake()

    def _share(self, done: int) -> float:
        return self._total * (1.0 if done == self._total else min(1.0, self.epochs / self._planned))
