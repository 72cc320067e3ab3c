"""What the examples share: where pictures go, and a table of errors with paired intervals."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

OUTPUT = Path(__file__).parent / "output"


def pyplot() -> ModuleType | None:
    """matplotlib.pyplot, drawing to files; None, and a line that says how to get it, where it is not installed."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: matplotlib is not installed (pip install matplotlib)")
        return None
    matplotlib.use("Agg")
    import matplotlib.pyplot

    return matplotlib.pyplot


def save_picture(figure: Any, name: str) -> None:
    """Write a matplotlib figure to examples/output/<name> and say so."""
    OUTPUT.mkdir(exist_ok=True)
    figure.savefig(OUTPUT / name, dpi=120, bbox_inches="tight")
    print(f"picture: {os.path.relpath(OUTPUT / name)}")


def rmse(error: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(error))))


class Errors:
    """Errors of several models on the same n rows, each row predicted by models that were not trained on it.

    Intervals are 95 % percentile bootstrap intervals over the rows. All models are judged on the same 2,000 samples
    of rows, so the interval of a difference is paired.

    Args:
        names: one a model.
        n: rows.
        repeats: how often each row will be predicted by each model.
    """

    def __init__(self, names: list[str], n: int, repeats: int) -> None:
        self.names = names
        self.squared = np.zeros((len(names), n))  # mean over the repeats of each row's squared error
        self.absolute = np.zeros((len(names), n))
        self.predicted = np.zeros((len(names), n))  # of the last repeat
        self.folds: list[list[float]] = [[] for _ in names]  # RMSE of each test fold of each repeat
        self._repeats = repeats
        self._samples = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=2000) / n  # weights of rows

    def add(self, name: str, rows: np.ndarray, predicted: np.ndarray, y: np.ndarray) -> None:
        """Predictions of one fold: (rows,), or (networks, rows) for the errors of one network, averaged over them."""
        model, error = self.names.index(name), np.atleast_2d(predicted) - y
        self.squared[model, rows] += np.mean(error**2, axis=0) / self._repeats
        self.absolute[model, rows] += np.mean(np.abs(error), axis=0) / self._repeats
        self.predicted[model, rows] = np.atleast_2d(predicted).mean(axis=0)
        self.folds[model].append(rmse(error))

    def rmse(self, name: str) -> tuple[float, float, float]:
        """RMSE of a model, and the ends of its interval."""
        squared = self.squared[self.names.index(name)]
        return float(np.sqrt(squared.mean())), *_interval(np.sqrt(self._samples @ squared))

    def mae(self, name: str) -> tuple[float, float, float]:
        """Mean absolute error of a model, and the ends of its interval."""
        absolute = self.absolute[self.names.index(name)]
        return float(absolute.mean()), *_interval(self._samples @ absolute)

    def difference(self, name: str, reference: str) -> tuple[float, float, float]:
        """RMSE of a model minus that of another, and the ends of its paired interval."""
        one, other = self.squared[self.names.index(name)], self.squared[self.names.index(reference)]
        samples = np.sqrt(self._samples @ one) - np.sqrt(self._samples @ other)
        return self.rmse(name)[0] - self.rmse(reference)[0], *_interval(samples)

    def table(self, reference: str) -> str:
        """RMSE and MAE of each model, its RMSE less that of `reference`, and in how many folds it was ahead."""
        other = self.folds[self.names.index(reference)]
        interval = "95 % interval"
        rows = [["", "RMSE", interval, "MAE", interval, f"less {reference}", interval, "folds ahead"]]
        for name, folds in zip(self.names, self.folds, strict=True):
            rows.append([name, *_cells(self.rmse(name)), *_cells(self.mae(name))])
            if name != reference:
                ahead = f"{sum(np.less(folds, other))} of {len(folds)}"
                rows[-1] += [*_cells(self.difference(name, reference), "+"), ahead]
        widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(f"{cell:{'<' if column == 0 else '>'}{widths[column]}}" for column, cell in enumerate(row))
            for row in rows
        )


def _interval(samples: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(low), float(high)


def _cells(value: tuple[float, float, float], sign: str = "") -> list[str]:
    number, low, high = (f"{part:{sign}.3f}".replace("-", "−") for part in value)
    return [number, f"{low} to {high}"]
