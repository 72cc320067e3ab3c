"""Masks, merges that broadcast, and functions of symbolic tensors: figures of Keras, the same bits everywhere."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bounds import ALIKE, running
from graph_cases import CASES, GOLDEN, IDS, MASKS, Y, model_of, outcome
from lanewise import keras

L = keras.layers
FIGURES = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_keras(name: str) -> None:
    found = outcome(keras, name)
    for key, wanted in FIGURES[name].items():
        np.testing.assert_allclose(found[key], wanted, rtol=2e-5, atol=2e-6, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_the_same_bits_on_any_isa_at_any_number_of_threads(name: str) -> None:
    seen = set()
    for isa in ALIKE:
        for threads in (1, 2, 7):
            with running(isa, threads):
                model, x = model_of(keras, name)
                model.compile(keras.optimizers.SGD(0.02), "mse")
                model.fit(x, Y, batch_size=5, shuffle=False, verbose=0)
                seen.add(b"".join(w.tobytes() for w in [*model.get_weights(), model.predict(x, verbose=0)]))
    assert len(seen) == 1


@pytest.mark.parametrize("name", MASKS)
def test_files_keep_the_mask(name: str, tmp_path: Any) -> None:
    model, x = model_of(keras, name)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_gradient_of_a_masked_mean_is_right(isa: str) -> None:
    model, x = model_of(keras, "mean through layers")
    model.compile("sgd", "mse")
    _, gradients = model.value_and_grad(x, Y)
    for i, gradient in enumerate(gradients):
        for at in list(np.ndindex(gradient.shape))[:8]:
            values = []
            for step in (2.0**-6, -(2.0**-6)):
                weights = model.get_weights()
                weights[i][at] += step
                other, _ = model_of(keras, "mean through layers")
                other.set_weights(weights)
                values.append(np.mean((other.predict(x, verbose=0)[:, 0].astype(np.float64) - Y) ** 2))
            assert gradient[at] == pytest.approx((values[0] - values[1]) * 32, rel=2e-3, abs=2e-4)


def test_a_mean_over_masked_steps_alone_is_nan_as_in_keras() -> None:
    layer = L.Embedding(6, 3, mask_zero=True)
    model = keras.Sequential([layer, L.GlobalAveragePooling1D()])
    out = model.predict(np.array([[0, 0], [1, 0]]), verbose=0)
    assert np.isnan(out[0]).all()
    np.testing.assert_array_equal(out[1], layer.get_weights()[0][1])


@pytest.mark.parametrize("make", [L.Flatten, L.GlobalMaxPooling1D, lambda: L.Reshape((15,)), lambda: L.Permute((2, 1))])
def test_a_layer_that_loses_the_mask_says_so_as_in_keras(make: Any) -> None:
    model = keras.Sequential([keras.Input((5,)), L.Embedding(6, 3, mask_zero=True), make()])
    with pytest.warns(UserWarning, match="does not support masking and will therefore destroy the mask information"):
        model.predict(IDS, verbose=0)


def test_a_mask_at_the_output_is_refused_by_a_loss_only() -> None:
    model = keras.Sequential([keras.Input((5,)), L.Embedding(6, 3, mask_zero=True), L.Dense(1)])
    assert model.predict(IDS, verbose=0).shape == (12, 5, 1)
    with pytest.warns(UserWarning, match="only the layers of a model see the mask"):
        assert L.Embedding(6, 3, mask_zero=True)(IDS).shape == (12, 5, 3)
    model.compile("sgd", "mse")
    with pytest.raises(NotImplementedError, match="mask_zero"):
        model.fit(IDS, np.zeros((12, 5, 1)), verbose=0)


def test_a_small_table_trains_on_a_team() -> None:
    with running(threads=2):
        x = np.arange(4000).reshape(-1, 4) % 3
        model = keras.Sequential([keras.Input((4,)), L.Embedding(3, 2), L.Flatten(), L.Dense(400), L.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, 0] * 0.1, epochs=3, verbose=0)
        assert np.isfinite(model.predict(x, verbose=0)).all()


# --- dropout that stays on -------------------------------------------------------------------------------------------


def monte_carlo(make: Any = lambda: L.Dropout(0.5)) -> Any:
    inputs = keras.Input((16,))
    return keras.Model(inputs, make()(inputs, training=True))


@pytest.mark.parametrize(
    "make",
    [lambda: L.Dropout(0.5), lambda: L.GaussianNoise(0.5), lambda: L.AlphaDropout(0.5), lambda: L.GaussianDropout(0.5)],
)
def test_training_true_inside_a_graph_is_on_in_predict(make: Any) -> None:
    keras.utils.set_random_seed(3)
    model, x = monte_carlo(make), np.ones((1000, 16), np.float32)
    first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
    assert (first != second).mean() > 0.4
    assert len(np.unique(first, axis=0)) > 900  # no row has the noise of another
    assert abs(first.mean() - (0.0 if isinstance(model.layers[1], L.AlphaDropout) else 1.0)) < 2.0
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(monte_carlo(make).predict(x, verbose=0), first)


def test_monte_carlo_dropout_has_the_mean_of_its_input_and_goes_into_files(tmp_path: Any) -> None:
    model, x = monte_carlo(), np.ones((1000, 16), np.float32)
    out = model.predict(x, verbose=0)
    assert set(np.unique(out)) == {0.0, 2.0}
    assert abs(out.mean() - 1) < 0.05
    with running(threads=2):
        for batch in (model.predict_on_batch(x[:3]), model.predict_on_batch(x[:3])):
            assert set(np.unique(batch)) == {0.0, 2.0}
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert set(np.unique(again.predict(x, verbose=0))) == {0.0, 2.0}
    model.compile("sgd", "mse")
    losses = [model.evaluate(x, np.zeros((1000, 16)), verbose=0) for _ in range(2)]
    assert losses[0] != losses[1] and losses == pytest.approx([2, 2], rel=0.05)


def test_an_explicit_training_wins_over_that_of_the_model_around() -> None:
    inputs = keras.Input((16,))
    inner = keras.Model(inputs, L.Dropout(0.5)(inputs, training=True))
    outer = keras.Model(inputs, inner(inputs, training=False))
    assert set(np.unique(outer.predict(np.ones((99, 16)), verbose=0))) == {0.0, 2.0}
    off = keras.Model(inputs, keras.Sequential([keras.Input((16,)), L.Dropout(0.5)])(inputs, training=True))
    assert set(np.unique(off.predict(np.ones((99, 16)), verbose=0))) == {0.0, 2.0}


def test_statistics_of_the_batch_are_refused() -> None:
    inputs = keras.Input((4,))
    with pytest.raises(NotImplementedError, match="statistics of the batch"):
        L.BatchNormalization()(inputs, training=True)


# --- ids among other numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_own_layers_of_several_inputs(first: int) -> None:
    class Mix(L.Layer):
        def build(self, a: Any, b: Any = None) -> None:
            self.w = self.add_weight(shape=(1,), initializer="ones", name="w")

        def call(self, a: Any, b: Any = None) -> Any:
            a, b = a if first else (a, b)
            return a * self.w + b[:, :1] * 2.0

    x, z = keras.Input((3,)), keras.Input((2,))
    layer = Mix()
    model = keras.Model([x, z], layer([x, z]) if first else layer(x, z))
    model.compile("sgd", "mse")
    data = [np.ones((4, 3), np.float32), np.full((4, 2), 0.5, np.float32)]
    np.testing.assert_allclose(model.predict(data, verbose=0), np.full((4, 3), 2.0))
    _, (slope,) = model.value_and_grad(data, np.zeros((4, 3)))
    assert slope == pytest.approx(4.0)
    model.fit(data, np.zeros((4, 3)), verbose=0)
    assert layer.get_weights()[0] == pytest.approx(0.96)
    np.testing.assert_allclose(layer(data)[:, 0] if first else layer(*data)[:, 0], 1.96)
