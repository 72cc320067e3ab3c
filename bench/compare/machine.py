"""What the machine can do, measured in the same run: FMA peak, and bandwidth of memory by kind of traffic."""

from __future__ import annotations

import os
import subprocess
import tempfile

from lanewise import _core

from ..roofline import cache_levels, compile_probe, measure, working_sets
from .tasks import Task


class Machine:
    """Attributes:
    threads: of everything.
    fma_peak: operations a second.
    bandwidth: bytes a second by kind of traffic ("read", "copy", "update"); empty where there is no C++ compiler.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.fma_peak = _core.fma_peak(threads)
        self.bandwidth: dict[str, float] = {}
        try:
            with tempfile.TemporaryDirectory() as directory:
                probe = compile_probe(os.environ.get("CXX", "c++"), directory)
                size = working_sets(cache_levels(), threads)[-1][1]
                self.bandwidth = {k: measure(probe, k, threads, 7, size) * 1e9 for k in ("read", "copy", "update")}
        except (OSError, subprocess.CalledProcessError):
            pass

    def floor(self, task: Task) -> float | None:
        """The least seconds that a unit of the task can take: its operations at the peak, or its traffic at memory's
        bandwidth; None for arrays that lie in caches."""
        if not task.function:
            return task.flops / self.fma_peak
        kind, traffic = task.traffic
        return traffic / self.bandwidth[kind] if kind in self.bandwidth and not task.in_cache else None
