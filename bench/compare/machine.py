"""What the machine can do, measured in the same run: FMA peak, and bandwidth by kind of traffic."""

from __future__ import annotations

import os
import subprocess
import tempfile

from lanewise import _core

from ..roofline import cache_levels, compile_probe, measure, working_sets
from .tasks import Task

ARRAYS = {"read": 1, "copy": 2, "update": 4}
"""How many arrays such a traffic has."""
ARRAY_BYTES = 4 * 256 * 256


class Machine:
    """Attributes:
    threads: of everything.
    fma_peak: operations a second.
    bandwidth: of memory, bytes a second by kind of traffic ("read", "copy", "update"); empty without a C++ compiler and
        where nobody asked for it (memory takes ten seconds behind a cache of hundreds of megabytes).
    cache_bandwidth: the same of L2, with the arrays that functions in it are given (256 KB each).
    """

    def __init__(self, threads: int, bandwidth: bool) -> None:
        self.threads = threads
        self.fma_peak = _core.fma_peak(threads)
        self.bandwidth: dict[str, float] = {}
        self.cache_bandwidth: dict[str, float] = {}
        if not bandwidth:
            return
        try:
            with tempfile.TemporaryDirectory() as directory:
                probe = compile_probe(os.environ.get("CXX", "c++"), directory)
                size = working_sets(cache_levels(), threads)[-1][1]
                self.bandwidth = {k: measure(probe, k, threads, 7, size) * 1e9 for k in ARRAYS}
                cached = {k: n * ARRAY_BYTES // threads for k, n in ARRAYS.items()}
                self.cache_bandwidth = {k: measure(probe, k, threads, 7, cached[k]) * 1e9 for k in ARRAYS}
        except (OSError, subprocess.CalledProcessError):
            pass

    def floor(self, task: Task) -> float | None:
        """The least seconds that a unit of the task can take: its operations at the peak, or its traffic at the
        bandwidth of where its arrays lie; None where that is not known."""
        if not task.function:
            return task.flops / self.fma_peak
        kind, traffic = task.traffic
        bandwidth = self.cache_bandwidth if task.in_cache else self.bandwidth
        return traffic / bandwidth[kind] if kind in bandwidth else None
