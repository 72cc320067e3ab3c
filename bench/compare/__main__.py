"""lanewise beside its peers, in one run on this machine.

    python -m bench.compare --quick                      some minutes: what says most
    python -m bench.compare --threads 1 --only matmul    one thread, products only
    python -m bench.compare --json results.json --markdown results.md

Each library runs in its own process at its best setting; they take turns, task by task, and medians count. "ratio" is
the time of the fastest peer over lanewise's; "A/A" the time of a second lanewise process over the first's. The peers
are an extra: pip install ".[peers]"; those that are not installed are named and left out. Nothing else should run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
from pathlib import Path

from .peers import PEERS
from .session import AGAIN, Result, present, run
from .tasks import all_tasks

KINDS = ("train", "predict", "elementwise", "matmul")


def time_text(seconds: float | None) -> str:
    """Three digits and a unit."""
    if seconds is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def ratio_text(ratio: float | None) -> str:
    """Two digits behind the point."""
    return "–" if ratio is None else f"{ratio:.2f}"


def row(result: Result, names: list[str], peak: float) -> list[str]:
    """Cells of a line: task, seconds by library, fastest peer, ratio, A/A, share of the peak."""
    mine = result.seconds.get("lanewise")
    share = "–" if mine is None else f"{result.task.flops / mine / peak:.0%}"
    cells = [time_text(result.seconds.get(name)) for name in names if name != AGAIN]
    return [
        result.task.name, *cells, result.best_peer or "–", ratio_text(result.ratio), ratio_text(result.again), share,
    ]  # fmt: skip


def heads(names: list[str]) -> list[str]:
    """Heads of the columns."""
    return ["task", *(name for name in names if name != AGAIN), "fastest peer", "ratio", "A/A", "of peak"]


def summary(results: list[Result]) -> list[str]:
    """Geometric mean and smallest ratio of each group."""
    lines = []
    for group in dict.fromkeys(r.task.group for r in results):
        ratios = [(r.ratio, r.task.name) for r in results if r.task.group == group and r.ratio is not None]
        if ratios:
            mean = statistics.geometric_mean([ratio for ratio, _ in ratios])
            least, where = min(ratios)
            lines.append(f"{group}: {mean:.2f} times the fastest peer (geometric mean of {len(ratios)}; "
                         f"least {least:.2f}: {where})")  # fmt: skip
    return lines


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer tasks and shorter rounds")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of tasks")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS), help="libraries to run")
    parser.add_argument("--threads", type=int, help="of every library (default: as many as lanewise uses)")
    parser.add_argument("--rounds", type=int, help="turns of each library (5, quick 3)")
    parser.add_argument("--filter", default="", help="only tasks whose name holds this")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    arguments = parser.parse_args()
    from lanewise import _core, ops

    threads = arguments.threads or ops.get_num_threads()
    names, absent = present(dict.fromkeys(["lanewise", *arguments.peers]))
    names.insert(1, AGAIN)
    peak = _core.fma_peak(threads)
    info = ops.build_info()
    lines = [f"{info['cpu']}, {threads} thread(s), FMA peak {peak / 1e9:.0f} GFLOP/s, {datetime.date.today()}"]
    if absent:
        lines.append(f"not installed, left out: {', '.join(absent)}")
    print(*lines, sep="\n", flush=True)
    rounds, budget = arguments.rounds or (3 if arguments.quick else 5), 0.05 if arguments.quick else 0.1
    tasks = [t for t in all_tasks(arguments.only, arguments.quick) if arguments.filter in t.name]
    head = heads(names)
    widths = [34, *(max(9, len(h) + 1) for h in head[1:])]

    def line(cells: list[str]) -> str:
        return f"{cells[0]:{widths[0]}}" + "".join(f"{c:>{w}}" for c, w in zip(cells[1:], widths[1:], strict=True))

    print(line(head), flush=True)
    results, versions = run(
        tasks, names, threads, rounds, budget, lambda r: print(line(row(r, names, peak)), flush=True)
    )  # fmt: skip
    end = [*summary(results), f"FMA peak after the run: {_core.fma_peak(threads) / 1e9:.0f} GFLOP/s"]
    end += [f"{name}: {version}" for name, version in versions.items() if name != AGAIN]
    print(*end, sep="\n")
    if arguments.json:
        measured = [
            {"task": r.task.name, "group": r.task.group, "flops": r.task.flops, "seconds": r.seconds,
             "first": r.first, "missing": r.missing}
            for r in results
        ]  # fmt: skip
        document = {"machine": lines[0], "threads": threads, "fma_peak": peak, "versions": versions, "tasks": measured}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.markdown:
        table = [head, ["---"] * len(head), *(row(r, names, peak) for r in results)]
        rows = ["| " + " | ".join(cells) + " |" for cells in table]
        arguments.markdown.write_text("\n".join([*lines, "", *rows, "", *(f"* {text}" for text in end)]) + "\n")


if __name__ == "__main__":
    main()
