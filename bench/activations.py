"""Keras's activations in NumPy: in float32 the competitor of the kernels, in float64 their reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def cdf(x: Array) -> Array:
    """The standard normal distribution, with the error function NumPy lacks as a polynomial in float32 (to 1e-7)."""
    if x.dtype == np.float64:
        return np.asarray(np.frompyfunc(lambda v: math.erfc(-v / math.sqrt(2)) / 2, 1, 1)(x), np.float64)
    t = 1 / (1 + np.abs(x) * np.float32(0.3275911 / math.sqrt(2)))
    p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    tail = 0.5 * p * np.exp(-0.5 * x * x)
    return np.where(x < 0, tail, 1 - tail)


def logistic(x: Array) -> Array:
    return 0.5 * np.tanh(0.5 * x) + 0.5


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


ROOT = math.sqrt(2 / math.pi)
TWICE = 2 * ROOT * 0.044715


def tanh_slope(x: Array) -> Array:
    s = logistic(2 * ROOT * x + TWICE * x**3)
    return s + x * s * (1 - s) * (2 * ROOT + 3 * TWICE * x * x)


def mish_slope(x: Array) -> Array:
    w = np.tanh(softplus(x))
    return w + x * (1 - w * w) * logistic(x)


@dataclass(frozen=True)
class Activation:
    """y of x; its slope, of x or of y."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    of_input: bool

    def forward(self, x: Array, out: Array) -> None:
        """y into out."""
        np.copyto(out, self.value(x))

    def backward(self, dy: Array, of: Array, out: Array) -> None:
        """dy * slope into out."""
        np.multiply(dy, self.slope(of), out)


SMOOTH = {
    "exponential": Activation(np.exp, lambda y: y, False),
    "softplus": Activation(softplus, lambda y: -np.expm1(-y), False),
    "softsign": Activation(lambda x: x / (1 + np.abs(x)), lambda y: np.square(1 - np.abs(y)), False),
    "hard_sigmoid": Activation(
        lambda x: np.clip((x + 3) / 6, 0, 1), lambda y: ((y > 0) & (y < 1)) / y.dtype.type(6), False
    ),
    "leaky_relu": Activation(
        lambda x: np.where(x > 0, x, np.float32(0.2) * x), lambda x: np.where(x > 0, x.dtype.type(1), np.float32(0.2)),
        True,
    ),
    "elu": Activation(
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, x.dtype.type(1), np.exp(np.minimum(x, 0))),
        True,
    ),
    "gelu": Activation(
        lambda x: x * cdf(x), lambda x: cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi), True
    ),
    "gelu_tanh": Activation(lambda x: 0.5 * x * (1 + np.tanh(ROOT * x + TWICE / 2 * x**3)), tanh_slope, True),
    "silu": Activation(lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * (1 - logistic(x))), True),
    "mish": Activation(lambda x: x * np.tanh(softplus(x)), mish_slope, True),
    "hard_silu": Activation(
        lambda x: x * np.clip((x + 3) / 6, 0, 1),
        lambda x: np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5)).astype(x.dtype),
        True,
    ),
}  # fmt: skip
