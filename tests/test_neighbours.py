"""Beside other libraries with threads: OpenMP programs, threadpoolctl, orders of import, limits that others set."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lanewise import ops
from limits import SLOWER

START = """
import hashlib, json, os, sys
def trained():
    import numpy as np
    from lanewise import keras, ops
    ops.set_num_threads(2)
    x = np.random.default_rng(0).standard_normal((600, 64), dtype=np.float32)
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(256, "relu", input_shape=(64,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, 0], batch_size=100, epochs=3, verbose=0)
    times = 10 if SLOWER == 1 else 2
    product = ops.matmul(np.tile(x, (1, times)), np.tile(x, (2, times)).T)
    return hashlib.sha256(product.tobytes() + b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
threads = lambda: len(os.listdir("/proc/self/task"))
"""


def python(code: str, **environment: str | None) -> Any:
    """What a fresh Python prints last, as JSON; a hang is a failure."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", f"SLOWER = {SLOWER}\n{START}{code}"],
        capture_output=True, text=True, timeout=120 * SLOWER,
        env={key: value for key, value in env.items() if value is not None},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


needs_openmp = pytest.mark.skipif(
    ops.build_info()["thread_runtime"] != "OpenMP", reason="this build has threads of its own"
)

# --- limits that others set -------------------------------------------------------------------------------------------


@needs_openmp
def test_threadpoolctl_sees_and_limits() -> None:
    """Within its `with` block a large product starts no thread; behind it the number is the old one again."""
    pytest.importorskip("threadpoolctl")
    code = """
import numpy as np, threadpoolctl
from lanewise import ops
ops.set_num_threads(3)
large = np.ones((700, 700), np.float32)
mapped = {line.split()[-1] for line in open("/proc/self/maps") if "omp" in line}
seen = [x["filepath"] for x in threadpoolctl.threadpool_info() if x["user_api"] == "openmp"]
before, counts = threads(), []
with threadpoolctl.threadpool_limits(1):
    counts.append(ops.get_num_threads())
    ops.matmul(large, large)
    started = threads() - before
with threadpoolctl.threadpool_limits(2, user_api="openmp"):
    counts.append(ops.get_num_threads())
counts.append(ops.get_num_threads())
ops.matmul(large, large)
print(json.dumps([bool(seen) and {os.path.realpath(s) for s in seen} <= {os.path.realpath(m) for m in mapped},
                  counts, started, threads() - before]))
"""
    sees, counts, limited, free = python(code, OMP_NUM_THREADS="3")
    assert sees
    assert counts == [1, 2, 3]
    assert limited == 0
    assert free == 2


@needs_openmp
def test_the_number_that_openmp_begins_with_is_no_limit() -> None:
    code = "from lanewise import ops; ops.set_num_threads(5); print(ops.get_num_threads())"
    assert python(code, OMP_NUM_THREADS="1") == 5
    assert python(code, OMP_NUM_THREADS=None) == 5


def test_joblib_gives_each_of_its_processes_a_share() -> None:
    pytest.importorskip("joblib")
    code = """
import joblib
from lanewise import ops
with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
    print(json.dumps(joblib.Parallel()(joblib.delayed(ops.get_num_threads)() for _ in range(2))))
"""
    assert python(code, OMP_NUM_THREADS=None) == [1, 1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
@pytest.mark.parametrize(("plant", "started"), [("", 0), pytest.param("ops.set_num_threads(2)", 1, marks=needs_openmp)])
def test_one_cpu_is_obeyed_by_what_runs(plant: str, started: int) -> None:
    """Not only in the number that is told: a fit and a product of a process with one CPU start no thread. (One that is
    told to take two is seen to.)"""
    code = f"""
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
import numpy as np
from lanewise import keras, ops
{plant}
before = threads()
x = np.ones((2000, 700), np.float32)
ops.matmul(x[:700], x[:700])
model = keras.Sequential([keras.layers.Dense(512, input_shape=(700,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x[:, 0], epochs=2, verbose=0)
model.predict(x, verbose=0)
print(threads() - before)
"""
    assert python(code, OMP_NUM_THREADS=None) == started


# --- in the middle of an OpenMP program -------------------------------------------------------------------------------

PROGRAM = r"""
#include <omp.h>
/* Calls back from each thread of a parallel region, and of one within it. */
void from_each_thread(int threads, void (*call)(int)) {
#pragma omp parallel num_threads(threads)
  call(omp_get_thread_num());
}
void from_nested_regions(void (*call)(int)) {
  omp_set_max_active_levels(2);
#pragma omp parallel num_threads(2)
  {
    int outer = omp_get_thread_num();
#pragma omp parallel num_threads(2)
    call(2 * outer + omp_get_thread_num());
  }
}
"""


@pytest.mark.parametrize(("compiler", "plant"), [("gcc", ""), ("clang", ""), ("gcc", "keras.utils.set_random_seed(2)")])
def test_called_from_the_threads_of_an_openmp_program(compiler: str, plant: str, tmp_path: Path) -> None:
    """libgomp, the runtime that lanewise has, and a second one, libomp. (Planted: another model answers there.)"""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    (tmp_path / "program.c").write_text(PROGRAM)
    library = tmp_path / "program.so"
    command = [compiler, "-fopenmp", "-O1", "-shared", "-fPIC", str(tmp_path / "program.c"), "-o", str(library)]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"{compiler} has no OpenMP here")
    code = f"""
import ctypes
program = ctypes.CDLL({str(library)!r})
import numpy as np
from lanewise import keras, ops
ops.set_num_threads(2)
rng = np.random.default_rng(0)
n = 600 if SLOWER == 1 else 200
large = rng.standard_normal((n, n), dtype=np.float32)
model = keras.Sequential([keras.layers.Dense(n, "relu", input_shape=(n,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
want = ops.matmul(large, large).tobytes(), model.predict(large, verbose=0).tobytes()
if {plant!r}:
    {plant}
    model = keras.Sequential([keras.layers.Dense(n, "relu", input_shape=(n,)), keras.layers.Dense(1)])
found = []
@ctypes.CFUNCTYPE(None, ctypes.c_int)
def call(thread):
    for _ in range(3):
        found.append((ops.matmul(large, large).tobytes(), model.predict(large, verbose=0).tobytes()) == want)
    hashes.append(trained())
hashes = []
outside = trained()
program.from_each_thread(4, call)
program.from_nested_regions(call)
hashes.append(trained())
print(json.dumps([len(found), sum(found), len(hashes), sum(h == outside for h in hashes[-1:])]))
"""
    calls, right, trainings, last = python(code)
    print(f"[{calls} calls from 4 and 2 x 2 threads]")
    assert (calls, right, trainings, last) == (24, 0 if plant else 24, 9, 1)


# --- imported in every order ------------------------------------------------------------------------------------------

USES = {
    "numpy": "import numpy as n; n.ones((300, 300)) @ n.ones((300, 300))",
    "sklearn": "from sklearn.cluster import KMeans; import numpy as n; "
    "KMeans(3, n_init=1).fit(n.random.default_rng(0).random((900, 5)))",  # OpenMP within
    "torch": "import torch; torch.set_num_threads(2); "
    "torch.ones(500, 500, requires_grad=True).matmul(torch.ones(500, 500)).sum().backward()",
    "lanewise": "first = trained()",
}
LIBRARIES = [name for name in USES if importlib.util.find_spec(name)]
ORDERS = list(itertools.permutations(LIBRARIES))
SOME = {tuple(LIBRARIES), tuple(reversed(LIBRARIES))}


@pytest.mark.parametrize(
    "order",
    [pytest.param(o, id="-".join(o), marks=() if o in SOME else pytest.mark.long) for o in ORDERS],
)
def test_imported_in_any_order(order: tuple[str, ...]) -> None:
    """Each library works in threads right after its import and again when all are there; ours with the same bits."""
    code = "\n".join([USES[name] for name in order] * 2) + "\nprint(json.dumps([first, trained()]))"
    alone = python(USES["lanewise"] + "\nprint(json.dumps(first))")
    assert python(code) == [alone, alone]
