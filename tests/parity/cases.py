"""What is trained beside Keras: networks, losses and optimizers, each from the library that it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Library = Any  # keras or lanewise.keras

STEPS, BATCH = 50, 32
ROWS = STEPS * BATCH
FEATURES, WORDS = 12, 40

# Learning rates are powers of two: no library rounds them.
OPTIMIZERS: dict[str, Callable[[Library], Any]] = {
    "sgd": lambda k: k.optimizers.SGD(2.0**-5),
    "momentum": lambda k: k.optimizers.SGD(2.0**-6, momentum=0.875),
    "nesterov": lambda k: k.optimizers.SGD(2.0**-6, momentum=0.875, nesterov=True),
    "adam": lambda k: k.optimizers.Adam(2.0**-8),
    "amsgrad": lambda k: k.optimizers.Adam(2.0**-8, amsgrad=True),
    "adamw": lambda k: k.optimizers.AdamW(2.0**-8, weight_decay=2.0**-7),
    "adamax": lambda k: k.optimizers.Adamax(2.0**-8),
    "nadam": lambda k: k.optimizers.Nadam(2.0**-8),
    "rmsprop": lambda k: k.optimizers.RMSprop(2.0**-9),
    "rmsprop_centered": lambda k: k.optimizers.RMSprop(2.0**-9, momentum=0.5, centered=True),
    "adagrad": lambda k: k.optimizers.Adagrad(2.0**-6),
    "adadelta": lambda k: k.optimizers.Adadelta(1.0),
    "ftrl": lambda k: k.optimizers.Ftrl(2.0**-5, l2_regularization_strength=2.0**-7),
    "lion": lambda k: k.optimizers.Lion(2.0**-10),
    "clipvalue": lambda k: k.optimizers.Adam(2.0**-8, clipvalue=2.0**-6),
    "decay": lambda k: k.optimizers.SGD(k.optimizers.schedules.ExponentialDecay(2.0**-5, 10, 0.5)),
    "ema": lambda k: k.optimizers.SGD(2.0**-5, use_ema=True, ema_momentum=0.875, ema_overwrite_frequency=10),
}


class LossCase(NamedTuple):
    """A loss, the output layer that goes with it and its targets by (generator, signal of each row)."""

    make: Callable[[Library], Any]
    units: int
    activation: str | None
    targets: Callable[[np.ndarray], np.ndarray]


def _real(signal: np.ndarray) -> np.ndarray:
    return signal[:, :2]


def _positive(signal: np.ndarray) -> np.ndarray:
    return 1 + np.abs(signal[:, :2])


def _large(signal: np.ndarray) -> np.ndarray:
    return 512 * _positive(signal)  # far from any prediction: no sign of the error changes with a rounding


def _bits(signal: np.ndarray) -> np.ndarray:
    return (signal[:, :1] > 0).astype(np.float32)


def _signs(signal: np.ndarray) -> np.ndarray:
    return 2 * _bits(signal) - 1


def _labels(signal: np.ndarray) -> np.ndarray:
    return signal.argmax(axis=1).astype(np.int32)


def _one_hot(signal: np.ndarray) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[_labels(signal)]


def _shares(signal: np.ndarray) -> np.ndarray:
    e = np.exp(signal)
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)


def _named(name: str) -> Callable[[Library], Any]:
    return lambda k: name


LOSSES: dict[str, LossCase] = {
    **{name: LossCase(_named(name), 2, None, _real) for name in ("mse", "mae", "huber", "log_cosh")},
    "cosine_similarity": LossCase(_named("cosine_similarity"), 2, "softplus", _positive),
    "mape": LossCase(_named("mape"), 2, None, _large),
    "msle": LossCase(_named("msle"), 2, "softplus", _positive),
    "poisson": LossCase(_named("poisson"), 2, "softplus", _positive),
    "binary_crossentropy": LossCase(_named("binary_crossentropy"), 1, "sigmoid", _bits),
    "binary_logits": LossCase(lambda k: k.losses.BinaryCrossentropy(from_logits=True), 1, None, _bits),
    "binary_smooth": LossCase(lambda k: k.losses.BinaryCrossentropy(label_smoothing=0.125), 1, "sigmoid", _bits),
    "binary_focal": LossCase(lambda k: k.losses.BinaryFocalCrossentropy(gamma=2.0), 1, "sigmoid", _bits),
    "hinge": LossCase(_named("hinge"), 1, "softsign", _signs),
    "squared_hinge": LossCase(_named("squared_hinge"), 1, "softsign", _signs),
    "categorical_crossentropy": LossCase(_named("categorical_crossentropy"), 3, "softmax", _one_hot),
    "categorical_smooth": LossCase(
        lambda k: k.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.125), 3, None, _one_hot
    ),
    "categorical_focal": LossCase(lambda k: k.losses.CategoricalFocalCrossentropy(), 3, "softmax", _one_hot),
    "categorical_hinge": LossCase(_named("categorical_hinge"), 3, "softmax", _one_hot),
    "kl_divergence": LossCase(_named("kl_divergence"), 3, "softmax", _shares),
    "sparse": LossCase(_named("sparse_categorical_crossentropy"), 3, "softmax", _labels),
    "sparse_logits": LossCase(lambda k: k.losses.SparseCategoricalCrossentropy(from_logits=True), 3, None, _labels),
}


# --- networks: from a library and its output layer ---------------------------------------------------------------
# (No tanh in them: Keras on JAX computes it in float32 even where all is float64.)


def _plain(k: Library, head: Callable[[], Any]) -> Any:
    return k.Sequential([
        k.Input((FEATURES,)), k.layers.Dense(16, "relu"), k.layers.Dense(12, "sigmoid"), head()
    ])  # fmt: skip


def _batch_norm(k: Library, head: Callable[[], Any]) -> Any:
    """No biases ahead of the norms: their gradient is 0, and Adam makes full steps of its roundings."""
    return k.Sequential([
        k.Input((FEATURES,)),
        k.layers.Dense(16, use_bias=False), k.layers.BatchNormalization(momentum=0.875), k.layers.Activation("relu"),
        k.layers.Dense(8, use_bias=False), k.layers.BatchNormalization(), k.layers.Activation("elu"),
        head(),
    ])  # fmt: skip


def _layer_norm(k: Library, head: Callable[[], Any]) -> Any:
    return k.Sequential([
        k.Input((FEATURES,)), k.layers.Dense(16, "gelu"), k.layers.LayerNormalization(), k.layers.Dense(8, "silu"),
        k.layers.LayerNormalization(), head(),
    ])  # fmt: skip


def _embedding(k: Library, head: Callable[[], Any]) -> Any:
    return k.Sequential([
        k.Input((6,), dtype="int32"), k.layers.Embedding(WORDS, 8), k.layers.Flatten(), k.layers.Dense(12, "selu"),
        head(),
    ])  # fmt: skip


def _residual(k: Library, head: Callable[[], Any]) -> Any:
    inputs = k.Input((FEATURES,))
    h = k.layers.Dense(16, "relu")(inputs)
    for _ in range(2):
        branch = k.layers.Dense(16, "swish")(h)
        h = k.layers.Add()([h, k.layers.Dense(16)(branch)])
    return k.Model(inputs, head()(k.layers.Concatenate()([h, inputs])))


def _two_outputs(k: Library, head: Callable[[], Any]) -> Any:
    inputs = k.Input((FEATURES,))
    h = k.layers.Dense(16, "softplus")(inputs)
    return k.Model(inputs, [head()(k.layers.Dense(8, "leaky_relu")(h)), head()(h)])


NETWORKS: dict[str, Callable[[Library, Callable[[], Any]], Any]] = {
    "plain": _plain,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "embedding": _embedding,
    "residual": _residual,
    "two_outputs": _two_outputs,
}


class Case(NamedTuple):
    """A network with a loss: how it is built, what it is trained on."""

    build: Callable[[Library], Any]
    losses: Callable[[Library], list[Any]]
    loss_weights: list[float]
    x: list[np.ndarray]
    y: list[np.ndarray]


def case(network: str, loss: str) -> Case:
    """Networks with two outputs have the loss at both, the second at half weight and with its targets reversed."""
    chosen = LOSSES[loss]
    rng = np.random.default_rng(len(network) * 100 + len(loss))
    if network == "embedding":
        words = rng.integers(0, WORDS, (ROWS, 6)).astype(np.int32)
        x, meaning = words, rng.normal(size=(WORDS, 3))[words].mean(axis=1) * 2
    else:
        x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
        meaning = np.tanh(x @ rng.normal(size=(FEATURES, 3)) / 2)
    signal = (meaning + 0.3 * rng.normal(size=(ROWS, 3))).astype(np.float32)
    y = chosen.targets(signal)
    outputs = 2 if network == "two_outputs" else 1

    def build(k: Library) -> Any:
        return NETWORKS[network](k, lambda: k.layers.Dense(chosen.units, chosen.activation))

    return Case(
        build, lambda k: [chosen.make(k) for _ in range(outputs)], [1.0, 0.5][:outputs], [x],
        [y, y[::-1].copy()][:outputs],
    )  # fmt: skip
