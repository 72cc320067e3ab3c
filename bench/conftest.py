"""What every benchmark shares: the record of what ran, a table of ratios at the end, and a word about the environment.

    pytest bench -q --benchmark-quiet                     all of it, about a minute, only the table of ratios
    OMP_NUM_THREADS=1 pytest bench -q --benchmark-quiet   one thread, lanewise and NumPy alike
    pytest bench --benchmark-json=now.json                with everything in extra_info
    pytest bench --benchmark-autosave                     to be compared: pytest-benchmark compare

Caches are warm: a benchmark repeats one call over the same arrays.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lanewise import ops

SLOWS_NUMPY = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
RESULTS = pytest.StashKey[list[tuple[str, str, float, str]]]()  # group, library, seconds, rate


def environment_warning() -> str | None:
    """What is wrong with the environment for a comparison with NumPy; None if nothing is."""
    found = [name for name in SLOWS_NUMPY if name in os.environ]
    if not found:
        return None
    settings = ", ".join(f"{name}={os.environ[name]}" for name in found)
    unset = " ".join(f"-u {name}" for name in found)
    return (
        f"{settings}: OpenBLAS does not choose its own kernels and blocks, so NumPy is SLOWER here than it can be and "
        f"every ratio to it flatters lanewise. For a fair comparison: env {unset} pytest bench"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Room for the results."""
    config.stash[RESULTS] = []


def pytest_report_header() -> list[str]:
    """What runs where."""
    info = ops.build_info()
    lines = [f"lanewise {info['version']}: {info['isa']}, {info['threads']} thread(s), {info['cpu']}"]
    warning = environment_warning()
    return lines if warning is None else [*lines, f"WARNING {warning}"]


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """measure(library, group, call, flops=, nbytes=, steps=): time a call and record what ran.

    flops and nbytes are floating-point operations and bytes read and written of one call; steps is how many training
    steps it makes. extra_info receives library, isa, threads, cpu and gflops, gb_per_s or us_per_step.
    """

    def run(
        library: str, group: str, call: Callable[[], object], *, flops: float = 0, nbytes: float = 0, steps: int = 1
    ) -> None:
        info = ops.build_info()
        benchmark.group = group
        extra = benchmark.extra_info
        extra |= {"library": library, "cpu": info["cpu"]}
        if library == "lanewise":
            extra |= {"version": info["version"], "isa": info["isa"], "threads": info["threads"]}
        else:
            asked = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
            extra |= {"version": np.__version__, "isa": "its own choice", "threads": asked or "its own choice"}
        extra |= {name.lower(): os.environ[name] for name in SLOWS_NUMPY if name in os.environ}
        benchmark(call)
        if benchmark.stats is None:  # --benchmark-disable
            return
        seconds = benchmark.stats.stats.median
        rate = ""
        if flops:
            extra["gflops"] = flops / seconds / 1e9
            rate = f"{extra['gflops']:.1f} GFLOP/s"
        elif nbytes:
            extra["gb_per_s"] = nbytes / seconds / 1e9
            rate = f"{extra['gb_per_s']:.1f} GB/s"
        if steps > 1:
            extra["us_per_step"] = seconds / steps * 1e6
        request.config.stash[RESULTS].append((group, library, seconds / steps, rate))

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a group: medians, lanewise's rate, and how many times NumPy's time is lanewise's."""
    results = config.stash[RESULTS]
    if not results:
        return
    terminalreporter.section("medians, µs a call (a step where it trains)")
    terminalreporter.write_line(f"{'':48}{'lanewise':>12}{'NumPy':>12}{'ratio':>8}")
    for group in dict.fromkeys(result[0] for result in results):
        seconds = {library: s for g, library, s, _ in results if g == group}
        rate = next((r for g, library, _, r in results if g == group and library == "lanewise"), "")
        other = next((library for library in seconds if library != "lanewise"), "numpy")
        cells = "".join(f"{seconds[k] * 1e6:12.2f}" if k in seconds else f"{'':12}" for k in ("lanewise", other))
        ratio = f"{seconds[other] / seconds['lanewise']:8.2f}" if len(seconds) == 2 else f"{'':8}"
        note = "" if other == "numpy" else f"   (against {other})"
        terminalreporter.write_line(f"{group:48}{cells}{ratio}   {rate}{note}")
    warning = environment_warning()
    if warning is not None:
        terminalreporter.write_line(f"WARNING {warning}", red=True)
