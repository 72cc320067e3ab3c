"""Epochs that run many in one call of the engine: bits, History and what callbacks see are those of one by one."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise.callbacks import Callback, EarlyStopping, History, LambdaCallback
from lanewise.callbacks.base import told_late
from lanewise.layers import BatchNormalization, Dense, Dropout
from lanewise.models import batches, epochs
from many_cases import LABELS, WEIGHTS, X, Y, build, digest

EPOCHS = 14
AT_ONCE = 5


class Five(batches.Pace):
    """Does not learn how long an epoch takes."""

    def __init__(self, first: int = 1) -> None:
        super().__init__(AT_ONCE)

    def record(self, units: int, seconds: float) -> None:
        """Leave it so."""


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many epochs each call of the engine ran."""
    found: list[int] = []
    run = epochs.Epochs._run_ahead

    def counted(self: Any, epoch: int, count: int) -> None:
        found.append(count)
        run(self, epoch, count)

    monkeypatch.setattr(epochs, "Pace", Five)
    monkeypatch.setattr(epochs.Epochs, "_run_ahead", counted)
    return found


def normed() -> lw.Sequential:
    model = lw.Sequential([lw.Input((12,)), Dense(6, activation="tanh"), BatchNormalization(), Dropout(0.3), Dense(1)])
    model.compile(lw.optimizers.SGD(0.05, momentum=0.9, use_ema=True), "mae", metrics=["mse"])
    return model


def classifier() -> lw.Sequential:
    model = lw.Sequential([lw.Input((12,)), Dense(5, activation="relu"), Dense(3, activation="softmax")])
    model.compile(
        lw.optimizers.Adam(lw.optimizers.schedules.ExponentialDecay(0.01, 3, 0.9)),
        "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["sparse_categorical_crossentropy"],
    )  # fmt: skip
    return model


def two_outputs() -> Any:
    x = lw.Input((12,))
    hidden = Dense(4, activation="relu")(x)
    model = lw.Model(x, [Dense(1, name="a")(hidden), Dense(1, name="b")(hidden)])
    model.compile("adam", {"a": "mse", "b": "mae"}, metrics={"a": ["mae"]})
    return model


CASES: dict[str, tuple[Callable[[], Any], Any, dict[str, Any]]] = {
    "plain": (build, Y, {}),
    "as they stand": (build, Y, {"shuffle": False, "batch_size": 50}),
    "split": (build, Y, {"validation_split": 0.3}),
    "every third": (build, Y, {"validation_data": (X[:60], Y[:60], WEIGHTS[:60]), "validation_freq": 3}),
    "some epochs": (normed, Y, {"validation_split": 0.2, "validation_freq": [2, 9], "validation_batch_size": 7}),
    "weights": (normed, Y, {"sample_weight": WEIGHTS, "validation_split": 0.2}),
    "classes": (classifier, LABELS, {"class_weight": {0: 2.0, 2: 0.5}, "validation_split": 0.2}),
    "two outputs": (two_outputs, {"a": Y, "b": -Y}, {"validation_split": 0.2, "initial_epoch": 2}),
}
WHOLE = LambdaCallback(on_test_begin=lambda logs: None)  # with it every epoch and evaluation is run by itself


@pytest.mark.parametrize("name", CASES)
def test_the_bits_of_one_by_one(counts: list[int], name: str) -> None:
    builder, y, arguments = CASES[name]
    found = []
    for callbacks in (None, [WHOLE]):
        lw.utils.set_random_seed(3)
        model = builder()
        history = model.fit(X, y, epochs=EPOCHS, verbose=0, callbacks=callbacks, **arguments)
        last = model.get_metrics_result()
        again = digest(model, model.fit(X, y, epochs=EPOCHS, verbose=0, callbacks=callbacks, **arguments))
        found.append((digest(model, history), again, history.epoch, last))
    assert found[0] == found[1]
    assert sum(counts) == 2 * (EPOCHS - arguments.get("initial_epoch", 0))
    assert max(counts) == AT_ONCE


def test_who_looks_sees_every_epoch(counts: list[int]) -> None:
    class Kept(History):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(epoch, logs)
            kept.append(self.model.get_weights()[0])

    found = []
    for more in ([], [WHOLE]):
        kept: list[Any] = []
        lw.utils.set_random_seed(5)
        model = build()
        stop = EarlyStopping(patience=1, restore_best_weights=True)
        history = model.fit(X, Y, epochs=60, validation_split=0.3, verbose=0, callbacks=[Kept(), stop, *more])
        assert len(kept) == len(history.epoch) and not np.array_equal(kept[0], kept[1])
        found.append((digest(model, history), np.array(kept).tobytes()))
    assert found[0] == found[1]
    assert set(counts) == {1}  # an epoch with its validation is one call all the same


def test_pauses(counts: list[int]) -> None:
    class Told(Callback):
        pauses = (3, 9)

        @told_late
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            steps.append(int(self.model.optimizer.iterations))

    steps: list[int] = []
    model = build()
    model.fit(X, Y, epochs=EPOCHS, batch_size=203, verbose=0, callbacks=[Told()])
    assert counts == [3, 5, 1, 5]
    assert steps == [3, 3, 3, 8, 8, 8, 8, 8, 9, 14, 14, 14, 14, 14]


def test_what_was_run_is_in_the_history(counts: list[int]) -> None:
    class Stop(Callback):
        @told_late
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    model = build()
    history = model.fit(X, Y, epochs=EPOCHS, batch_size=203, verbose=0, callbacks=[Stop()])
    assert history.epoch == list(range(AT_ONCE)) and model.optimizer.iterations == AT_ONCE


def test_what_python_has_to_do_each_epoch(counts: list[int]) -> None:
    asked: list[int] = []

    def rate() -> float:
        asked.append(1)
        return 0.01

    model = build(optimizer=lw.optimizers.SGD(rate))
    model.fit(X, Y, epochs=6, verbose=0)
    assert len(asked) >= 6
    model = build()
    model.fit(X, Y, epochs=3, verbose=2)
    model.fit(X, Y, epochs=3, steps_per_epoch=2, verbose=0)
    model.fit(X, Y, epochs=3, validation_split=0.5, validation_steps=1, verbose=0)
    model.compile("sgd", lw.losses.MeanSquaredError(reduction="sum"))
    model.fit(X, Y, epochs=3, verbose=0)
    assert not counts


def test_bad_labels_are_refused(counts: list[int]) -> None:
    network = classifier()
    network.fit(X, LABELS, epochs=2, verbose=0)
    core = network._last_network[1]
    rows = ([X], [np.full((203, 1), 7, np.int32)], None, None, 32)
    with pytest.raises(ValueError, match="expected labels from 0 to 2"):
        core.train_epochs(rows, network.optimizer.native, 1, 0, True, [False], rows, [])
    order = ([X], [LABELS.reshape(-1, 1)], None, np.array([0, 300], np.uint32), 32)
    with pytest.raises(ValueError, match="expected row numbers below 203"):
        core.train_epochs(order, network.optimizer.native, 1, 0, True, [False], order, [])
    with pytest.raises(ValueError, match="batch_size"):
        core.train_epochs((*rows[:4], 0), network.optimizer.native, 1, 0, True, [False], rows, [])


@pytest.mark.parametrize("held", [None, "train", "validation"])
def test_epochs_before_an_error_are_in_the_history(held: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that were whole when another thread changed a label in a call of many; that history was lost."""

    class AllAtOnce(Five):
        def __init__(self) -> None:
            batches.Pace.__init__(self, 100_000)

    monkeypatch.setattr(epochs, "Pace", AllAtOnce)
    labels, true = LABELS.astype(np.int32), LABELS.astype(np.int32)
    data = {} if held is None else {"validation_data": (X, labels if held == "validation" else true)}
    lw.random.set_seed(3)
    model = classifier()
    meddling = threading.Thread(target=meddle, args=(model, labels))
    meddling.start()
    with pytest.raises(ValueError, match="nobody changes"):
        model.fit(X, true if held == "validation" else labels, epochs=100_000, verbose=0, **data)
    meddling.join()
    history, steps = model.history.history, -(-len(X) // 32)
    assert history["loss"]
    assert 0 <= model.optimizer.iterations - steps * len(history["loss"]) <= steps
    assert model._epochs_shuffled == len(history["loss"]) + 1
    if held == "validation":
        data = {"validation_data": (X, true)}
    lw.random.set_seed(3)
    assert classifier().fit(X, true, epochs=len(history["loss"]), verbose=0, **data).history == history


def meddle(model: Any, labels: Any) -> None:
    while model.optimizer.iterations < 300:
        time.sleep(0.001)
    labels[...] = 2**31 - 1
