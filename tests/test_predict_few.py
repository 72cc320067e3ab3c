"""Few rows take a short way through one call of the engine: the same results and errors as the long one."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import _core
from lanewise._engine import Array


def network(*layers: Any, shape: tuple[int, ...] = (7,)) -> Any:
    model = lw.Sequential([lw.layers.Input(shape), *layers, lw.layers.Dense(3)])
    model.compile("adam", "mse")
    return model


def rows(n: int, *shape: int) -> Any:
    return np.random.default_rng(n).normal(size=(n, *shape)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 4, 5, 32, 256, 257, 600])
@pytest.mark.parametrize("shape", [(7,), (2, 5)])
def test_every_number_of_rows_gives_the_bits_of_the_long_way(n: int, shape: tuple[int, ...]) -> None:
    model = network(lw.layers.Dense(40, activation="tanh"), lw.layers.Flatten(), shape=shape)
    x = rows(n, *shape)
    long = model.predict(x, callbacks=[lw.callbacks.Callback()], verbose=0)
    for short in (model.predict_on_batch(x), model.predict(x, verbose=0), model(x)):
        assert short.shape == (n, 3) and short.dtype == np.float32
        np.testing.assert_array_equal(short, long)


def test_what_is_not_plain_goes_the_long_way_to_the_same_bits() -> None:
    model = network(lw.layers.Dense(5, activation="relu"))
    x = rows(12, 7)
    expected = model.predict_on_batch(x)

    class Mine(np.ndarray[Any, Any]):
        pass

    wide = np.repeat(x, 2, axis=1)
    for same in (x.astype(np.float64), x.tolist(), np.asfortranarray(x), wide[:, ::2], x.view(Mine), x[::-1][::-1]):
        np.testing.assert_array_equal(model.predict_on_batch(same), expected)
    swapped = x.astype(x.dtype.newbyteorder())
    np.testing.assert_array_equal(model.predict_on_batch(swapped), expected)


def test_the_call_returns_arrays_that_answer_numpy() -> None:
    model = network(lw.layers.Dense(5))
    x = rows(3, 7)
    model.predict_on_batch(x)
    out = model(x)
    assert type(out) is Array and type(out.numpy()) is np.ndarray
    assert type(model.predict_on_batch(x)) is np.ndarray
    assert out.base is None  # memory of its own


@pytest.mark.parametrize("x", [np.zeros((2, 6), np.float32), np.zeros((0, 7), np.float32), np.zeros(7, np.float32)])
def test_wrong_shapes_raise_what_the_long_way_raises(x: Any) -> None:
    model = network(lw.layers.Dense(5))
    model.predict_on_batch(rows(1, 7))
    with pytest.raises(ValueError, match="x: ") as long:
        model.predict(x, callbacks=[lw.callbacks.Callback()], verbose=0)
    for call in (model.predict_on_batch, model):
        with pytest.raises(ValueError) as short:
            call(x)
        assert str(short.value) == str(long.value)


def test_ids_are_checked_before_a_table_is_read() -> None:
    model = lw.Sequential([lw.layers.Input((4,)), lw.layers.Embedding(10, 3), lw.layers.Flatten(), lw.layers.Dense(1)])
    ids = np.array([[0, 1, 9, 2]], np.float32)
    expected = model.predict(ids.astype(np.int64), verbose=0)
    np.testing.assert_array_equal(model.predict_on_batch(ids), expected)
    for bad in (10, -1, 0.5, np.nan):
        with pytest.raises(ValueError, match="from 0 to 9"):
            model.predict_on_batch(np.array([[0, 1, bad, 2]], np.float32))


def test_noise_that_is_always_there_is_drawn_anew() -> None:
    x = lw.layers.Input((7,))
    model = lw.Model(x, lw.layers.Dropout(0.5)(x, training=True))
    ones = np.ones((4, 7), np.float32)
    assert not np.array_equal(model.predict_on_batch(ones), model.predict_on_batch(ones))


def test_the_engine_refuses_a_type_that_is_no_array() -> None:
    model = network(lw.layers.Dense(5))
    x = rows(1, 7)
    model.predict_on_batch(x)
    few = model._program.predictor().predict_few(_core.ModelLock())
    with pytest.raises(TypeError, match="returns: expected a type of NumPy array"):
        few(x, int)


def test_rows_that_change_while_the_lock_is_waited_for_are_checked_after_it() -> None:
    inside, go = threading.Event(), threading.Event()

    class Slow(lw.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            inside.set()
            go.wait(20)
            return lw.keras.ops.mean(lw.keras.ops.square(y_pred - y_true), axis=-1)

    model = lw.Sequential([lw.layers.Input((4,)), lw.layers.Embedding(10, 3), lw.layers.Flatten(), lw.layers.Dense(1)])
    x, y = np.array([[0, 1, 2, 3]], np.float32), np.zeros((1, 1), np.float32)
    go.set()
    model.compile("sgd", Slow())
    model.fit(x, y, verbose=0)
    ids = x.copy()
    model.predict_on_batch(ids)
    go.clear()
    inside.clear()
    found: list[BaseException] = []

    def predict() -> None:
        try:
            model.predict_on_batch(ids)
        except ValueError as error:
            found.append(error)

    trains = threading.Thread(target=model.fit, args=(x, y), kwargs={"verbose": 0})
    trains.start()
    assert inside.wait(20)
    predicts = threading.Thread(target=predict)
    predicts.start()
    time.sleep(0.2)  # it waits for the step to end
    ids[:] = 1e9
    go.set()
    predicts.join()
    trains.join()
    assert len(found) == 1 and "from 0 to 9" in str(found[0])
