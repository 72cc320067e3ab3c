"""Orthogonal matrices without LAPACK, whose bits would depend on the machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import random
from .._engine import Float64
from .._names import check_finite
from .base import RandomInitializer


class Orthogonal(RandomInitializer):
    """gain times a random matrix with orthonormal columns (or rows, where there are more columns than rows).

    The factor Q of a QR factorisation of a normal matrix, with a positive diagonal of R (Saxe et al. 2014).
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = check_finite("gain", gain)

    def values(self, shape: tuple[int, ...]) -> Float64:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of at least two axes, received {shape}")
        rows, cols = math.prod(shape[:-1]), shape[-1]
        vectors = random.next_normal(rows * cols, self.seed).reshape(min(rows, cols), max(rows, cols))
        q = _orthonormal_rows(vectors)
        return (self.gain * (q.T if rows >= cols else q)).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


def _orthonormal_rows(a: Float64) -> Float64:
    """Modified Gram-Schmidt on the rows of a (m, n), m <= n.

    Its loss of orthogonality is about u * condition(a) (Bjorck 1967): far below float32 for normal matrices.
    """
    a = a.copy()
    for i in range(len(a)):
        q = a[i] / np.sqrt(_sum_last_axis(a[i] * a[i]))
        a[i] = q
        rest = a[i + 1 :]
        rest -= _sum_last_axis(rest * q)[:, None] * q
    return a


def _sum_last_axis(a: Float64) -> Float64:
    """Sum along the last axis by halving: elementwise additions in an order fixed by the length alone."""
    while a.shape[-1] > 1:
        n = a.shape[-1]
        half = n // 2
        pairs = a[..., :half] + a[..., half : 2 * half]
        a = pairs if n % 2 == 0 else np.concatenate([pairs, a[..., 2 * half :]], axis=-1)
    return a[..., 0]
