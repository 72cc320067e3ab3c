"""Bounds and switches that the kernel tests share (docs/numerics.md, section on accuracy)."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lanewise import _core, ops

U = 2.0**-24
ISAS = ops.available_isas()
FMA_ISAS = [isa for isa in ISAS if isa != "generic"]
# The same bits on all of these at any number of threads. On a CPU without FMA generic has its own, at any number too.
ALIKE = FMA_ISAS or ["generic"]
SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97]


@contextmanager
def running(isa: str | None = None, threads: int | None = None) -> Iterator[None]:
    """The ISA and the number of threads for a block; what was set before comes back.

    Threads that are asked for are used, for the smallest network too.
    """
    before = ops.active_isa(), ops.get_num_threads()
    try:
        if isa is not None:
            ops.use_isa(isa)
        if threads is not None:
            ops.set_num_threads(threads)
            _core.set_always_team(True)
        yield
    finally:
        _core.set_always_team(False)
        ops.use_isa(before[0])
        ops.set_num_threads(before[1])


def gamma(k: float) -> float:
    """k*u / (1 - k*u): the relative error of k roundings in a row."""
    return k * U / (1 - k * U)


def floats(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Standard normal float32."""
    return rng.standard_normal(shape).astype(np.float32)


def unaligned(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same numbers, one byte away from where a float may stand."""
    moved = np.frombuffer(bytearray(b"x" + x.tobytes()), np.uint8)[1:].view(np.float32).reshape(x.shape)
    assert not moved.flags.aligned and moved.flags.writeable
    return moved


def ulps(got: ArrayLike, exact: ArrayLike) -> float:
    """Largest distance in units of the last place of the exact value (float64), NaN and infinities in place."""
    got64, want = np.asarray(got, np.float64), np.asarray(exact, np.float64)
    with np.errstate(over="ignore"):
        rounded = want.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got64), np.isnan(want))
    infinite = np.isinf(rounded)
    np.testing.assert_array_equal(got64[infinite], rounded[infinite].astype(np.float64))
    finite = np.isfinite(rounded)
    if not finite.any():
        return 0.0
    unit = np.spacing(np.abs(rounded[finite])).astype(np.float64)
    return float(np.max(np.abs(got64[finite] - want[finite]) / unit))


def same_bits(a: ArrayLike, b: ArrayLike) -> bool:
    """Equal byte for byte: a NaN only to the same NaN (reference.same_bits takes all NaN as one)."""
    x, y = np.ascontiguousarray(a, np.float32), np.ascontiguousarray(b, np.float32)
    return x.shape == y.shape and x.tobytes() == y.tobytes()
