"""How one library times one task in its own process."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter

import numpy as np

from ..roofline import cache_levels

REPETITION = 2e-3  # seconds that calls are counted together at least; longer calls are timed one by one


def median_cold_seconds(call: Callable[[], object], budget: float, least: int = 3) -> float:
    """Median seconds of one call after other data have driven everything out of the caches."""
    other = np.ones(max(64 << 20, 2 * last_level_cache()) // 4, np.float32)
    times: list[float] = []
    stop = perf_counter() + budget
    while len(times) < least or (perf_counter() < stop and len(times) < 100):
        np.add(other, 1, out=other)
        begun = perf_counter()
        call()
        times.append(perf_counter() - begun)
    return statistics.median(times)


def last_level_cache() -> int:
    """Bytes; 32 MB where the system does not say."""
    return max((level.size for level in cache_levels()), default=32 << 20)


def calls_per_repetition(call: Callable[[], object]) -> int:
    """How many calls make a repetition, found by running them (which warms everything up)."""
    calls = 1
    while True:
        begun = perf_counter()
        for _ in range(calls):
            call()
        seconds = perf_counter() - begun
        if seconds >= REPETITION / 2:
            return max(1, round(calls * REPETITION / seconds)) if calls > 1 else 1
        calls = max(2 * calls, min(100 * calls, int(calls * REPETITION / max(seconds, 1e-7))))


def median_seconds(call: Callable[[], object], calls: int, budget: float, least: int = 3) -> float:
    """Median seconds of one call, over repetitions of `calls` calls, for about `budget` seconds."""
    times: list[float] = []
    stop = perf_counter() + budget
    while len(times) < least or perf_counter() < stop:
        begun = perf_counter()
        for _ in range(calls):
            call()
        times.append((perf_counter() - begun) / calls)
    return statistics.median(times)
