"""Ids and labels that somebody changes while a call reads them: an error, never memory outside their table.

They are checked before a call runs. Each case runs in a process of its own, so that reading astray is a failed test.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from lanewise import keras
from limits import SLOWER

START = """
import threading, time
import numpy as np
from lanewise import keras, ops
layers, far = keras.layers, 2**31 - 1
ids = np.zeros((4096, 8), np.int32)
floats = np.zeros((4096, 8), np.float32)
labels = np.zeros(4096, np.int32)

class Meddler(layers.Layer):
    "Changes an array as soon as the call runs: the GIL is given back for it."
    changed, to = None, far
    def call(self, x):
        if self.changed is not None:
            self.changed[...] = self.to
        return x

def looked_up(table, dtype="int32"):
    x, x2 = keras.Input((8,)), keras.Input((8,), dtype=dtype)
    meddler = Meddler()
    y = layers.Flatten()(table(x2)) if dtype == "int32" else layers.Flatten()(table(x2[:, 2:]))
    parts = [meddler(x), y] if dtype == "int32" else [meddler(x), y, x2]
    model = keras.Model([x, x2], layers.Dense(3)(layers.Concatenate()(parts)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, meddler

def refused(call):
    try:
        call()
    except ValueError as error:
        assert "nobody changes" in str(error), error
    else:
        raise AssertionError("no error")
"""
TABLES = {
    "embedding": "looked_up(layers.Embedding(50, 4))",
    "encoding": "looked_up(layers.CategoryEncoding(50, 'multi_hot'))",
    "some columns of floats": "looked_up(layers.Embedding(50, 4), 'float32')",
}
CALLS = """
calls = [
    lambda: model.predict([floats, read], verbose=0),
    lambda: model.predict_on_batch([floats, read]),
    lambda: model([floats, read]),
    lambda: model.evaluate([floats, read], labels, batch_size=100, verbose=0),
    lambda: model.fit([floats, read], labels, batch_size=100, verbose=0),
]
"""


def passes(code: str) -> None:
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", START + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100 * SLOWER, env=env)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_ids_changed_by_a_layer(table: str) -> None:
    """The layer in Python runs after the check and before the ids are read; in `fit` before those of the next batch."""
    passes(f"""
model, meddler = {table}
read = ids if model.inputs[1].dtype == "int32" else ids.astype(np.float32)
{CALLS}
for call in calls:
    call()
    meddler.changed = read
    refused(call)
    meddler.changed = None
    read[...] = 1
    call()
""")


@pytest.mark.parametrize("logits", [True, False])
def test_labels_changed_by_a_layer(logits: bool) -> None:
    passes(f"""
model, meddler = looked_up(layers.Embedding(50, 4))
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits={logits}),
              metrics=["sparse_categorical_accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)])
for call in [model.fit, model.evaluate]:
    meddler.changed, labels[...] = None, 0
    call([floats, ids], labels, batch_size=100, verbose=0)
    meddler.changed = labels
    refused(lambda: call([floats, ids], labels, batch_size=100, verbose=0))
""")


def test_ids_and_labels_changed_by_a_thread() -> None:
    """From some moment on good and bad numbers take turns while the rows are read: each call comes out right, or as an
    error. Every second moment is the end of a call, as near as the calls before tell, the others are 1/4096 of it to a
    half, as ids are read first. Right ones count if somebody wrote meanwhile."""
    passes(f"""
ids, labels = ids[: 4096 // {SLOWER}], labels[: 4096 // {SLOWER}]
model = keras.Sequential([keras.Input((8,), dtype="int32"), layers.Embedding(50, 64), layers.Flatten(),
                          layers.Dense(16, "relu"), layers.Dense(3)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
want = model.predict(ids, verbose=0)

def meddle(wait, done, wrote):
    done.wait(wait)
    while not done.is_set():
        for value in (far, 0):
            ids[...] = labels[...] = value
            wrote.set()
            done.wait(2e-4)

def tried(call):
    call()
    begin = time.perf_counter()
    call()
    end = time.perf_counter() - begin
    results, late, met = [], 0, 0
    for attempt in range(3000):
        at_end = attempt % 2 == 0
        done, wrote = threading.Event(), threading.Event()
        moment = end if at_end else end / 2 ** (1 + attempt // 2 % 12)
        thread = threading.Thread(target=meddle, args=(moment, done, wrote))
        thread.start()
        try:
            results.append(call())
            met += wrote.is_set()
            end *= 0.95 if at_end and not wrote.is_set() else 1
        except ValueError as error:
            late += "nobody changes" in str(error)
            end *= 1.05 if at_end else 1
        finally:
            done.set()
            thread.join()
        if late >= 20 and met >= 20:
            break
    assert late >= 20 and met >= 20, (late, met, len(results), end)
    return results

assert all(np.array_equal(result, want) for result in tried(lambda: model.predict(ids, verbose=0)))
for call in model.train_on_batch, model.test_on_batch:
    assert np.isfinite(tried(lambda: call(ids, labels))).all()
""")


def test_order_changed_by_a_layer() -> None:
    """The rows that were checked are the rows that are read."""
    passes(f"""
model, meddler = {TABLES["embedding"]}
labels[...] = ids[:, 0] = floats[:, 0] = np.arange(4096) % 3
model.test_on_batch([floats, ids], labels)
network, native = model._last_network[1], model.optimizer.native
order = np.arange(4096, dtype=np.uint32)[::-1].copy()
given = order.copy()
calls = [
    lambda: network.evaluate([floats, ids], [labels], None, 300, 900, 100, order=order),
    lambda: network.train([floats, ids], [labels], None, order, 300, 900, 100, native, 0),
]
for call in calls:
    weights = model.get_weights()
    want = call()
    model.set_weights(weights)
    native.iterations = 0
    for weight in model.trainable_weights:
        weight.set_slots(native, [0 * slot for slot in weight.slots(native)])
    meddler.changed, meddler.to = order, 2**32 - 1
    assert np.array_equal(call(), want)
    meddler.changed, order[...] = None, given
""")


ODD = {
    "int64": 2**32,  # of which 32 bits leave 0
    "uint64": 2**32 + 1,
    "float16": 0.5,
    "float32": 1e30,
    "float64": -0.5,
}


@pytest.mark.parametrize("table", [*TABLES, "labels"])
def test_numbers_that_are_no_ids(table: str) -> None:
    """What would become an id or a label of the table if it were cut down to 32 bits or to a whole number first."""
    calls = CALLS
    if table == "labels":  # as the engine takes them: `fit` hands them over as int32
        calls = """
model.test_on_batch([floats, ids], labels)
network, native = model._last_network[1], model.optimizer.native
calls = [
    lambda: network.evaluate([floats, ids], [read], None, 0, 4096, 100),
    lambda: network.train([floats, ids], [read], None, None, 0, 4096, 100, native, 0),
]
"""
    passes(f"""
model, meddler = {TABLES.get(table, TABLES["embedding"])}
{calls}
for dtype, odd in {ODD}.items():
    read = {"labels" if table == "labels" else "ids"}.astype(dtype)
    for call in calls:
        for meddler.to in odd, 2**31 if "int" in dtype else 49.5:
            call()
            meddler.changed = read
            refused(call)
            meddler.changed = None
            read[...] = 0
            call()
""")


@pytest.mark.parametrize("dtype, odd", [("int64", 2**32), ("float64", 0.5)])
def test_labels_changed_before_they_are_converted(dtype: str, odd: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of other types become int32 before the call: what was checked is what is converted."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.layers[0].set_weights([np.float32([[1, 2, 3]]), np.zeros(3, np.float32)])
    x, labels = np.ones((100, 1), np.float32), np.ones(100, dtype)
    want = model.test_on_batch(x, labels)
    convert, changed = np.ascontiguousarray, []

    def converted(array: np.ndarray, dtype: type) -> np.ndarray:
        if dtype is np.int32:
            labels[...] = odd  # which would be 0
            changed.append(labels)
        return convert(array, dtype)

    monkeypatch.setattr(np, "ascontiguousarray", converted)
    assert model.test_on_batch(x, labels) == want and changed


STEPS = """
from lanewise import _core
from lanewise.models import batches
_core.set_always_team(True)
ids, labels = np.ones((8192, 8), np.int32), np.ones(8192, np.int32)  # what is outside its table counts as 0 meanwhile

def made(meddler=None, **settings):
    keras.utils.set_random_seed(4)
    x = keras.Input((8,), dtype="int32")
    y = layers.Dense(64, "relu")(layers.BatchNormalization()(layers.Flatten()(layers.Embedding(50, 16)(x))))
    model = keras.Model(x, layers.Dense(3)(meddler(y) if meddler else y))
    model.compile(keras.optimizers.Adam(1e-3, **settings), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def state(model):
    native = model.optimizer.native
    return [*model.get_weights(), *(slot for w in model.trainable_weights for slot in w.slots(native))]

def fit(model, rows=8192):
    model.fit(ids[:rows], labels[:rows], batch_size=32, verbose=0, shuffle=False)

def states(steps, **settings):
    model = made(**settings)
    found = [state(model)]
    for _ in range(steps):
        model.train_on_batch(ids[:32], labels[:32])
        found.append(state(model))
    return found

def stopped(model, work):
    "Steps done when it was stopped by a change or a layer's error, else None."
    try:
        work(model)
    except OSError:
        return model.optimizer.native.iterations
    except ValueError as error:
        if "nobody changes" in str(error):
            done = model.optimizer.native.iterations
            assert f"before step {done + 1}." in str(error), (done, error)
            return done
    return None

def same(model, want):
    return all(np.array_equal(a, b) for a, b in zip(state(model), want, strict=True))
"""


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("event, steps", [("ids[...] = far", 3), ("labels[...] = far", 3), ("raise OSError", 2)])
def test_training_stops_before_the_batch(event: str, steps: int, threads: int) -> None:
    """What a layer changes in the third batch, when that is gathered, is met in the fourth; its error ends its own."""
    passes(f"""{STEPS}
class Third(layers.Layer):
    calls = 0
    def call(self, x):
        self.calls += len(x) == 32  # else it is tried out
        if self.calls == 3:
            {event}
        return x

after = states(6)
ops.set_num_threads({threads})
third = Third()
model = made(third)
model._paces["train", 32] = batches.Pace(6)  # the first slice has them all
assert stopped(model, lambda model: fit(model, 6 * 32)) == {steps}
assert same(model, after[{steps}])
ids[...] = labels[...] = 1
fit(model, (6 - {steps}) * 32)
assert same(model, after[6])
""")


@pytest.mark.parametrize("settings", ["", "global_clipnorm=1.0", "gradient_accumulation_steps=2"])
def test_training_stopped_by_a_thread(settings: str) -> None:
    """At any moment (fiftieths of its time here), on any number of threads: weights and moments of the steps that the
    optimizer has counted."""
    passes(f"""{STEPS}
after = states(256, {settings})

def meddle(changed, seconds):
    time.sleep(seconds)
    changed[100:] = far

def seconds(threads):
    ops.set_num_threads(threads)
    model = made({settings})
    fit(model, 32)
    begin = time.perf_counter()
    fit(model)
    return time.perf_counter() - begin

whole = [seconds(1 + i) for i in range(3)]
seen = set()
for attempt in range(300):
    ops.set_num_threads(1 + attempt % 3)
    model = made({settings})
    changed = [ids, labels][attempt % 2]
    thread = threading.Thread(target=meddle, args=(changed, whole[attempt % 3] / 50 * (attempt % 50)))
    thread.start()
    try:
        done = stopped(model, fit)
    finally:
        thread.join()
    assert same(model, after[model.optimizer.native.iterations])
    changed[...] = 1
    if done is not None:
        model.train_on_batch(ids[:32], labels[:32])
        assert same(model, after[done + 1])
        seen.add((done, attempt % 2, attempt % 3))
    if len(seen) == 12:
        break
assert len(seen) == 12, seen
""")
