"""lanewise beside its peers, in one run on this machine.

    python -m bench.compare --quick                      two or three minutes: what says most
    python -m bench.compare --threads 1 --only matmul    one thread, products only
    LANEWISE_ISA=avx2 python -m bench.compare --only train    lanewise on another instruction set
    python -m bench.compare --json results.json --markdown results.md --pictures pictures

Each library runs in its own process at its best setting; they take turns, task by task, and medians count. "ratio" is
the time of the fastest peer over lanewise's; "fastest turns" the same of each library's best turn, when strangers on
the machine rest; "A/A" the time of a second lanewise process over the first's; the floor is the operations at this
run's FMA peak, or the traffic at the bandwidth of L2 or memory. The peers are an extra: pip install ".[peers]";
tensorflow and keras are compared where they are installed. What is not installed is named and left out. Nothing else
should run meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path

from .machine import Machine
from .peers import PEERS
from .placing import AFTER, VARIABLE
from .report import STARTUP_HEADS, document, heads, markdown_table, row, startup_row, summary
from .session import AGAIN, present, run
from .startup import startup
from .tasks import all_tasks

KINDS = ("train", "optimizers", "predict", "elementwise", "matmul", "startup")


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
    parser.add_argument("--cold", action="store_true", help="products and training with cold caches, too")
    parser.add_argument(
        "--after", type=int, choices=AFTER, default=AFTER[0],
        help="bytes after a cache line at which arrays begin: 16, as NumPy's large ones, or 0",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    parser.add_argument("--pictures", type=Path, help="draw into this directory (needs matplotlib)")
    arguments = parser.parse_args()
    if arguments.pictures:
        from .pictures import draw  # before minutes are spent on measuring
    from lanewise import ops

    os.environ[VARIABLE] = str(arguments.after)
    threads = arguments.threads or ops.get_num_threads()
    names, absent = present(dict.fromkeys(["lanewise", *arguments.peers]))
    tasks = [t for t in all_tasks(arguments.only, arguments.quick) if arguments.filter in t.name]
    machine = Machine(threads, bandwidth=bool(arguments.pictures) or any(task.function for task in tasks))
    info = ops.build_info()
    memory = f", memory {machine.bandwidth['read'] / 1e9:.0f} GB/s" if machine.bandwidth else ""
    if machine.cache_bandwidth:
        memory += f", L2 {machine.cache_bandwidth['read'] / 1e9:.0f} GB/s"
    lines = [f"{info['cpu']}, {threads} thread(s), FMA peak {machine.fma_peak / 1e9:.0f} GFLOP/s{memory}, "
             f"arrays {arguments.after} bytes after a line, {datetime.date.today()}"]  # fmt: skip
    if absent:
        lines.append(f"not installed, left out: {', '.join(absent)}")
    print(*lines, sep="\n", flush=True)

    def show(head: list[str], cells: list[str]) -> None:
        widths = [max(9, len(h) + 1) for h in head[1:]]
        print(f"{cells[0]:34}" + "".join(f"{c:>{w}}" for c, w in zip(cells[1:], widths, strict=True)), flush=True)

    startups = []
    if "startup" in arguments.only and not arguments.filter:
        show(STARTUP_HEADS, STARTUP_HEADS)
        for name in names:
            startups.append(startup(name, threads, 1 if arguments.quick else 3))
            show(STARTUP_HEADS, startup_row(startups[-1]))
    rounds, budget = arguments.rounds or (3 if arguments.quick else 5), 0.05 if arguments.quick else 0.1
    names.insert(1, AGAIN)
    head = heads(names)
    if tasks:
        show(head, head)
    results, versions = run(
        tasks, names, threads, rounds, budget, arguments.cold, lambda r: show(head, row(r, names, machine))
    )  # fmt: skip
    end = [*summary(results), f"FMA peak after the run: {Machine(threads, bandwidth=False).fma_peak / 1e9:.0f} GFLOP/s"]
    end += [f"{name}: {version}" for name, version in versions.items() if name != AGAIN]
    print(*end, sep="\n")
    measured = document(lines[0], machine, versions, results, startups)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    if arguments.markdown:
        tables = []
        if startups:
            tables += [*markdown_table(STARTUP_HEADS, map(startup_row, startups)), ""]
        if results:
            tables += [*markdown_table(head, (row(r, names, machine) for r in results)), ""]
        arguments.markdown.write_text("\n".join([*lines, "", *tables, *(f"* {text}" for text in end)]) + "\n")
    if arguments.pictures:
        for path in draw(measured, arguments.pictures):
            print(path)


if __name__ == "__main__":
    main()
