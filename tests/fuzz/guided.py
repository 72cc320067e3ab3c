"""python tests/fuzz/guided.py SECONDS [TARGET...]: the same targets, guided by coverage, with atheris (on PyPI).

Each target runs SECONDS in a process of its own; what was run is added up in `last_run.txt`. What breaks a loader is
kept in a file, and the exit status is 1. New inputs are collected in `build/fuzz`; `corpus` has what it begins from.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))


def child(name: str, seconds: str, found: str, counts: str) -> None:
    """One target, until libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["lanewise"]):
        from fuzz.targets import TARGETS, Runner
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        runner, runs = Runner(name, folder), 0

        def one(data: bytes) -> None:
            nonlocal runs
            runner(data)
            runs += 1
            if runs % 100 == 0:
                values = [runs, runner.loaded, runner.refused, runner.slowest, runner.most]
                Path(counts).write_text(json.dumps(values))

        def change(data: bytes, most: int, seed: int) -> bytes:
            return TARGETS[name].change(data, random.Random(seed))[:most]

        options = [f"-max_total_time={seconds}", "-max_len=65536", "-timeout=20", "-rss_limit_mb=3000", "-verbosity=0"]
        places = [found, str(HERE / "corpus" / name)]
        atheris.Setup(
            [sys.argv[0], *options, f"-artifact_prefix={found}/../broken-{name}-", *places], one, custom_mutator=change
        )
        atheris.Fuzz()


def main(seconds: str, names: list[str]) -> int:
    """Run targets one after the other."""
    from fuzz.plain import record

    broken = 0
    for name in names:
        found = ROOT / "build" / "fuzz" / name
        found.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            counts = Path(folder) / "counts"
            command = [sys.executable, __file__, "--child", name, seconds, str(found), str(counts)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            runs, loaded, refused, slowest, most = json.loads(counts.read_text()) if counts.exists() else [0] * 5
        if done.returncode != 0:
            broken = 1
            print(f"{name}: BROKEN\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
        record(name, runs, loaded, refused, slowest, most, broken=int(done.returncode != 0))
        print(f"{name}: {runs} runs, {loaded} loaded, slowest {slowest:.3f} s", flush=True)
    return broken


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(*sys.argv[2:6])
    else:
        from fuzz.targets import TARGETS

        sys.exit(main(sys.argv[1], sys.argv[2:] or list(TARGETS)))
