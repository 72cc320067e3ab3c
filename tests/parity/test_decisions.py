"""What callbacks decide, beside Keras's: when a training stops, what is best, which rates, which files, which logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lanewise import keras as ours

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:loss. :RuntimeWarning"),
]

Library = Any
rng = np.random.default_rng(11)
X = rng.normal(size=(240, 6)).astype(np.float32)
Y = (np.sin(2 * X[:, 0]) + X[:, 1] + 0.4 * rng.normal(size=240)).astype(np.float32)


def train(k: Library, weights: list[np.ndarray] | None, callbacks: list[Any], **options: Any) -> Any:
    """A small network that overfits and whose validation loss goes up and down, always from the same weights."""
    model = k.Sequential([k.Input((6,)), k.layers.Dense(24, "tanh"), k.layers.Dense(1)])
    if weights is not None:
        model.set_weights(weights)
    optimizer = options.pop("optimizer", None) or k.optimizers.SGD(2.0**-2, momentum=0.5)
    model.compile(optimizer, "mse", metrics=["mae"])
    arguments = {"epochs": 25, "batch_size": 16, "shuffle": False, "verbose": 0, "validation_split": 0.4, **options}
    return model, model.fit(X, Y, callbacks=callbacks, **arguments)


@pytest.fixture(scope="module")
def weights() -> list[np.ndarray]:
    keras.utils.set_random_seed(11)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(24, "tanh"), keras.layers.Dense(1)])
    return model.get_weights()


def same_history(mine: Any, theirs: Any) -> None:
    assert mine.epoch == theirs.epoch
    assert list(mine.history) == list(theirs.history)
    for key, values in theirs.history.items():
        np.testing.assert_allclose(mine.history[key], values, rtol=1e-4, err_msg=key)


STOPS: dict[str, Callable[[Library], Any]] = {
    "patience": lambda k: k.callbacks.EarlyStopping(patience=2),
    "restore": lambda k: k.callbacks.EarlyStopping(patience=4, restore_best_weights=True),
    "restore_unstopped": lambda k: k.callbacks.EarlyStopping(patience=50, restore_best_weights=True),
    "min_delta": lambda k: k.callbacks.EarlyStopping(monitor="val_mae", min_delta=0.05, patience=1),
    "mode_max": lambda k: k.callbacks.EarlyStopping(monitor="val_loss", mode="max", patience=3),
    "baseline": lambda k: k.callbacks.EarlyStopping(monitor="loss", baseline=0.05, patience=5),
    "from_epoch": lambda k: k.callbacks.EarlyStopping(patience=0, start_from_epoch=6),
}


@pytest.mark.parametrize("name", STOPS)
def test_early_stopping(name: str, weights: list[np.ndarray]) -> None:
    runs = []
    for k in (ours, keras):
        stop = STOPS[name](k)
        model, history = train(k, weights, [stop])
        runs.append((stop, model, history))
    (stop, model, history), (their_stop, their_model, their_history) = runs
    same_history(history, their_history)
    assert (stop.stopped_epoch, stop.best_epoch) == (their_stop.stopped_epoch, their_stop.best_epoch)
    assert len(history.epoch) < 25 or name == "restore_unstopped"
    for mine, theirs in zip(model.get_weights(), their_model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)


RATES: dict[str, Callable[[Library], list[Any]]] = {
    "plateau": lambda k: [k.callbacks.ReduceLROnPlateau(patience=1, factor=0.5)],
    "plateau_cooldown": lambda k: [
        k.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, cooldown=2, min_delta=0.01, min_lr=0.02)
    ],
    "scheduler_epoch": lambda k: [k.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))],
    "scheduler_rate": lambda k: [k.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.9)],
    "both": lambda k: [
        k.callbacks.ReduceLROnPlateau(monitor="val_mae", patience=0, factor=0.7),
        k.callbacks.EarlyStopping(patience=6),
    ],
}


@pytest.mark.parametrize("name", RATES)
def test_learning_rates(name: str, weights: list[np.ndarray]) -> None:
    (_, mine), (_, theirs) = (train(k, weights, RATES[name](k)) for k in (ours, keras))
    same_history(mine, theirs)
    np.testing.assert_allclose(mine.history["learning_rate"], theirs.history["learning_rate"], rtol=1e-7)
    assert len(set(mine.history["learning_rate"])) > 2


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "exponential": lambda s: s.ExponentialDecay(0.1, 20, 0.7),
    "staircase": lambda s: s.ExponentialDecay(0.1, 20, 0.7, staircase=True),
    "piecewise": lambda s: s.PiecewiseConstantDecay([30, 60], [0.1, 0.05, 0.01]),
    "polynomial": lambda s: s.PolynomialDecay(0.1, 40, 0.01, power=2.0, cycle=True),
    "inverse": lambda s: s.InverseTimeDecay(0.1, 20, 0.5),
    "cosine": lambda s: s.CosineDecay(0.01, 60, alpha=0.1, warmup_target=0.1, warmup_steps=20),
    "restarts": lambda s: s.CosineDecayRestarts(0.1, 20),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str, weights: list[np.ndarray]) -> None:
    rates = []
    for k in (ours, keras):
        schedule = SCHEDULES[name](k.optimizers.schedules)
        model, history = train(k, weights, [], optimizer=k.optimizers.SGD(schedule), epochs=8)
        rates.append([float(schedule(step)) for step in range(100)])
        rates[-1] += [float(model.optimizer.learning_rate), *history.history["loss"]]
    np.testing.assert_allclose(rates[0], rates[1], rtol=2e-5, atol=1e-8)


@pytest.mark.parametrize(
    "options",
    [
        {"save_best_only": True, "save_weights_only": True},
        {"monitor": "val_mae", "save_best_only": True, "mode": "min", "save_weights_only": True},
        {"save_weights_only": True},
        {"save_best_only": True, "initial_value_threshold": 0.8, "save_weights_only": True},
    ],
)
def test_checkpoints(options: dict[str, Any], weights: list[np.ndarray], tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    for name, k in (("ours", ours), ("theirs", keras)):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "{epoch:02d}.weights.h5"
        train(k, weights, [k.callbacks.ModelCheckpoint(str(path), **options)], epochs=12)
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("ours", "theirs")]
    assert files[0] == files[1] and files[0]


def test_logs(weights: list[np.ndarray], tmp_path: Path) -> None:
    for name, k in (("ours", ours), ("theirs", keras)):
        logger = k.callbacks.CSVLogger(str(tmp_path / name))
        train(k, weights, [logger, k.callbacks.ReduceLROnPlateau(patience=1)], epochs=5)
    lines = [(tmp_path / name).read_text().splitlines() for name in ("ours", "theirs")]
    assert lines[0][0] == lines[1][0]
    for mine, theirs in zip(*(np.array([row.split(",") for row in text[1:]], float) for text in lines), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)


def test_a_training_that_ends_in_nan(weights: list[np.ndarray]) -> None:
    epochs = []
    for k in (ours, keras):
        _, history = train(k, weights, [k.callbacks.TerminateOnNaN()], optimizer=k.optimizers.SGD(1e6), epochs=30)
        epochs.append(history.epoch)
    assert epochs[0] == epochs[1] and len(epochs[0]) < 30


def test_what_fit_reports(weights: list[np.ndarray]) -> None:
    """Weights by class and by row, a late first epoch, and validation every other epoch."""
    class_weight = {"class_weight": {0: 0.5, 1: 2.0}}
    by_row = {"sample_weight": np.linspace(0.5, 1.5, 240).astype(np.float32)}
    labels = (Y > 0).astype(np.float32)
    for options in (class_weight, by_row, {"initial_epoch": 3, "epochs": 6}, {"validation_freq": 2}):
        found = []
        for k in (ours, keras):
            model = k.Sequential([k.Input((6,)), k.layers.Dense(24, "tanh"), k.layers.Dense(1, "sigmoid")])
            model.set_weights(weights)
            model.compile(k.optimizers.SGD(0.25), "binary_crossentropy", metrics=["accuracy"])
            arguments = {"epochs": 4, "shuffle": False, "verbose": 0, "validation_split": 0.25, **options}
            found.append(model.fit(X, labels, **arguments))
        same_history(*found)
