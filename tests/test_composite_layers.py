"""Layers of one's own that hold layers and models: what those inside do is what they do outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bounds import running
from lanewise import keras
from lanewise.keras import layers

RNG = np.random.default_rng(5)
X = RNG.standard_normal((96, 4)).astype(np.float32) + 3
Y = X[:, :1] * X[:, 1:2]


class Held(layers.Layer):
    """Calls what it was given; tells it nothing of training, as Keras scripts do."""

    def __init__(self, inner: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


class Told(Held):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return self.inner(inputs, training=training)


class Joined(layers.Layer):
    """Two ways, added and concatenated by layers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ways = {"a": layers.Dense(4, "tanh"), "b": [layers.Dense(4)]}
        self.add, self.beside = layers.Add(), layers.Concatenate()

    def call(self, inputs: Any) -> Any:
        a = self.ways["a"](inputs)
        return self.beside([inputs, self.add([a, self.ways["b"][0](a), inputs])])


class Net(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.joined, self.out = Joined(), layers.Dense(4)

    def call(self, inputs: Any) -> Any:
        return self.out(self.joined(inputs))


def sequential() -> Any:
    return keras.Sequential([layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dense(4)])


def functional() -> Any:
    x = keras.Input((4,))
    shared = layers.Dense(4, "tanh", kernel_regularizer="l2")
    return keras.Model(x, layers.Add()([x, shared(shared(x))]))


def pair() -> Any:
    """Of two inputs."""
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], layers.Multiply()([layers.Dense(4)(a), layers.Dense(4, "tanh")(b)]))


class Twice(Held):
    def call(self, inputs: Any) -> Any:
        return self.inner([inputs, inputs])


INSIDE: dict[str, Callable[[], Any]] = {
    "sequential": sequential, "functional": functional, "class": Net, "own": Joined,
    "own in sequential": lambda: keras.Sequential([Joined(), layers.Dense(4)]),
    "sequential in own in sequential": lambda: keras.Sequential([Held(sequential()), layers.Dense(4)]),
}  # fmt: skip


def fitted(layer: Any, **options: Any) -> tuple[Any, list[float]]:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), layer, layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    options = {"epochs": 3, "batch_size": 32, "shuffle": False, "verbose": 0, **options}
    return model, model.fit(X, Y, **options).history["loss"]


@pytest.mark.parametrize("holder", [Held, Told])
@pytest.mark.parametrize("kind", INSIDE)
def test_a_model_inside_trains_as_it_does_outside(kind: str, holder: Any) -> None:
    """Losses, weights and statistics; on any number of threads the same bits."""
    keras.utils.set_random_seed(2)
    plain, losses = fitted(INSIDE[kind]())
    found = []
    for threads in (1, 3):
        keras.utils.set_random_seed(2)
        with running(threads=threads):
            model, mine = fitted(holder(INSIDE[kind]()))
        found.append([*mine, *model.get_weights()])
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
    np.testing.assert_allclose(mine, losses, rtol=1e-4)
    assert [w.shape for w in model.weights] == [w.shape for w in plain.weights]
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(model.predict(X, verbose=0), plain.predict(X, verbose=0), rtol=1e-3, atol=1e-3)
    names = model.weight_names()
    assert len(set(names)) == len(names) == len(model.weights)
    assert model.count_params() == plain.count_params()


def test_models_of_several_inputs_and_outputs() -> None:
    model, losses = fitted(Twice(pair()), epochs=20)
    assert losses[-1] < losses[0] and len(model.weights) == 8
    x = keras.Input((4,))
    split = keras.Model(x, [layers.Dense(2)(x), layers.Dense(2)(x)])
    with pytest.raises(NotImplementedError, match="inside a layer of your own gives one array"):
        fitted(Held(split))


def test_a_layer_held_twice_is_one() -> None:
    class Both(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.first = layers.Dense(4)
            self.chain = keras.Sequential([self.first, layers.Dense(4)])

        def call(self, inputs: Any) -> Any:
            return self.chain(inputs)

    model, losses = fitted(Both(), epochs=20)
    assert len(model.weights) == 8 and model.count_params() == 4 * 20 - 15 and losses[-1] < losses[0]


@pytest.mark.parametrize("holder", [Held, Told])
def test_training_reaches_what_is_inside(holder: Any) -> None:
    """As in Keras: in `fit` dropout drops and statistics move, whether they are told or not; else neither."""
    for outer in (lambda inner: inner, lambda inner: Held(inner), lambda inner: keras.Sequential([inner])):
        layer = outer(holder(keras.Sequential([layers.Dropout(0.5), layers.BatchNormalization()])))
        ones = np.ones((50, 4), np.float32)
        assert len(np.unique(layer(ones))) == 1 == len(np.unique(layer(ones, training=False)))
        assert len(np.unique(layer(ones, training=True))) > 1
        model = keras.Sequential([keras.Input((4,)), layer])
        model.compile(keras.optimizers.SGD(0.0), "mse")
        model.fit(X, X, epochs=20, batch_size=96, verbose=0)
        mean = model.get_weights()[2]
        # the first call moved the means too, to 0.01
        np.testing.assert_allclose(mean, 0.01 * 0.99**20 + (1 - 0.99**20) * X.mean(axis=0), rtol=0.1)
        assert np.array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))


def test_what_is_frozen_inside_stays() -> None:
    for freeze in ("holder", "model", "layer"):
        layer = Held(sequential())
        part = {"holder": layer, "model": layer.inner, "layer": layer.inner.layers[1]}[freeze]
        part.trainable = False
        assert [inner.trainable for inner in layer.inner.layers] == [freeze == "layer", False, freeze == "layer"]
        model, _ = fitted(layer)
        assert len(model.trainable_weights) == {"holder": 4, "model": 4, "layer": 8}[freeze]
        gamma, beta, mean, variance = layer.inner.layers[1].get_weights()
        assert (gamma == 1).all() and (beta == 0).all() and (mean == 0).all() and (variance == 1).all()
        part.trainable = True
        assert len(model.trainable_weights) == 10
        before = layer.inner.get_weights()
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
        assert all(not np.array_equal(a, b) for a, b in zip(before, layer.inner.get_weights(), strict=True))


class Dropping(layers.Layer):
    """Drops what it has scaled, and counts."""

    def build(self, input_shape: Any) -> None:
        self.drop = layers.Dropout(0.5)
        self.scale = self.add_weight(shape=(4,), initializer="ones")
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.calls = 0

    def call(self, inputs: Any) -> Any:
        self.count.assign_add(1)
        self.calls += len(inputs) > 2  # else it is tried out
        return self.drop(inputs * self.scale)


def in_functional() -> Any:
    x = keras.Input((4,))
    return keras.Model(x, 2 * Dropping()(x))


@pytest.mark.parametrize(
    "make", [Dropping, lambda: Held(Dropping()), lambda: keras.Sequential([Dropping()]), in_functional]
)
def test_a_gradient_is_that_of_what_was_dropped(make: Callable[[], Any]) -> None:
    """What comes out is linear in the scale s: the loss, a mean of it, is s times the gradient; each runs once."""
    model = keras.Sequential([keras.Input((4,)), Held(make())])
    model.compile("sgd", lambda true, pred: keras.ops.mean(pred, axis=-1))
    (scale,) = model.trainable_weights
    (count,) = model.non_trainable_weights
    (layer,) = (leaf for leaf in model.leaves() if isinstance(leaf, Dropping))
    scale.assign([0.5, 1, 2, 3])
    for _ in range(3):
        before = layer.calls
        loss, (gradient,) = model.value_and_grad(X, X)
        np.testing.assert_allclose(scale.numpy() @ gradient, loss, rtol=1e-5)
        assert layer.calls == before + 1 and count.numpy() == 0


class Tokens(layers.Layer):
    """Ids looked up inside: alone, and in a chain that leaves out the padding."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = layers.Embedding(9, 4)
        self.chain = keras.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.GlobalAveragePooling1D()])

    def call(self, ids: Any) -> Any:
        return keras.ops.mean(self.table(ids), axis=1) + self.chain(ids)


def test_ids_are_looked_up_inside() -> None:
    """As they are outside, one table's gradient and the other's."""
    ids = RNG.integers(1, 9, (96, 5))
    ids[:, 3:] = 0
    found = []
    for inside in (True, False):
        x = keras.Input((5,), dtype="int32")
        keras.utils.set_random_seed(8)
        tokens = Tokens()
        plain = layers.Add()([layers.GlobalAveragePooling1D()(tokens.table(x)), tokens.chain(x)])
        model = keras.Model(x, layers.Dense(1)(tokens(x) if inside else plain))
        model.compile(keras.optimizers.Adam(1e-2), "mse")
        model.fit(ids, Y, epochs=3, shuffle=False, verbose=0)
        tables = [tokens.table.get_weights()[0], *tokens.chain.get_weights()]
        assert tables[0].shape == tables[1].shape == (9, 4) and len(model.weights) == 4
        found.append([*tables, model.predict(ids, verbose=0)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="whole numbers from 0 to 8"):
        model.predict(ids + 9, verbose=0)


def test_several_arguments_without_a_build() -> None:
    class Pair(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = layers.Dense(4), keras.Sequential([layers.Dense(4)])

        def call(self, x: Any, y: Any) -> Any:
            return self.a(x) + self.b(y)

    p, q = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([p, q], layers.Dense(1)(Pair()(p, q)))
    model.compile("adam", "mse")
    losses = model.fit([X, X], Y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and len(model.weights) == 6


class Counted(layers.Layer):
    """Averages and counts as Keras's documentation writes it: in `assign`, of what the call makes."""

    def build(self, input_shape: Any) -> None:
        self.mean = self.add_weight(shape=(4,), initializer="zeros", trainable=False)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: Any, training: Any = None) -> Any:
        if training:
            self.mean.assign(self.mean * 0.5 + keras.ops.mean(inputs, axis=0) * 0.5)
            self.calls.assign(self.calls + 1)
            self.calls.assign_add(keras.ops.mean(inputs) * 0)
        return inputs * 2


def test_a_layer_assigns_what_its_call_makes_of_weights_and_inputs():
    """It raised a TypeError in fit: both are traced there."""
    layer = Counted()
    model = keras.Sequential([layers.Input((4,)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=48, epochs=1, shuffle=False, verbose=0)
    assert layer.calls.numpy() == 2
    expected = 0.25 * X[:48].mean(0) + 0.5 * X[48:].mean(0)
    np.testing.assert_allclose(layer.mean.numpy(), expected, rtol=1e-6)


def test_a_layer_inside_another_may_know_it_or_the_model():
    """Looking for the layers inside went round for ever."""
    outer = Held(layers.Dense(4))
    outer.inner.owner = outer
    knowing = Held(layers.Dense(4))
    knowing.before = Held(outer)
    knowing.before.parent = knowing
    model = keras.Sequential([layers.Input((4,)), outer, knowing, layers.Dense(1)])
    knowing.model = model
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert len(knowing.weights) == len({id(w) for w in knowing.weights}) == len(model.weights) == 6
    assert model.predict(X[:3], verbose=0).shape == (3, 1)
