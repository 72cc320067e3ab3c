"""Ids and labels that somebody changes while a call reads them: an error, never memory outside their table.

They are checked before a call runs. Each case runs in a process of its own, so that reading astray is a failed test.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
    changed = None
    def call(self, x):
        if self.changed is not None:
            self.changed[...] = far
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
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, timeout=100, env=env)
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
    """Good and bad numbers take turns while the rows are read: each call comes out right, or as an error."""
    passes("""
model = keras.Sequential([keras.Input((8,), dtype="int32"), layers.Embedding(50, 64), layers.Flatten(),
                          layers.Dense(256, "relu"), layers.Dense(3)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
want = model.predict(ids, verbose=0)
done = threading.Event()

def meddle():
    while not done.is_set():
        for value in (far, 0):
            ids[...] = labels[...] = value
            time.sleep(2e-4)

def tried(call):
    results, late = [], 0
    for _ in range(60):
        try:
            results.append(call())
        except ValueError as error:
            late += "nobody changes" in str(error)
        time.sleep(3e-4)  # else what was bad at the start stays so
    return results, late

thread = threading.Thread(target=meddle)
thread.start()
try:
    results, late = tried(lambda: model.predict(ids, verbose=0))
    trained = tried(lambda: model.train_on_batch(ids, labels)), tried(lambda: model.test_on_batch(ids, labels))
finally:
    done.set()
    thread.join()
assert late > 0 and all(np.array_equal(result, want) for result in results), late
for losses, late in trained:
    assert losses and np.isfinite(losses).all() and late > 0, late
""")
