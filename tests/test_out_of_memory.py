"""Every allocation fails once, in building, fitting, predicting, saving, loading: a MemoryError, and what was asked for
succeeds when it is asked for again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
import out_of_memory
from sanitizer import preloading

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="preloads a library"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="builds a library"),
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shim") / "failing_malloc.so"
    command = ["g++", "-std=c++20", "-O1", "-shared", "-fPIC", str(HERE / "failing_malloc.cpp"), "-o", str(out)]
    subprocess.run(command, check=True, timeout=60)
    return out


def phases(shim: Path, which: str, step: int, *more: str) -> list[dict[str, Any]]:
    """Every step-th allocation of `which` fails: C++'s (core), that of arrays (numpy), of Python objects (python)."""
    command = [sys.executable, str(HERE / "out_of_memory.py"), which, str(step), *more]
    env = {**preloading(shim), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


# Without "save", each of whose 500 takes a while; "first fit" and "another fit" train again after each of 230.
QUICK = ["build", "first fit", "another fit", "predict", "evaluate", "value_and_grad", "many rows", "load", "matmul"]


# Of Python alone: a generator for which there is no memory. CPython 3.12.1 and 3.13.0 end with a segmentation fault.
GENERATORS = """
import _testcapi
def call(rows):
    return any(row is not None for row in rows)
for n in range(1, 12):
    _testcapi.set_nomemory(n, n + 1)
    try:
        call([1])
    except MemoryError:
        pass
    _testcapi.remove_mem_hooks()
"""


# Of NumPy alone: an iterator for which there is no memory. NumPy 1.26 ends with a segmentation fault.
ITERATORS = """
import _testcapi
import numpy as np
a, b = np.ones((40, 3)), np.ones((40, 1))
for n in range(1, 40):
    _testcapi.set_nomemory(n, n + 1)
    try:
        (a / b).all()
    except (MemoryError, SystemError):
        pass
    _testcapi.remove_mem_hooks()
"""


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("which", "step", "names"),
    [
        pytest.param("core", 3, QUICK, id="core-3"),
        pytest.param("core", 29, ["save"], id="core-29-save"),
        pytest.param("numpy", 3, [], id="numpy-3"),
        pytest.param("python", 97, [], id="python-97"),
        pytest.param("python", 5, ["build"], id="python-5-build"),
        pytest.param("core", 1, [], id="core-1", marks=pytest.mark.long),
        pytest.param("numpy", 1, [], id="numpy-1", marks=pytest.mark.long),
        pytest.param("python", 5, [], id="python-5", marks=pytest.mark.long),
    ],
)
def test_every_nth_allocation_fails(shim: Path, which: str, step: int, names: list[str]) -> None:
    for alone in (GENERATORS, ITERATORS) if which == "python" else ():
        if subprocess.run([sys.executable, "-c", alone], capture_output=True).returncode:
            pytest.skip("this Python, or NumPy, does not survive it itself")
    results = phases(shim, which, step, *names)
    print(which, "every", step, {r["phase"]: r["failed"] for r in results})
    assert [r["other"] for r in results] == [[]] * len(results)
    assert sum(r["failed"] for r in results) > 10
    if which != "python":  # of which few phases have hundreds; NumPy takes small arrays from memory that it keeps
        assert all(r["failed"] for r in results if which == "core" or r["phase"] in ("many rows", "save", "load"))


def test_another_error_or_other_bits_would_be_seen(shim: Path) -> None:
    (result,) = phases(shim, "core", 29, "planted")
    assert any("planted" in text for text in result["other"])
    assert any("other bits" in text for text in result["other"])


def test_no_step_and_no_result_sets_a_context_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CPython 3.11 ends where there is no memory to set one, and NumPy's errstate does."""

    def errstate(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("np.errstate")

    model, x, y = out_of_memory.build(), out_of_memory.X, out_of_memory.Y
    monkeypatch.setattr(np, "errstate", errstate)
    many = out_of_memory.MANY.astype(np.float64)
    model.fit(x, y.astype(np.float64), sample_weight=np.ones(50), validation_split=0.2, verbose=0)
    out_of_memory.with_many(model)
    out_of_memory.with_slopes(model)
    model.predict(many, verbose=0)
    model.save(tmp_path / "a.lanewise")
    with pytest.raises(AssertionError, match="errstate"):  # it would be seen
        lw.keras.metrics.R2Score().finish(np.ones(5))


CONTEXTS = """
import _testcapi
import lanewise as lw
from lanewise._registry import collected, get_registered_object
from lanewise.initializers.base import few_items, take_items, zeros_only
try:
    with lw.keras.utils.custom_object_scope({"A": int}), few_items(3), collected(), zeros_only(10):
        _testcapi.set_nomemory(1, 60)
        [float(n) for n in range(100, 1000)]
except MemoryError:
    seen = True
finally:
    _testcapi.remove_mem_hooks()
assert seen
layer = lw.layers.Dense(3)
layer.build((None, 2))
assert layer.kernel.numpy().all() and get_registered_object("A") is None
take_items("items", 100)
"""


def test_what_holds_inside_a_load_ends_with_it_where_memory_ended() -> None:
    """The reset of a context variable takes memory: every layer made afterwards began with zeros."""
    done = subprocess.run([sys.executable, "-c", CONTEXTS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
