"""A step of training is whole or not at all: after an error inside one, all is as after the steps before it.

Weights, moments, accumulated gradients and averages of the optimizer, moving statistics, what layers count, and what is
drawn at random next; whatever raises, in whatever part of the step, on any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from bounds import running
from lanewise import _core, keras
from lanewise.keras import layers, ops
from lanewise.models import batches

STEPS, ROWS = 6, 16
RNG = np.random.default_rng(3)
X = RNG.standard_normal((STEPS * ROWS, 40)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:2]).astype(np.float32)


class Fault:
    """Raises in the `at`th call of the part it is for, 0: never."""

    def __init__(self, part: str, at: int, error: type[BaseException]) -> None:
        self.part, self.at, self.error, self.calls = part, at, error, 0

    def met(self, part: str) -> None:
        if part == self.part:
            self.calls += 1
            if self.calls == self.at:
                raise self.error(part)


FAULT = Fault("", 0, OSError)


class Counting(layers.Layer):
    """Counts its calls in training, drops and normalises, and draws; differentiated by the tape."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.norm, self.drop = layers.BatchNormalization(), layers.Dropout(0.2)
        self.seeds = keras.random.SeedGenerator(5)

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.count = self.add_weight(shape=(), initializer="zeros", name="count", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.count.assign_add(1)
            x = x + keras.random.normal(x.shape, stddev=0.01, seed=self.seeds)
            x = x + keras.random.normal(x.shape, stddev=0.01)
        y = self.drop(self.norm(x, training=training), training=training) * self.scale
        if training:
            FAULT.met("late forward")
        return y


class Bent(layers.Layer):
    """Gradients of its own."""

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            FAULT.met("forward")
        return x * self.w

    def backward(self, x: Any, y: Any, dy: Any) -> Any:
        FAULT.met("backward")
        return dy * self.w.numpy(), [(dy * x).sum(axis=0)]


def loss(true: Any, pred: Any) -> Any:
    if len(pred) == ROWS:  # else it is tried out
        FAULT.met("loss")
    return ops.mean((true - pred) ** 2, axis=-1)


def metric(true: Any, pred: Any) -> Any:
    if len(pred) == ROWS:
        FAULT.met("metric")
    return ops.mean(abs(true - pred), axis=-1)


SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "by norm": {"global_clipnorm": 1.0},
    "accumulated": {"gradient_accumulation_steps": 3},
    "averages": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2},
}


def made(settings: dict[str, Any]) -> Any:
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((40,)), layers.Dense(64, "relu", kernel_constraint="max_norm"), layers.BatchNormalization(),
            Bent(), layers.Dense(64, "tanh", kernel_regularizer="l2"), layers.Dropout(0.3), Counting(),
            layers.Dense(64, "relu"), layers.BatchNormalization(), layers.Dense(1),
        ]
    )  # fmt: skip
    model.compile(keras.optimizers.Adam(1e-2, **settings), loss, metrics=[metric])
    model._paces["train", ROWS] = batches.Pace(STEPS)  # the first slice has them all
    return model


def state(model: Any) -> list[Any]:
    native = model.optimizer.native
    slots = [slot for weight in model.trainable_weights for slot in weight.slots(native)]
    return [native.iterations, *model.get_weights(), *slots]


def same(found: list[Any], wanted: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """So many, although the network is small."""
    with running(threads=request.param):
        _core.set_always_team(True)
        yield
        _core.set_always_team(False)


def faulty(monkeypatch: pytest.MonkeyPatch, part: str, at: int, error: type[BaseException] = OSError) -> None:
    monkeypatch.setattr(f"{__name__}.FAULT", Fault(part, at, error))


@cache
def after_each_step(settings: str) -> list[list[Any]]:
    """On one thread."""
    model = made(SETTINGS[settings])
    found = [state(model)]
    for start in range(0, len(X), ROWS):
        model.train_on_batch(X[start : start + ROWS], Y[start : start + ROWS])
        found.append(state(model))
    return found


def go_on(model: Any, done: int) -> list[Any]:
    for start in range(done * ROWS, len(X), ROWS):
        model.train_on_batch(X[start : start + ROWS], Y[start : start + ROWS])
    return state(model)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("part", ["forward", "late forward", "loss", "metric", "backward"])
def test_an_error_ends_training_before_its_step(
    threads: None, part: str, settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And training that goes on ends where it would have ended without it, bit by bit."""
    wanted = after_each_step(settings)
    for at in (1, 4):
        model = made(SETTINGS[settings])
        faulty(monkeypatch, part, at)
        with pytest.raises(OSError, match=part):
            model.fit(X, Y, batch_size=ROWS, shuffle=False, verbose=0)
        assert same(state(model), wanted[at - 1])
        assert same(go_on(model, at - 1), wanted[STEPS])


@pytest.mark.parametrize("part", ["late forward", "backward"])
def test_an_interrupt_in_the_middle_of_a_step(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = after_each_step("adam")
    model = made({})
    faulty(monkeypatch, part, 3, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=ROWS, shuffle=False, verbose=0)
    assert same(state(model), wanted[2])
    assert same(go_on(model, 2), wanted[STEPS])


def test_gradients_that_fail_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients, `apply_gradients` and a call that moves the statistics are then the step of `train_on_batch`."""
    wanted = after_each_step("adam")
    model = made({})
    before = model.get_weights()
    for part in ("late forward", "backward"):
        faulty(monkeypatch, part, 1)
        with pytest.raises(OSError, match=part):
            model.value_and_grad(X[:ROWS], Y[:ROWS])
        assert same(model.get_weights(), before)
    model.apply_gradients(model.value_and_grad(X[:ROWS], Y[:ROWS])[1])
    places = [1 + i for i, w in enumerate(model.weights) if w.trainable]
    found = state(model)
    assert all(np.array_equal(found[i], wanted[1][i]) for i in places)
    model.set_weights(wanted[1][1 : 1 + len(model.weights)])  # the statistics
    assert same(go_on(model, 1), wanted[STEPS])


def test_a_call_in_training_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made({})
    model.fit(X, Y, batch_size=ROWS, verbose=0)
    before = state(model)
    faulty(monkeypatch, "late forward", 1)
    with pytest.raises(OSError, match="late forward"):
        model(X, training=True)
    assert same(state(model), before)
    model(X, training=True)  # moves the statistics of every batch norm
    after = dict(zip((w.path for w in model.weights), state(model)[1:], strict=False))
    for weight, value in zip(model.weights, before[1:], strict=False):
        assert np.array_equal(after[weight.path], value) == ("moving" not in weight.path and weight.name != "count")


def test_steps_with_negative_numbers_fail_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made({})
    model.train_on_batch(X[:ROWS], Y[:ROWS])
    network = model._last_network[1]
    for at, step in enumerate([-1, -5, 0], 1):
        faulty(monkeypatch, "backward", 1)
        with pytest.raises(OSError, match="backward"):
            network.value_and_grad([X[:ROWS]], [Y[:ROWS]], None, True, at, step)
        faulty(monkeypatch, "late forward", 1)
        with pytest.raises(OSError, match="late forward"):
            network.call([X], True, at, step)


def test_epochs_before_an_error_are_in_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Keras: they are over when it happens."""
    model = made({})
    faulty(monkeypatch, "loss", 5 * STEPS + 2)
    with pytest.raises(OSError, match="loss"):
        model.fit(X, Y, batch_size=ROWS, epochs=40, verbose=0)
    assert len(model.history.history["loss"]) == 5 and model.optimizer.iterations == 5 * STEPS + 1


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("part, at", [("late forward", 9), ("backward", 12)])
def test_training_that_failed_goes_on_from_its_backup(
    part: str, at: int, save_freq: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a new model or in the same, to the same bits: what layers in Python draw is in the backup too."""
    options = {"batch_size": ROWS, "epochs": 3, "verbose": 0}
    whole = made({})
    whole.fit(X, Y, **options)
    for again in (True, False):
        model = made({})
        faulty(monkeypatch, part, at)
        folder = tmp_path / str(again)
        with pytest.raises(OSError, match=part):
            model.fit(X, Y, callbacks=[keras.callbacks.BackupAndRestore(folder, save_freq)], **options)
        model = made({}) if again else model
        history = model.fit(X, Y, callbacks=[keras.callbacks.BackupAndRestore(folder, save_freq)], **options)
        assert history.epoch == [1, 2] and same(state(model), state(whole))
