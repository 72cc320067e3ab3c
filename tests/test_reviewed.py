"""Combinations: state of weights with several axes, batches alone, validation from the start, losses that ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bounds import running
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
    program = model._program
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


# --- what random scripts beside Keras found (tests/parity/test_random_models.py) -------------------------------------


class Steps(lw.callbacks.Callback):
    """Counts the batches and keeps the last logs."""

    def __init__(self):
        super().__init__()
        self.trained = self.tested = 0

    def on_train_batch_end(self, batch, logs=None):
        self.trained += 1

    def on_test_batch_end(self, batch, logs=None):
        self.tested += 1

    def on_train_end(self, logs=None):
        self.last = list(logs)


def test_steps_without_a_batch_size_share_all_rows():
    """Keras: a batch is ceil(rows / steps) then, not 32."""
    x = np.arange(42, dtype=np.float32).reshape(21, 2) / 42
    model = lw.Sequential([lw.Input((2,)), lw.layers.Dense(1)])
    model.compile("sgd", "mse")
    steps = Steps()
    data = {"validation_data": (x, x[:, 0]), "validation_steps": 2, "callbacks": [steps]}
    model.fit(x, x[:, 0], steps_per_epoch=3, shuffle=False, verbose=0, **data)
    assert (steps.trained, steps.tested) == (3, 2)
    whole = model.evaluate(x, x[:, 0], verbose=0)
    assert model.evaluate(x, x[:, 0], steps=2, verbose=0) == pytest.approx(whole)
    assert model.predict(x, steps=4, verbose=0).shape == (21, 1)
    assert model.evaluate(x, x[:, 0], batch_size=5, steps=2, verbose=0) == pytest.approx(
        model.evaluate(x[:10], x[:10, 0], verbose=0)
    )


def test_the_order_of_what_is_returned():
    """Keras: logs sorted, val_ among them; a list has a name that two metrics share twice, then the others."""
    x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(10, 2)
    model = lw.Sequential([lw.Input((2,)), lw.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mse", "mae"], weighted_metrics=["mae"])
    weights = np.arange(10, dtype=np.float32)
    found = model.evaluate(x, x[:, 0], sample_weight=weights, verbose=0, return_dict=True)
    assert list(found) == ["loss", "mae", "mse", "weighted_mae"]
    names = ["loss", "mse", "mae", "mae", "weighted_mae"]
    assert model.metrics_names == names
    assert model.evaluate(x, x[:, 0], sample_weight=weights, verbose=0) == [found[name] for name in names]
    halve, steps = lw.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2), Steps()
    history = model.fit(x, x[:, 0], sample_weight=weights, validation_split=0.3, callbacks=[halve, steps], verbose=0)
    logs = ["loss", "mae", "mse", "val_loss", "val_mae", "val_mse", "val_weighted_mae", "weighted_mae"]
    assert list(history.history) == [*logs, "learning_rate"]
    assert steps.last == logs


def test_batches_of_several_inputs_of_other_shapes():
    """Three inputs in a list are no list of numbers."""
    a, b = lw.Input((2,)), lw.Input((3, 2))
    model = lw.Model([a, b], lw.layers.Dense(1)(lw.layers.Concatenate()([a, lw.layers.Flatten()(b)])))
    model.compile("sgd", "mse")
    one, two, y = np.ones((4, 2), np.float32), np.ones((4, 3, 2), np.float32), np.ones(4, np.float32)
    history = model.fit(iter([([one, two], y)] * 3), verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_a_regularizer_acts_where_no_loss_does():
    """The second output has no loss: its kernel is trained by its penalty alone, its bias stays."""
    x = lw.Input((2,))
    second = lw.layers.Dense(1, kernel_regularizer=lw.regularizers.L2(0.25), name="second")
    model = lw.Model(x, [lw.layers.Dense(1, name="first")(x), second(x)])
    for clipped in ({}, {"global_clipnorm": 100.0}):
        model.compile(lw.optimizers.SGD(0.5, **clipped), {"first": "mse", "second": None})
        kernel, bias = second.get_weights()
        rows = np.ones((4, 2), np.float32)
        _, gradients = model.value_and_grad(rows, {"first": rows[:, :1], "second": rows[:, :1]})
        np.testing.assert_allclose(gradients[2], 0.5 * kernel, rtol=1e-6)
        model.fit(rows, {"first": rows[:, :1], "second": rows[:, :1]}, verbose=0)
        np.testing.assert_allclose(second.get_weights()[0], 0.75 * kernel, rtol=1e-6)
        assert second.get_weights()[1] == bias


@pytest.mark.parametrize("rows", [1, 9, 33, 70])
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_small_tables_of_words_on_many_threads(rows, threads):
    """Threads share the rows of a narrow table in groups of 32: the last of them may have none."""
    words = np.arange(12, dtype=np.int32).reshape(4, 3) % rows
    trained = []
    for count in (1, threads):
        lw.utils.set_random_seed(1)
        with running(threads=count):
            model = lw.Sequential(
                [lw.Input((3,)), lw.layers.Embedding(rows, 2), lw.layers.Flatten(), lw.layers.Dense(1)]
            )
            model.compile("sgd", "mse")
            model.fit(words, np.ones(4, np.float32), epochs=2, verbose=0)
        trained.append(b"".join(weights.tobytes() for weights in model.get_weights()))
    assert trained[0] == trained[1]
