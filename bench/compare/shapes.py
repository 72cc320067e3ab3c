"""The matrix products that are compared: fixed before anything was tuned for them.

C (m, n) = A (m, k) @ B (k, n), float32. A transposed operand is stored as (k, m) or (n, k) and handed over as a view.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One product; `transpose_a` and `transpose_b` say which operands are views of a transposed array."""

    m: int
    n: int
    k: int
    transpose_a: bool = False
    transpose_b: bool = False

    @property
    def name(self) -> str:
        """As in `32x128x1000` (m x n x k), with `A'` and `B'` where an operand is transposed."""
        return f"{self.m}x{self.n}x{self.k}{' A^T' * self.transpose_a}{' B^T' * self.transpose_b}"

    @property
    def flops(self) -> int:
        """Of the product."""
        return 2 * self.m * self.n * self.k

    @property
    def kind(self) -> str:
        """tiny: up to 32**3 multiplications; thin: a side of at most 24; large: from 512**3 on; medium: the others."""
        volume = self.m * self.n * self.k
        if volume <= 32**3:
            return "tiny"
        if min(self.m, self.n, self.k) <= 24:
            return "thin"
        return "large" if volume >= 512**3 else "medium"


KINDS = ("tiny", "thin", "medium", "large")

_PRODUCTS = [
    # the table of the design document
    (32, 128, 1000), (1000, 128, 32), (128, 512, 784), (64, 64, 64), (256, 256, 256), (1024, 1024, 1024),
    (2048, 2048, 2048), (1, 4096, 4096), (8, 4096, 4096), (256, 4096, 256), (16, 16, 16),
    # squares
    (8, 8, 8), (12, 12, 12), (17, 17, 17), (24, 24, 24), (32, 32, 32), (48, 48, 48), (96, 96, 96), (128, 128, 128),
    (192, 192, 192), (384, 384, 384), (512, 512, 512), (768, 768, 768), (1536, 1536, 1536), (4096, 4096, 4096),
    # a few rows of A
    (1, 128, 1000), (1, 1024, 1024), (2, 512, 512), (3, 1000, 1000), (4, 1024, 1024), (5, 777, 1023), (7, 4096, 512),
    (12, 1024, 1024), (16, 4096, 1024), (17, 1000, 300), (24, 2048, 512),
    # a few columns of B
    (1024, 1, 1024), (4096, 1, 128), (4096, 2, 512), (1000, 3, 1000), (2048, 4, 1024), (1023, 5, 777), (512, 7, 4096),
    (1024, 8, 1024), (2048, 12, 512), (1024, 16, 1024), (300, 17, 1000), (2048, 24, 512), (32, 1, 128),
    # a short sum
    (1024, 1024, 1), (512, 512, 2), (1000, 1000, 3), (1024, 1024, 4), (777, 1023, 5), (512, 4096, 7), (1024, 1024, 8),
    (2048, 512, 12), (1024, 1024, 16), (1000, 300, 17), (512, 2048, 24),
    # leading dimensions of 512, 1024 and 4096, and sizes that are no multiple of 16
    (100, 512, 512), (200, 1024, 300), (64, 4096, 64), (33, 65, 129), (50, 100, 200), (101, 203, 307), (333, 555, 777),
    (999, 1001, 1003), (31, 1000, 31), (128, 10, 512),
]  # fmt: skip

_TRANSPOSED = [
    # what training and prediction ask for: dX = dY @ W^T, dW = X^T @ dY
    (32, 1000, 128, False, True), (1000, 128, 32, True, False), (128, 784, 512, False, True),
    (784, 512, 128, True, False), (256, 4096, 4096, False, True), (4096, 4096, 256, True, False),
    # squares and thin ones
    (16, 16, 16, True, False), (16, 16, 16, False, True), (64, 64, 64, True, True), (256, 256, 256, True, False),
    (256, 256, 256, False, True), (256, 256, 256, True, True), (1024, 1024, 1024, True, False),
    (1024, 1024, 1024, False, True), (1024, 1024, 1024, True, True), (1, 1024, 1024, False, True),
    (8, 1024, 1024, False, True), (1024, 8, 1024, True, False), (333, 555, 777, True, True),
]  # fmt: skip

SHAPES = [Shape(*p) for p in _PRODUCTS] + [Shape(*p) for p in _TRANSPOSED]
QUICK = [
    s for s in SHAPES
    if s.name in {"16x16x16", "32x128x1000", "1000x128x32", "64x64x64", "256x256x256", "1024x1024x1024", "1x4096x4096",
                  "8x4096x4096", "1024x1024x8", "1024x8x1024", "32x1000x128 B^T", "784x512x128 A^T"}
]  # fmt: skip
