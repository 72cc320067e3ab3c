"""Random initializers: plain distributions, those scaled by fan-in and fan-out, and orthogonal matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import random
from .._engine import Float64
from .._names import check_finite, check_not_negative, check_positive
from .base import RandomInitializer

# Standard deviation of a standard normal variable truncated to [-2, 2].
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomUniform(RandomInitializer):
    """Uniform in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = check_finite("minval", minval)
        self.maxval = check_finite("maxval", maxval)

    def values(self, shape: tuple[int, ...]) -> Float64:
        u = random.next_uniform(math.prod(shape), self.seed).reshape(shape)
        return self.minval + (self.maxval - self.minval) * u

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normal with this mean and standard deviation."""

    limit: float | None = None

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = check_finite("mean", mean)
        self.stddev = check_not_negative("stddev", stddev)

    def values(self, shape: tuple[int, ...]) -> Float64:
        z = random.next_normal(math.prod(shape), self.seed, self.limit).reshape(shape)
        return self.mean + self.stddev * z

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal, truncated at two standard deviations from the mean."""

    limit = 2.0


class VarianceScaling(RandomInitializer):
    """Zero mean, variance scale/n, n the fan given by `mode`.

    Args:
        scale: positive factor of the variance.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        seed: None for the global seed.

    Source: Glorot & Bengio 2010 (glorot_*), He et al. 2015 (he_*), Klambauer et al. 2017 (lecun_*).
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = check_positive("scale", scale)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode: expected 'fan_in', 'fan_out' or 'fan_avg', received {mode!r}")
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                "distribution: expected 'truncated_normal', 'untruncated_normal' or 'uniform', "
                f"received {distribution!r}"
            )
        self.mode = mode
        self.distribution = distribution

    def values(self, shape: tuple[int, ...]) -> Float64:
        fan_in, fan_out = _fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, fan)
        n = math.prod(shape)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return (2.0 * limit * random.next_uniform(n, self.seed) - limit).reshape(shape)
        if self.distribution == "truncated_normal":
            stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
            return (stddev * random.next_normal(n, self.seed, 2.0)).reshape(shape)
        return (math.sqrt(variance) * random.next_normal(n, self.seed)).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """(fan_in, fan_out): of a kernel (in, out); further axes in front are a receptive field."""
    if len(shape) < 2:
        n = float(math.prod(shape))
        return n, n
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


class _Scaled(VarianceScaling):
    """A named case of VarianceScaling: only the seed is free."""

    case: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.case, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Scaled):
    """Uniform, limit sqrt(6/(fan_in + fan_out)) (Glorot & Bengio 2010)."""

    case = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal, standard deviation sqrt(2/(fan_in + fan_out)) (Glorot & Bengio 2010)."""

    case = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform, limit sqrt(6/fan_in) (He et al. 2015)."""

    case = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal, standard deviation sqrt(2/fan_in) (He et al. 2015)."""

    case = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform, limit sqrt(3/fan_in)."""

    case = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal, standard deviation sqrt(1/fan_in) (Klambauer et al. 2017)."""

    case = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):  # without LAPACK, whose bits would depend on the machine
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
