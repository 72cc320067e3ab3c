"""What layers, penalties, losses and metrics mean: numbers worked by hand, and the ways to put a model together."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bounds import floats
from lanewise import keras, ops
from lanewise.keras import layers
from reference import same_bits

X = np.array([[1, -2, 3], [-1, 0.5, 2]], np.float32)
KERNEL = np.array([[1, 0], [0.5, -1], [-1, 2]], np.float32)
BIAS = np.array([0.25, -0.5], np.float32)
Z = np.array([[-2.75, 7.5], [-2.5, 3.0]], np.float32)  # X @ KERNEL + BIAS


def dense(**keywords: Any) -> layers.Dense:
    layer = layers.Dense(2, **keywords)
    layer.build((None, 3))
    layer.set_weights([KERNEL, BIAS] if layer.use_bias else [KERNEL])
    return layer


# --- layers ----------------------------------------------------------------------------------------------------------


def test_dense_by_hand() -> None:
    assert same_bits(dense()(X), Z)
    assert same_bits(dense(use_bias=False)(X), Z - BIAS)
    assert same_bits(dense(activation="relu")(X), np.maximum(Z, 0))
    for name, f in [("sigmoid", lambda z: 1 / (1 + np.exp(-z))), ("tanh", np.tanh)]:
        np.testing.assert_allclose(dense(activation=name)(X), f(Z.astype(np.float64)), rtol=3e-7)
    e = np.exp(Z.astype(np.float64))
    np.testing.assert_allclose(dense(activation="softmax")(X), e / e.sum(axis=1, keepdims=True), rtol=1e-6)


def test_derivatives_of_the_activations_by_hand() -> None:
    """relu' = 0 or 1, sigmoid'(0) = 1/4, tanh'(0) = 1, and against differences in float64."""
    one = np.ones(1, np.float32)
    assert ops.sigmoid_backward(one, np.array([0.5], np.float32))[0] == 0.25
    assert ops.tanh_backward(one, np.array([0.0], np.float32))[0] == 1.0
    assert ops.relu_backward(np.array([3, 3], np.float32), np.array([0, 2], np.float32)).tolist() == [0, 3]
    x = np.linspace(-4, 4, 33)
    for name, f in [("sigmoid", lambda z: 1 / (1 + np.exp(-z))), ("tanh", np.tanh)]:
        y = getattr(ops, name + "_forward")(x.astype(np.float32))
        slope = getattr(ops, name + "_backward")(np.ones(33, np.float32), y)
        np.testing.assert_allclose(slope, (f(x + 1e-6) - f(x - 1e-6)) / 2e-6, atol=3e-7)


def test_activation_layers_equal_the_argument_of_dense() -> None:
    pairs = [
        (layers.Activation("relu"), "relu"), (layers.ReLU(), "relu"), (layers.Activation("tanh"), "tanh"),
        (layers.Activation(keras.activations.sigmoid), "sigmoid"), (layers.Softmax(), "softmax"),
        (layers.Activation("softmax"), "softmax"), (layers.Activation("linear"), None),
    ]  # fmt: skip
    for layer, name in pairs:
        two = lw.Sequential([dense(input_shape=(3,)), layer])
        one = lw.Sequential([dense(input_shape=(3,), activation=name)])
        assert same_bits(two.predict(X, verbose=0), one.predict(X, verbose=0)), name


def test_normalization_by_hand() -> None:
    data = np.array([[1.0, 10, 5], [3, 30, 5], [5, 80, 5]])  # means 3, 40, 5; variances 8/3, 2600/3, 0
    layer = layers.Normalization()
    layer.adapt(data)
    np.testing.assert_allclose(layer.mean, [3, 40, 5])
    np.testing.assert_allclose(layer.variance, [8 / 3, 2600 / 3, 0], rtol=1e-7)
    got = layer(data)
    np.testing.assert_allclose(got[:, :2], ((data - [3, 40, 5]) / np.sqrt([8 / 3, 2600 / 3, 1]))[:, :2], rtol=1e-6)
    assert not got[:, 2].any()  # a constant column becomes 0
    given = layers.Normalization(mean=[3.0, 40.0, 5.0], variance=[4.0, 100.0, 1.0])
    np.testing.assert_array_equal(given(data), [[-1, -3, 0], [0, -1, 0], [1, 4, 0]])
    one = layers.Normalization(axis=None, mean=5.0, variance=25.0)
    np.testing.assert_array_equal(one(data[:1]), np.array([[-0.8, 1, 0]], np.float32))


def test_normalization_takes_two_passes_and_is_blind_to_the_order_of_memory() -> None:
    data = np.random.default_rng(2).standard_normal((5000, 7)) + 1e6  # one pass would lose digits of the variance
    layer = layers.Normalization()
    layer.adapt(data)
    exact = data.astype(np.longdouble)
    np.testing.assert_allclose(layer.mean, exact.mean(axis=0).astype(np.float64), rtol=1e-7)
    np.testing.assert_allclose(layer.variance, exact.var(axis=0).astype(np.float64), rtol=1e-6)
    for other in (np.asfortranarray(data), np.repeat(data, 2, axis=1)[:, ::2], data.tolist()):
        again = layers.Normalization()
        again.adapt(other)
        assert same_bits(again.mean, layer.mean)
        assert same_bits(again.variance, layer.variance)


# --- chains ----------------------------------------------------------------------------------------------------------


def test_a_chain_is_its_layers_one_after_the_other() -> None:
    keras.utils.set_random_seed(2)
    chain = [layers.Dense(40, "relu"), layers.Dropout(0.5), layers.Dense(33, "tanh"), layers.Dense(5, "softmax")]
    model = lw.Sequential([keras.Input((17,)), *chain])
    x = floats(np.random.default_rng(4), 30, 17)
    value: Any = x
    for layer in chain:
        value = layer(value)
    assert same_bits(model.predict(x, verbose=0), value)
    assert same_bits(model(x).numpy(), value)
    assert type(model(x).numpy()) is np.ndarray


@pytest.mark.parametrize(
    "first",
    [
        lambda: [layers.Dense(4, input_shape=(3,))],
        lambda: [layers.Dense(4, input_dim=3)],
        lambda: [layers.Dense(4, batch_input_shape=(None, 3))],
        lambda: [keras.Input((3,)), layers.Dense(4)],
        lambda: [keras.Input(shape=3), layers.Dense(4)],
        lambda: [layers.InputLayer(shape=(3,)), layers.Dense(4)],
    ],
)
def test_every_way_to_say_the_input(first: Any) -> None:
    model = lw.Sequential(first())
    model.add(layers.Dense(2))
    assert model.built
    assert model.input_shape == (None, 3)
    assert model.output_shape == (None, 2)
    assert [w.shape for w in model.weights] == [(3, 4), (4,), (4, 2), (2,)]
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dense"]


@pytest.mark.parametrize(
    "show",
    [
        lambda m: m.predict(X, verbose=0),
        lambda m: m(X),
        lambda m: m.build((None, 3)),
        lambda m: m.evaluate(X, X[:, 0], verbose=0),
        lambda m: m.fit(X, X[:, 0], verbose=0),
        lambda m: m.train_on_batch(X, X[:, 0]),
    ],
)
def test_building_at_the_first_call(show: Any) -> None:
    model = lw.Sequential([layers.Dense(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert not model.built
    show(model)
    assert model.built
    assert model.input_shape == (None, 3)


def test_add_and_pop() -> None:
    model = lw.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dense(2)])
    last = model.pop()
    assert model.output_shape == (None, 4)
    model.add(layers.Dense(7))
    assert model.predict(X, verbose=0).shape == (2, 7)
    assert last not in model.layers


def test_a_layer_in_two_models_is_one_layer() -> None:
    shared = layers.Dense(4, "relu", input_shape=(3,))
    a, b = lw.Sequential([shared, layers.Dense(1)]), lw.Sequential([shared, layers.Dense(2)])
    a.compile("adam", "mse")
    before = b.predict(X, verbose=0)
    a.fit(X, X[:, 0], epochs=3, verbose=0)
    assert same_bits(a.layers[0].get_weights()[0], b.layers[0].get_weights()[0])
    assert not same_bits(b.predict(X, verbose=0), before)


@pytest.mark.parametrize("duplicate", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_copy_goes_on_alike_and_on_its_own(duplicate: Any) -> None:
    rng = np.random.default_rng(5)
    x, y = floats(rng, 64, 3), floats(rng, 64, 1)
    model = lw.Sequential([layers.Dense(9, "relu", input_shape=(3,)), layers.Dropout(0.2), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.fit(x, y, verbose=0)
    other = duplicate(model)
    assert model.fit(x, y, epochs=2, verbose=0).history == other.fit(x, y, epochs=2, verbose=0).history
    kept = other.get_weights()
    model.fit(x, y, verbose=0)
    assert all(same_bits(a, b) for a, b in zip(kept, other.get_weights(), strict=True))


# --- penalties, losses, metrics --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regularizer", "want"),
    [(keras.regularizers.L1(0.5), 3.25), ("l1", 0.065), ("l2", 0.0825), (keras.regularizers.L1L2(1.0, 2.0), 23.0)],
)
def test_penalties_by_hand(regularizer: Any, want: float) -> None:
    kernel = [[1.0], [-2.0], [1.0], [0.5], [-1.0], [1.0]]  # sum of |w| 6.5, of squares 8.25
    model = lw.Sequential([layers.Dense(1, kernel_regularizer=regularizer, input_shape=(6,))])
    model.set_weights([kernel, [0.0]])
    model.compile("sgd", "mse")
    assert model.evaluate(np.zeros((3, 6)), np.zeros(3), verbose=0) == pytest.approx(want, rel=1e-6)


P = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]
T = [[1.0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("name", "t", "p", "want"),
    [
        ("mean_squared_error", [[1, 2], [3, 4]], [[1, 4], [0, 4]], [2.0, 4.5]),
        ("mean_absolute_error", [[1, 2], [3, 4]], [[1, 4], [0, 4]], [1.0, 1.5]),
        ("huber", [[1, 2], [3, 4]], [[1.5, 4], [0, 4]], [(0.125 + 1.5) / 2, 1.25]),
        ("binary_crossentropy", [[1], [0]], [[0.8], [0.8]], [-np.log(0.8), -np.log(0.2)]),
        ("categorical_crossentropy", T, P, [-np.log(0.7), -np.log(0.1)]),
        ("sparse_categorical_crossentropy", [0, 1], P, [-np.log(0.7), -np.log(0.1)]),
    ],
)
def test_losses_by_hand(name: str, t: Any, p: Any, want: list[float]) -> None:
    np.testing.assert_allclose(getattr(keras.losses, name)(t, p), want, rtol=1e-6)
    np.testing.assert_allclose(keras.losses.get(name)(t, p), want, rtol=1e-6)  # the function, as in Keras
    loss = lw.losses.get(name)
    assert loss(t, p) == pytest.approx(np.mean(want), rel=1e-6)
    weighted = loss(t, p, sample_weight=[3, 0.5])
    assert weighted == pytest.approx((3 * want[0] + 0.5 * want[1]) / 2, rel=1e-6)  # divided by rows, not by weights


@pytest.mark.parametrize(
    ("name", "t", "p", "want"),
    [
        ("binary_accuracy", [1, 0, 1, 0], [0.9, 0.6, 0.5, 0.1], 0.5),  # 0.5 is not above the threshold
        ("categorical_accuracy", T, P, 0.5),
        ("sparse_categorical_accuracy", [0, 1], P, 0.5),
        ("sparse_categorical_accuracy", [0, 2], P, 1.0),
        ("sparse_categorical_accuracy", [1, 0], [[0.5, 0.5, 0], [0.5, 0.5, 0]], 0.5),  # the first of equals counts
        ("accuracy", [1, 0, 1, 0], [0.9, 0.6, 0.5, 0.1], 0.5),
        ("accuracy", [0, 2], P, 1.0),
        ("accuracy", T, P, 0.5),
        ("mse", [0, 2], [1, 4], 2.5),
        ("rmse", [0, 2], [1, 4], 2.5**0.5),
        ("mae", [0, 2], [1, 4], 1.5),
    ],
)
def test_metrics_by_hand_alone_and_in_evaluate(name: str, t: Any, p: Any, want: float) -> None:
    true, pred = np.array(t), np.array(p, np.float32)
    metric = keras.metrics.get(name)
    assert metric(true, pred) == pytest.approx(want, rel=1e-6)
    metric.reset_state()
    for i in range(len(true)):  # row by row it is the same mean
        metric.update_state(true[i : i + 1], pred[i : i + 1])
    assert metric.result() == pytest.approx(want, rel=1e-6)
    width = pred.shape[1] if pred.ndim == 2 else 1
    model = lw.Sequential([layers.Dense(width, kernel_initializer="identity", use_bias=False, input_shape=(width,))])
    sparse = width > 1 and true.ndim == 1
    model.compile("sgd", "sparse_categorical_crossentropy" if sparse else "mse", metrics=[name])
    got = model.evaluate(pred.reshape(-1, width), true, batch_size=3, verbose=0, return_dict=True)
    assert got[name] == pytest.approx(want, rel=1e-6)


def test_crossentropy_after_its_activation_is_computed_from_the_logits() -> None:
    """Probabilities of 0 and 1 to the last bit: from them the loss would be clipped at 16."""
    x = np.array([[100.0, 0.0], [0.0, 100.0]])
    for activation, loss in [
        ("softmax", "sparse_categorical_crossentropy"),
        (None, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    ]:
        model = lw.Sequential([layers.Dense(2, activation, kernel_initializer="identity", input_shape=(2,))])
        model.compile("sgd", loss)
        assert model.evaluate(x, [1, 0], verbose=0) == pytest.approx(100, rel=1e-6)
    binary = lw.Sequential([layers.Dense(1, "sigmoid", kernel_initializer="ones", input_shape=(1,))])
    binary.compile("sgd", "binary_crossentropy")
    assert binary.evaluate([[50.0]], [0], verbose=0) == pytest.approx(50, rel=1e-6)
