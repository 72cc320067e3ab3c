"""Every allocation fails once, in building, fitting, predicting, saving, loading: a MemoryError, and what was asked for
succeeds when it is asked for again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="preloads a library"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="builds a library"),
    pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer has an allocator of its own"),
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
    env = {**os.environ, "LD_PRELOAD": str(shim), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("which", "step"),
    [("core", 29), ("numpy", 3), ("python", 397)]
    + [pytest.param(which, step, marks=pytest.mark.long) for which, step in (("core", 1), ("numpy", 1), ("python", 5))],
)
def test_every_nth_allocation_fails(shim: Path, which: str, step: int) -> None:
    results = phases(shim, which, step)
    print(which, "every", step, {r["phase"]: r["failed"] for r in results})
    assert [r["other"] for r in results] == [[]] * len(results)
    assert sum(r["failed"] for r in results) > 10


def test_another_error_or_other_bits_would_be_seen(shim: Path) -> None:
    (result,) = phases(shim, "core", 29, "planted")
    assert any("planted" in text for text in result["other"])
    assert any("other bits" in text for text in result["other"])
