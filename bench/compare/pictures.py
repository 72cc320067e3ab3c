"""Pictures of what was measured.

    python -m bench.compare.pictures results.json [more.json ...] DIRECTORY

step-time.png   bars of a training step by library, with the floor as a line
roofline.png    every task of lanewise under the roofs of FMA peak and memory bandwidth
matmul.png      GFLOP/s of square products over their size, lanewise and peers
startup.png     bytes on disk, time to import, time to the first step
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

OURS, PEER, LINE = "#d1495b", "#8d99ae", "#2b2d42"
SQUARE = re.compile(r"^(\d+)x\1x\1$")


def _log_bars(axis: Any, values: dict[str, float], text: Any) -> None:
    """Horizontal bars, the shortest on top, each with its value."""
    names = sorted(values, key=values.__getitem__, reverse=True)
    axis.barh(names, [values[n] for n in names], color=[OURS if n == "lanewise" else PEER for n in names])
    axis.set_xscale("log")
    low, high = min(values.values()), max(values.values())
    axis.set_xlim(low / 3, high * 6)
    for place, name in enumerate(names):
        axis.text(values[name] * 1.1, place, text(values[name]), va="center", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def step_time(document: dict[str, Any]) -> Any:
    """A panel for each network."""
    from .report import time_text

    tasks = [t for t in document["tasks"] if t["group"] == "train"]
    if not tasks:
        return None
    figure, axes = plt.subplots(len(tasks), 1, figsize=(7, 2.3 * len(tasks)), squeeze=False)
    for axis, task in zip(axes[:, 0], tasks, strict=True):
        _log_bars(axis, {n: s for n, s in task["seconds"].items() if "again" not in n}, time_text)
        axis.axvline(task["floor"], color=LINE, linestyle="--", linewidth=1)
        axis.set_title(f"a training step of {task['task']}; dashed: its arithmetic at the FMA peak", fontsize=8)
        axis.set_xlabel("seconds, logarithmic", fontsize=8)
    return figure


def roofline(document: dict[str, Any]) -> Any:
    """Operations a second over operations per byte that must move at least once."""
    peak, bandwidth = document["fma_peak"], document["bandwidth"].get("read")
    points = [(t, t["seconds"]["lanewise"]) for t in document["tasks"] if "lanewise" in t["seconds"] and t["flops"]]
    if not points:
        return None
    figure, axis = plt.subplots(figsize=(7, 4.5))
    for group in dict.fromkeys(t["group"] for t, _ in points):
        mine = [(t["flops"] / t["bytes"], t["flops"] / s / 1e9) for t, s in points if t["group"] == group]
        axis.scatter(*zip(*mine, strict=True), s=18, label=group, alpha=0.8)
    ends = [min(t["flops"] / t["bytes"] for t, _ in points) / 2, max(t["flops"] / t["bytes"] for t, _ in points) * 2]
    axis.plot(ends, [peak / 1e9] * 2, color=LINE, linewidth=1.2)
    axis.text(ends[1], peak / 1e9 * 1.05, f"FMA peak {peak / 1e9:.0f} GFLOP/s", ha="right", fontsize=8)
    if bandwidth:
        knee = peak / bandwidth
        axis.plot([ends[0], knee], [ends[0] * bandwidth / 1e9, peak / 1e9], color=LINE, linewidth=1.2, linestyle="--")
        axis.text(ends[0] * 1.1, ends[0] * bandwidth / 1e9, f"memory, {bandwidth / 1e9:.0f} GB/s", fontsize=8)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("operations per byte of operands and result")
    axis.set_ylabel("GFLOP/s")
    axis.set_title("lanewise under the roofline (points above memory's roof have their operands in caches)", fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    return figure


def matmul(document: dict[str, Any]) -> Any:
    """Square products without transposes."""
    squares = [(int(m.group(1)), t) for t in document["tasks"] if (m := SQUARE.match(t["task"]))]
    if len(squares) < 2:
        return None
    squares.sort(key=lambda pair: pair[0])
    figure, axis = plt.subplots(figsize=(7, 4))
    for name in dict.fromkeys(n for _, t in squares for n in t["seconds"] if "again" not in n):
        line = [(n, t["flops"] / t["seconds"][name] / 1e9) for n, t in squares if name in t["seconds"]]
        ours = name == "lanewise"
        axis.plot(*zip(*line, strict=True), marker="o", markersize=3, label=name, color=OURS if ours else None,
                  linewidth=2 if ours else 1, zorder=3 if ours else 2)  # fmt: skip
    axis.axhline(document["fma_peak"] / 1e9, color=LINE, linestyle="--", linewidth=1)
    axis.set_xscale("log", base=2)
    axis.set_xlabel("n of an n x n x n product, float32")
    axis.set_ylabel("GFLOP/s (dashed: FMA peak)")
    axis.legend(fontsize=8, frameon=False)
    return figure


def startup(document: dict[str, Any]) -> Any:
    """Three panels."""
    from .report import bytes_text, time_text

    entries = document["startup"]
    if not entries:
        return None
    figure, axes = plt.subplots(1, 3, figsize=(11, 3))
    panels = (
        ("all_bytes", "bytes on disk, with all it requires", bytes_text),
        ("import_seconds", "seconds to import", time_text),
        ("first_seconds", "seconds to the first step, 1000-128-1", time_text),
    )
    for axis, (key, title, text) in zip(axes, panels, strict=True):
        _log_bars(axis, {e["name"]: e[key] for e in entries if e[key]}, text)
        axis.set_title(title, fontsize=9)
    return figure


def draw(document: dict[str, Any], directory: Path) -> list[Path]:
    """Every picture for which there are figures; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, make in (("step-time", step_time), ("roofline", roofline), ("matmul", matmul), ("startup", startup)):
        figure = make(document)
        if figure is None:
            continue
        versions = document["versions"].get("lanewise", "")
        figure.text(0.01, 0.005, f"{document['machine']}; {versions}", fontsize=6, color="#666")
        figure.tight_layout(rect=(0, 0.02, 1, 1))
        written.append(directory / f"{name}.png")
        figure.savefig(written[-1], dpi=110)
        plt.close(figure)
    return written


def main() -> None:
    """Draw from files; tasks of several files are joined, the machine is the first one's."""
    *files, directory = sys.argv[1:]
    documents = [json.loads(Path(file).read_text()) for file in files]
    joined = documents[0]
    for other in documents[1:]:
        joined["tasks"] += other["tasks"]
        joined["startup"] += other["startup"]
        joined["versions"] |= other["versions"]
    for path in draw(joined, Path(directory)):
        print(path)


if __name__ == "__main__":
    main()
