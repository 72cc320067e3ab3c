"""The FMA peak, of which every share of a floor is taken: chains in registers alone, on one and all threads."""

from __future__ import annotations

from typing import Any

import pytest

from lanewise import _core, ops


@pytest.mark.parametrize("threads", sorted({1, ops.get_num_threads()}))
def test_fma_chains(benchmark: Any, threads: int) -> None:
    """The best of some milliseconds, three times."""
    peak = benchmark.pedantic(_core.fma_peak, args=(threads,), rounds=3)
    assert peak > 1e9
    benchmark.extra_info["GFLOP/s"] = peak / 1e9
