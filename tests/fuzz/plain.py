"""python tests/fuzz/plain.py TARGET RUNS [SEED]: a seeded mutation fuzzer without coverage; needs nothing else."""

from __future__ import annotations

import random
import sys
import tempfile
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


if __name__ == "__main__":
    target, runs = sys.argv[1], int(sys.argv[2])
    done = fuzz(target, runs, int(sys.argv[3]) if len(sys.argv) > 3 else 0, Path(f"/dev/shm/broken-{target}"))
    print(
        f"{target}: {runs} runs, {done.loaded} loaded, {done.refused} refused; slowest {done.slowest:.3f} s, "
        f"most memory beside twice the file {max(done.most, 0) / 2**20:.1f} MB"
    )
