"""The results of tables.py as a table in Markdown and a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from _report import pyplot, save_picture
from _table_data import LOOKED_AT, TABLES, UNSEEN
from _table_models import MODELS

US, PEER = "lanewise", "RealMLP"
_T95 = {1: 12.706, 4: 2.776, 9: 2.262, 14: 2.145}  # quantiles of Student's distribution, by degrees of freedom


class Row(NamedTuple):
    """One table, on the folds that all models have: what each model did there."""

    table: str
    folds: int
    errors: dict[str, tuple[float, float]]  # mean, half of its 95 % interval
    apart: tuple[float, float] | None  # lanewise's less RealMLP's, paired, and half of its interval
    cpu: dict[str, float]  # seconds a fit
    size: dict[str, float]  # bytes
    covered: tuple[int, int]  # rows within lanewise's 90 % interval, rows; (0, 0) for classes


def _interval(values: np.ndarray, ratio: float) -> tuple[float, float]:
    """(mean, half of its 95 % interval) over folds whose training rows overlap.

    Args:
        values: one a fold.
        ratio: test rows over training rows.

    Source: the corrected resampled t-test, Nadeau and Bengio, Inference for the Generalization Error (2003).
    """
    n = len(values)
    return float(values.mean()), _T95[n - 1] * math.sqrt((1 / n + ratio) * values.var(ddof=1))


def rows_of(results: dict[str, Any]) -> list[Row]:
    """Tables that all models in the results have, on the folds that all of them have."""
    models = [model for model in MODELS if any(key.startswith(f"{model}/") for key in results)]
    found = []
    for table in TABLES:
        each = [{key[len(f"{m}/{table}/") :] for key in results if key.startswith(f"{m}/{table}/")} for m in models]
        common = sorted(set.intersection(*each)) if each else []
        if not common:
            continue
        parts = {model: [results[f"{model}/{table}/{fold}"] for fold in common] for model in models}
        test, train = parts[models[0]][0]["test"], parts[models[0]][0]["train"]
        if len(common) not in ((5, 10, 15) if test + train < 5000 else (2,)):  # whole repeats
            continue
        ratio = test / train
        errors = {model: np.array([part["error"] for part in parts[model]]) for model in models}
        ours = parts.get(US, [])
        covered = sum(part.get("covered", 0) for part in ours)
        found.append(Row(
            table, len(common), {model: _interval(errors[model], ratio) for model in models},
            _interval(errors[US] - errors[PEER], ratio) if US in models and PEER in models else None,
            {model: float(np.mean([part["cpu"] for part in parts[model]])) for model in models},
            {model: float(np.mean([part["bytes"] for part in parts[model]])) for model in models},
            (covered, sum(part["test"] for part in ours if "covered" in part)),
        ))  # fmt: skip
    return found


def ranks(rows: Sequence[Row]) -> dict[str, float]:
    """Mean rank of each model by error, 1 is best; equal errors share theirs."""
    each: dict[str, list[float]] = {model: [] for model in rows[0].errors}
    for row in rows:
        values = {model: round(error[0], 6) for model, error in row.errors.items()}
        for model, value in values.items():
            below, equal = (sum(v < value for v in values.values()), sum(v == value for v in values.values()))
            each[model].append(below + (equal + 1) / 2)
    return {model: float(np.mean(found)) for model, found in each.items()}


def _share(rows: Sequence[Row]) -> str:
    covered, total = (sum(row.covered[i] for row in rows) for i in (0, 1))
    return f"{covered / total:.1%}" if total else ""


def _bytes(value: float) -> str:
    return f"{value / 1000:.0f}" if value >= 10_000 else f"{value / 1000:.1f}"


def _part(title: str, rows: Sequence[Row]) -> list[str]:
    """One table: a line for each row, then what they say together."""
    models = list(rows[0].errors)
    lines = [
        f"## {title}", "", f"| table | folds | {' | '.join(models)} | less {PEER} | coverage | CPU, s | model, kB |",
        "|---|---|" + "---|" * len(models) + "---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        best = min(error[0] for error in row.errors.values())
        cells = [f"{'**' * (v == best)}{v:.3f}{'**' * (v == best)} ±{half:.3f}" for v, half in row.errors.values()]
        apart = f"{row.apart[0]:+.3f} ±{row.apart[1]:.3f}" if row.apart else ""
        cpu = " / ".join(f"{row.cpu[model]:.2f}" for model in models)
        kilobytes = " / ".join(_bytes(row.size[model]) for model in models)
        lines.append(
            f"| {row.table} | {row.folds} | {' | '.join(cells)} | {apart} | {_share([row])} | {cpu} | {kilobytes} |"
        )
    by_rank = ranks(rows)
    lines += [
        f"| mean rank | | {' | '.join(f'{by_rank[model]:.2f}' for model in models)} | | {_share(rows)} | | |", "",
    ]  # fmt: skip
    if PEER in models and US in models:
        factors = np.array([row.cpu[PEER] / row.cpu[US] for row in rows])
        better, worse = (sum(1 for row in rows if row.apart and sign * row.apart[0] > row.apart[1]) for sign in (-1, 1))
        lower = sum(row.errors[US][0] < row.errors[PEER][0] for row in rows)
        lines += [
            f"{PEER}'s CPU over {US}'s: {np.exp(np.log(factors).mean()):.1f} (geometric mean; {factors.min():.1f} to "
            f"{factors.max():.1f}). {US} errs less than {PEER} on {lower} of {len(rows)} tables; by more than the",
            f"interval of the difference on {better}, and more on {worse}.", "",
        ]  # fmt: skip
    return lines


def report(rows: Sequence[Row]) -> str:
    """The tables, in Markdown."""
    lines = [
        "# Real tables",
        "",
        "Made by `examples/tables.py` from [tables.json](tables.json). Models as they come; 5-fold cross-validation,",
        "three times on tables of fewer than 1,000 rows, the same folds for all. Error: RMSE over the deviation of y,",
        "or the share of wrong labels (without coverage), and half of the 95 % interval of its mean (corrected for",
        "overlapping training rows, Nadeau and Bengio 2003). Coverage: of lanewise's 90 % intervals on test rows. CPU:",
        "seconds of all threads for one fit and its predictions, models taking turns on a machine with other work.",
        f"Model: kilobytes with the preprocessing. Both in the order {', '.join(rows[0].errors)}.",
        "",
    ]  # fmt: skip
    parts = {
        "Never looked at while choosing defaults": [row for row in rows if row.table in UNSEEN],
        "Some of these were looked at while choosing defaults": [row for row in rows if row.table in LOOKED_AT],
    }
    for title, chosen in parts.items():
        lines += _part(title, chosen) if chosen else []
    return "\n".join(lines)


def draw(rows: Sequence[Row]) -> None:
    """Error, time and size of each model, over the best error, in seconds and kilobytes, table by table."""
    plot = pyplot()
    if plot is None:
        return
    rows = sorted(rows, key=lambda row: row.table in LOOKED_AT)
    figure, axes = plot.subplots(1, 3, figsize=(13, 0.34 * len(rows) + 1.6), sharey=True)
    for i, model in enumerate(rows[0].errors):
        best = [max(min(error for error, _ in row.errors.values()), 1e-9) for row in rows]
        columns = (
            [(row.errors[model][0] / b, row.errors[model][1] / b) for row, b in zip(rows, best, strict=True)],
            [(row.cpu[model], 0.0) for row in rows],
            [(row.size[model] / 1000, 0.0) for row in rows],
        )
        places = np.arange(len(rows)) + 0.14 * (i - 2)
        for ax, pairs in zip(axes, columns, strict=True):
            values, half = np.array(pairs).T
            ax.errorbar(
                np.minimum(values, 2.0) if ax is axes[0] else values, places, xerr=half if half.any() else None,
                fmt="o", label=model, markersize=7 if model == US else 4, elinewidth=0.8, alpha=0.9,
            )  # fmt: skip
    unseen = sum(row.table in UNSEEN for row in rows)
    for ax, label in zip(
        axes, ("error over the best model's (up to 2)", "CPU of a fit, s", "size of the model, kB"), strict=True
    ):
        ax.set_xlabel(label)
        ax.grid(axis="x", alpha=0.3)
        ax.axhline(unseen - 0.5, color="black", linewidth=0.8)
        if ax is not axes[0]:
            ax.set_xscale("log")
    axes[0].set(yticks=range(len(rows)), yticklabels=[row.table for row in rows], xlim=(0.7, 2.05))
    axes[0].invert_yaxis()
    axes[0].set_title("above the line: never looked at while choosing defaults", fontsize=9, loc="left")
    figure.tight_layout()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower right", bbox_to_anchor=(1, 1), ncols=5, fontsize=9)
    save_picture(figure, "tables.png")
