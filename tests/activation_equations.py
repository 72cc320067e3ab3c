"""Keras's activations in float64, and their kernels' equations on `Rounded` numbers: value and bound.

Read beside `cpp/kernels/activations.cpp`. What a kernel rounds to float32 (a slope of 0.2) is rounded here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bounds import U
from equations import sigmoid
from reference import TINY, Float32, Float64, Rounded

C = math.sqrt(2 / math.pi)
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
ERFC = np.frompyfunc(math.erfc, 1, 1)


def pick(condition: np.ndarray, a: Rounded, b: Rounded) -> Rounded:
    """select(condition, a, b)."""
    return Rounded(np.where(condition, a.value, b.value), np.where(condition, a.error, b.error))


def number(x: Float32, value: float) -> Rounded:
    """A constant, rounded to float32, as an array like x."""
    return Rounded(np.full(x.shape, float(np.float32(value))))


def normal_cdf(x: Float64) -> Float64:
    """The probability that a standard normal number is below x."""
    return np.asarray(ERFC(-x / math.sqrt(2)) / 2, np.float64)


def exp_of(x: Rounded) -> Rounded:
    return x.function(np.exp)


# --- forward ---------------------------------------------------------------------------------------------------------


def softplus(x: Float32) -> Rounded:
    e = exp_of(Rounded(-np.abs(x)))
    return Rounded(np.maximum(x, 0)) + e.function(np.log1p)


def log_sigmoid(x: Float32) -> Rounded:
    return -softplus(-x)


def softsign(x: Float32) -> Rounded:
    return Rounded(x) / (1.0 + Rounded(np.abs(x)))


def ramp(x: Float32, width: float, shift: float, least: float) -> Rounded:
    v = (Rounded(x) + shift) / width
    return Rounded(np.clip(v.value, least, 1.0), v.error)


def leaky_relu(x: Float32, slope: float, threshold: float = 0.0, most: float = math.inf) -> Rounded:
    below = number(x, slope) * (Rounded(x) - number(x, threshold))
    low, high = np.float32(threshold), np.float32(most)
    return pick(x > low, Rounded(np.where(x > high, high, x)), below)


def elu(x: Float32, alpha: float = 1.0, rate: float = 1.0, scale: float = 1.0) -> Rounded:
    part = (number(x, rate) * x).function(lambda z: np.expm1(np.minimum(z, 0)))
    return pick(x > 0, number(x, scale) * x, number(x, alpha) * part)


def tanh_argument(x: Float64) -> Float64:
    """2 sqrt(2/pi) (x + 0.044715 x**3)."""
    return 2 * C * (x + 0.044715 * x**3)


def mish_factor(x: Float64) -> Float64:
    """tanh(log(1 + e**x)) = (e**2x + 2 e**x) / (e**2x + 2 e**x + 2)."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e * (e + 2) / (e * (e + 2) + 2), (1 + 2 * e) / (1 + 2 * e + 2 * e * e))


# x times a factor between 0 and 1, and that factor's derivative
FACTORS: dict[str, tuple[Callable[[Float64], Float64], Callable[[Float64], Float64]]] = {
    "gelu": (normal_cdf, lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi)),
    "gelu_tanh": (
        lambda x: sigmoid(tanh_argument(x)),
        lambda x: sigmoid(tanh_argument(x)) * sigmoid(-tanh_argument(x)) * 2 * C * (1 + 3 * 0.044715 * x * x),
    ),
    "silu": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "mish": (mish_factor, lambda x: (1 - mish_factor(x)) * (1 + mish_factor(x)) * sigmoid(x)),
}


def factored(name: str, slope_ulps: float) -> Case:
    """Such a function: its value within 2 ULP (without fused multiply-add 2.5), its slope, a sum of two terms, within
    so many ULP of the larger one."""
    factor, rise = FACTORS[name]

    def forward(x: Float32) -> Rounded:
        return Rounded(x).function(lambda z: z * factor(z), ulps=2.5)

    def backward(dy: Float32, x: Float32) -> Rounded:
        z = x.astype(np.float64)
        terms = factor(z), z * rise(z)
        size = np.maximum(np.maximum(np.abs(terms[0]), np.abs(terms[1])), np.abs(sum(terms)))
        return Rounded(dy) * Rounded(terms[0] + terms[1], slope_ulps * (2 * U * size + TINY))

    return Case(name, forward, backward)


def hard_silu(x: Float32) -> Rounded:
    return Rounded(x) * ramp(x, 6.0, 3.0, 0.0)


# --- backward: of is what the kernel reads, the output y or the input x -----------------------------------------------


def softplus_backward(dy: Float32, y: Float32) -> Rounded:
    return -(Rounded(dy) * Rounded(-np.abs(y)).function(np.expm1))


def softsign_backward(dy: Float32, y: Float32) -> Rounded:
    d = 1.0 - Rounded(np.abs(y))
    return Rounded(dy) * (d * d)


def ramp_backward(dy: Float32, y: Float32, width: float, least: float) -> Rounded:
    return Rounded(np.where((y > least) & (y < 1), dy, 0.0)) / width


def leaky_relu_backward(
    dy: Float32, x: Float32, slope: float, threshold: float = 0.0, most: float = math.inf
) -> Rounded:
    above = Rounded(np.where(x > np.float32(most), 0.0, dy))
    return pick(x > np.float32(threshold), above, number(x, slope) * dy)


def elu_backward(dy: Float32, x: Float32, alpha: float = 1.0, rate: float = 1.0, scale: float = 1.0) -> Rounded:
    grown = number(x, alpha) * number(x, rate) * exp_of(number(x, rate) * np.minimum(x, 0))
    return Rounded(dy) * pick(x > 0, number(x, scale), grown)


def hard_silu_backward(dy: Float32, x: Float32) -> Rounded:
    middle = Rounded(dy) * (Rounded(x) * Rounded.constant(1 / 3) + 0.5)
    return pick(x <= -3, Rounded(np.zeros_like(dy)), pick(x >= 3, Rounded(dy), middle))


# --- all of them, by Keras's names ---


@dataclass(frozen=True)
class Case:
    """An activation as Keras calls it.

    kernel: its name in `lanewise.ops` and in the engine; numbers: the kernel's keywords in `ops`; attributes: the
    operation's in the engine; of_input: whether backward reads x.
    """

    kernel: str
    forward: Callable[[Float32], Rounded]
    backward: Callable[[Float32, Float32], Rounded]
    of_input: bool = True
    numbers: dict[str, float] = field(default_factory=dict)
    attributes: dict[str, float] = field(default_factory=dict)


def leaky(slope: float, threshold: float = 0.0, most: float = math.inf) -> Case:
    return Case(
        "leaky_relu",
        lambda x: leaky_relu(x, slope, threshold, most),
        lambda dy, x: leaky_relu_backward(dy, x, slope, threshold, most),
        numbers={"negative_slope": slope, "threshold": threshold, "max_value": most},
        attributes={"slope": slope, "threshold": threshold, "most": most},
    )


def grown(alpha: float, rate: float, scale: float) -> Case:
    numbers = {"alpha": alpha, "rate": rate, "scale": scale}
    return Case(
        "elu", lambda x: elu(x, **numbers), lambda dy, x: elu_backward(dy, x, **numbers), True, numbers, numbers
    )


def cut(width: float, shift: float, least: float) -> Case:
    numbers = {"width": width, "shift": shift, "least": least}
    return Case(
        "hard_sigmoid", lambda x: ramp(x, **numbers), lambda dy, y: ramp_backward(dy, y, width, least), False, numbers,
        numbers,
    )  # fmt: skip


def plus(sign: float, forward: Callable[[Float32], Rounded]) -> Case:
    return Case("softplus", forward, softplus_backward, False, {"sign": sign}, {"sign": sign})


CASES = {
    "exponential": Case("exponential", lambda x: exp_of(Rounded(x)), lambda dy, y: Rounded(dy) * y, False),
    "softplus": plus(1.0, softplus),
    "log_sigmoid": plus(-1.0, log_sigmoid),
    "softsign": Case("softsign", softsign, softsign_backward, False),
    "hard_sigmoid": cut(6.0, 3.0, 0.0),
    "sparse_sigmoid": cut(2.0, 1.0, 0.0),
    "hard_tanh": cut(1.0, 0.0, -1.0),
    "leaky_relu": leaky(0.2),
    "relu6": leaky(0.0, most=6.0),
    "relu with all arguments": leaky(0.1, 1.0, 3.0),
    "elu": grown(1.0, 1.0, 1.0),
    "celu": grown(0.5, 2.0, 1.0),
    "selu": grown(ALPHA * SCALE, 1.0, SCALE),
    "gelu": factored("gelu", 3.5),
    "gelu_tanh": factored("gelu_tanh", 5.0),
    "silu": factored("silu", 3.5),
    "mish": factored("mish", 6.0),
    "hard_silu": Case("hard_silu", hard_silu, hard_silu_backward),
}
