"""python -m bench.compare: two libraries take turns, and what was measured is written down."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def compare(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.compare", "--quick", "--rounds", "1", *arguments], cwd=ROOT, capture_output=True,
        text=True, timeout=200,
    )  # fmt: skip
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
    compare("--peers", "numpy", "--only", "train", "--filter", "20-64-64-1", "--json", str(file))
    compare("--peers", "numpy", "--only", "predict", "--filter", "batch 32", "--json", str(tmp_path / "predict.json"))
    (train,) = json.loads(file.read_text())["tasks"]
    (predict,) = json.loads((tmp_path / "predict.json").read_text())["tasks"]
    for task in (train, predict):
        assert task["missing"] == {}
        assert set(task["seconds"]) == {"lanewise", "lanewise (again)", "numpy"}


def test_the_list_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.compare.shapes import KINDS, QUICK, SHAPES
    from bench.compare.tasks import Task, all_tasks

    assert len({shape.name for shape in SHAPES}) == len(SHAPES) >= 60
    assert {shape.kind for shape in SHAPES} == set(KINDS)
    assert set(QUICK) < set(SHAPES)
    for task in all_tasks(["train", "optimizers", "predict", "matmul"], quick=False):
        assert Task.from_json(json.loads(json.dumps(task.as_json()))) == task
