"""The one line that fit_many draws: networks done, what is left, the best one so far."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

from ..progress import _ASCII_BAR, _BAR, WIDTH, _can_show, _clock, _columns, _redraws, _value


class ManyProgress:
    """Prints to `sys.stdout` as it is when the object is made.

    Args:
        verbose: 0 nothing; 1 one line, redrawn in place (in a file: the last one only); 2 a line for each network.
        total: how many networks there are.
        monitor: which value of them is shown.
    """

    def __init__(self, verbose: int, total: int, monitor: str) -> None:
        self._out = sys.stdout
        self._verbose = verbose if self._out is not None else 0
        self._total = total
        self._monitor = monitor
        self._in_place = verbose == 1 and _redraws(self._out)
        self._full, self._empty = _BAR if _can_show(self._out, "".join(_BAR)) else _ASCII_BAR
        self._drawn = 0
        self._began = perf_counter()

    def finished(self, row: dict[str, Any], count: int) -> None:
        """A network is finished; count: how many are."""
        if self._verbose == 2:
            values = " - ".join(f"{k}: {_value(v) if isinstance(v, float) else v}" for k, v in row.items())
            self._out.write(f"{count}/{self._total} - {values}\n")
            self._out.flush()

    def draw(self, done: float, count: int, failed: int, best: float | None, last: bool = False) -> None:
        """done: networks with the share of those that run; count: finished; best: value of the best one."""
        if self._verbose != 1 or not (self._in_place or last):
            return
        seconds = perf_counter() - self._began
        full = int(WIDTH * done / self._total)
        bar = self._full * full + self._empty * (WIDTH - full)
        left = _clock(seconds) if last else f"{_clock(seconds / done * (self._total - done))} left" if done else "-"
        line = f"{count}/{self._total} {bar} {left}"
        if best is not None:
            line += f" - best {self._monitor}: {_value(best)}"
        if failed:
            line += f" - {failed} failed"
        if self._in_place:
            line = line[: _columns(self._out) - 1]
            self._out.write("\r" + line + " " * (self._drawn - len(line)))
            self._drawn = len(line)
        else:
            self._out.write(line)
        if last:
            self._out.write("\n")
        self._out.flush()
