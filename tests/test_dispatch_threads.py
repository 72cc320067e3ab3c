"""Which code runs, on how many threads: switches, limits of the machine, one budget for all callers, nothing leaks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bounds import ALIKE, FMA_ISAS, floats, running
from lanewise import keras, ops
from limits import SLOWER
from reference import same_bits

RNG = np.random.default_rng(0)
A, B = floats(RNG, 300, 400), floats(RNG, 400, 260)
WIDE = floats(RNG, 700, 515)  # more elements than one thread takes alone
LABELS = RNG.integers(0, 515, 700)

FUNCTIONS = ("relu", "sigmoid", "tanh", "softmax")
LARGE: dict[str, Callable[[], list[np.ndarray]]] = {
    "matmul": lambda: [ops.matmul(A, B), ops.matmul(B.T, A.T), ops.matmul(A[:5], B), ops.matmul(WIDE, WIDE[:1].T)],
    "tall matmul": lambda: [ops.matmul(np.tile(WIDE, (12, 1)), WIDE[:n].T) for n in (20, 1)],
    "dense_forward": lambda: [ops.dense_forward(A, B, B[0], name) for name in ("relu", "tanh", "softmax")],
    "dense_backward": lambda: list(ops.dense_backward(ops.matmul(A, B), A, B, ops.matmul(A, B), "relu")),
    "activations": lambda: [getattr(ops, f + "_forward")(WIDE) for f in ("relu", "sigmoid", "tanh", "softmax")],
    "gradients": lambda: [getattr(ops, f + "_backward")(WIDE, WIDE[::-1]) for f in FUNCTIONS],
    "losses": lambda: [getattr(ops, f + "_forward")(np.abs(WIDE[::-1]), WIDE) for f in ("mse", "mae", "huber")],
    "loss gradients": lambda: [ops.categorical_crossentropy_backward(np.abs(WIDE[::-1]), WIDE)],
    "sparse": lambda: [ops.sparse_categorical_crossentropy_forward(LABELS, WIDE),
                       ops.sparse_categorical_crossentropy_backward(LABELS, WIDE)],
    "sums": lambda: [ops.column_sum(WIDE), ops.row_sum(WIDE), ops.column_sum(np.tile(WIDE, (3, 1)))],
    "optimizers": lambda: stepped(),
}  # fmt: skip


def stepped() -> list[np.ndarray]:
    w, m, v = WIDE.copy(), np.abs(WIDE), np.abs(WIDE[::-1])
    ops.adam_step(w, WIDE[::-1].copy(), m, v, step=3)
    ops.rmsprop_step(m, WIDE, v)
    ops.sgd_step(w, WIDE, v, momentum=0.9, nesterov=True)
    return [w, m, v]


# --- the same bits, however the work is shared -----------------------------------------------------------------------


@pytest.mark.parametrize("name", LARGE)
def test_threads_change_no_bit(isa: str, name: str) -> None:
    with running(threads=1):
        want = LARGE[name]()
    for threads in (2, 3, 7):
        with running(threads=threads):
            assert all(same_bits(a, b) for a, b in zip(LARGE[name](), want, strict=True)), threads


@pytest.mark.skipif(len(FMA_ISAS) < 2, reason="this CPU has one ISA with FMA")
@pytest.mark.parametrize("name", LARGE)
def test_isas_with_fma_give_the_same_bits(name: str) -> None:
    results = []
    for isa in FMA_ISAS:
        with running(isa):
            results.append(LARGE[name]())
    for other in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(other, results[0], strict=True))


@pytest.mark.skipif(not FMA_ISAS, reason="this CPU has no ISA with FMA")
def test_use_isa_changes_what_runs() -> None:
    """A product rounded once and one rounded twice differ somewhere in 78,000 sums of 400 terms."""
    results = []
    for isa in ("generic", FMA_ISAS[0]):
        ops.use_isa(isa)
        assert ops.active_isa() == isa
        assert ops.build_info()["isa"] == isa
        results.append(ops.matmul(A, B))
    assert not same_bits(*results)


def test_an_isa_that_is_not_there_changes_nothing() -> None:
    before = ops.active_isa()
    for name in ("neon" if before != "neon" else "avx2", "AVX2", "", "fastest"):
        if name in ops.available_isas():
            continue
        with pytest.raises(ValueError, match="generic"):
            ops.use_isa(name)
        assert ops.active_isa() == before


def test_number_of_threads() -> None:
    for n in (1, 2, 64):
        ops.set_num_threads(n)
        assert ops.get_num_threads() == n
    for bad in (0, -1, 1025, 2**31 - 1):  # a runtime asked for very many ends the process
        with pytest.raises(ValueError, match=f"n: expected 1 to 1024 threads.*{bad}"):
            ops.set_num_threads(bad)
    with pytest.raises(TypeError):
        ops.set_num_threads(1.5)  # type: ignore[arg-type]
    assert ops.get_num_threads() == 64


# --- the limits of the machine ---------------------------------------------------------------------------------------


def python(code: str, **environment: str | None) -> str:
    """What a fresh Python prints."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120 * SLOWER,
                          env={key: value for key, value in env.items() if value is not None})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_the_default_follows_affinity_and_the_environment() -> None:
    show = "from lanewise import ops; print(ops.get_num_threads())"
    cpus = sorted(os.sched_getaffinity(0))
    pinned = f"import os; os.sched_setaffinity(0, {{{cpus[0]}}}); "
    assert python(pinned + show, OMP_NUM_THREADS=None) == "1"
    assert 1 <= int(python(show, OMP_NUM_THREADS=None)) <= len(cpus)
    assert python(pinned + show, OMP_NUM_THREADS="5") == "5"
    # LLVM's runtime ends the process itself where the variable is empty or no number.
    clang = "Clang" in str(ops.build_info()["compiler"])
    for nonsense in ("0",) if clang else ("", "0", "many"):
        assert 1 <= int(python(show, OMP_NUM_THREADS=nonsense)) <= len(cpus)


def test_large_work_starts_threads_and_small_work_does_not() -> None:
    code = """
import os, numpy as np
from lanewise import keras, ops
ops.set_num_threads(3)
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
small = np.ones((16, 16), np.float32)
ops.matmul(small, small), ops.tanh_forward(small)
model = keras.Sequential([keras.layers.Dense(4, input_shape=(16,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(small, small[:, 0], epochs=50, verbose=0)
model.predict(small, verbose=0)
after_small = count()
large = np.ones((700, 700), np.float32)
ops.matmul(large, large)
print(after_small - before, count() - before)
"""
    if ops.build_info()["thread_runtime"] != "OpenMP":
        pytest.skip("only OpenMP keeps its threads")
    assert python(code, OPENBLAS_NUM_THREADS="1") == "0 2"


# --- many callers ----------------------------------------------------------------------------------------------------


def test_concurrent_calls_share_the_threads_and_keep_their_bits() -> None:
    ops.set_num_threads(3)
    want = {name: work() for name, work in LARGE.items()}
    wrong: list[str] = []

    def call(names: list[str]) -> None:
        for name in names:
            if not all(same_bits(a, b) for a, b in zip(LARGE[name](), want[name], strict=True)):
                wrong.append(name)

    order = list(LARGE)
    team = [threading.Thread(target=call, args=(order[i:] + order[:i],)) for i in range(6)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert wrong == []


def test_switches_turned_while_others_compute() -> None:
    """Any ISA with FMA and any number of threads give the same bits, so turning them in flight must not be seen."""
    ops.use_isa(ALIKE[0])
    want, wrong, done = ops.matmul(A, B), [], threading.Event()

    def call() -> None:
        for _ in range(60):
            if not same_bits(ops.matmul(A, B), want):
                wrong.append(1)
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    turn = 0
    while not done.is_set():
        ops.set_num_threads(1 + turn % 7)
        ops.use_isa(ALIKE[turn % len(ALIKE)])
        turn += 1
    thread.join()
    assert wrong == []


RESIDENT = """
import threading, numpy as np
from lanewise import keras, ops
from memory import resident
x = np.ones((200, 200), np.float32)
model = keras.Sequential([keras.layers.Dense(64, input_shape=(200,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x[:, 0], verbose=0)
"""


def test_short_lived_threads_leave_no_memory_behind() -> None:
    code = (
        RESIDENT
        + """
def work():
    ops.matmul(x, x)
    model.predict(x[:3], verbose=0)
def run(n):
    for _ in range(n):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
run(200)
before = resident()
run(800)
print(resident() - before)
"""
    )
    assert int(python(code)) < 2048  # KB; the scratch of one thread is 200 KB


def test_changing_the_number_of_threads_leaves_no_memory_behind() -> None:
    code = (
        RESIDENT
        + """
large = np.ones((300, 300), np.float32)
def run(n):
    for i in range(n):
        ops.set_num_threads(1 + i % 7)
        ops.matmul(large, large)
        model.fit(x, x[:, 0], verbose=0)
run(50)
before = resident()
run(300)
print(resident() - before)
"""
    )
    assert int(python(code)) < 2048


@pytest.mark.long
def test_ten_thousand_threads_and_a_hundred_forks() -> None:
    code = (
        RESIDENT
        + """
import os
def work():
    ops.matmul(x, x)
for n in (500, 10000):
    for _ in range(n):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    if n == 500:
        before = resident()
growth = resident() - before
ops.set_num_threads(2)
large = np.ones((600, 600), np.float32)
want = ops.matmul(large, large)
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        model.fit(x, x[:, 0], epochs=2, verbose=0)
        os._exit(0 if np.array_equal(ops.matmul(large, large), want) else 3)
    assert os.waitpid(pid, 0)[1] == 0
print(growth)
"""
    )
    assert int(python(code)) < 2048


def test_a_model_trains_while_others_predict_between_its_slices() -> None:
    """Each prediction is that of the weights after a whole batch: one of those that another such training shows."""
    x = floats(RNG, 3000, 40)

    def trained(each_batch: bool) -> keras.Sequential:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Dense(64, "relu", input_shape=(40,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(x[:32], x[:32, 0], verbose=0)

        class Keep(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                states.add(model.predict_on_batch(x[:5]).tobytes())

        if each_batch:
            Keep().on_train_batch_end(0)
            model.fit(x, x[:, 0], epochs=60, verbose=0, callbacks=[Keep()])
        return model

    states: set[bytes] = set()
    trained(each_batch=True)
    assert len(states) == 1 + 60 * 94
    model, seen = trained(each_batch=False), []
    trainer = threading.Thread(target=lambda: model.fit(x, x[:, 0], epochs=60, verbose=0))
    trainer.start()
    while trainer.is_alive():
        seen.append(model.predict(x[:5], verbose=0).tobytes())
    trainer.join()
    print(f"[{len(seen)} predictions during a fit, of {len(set(seen))} states of {len(states)}]")
    assert set(seen) <= states
    assert same_bits(model.predict(x[:5], verbose=0), model.predict(x, verbose=0)[:5])
