"""python tests/fuzz/plain.py TARGET RUNS [SEED]: a seeded mutation fuzzer without coverage; needs nothing else.

What was run is added up in `last_run.txt`.
"""

from __future__ import annotations

import random
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from fuzz.targets import TARGETS, Runner, seeds


def fuzz(name: str, runs: int, seed: int, keep: Path | None = None) -> Runner:
    """Load so many changed files; raises what `Runner` raises, the file kept in `keep`."""
    rng = random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        runner = Runner(name, folder)
        begin = list(seeds(name).values())
        pool = list(begin)
        errors: set[str] = set()
        for _ in range(runs):
            data = TARGETS[name].change(rng.choice(pool if rng.random() < 0.5 else begin), rng)
            try:
                text = runner(data)
            except BaseException:
                if keep is not None:
                    keep.write_bytes(data)
                raise
            kind = "".join(c for c in text if c.isalpha() or c == " ")[60:160]  # without the path and numbers
            if kind not in errors and len(data) < 2**16:  # a new error, or none: go on from there too
                errors.add(kind)
                pool.append(data)
                if len(pool) > 400:
                    pool.pop(len(begin) + rng.randrange(200))
    return runner


_PIECE = 4000  # runs between two records
LAST = Path(__file__).parent / "last_run.txt"


def recorded() -> dict[str, list[float]]:
    """What was run before: target -> runs, loaded, refused, broken, slowest, most memory."""
    found = {}
    for line in LAST.read_text().splitlines() if LAST.exists() else ():
        parts = line.split()
        if len(parts) == 7 and parts[1].isdigit():
            found[parts[0]] = [int(n) for n in parts[1:5]] + [float(n) for n in parts[5:]]
    return found


def record(name: str, runs: int, loaded: int, refused: int, slowest: float, most: float, broken: int) -> None:
    """Add what was run to `last_run.txt`; `broken`: how many files broke the loader's promise, and ended a run."""
    total = recorded()
    old = total.get(name, [0] * 6)
    added = [old[0] + runs, old[1] + loaded, old[2] + refused, old[3] + broken]
    total[name] = [*added, max(old[4], slowest), max(old[5], most / 2**20, 0)]
    lines = [
        f"{n:18}" + "".join(f"{int(count):10}" for count in v[:4]) + f"{v[4]:10.3f}{v[5]:10.1f}"
        for n, v in sorted(total.items())
    ]
    LAST.write_text(
        f"Fuzzing of the loaders, all runs so far; last on {datetime.now(UTC):%F}.\n"
        "Memory: beside twice the file, in runs since 2026-11-27.\n"
        f"Runs in all: {sum(int(v[0]) for v in total.values())}\n"
        f"{'target':18}{'runs':>10}{'loaded':>10}{'refused':>10}{'broken':>10}{'slowest s':>10}{'most MB':>10}\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    target, runs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    for start in range(0, runs, _PIECE):
        piece = min(_PIECE, runs - start)
        try:
            done = fuzz(target, piece, seed * 1_000_000 + start, Path(f"/dev/shm/broken-{target}"))
        except BaseException:
            record(target, 1, 0, 0, 0, 0, broken=1)
            raise
        record(target, piece, done.loaded, done.refused, done.slowest, done.most, broken=0)
    print(f"{target}: {runs} runs; see {LAST.name}")
