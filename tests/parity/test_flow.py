"""Control flow of a training beside Keras's: which hooks run in which order, what an error or a stop leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lanewise import keras as ours

keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 3)).astype(np.float32)
Y = X[:, :1] + np.float32(0.1)
WEIGHTS = [np.linspace(-1, 1, 3).reshape(3, 1).astype(np.float32), np.zeros(1, np.float32)]
HOOKS = [
    f"on_{part}_{end}" for part in ("train", "epoch", "train_batch", "test", "test_batch") for end in ("begin", "end")
]


def seen(k: Any, at: tuple[str, int | None] | None, act: str, calls: list[Any]) -> Any:
    """A callback that notes each hook and, in one of them, raises or asks training to stop."""

    def hook(name: str) -> Callable[..., None]:
        def run(self: Any, *given: Any, **logs: Any) -> None:
            calls.append((name, given[0] if given and isinstance(given[0], int) else None))
            if calls[-1] == at:
                if act == "stop":
                    self.model.stop_training = True
                else:
                    raise {"raise": OSError, "interrupt": KeyboardInterrupt}[act]("here")

        return run

    return type("Seen", (k.callbacks.Callback,), {name: hook(name) for name in HOOKS})()


class Numbered:
    """The batches of a PyDataset of three, one of which may raise."""

    def __init__(self, bad: int | None) -> None:
        self.bad = bad

    def of(self, k: Any) -> Any:
        def item(_: Any, i: int) -> Any:
            if i == self.bad:
                raise LookupError("batch")
            return X[i * 6 : i * 6 + 6], Y[i * 6 : i * 6 + 6]

        return type("Three", (k.utils.PyDataset,), {"__len__": lambda _: 3, "__getitem__": item})()


def endless() -> Iterator[Any]:
    while True:
        yield X[:8], Y[:8]


HELD = (X[:9], Y[:9])
CASES: dict[str, tuple[dict[str, Any], tuple[str, int | None] | None, str]] = {
    "plain": ({}, None, ""),
    "validation": ({"validation_data": HELD}, None, ""),
    "validation now and then": ({"validation_data": HELD, "validation_freq": 2, "epochs": 4}, None, ""),
    "validation in a list": ({"validation_data": HELD, "validation_freq": [1, 3], "epochs": 4}, None, ""),
    "validation steps": ({"validation_data": HELD, "validation_steps": 1}, None, ""),
    "validation split": ({"validation_split": 0.25}, None, ""),
    "later epochs": ({"initial_epoch": 1, "epochs": 3}, None, ""),
    "no epochs": ({"initial_epoch": 5, "epochs": 3}, None, ""),
    "steps": ({"steps_per_epoch": 2, "epochs": 3}, None, ""),
    "too many steps": ({"steps_per_epoch": 5, "epochs": 3}, None, ""),
    "sample weights": ({"sample_weight": np.arange(20.0)}, None, ""),
    "class weights": ({"class_weight": {0: 1.0, 1: 3.0}, "y": (Y > 0).astype(np.float32)}, None, ""),
    "dataset": ({"x": Numbered(None)}, None, ""),
    "dataset that raises": ({"x": Numbered(1), "epochs": 3}, None, ""),
    "generator": ({"x": endless, "steps_per_epoch": 3}, None, ""),
    **{f"{act} in {name} {i}": ({"validation_data": HELD, "epochs": 3}, (name, i), act) for act, name, i in [
        ("raise", "on_train_batch_begin", 1), ("raise", "on_train_batch_end", 1), ("raise", "on_epoch_begin", 1),
        ("raise", "on_epoch_end", 1), ("raise", "on_test_batch_end", 0), ("raise", "on_train_end", None),
        ("interrupt", "on_train_batch_end", 1), ("stop", "on_train_batch_begin", 1), ("stop", "on_train_batch_end", 0),
        ("stop", "on_epoch_begin", 1), ("stop", "on_epoch_end", 0), ("stop", "on_train_begin", None),
        ("stop", "on_test_batch_end", 0),
    ]},
}  # fmt: skip


def trained(k: Any, name: str) -> tuple[list[Any], Any]:
    options, at, act = CASES[name]
    options = {"x": X, "y": Y, "batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False, **options}
    if isinstance(options["x"], Numbered) or callable(options["x"]):
        source = options["x"].of(k) if isinstance(options["x"], Numbered) else options["x"]()
        options = {key: value for key, value in options.items() if key not in ("y", "batch_size")} | {"x": source}
    model = k.Sequential([k.Input((3,)), k.layers.Dense(1)])
    model.set_weights(WEIGHTS)
    model.compile(k.optimizers.SGD(0.1), "mse", metrics=["mae"])
    calls: list[Any] = []
    error = None
    try:
        model.fit(callbacks=[seen(k, at, act, calls)], **options)
    except BaseException as raised:
        error = type(raised).__name__
    return [calls, error, model.history.epoch, model.stop_training, int(model.optimizer.iterations)], model


@pytest.mark.parametrize("name", CASES)
def test_hooks_errors_and_stops(name: str) -> None:
    mine, model = trained(ours, name)
    theirs, other = trained(keras, name)
    if name == "dataset that raises" and theirs[0][-1] == ("on_train_batch_begin", 1):
        theirs[0].pop()  # on JAX Keras says that a batch begins before it has it, on PyTorch not
    assert mine == theirs
    assert list(model.history.history) == list(other.history.history)
    for key, values in other.history.history.items():
        np.testing.assert_allclose(model.history.history[key], values, rtol=1e-5, err_msg=key)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_steps_on_one_batch() -> None:
    found = []
    for k in (ours, keras):
        model = k.Sequential([k.Input((3,)), k.layers.Dense(1)])
        model.set_weights(WEIGHTS)
        model.compile(k.optimizers.SGD(0.1), "mse", metrics=["mae"])
        results = [
            model.train_on_batch(X, Y), model.train_on_batch(X[:5], Y[:5], sample_weight=np.arange(5.0)),
            model.test_on_batch(X, Y), model.test_on_batch(X, Y, sample_weight=np.arange(20.0)),
            list(model.train_on_batch(X, Y, return_dict=True).values()), model.evaluate(X, Y, verbose=0),
            model.test_on_batch(X[:3], Y[:3]), model.evaluate(X, Y, batch_size=8, steps=2, verbose=0),
        ]  # fmt: skip
        found.append([np.concatenate([np.ravel(r) for r in results]), model.predict_on_batch(X).ravel()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def holder(k: Any, inner: Any) -> Any:
    class Held(k.layers.Layer):
        def __init__(self, held: Any) -> None:
            super().__init__()
            self.held = held

        def call(self, inputs: Any) -> Any:
            return self.held(inputs)

    return Held(inner)


@pytest.mark.parametrize("frozen", ["", "norm", "holder"])
def test_models_inside_layers_of_ones_own(frozen: str) -> None:
    """Weights and statistics after ten steps; `Dropout(1.0)` on a way beside it adds nothing."""
    found = []
    for k in (ours, keras):
        norm = k.layers.BatchNormalization()
        chain = k.Sequential([k.layers.Dense(4, "tanh"), norm, k.layers.Dense(3)])
        held = holder(k, chain)
        x = k.Input((3,))
        model = k.Model(x, k.layers.Dense(1)(k.layers.Add()([held(x), k.layers.Dropout(1.0)(x)])))
        shapes = [w.shape for w in model.weights]
        grid = np.random.default_rng(1)
        model.set_weights([np.abs(grid.standard_normal(shape)).astype(np.float32) / 2 for shape in shapes])
        if frozen:
            {"norm": norm, "holder": held}[frozen].trainable = False
        model.compile(k.optimizers.SGD(0.05), "mse")
        for _ in range(10):
            model.train_on_batch(X, Y)
        found.append([np.asarray(shapes, object), len(model.trainable_weights), *model.get_weights()])
        found[-1].append(np.asarray(model.predict(X, verbose=0)))
    assert list(found[0][0]) == list(found[1][0]) and found[0][1] == found[1][1]
    for a, b in zip(found[0][2:], found[1][2:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
