"""The FMA peak, of which every share of a floor is taken: chains in registers alone, on one and all threads."""

from __future__ import annotations

import pytest

from lanewise import _core, ops


@pytest.mark.parametrize("threads", sorted({1, ops.get_num_threads()}))
def test_fma_chains(benchmark: pytest.FixtureRequest, threads: int) -> None:
    """No product may be faster than the peak of the same moment."""
    peak = benchmark.pedantic(_core.fma_peak, args=(threads,), rounds=3)  # type: ignore[attr-defined]
    assert peak > 1e9
    benchmark.extra_info["GFLOP/s"] = peak / 1e9  # type: ignore[attr-defined]
