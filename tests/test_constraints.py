"""Constraints and penalties on outputs: what they mean, and their gradient."""

import numpy as np
import pytest

from bounds import floats
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
    with pytest.raises(NotImplementedError, match="axis"):
        keras.constraints.MaxNorm(1, axis=1)
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
