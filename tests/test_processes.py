"""Other processes: forked, spawned, served by a preloaded parent; and copies of a model that another thread trains."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bounds import floats
from lanewise import keras, ops
from limits import SLOWER
from reference import same_bits

X = floats(np.random.default_rng(0), 300, 24)
Y = X[:, :1] * X[:, 1:2]


def model() -> lw.Sequential:
    keras.utils.set_random_seed(1)
    network = lw.Sequential([
        keras.layers.Dense(64, "relu", input_shape=(24,)), keras.layers.Dropout(0.1), keras.layers.Dense(1),
    ])  # fmt: skip
    network.compile("adam", "mse")
    return network


def python(code: str, timeout: float = 100) -> Any:
    """What a fresh Python prints, as JSON; a hang is a failure."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", f"SLOWER = {SLOWER}\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout * SLOWER, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


START = """
import json, os, signal, socket, sys, threading, time
import numpy as np
from lanewise import keras, ops
ops.set_num_threads(2)
x = np.random.default_rng(0).standard_normal((600, 64), dtype=np.float32)
y = x[:, 0] * x[:, 1]
def made():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(256, "relu", input_shape=(64,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model
def ended(pids, seconds):
    "Exit codes; what has not ended by then is killed: -9."
    limit = time.monotonic() + seconds * SLOWER
    codes = []
    for pid in pids:
        while (found := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < limit:
            time.sleep(0.002)
        if found[0] == 0:
            os.kill(pid, signal.SIGKILL)
            found = os.waitpid(pid, 0)
        codes.append(os.waitstatus_to_exitcode(found[1]))
    return codes
"""


def test_a_child_of_a_program_that_uses_models_alone() -> None:
    """Nothing but `import lanewise` tells the engine of a fork."""
    code = """
import json, os, signal, sys, time
import numpy as np
import lanewise as lw
model = lw.Sequential([lw.layers.Dense(512, "relu", input_shape=(256,)), lw.layers.Dense(1)])
model.compile("adam", "mse")
x, y = np.ones((2048, 256), np.float32), np.ones((2048, 1), np.float32)
def work():
    model.fit(x, y, batch_size=512, verbose=0)
    return model.predict(x, verbose=0).shape[0]
work()
pid = os.fork()
if pid == 0:
    os._exit(0 if work() == 2048 else 1)
limit = time.monotonic() + 20 * SLOWER
while (found := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < limit:
    time.sleep(0.002)
if found[0] == 0:
    os.kill(pid, signal.SIGKILL)
    found = os.waitpid(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(found[1]), "lanewise.ops" in sys.modules]))
"""
    assert python(code) == [0, False]


FORKED = """
model = made()
large = np.ones((700 if SLOWER == 1 else 200,) * 2, np.float32)
ops.matmul(large, large)  # a team of two exists
model.fit(x, y, epochs=2, verbose=0)
reader, writer = os.pipe()
begun = time.monotonic()
pids, codes = [], []
for _ in range(children):
    pid = os.fork()
    if pid == 0:
        model.fit(x, y, epochs=1, verbose=0)
        ok = ops.matmul(large, large)[0, 0] == len(large)
        os.write(writer, model.predict(x[:1], verbose=0).tobytes() if ok else b"bad!")
        os._exit(0)
    pids.append(pid)
    if len(pids) == at_once:
        codes += ended(pids, limit)
        pids = []
codes += ended(pids, limit)
seconds = time.monotonic() - begun
os.close(writer)
with os.fdopen(reader, "rb") as file:
    answers = file.read()
model.fit(x, y, epochs=1, verbose=0)
print(json.dumps([codes, answers == children * model.predict(x[:1], verbose=0).tobytes(), seconds]))
"""


def test_a_hundred_children_forked_after_a_parallel_fit() -> None:
    """At once (ten at a time where each is an emulator); each trains on with the parent's model and has the bits that
    the parent has."""
    at_once = 100 if SLOWER == 1 else 10
    codes, equal, seconds = python(f"children, at_once, limit = 100, {at_once}, 60" + START + FORKED)
    print(f"[{codes.count(0)} of 100 children ended, {seconds:.1f} s]")
    assert codes == [0] * 100
    assert equal


@pytest.mark.skipif(ops.build_info()["thread_runtime"] != "OpenMP", reason="only OpenMP keeps its threads")
def test_a_child_that_hangs_is_seen() -> None:
    """A fault, planted: nobody tells the child that it was forked, and it waits for threads that it does not have."""
    plant = "import os; os.register_at_fork = lambda **hooks: None; children, at_once, limit = 2, 2, 3"
    codes, equal, _ = python(plant + START + FORKED)
    assert codes == [-9, -9]
    assert not equal


def test_a_child_of_a_process_whose_threads_train_and_predict() -> None:
    """Locks that other threads held when the process forked are free in the child; a step half done is an error there,
    and never a hang."""
    code = (
        START
        + """
trained, asked = made(), made()
trained.fit(x, y, verbose=0)  # imports what it needs: Python's own locks of modules are not free in a child
done = threading.Event()
def train():
    while not done.is_set():
        trained.fit(x, y, verbose=0)
def predict():
    while not done.is_set():
        asked.predict(x, verbose=0)
want = asked.predict(x, verbose=0)
threads = [threading.Thread(target=f) for f in (train, predict, predict)]
for t in threads: t.start()
pids = []
for i in range(40):
    time.sleep(0.003)
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            assert asked.predict(x, verbose=0).tobytes() == want.tobytes()
            asked.fit(x, y, verbose=0)
            code = 0
            trained.fit(x, y, verbose=0)
        except RuntimeError as error:
            code = code or (7 if "middle of a training step" in str(error) else 4)
        os._exit(code)
    pids.append(pid)
codes = ended(pids, 60)
done.set()
for t in threads: t.join()
print(json.dumps(codes))
"""
    )
    codes = python(code)
    print(f"[{codes.count(0)} children trained on, {codes.count(7)} were told of a step half done]")
    assert set(codes) <= {0, 7}


def test_a_preloaded_server() -> None:
    """As web servers do: the parent makes the model, trains and warms it up, then forks workers that answer."""
    code = (
        START
        + """
model = made()
model.fit(x, y, verbose=0)
want = model.predict(x, verbose=0)
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0lanewise-test-%d" % os.getpid())
listener.listen(64)
pids = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        while True:
            with listener.accept()[0] as connection:
                row = int.from_bytes(connection.recv(4), "little")
                if row == 999_999:
                    os._exit(0)
                connection.sendall(model.predict(x[row : row + 1], verbose=0).tobytes())
    pids.append(pid)
def ask(row):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20 * SLOWER)
        client.connect(listener.getsockname())
        client.sendall(row.to_bytes(4, "little"))
        return client.recv(4)
right = [0] * 8
def client(i):
    for row in range(i, 600, 8):
        right[i] += ask(row) == want[row].tobytes()
clients = [threading.Thread(target=client, args=(i,)) for i in range(8)]
for c in clients: c.start()
for c in clients: c.join()
for _ in pids: ask(999_999)
print(json.dumps([sum(right), ended(pids, 20)]))
"""
    )
    right, codes = python(code)
    assert right == 600
    assert codes == [0] * 4


def predicted(network: lw.Sequential) -> np.ndarray:
    return network.predict(X, verbose=0)


def trained_on(network: lw.Sequential) -> list[np.ndarray]:
    network.fit(X, Y, epochs=2, verbose=0)
    return network.get_weights()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_start_methods(method: str) -> None:
    """A model goes there pickled, predicts, and trains on with the bits that it would have had here."""
    network = model()
    network.fit(X, Y, verbose=0)
    with multiprocessing.get_context(method).Pool(1) as pool:
        predictions = pool.apply_async(predicted, (network,)).get(60 * SLOWER)
        weights = pool.apply_async(trained_on, (network,)).get(60 * SLOWER)
    assert same_bits(predictions, predicted(network))
    assert all(same_bits(a, b) for a, b in zip(weights, trained_on(network), strict=True))


# --- copies of a model that is being trained --------------------------------------------------------------------------


def pickled(network: lw.Sequential, path: Path) -> Any:
    return pickle.loads(pickle.dumps(network))


def in_a_file(suffix: str) -> Callable[[lw.Sequential, Path], Any]:
    def copied(network: lw.Sequential, path: Path) -> Any:
        network.save(path / f"m{suffix}")
        return keras.models.load_model(path / f"m{suffix}")

    return copied


COPIES: dict[str, Callable[[lw.Sequential, Path], Any]] = {
    "pickle": pickled,
    "deepcopy": lambda network, path: copy.deepcopy(network),
    "lanewise": in_a_file(".lanewise"),
    "keras": in_a_file(".keras"),
    "h5": in_a_file(".h5"),
}


def copied_while_it_trains(how: Callable[[lw.Sequential, Path], Any], path: Path, count: int = 10) -> None:
    """Weights, moments and the count of steps belong together: trained on, a copy meets the original's path."""
    network = lw.Sequential([keras.layers.Dense(512, "tanh", input_shape=(24,)), keras.layers.Dense(1)])
    network.set_weights([np.full(w.shape, 0.01, np.float32) for w in network.weights])
    network.compile("adam", "mse")
    twin = copy.deepcopy(network)  # without shuffling and dropout a step depends on weights and moments alone
    stop = threading.Event()

    def train() -> None:
        while not stop.is_set():
            network.fit(X, Y, batch_size=300, epochs=20, shuffle=False, verbose=0)

    trainer = threading.Thread(target=train)
    trainer.start()
    while network.optimizer.iterations < 3:  # type: ignore[union-attr]
        time.sleep(0.001)
    try:
        copies = [how(network, path) for _ in range(count)]
    finally:
        stop.set()
        trainer.join()
    counts = [int(c.optimizer.iterations) for c in copies]
    print(f"[steps {min(counts)} to {max(counts)}]")
    assert counts == sorted(counts)
    for count, found in zip(counts, copies, strict=True):
        found.fit(X, Y, batch_size=300, shuffle=False, verbose=0)
        missing = count + 1 - int(twin.optimizer.iterations)  # type: ignore[union-attr]
        if missing > 0:
            twin.fit(X, Y, batch_size=300, epochs=missing, shuffle=False, verbose=0)
        elif missing < 0:
            continue  # the same moment as the one before
        assert all(same_bits(a, b) for a, b in zip(found.get_weights(), twin.get_weights(), strict=True)), count


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_taken_while_another_thread_trains_is_of_one_moment(name: str, tmp_path: Path) -> None:
    if name in ("keras", "h5"):
        pytest.importorskip("h5py")
    copied_while_it_trains(COPIES[name], tmp_path)


def test_a_copy_of_two_moments_is_seen(tmp_path: Path) -> None:
    """A fault, planted: weights of one moment, the optimizer of a later one."""

    def torn(network: lw.Sequential, path: Path) -> Any:
        weights, steps = network.get_weights(), network.optimizer.iterations  # type: ignore[union-attr]
        while network.optimizer.iterations == steps:  # type: ignore[union-attr]
            time.sleep(0.001)
        copied = copy.deepcopy(network)
        copied.set_weights(weights)
        return copied

    with pytest.raises(AssertionError):
        copied_while_it_trains(torn, tmp_path, 1)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend: str) -> None:
    """As grid searches use it: models as arguments and results, in processes and in threads."""
    joblib = pytest.importorskip("joblib")
    networks = [model() for _ in range(3)]
    for network in networks:
        network.fit(X, Y, verbose=0)  # here each gets its seed
    want = [trained_on(copy.deepcopy(network)) for network in networks]
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = joblib.Parallel(timeout=100 * SLOWER)(joblib.delayed(trained_on)(network) for network in networks)
    for a, b in zip(found, want, strict=True):
        assert all(same_bits(v, w) for v, w in zip(a, b, strict=True))


def test_joblib_files(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    network = model()
    network.fit(X, Y, verbose=0)
    joblib.dump(network, tmp_path / "m.joblib", compress=1)
    other = joblib.load(tmp_path / "m.joblib")
    assert all(same_bits(a, b) for a, b in zip(trained_on(other), trained_on(network), strict=True))


IMPORTING = """
import sys, threading, time
import lanewise as lw
from lanewise.keras import ops
layers = []
if which == "layer":
    class Own(lw.layers.Layer):
        def call(self, x):
            return ops.log(ops.abs(x) + 1)
    layers = [Own()]
x = np.ones((40, 3), np.float32)
model = lw.Sequential([lw.layers.Dense(3), *layers, lw.layers.Dense(3)])
model.compile("adam", "mse" if which != "loss" else lambda true, pred: ops.mean(ops.square(true - pred), axis=-1))

class Slow:
    "Every import of the package takes long."
    def find_spec(self, name, path=None, target=None):
        if name.startswith("lanewise"):
            imported.append(name)
            time.sleep(0.2)

imported = []
sys.meta_path.insert(0, Slow())
training = threading.Thread(target=lambda: model.fit(x, x, verbose=0))
training.start()
time.sleep(0.1)
child = os.fork()
if child == 0:
    again = lw.Sequential([lw.layers.Dense(3)])
    again.compile("adam", "mse")
    again.fit(x, x, verbose=0)
    os._exit(0)
end = time.monotonic() + 20
while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
    time.sleep(0.02)
if ended == (0, 0):
    os.kill(child, 9)
training.join()
print(json.dumps([ended[1] if ended[0] else None, imported]))
"""


@pytest.mark.parametrize("which", ["plain", "layer", "loss"])
def test_a_child_forked_in_the_first_fit_trains(which: str) -> None:
    """The first `fit` of a process imported modules, and the child waited for the lock of one for ever."""
    assert python(f"import json, os\nimport numpy as np\nwhich = {which!r}" + IMPORTING) == [0, []]
