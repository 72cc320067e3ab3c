"""Memory does not grow: predictions, fits, errors and short-lived threads, thousands of each, in their own process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import lanewise as lw

LONG = pytest.mark.long

START = '''
import gc, sys, tempfile, threading
from pathlib import Path
import numpy as np
import lanewise as lw
from lanewise import keras, ops
from memory import resident

x = np.random.default_rng(0).standard_normal((300, 30), dtype=np.float32)
y = x[:, 0] * x[:, 1]
broken = Path(tempfile.mkdtemp()) / "broken.lanewise"
def make():
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(40, "gelu"), keras.layers.BatchNormalization(),
                              keras.layers.Dropout(0.1), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(global_clipnorm=1.0), "mse", metrics=["mae"])
    return model
model = make()
model.fit(x, y, verbose=0)
model.save(broken)
broken.write_bytes(broken.read_bytes()[:-100])
one = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
one.compile("sgd", "sparse_categorical_crossentropy")

WRONG = [
    lambda: ops.matmul(x, x),
    lambda: ops.matmul(x, x.T, out=np.zeros((3, 3), np.float32)),
    lambda: ops.matmul("x", x),
    lambda: ops.adam_step(x[0], x[0], x[1], x[2], step=0),
    lambda: model.predict(x[:, :7], verbose=0),
    lambda: model.fit(x, y[:7], verbose=0),
    lambda: model.set_weights([x]),
    lambda: one.fit(x[:, :4], np.arange(300), verbose=0),
    lambda: keras.layers.Dense(-3),
    lambda: make().compile("adam", "no such loss"),
    lambda: lw.load_model(broken),
    lambda: lw.load_model(broken.parent / "none.lanewise"),
    lambda: keras.Sequential([keras.Input((2**40,)), keras.layers.Dense(2**40)]),
]
def error(i):
    try:
        WRONG[i % len(WRONG)]()
    except (ValueError, TypeError, KeyError, OSError, OverflowError, MemoryError):
        return
    raise SystemExit(f"no error: {i % len(WRONG)}")
def thread(i):
    def work():
        ops.matmul(x, x.T)
        model.predict(x, verbose=0)
    t = threading.Thread(target=work)
    t.start()
    t.join()
kept = []
ACTS = {
    "predict": lambda i: model.predict(x[: 1 + 6 * (i % 50)], verbose=0),
    "fit": lambda i: (model if i % 2 else make()).fit(x, y, epochs=2, verbose=0),
    "error": error,
    "thread": thread,
    "planted": lambda i: kept.append(bytes(4000)),
}
CYCLES = {"predict": 50, "fit": 2, "error": len(WRONG)}  # calls after which they repeat

def slope(act, count, cycle):
    """KB that `count` or a few more calls add: least of the last seven looks less least of the first seven, scaled.

    A look comes after each twentieth of the calls, which is whole cycles of them: a model keeps the workspaces of its
    last eight sizes, so that memory after calls of 100 rows and after calls of 300 differs by a megabyte and more. The
    least: what swings between looks comes back to a floor, which a leak raises. What leaks once in many calls shows
    where a twentieth is many: in the long run.
    """
    looks, calls = [], -(-count // (20 * cycle)) * cycle
    for part in range(21):
        for i in range(part * calls, (part + 1) * calls):
            act(i)
        gc.collect()
        looks.append(resident())
    looks = looks[1:]  # the first part warms up
    return (min(looks[13:]) - min(looks[:7])) * 20 / 13

ops.set_num_threads(2)
print(f"{slope(ACTS[sys.argv[1]], int(sys.argv[2]), CYCLES.get(sys.argv[1], 1)):.0f}")
'''


def growth(what: str, count: int) -> int:
    """KB."""
    command = [sys.executable, "-c", START, what, str(count)]
    # One arena of malloc: a thread that begins while another ends may get one more, a quarter of a megabyte at once.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, env=env)
    assert done.returncode == 0, done.stderr + done.stdout
    return int(done.stdout)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("what", "count"),
    [("predict", 5000), ("fit", 100), ("error", 1500), ("thread", 500)]
    + [
        pytest.param(what, count, marks=LONG)
        for what, count in (("predict", 100_000), ("fit", 1000), ("error", 10_000), ("thread", 10_000))
    ],
)
def test_memory_stays_as_it_was(what: str, count: int) -> None:
    kilobytes = growth(what, count)
    print(f"{count} times {what}: {kilobytes} KB")
    assert abs(kilobytes) < 512


def test_four_kilobytes_a_call_would_be_seen() -> None:
    assert growth("planted", 1000) > 2048


def test_what_the_engine_calls_in_python_is_freed():
    """Losses, metrics and layers that refer to their model, and metrics with a state: a cycle through the engine."""
    import gc
    import weakref

    class Rows(lw.metrics.Metric):
        def __init__(self, name="rows", **kwargs):
            super().__init__(name=name, **kwargs)
            self.rows = self.add_weight(name="rows")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.rows.assign_add(len(y_true))

        def result(self):
            return self.rows

    class Keeps(lw.layers.Layer):
        def call(self, inputs):
            return inputs * 2.0

    def made():
        keeps, metric = Keeps(), Rows()
        model = lw.Sequential([lw.Input((3,)), keeps, lw.layers.Dense(1)])
        keeps.kept = [lambda: model]

        def loss(y_true, y_pred):
            assert model.built
            return lw.keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

        model.compile("sgd", loss, metrics=[metric])
        x = np.ones((8, 3), np.float32)
        model.fit(x, x[:, :1], verbose=0)
        model.evaluate(x, x[:, :1], verbose=0)
        model.predict(x, verbose=0)
        model.value_and_grad(x, x[:, :1])
        return [weakref.ref(thing) for thing in (model, metric, keeps)]

    found = [made() for _ in range(3)]
    gc.collect()
    assert [[reference() for reference in each] for each in found] == [[None] * 3] * 3
