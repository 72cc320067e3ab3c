"""What `fit`, `evaluate` and `predict` print: Keras's progress line, or nothing.

A terminal and a notebook see one line redrawn in place, at most every 50 ms; a file gets one line an epoch, with
verbose=2 two, as from Keras.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

WIDTH = 20
REDRAW_SECONDS = 0.05
_BAR = ("━", "─")
_ASCII_BAR = ("=", ".")


class Silent:
    """Prints nothing (verbose=0)."""

    def on_epoch_begin(self, epoch: int) -> None:
        """An epoch begins, counted from 0."""

    def update(self, step: int, logs: dict[str, Any]) -> None:
        """`step` steps of the epoch are done; logs are the means so far."""

    def on_epoch_end(self, logs: dict[str, Any]) -> None:
        """The epoch has ended; logs are what is recorded of it."""

    def close(self) -> None:
        """No more epochs; ends a line that was left open by an exception."""


class Progress(Silent):
    """Prints to `sys.stdout` as it is when the object is made.

    Args:
        verbose: 1 (a bar) or 2 (a line an epoch).
        epochs: how many there are; `Epoch i/N` stands in front where there is more than one.
        steps: steps of an epoch.
        unit: what a step is called.
    """

    def __init__(self, verbose: int, epochs: int, steps: int, unit: str) -> None:
        self._out = sys.stdout
        self._epochs = epochs
        self._steps = max(steps, 1)
        self._unit = unit
        self._with_bar = verbose == 1
        self._in_place = _redraws(self._out)
        self._full, self._empty = _BAR if _can_show(self._out, "".join(_BAR)) else _ASCII_BAR
        self._drawn = 0  # width of the line that stands open on the screen

    def on_epoch_begin(self, epoch: int) -> None:
        self._header = f"Epoch {epoch + 1}/{self._epochs}" if self._epochs > 1 else ""
        if self._header and (self._in_place or not self._with_bar):
            self._write(f"{self._header}\n")
        self._began = self._now = self._drawn_at = perf_counter()
        self._first: tuple[int, float] | None = None  # steps done and time at the first update
        self._step = 0

    def update(self, step: int, logs: dict[str, Any]) -> None:
        now = self._now = perf_counter()
        self._step = step
        self._steps = max(self._steps, step)  # batches of which nobody knew how many there are
        if self._first is None:
            self._first = (step, now)
        if self._with_bar and self._in_place and now - self._drawn_at >= REDRAW_SECONDS and step < self._steps:
            self._drawn_at = now
            left = self._per_step() * (self._steps - step)
            line = self._line(left, dict(sorted(logs.items())))[: _columns(self._out) - 1]
            self._write("\r" + line + " " * (self._drawn - len(line)))
            self._drawn = len(line)

    def on_epoch_end(self, logs: dict[str, Any]) -> None:
        line = self._line(perf_counter() - self._began, logs)
        if self._in_place and self._drawn:
            line = "\r" + line + " " * (self._drawn - len(line))
        elif self._header and self._with_bar and not self._in_place:
            line = f"{self._header} - {line}"
        self._drawn = 0
        self._write(line + "\n")

    def close(self) -> None:
        if self._drawn:
            self._drawn = 0
            self._write("\n")

    def _per_step(self) -> float:
        """Seconds a step, without what came before the first update, if there was more than one."""
        if self._first is not None and self._step > self._first[0]:
            return (self._now - self._first[1]) / (self._step - self._first[0])
        return (self._now - self._began) / max(self._step, 1)

    def _line(self, seconds: float, logs: dict[str, Any]) -> str:
        count = f"{self._step:>{len(str(self._steps))}}/{self._steps}"
        values = "".join(f" - {name}: {_value(value)}" for name, value in logs.items())
        if not self._with_bar:
            return f"{count} - {_clock(seconds)} - {self._pace()}{values}"
        done = min(WIDTH, WIDTH * self._step // self._steps)
        return f"{count} {self._full * done}{self._empty * (WIDTH - done)} {_clock(seconds)} {self._pace()}{values}"

    def _pace(self) -> str:
        seconds = self._per_step()
        if seconds >= 1.0:
            return f"{seconds:.0f}s/{self._unit}"
        if seconds >= 1e-3:
            return f"{seconds * 1e3:.0f}ms/{self._unit}"
        return f"{seconds * 1e6:.0f}us/{self._unit}"

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def make_progress(verbose: Any, epochs: int, steps: int, unit: str = "step") -> Silent:
    """The progress for a level of `verbose`.

    Args:
        verbose: 0 nothing, 1 or 'auto' a bar, 2 a line an epoch.
        epochs: number of epochs.
        steps: steps of an epoch.
        unit: what a step is called.

    Raises:
        ValueError: another verbose.
    """
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', received {verbose!r}")
    if verbose == 0 or sys.stdout is None:
        return Silent()
    return Progress(1 if verbose == "auto" else int(verbose), epochs, steps, unit)


def _redraws(stream: Any) -> bool:
    """Whether a carriage return goes back to the start of the line: a terminal, or a notebook's output."""
    if type(stream).__module__.startswith(("ipykernel", "google.colab")):
        return True
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _can_show(stream: Any, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _columns(stream: Any) -> int:
    """Width of the terminal: a longer line would wrap, and a redraw would leave it standing."""
    import os

    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        return 10_000


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{seconds:.0f}s"


def _value(value: Any) -> str:
    try:
        number = float(value if getattr(value, "ndim", 0) == 0 else value.mean())
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.4f}" if abs(number) > 1e-3 else f"{number:.4e}"


def subplots(what: str, *grid: int, **options: Any) -> Any:
    """(figure, axes) as of `matplotlib.pyplot.subplots`.

    Raises:
        ImportError: matplotlib is not installed; what: which method needs it.
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"{what} needs matplotlib, which is not installed: pip install matplotlib") from None
    return pyplot.subplots(*grid, layout="constrained", **options)


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
