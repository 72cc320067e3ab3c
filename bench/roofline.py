"""What this machine can do at most: FMA peak, and bandwidth of each cache level and of memory.

    python bench/roofline.py [--threads N] [--json FILE] [--repeats R] [--compiler C++]

compiles `cpp/bench/roofline.cpp` for this machine into a temporary directory, runs it on one thread and on N, and
prints medians: GFLOP/s from registers alone (a fused multiply-add is two operations), GB/s (1e9 bytes a second) of all
threads together. Each thread works on half of a cache level (of its share, where cores share the level); in memory all
together on four times the last level. "copy" counts bytes read and bytes written, and so does
"update" (four arrays read, three of them written); "streaming" stores bypass the caches.
At the end: the least time that the arithmetic of one training step of the flagship network can take. Nothing else
should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "cpp" / "bench" / "roofline.cpp"
CACHES = Path("/sys/devices/system/cpu")
FLAGSHIP = ((1000, 128, 1), 32)  # units of each layer, rows of a batch


@dataclass(frozen=True)
class Level:
    """A data cache: its name, bytes, and how many CPUs share one."""

    name: str
    size: int
    shared_by: int


@dataclass(frozen=True)
class Bandwidth:
    """Median GB/s of one kind of traffic over a working set of `working_set` bytes a thread."""

    level: str
    kind: str
    threads: int
    working_set: int
    gb_per_s: float


def cpu_list(text: str) -> int:
    """How many CPUs a list such as "0-3,8" names."""
    bounds = [part.split("-") for part in text.strip().split(",")]
    return sum(int(b[-1]) - int(b[0]) + 1 for b in bounds)


def cache_levels() -> list[Level]:
    """The data caches of the first CPU this process may run on, smallest first.

    From /sys; where it says nothing, from sysconf (which does not know who shares a level: L3 is then everybody's).
    """
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    levels = []
    for index in (CACHES / f"cpu{min(os.sched_getaffinity(0))}" / "cache").glob("index*"):
        if (index / "type").read_text().strip() == "Instruction":
            continue
        size = (index / "size").read_text().strip()
        nbytes = int(size[:-1]) * units[size[-1]] if size[-1] in units else int(size)
        shared_by = cpu_list((index / "shared_cpu_list").read_text())
        levels.append(Level(f"L{(index / 'level').read_text().strip()}", nbytes, shared_by))
    if not levels:
        for name, key, shared_by in (
            ("L1", "SC_LEVEL1_DCACHE_SIZE", 1), ("L2", "SC_LEVEL2_CACHE_SIZE", 1),
            ("L3", "SC_LEVEL3_CACHE_SIZE", os.cpu_count() or 1),
        ):  # fmt: skip
            nbytes = os.sysconf(key) if key in os.sysconf_names else 0
            if nbytes > 0:
                levels.append(Level(name, nbytes, shared_by))
    return sorted(levels, key=lambda level: level.size)


def compile_probe(compiler: str, directory: str) -> str:
    """The path of the probe, built for this machine.

    Raises:
        subprocess.CalledProcessError: the compiler's message is on stderr.
    """
    binary = str(Path(directory) / "roofline")
    flags = ["-std=c++20", "-O3", "-march=native", "-ffp-contract=fast", "-pthread"]
    subprocess.run([compiler, *flags, str(SOURCE), "-o", binary], check=True)
    return binary


def measure(probe: str, kind: str, threads: int, repeats: int, *size: int) -> float:
    """Median over repetitions: GFLOP/s for "fma", else GB/s."""
    command = [probe, kind, str(threads), str(repeats), *map(str, size)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return statistics.median(map(float, lines))


def working_sets(levels: list[Level], threads: int) -> list[tuple[str, int]]:
    """(level, bytes a thread): half of the level's share, never less than twice the level below."""
    sets: list[tuple[str, int]] = []
    below = 0
    for level in levels:
        share = level.size // min(threads, level.shared_by)
        sets.append((level.name, max(share // 2, 2 * below)))
        below = share
    last = levels[-1].size if levels else 32 << 20
    return [*sets, ("memory", max(4 * last, 128 << 20) // threads)]


def step_flops(units: tuple[int, ...], batch: int) -> int:
    """Operations in the matrix products of a training step: forward and dW of each layer, dX of all but the first."""
    products = [a * b for a, b in pairwise(units)]
    return 2 * batch * (2 * sum(products) + sum(products[1:]))


def print_table(peaks: dict[int, float], rows: list[Bandwidth], levels: list[Level]) -> None:
    """Everything measured, then the floor of the flagship step."""
    for level in levels:
        print(f"{level.name:6}  {level.size / 1024:9.0f} KiB  shared by {level.shared_by} CPU(s)")
    print("\nFMA peak, float32, registers only")
    for threads, peak in peaks.items():
        print(f"  {threads:3} thread(s)  {peak:8.1f} GFLOP/s")
    print(f"\n{'GB/s':8} {'threads':>7} {'KiB a thread':>13}  " + "".join(f"{kind:>16}" for kind in kinds_of(rows)))
    for key in dict.fromkeys((r.level, r.threads, r.working_set) for r in rows):
        found = {r.kind: r.gb_per_s for r in rows if (r.level, r.threads, r.working_set) == key}
        cells = "".join(f"{found[kind]:16.1f}" if kind in found else f"{'':16}" for kind in kinds_of(rows))
        print(f"{key[0]:8} {key[1]:7} {key[2] / 1024:13.0f}  {cells}")
    units, batch = FLAGSHIP
    flops = step_flops(units, batch)
    print(f"\nfloor of a training step {'-'.join(map(str, units))}, batch {batch}: {flops / 1e6:.2f} MFLOP / peak")
    for threads, peak in peaks.items():
        print(f"  {threads:3} thread(s)  {flops / peak / 1e3:8.1f} µs")


def kinds_of(rows: list[Bandwidth]) -> list[str]:
    """The kinds of traffic, in the order they were measured."""
    return list(dict.fromkeys(row.kind for row in rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="FMA peak and bandwidth of each cache level of this machine.")
    parser.add_argument("--threads", type=int, help="the larger team (default: as many as lanewise uses)")
    parser.add_argument("--repeats", type=int, default=9, help="repetitions of 20 ms, of which the median counts")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    most = arguments.threads
    if most is None:
        from lanewise.ops import get_num_threads

        most = get_num_threads()
    levels = cache_levels()
    peaks: dict[int, float] = {}
    rows: list[Bandwidth] = []
    with tempfile.TemporaryDirectory() as directory:
        probe = compile_probe(arguments.compiler, directory)
        for threads in sorted({1, most}):
            peaks[threads] = measure(probe, "fma", threads, arguments.repeats)
            for level, size in working_sets(levels, threads):
                kinds = {"read": "read", "write": "write", "copy": "copy", "update": "update"}
                if level == "memory" and os.uname().machine == "x86_64":
                    kinds |= {"streaming write": "stream_write", "streaming copy": "stream_copy"}
                for label, kind in kinds.items():
                    gb_per_s = measure(probe, kind, threads, arguments.repeats, size)
                    rows.append(Bandwidth(level, label, threads, size, gb_per_s))
    print_table(peaks, rows, levels)
    if arguments.json:
        units, batch = FLAGSHIP
        flops = step_flops(units, batch)
        figures = {
            "caches": [asdict(level) for level in levels],
            "fma_peak_gflops": peaks,
            "bandwidth": [asdict(row) for row in rows],
            "flagship_step": {"flops": flops, "floor_us": {t: flops / peak / 1e3 for t, peak in peaks.items()}},
        }
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
