"""Powers, logarithms and cosines that every machine computes to the same bits.

Learning rates reach weights, so they may use nothing but float64 operations that IEEE 754 rounds correctly (the C
library's pow and cos, and NumPy's, differ from machine to machine). All functions take and return float64 arrays; the
relative error is a few 1e-16, for `power` times |exponent * log(base)|.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .._engine import Float64

_LOG_2_UPPER, _LOG_2_LOWER = 0.6931471803691238, 1.9082149292705877e-10  # the upper part times an exponent is exact


def _horner(coefficients: Sequence[float], x: Float64) -> Float64:
    value = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value


def log(x: ArrayLike) -> Float64:
    """Natural logarithm of x > 0: x = 2**e * f, f in [sqrt(1/2), sqrt(2)), log f = 2 atanh((f - 1)/(f + 1))."""
    f, e = np.frexp(np.asarray(x, np.float64))
    small = f < 0.7071067811865476
    f, e = np.where(small, 2.0 * f, f), e - small
    s = (f - 1.0) / (f + 1.0)
    tail = 2.0 * s * _horner([1.0 / n for n in range(1, 24, 2)], s * s)
    return e * _LOG_2_UPPER + (e * _LOG_2_LOWER + tail)


def exp(x: ArrayLike) -> Float64:
    """e**x: x = n * log 2 + r, |r| <= log(2)/2, e**r by its series. Large results are infinite, small ones 0."""
    x = np.clip(np.asarray(x, np.float64), -800.0, 800.0)
    n = np.rint(x * 1.4426950408889634)
    r = (x - n * _LOG_2_UPPER) - n * _LOG_2_LOWER
    factor, inverse_factorials = 1.0, [1.0]
    for i in range(1, 15):
        factor *= i
        inverse_factorials.append(1.0 / factor)
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(_horner(inverse_factorials, r), n.astype(np.int64))


def power(base: ArrayLike, exponent: ArrayLike) -> Float64:
    """base**exponent for base >= 0; 0**0 is 1."""
    base, exponent = np.broadcast_arrays(np.asarray(base, np.float64), np.asarray(exponent, np.float64))
    zero = base == 0.0
    value = exp(exponent * log(np.where(zero, 1.0, base)))
    with np.errstate(divide="ignore"):
        at_zero = np.where(exponent == 0.0, 1.0, np.where(exponent > 0.0, 0.0, np.inf))
    return np.where(zero, at_zero, np.where(exponent == 1.0, base, value))


_PI_SQUARED = 9.869604401089358


def cos_pi(x: ArrayLike) -> Float64:
    """cos(pi * x)."""
    x = np.abs(np.asarray(x, np.float64))
    x = x - 2.0 * np.floor(0.5 * x)  # [0, 2), exact
    x = np.where(x > 1.0, 2.0 - x, x)
    far = x > 0.5
    x = np.where(far, 1.0 - x, x)  # [0, 1/2]; cos changes its sign
    near_half = x > 0.25
    z = np.where(near_half, 0.5 - x, x)
    cosine, sine = [1.0], [1.0]
    for i in range(1, 12):
        cosine.append(-cosine[-1] * _PI_SQUARED / ((2 * i - 1) * (2 * i)))
        sine.append(-sine[-1] * _PI_SQUARED / ((2 * i) * (2 * i + 1)))
    value = np.where(near_half, 3.141592653589793 * z * _horner(sine, z * z), _horner(cosine, z * z))
    return np.where(far, -value, value)
