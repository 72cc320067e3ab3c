"""Constraints and penalties on outputs: what they mean, and their gradient."""

import numpy as np
import pytest

from bounds import floats, running
from lanewise import keras


def fitted(**kwargs):
    rng = np.random.default_rng(5)
    x = floats(rng, 64, 20)
    y = (x @ floats(rng, 20, 1)).ravel()
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Dense(40, input_shape=(20,), **kwargs), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(x, y, epochs=20, verbose=0)
    return model, x, y


def test_norms_of_columns_and_signs():
    model, *_ = fitted(kernel_constraint=keras.constraints.MaxNorm(0.5), bias_constraint="non_neg")
    kernel, bias = model.layers[0].get_weights()
    assert np.linalg.norm(kernel, axis=0).max() == pytest.approx(0.5, rel=1e-5)
    assert bias.min() == 0
    kernel = fitted(kernel_constraint="unit_norm")[0].layers[0].get_weights()[0]
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1, rtol=1e-5)
    limits = keras.constraints.MinMaxNorm(0.7, 0.9, rate=1.0)
    norms = np.linalg.norm(fitted(kernel_constraint=limits)[0].layers[0].get_weights()[0], axis=0)
    assert norms.min() >= 0.7 * (1 - 1e-5)
    assert norms.max() <= 0.9 * (1 + 1e-5)
    with pytest.raises(ValueError, match=r"axis: expected 0, 1, -1, -2 or \(0, 1\), received 2"):
        keras.constraints.MaxNorm(1, axis=2)
    with pytest.raises(ValueError, match="max_value"):
        keras.constraints.MinMaxNorm(2.0, 1.0)


def test_activity_penalty_is_in_the_loss_and_in_the_gradient():
    model, x, y = fitted(activity_regularizer=keras.regularizers.L1L2(0.01, 0.02))
    h = model.layers[0](x).astype(np.float64)
    want = np.mean((model.predict(x, verbose=0)[:, 0] - y) ** 2) + (0.01 * np.abs(h) + 0.02 * h * h).sum() / 64
    assert model.evaluate(x, y, batch_size=64, verbose=0) == pytest.approx(want, rel=1e-5)
    model, x, y = fitted(activation="tanh", activity_regularizer=keras.regularizers.L2(0.05))  # no kinks
    gradient = model.value_and_grad(x, y)[1][0]
    weights, step, values = model.get_weights(), 1e-2, []
    for sign in (1, -1):
        moved = [w.copy() for w in weights]
        moved[0][3, 5] += sign * step
        model.set_weights(moved)
        values.append(model.evaluate(x, y, batch_size=64, verbose=0))
    assert gradient[3, 5] == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-2, abs=1e-4)


def test_configs_keep_them():
    model, *_ = fitted(kernel_constraint="max_norm", activity_regularizer="l2")
    again = keras.Sequential.from_config(model.get_config())
    assert again.layers[0].get_config() == model.layers[0].get_config()
    assert again.layers[0].get_config()["kernel_constraint"]["class_name"] == "MaxNorm"


@pytest.mark.parametrize("axis", [1, -1, (0, 1), -2])
@pytest.mark.parametrize("threads", [1, 2])
def test_norms_along_other_axes(axis, threads):
    """40 units: two panels, the second one narrower."""
    limit = keras.constraints.MaxNorm(0.25, axis=axis)
    with running(threads=threads):
        kernel = fitted(kernel_constraint=limit)[0].layers[0].get_weights()[0]
    norms = np.sqrt(np.square(kernel, dtype=np.float64).sum(axis=axis))
    assert np.max(norms) == pytest.approx(0.25, rel=1e-5)
    again = keras.constraints.deserialize(keras.constraints.serialize(limit))
    assert again.get_config() == limit.get_config()
    factor = np.minimum(1, 0.25 / (3 * np.expand_dims(norms, axis)))
    np.testing.assert_allclose(limit(kernel * 3), kernel * 3 * factor, rtol=1e-5)


def test_a_step_is_the_update_then_the_limit():
    x, y = np.ones((2, 9), np.float32), np.ones((2, 70), np.float32)
    for axis in (0, 1, -1, (0, 1)):
        limit = keras.constraints.MinMaxNorm(0.5, 0.8, rate=0.75, axis=axis)
        keras.utils.set_random_seed(4)
        model = keras.Sequential([keras.layers.Dense(70, input_shape=(9,), kernel_constraint=limit)])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        gradients = model.value_and_grad(x, y)[1]
        weights = model.get_weights()
        model.train_on_batch(x, y)
        stepped = weights[0] - np.float32(0.5) * gradients[0]
        assert np.abs(limit(stepped) - stepped).max() > 1e-2
        found = model.get_weights()[0]
        np.testing.assert_allclose(found, limit(stepped), rtol=1e-5, atol=1e-6)
        model.set_weights(weights)
        model.apply_gradients(gradients)
        assert np.array_equal(model.get_weights()[0], found)  # gradients of one's own are limited too


def test_a_bias_has_one_axis():
    with pytest.raises(ValueError, match="axis 0 or -1"):
        fitted(bias_constraint=keras.constraints.MaxNorm(1, axis=1))
