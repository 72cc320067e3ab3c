"""Normalisation, embedding, pooling and shapes beside Keras: 50 steps from copied weights, without shuffle."""

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    LayerNormalization,
    Permute,
    RepeatVector,
    Rescaling,
    Reshape,
    RMSNormalization,
    UnitNormalization,
)

keras = pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own

RNG = np.random.default_rng(7)
X = RNG.standard_normal((160, 20)).astype(np.float32)
TIME = RNG.standard_normal((160, 6, 5)).astype(np.float32)
IDS = RNG.integers(0, 50, (160, 9))
Y = RNG.integers(0, 4, 160)

NETWORKS: dict[str, tuple[Any, Any]] = {
    "batch": (X, lambda: [Dense(32), BatchNormalization(), Activation("relu"), Dense(16, "tanh"),
                          BatchNormalization(momentum=0.9), Dense(4, "softmax")]),
    "layer": (X, lambda: [Dense(32, "relu"), LayerNormalization(), Dense(16), RMSNormalization(), Activation("tanh"),
                          UnitNormalization(), Dense(4, "softmax")]),
    "embedding": (IDS, lambda: [Embedding(50, 8), GlobalAveragePooling1D(), Dense(16, "relu"), BatchNormalization(),
                                Dense(4, "softmax")]),
    "time": (TIME, lambda: [Dense(7, "tanh"), BatchNormalization(), Permute((2, 1)), Reshape((-1, 3)),
                            LayerNormalization(), GlobalMaxPooling1D(), RepeatVector(2), Rescaling(0.5, 1.0), Flatten(),
                            Dense(4, "softmax")]),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
@pytest.mark.parametrize("name", NETWORKS)
def test_curves_and_predictions(name: str, optimizer: str) -> None:
    """The loss of each epoch within 1e-4, and what comes after the steps: evaluate, the moving statistics."""
    x, layers = NETWORKS[name]
    lw.utils.set_random_seed(3)
    ours = lw.Sequential([lw.Input(x.shape[1:]), *layers()])
    theirs = lw.to_keras(ours)
    for model, library in ((ours, lw), (theirs, keras)):
        model.compile(getattr(library.optimizers, optimizer)(0.003), "sparse_categorical_crossentropy")
    assert ours.predict(x, verbose=0) == pytest.approx(theirs.predict(x, verbose=0), rel=1e-4, abs=1e-6)
    fit = {"epochs": 10, "batch_size": 32, "shuffle": False, "verbose": 0}
    got, wanted = (model.fit(x, Y, **fit).history["loss"] for model in (ours, theirs))
    assert got == pytest.approx(wanted, rel=1e-4)
    assert ours.evaluate(x, Y, verbose=0) == pytest.approx(theirs.evaluate(x, Y, verbose=0), rel=1e-3)
    for own, other in zip(ours.weights, theirs.weights, strict=True):
        if own.name == "moving_variance":
            assert own.numpy() == pytest.approx(np.asarray(other), rel=1e-3)


def test_an_untrained_batch_norm() -> None:
    """trainable=False: inference mode in training, in both."""
    ours = lw.Sequential([lw.Input((20,)), Dense(8, "relu"), BatchNormalization(), Dense(4, "softmax")])
    theirs = lw.to_keras(ours)
    losses = []
    for model, library in ((ours, lw), (theirs, keras)):
        model.layers[1].trainable = False
        model.compile(library.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
        losses.append(model.fit(X, Y, epochs=5, shuffle=False, verbose=0).history["loss"])
        assert (np.asarray(model.layers[1].moving_mean) == 0).all()
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
