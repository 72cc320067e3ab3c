"""Is the default choice of threads ever worse than one thread, or than all of them?

    python -m bench.threads                      alone, beside a second fit, and under a quota of half a core
    python -m bench.threads --quick              fewer networks
    python -m bench.threads --markdown threads.md

Each network n-n-1 is trained by three models that take turns: with the default choice (one thread and the team are
measured, the better runs), on one thread, and always on all threads, one for each CPU of the affinity, also where a
quota makes the default fewer. The number is the default's median time over the better of the two others': above 1.05
the choice was wrong, or the machine restless. "Spread" shows by how much the default's own turns differ, "A/A" what
the better one's odd turns take over its even ones: 1 if measuring were perfect. The quota needs the right to make a
control group (Linux, root); else it is left out.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from .networks import Case

WIDTHS, BATCHES = (4, 16, 64, 256, 1024, 4096), (1, 8, 32, 128, 1024)
QUICK_WIDTHS, QUICK_BATCHES = (16, 256), (8, 128)
LARGEST = 40e9  # operations of a step: larger ones are left out
TURNS = 7  # of each model
HEADS = ["network", "batch", "default", "one thread", "all threads", "default / better", "A/A", "spread"]
CONDITIONS = {"alone": 0.04, "beside a second fit": 0.2, "quota of half a core": 0.5}
"""Seconds of a model's turn at least: long beside the slices of a scheduler, and the periods (0.1 s) of a quota."""
QUOTA = Path("/sys/fs/cgroup/cpu/lanewise-bench")


def cases(quick: bool) -> list[Case]:
    """The grid; an epoch has at least eight steps."""
    grid = itertools.product(QUICK_WIDTHS, QUICK_BATCHES) if quick else itertools.product(WIDTHS, BATCHES)
    found = [Case((width, width, 1), batch, 8 * batch) for width, batch in grid]
    return [case for case in found if case.step_flops() <= LARGEST]


def turn(model: Any, case: Case, data: tuple[Any, Any], threads: int, always: bool, epochs: int) -> float:
    """Seconds of a step over `epochs` epochs."""
    from lanewise import _core, ops

    ops.set_num_threads(threads)
    _core.set_always_team(always)
    try:
        begun = perf_counter()
        model.fit(*data, batch_size=case.batch, epochs=epochs, verbose=0)
        return (perf_counter() - begun) / epochs / (case.rows // case.batch)
    finally:
        _core.set_always_team(False)


def measure(case: Case, threads: int, seconds: float) -> list[float]:
    """[default, one thread, all threads, A/A, spread]: median seconds of a step; spread: of the default's quartiles."""
    data = case.data(case.rows)
    ways = [(threads, False), (1, False), (len(os.sched_getaffinity(0)), True)]
    models = [case.model() for _ in ways]
    for model, way in zip(models, ways, strict=True):
        step = turn(model, case, data, *way, 2)
    epochs = max(1, round(seconds / max(step * (case.rows // case.batch), 1e-6)))
    turn(models[0], case, data, *ways[0], 3 * epochs)  # the default measures first
    times: list[list[float]] = [[], [], []]
    for _ in range(TURNS):
        for model, way, mine in zip(models, ways, times, strict=True):
            mine.append(turn(model, case, data, *way, epochs))
    quarters = statistics.quantiles(times[0], n=4)
    better = min(times[1:], key=statistics.median)
    same = statistics.median(better[1::2]) / statistics.median(better[::2])
    return [*map(statistics.median, times), same, (quarters[2] - quarters[0]) / quarters[1]]


def grid(quick: bool, seconds: float) -> Iterator[list[str]]:
    """Rows of the table, one network at a time."""
    from lanewise import ops

    threads = ops.get_num_threads()
    for case in cases(quick):
        default, one, team, same, spread = measure(case, threads, seconds)
        micro = [f"{1e6 * s:.4g} µs" for s in (default, one, team)]
        yield [f"{case.units[0]}-{case.units[1]}-1", str(case.batch), *micro, f"{default / min(one, team):.2f}",
               f"{same:.2f}", f"{100 * spread:.0f} %"]  # fmt: skip


@contextmanager
def second_fit() -> Iterator[None]:
    """Another process that trains without end."""
    code = ("from bench.networks import Case\ncase = Case((256, 256, 1), 64, 4096)\nmodel = case.model()\n"
            "while True: model.fit(*case.data(4096), batch_size=64, epochs=50, verbose=0)")  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def table(condition: str, quick: bool) -> list[list[str]]:
    """All rows under a condition, in a process of its own; prints them as they come."""
    command = [sys.executable, "-m", "bench.threads", "--worker", str(CONDITIONS[condition]),
               *(["--quick"] if quick else [])]  # fmt: skip
    enter = None
    if condition.startswith("quota"):
        QUOTA.mkdir(exist_ok=True)
        (QUOTA / "cpu.cfs_period_us").write_text("100000")
        (QUOTA / "cpu.cfs_quota_us").write_text("50000")
        enter = lambda: (QUOTA / "tasks").write_text(str(os.getpid()))  # noqa: E731
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=enter)
    rows = []
    assert worker.stdout is not None
    for line in worker.stdout:
        rows.append(line.rstrip("\n").split("\t"))
        print("".join(f"{cell:>18}" for cell in rows[-1]), flush=True)
    if worker.wait() != 0:
        raise RuntimeError(f"{condition}: the process ended with code {worker.returncode}")
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.threads", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="four networks")
    parser.add_argument("--only", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS), help="conditions")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        for row in grid(arguments.quick, arguments.worker):
            print("\t".join(row), flush=True)
        return
    from lanewise import ops

    info = ops.build_info()
    lines = [f"{info['cpu']}, {info['isa']}, {ops.get_num_threads()} threads, {datetime.date.today()}"]
    print(lines[0])
    for condition in arguments.only:
        print(f"\n{condition}\n" + "".join(f"{head:>18}" for head in HEADS), flush=True)
        try:
            if condition.startswith("beside"):
                with second_fit():
                    rows = table(condition, arguments.quick)
            else:
                rows = table(condition, arguments.quick)
        except OSError as error:
            print(f"left out: {error}")
            continue
        ratios = [float(row[-3]) for row in rows]
        noise = [float(row[-2]) for row in rows]
        end = (f"{condition}: {statistics.geometric_mean(ratios):.3f} times the better of one and all threads "
               f"(geometric mean of {len(ratios)}), {sum(r > 1.05 for r in ratios)} of them above 1.05; "
               f"A/A off by more than 0.05: {sum(abs(n - 1) > 0.05 for n in noise)}")  # fmt: skip
        print(end)
        lines += ["", f"## {condition}", "", "| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
        lines += ["| " + " | ".join(row) + " |" for row in rows] + ["", end]
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
