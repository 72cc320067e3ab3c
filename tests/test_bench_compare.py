"""python -m bench.compare: two libraries take turns, and what was measured is written down."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def compare(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench.compare", "--quick", "--rounds", "1", "--threads", "1", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_products_of_two_libraries(tmp_path: Path) -> None:
    out = compare(
        "--peers", "numpy", "--only", "matmul", "--filter", "16x16x16", "--json", str(tmp_path / "results.json"),
        "--markdown", str(tmp_path / "results.md"),
    )  # fmt: skip
    assert "16x16x16" in out
    document = json.loads((tmp_path / "results.json").read_text())
    (task,) = document["tasks"]
    assert set(task["seconds"]) == {"lanewise", "lanewise (again)", "numpy"}
    assert all(1e-8 < seconds < 1 for seconds in task["seconds"].values())
    assert task["flops"] == 2 * 16**3
    assert document["fma_peak"] > 1e8
    assert "| 16x16x16 |" in (tmp_path / "results.md").read_text()


def test_training_and_prediction(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    compare("--peers", "numpy", "--only", "train", "predict", "--filter", "-1, batch 32", "--json", str(file))
    tasks = json.loads(file.read_text())["tasks"]
    assert [task["task"] for task in tasks] == ["1000-128-1, batch 32", "20-64-64-1, batch 32", "1000-128-1, batch 32"]
    for task in tasks:
        assert task["missing"] == {}
        assert set(task["seconds"]) == {"lanewise", "lanewise (again)", "numpy"}


def test_bandwidth_is_the_floor_of_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.compare import machine
    from bench.compare.tasks import all_tasks

    monkeypatch.setattr(machine, "working_sets", lambda levels, threads: [("memory", 1 << 20)])
    measured = machine.Machine(1, bandwidth=True)
    assert set(measured.bandwidth) == set(measured.cache_bandwidth) == {"read", "copy", "update"}
    for task in all_tasks(["elementwise"], quick=True):
        floor = measured.floor(task)
        assert floor is not None
        assert 1e-7 < floor < 1
        assert machine.Machine(1, bandwidth=False).floor(task) is None


def test_the_list_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.compare.shapes import KINDS, QUICK, SHAPES
    from bench.compare.tasks import Task, all_tasks

    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 60
    assert {shape.kind for shape in SHAPES} == set(KINDS)
    assert set(QUICK) < set(SHAPES)
    for task in all_tasks(["train", "optimizers", "predict", "matmul"], quick=False):
        assert Task.from_json(json.loads(json.dumps(task.as_json()))) == task


def test_arrays_lie_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.compare import placing
    from bench.compare.functions import arrays
    from bench.compare.shapes import SHAPES
    from bench.compare.tasks import Task

    for after in placing.AFTER:
        monkeypatch.setenv(placing.VARIABLE, str(after))
        for shape in SHAPES[::9]:
            task = Task("matmul", shape=shape)
            a, b = task.operands()
            assert (a.shape, b.shape) == ((shape.m, shape.k), (shape.k, shape.n))
            assert [v.ctypes.data % 4096 for v in (a, b, task.result())] == [after, after + 11 * 64, after + 22 * 64]
        x, y = arrays((3, 5), 2)
        assert [v.ctypes.data % 4096 for v in (x, y)] == [after, after + 11 * 64]
        assert not (x == y).any()
    assert placing.empty((0, 5)).shape == (0, 5)


def test_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.compare.session import AGAIN, Result
    from bench.compare.tasks import Task

    seconds = {"lanewise": 2.0, AGAIN: 1.0, "torch": 3.0, "jax": 4.0}
    result = Result(Task("matmul"), seconds, fastest={**seconds, "lanewise": 1.25, "jax": 2.5})
    assert (result.best_peer, result.ratio, result.fastest_ratio, result.again) == ("torch", 1.5, 2.0, 0.5)
    assert result.cold_ratio is None
    assert Result(Task("matmul"), {"lanewise": 2.0}).ratio is None
