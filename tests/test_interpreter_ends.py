"""The interpreter ends while lanewise works in a thread that it does not wait for."""

import subprocess
import sys

import pytest

DAEMON = """
import sys, threading, time
import numpy as np
import lanewise as lw
kind = sys.argv[1]
x = np.random.RandomState(0).randn(640, 4).astype("f"); y = x.sum(1, keepdims=True)
class Own(lw.layers.Layer):
    def call(self, x):
        return x * 2.0
model = lw.Sequential([lw.Input((4,)), *([Own()] if kind == "layer" else []), lw.layers.Dense(64), lw.layers.Dense(1)])
def squared(t, p):
    return ((t - p) ** 2).mean(-1)
model.compile("nadam" if kind == "nadam" else "adam", squared if kind == "loss" else "mse")
model.fit(x, y, verbose=0)
many, begun = np.zeros((10**5, 4), "f"), threading.Event()
def work():
    while True:
        begun.set()
        if kind == "predict":
            model.predict(many, verbose=0)
        elif kind == "matmul":
            lw.ops.matmul(many[:, :1], many[:500, :1].T)
        else:
            model.fit(x, y, epochs=10**6, verbose=0, batch_size=4)
threading.Thread(target=work, daemon=True).start()
begun.wait(); time.sleep(0.2)
"""


@pytest.mark.parametrize("kind", ["plain", "nadam", "predict", "layer", "loss", "matmul"])
def test_the_interpreter_ends_while_a_daemon_thread_works(kind) -> None:
    """CPython before 3.14 ends such a thread by unwinding, which ended the process in the bindings."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", DAEMON, kind], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


TEARDOWN = """
import sys, threading, time, types
import numpy as np
import lanewise as lw
x = np.ones((20000, 32), "f")
model = lw.Sequential([lw.Input((32,)), lw.layers.Dense(128, "relu"), lw.layers.Dense(128, "relu"), lw.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x[:64], x[:64, :1], verbose=0)
class Late:
    def __init__(self):
        self.model, self.x, self.write = model, x[:100], sys.__stdout__.write
    def __del__(self):
        try:
            self.model.predict(self.x, verbose=0)
            self.write("predicted")
        except RuntimeError as error:
            self.write(str(error))
sys.modules["holder"] = types.ModuleType("holder")
sys.modules["holder"].late = Late()
def work(model=model, x=x):
    while True:
        model.fit(x, x[:, :1], batch_size=5000, verbose=0)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
"""


def test_a_model_that_is_used_when_all_threads_have_stopped_is_an_error() -> None:
    """It waited for ever for the daemon thread that trains it."""
    said = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", TEARDOWN], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout)
    ends = "the interpreter ends while another thread uses this model"
    assert {ends} <= set(said) <= {ends, "predicted"}
