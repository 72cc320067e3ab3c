"""A trained network with all its state, and that a call is refused and changes nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bounds import same_bits
from lanewise import keras
from lanewise._names import UnknownName
from lanewise.keras import layers

X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)
Y = X.sum(axis=1)
LABELS = np.arange(10) % 3
NAN_Y = np.where(np.arange(10) == 4, np.nan, Y)

Model = lw.Sequential


def model(loss: str = "mse", units: int = 1, activation: str | None = None) -> Model:
    """A trained network 4-3-units, with an optimizer that has state."""
    keras.utils.set_random_seed(1)
    network = Model([layers.Dense(3, input_shape=(4,)), layers.Dense(units, activation=activation)])
    network.compile("adam", loss, metrics=["accuracy"] if "crossentropy" in loss else ["mae"])
    network.fit(X, LABELS if loss.startswith("sparse") else np.abs(np.sin(np.outer(Y, range(1, units + 1)))), verbose=0)
    return network


def sparse() -> Model:
    return model("sparse_categorical_crossentropy", 3, "softmax")


def everything(network: Model) -> list[np.ndarray]:
    """Weights, slots, counts, and what the next epoch will draw."""
    state = network.optimizer_state()
    return [*network.get_weights(), *(np.asarray(state[key], np.float64) for key in sorted(state))]


def refused(network: Model, call: Callable[[Model], Any], error: type[Exception], *texts: str) -> None:
    """The call raises this error with these texts in its message, and the model is what it was."""
    before, config = everything(network), network.get_compile_config()
    with pytest.raises(error) as caught:
        call(network)
    assert type(caught.value) in (error, UnknownName)
    for text in texts:
        assert text in str(caught.value), str(caught.value)
    after = everything(network)
    assert len(before) == len(after)
    assert all(same_bits(a, b) for a, b in zip(before, after, strict=True))
    assert network.get_compile_config() == config
    assert np.isfinite(network.predict(X, verbose=0)).all()  # and it still works
