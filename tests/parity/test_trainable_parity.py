"""Which weights train, by the flags of layers, models and weights, beside Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lanewise import keras as ours

keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]


def own(k: Any) -> Any:
    class Own(k.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = k.layers.Dense(3, kernel_regularizer="l2")

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(3,), initializer="ones")
            self.count = self.add_weight(name="count", shape=(3,), initializer="ones", trainable=False)
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs) * self.scale + self.count

    return Own


def model_of(k: Any, **kwargs: Any) -> Any:
    chain = k.Sequential([k.layers.Dense(4, kernel_regularizer="l2"), k.layers.BatchNormalization(), k.layers.Dense(3)])
    return k.Sequential([k.Input((3,)), chain, own(k)(**kwargs), k.layers.Dense(1)])


def set_to(value: bool, *names: str) -> Callable[[Any], None]:
    """Sets `trainable` of what the names lead to: layers by number, then attributes."""

    def act(model: Any) -> None:
        for name in names:
            part = model
            for step in name.split(".") if name else []:
                part = part.layers[int(step)] if step.isdecimal() else getattr(part, step)
            part.trainable = value

    return act


SCRIPTS: dict[str, list[Callable[[Any], None]]] = {
    "a thawed layer of a frozen model": [set_to(False, "0"), set_to(True, "0.2")],
    "a thawed layer in a frozen layer": [set_to(False, "1"), set_to(True, "1.inner")],
    "a weight, then its layer": [set_to(False, "2.kernel"), set_to(True, "2")],
    "a weight of a frozen layer": [set_to(False, "2"), set_to(True, "2.kernel")],
    "a weight, then the model": [set_to(False, "1.scale", "0.0.bias"), set_to(True, "")],
    "a weight that was made to stay": [set_to(True, "1.count"), set_to(False, "1")],
    "all but the last": [set_to(False, ""), set_to(True, "2")],
    "the model and one inside": [set_to(False, ""), set_to(True, "0")],
    "statistics": [set_to(True, "0.1.moving_mean"), set_to(False, "0"), set_to(True, "0")],
    "frozen twice": [set_to(False, "0"), set_to(False, ""), set_to(True, ""), set_to(False, "0.2.kernel")],
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("made", [{}, {"trainable": False}])
def test_flags(script: str, made: dict[str, Any]) -> None:
    found = []
    for k in (ours, keras):
        model = model_of(k, **made)
        for act in SCRIPTS[script]:
            act(model)
        parts = [model, *model.layers, *model.layers[0].layers, model.layers[1].inner]
        flags = [part.trainable for part in parts]
        counts = [len(part.trainable_weights) for part in parts]
        losses = [len(part.losses) for part in parts]
        found.append([[weight.trainable for weight in model.weights], flags, counts, losses])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "script", [name for name in SCRIPTS if not name.startswith(("all", "the model", "statistics"))]
)
def test_what_training_changes(script: str) -> None:
    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    found = []
    for k in (ours, keras):
        model = model_of(k)
        for act in SCRIPTS[script]:
            act(model)
        model.compile(k.optimizers.SGD(0.05), "mse")
        before = model.get_weights()
        model.fit(x, x[:, :1], verbose=0)
        found.append([not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)])
    assert found[0] == found[1]
