"""What a layer in Python assigns to its weights: read in the same call, and put back where nothing was to change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lanewise import keras
from lanewise.custom import layer as custom_layer
from lanewise.keras import layers, ops

X = np.random.default_rng(6).standard_normal((24, 3)).astype(np.float32)
Y = X[:, :1].copy()


class Steps(layers.Layer):
    """Adds what it has counted, read after it was assigned; `gain` is what it scales with."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
        self.gain = self.add_weight(shape=(3,), initializer="ones", name="gain")

    def call(self, x: Any) -> Any:
        before = self.count.value + 0
        self.count.assign_add(1)
        self.count.assign(self.count + 1)
        assert float(self.count.numpy()) == float(ops.stop_gradient(before)) + 2
        return x * self.gain + self.count


class Inside(layers.Layer):
    """Another that assigns, and a weight of that read after the call."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps()

    def call(self, x: Any) -> Any:
        y = self.steps(x)
        return y + 10 * self.steps.count


@pytest.mark.parametrize("inside", [False, True])
def test_a_call_reads_what_it_assigned(inside: bool) -> None:
    """As in Keras; it read what was there when the call began."""
    layer = Inside() if inside else Steps()
    steps = layer.steps if inside else layer
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    factor, count = (11 if inside else 1), 0

    def at(now: int) -> Any:
        return X + factor * now

    for run in (
        lambda: model.predict(X, verbose=0),
        lambda: layer(X),
        lambda: model(X),
        lambda: model(X, training=True),
    ):
        np.testing.assert_allclose(run(), at(count := count + 2), rtol=1e-5)
        assert steps.count.numpy() == count
    for run in (
        lambda: model.fit(X, X, batch_size=24, verbose=0).history["loss"][0],
        lambda: model.train_on_batch(X, X), lambda: model.evaluate(X, X, verbose=0),
    ):  # fmt: skip
        count += 2
        assert run() == pytest.approx((factor * count) ** 2, rel=1e-5)
        assert steps.count.numpy() == count
    assert model.fit(X, X, batch_size=12, verbose=0).history["loss"][0] == pytest.approx(
        factor**2 * ((count + 2) ** 2 + (count + 4) ** 2) / 2, rel=1e-5
    )


class Scaled(layers.Layer):
    """Assigns the weight that trains, and reads it before and after."""

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(shape=(), initializer="ones", name="w")

    def call(self, x: Any) -> Any:
        first = x * self.w
        self.w.assign(ops.sum(x) * 0 + 3)
        return first + x * self.w


def test_a_gradient_goes_to_the_weight_and_not_through_what_was_assigned() -> None:
    model = keras.Sequential([keras.Input((3,)), Scaled()])
    model.compile("sgd", lambda true, pred: ops.mean(pred, axis=-1))
    loss, (gradient,) = model.value_and_grad(X, X)
    np.testing.assert_allclose([loss, gradient], [4 * X.mean(), 2 * X.mean()], rtol=1e-4)
    assert model.layers[0].w.numpy() == 1


def test_gradients_change_nothing() -> None:
    """Counts and statistics inside stayed moved."""
    model = keras.Sequential([keras.Input((3,)), Inside(), keras.Sequential([layers.BatchNormalization(), Steps()])])
    model.compile("sgd", "mse")
    before = model.get_weights()
    found = [model.value_and_grad(X, X) for _ in range(2)]
    assert found[0][0] == found[1][0]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model(X, training=True)
    assert sum(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)) == 4


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("where", ["copying", "drawing", "comparing"])
def test_memory_that_runs_out_around_a_call(where: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that fails is undone, not the one before it."""

    def made() -> Any:
        keras.utils.set_random_seed(2)
        model = keras.Sequential([keras.Input((3,)), Steps(), layers.Dense(3), Noisy()])
        model.compile("adam", "mse")
        return model

    class Noisy(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.seen = self.add_weight(shape=(3,), initializer="zeros", trainable=False)

        def call(self, x: Any, training: Any = None) -> Any:
            self.seen.assign(self.seen + 1)
            if where == "comparing" and calls == step:
                raise MemoryError
            return x + keras.random.normal(x.shape, stddev=0.1)

    calls = 0
    whole = made()
    for start in range(0, 8 * step, 8):
        before = whole.get_weights()
        whole.train_on_batch(X[start : start + 8], X[start : start + 8])
    model = made()
    forward = custom_layer.LayerHost.__call__

    def call(host: Any, stage: str, arrays: Any, training: bool, scale: float) -> None:
        nonlocal calls
        if stage == "forward" and training and host._name.startswith("noisy"):
            calls += 1
            if calls == step and where == "copying":
                arrays = [Short(array) for array in arrays]
        forward(host, stage, arrays, training, scale)

    class Short:
        def __init__(self, array: Any) -> None:
            self.shape = array.shape

        def copy(self) -> Any:
            raise MemoryError

    def drawn(noted: Any) -> Any:
        if calls == step and where == "drawing":
            raise MemoryError
        return enter(noted)

    enter = custom_layer.random.Noted.__enter__
    compare = np.array_equal

    def array_equal(*args: Any, **kwargs: Any) -> bool:
        if where == "comparing":
            raise MemoryError
        return compare(*args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(custom_layer.LayerHost, "__call__", call)
        patch.setattr(custom_layer.random.Noted, "__enter__", drawn)
        patch.setattr(custom_layer.np, "array_equal", array_equal)
        model.fit(X, X, batch_size=8, shuffle=False, verbose=0)
    assert model.optimizer.iterations == step - 1
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    calls = 0
    start = 8 * (step - 1)
    model.train_on_batch(X[start : start + 8], X[start : start + 8])
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), model.get_weights(), strict=True))
