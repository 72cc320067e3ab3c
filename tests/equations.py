"""Every kernel's equation on `Rounded` numbers: the exact value (float64) with the bound that float32 must keep.

Read beside `cpp/kernels/`: each function has the form in which the kernel computes, so that the bound is its own.
Losses give one value a row; their gradients are those of the mean over rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reference import CHUNK, Float32, Float64, Rounded

Loss = Callable[[Float32, Float32, float], Rounded]


# --- activations -----------------------------------------------------------------------------------------------------


def relu(x: Float64) -> Float64:
    """max(x, 0), NaN stays."""
    return np.where(x <= 0, 0.0, x)


def sigmoid(x: Float64) -> Float64:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


ACTIVATIONS: dict[str, Callable[[Float64], Float64]] = {"relu": relu, "sigmoid": sigmoid, "tanh": np.tanh}


def relu_backward(dy: Float32, y: Float32) -> Rounded:
    """dy where y > 0, else 0: exact."""
    return Rounded(np.where(y > 0, dy, 0.0))


def sigmoid_backward(dy: Float32, y: Float32) -> Rounded:
    """dy * y * (1 - y)."""
    return Rounded(dy) * (Rounded(y) * (1.0 - Rounded(y)))


def tanh_backward(dy: Float32, y: Float32) -> Rounded:
    """dy * (1 - y**2)."""
    return Rounded(dy) * (1.0 - Rounded(y) * y)


def exponentials(x: Float32) -> Rounded:
    """exp(x - max) along the last axis."""
    return (Rounded(x) - x.max(axis=-1, keepdims=True)).function(np.exp)


def softmax(x: Float32) -> Rounded:
    """exp(x - max) / sum."""
    e = exponentials(x)
    return e / e.sum().column()


def softmax_backward(dy: Float32, y: Float32) -> Rounded:
    """y * (dy - sum(dy * y))."""
    return Rounded(y) * (Rounded(dy) - (Rounded(dy) * y).sum().column())


BACKWARD: dict[str, Callable[[Float32, Float32], Rounded]] = {
    "relu": relu_backward,
    "sigmoid": sigmoid_backward,
    "tanh": tanh_backward,
    "softmax": softmax_backward,
}


# --- losses: value a row, and gradient of the mean over rows ---------------------------------------------------------


def per_row(elements: Rounded) -> Rounded:
    """Mean over columns; the sum of one element is the element."""
    columns = elements.value.shape[-1]
    if columns == 1:
        return Rounded(elements.value[:, 0], elements.error[:, 0])
    return elements.sum() / float(columns)


def factor(rows: int, columns: int = 1) -> Rounded:
    """1 / rows / columns."""
    return Rounded.constant(1.0 / rows) / float(columns)


def mse(t: Float32, p: Float32, _: float) -> Rounded:
    d = Rounded(p) - t
    return per_row(d * d)


def mse_gradient(t: Float32, p: Float32, _: float) -> Rounded:
    d = Rounded(p) - t
    return (d + d) * factor(*p.shape)


def mae(t: Float32, p: Float32, _: float) -> Rounded:
    return per_row(abs(Rounded(p) - t))


def mae_gradient(t: Float32, p: Float32, _: float) -> Rounded:
    return Rounded(np.sign(p.astype(np.float64) - t)) * factor(*p.shape)


def huber(t: Float32, p: Float32, delta: float) -> Rounded:
    e, d = Rounded(p) - t, Rounded.constant(delta)
    far, near = d * (abs(e) - 0.5 * d), 0.5 * e * e
    outside = np.abs(e.value) > delta
    return per_row(Rounded(np.where(outside, far.value, near.value), np.maximum(far.error, near.error)))


def huber_gradient(t: Float32, p: Float32, delta: float) -> Rounded:
    e = Rounded(p) - t
    clipped = Rounded(np.clip(e.value, -delta, delta), e.error + Rounded.constant(delta).error)
    return clipped * factor(*p.shape)


def smooth(t: Float32, smoothing: float, classes: int) -> Rounded:
    """t * (1 - s) + s / classes."""
    s = Rounded.constant(smoothing)
    return Rounded(t) * (1.0 - s) + s / float(classes)


def binary_crossentropy(t: Float32, x: Float32, smoothing: float) -> Rounded:
    """max(x, 0) - x * y + log(1 + exp(-|x|)); the logarithm: 2 ULP, its correction and their sum one more each."""
    y = smooth(t, smoothing, 2)
    tail = (-abs(Rounded(x))).function(np.exp).function(np.log1p, ulps=4)
    return per_row(Rounded(np.maximum(x, 0)) - Rounded(x) * y + tail)


def binary_crossentropy_gradient(t: Float32, x: Float32, smoothing: float) -> Rounded:
    return (Rounded(x).function(sigmoid) - smooth(t, smoothing, 2)) * factor(*x.shape)


def binary_crossentropy_probs(t: Float32, p: Float32, smoothing: float) -> Rounded:
    """-(y log p + (1 - y) log(1 - p)), for p inside the clipping."""
    y = smooth(t, smoothing, 2)
    return per_row(-(y * Rounded(p).function(np.log) + (1.0 - y) * (1.0 - Rounded(p)).function(np.log)))


def binary_crossentropy_probs_gradient(t: Float32, p: Float32, smoothing: float) -> Rounded:
    y = smooth(t, smoothing, 2)
    return ((1.0 - y) / (1.0 - Rounded(p)) - y / Rounded(p)) * factor(*p.shape)


def categorical_crossentropy(t: Float32, x: Float32, smoothing: float) -> Rounded:
    """sum of y * (log(sum exp(x - max)) - (x - max))."""
    log_sum = exponentials(x).sum().function(np.log).column()
    below = Rounded(x) - x.max(axis=-1, keepdims=True)
    return (smooth(t, smoothing, x.shape[-1]) * (log_sum - below)).sum()


def categorical_crossentropy_gradient(t: Float32, x: Float32, smoothing: float) -> Rounded:
    y = smooth(t, smoothing, x.shape[-1])
    return (softmax(x) * y.sum().column() - y) * factor(len(x))


def categorical_crossentropy_probs(t: Float32, p: Float32, smoothing: float) -> Rounded:
    """-sum of y * log(p / sum p), for quotients inside the clipping."""
    q = Rounded(p) / Rounded(p).sum().column()
    return -(smooth(t, smoothing, p.shape[-1]) * q.function(np.log)).sum()


def categorical_crossentropy_probs_gradient(t: Float32, p: Float32, smoothing: float) -> Rounded:
    """With q = p / sum p and g = -y / q: (g - sum(g * q)) / sum p."""
    total = Rounded(p).sum().column()
    q = Rounded(p) / total
    g = -(smooth(t, smoothing, p.shape[-1]) / q)
    return (g - (g * q).sum().column()) / total * factor(len(p))


LOSSES: dict[str, tuple[Loss, Loss]] = {
    "mse": (mse, mse_gradient),
    "mae": (mae, mae_gradient),
    "huber": (huber, huber_gradient),
    "binary_crossentropy": (binary_crossentropy, binary_crossentropy_gradient),
    "binary_crossentropy_probs": (binary_crossentropy_probs, binary_crossentropy_probs_gradient),
    "categorical_crossentropy": (categorical_crossentropy, categorical_crossentropy_gradient),
    "categorical_crossentropy_probs": (categorical_crossentropy_probs, categorical_crossentropy_probs_gradient),
}


# --- optimizers: (new w, new slots...) from what was there -----------------------------------------------------------


def adam(
    w: Rounded, g: Float32, m: Rounded, v: Rounded, step: int, lr: float, beta_1: float, beta_2: float, epsilon: float
) -> tuple[Rounded, Rounded, Rounded]:
    """m += (g - m)(1 - b1); v += (g**2 - v)(1 - b2); w -= lr_t * m / (sqrt(v) + eps)."""
    rate = Rounded.constant(lr * np.sqrt(1 - beta_2**step) / (1 - beta_1**step))
    m = (g - m) * Rounded.constant(1 - beta_1) + m
    v = (Rounded(g) * g - v) * Rounded.constant(1 - beta_2) + v
    return w - rate * m / (v.sqrt() + Rounded.constant(epsilon)), m, v


def rmsprop(w: Rounded, g: Float32, v: Rounded, lr: float, rho: float, epsilon: float) -> tuple[Rounded, Rounded]:
    """v = rho * v + (1 - rho) * g**2; w -= lr * g / sqrt(v + eps)."""
    v = Rounded.constant(rho) * v + Rounded.constant(1 - rho) * (Rounded(g) * g)
    return w - Rounded.constant(lr) * g / (v + Rounded.constant(epsilon)).sqrt(), v


def sgd(
    w: Rounded, g: Float32, velocity: Rounded, lr: float, momentum: float, nesterov: bool
) -> tuple[Rounded, Rounded]:
    """velocity = momentum * velocity - lr * g; w += velocity, with nesterov w += momentum * velocity - lr * g."""
    step, mu = Rounded.constant(lr) * g, Rounded.constant(momentum)
    if momentum == 0:
        return w - step, velocity
    velocity = mu * velocity - step
    return w + (mu * velocity - step if nesterov else velocity), velocity


# --- sums ------------------------------------------------------------------------------------------------------------


def column_sum(x: Float32) -> Rounded:
    """Down rows."""
    return Rounded(x.T).sum(CHUNK)


def row_sum(x: Float32) -> Rounded:
    """Along rows."""
    return Rounded(x).sum()


def one_hot(labels: NDArray[np.integer], classes: int) -> Float32:
    """Row i has a 1 in column labels[i]."""
    return np.eye(classes, dtype=np.float32)[labels]
