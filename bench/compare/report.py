"""Results as lines of a table, as Markdown, and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from .machine import Machine
from .session import AGAIN, Result
from .startup import Startup


def time_text(seconds: float | None) -> str:
    """Three digits and a unit."""
    if seconds is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def bytes_text(count: float) -> str:
    """Three digits and a unit of 1000."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def ratio_text(ratio: float | None) -> str:
    """Two digits behind the point."""
    return "–" if ratio is None else f"{ratio:.2f}"


def heads(names: list[str]) -> list[str]:
    """Heads of the columns."""
    libraries = [name for name in names if name != AGAIN]
    return ["task", *libraries, "fastest peer", "ratio", "fastest turns", "A/A", "floor/time"]


def row(result: Result, names: list[str], machine: Machine) -> list[str]:
    """Cells of a line: task, seconds by library, fastest peer, the three ratios, share of the floor."""
    mine, floor = result.seconds.get("lanewise"), machine.floor(result.task)
    cells = [time_text(result.seconds.get(name)) for name in names if name != AGAIN]
    return [
        result.task.name, *cells, result.best_peer or "–", ratio_text(result.ratio), ratio_text(result.fastest_ratio),
        ratio_text(result.again), ratio_text(floor / mine if mine and floor else None),
    ]  # fmt: skip


def summary(results: list[Result]) -> list[str]:
    """Geometric mean and smallest ratio of each group: of medians, of fastest turns, with cold caches if measured."""
    lines = []
    for group in dict.fromkeys(r.task.group for r in results):
        mine = [r for r in results if r.task.group == group]
        for what, of in (("", "ratio"), (", fastest turns", "fastest_ratio"), (", cold caches", "cold_ratio")):
            pairs = [(getattr(r, of), r.task.name) for r in mine]
            known = [(ratio, name) for ratio, name in pairs if ratio is not None]
            if known:
                mean = statistics.geometric_mean([ratio for ratio, _ in known])
                least, where = min(known)
                lines.append(f"{group}{what}: {mean:.2f} times the fastest peer (geometric mean of {len(known)}; "
                             f"least {least:.2f}: {where})")  # fmt: skip
    steps = {
        (r.task.network, r.task.optimizer): r.seconds.get("lanewise") for r in results if r.task.kind == "optimizers"
    }
    for (network, optimizer), seconds in steps.items():
        adam = steps.get((network, "adam"))
        if optimizer != "adam" and network and seconds and adam:
            lines.append(f"{network.name}: {optimizer} takes {seconds / adam:.2f} times Adam's time")
    return lines


STARTUP_HEADS = ["library", "on disk", "with all it requires", "import", "first step"]


def startup_row(s: Startup) -> list[str]:
    """Cells of a line of the table of what it takes to begin."""
    return [
        s.name, bytes_text(s.own_bytes), bytes_text(s.all_bytes), time_text(s.import_seconds),
        time_text(s.first_seconds),
    ]  # fmt: skip


def markdown_table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def document(
    machine_text: str, machine: Machine, versions: dict[str, str], results: list[Result], startups: list[Startup]
) -> dict[str, Any]:
    """Everything measured, as it goes into the JSON file."""
    tasks = [
        {"task": r.task.name, "group": r.task.group, "flops": r.task.flops, "floor": machine.floor(r.task),
         "bytes": r.task.traffic[1], "seconds": r.seconds, "fastest_seconds": r.fastest, "cold_seconds": r.cold,
         "first": r.first, "missing": r.missing}
        for r in results
    ]  # fmt: skip
    return {
        "machine": machine_text, "threads": machine.threads, "fma_peak": machine.fma_peak,
        "bandwidth": machine.bandwidth, "cache_bandwidth": machine.cache_bandwidth,
        "versions": versions, "tasks": tasks,
        "startup": [asdict(s) for s in startups],
    }  # fmt: skip
