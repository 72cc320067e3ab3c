"""One model, 32 threads of Python, 10,000 predictions each: all equal to the lone call's, and how long they take.

    python scripts/latency.py            on the whole machine, then under a quota of half a core; result in latency.txt
    python scripts/latency.py --plant    one weight changes its last bit meanwhile: the check must fail

The quota is a control group's, which root may make; without that right the second half says so. Milliseconds of one
call, waiting for the interpreter's own lock included: 32 threads share what the machine gives. Then two fits in two
threads, on an idle machine. Exit status 1 where a prediction differs, the quota stopped nothing, or two fits
are not 1.5 times as fast as in turn.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

import lanewise
from lanewise import keras, ops

THREADS, CALLS = 32, 10_000
RESULTS = Path(__file__).with_suffix(".txt")
PERIOD = 100_000  # microseconds


def measured(plant: bool) -> str:
    """One line; raises AssertionError where a prediction differs."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(128, "relu", input_shape=(64,)), keras.layers.Dense(1)])
    rows = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
    want = {n: model.predict_on_batch(rows[:n]).tobytes() for n in (1, 4, 32)}
    seconds = np.zeros((THREADS, CALLS))
    wrong = [0] * THREADS

    def work(thread: int) -> None:
        for i in range(CALLS):
            n = (1, 1, 4, 32)[i % 4]
            begun = time.perf_counter()
            found = model.predict_on_batch(rows[:n])
            seconds[thread, i] = time.perf_counter() - begun
            wrong[thread] += found.tobytes() != want[n]
            if plant and thread == 0 and i == CALLS // 2:
                bias = model.layers[-1].weights[1]
                bias.assign(np.nextafter(bias.numpy() + 1, np.float32(9)))

    team = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    begun = time.perf_counter()
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    total = time.perf_counter() - begun
    assert sum(wrong) == 0, f"{sum(wrong)} of {THREADS * CALLS} predictions differ"
    p50, p99, most = np.percentile(seconds * 1e3, [50, 99, 100])
    return (
        f"{THREADS} x {CALLS} predictions equal in {total:.1f} s; one call: median {p50:.3f} ms, 99 % {p99:.2f} ms, "
        f"longest {most:.0f} ms; {ops.get_num_threads()} threads of lanewise's"
    )


def scaling() -> str:
    """Two trainings in two threads against the same two one after the other, each on one thread; and their bits."""
    ops.set_num_threads(1)
    x = np.random.default_rng(0).standard_normal((4096, 256), dtype=np.float32)

    def made(seed: int) -> keras.Sequential:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.layers.Dense(512, "relu", input_shape=(256,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(x[:64], x[:64, 0], verbose=0)
        return model

    def seconds(together: bool) -> tuple[float, list[bytes]]:
        models = [made(1), made(2)]
        work = [threading.Thread(target=m.fit, args=(x, x[:, 0], 64, 20), kwargs={"verbose": 0}) for m in models]
        begun = time.perf_counter()
        for thread in work:
            thread.start()
            if not together:
                thread.join()
        for thread in work:
            thread.join()
        return time.perf_counter() - begun, [w.tobytes() for m in models for w in m.get_weights()]

    ratios = []
    for _ in range(3):
        (alone, want), (both, found) = seconds(False), seconds(True)
        assert found == want, "trained side by side they have other bits"
        ratios.append(alone / both)
    text = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    assert np.median(ratios) > 1.5, f"two fits in two threads are {text} times as fast as in turn"
    return f"two fits in two threads: equal bits, {text} times as fast as in turn"


def within_half_a_core(command: list[str]) -> str:
    """The command's last line, run in a control group that has half a core."""
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    top = v1 if (v1 / "cpu.cfs_quota_us").exists() or (v1 / "tasks").exists() else v2
    group = top / f"lanewise-latency-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        return f"not measured: no control group may be made here ({error})"
    try:
        if top is v1:
            (group / "cpu.cfs_quota_us").write_text(str(PERIOD // 2))
        else:
            (group / "cpu.max").write_text(f"{PERIOD // 2} {PERIOD}")
        enter = lambda: (group / "cgroup.procs").write_text(str(os.getpid()))  # noqa: E731
        done = subprocess.run(command, preexec_fn=enter, text=True, capture_output=True)
        throttled = re.search(r"nr_throttled (\d+)", (group / "cpu.stat").read_text())
        assert throttled is not None and int(throttled[1]) > 0, "the quota stopped nothing"
        return f"{(done.stdout or done.stderr).strip().splitlines()[-1]}; stopped {throttled[1]} times"
    except OSError as error:
        return f"not measured: no quota may be set here ({error})"
    finally:
        group.rmdir()


def main(arguments: list[str]) -> int:
    if arguments:  # this process measures
        print(scaling() if "--scaling" in arguments else measured("--plant" in arguments))
        return 0
    command = [sys.executable, __file__, "--measure"]
    whole = subprocess.run(command, text=True, capture_output=True)
    two = subprocess.run([*command[:2], "--scaling"], text=True, capture_output=True)
    commit = subprocess.check_output(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, text=True
    ).strip()
    cpu, version = lanewise.build_info()["cpu"], sys.version.split()[0]
    lines = [
        f"{time.strftime('%F')} {commit} {cpu}, {os.cpu_count()} cores, Python {version}",
        "whole machine: " + (whole.stdout or whole.stderr).strip().splitlines()[-1],
        "half a core: " + within_half_a_core(command),
        (two.stdout or two.stderr).strip().splitlines()[-1],
    ]
    print("\n".join(lines))
    RESULTS.write_text("\n".join(lines) + "\n")
    return int(not all("equal" in line or "not measured" in line for line in lines[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
