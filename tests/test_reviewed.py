"""Combinations: state of weights with several axes, batches alone, validation from the start, losses that ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lanewise import keras

layers = keras.layers
X = np.random.default_rng(0).normal(size=(64, 4, 6)).astype(np.float32)
Y = X[:, 0, :1]


def prelu(optimizer: Any = "adam") -> Any:
    model = keras.Sequential([keras.Input((4, 6)), layers.PReLU(), layers.Flatten(), layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("suffix", [".lanewise", ".keras", ".h5"])
def test_state_of_a_weight_with_two_axes_goes_along(tmp_path: Path, suffix: str) -> None:
    if suffix != ".lanewise":
        pytest.importorskip("h5py")
    model = prelu()
    model.fit(X, Y, verbose=0, shuffle=False)
    path = str(tmp_path / f"m{suffix}")
    model.save(path)
    again = keras.models.load_model(path)
    assert again.optimizer.iterations == 2
    for each in (model, again):
        each.fit(X, Y, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_averages_of_a_weight_with_two_axes() -> None:
    model = prelu(keras.optimizers.Adam(use_ema=True))
    assert model.fit(X, Y, verbose=0, epochs=2).history["loss"]
    assert model.layers[0].get_weights()[0].shape == (4, 6)


def test_a_batch_alone() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    parts = [(X[i : i + 8, 0], Y[i : i + 8]) for i in (0, 8, 16)]
    alone = [model.evaluate(*part, verbose=0) for part in parts]
    assert [model.train_on_batch(*part) for part in parts] == pytest.approx(alone, rel=1e-6)
    assert [model.test_on_batch(*part) for part in parts] == pytest.approx(alone, rel=1e-6)


class Pieces(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        part = slice(10 * index, 10 * index + 10)
        return X[part, 0], Y[part]


def test_validation_steps_begin_with_the_first_batch() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    losses = model.fit(X[:, 0], Y, epochs=4, validation_data=Pieces(), validation_steps=2, verbose=0).history[
        "val_loss"
    ]
    assert losses == [losses[0]] * 4
    assert losses[0] == pytest.approx(model.evaluate(X[:20, 0], Y[:20], verbose=0), rel=1e-6)


def test_validation_after_listed_epochs() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(X[:, 0], Y, epochs=4, validation_split=0.5, validation_freq=[1, 3], verbose=0).history
    assert len(history["val_loss"]) == 2


def test_a_loss_that_asks_its_own_model_is_told_so() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])

    def loss(y_true: Any, y_pred: Any) -> Any:
        model.predict(X[:, 0], verbose=0)
        return keras.ops.square(y_true - y_pred)

    model.compile("sgd", loss)
    with pytest.raises(RuntimeError, match="cannot use the model"):
        model.fit(X[:, 0], Y, verbose=0)
    assert model.predict(X[:, 0], verbose=0).shape == (64, 1)


def test_compiling_again_and_again_keeps_few_networks() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    for _ in range(30):
        model.compile("sgd", lambda y_true, y_pred: keras.ops.square(y_true - y_pred))
        model.fit(X[:, 0], Y, verbose=0)
    program = model._made_program()
    assert program is not None
    assert len(program._networks) <= 8


def test_a_file_with_a_loss_of_the_user_says_what_is_missing(tmp_path: Path) -> None:
    class Own(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.square(y_true - y_pred)

    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", Own())
    path = str(tmp_path / "own.lanewise")
    model.save(path)
    with pytest.raises(ValueError, match="custom_objects"):
        keras.models.load_model(path)
    assert keras.models.load_model(path, custom_objects={"Own": Own}).compiled
