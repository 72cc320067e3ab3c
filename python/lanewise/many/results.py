"""What fit_many returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..callbacks import History
from ..models import Model
from ..progress import subplots


@dataclass(eq=False)
class Fit:
    """One trained network.

    Attributes:
        index: its number, counted from 0: the seeds of a candidate of the grid follow each other, the folds of a seed.
        params: what the grid says of it.
        seed: its seed; None where models were given without seeds.
        fold: the number of its fold; None without folds.
        model: the model, compiled, ready to be trained on.
        history: what its `fit` returned.
        logs: loss and metrics of the epoch whose weights it has: the last one, or the best one where an EarlyStopping
            brought its weights back.
        epochs: how many were run.
        seconds: how long it took.
    """

    index: int
    params: dict[str, Any]
    seed: int | None
    fold: int | None
    model: Model
    history: History
    logs: dict[str, float]
    seconds: float

    @property
    def epochs(self) -> int:
        """How many were run."""
        return len(self.history.epoch)

    def row(self) -> dict[str, Any]:
        """Everything but model and history as one flat dict; `param_loss` where the grid has a name of the logs."""
        params = {f"param_{k}" if k in self.logs else k: v for k, v in self.params.items()}
        ends = {"epochs": self.epochs, "seconds": self.seconds}
        labels = {k: v for k, v in (("seed", self.seed), ("fold", self.fold)) if v is not None}
        return {"index": self.index} | params | labels | self.logs | ends

    def __repr__(self) -> str:
        return f"<Fit {', '.join(f'{k}={v!r}' for k, v in self.row().items())}>"


class _Few(list[Fit]):
    """Shows how many there are."""

    def __repr__(self) -> str:
        return f"<{len(self)} Fit>"


def rank(value: float, larger_is_better: bool) -> tuple[bool, float]:
    """What to sort by, best first; NaN is worse than anything."""
    bad = value != value
    return bad, 0.0 if bad else -value if larger_is_better else value


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Of a sample; one value has the deviation 0."""
    mean = sum(values) / len(values)
    return mean, (sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1)) ** 0.5


def frame_of(rows: list[dict[str, Any]], instead: str) -> Any:
    """A pandas data frame of these rows. Raises ImportError, with what needs no pandas, where it is not installed."""
    try:
        from pandas import DataFrame
    except ImportError:
        raise ImportError(
            f"frame needs pandas, which is not installed: pip install pandas; {instead} does not"
        ) from None
    return DataFrame(rows)


@dataclass(eq=False)
class Fits:
    """The networks that `fit_many` has trained, in the order of their numbers; a sequence of `Fit`.

    Attributes:
        fits: those that were finished.
        errors: number -> exception of those that failed.
        total: how many there were to train.
        interrupted: whether Ctrl-C ended it: networks that were not finished then are neither here nor in errors.
        monitor: the value that decides which one is best.
        seconds: how long it took in all.
    """

    fits: list[Fit]
    errors: dict[int, BaseException]
    total: int
    interrupted: bool
    monitor: str
    larger_is_better: bool = field(repr=False)
    seconds: float

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def __getitem__(self, at: int) -> Fit:
        return self.fits[at]

    @property
    def models(self) -> list[Model]:
        """The trained models."""
        return [fit.model for fit in self.fits]

    @property
    def histories(self) -> list[History]:
        """The History of each of them."""
        return [fit.history for fit in self.fits]

    def ensemble(self) -> Any:
        """All of them as an `Ensemble`."""
        from .ensemble import Ensemble

        return Ensemble(self.models)

    @property
    def results(self) -> list[dict[str, Any]]:
        """A flat dict of each of them: number, grid, seed, fold, loss and metrics, epochs, seconds."""
        return [fit.row() for fit in self.fits]

    def frame(self) -> Any:
        """`results` as a pandas data frame.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame_of(self.results, ".results")

    def candidates(self) -> list[dict[str, Any]]:
        """The candidates of the grid, best first: params, and over their seeds and folds mean, std, count of `monitor`.

        One with NaN comes last; networks of folds without rows that validate do not count beside others.
        """
        groups: dict[int, list[Fit]] = {}  # all networks of a candidate have one and the same params
        for fit in self.fits:
            if self.monitor in fit.logs:
                groups.setdefault(id(fit.params), []).append(fit)
        found = []
        for fits in groups.values():
            values = [fit.logs[self.monitor] for fit in fits]
            mean, deviation = mean_and_deviation(values)
            found.append(
                {"params": fits[0].params, "mean": mean, "std": deviation, "count": len(fits), "fits": _Few(fits)}
            )
        return sorted(found, key=lambda entry: self._rank(entry["mean"]))

    @property
    def best(self) -> Fit:
        """The best network of the candidate whose mean over seeds and folds is best.

        Raises:
            ValueError: none was finished.
        """
        candidates = self.candidates()
        if not candidates:
            raise ValueError("best: no network was finished")
        fits: list[Fit] = candidates[0]["fits"]
        return min(fits, key=lambda fit: self._rank(fit.logs[self.monitor]))

    def _rank(self, value: float) -> tuple[bool, float]:
        return rank(value, self.larger_is_better)

    def plot(self, metric: str | None = None) -> Any:
        """Draw one curve for each network with matplotlib, the best one on top.

        Args:
            metric: what to draw; `monitor` by default.

        Returns:
            matplotlib's Axes.

        Raises:
            ImportError: matplotlib is not installed. ValueError: nothing was recorded under this name.
        """
        name = self.monitor if metric is None else metric
        best = self.best
        if name not in best.history.history:
            raise ValueError(f"metric: recorded are {', '.join(best.history.history)}, received {metric!r}")
        _, ax = subplots("plot")
        for fit in (*(f for f in self.fits if f is not best and name in f.history.history), best):
            values, epochs = fit.history.history[name], fit.history.epoch
            every = max(1, len(epochs) // len(values))  # validation may run every few epochs only
            style: dict[str, Any] = {"color": "0.75", "linewidth": 0.8}
            if fit is best:
                label = ", ".join(f"{k}={v}" for k, v in (fit.params or {"seed": fit.seed}).items())
                style = {"label": label, "linewidth": 2}
            ax.plot([epoch + 1 for epoch in epochs[every - 1 :: every]][: len(values)], values, **style)
        ax.set(xlabel="epoch", ylabel=name, title=f"{len(self.fits)} networks")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        ended = ", interrupted" if self.interrupted else ""
        seen = "" if self.monitor.startswith("val_") else " (of the rows that they are trained on)"
        best = f", best {self.monitor}{seen} {self.best.logs[self.monitor]:.6g}" if self.candidates() else ""
        return f"<Fits {len(self.fits)} of {self.total} networks, {len(self.errors)} failed{ended}{best}>"
