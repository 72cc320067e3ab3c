"""Many callers at once: every result has the bits of a lone call, nothing hangs, nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from limits import SLOWER

LONG = pytest.mark.long

START = """
import hashlib, json, multiprocessing, os, sys, threading, time
import numpy as np
from lanewise import keras, ops
from limits import SLOWER
from memory import in_use, resident
rng = np.random.default_rng(0)
x = rng.standard_normal((600, 64), dtype=np.float32)
y = x[:, 0] * x[:, 1]
def make(seed=None):
    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256, "relu"), keras.layers.Dropout(0.1),
                              keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model
def fitted(seed, epochs=3):
    model = make(seed)
    model.fit(x, y, batch_size=100, epochs=epochs, verbose=0)
    return model
def digest(model):
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
def settle(model):
    for n in range(11, 20):  # a model keeps the workspaces of its last eight kinds of work: these from here on
        model.predict(x[:n], verbose=0)
def together(functions):
    wrong = []
    def guarded(f):
        try:
            f()
        except BaseException as error:
            wrong.append(repr(error))
    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for t in threads: t.start()
    for t in threads: t.join()
    return wrong
ops.set_num_threads(2)
"""


def run(code: str, timeout: float = 170) -> Any:
    """What a fresh Python prints, as JSON; a hang is a failure."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", START + code], capture_output=True, text=True, timeout=timeout * SLOWER, env=env
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("rounds", [100, pytest.param(5000, marks=LONG)])
def test_32_threads_predict_with_one_model(rounds: int) -> None:
    """Twice as often as `rounds` says in each, 1 to 600 rows: alone, and where one thread and the team are measured
    against each other.

    Which eight workspaces a model keeps (of 1 row: 4 KB, of 600: 515 KB) depends on whose call ended last, and the
    arenas of 32 threads keep holes: neither is a leak. So memory is read in a state that does not depend on it.
    """
    code = f"""
model = fitted(1)
sizes = [1, 3, 32, 100, 600]
want = {{n: model.predict(x[:n], verbose=0) for n in sizes}}
def predict(i, rounds):
    for j in range(rounds):
        n = sizes[(i + j) % 5]
        got = model.predict(x[:n], verbose=0) if j % 2 else model.predict_on_batch(x[:n])
        assert got.tobytes() == want[n].tobytes(), (i, j)
def all_of(rounds):
    return together([lambda i=i: predict(i, rounds) for i in range(32)])
wrong = all_of({rounds})
settle(model)
before = resident(), in_use()
wrong += all_of({rounds})
settle(model)
print(json.dumps([wrong, resident() - before[0], in_use() - before[1]]))
"""
    wrong, resident, in_use = run(code, 900)
    print(f"[{64 * rounds} predictions equal, {in_use} KB more in use, {resident} KB resident]")
    assert wrong == []
    assert in_use < 64  # KB
    assert (
        resident < 16384
    )  # KB; it swings by 6 MB: stacks of ended threads that the C library keeps, and part-full pages


@pytest.mark.parametrize("epochs", [30, pytest.param(1500, marks=LONG)])
def test_fits_at_once_and_predictions_between_them(epochs: int) -> None:
    """Four models are trained by four threads while eight others predict with a fifth; the fits share the budget of
    threads, and which of them has the team changes all the time."""
    code = f"""
def four():
    keras.utils.set_random_seed(1)
    models = [make() for _ in range(4)]
    for model in models:  # here each gets its seed
        model.fit(x, y, batch_size=100, epochs=1, verbose=0)
    return models
def more(model):
    model.fit(x, y, batch_size=100, epochs={epochs}, verbose=0)
want = []
for model in four():
    more(model)
    want.append(digest(model))
models, still = four(), make()
answer = still.predict(x, verbose=0).tobytes()
def predict():
    while any(t.is_alive() for t in fits):
        assert still.predict(x, verbose=0).tobytes() == answer
fits = [threading.Thread(target=more, args=(model,)) for model in models]
for t in fits: t.start()
wrong = together([predict] * 8)
print(json.dumps([wrong, [digest(model) == w for model, w in zip(models, want)]]))
"""
    wrong, equal = run(code, 600)
    assert wrong == []
    assert equal == [True] * 4


@pytest.mark.parametrize("children", [6, pytest.param(100, marks=LONG)])
def test_children_forked_after_a_parallel_fit(children: int) -> None:
    """By multiprocessing's fork, while another thread of the parent is training: each child trains and predicts."""
    code = f"""
large = rng.standard_normal((600, 600), dtype=np.float32)
product = ops.matmul(large, large)  # opens a team
want = digest(fitted(1)), hashlib.sha256(product.tobytes()).hexdigest()
def child(queue):
    queue.put((digest(fitted(1)), hashlib.sha256(ops.matmul(large, large).tobytes()).hexdigest()))
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
stop = threading.Event()
parent = fitted(2)
def train():
    while not stop.is_set():
        parent.fit(x, y, batch_size=100, verbose=0)
other = threading.Thread(target=train)
other.start()
results, codes = [], []
begun = time.monotonic()
for _ in range({children}):
    process = context.Process(target=child, args=(queue,))
    process.start()
    while queue.empty() and process.exitcode is None and time.monotonic() - begun < 120 * SLOWER:
        time.sleep(0.001)
    if not queue.empty():
        results.append(queue.get() == want)
    process.join(10 * SLOWER)
    codes.append(process.exitcode)
stop.set()
other.join()
with context.Pool(2) as pool:
    results.append(set(pool.map(digest, [fitted(1)])) == {{want[0]}})
results.append((digest(fitted(1)), hashlib.sha256(ops.matmul(large, large).tobytes()).hexdigest()) == want)
print(json.dumps([results, codes]))
"""
    results, codes = run(code)
    assert codes == [0] * children
    assert results == [True] * (children + 2)


@pytest.mark.parametrize("threads", [500, pytest.param(10_000, marks=LONG)])
def test_short_lived_threads_that_train_and_predict(threads: int) -> None:
    """Each thread opens a team of its own and ends; memory stays as it was."""
    code = f"""
model = fitted(1)
large = rng.standard_normal((300, 300), dtype=np.float32)
lock = threading.Lock()
def work():
    ops.matmul(large, large)
    model.predict(x, verbose=0)
    with lock:  # one trains, the others predict
        model.fit(x[:200], y[:200], batch_size=100, verbose=0)
def go(n):
    wrong = []
    for _ in range(n // 4):
        wrong += together([work] * 4)
    there = 0
    while there != (there := len(os.listdir("/proc/self/task"))):  # join returns before a thread's own memory is freed;
        time.sleep(0.2)  # LLVM's OpenMP keeps threads for the next team
    return wrong
wrong = go(200)
before = resident()
wrong += go({threads})
print(json.dumps([wrong, resident() - before]))
"""
    wrong, growth = run(code, 900)
    assert wrong == []
    assert growth < 2048  # KB


def test_memory_that_is_kept_would_be_seen() -> None:
    """By malloc, as the core's: a Python without a lock has another allocator for its own objects."""
    kept = "[np.empty(1000, np.float32) for _ in range(50)]"
    assert run(f"before = in_use()\nkept = {kept}\nprint(in_use() - before)") > 64  # KB
