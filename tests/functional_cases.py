"""A functional model of every merge with two inputs and outputs, data for it, and its loss in float64."""

from typing import Any

import numpy as np

import lanewise as lw
from lanewise import layers
from lanewise.models import Functional, Model

RNG = np.random.default_rng(3)
A = RNG.standard_normal((70, 5)).astype(np.float32)
B = RNG.standard_normal((70, 3)).astype(np.float32)
Y1 = RNG.standard_normal((70, 2)).astype(np.float32)
Y2 = RNG.integers(0, 4, 70)
W = RNG.uniform(0.5, 2, 70).astype(np.float32)


def two_by_two(name: str | None = None) -> Functional:
    """Two inputs, a shared layer, a residual, every merge, two outputs."""
    a, b = lw.Input((5,), name="a"), lw.Input((3,), name="b")
    shared = layers.Dense(6, activation="tanh", name="shared")
    wide = layers.Dense(5, activation="tanh", name="wide")(b)
    one, two = shared(a), shared(wide)
    mixed = layers.Add(name="sum")([one, two])
    mixed = layers.Multiply(name="product")([mixed, one])
    low, high = layers.Minimum(name="low")([one, two]), layers.Maximum(name="high")([mixed, two])
    mean = layers.Average(name="mean")([low, high, mixed])
    joined = layers.Concatenate(name="joined")([mean, b, layers.Subtract(name="minus")([one, mixed])])
    hidden = layers.Dense(6, activation="relu", name="hidden")(joined)
    hidden = layers.Add(name="residual")([hidden, mean])
    near = layers.Dot(axes=1, name="near")([hidden, one])
    left = layers.Dense(2, name="left")(layers.concatenate([hidden, near], name="with_near"))
    right = layers.Dense(4, activation="softmax", name="right")(hidden)
    return Model([a, b], [left, right], name=name)


def two_by_two_loss(w: list[np.ndarray], rows: slice = slice(None)) -> float:
    """The loss of `two_by_two` in float64: 0.5 mse + 2 weighted sparse cross-entropy, by plain NumPy."""
    wide_k, wide_b, shared_k, shared_b, hidden_k, hidden_b, left_k, left_b, right_k, right_b = w
    a, b = A[rows].astype(np.float64), B[rows].astype(np.float64)
    wide = np.tanh(b @ wide_k + wide_b)
    one, two = np.tanh(a @ shared_k + shared_b), np.tanh(wide @ shared_k + shared_b)
    mixed = (one + two) * one
    mean = (np.minimum(one, two) + np.maximum(mixed, two) + mixed) / 3
    hidden = np.maximum(np.concatenate([mean, b, one - mixed], 1) @ hidden_k + hidden_b, 0) + mean
    left = np.concatenate([hidden, (hidden * one).sum(1, keepdims=True)], 1) @ left_k + left_b
    z = hidden @ right_k + right_b
    log_p = z - z.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    n = len(a)
    mse = ((left - Y1[rows]) ** 2).mean(1)
    return float(0.5 * mse.mean() - 2 * (W[rows] * log_p[np.arange(n), Y2[rows]]).sum() / n)


def compiled(model: Functional, optimizer: Any = "adam") -> Functional:
    model.compile(
        optimizer, loss=["mse", "sparse_categorical_crossentropy"], loss_weights=[0.5, 2.0],
        metrics={"left": "mae", "right": "accuracy"}, weighted_metrics={"right": ["accuracy"]},
    )  # fmt: skip
    return model
