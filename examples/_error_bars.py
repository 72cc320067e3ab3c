"""Error bars of an ensemble: how far its networks are apart, calibrated on rows that the networks did not see."""

from __future__ import annotations

import math

import numpy as np


def left_out_mean_and_spread(each: np.ndarray, left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (by k - 1) of what those networks say of a row that were not trained on it.

    Args:
        each: (networks, rows) predictions. left_out: (networks, rows) bool, at least two true for each row.

    Returns:
        (rows,), (rows,) float64.
    """
    count = left_out.sum(axis=0)
    mean = np.where(left_out, each, 0.0).sum(axis=0) / count
    squares = np.where(left_out, (each - mean) ** 2, 0.0).sum(axis=0)
    return mean, np.sqrt(squares / (count - 1))


class ErrorBars:
    """Intervals of half-width factor · (spread + floor), by conformal prediction with scaled residuals.

    The floor is half the mean spread: networks that agree by chance are not believed to be right. The factor is the
    ceil(coverage · (n + 1))-th smallest of |residual| / (spread + floor) over n rows (Lei et al. 2018, section 5.2).

    Args:
        residual, spread: (n,) of predictions for rows that the networks who made them did not see.
        coverage: which share of new rows the intervals shall hold.
    """

    def __init__(self, residual: np.ndarray, spread: np.ndarray, coverage: float = 0.9) -> None:
        n = len(residual)
        rank = math.ceil(coverage * (n + 1))
        if rank > n:
            raise ValueError(f"residual: {n} rows are too few for intervals of {coverage:.0%}")
        self.floor = float(spread.mean()) / 2
        self.factor = float(np.sort(np.abs(residual) / (spread + self.floor))[rank - 1])

    def half_width(self, spread: np.ndarray) -> np.ndarray:
        """(rows,) of new rows whose spreads are given."""
        return self.factor * (spread + self.floor)


class Coverage:
    """Errors, spreads and half-widths of rows as they are predicted, in thirds of the spread."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, error: np.ndarray, spread: np.ndarray, half_width: np.ndarray) -> None:
        """(rows,) each."""
        self._parts.append((error, spread, half_width))

    def thirds(self) -> list[tuple[float, float, float]]:
        """RMSE, mean half-width and share of rows inside: of each third, smallest spreads first, and of all."""
        error, spread, half_width = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        groups = [*np.array_split(np.argsort(spread, kind="stable"), 3), np.arange(len(spread))]
        return [
            (
                float(np.sqrt(np.mean(error[rows] ** 2))),
                float(half_width[rows].mean()),
                float(np.mean(np.abs(error[rows]) <= half_width[rows])),
            )
            for rows in groups
        ]
