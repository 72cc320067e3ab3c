"""The equations of the kernels in NumPy, and how far float32 may be from them.

In float32, with `out=` and without copies that can be spared, an equation is the competitor; in float64 it is the
reference. Bounds follow from the number of roundings (u = 2**-24, gamma_k = k u / (1 - k u)) and hold for any order of
a sum; exp, tanh and their like are allowed 2 units in the last place (ULP), and NumPy, whose exp alone is off by 2.5,
four times the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activations import SMOOTH

Array = NDArray[Any]
U = 2.0**-24


def gamma(k: int) -> float:
    """Relative error of k roundings."""
    return k * U / (1 - k * U)


def wide(*arrays: Array) -> list[Array]:
    """float32 as float64; anything else (labels) as it is."""
    return [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]


def assert_within(result: Array, exact: Array, bound: Array | float) -> None:
    """|result - exact| <= bound, plus half the smallest subnormal."""
    error = np.abs(result - exact)
    assert np.all(error <= bound + 2.0**-149), f"error / bound: {np.max(error / (bound + 2.0**-149))}"


def normal(seed: int, *shape: int) -> Array:
    """Standard normal float32."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def nbytes(*arrays: Array) -> int:
    """Bytes of all arrays together."""
    return sum(a.nbytes for a in arrays)


# --- elementwise kernels, softmax, sums and losses: equation(*arrays, out) and bound(*arrays in float64, exact) ----


@dataclass(frozen=True)
class Kernel:
    """A kernel's equation in NumPy, and what |result - equation in float64| may be."""

    equation: Callable[..., object]
    bound: Callable[..., Array | float]


def ulps(count: float, exact: Array) -> Array:
    """Units in the last place of float32 at exact."""
    return count * np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)


def sigmoid(x: Array, out: Array) -> None:
    np.negative(x, out)
    np.exp(out, out)
    np.add(out, 1, out)
    np.reciprocal(out, out)


def softmax(x: Array, out: Array) -> None:
    np.subtract(x, x.max(axis=-1, keepdims=True), out)
    np.exp(out, out)
    np.divide(out, out.sum(axis=-1, keepdims=True), out)


def softmax_error(x: Array) -> Array:
    """Relative: x - max is rounded (and so is exp's argument), exp within 2 ULP (4 u), a sum of n, a quotient."""
    spread = np.max(x, axis=-1, keepdims=True) - np.min(x, axis=-1, keepdims=True)
    return gamma(x.shape[-1] + 10) + 2 * U * spread


def softmax_backward(dy: Array, y: Array, out: Array) -> None:
    np.multiply(dy, y, out)
    np.subtract(dy, out.sum(axis=-1, keepdims=True), out)
    np.multiply(out, y, out)


def softmax_backward_error(dy: Array, y: Array, exact: Array) -> Array:
    size = np.sum(np.abs(dy * y), axis=-1, keepdims=True)
    return y * (gamma(y.shape[-1] + 1) * size + gamma(3) * (np.abs(dy) + size))


def tanh_backward(dy: Array, y: Array, out: Array) -> None:
    np.multiply(y, y, out)
    np.subtract(1, out, out)
    np.multiply(out, dy, out)


def sigmoid_backward(dy: Array, y: Array, out: Array) -> None:
    np.subtract(1, y, out)
    np.multiply(out, y, out)
    np.multiply(out, dy, out)


def smooth_forward_bound(x: Array, exact: Array) -> Array:
    """x times a factor of at most 1, or a sum of terms of the size of x and y, in up to 20 roundings."""
    return gamma(20) * (np.abs(x) + np.abs(exact))


def smooth_backward_bound(dy: Array, of: Array, exact: Array) -> Array:
    """dy times a sum of a factor of at most 1 and x times its slope."""
    return gamma(20) * (np.abs(dy) * (1 + np.abs(of)) + np.abs(exact))


def log_softmax_forward(x: Array, out: Array) -> None:
    np.subtract(x, x.max(axis=-1, keepdims=True), out)
    np.subtract(out, np.log(np.exp(out).sum(axis=-1, keepdims=True)), out)


def log_softmax_error(x: Array, exact: Array) -> Array:
    largest = 1 + np.ptp(x, axis=-1, keepdims=True) + np.log(x.shape[-1])
    return softmax_error(x) + gamma(x.shape[-1] + 10) * largest


def log_softmax_backward(dy: Array, y: Array, out: Array) -> None:
    np.subtract(dy, np.exp(y) * dy.sum(axis=-1, keepdims=True), out)


def log_softmax_backward_error(dy: Array, y: Array, exact: Array) -> Array:
    size = np.sum(np.abs(dy), axis=-1, keepdims=True)
    return gamma(y.shape[-1] + 6) * np.exp(y) * size + gamma(1) * np.abs(exact)


ACTIVATIONS = {
    **{name + "_forward": Kernel(a.forward, smooth_forward_bound) for name, a in SMOOTH.items()},
    **{name + "_backward": Kernel(a.backward, smooth_backward_bound) for name, a in SMOOTH.items()},
    "log_softmax_forward": Kernel(log_softmax_forward, log_softmax_error),
    "log_softmax_backward": Kernel(log_softmax_backward, log_softmax_backward_error),
    "prelu_forward": Kernel(
        lambda x, a, out: np.copyto(out, np.where(x > 0, x, a * x)), lambda x, a, exact: gamma(1) * np.abs(exact)
    ),
    "prelu_backward": Kernel(
        lambda dy, x, a, out: np.multiply(dy, np.where(x > 0, 1, a), out),
        lambda dy, x, a, exact: gamma(1) * np.abs(exact),
    ),
    "relu_forward": Kernel(lambda x, out: np.maximum(x, 0, out=out), lambda x, exact: 0.0),
    "sigmoid_forward": Kernel(sigmoid, lambda x, exact: ulps(2, exact)),
    "tanh_forward": Kernel(np.tanh, lambda x, exact: ulps(2, exact)),
    "softmax_forward": Kernel(softmax, lambda x, exact: softmax_error(x) * exact),
    "relu_backward": Kernel(lambda dy, y, out: np.multiply(dy, y > 0, out), lambda dy, y, exact: 0.0),
    "sigmoid_backward": Kernel(sigmoid_backward, lambda dy, y, exact: gamma(3) * np.abs(exact)),
    "tanh_backward": Kernel(tanh_backward, lambda dy, y, exact: gamma(3) * np.abs(dy) * (1 + y * y)),
    "softmax_backward": Kernel(softmax_backward, softmax_backward_error),
}

SUMS = {
    "column_sum": Kernel(lambda x, out: np.sum(x, axis=0, out=out), lambda x, _: gamma(len(x)) * np.abs(x).sum(axis=0)),
    "row_sum": Kernel(
        lambda x, out: np.sum(x, axis=1, out=out), lambda x, _: gamma(x.shape[1]) * np.abs(x).sum(axis=1)
    ),
}


# Losses by row; rows of targets t, predictions or logits x.


def huber(t: Array, x: Array, out: Array) -> None:
    e = np.abs(x - t)
    np.mean(np.where(e <= 1, 0.5 * e * e, e - 0.5), axis=1, out=out)


def binary(t: Array, x: Array, out: Array) -> None:
    np.mean(np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))), axis=1, out=out)


def binary_backward(t: Array, x: Array, out: Array) -> None:
    sigmoid(x, out)
    np.subtract(out, t, out)
    np.multiply(out, 1 / x.size, out)


def log_softmax(x: Array) -> Array:
    z = x - x.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def categorical_backward(t: Array, x: Array, out: Array) -> None:
    softmax(x, out)
    np.subtract(out, t, out)
    np.multiply(out, 1 / len(x), out)


def sparse(t: Array, x: Array, out: Array) -> None:
    np.negative(log_softmax(x)[np.arange(len(x)), t], out)


def sparse_backward(t: Array, x: Array, out: Array) -> None:
    softmax(x, out)
    out[np.arange(len(x)), t] -= 1
    np.multiply(out, 1 / len(x), out)


def of_exact(roundings: int) -> Callable[..., Array]:
    """`roundings` differences, products and sums of terms of one sign (and one a column where it is a mean)."""
    return lambda t, x, exact: gamma(roundings + (x.shape[1] if exact.ndim == 1 else 0)) * np.abs(exact)


def crossentropy_bound(t: Array, x: Array, exact: Array) -> Array:
    """The log of softmax's sum takes its relative error as an absolute one; what follows rounds numbers this large."""
    largest = 1 + np.ptp(x, axis=1) + np.log(x.shape[1])
    return softmax_error(x)[:, 0] + gamma(x.shape[1] + 10) * largest


def softmax_gradient_bound(t: Array, x: Array, exact: Array) -> Array:
    return (softmax_error(x) + gamma(3)) / len(x)


LOSSES = {
    "mse_forward": Kernel(lambda t, x, out: np.mean(np.square(x - t), axis=1, out=out), of_exact(5)),
    "mse_backward": Kernel(lambda t, x, out: np.multiply(x - t, 2 / x.size, out), of_exact(4)),
    "mae_forward": Kernel(lambda t, x, out: np.mean(np.abs(x - t), axis=1, out=out), of_exact(4)),
    "mae_backward": Kernel(lambda t, x, out: np.multiply(np.sign(x - t), 1 / x.size, out), of_exact(2)),
    "huber_forward": Kernel(huber, of_exact(5)),
    "huber_backward": Kernel(lambda t, x, out: np.multiply(np.clip(x - t, -1, 1), 1 / x.size, out), of_exact(4)),
    "binary_crossentropy_forward": Kernel(
        binary, lambda t, x, exact: gamma(x.shape[1] + 10) * np.mean(np.abs(x) + 1, axis=1)
    ),
    "binary_crossentropy_backward": Kernel(binary_backward, lambda t, x, exact: gamma(8) / x.size),
    "categorical_crossentropy_forward": Kernel(
        lambda t, x, out: np.negative(np.sum(t * log_softmax(x), axis=1), out), crossentropy_bound
    ),
    "categorical_crossentropy_backward": Kernel(categorical_backward, softmax_gradient_bound),
    "sparse_categorical_crossentropy_forward": Kernel(sparse, crossentropy_bound),
    "sparse_categorical_crossentropy_backward": Kernel(sparse_backward, softmax_gradient_bound),
}
