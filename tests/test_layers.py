"""Layers alone: what they compute, how they are named, built, described; initial weights."""

import numpy as np
import pytest

from bounds import floats, same_bits
from lanewise import keras, ops

layers = keras.layers


def test_dense_acts_on_the_last_axis():
    x = floats(np.random.default_rng(0), 4, 5, 6)
    layer = layers.Dense(7, activation="tanh")
    y = layer(x).numpy()
    kernel, bias = layer.get_weights()
    assert y.shape == (4, 5, 7)
    assert same_bits(y.reshape(20, 7), ops.dense_forward(x.reshape(20, 6), kernel, bias, "tanh"))
    plain = layers.Dense(3, use_bias=False)
    assert same_bits(plain(x[0]), ops.matmul(x[0], plain.get_weights()[0]))
    assert plain.count_params() == 18


def test_activations_flatten_and_softmax():
    x = floats(np.random.default_rng(1), 4, 5, 6)
    assert same_bits(layers.ReLU()(x), ops.relu_forward(x))
    assert same_bits(layers.Softmax()(x), ops.softmax_forward(x))
    assert same_bits(layers.Activation("sigmoid")(x), ops.sigmoid_forward(x))
    assert same_bits(layers.Flatten()(x), x.reshape(4, 30))


def test_dropout_keeps_the_mean_and_only_in_training():
    keras.utils.set_random_seed(1)
    x = np.ones((400, 500), np.float32)
    layer = layers.Dropout(0.3)
    assert same_bits(layer(x), x)
    y = layer(x, training=True).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / (np.float32(1) - np.float32(0.3))}
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert not same_bits(layer(x, training=True), y)


def test_normalization_learns_mean_and_deviation_by_column():
    x = np.random.default_rng(2).normal([3, -50, 0.01], [2, 10, 0.001], (1000, 3))
    layer = layers.Normalization()
    layer.adapt(x)
    want = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(layer(x), want, rtol=1e-4, atol=1e-4)
    given = layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 0.25])
    np.testing.assert_array_equal(given(np.array([[3.0, 2.5]], np.float32)), [[1.0, 1.0]])


def test_names_building_and_summary(capsys):
    keras.backend.clear_session()
    model = keras.Sequential([layers.Dense(4, input_dim=3), layers.Dense(5), layers.Dropout(0.1), layers.Dense(2)])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dropout", "dense_2"]
    assert [w.shape for w in model.get_weights()] == [(3, 4), (4,), (4, 5), (5,), (5, 2), (2,)]
    assert model.output_shape == (None, 2)
    model.summary()
    text = capsys.readouterr().out
    for part in ("dense_1", "Dropout", "(None, 5)", "25", "53"):
        assert part in text
    late = keras.Sequential([layers.Dense(4), layers.Dense(1)])
    with pytest.raises(ValueError, match="built"):
        late.count_params()
    late(np.zeros((2, 9), np.float32))
    assert late.layers[0].get_weights()[0].shape == (9, 4)
    late.pop()
    assert len(late.layers) == 1
    shaped = keras.Sequential([keras.Input((4, 2)), layers.Flatten(), layers.Dense(1)])
    assert shaped.predict(np.zeros((3, 4, 2)), verbose=0).shape == (3, 1)


def test_weights_go_in_and_out_whole_or_not_at_all():
    model = keras.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dense(1)])
    before = model.get_weights()
    changed = [w + 1 for w in before]
    with pytest.raises(ValueError, match="shape"):
        model.set_weights([*changed[:3], np.zeros(2)])
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    model.set_weights(changed)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), changed, strict=True))


def test_frozen_layers_do_not_move():
    x = floats(np.random.default_rng(3), 40, 3)
    model = keras.Sequential([layers.Dense(4, input_shape=(3,)), layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(x, x[:, 0], verbose=0)
    after = model.get_weights()
    assert same_bits(before[0], after[0])
    assert not same_bits(before[2], after[2])


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("glorot_uniform", (2 / 300) ** 0.5),
        ("glorot_normal", (2 / 300) ** 0.5),
        ("he_uniform", (2 / 200) ** 0.5),
        ("he_normal", (2 / 200) ** 0.5),
        ("lecun_uniform", (1 / 200) ** 0.5),
        ("lecun_normal", (1 / 200) ** 0.5),
        ("random_uniform", 0.1 / 12**0.5),
        ("random_normal", 0.05),
        ("truncated_normal", 0.05 * 0.8796),
        ("zeros", 0.0),
    ],
)
def test_initial_weights_have_their_spread(name, deviation):
    def kernel():
        keras.utils.set_random_seed(5)
        layer = layers.Dense(100, kernel_initializer=name, input_shape=(200,))
        layer.build((None, 200))
        return layer.get_weights()[0]

    assert kernel().std() == pytest.approx(deviation, rel=0.03)
    assert kernel().mean() == pytest.approx(0, abs=0.003)
    assert same_bits(kernel(), kernel())


def test_orthogonal_is_orthogonal():
    layer = layers.Dense(40, kernel_initializer="orthogonal")
    layer.build((None, 60))
    kernel = layer.get_weights()[0].astype(np.float64)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(40), atol=1e-5)


def test_configs_make_equal_layers():
    for layer in [
        layers.Dense(3, "relu", kernel_regularizer="l2", bias_initializer="ones", name="first"),
        layers.Dropout(0.25),
        layers.Activation("tanh"),
        layers.Flatten(),
        layers.Normalization(mean=1.0, variance=2.0),
    ]:
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_training_follows_every_change_of_trainable():
    """Networks found for one step are kept for the next: whatever says what trains must count at once."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype(np.float32), rng.normal(size=(8, 1)).astype(np.float32)
    inner = keras.Sequential([keras.layers.Dense(4, input_shape=(3,)), keras.layers.Dense(4)])
    model = keras.Sequential([inner, keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def moved() -> list[bool]:
        before = model.get_weights()
        model.train_on_batch(x, y)
        return [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]

    assert moved() == [True] * 6
    inner.layers[0].trainable = False
    assert moved() == [False, False, True, True, True, True]
    inner.trainable = False
    assert moved() == [False] * 4 + [True] * 2
    inner.trainable = True  # of all weights, as in Keras
    assert moved() == [True] * 6
    inner.layers[1].weights[0].trainable = False
    assert moved() == [True, True, False, True, True, True]
    model.add(keras.layers.Dense(1))
    assert moved() == [True, True, False, True, True, True, True, True]
    model.trainable = False
    assert moved() == [False] * 8
