"""`training=` in a functional graph: False keeps a call as when predicting, in fit too; True is the model's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lanewise import keras

layers = keras.layers


def data() -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(3, 1, (64, 6)).astype(np.float32)
    return x, x[:, 0]


def graph() -> tuple[Any, Any]:
    """(model, its batch normalization), both noise and statistics called with training=False."""
    inputs = keras.Input((6,))
    norm = layers.BatchNormalization()
    hidden = layers.Dropout(0.5)(layers.Dense(4)(inputs), training=False)
    return keras.Model(inputs, layers.Dense(1)(norm(hidden, training=False))), norm


def test_false_keeps_dropout_off_and_statistics_still() -> None:
    model, norm = graph()
    model.compile("adam", "mse")
    x, y = data()
    before = norm.get_weights()
    model.fit(x, y, epochs=2, verbose=0)
    after = norm.get_weights()
    assert all((a == b).all() for a, b in zip(before[2:], after[2:], strict=True))
    assert (before[0] != after[0]).any()  # gamma trains
    np.testing.assert_array_equal(model(x, training=True), model.predict(x, verbose=0))


def test_false_goes_along_with_the_description() -> None:
    model, _ = graph()
    x, _ = data()
    nodes = [layer["inbound_nodes"] for layer in model.get_config()["layers"]]
    assert sum(node["kwargs"] == {"training": False} for calls in nodes for node in calls) == 2
    for again in (keras.Model.from_config(model.get_config()), keras.models.clone_model(model)):
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again(x, training=True), model.predict(x, verbose=0))


def test_false_reaches_into_nested_models() -> None:
    base = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.3)])
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(1)(base(inputs, training=False)))
    model.compile("sgd", "mse")
    x, y = data()
    model.fit(x, y, verbose=0)
    assert (base.layers[1].get_weights()[2] == 0).all()
    base(x, training=True)
    assert (base.layers[1].get_weights()[2] != 0).any()


def test_true_is_refused_where_it_would_take_statistics() -> None:
    inputs = keras.Input((6,))
    with pytest.raises(NotImplementedError, match=r"call model\(x, training=True\)"):
        layers.BatchNormalization()(inputs, training=True)
    assert layers.Dense(2)(inputs, training=True).shape == (None, 2)


def test_names_of_layers_are_those_of_keras() -> None:
    keras.backend.clear_session()
    made = [layers.GlobalAveragePooling1D(), layers.ReLU(), layers.PReLU(), layers.ELU(), layers.BatchNormalization()]
    names = ["global_average_pooling1d", "re_lu", "p_re_lu", "elu", "batch_normalization"]
    assert [layer.name for layer in made] == names


def test_a_config_of_either_kind_makes_a_model() -> None:
    assert isinstance(keras.Model.from_config(keras.Sequential([layers.Dense(1)]).get_config()), keras.Sequential)


def test_no_batch_has_the_noise_of_another() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.GaussianNoise(1.0)(inputs, training=True))
    model.compile("sgd", "mse")
    zeros = np.zeros((32, 4), np.float32)
    seen: list[Any] = []
    hooks = keras.callbacks.LambdaCallback()
    hooks.on_predict_batch_end = lambda batch, logs=None: seen.append(logs["outputs"].sum())
    hooks.on_test_batch_end = lambda batch, logs=None: seen.append(logs["loss"] * (batch + 1))  # the mean so far
    model.predict(np.tile(zeros, (3, 1)), 32, verbose=0, callbacks=[hooks])
    assert len(seen) == len(set(seen)) == 3
    model.evaluate(((zeros, zeros) for _ in range(3)), steps=3, verbose=0, callbacks=[hooks])
    assert len(set(np.round(np.diff([0, *seen[3:]]), 4))) == 3
