"""Fifteen real tables: lanewise.tabular beside RealMLP, boosting, scikit-learn's MLP and linear models, as they come.

    pip install ".[examples]" pandas && pip install --no-deps ISLP statsmodels && pip install pytabkit
    python examples/tables.py            # goes on where it was stopped; --seconds 150 ends after so many

5-fold cross-validation, the same folds for all. Errors are RMSE over the standard deviation of y for numbers, and the
share of wrong labels for classes. What is not installed is left out, and said. Every result goes to a JSON file at
once; the last step writes a table (Markdown) and a picture.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from _report import pyplot, save_picture
from _tables import MODELS, TABLES, Task, timed, warm_up

FOLDS = 5
RESULTS = Path(__file__).parent / "results" / "tables.json"
SAMPLES = 1000  # of the bootstrap


def folds(task: Task, name: str) -> list[np.ndarray]:
    """Test rows of each fold, the same for all models."""
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(len(task.y))
    if task.classes:
        order = order[np.argsort(task.y[order], kind="stable")]
    return [np.sort(order[fold::FOLDS]) for fold in range(FOLDS)]


def run(model: str, table: str, task: Task, fold: int) -> dict[str, Any]:
    """Errors of one fold: of each row, 0 or 1 for classes, squared over the variance of y for numbers."""
    test = folds(task, table)[fold]
    train = np.setdiff1d(np.arange(len(task.y)), test)
    fitted, seconds, cpu = timed(model, task, train, test)
    y = task.y[test]
    wrong = fitted.predicted != y if task.classes else (fitted.predicted - y) ** 2 / task.y.var()
    found: dict[str, Any] = {"errors": [float(f"{e:.5g}") for e in wrong], "seconds": seconds, "cpu": cpu}
    if fitted.interval is not None:
        low, high = fitted.interval
        found["covered"] = int(((low <= y) & (y <= high)).sum())
        found["width"] = float(np.mean(high - low) / task.y.std())
    return found


def complete(results: dict[str, Any], models: list[str], tables: list[str], until: float, path: Path) -> bool:
    """Run what is missing; whether all is there."""
    for model in models:
        ready = False
        for table in tables:
            task = None
            for fold in range(FOLDS):
                key = f"{model}/{table}/{fold}"
                if key in results:
                    continue
                if time.monotonic() > until:
                    return False
                try:
                    if not ready:
                        warm_up(model)
                        ready = True
                    task = task or TABLES[table]()
                except ImportError as error:
                    print(f"{model} on {table} is left out: {error}")
                    break
                results[key] = run(model, table, task, fold)
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps(results))
                mean = np.mean(results[key]["errors"])
                print(f"{key}: {mean if task.classes else mean**0.5:.4f}, {results[key]['seconds']:.2f} s", flush=True)
    return True


class Row(NamedTuple):
    """One table: the errors of each model with the ends of their intervals, seconds of CPU a fit; on equal folds."""

    table: str
    folds: int
    errors: dict[str, tuple[float, float, float]]
    cpu: dict[str, float]
    covered: tuple[int, int]  # rows within lanewise's 90 % interval, rows; (0, 0) for classes


def rows_of(results: dict[str, Any]) -> list[Row]:
    """Tables that all models in the results have, on the folds that all of them have."""
    models = [model for model in MODELS if any(key.startswith(f"{model}/") for key in results)]
    found = []
    for table in TABLES:
        common = [f for f in range(FOLDS) if all(f"{model}/{table}/{f}" in results for model in models)]
        if not common:
            continue
        parts = {model: [results[f"{model}/{table}/{f}"] for f in common] for model in models}
        numbers = "covered" in parts["lanewise"][0]
        errors = {}
        for model in models:
            each = np.concatenate([part["errors"] for part in parts[model]])
            weights = np.random.default_rng(0).multinomial(len(each), np.full(len(each), 1 / len(each)), SAMPLES)
            samples = weights @ each / len(each)
            value, low, high = each.mean(), *np.percentile(samples, [2.5, 97.5])
            triple = tuple(float(np.sqrt(v)) if numbers else float(v) for v in (value, low, high))
            errors[model] = (triple[0], triple[1], triple[2])
        cpu = {model: float(np.mean([part["cpu"] for part in parts[model]])) for model in models}
        covered = sum(part.get("covered", 0) for part in parts["lanewise"])
        total = sum(len(part["errors"]) for part in parts["lanewise"]) if numbers else 0
        found.append(Row(table, len(common), errors, cpu, (covered, total)))
    return found


def ranks(rows: list[Row]) -> dict[str, float]:
    """Mean rank of each model by error, 1 is best; equal errors share theirs."""
    each: dict[str, list[float]] = {model: [] for model in rows[0].errors}
    for row in rows:
        values = {model: round(error[0], 6) for model, error in row.errors.items()}
        for model, value in values.items():
            below, equal = (sum(v < value for v in values.values()), sum(v == value for v in values.values()))
            each[model].append(below + (equal + 1) / 2)
    return {model: float(np.mean(found)) for model, found in each.items()}


def report(rows: list[Row]) -> str:
    """The table, in Markdown."""
    models = list(rows[0].errors)
    lines = [
        "# Real tables",
        "",
        "Made by `examples/tables.py`. Models as they come; 5-fold cross-validation (folds: those all models ran).",
        "Error: RMSE over the standard deviation of y, or the share of wrong labels (without coverage); 95 %",
        "bootstrap intervals over the rows. Coverage: of lanewise's 90 % intervals on test rows. CPU: seconds of all",
        "threads for one fit and its predictions.",
        "",
        f"| table | folds | {' | '.join(models)} | coverage |",
        "|---|---|" + "---|" * len(models) + "---|",
    ]
    for row in rows:
        best = min(error[0] for error in row.errors.values())
        marks = {model: "**" if error[0] == best else "" for model, error in row.errors.items()}
        cells = [f"{marks[m]}{v:.3f}{marks[m]} ({low:.3f} to {high:.3f})" for m, (v, low, high) in row.errors.items()]
        covered, total = row.covered
        share = f"{covered / total:.1%}" if total else ""
        lines.append(f"| {row.table} | {row.folds} | {' | '.join(cells)} | {share} |")
    covered, total = (sum(row.covered[i] for row in rows) for i in (0, 1))
    by_rank = ranks(rows)
    share = f"{covered / total:.1%}" if total else ""
    lines += [f"| mean rank | | {' | '.join(f'{by_rank[model]:.2f}' for model in models)} | {share} |",
              "", f"| CPU, s | {' | '.join(models)} |", "|---|" + "---|" * len(models)]  # fmt: skip
    lines += [f"| {row.table} | {' | '.join(f'{row.cpu[model]:.2f}' for model in models)} |" for row in rows]
    if "RealMLP" in models:
        factors = [row.cpu["RealMLP"] / row.cpu["lanewise"] for row in rows]
        lines += ["", f"RealMLP's CPU over lanewise's: {np.exp(np.mean(np.log(factors))):.1f} (geometric mean; "
                  f"{min(factors):.1f} to {max(factors):.1f})."]  # fmt: skip
    return "\n".join(lines) + "\n"


def draw(rows: list[Row]) -> None:
    """Error of each model over that of the best one, table by table."""
    plot = pyplot()
    if plot is None:
        return
    figure, ax = plot.subplots(figsize=(9, 0.45 * len(rows) + 1.6))
    for i, model in enumerate(rows[0].errors):
        values = [row.errors[model][0] / max(min(e[0] for e in row.errors.values()), 1e-9) for row in rows]
        places = [r + 0.14 * (i - 2) for r in range(len(rows))]
        ax.plot(np.minimum(values, 3), places, "o", label=model, markersize=8 if model == "lanewise" else 5)
    ax.set(
        yticks=range(len(rows)), yticklabels=[row.table for row in rows], xlabel="error over the best model's (up to 3)"
    )
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="lower right")
    save_picture(figure, "tables.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no fit after so many")
    parser.add_argument("--models", nargs="*", default=list(MODELS), help=", ".join(MODELS))
    parser.add_argument("--tables", nargs="*", default=list(TABLES), help=", ".join(TABLES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    stored = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    if not complete(
        stored, arguments.models, arguments.tables, time.monotonic() + arguments.seconds, arguments.results
    ):
        print("there is more to do: start it again")
    shown = rows_of(stored) if any(key.startswith("lanewise/") for key in stored) else []
    if shown:
        text = report(shown)
        arguments.results.with_suffix(".md").write_text(text)
        print("\n" + text)
        draw(shown)
