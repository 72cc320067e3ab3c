"""How far float32 may be from the truth: bounds that follow a computation; and the random words of Philox.

The kernels' equations on `Rounded` numbers are in `equations.py`, the plain bounds in `bounds.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bounds import U, gamma

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

TINY = 2.0**-149  # the smallest float32: what a rounding can cost where the result is subnormal
BLOCK = 512  # of sums along rows, and of k in products
CHUNK = 1024  # of sums down rows


def same_bits(a: ArrayLike, b: ArrayLike) -> bool:
    """Equal in shape and to the bit, the sign of zero included; all NaN count as one (their bits are not promised)."""
    x, y = np.array(a, np.float32), np.array(b, np.float32)
    x[np.isnan(x)] = y[np.isnan(y)] = np.nan
    return x.shape == y.shape and x.tobytes() == y.tobytes()


class Rounded:
    """The exact value of an expression (float64), and a bound of the error that float32 makes in it.

    Running error analysis (Wilkinson; Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.3):
    an operation hands on the bounds of its operands and adds its own rounding. A fused multiply-add is written as a
    product and a sum; that allows one rounding more than it makes, as the generic ISA needs.
    """

    __array_ufunc__ = None  # NumPy leaves `array * Rounded` to Rounded

    def __init__(self, value: ArrayLike, error: ArrayLike = 0.0) -> None:
        self.value: Float64 = np.asarray(value, np.float64)
        self.error: Float64 = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)

    @classmethod
    def constant(cls, value: float) -> Rounded:
        """A number that had to be rounded to float32."""
        return cls(value)._rounded()

    def _rounded(self, roundings: float = 1.0) -> Rounded:
        return Rounded(self.value, self.error + roundings * (U * (np.abs(self.value) + self.error) + TINY))

    @staticmethod
    def _of(other: Any) -> Rounded:
        return other if isinstance(other, Rounded) else Rounded(other)

    def __neg__(self) -> Rounded:
        return Rounded(-self.value, self.error)

    def __abs__(self) -> Rounded:
        return Rounded(np.abs(self.value), self.error)

    def __add__(self, other: Any) -> Rounded:
        b = self._of(other)
        return Rounded(self.value + b.value, self.error + b.error)._rounded()

    def __sub__(self, other: Any) -> Rounded:
        return self + -self._of(other)

    def __mul__(self, other: Any) -> Rounded:
        b = self._of(other)
        error = np.abs(self.value) * b.error + np.abs(b.value) * self.error + self.error * b.error
        return Rounded(self.value * b.value, error)._rounded()

    def __truediv__(self, other: Any) -> Rounded:
        b = self._of(other)
        size = np.abs(b.value)
        error = (np.abs(self.value) * b.error + size * self.error) / (size * (size - b.error))
        return Rounded(self.value / b.value, error)._rounded()

    def __radd__(self, other: Any) -> Rounded:
        return self._of(other) + self

    def __rsub__(self, other: Any) -> Rounded:
        return self._of(other) - self

    def __rmul__(self, other: Any) -> Rounded:
        return self._of(other) * self

    def sqrt(self) -> Rounded:
        """Correctly rounded square root."""
        root = np.sqrt(self.value)
        sum_of_roots = root + np.sqrt(np.maximum(self.value - self.error, 0.0))
        error = np.divide(self.error, sum_of_roots, out=np.zeros_like(root), where=sum_of_roots > 0)
        return Rounded(root, error)._rounded()

    def function(self, f: Callable[[Float64], Float64], ulps: float = 2.0) -> Rounded:
        """A monotonic function that float32 computes to within so many units in the last place."""
        value = f(self.value)
        error = np.maximum(np.abs(f(self.value + self.error) - value), np.abs(f(self.value - self.error) - value))
        return Rounded(value, error)._rounded(2 * ulps)

    def sum(self, block: int = BLOCK) -> Rounded:
        """Along the last axis: a block has 16 chains and a tree of four additions; blocks are added in order."""
        n = self.value.shape[-1]
        additions = -(-min(n, block) // 16) + 4 + -(-n // block)
        size = (np.abs(self.value) + self.error).sum(axis=-1)
        return Rounded(self.value.sum(axis=-1), self.error.sum(axis=-1) + gamma(additions) * size)

    def column(self) -> Rounded:
        """One number a row as a column, to go with rows."""
        return Rounded(self.value[..., None], self.error[..., None])

    def assert_holds(self, got: ArrayLike, what: object = "") -> None:
        """The float32 result has the right shape and is within the bound everywhere."""
        result = np.asarray(got)
        assert result.dtype == np.float32
        assert result.shape == self.value.shape, what
        excess = np.abs(result.astype(np.float64) - self.value) - self.error
        worst = np.unravel_index(np.argmax(excess), excess.shape) if excess.size else ()
        assert np.all(excess <= 0), (
            f"{what}: {result[worst]} at {worst}, expected {self.value[worst]} +- {self.error[worst]}"
        )


# --- random words ----------------------------------------------------------------------------------------------------


def philox(counter: ArrayLike, key: ArrayLike) -> NDArray[np.uint32]:
    """Philox4x32-10 of counters (..., 4) under a key (2,): words (..., 4).

    Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    c = np.asarray(counter, np.uint64)
    c0, c1, c2, c3 = (c[..., i] for i in range(4))
    k0, k1 = (int(k) for k in np.asarray(key, np.uint64))
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = p1 >> half ^ c1 ^ np.uint64(k0), p1 & low, p0 >> half ^ c3 ^ np.uint64(k1), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def random_words(seed: int, stream: int, step: int, node: int, n: int) -> NDArray[np.uint32]:
    """Words of elements 0 .. n-1: counter (element / 4, node + 65536 * stream, step), key the seed."""
    blocks = np.arange(-(-n // 4), dtype=np.uint64)
    fixed = np.array([node | stream << 16, step % 2**32, step >> 32], np.uint64)
    counters = np.concatenate([blocks[:, None], np.broadcast_to(fixed, (len(blocks), 3))], axis=1)
    return philox(counters, [seed % 2**32, seed >> 32]).reshape(-1)[:n]


DROPOUT_STREAM = 2


def dropout_mask(seed: int, step: int, node: int, shape: tuple[int, ...], rate: float) -> Float64:
    """What dropout multiplies by: 0 where the element's word is below rate * 2**32, else 1 / (1 - rate)."""
    words = random_words(seed, DROPOUT_STREAM, step, node, int(np.prod(shape)))
    kept = words >= np.uint32(float(np.float32(rate)) * 2.0**32)
    return kept.reshape(shape) * float(np.float32(1) / (np.float32(1) - np.float32(rate)))
