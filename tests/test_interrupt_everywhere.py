"""Ctrl-C in every phase of fit: at each place where Python looks for signals, the model stands after a whole batch.

CPython looks where a Python function begins and where a C function has returned; a profile function sees just these and
raises there what the handler of SIGINT would raise. So moments all along a fit are tried, not a lucky sample, and
nothing can arrive late, in another test.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bounds import floats
from lanewise import keras
from reference import same_bits

X = floats(np.random.default_rng(0), 20, 6)
Y = X[:, :1] * X[:, 1:2]


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    while True:
        for start in range(0, 20, 5):
            yield X[start : start + 5], Y[start : start + 5]


class EachBatch(keras.callbacks.Callback):
    """Calls what it is given after each batch."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__()
        self.on_train_batch_end = lambda batch, logs=None: function()


def whole(**arguments: Any) -> Callable[..., Any]:
    """A fit with these arguments and further callbacks."""
    callbacks = arguments.pop("callbacks", lambda path: [])
    data = arguments.pop("data", lambda: {"x": X, "y": Y, "batch_size": 5})
    options = {"epochs": 2, "verbose": 0, **arguments}
    return lambda model, path, *more: model.fit(**data(), **options, callbacks=[*callbacks(path), *more])


def by_hand(model: lw.Sequential, path: Any, *more: EachBatch) -> None:
    for start in (0, 5, 10):
        model.train_on_batch(X[start : start + 5], Y[start : start + 5])
        for callback in more:
            callback.on_train_batch_end(0)


FITS: dict[str, Callable[..., Any]] = {
    "rows": whole(),
    "a bar": whole(verbose=1),
    "batch by batch": whole(callbacks=lambda path: [EachBatch(lambda: None)]),
    "a generator": whole(data=lambda: {"x": batches(), "steps_per_epoch": 4}),
    "validation and a file": whole(
        validation_split=0.25,
        callbacks=lambda path: [
            keras.callbacks.ModelCheckpoint(str(path / "best.lanewise"), save_best_only=True),
            keras.callbacks.EarlyStopping(patience=1),
        ],
    ),
    "train_on_batch": by_hand,
}


def made(built: bool = True) -> lw.Sequential:
    keras.utils.set_random_seed(3)
    model = lw.Sequential([keras.layers.Dense(4, "relu"), keras.layers.Dropout(0.1), keras.layers.Dense(1)])
    if built:
        model.build((None, 6))
    model.compile("adam", "mse", metrics=["mae"])
    return model


class Stop:
    """Raises KeyboardInterrupt at the nth place where a signal would be answered."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" or event == "c_return":
            self.seen += 1
            if self.seen == self.at:
                sys.setprofile(None)
                raise KeyboardInterrupt


def stopped(work: Callable[[], Any], at: int = 0) -> tuple[int, KeyboardInterrupt | None]:
    """(places passed, what came out): at 0 nothing is stopped."""
    stop, error = Stop(at), None
    sys.setprofile(stop)
    try:
        work()
    except KeyboardInterrupt as caught:
        error = caught  # kept, and with its traceback all that the fit held, as an interactive Python does
    finally:
        sys.setprofile(None)
    return stop.seen, error


def check(model: lw.Sequential, after: list[list[np.ndarray]], seconds: float = 20) -> None:
    """It has the weights of its last finished batch, predicts in another thread and can be trained."""
    assert model.optimizer is not None
    done = int(model.optimizer.iterations)
    if model.built:
        assert all(same_bits(a, b) for a, b in zip(model.get_weights(), after[done], strict=True)), done
    else:
        assert done == 0
    answers: list[Any] = []

    def predict_and_train() -> None:
        try:
            model.fit(X, Y, batch_size=5, verbose=0)
            answers.append(bool(np.isfinite(model.predict(X, verbose=0)).all()))
        except Exception as error:
            answers.append(error)

    other = threading.Thread(target=predict_and_train, daemon=True)
    other.start()
    other.join(seconds)
    assert not other.is_alive(), "a lock is held for ever"
    assert answers == [True]


@pytest.mark.parametrize("built", [True, False], ids=["built", "new"])
@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("moments", [10, pytest.param(1000, marks=pytest.mark.long)])
def test_ctrl_c_at_any_moment_of_fit(
    moments: int, name: str, built: bool, tmp_path: Any, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Moments spread evenly over each of 12 fits: 120 and more together, up to 2,000 of each in the long run."""
    fit, after = FITS[name], [made().get_weights()]
    model = made()
    fit(model, tmp_path, EachBatch(lambda: after.append(model.get_weights())))
    model = made(built)
    places, _ = stopped(lambda: fit(model, tmp_path))
    dropped: list[Any] = []  # by Python, which cannot raise within a finalizer
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)
    gc.disable()
    try:
        tried = range(1, places, max(1, places // moments))
        for at in tried:
            model = made(built)
            dropped.clear()
            passed, error = stopped(lambda model=model: fit(model, tmp_path), at)
            assert error is not None or dropped or passed < at, f"moment {at} of {passed} was lost"
            try:
                check(model, after)
            except AssertionError as wrong:
                raise AssertionError(f"moment {at} of {places}: {wrong}") from error
    finally:
        gc.enable()
    with capsys.disabled():
        print(f"[{len(tried)} of {places} moments]", end="")


@pytest.mark.parametrize("suffix", [".lanewise", ".keras", ".weights.h5"])
def test_ctrl_c_at_any_moment_of_a_save(suffix: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes out as what it is (zipfile made a ValueError of it), with the old file or the new one in place."""
    model, path, dropped = made(), tmp_path / f"m{suffix}", []  # type: ignore[var-annotated]
    save = model.save_weights if suffix == ".weights.h5" else model.save
    save(path)
    whole_file = path.read_bytes()
    places, _ = stopped(lambda: save(path))
    # as text: the exception itself would keep the writer that it stopped, and so the file beside
    monkeypatch.setattr(sys, "unraisablehook", lambda found: dropped.append(repr(found.exc_value)))
    for at in range(1, places, max(1, places // 500)):
        dropped.clear()
        passed, error = stopped(lambda: save(path), at)
        assert error is not None or dropped or passed < at, f"moment {at} of {passed} was lost"
        assert path.read_bytes() == whole_file
        del error  # its traceback can hold a writer that was stopped before it could clear up
        if len(list(tmp_path.iterdir())) > 1:
            gc.collect()
        assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_step_half_done_or_a_lock_that_is_held_would_be_seen() -> None:
    """Faults, planted: the first weights are those of the batch before; the two locks of a model stay held."""
    model = made()
    after = [model.get_weights()]
    by_hand(model, None, EachBatch(lambda: after.append(model.get_weights())))
    model.set_weights([after[2][0], *after[3][1:]])
    with pytest.raises(AssertionError, match=r"^3"):
        check(model, after)
    model.set_weights(after[3])
    with pytest.raises(AssertionError, match="trained already"), model._weights_lock.training():
        check(model, after)
    with pytest.raises(AssertionError, match="held for ever"):
        model._weights_lock.read(check, model, after, 0.3)
