"""Many networks at once: what `fit_many` and `Ensemble` cost beside single fits and single predictions.

    python -m bench.many                         a minute on two cores
    python -m bench.many --only fits tiny        some of it
    python -m bench.many --markdown many.md

fits: 64 networks 1000-128-1, batch 32, by `fit_many` over 64/cores times a fit on one thread. tiny: 32 networks 8-8-1
on 64 rows, 100 epochs of 10 µs each, beside a loop of single fits; Python's lock is the limit there. memory: what 64
networks add to the process, and how much is allocated while they train. predict: 32 networks, `Ensemble.predict` beside
32 times `predict` and a mean. file: the ensemble saved. Medians; "spread": (largest - smallest) / median of the turns.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import statistics
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import lanewise as lw

NETWORKS, MEMBERS = 64, 32
ROWS, EPOCHS = 3200, 10
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, 1000)).astype(np.float32)
Y = X[:, :10].sum(axis=1)
SMALL_X = RNG.standard_normal((64, 8)).astype(np.float32)
SMALL_Y = SMALL_X[:, :2].sum(axis=1)
Row = tuple[str, str]


def flagship() -> Any:
    """1000-128-1, compiled."""
    model = lw.Sequential([lw.Input((1000,)), lw.layers.Dense(128, activation="relu"), lw.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def tiny() -> Any:
    """8-8-1, compiled."""
    model = lw.Sequential([lw.Input((8,)), lw.layers.Dense(8, activation="relu"), lw.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def seconds(call: Callable[[], Any]) -> float:
    """How long it takes."""
    began = perf_counter()
    call()
    return perf_counter() - began


def single(seed: int, build: Callable[[], Any], x: Any, y: Any, arguments: dict[str, Any]) -> None:
    """One fit as `fit_many` would make it."""
    lw.utils.set_random_seed(seed)
    callbacks = [make() for make in arguments.get("callbacks", ())]
    build().fit(x, y, verbose=0, **{**arguments, "callbacks": callbacks})


def on_one_thread(call: Callable[[], Any]) -> float:
    """`seconds` of it, and the threads as before."""
    threads = lw.get_num_threads()
    lw.set_num_threads(1)
    try:
        return seconds(call)
    finally:
        lw.set_num_threads(threads)


def text(times: list[float], unit: float = 1e3, name: str = "ms") -> str:
    """Median and spread."""
    middle = statistics.median(times)
    return f"{middle * unit:.4g} {name} (spread {100 * (max(times) - min(times)) / middle:.0f} %)"


def fits() -> Iterator[Row]:
    """The flagship."""
    arguments = {"epochs": EPOCHS, "batch_size": 32}
    cores = lw.get_num_threads()
    one = [on_one_thread(lambda seed=seed: single(seed, flagship, X, Y, arguments)) for seed in range(5)]
    many = lw.fit_many(flagship, X, Y, seeds=NETWORKS, verbose=0, **arguments).seconds
    one += [on_one_thread(lambda seed=seed: single(seed, flagship, X, Y, arguments)) for seed in range(5)]
    yield f"one fit, {EPOCHS} epochs of {ROWS:,} rows, one thread", text(one)
    yield f"{NETWORKS} fits on {cores} cores", f"{many:.2f} s"
    ratio = many / (NETWORKS / cores * statistics.median(one))
    yield f"that over {NETWORKS}/{cores} fits on one thread (goal: 1.1)", f"{ratio:.3f}"


def small() -> Iterator[Row]:
    """Tiny networks."""
    cases: dict[str, dict[str, Any]] = {
        "100 epochs": {},
        "with a validation each": {"validation_split": 0.25},
        "and EarlyStopping": {
            "validation_split": 0.25,
            "callbacks": [lambda: lw.callbacks.EarlyStopping(patience=1000)],
        },
    }
    for name, case in cases.items():
        arguments: dict[str, Any] = {"epochs": 100, **case}
        callbacks = [make() for make in case.get("callbacks", ())]

        def loop(arguments: dict[str, Any] = arguments) -> None:
            for seed in range(MEMBERS):
                single(seed, tiny, SMALL_X, SMALL_Y, arguments)

        def many(jobs: int, given: dict[str, Any] = {**arguments, "callbacks": callbacks}) -> float:  # noqa: B006
            return lw.fit_many(tiny, SMALL_X, SMALL_Y, seeds=MEMBERS, n_jobs=jobs, verbose=0, **given).seconds

        jobs = sorted({1, lw.get_num_threads()})
        turns = [(on_one_thread(loop), *(many(n) for n in jobs)) for _ in range(6)][1:]
        yield f"{MEMBERS} networks 8-8-1 on 64 rows, {name}: single fits", text([turn[0] for turn in turns])
        for i, n in enumerate(jobs, 1):
            yield f"... fit_many, n_jobs={n}", text([turn[i] for turn in turns])


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory() -> Iterator[Row]:
    """What networks take beyond their parameters."""
    kept = [lw.fit_many(flagship, X, Y, seeds=4, epochs=2, verbose=0)]
    gc.collect()
    before = resident()
    tracemalloc.start()
    kept.append(lw.fit_many(flagship, X, Y, seeds=NETWORKS, folds=[(np.arange(ROWS - 200), None)], epochs=2, verbose=0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gc.collect()
    added = (resident() - before) / NETWORKS
    numbers = kept[1][0].model.count_params()
    yield "x", f"{X.nbytes / 1e6:.1f} MB"
    yield f"most that Python and NumPy had allocated in {NETWORKS} fits on a fold of it", f"{peak / 1e6:.2f} MB"
    yield "process grew, for each network", f"{added / 1e6:.3f} MB"
    yield "of that weights and Adam's moments, 12 bytes a parameter", f"{12 * numbers / 1e6:.3f} MB"
    yield "beyond them", f"{(added - 12 * numbers) / 1e3:.0f} kB"


def predict() -> Iterator[Row]:
    """In one pass, and one model after the other."""
    ensemble = lw.fit_many(flagship, X, Y, seeds=MEMBERS, epochs=1, verbose=0).ensemble()
    for rows, dtype in ((1, np.float32), (32, np.float32), (ROWS, np.float32), (ROWS, np.float64)):
        x = X[:rows].astype(dtype)
        repeats = max(1, 300 // rows)

        def each(x: Any = x) -> Any:
            return np.mean([model.predict(x, verbose=0) for model in ensemble], axis=0, dtype=np.float64)

        np.testing.assert_allclose(ensemble.predict(x), each(), rtol=1e-5, atol=1e-5)
        turns = [
            (seconds(lambda: [ensemble.predict(x) for _ in range(repeats)]) / repeats,  # noqa: B023
             seconds(lambda: [each() for _ in range(repeats)]) / repeats)  # noqa: B023
            for _ in range(7)
        ]  # fmt: skip
        ours, theirs = zip(*turns, strict=True)
        yield f"{rows:,} rows of {np.dtype(dtype).name}: Ensemble.predict", text(list(ours))
        yield f"... {MEMBERS} times predict and a mean", text(list(theirs))
        yield "... ratio", f"{statistics.median(ours) / statistics.median(theirs):.2f}"


def file() -> Iterator[Row]:
    """Saved and read."""
    ensemble = lw.fit_many(flagship, X, Y, seeds=MEMBERS, epochs=1, verbose=0).ensemble()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.lanewise"
        ensemble.save(path)
        size = path.stat().st_size
        saved = [seconds(lambda: ensemble.save(path)) for _ in range(5)]
        read = [seconds(lambda: lw.Ensemble.load(path)) for _ in range(5)]
        assert np.array_equal(lw.Ensemble.load(path).predict(X[:50]), ensemble.predict(X[:50]))
    parameters = 4 * sum(model.count_params() for model in ensemble)
    yield f"file of {MEMBERS} networks", f"{size / 1e6:.3f} MB"
    yield "their weights", f"{parameters / 1e6:.3f} MB"
    yield "written in", text(saved)
    yield "read in", text(read)


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "memory": memory, "fits": fits, "tiny": small, "predict": predict, "file": file,
}  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.many", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    arguments = parser.parse_args()
    info = lw.ops.build_info()
    lines = [f"{info['cpu']}, {info['isa']}, {lw.get_num_threads()} threads, lanewise {lw.__version__}, "
             f"Python {'.'.join(map(str, sys.version_info[:3]))}, {datetime.date.today()}"]  # fmt: skip
    print(lines[0])
    for part in arguments.only:
        print(f"\n{part}", flush=True)
        lines += ["", f"## {part}", "", "| | |", "| --- | --- |"]
        for what, figure in PARTS[part]():
            print(f"{what:75} {figure}", flush=True)
            lines.append(f"| {what} | {figure} |")
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
