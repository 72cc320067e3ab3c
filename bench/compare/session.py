"""The libraries' processes, and the rounds in which they take turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from time import sleep
from typing import Any

from .peers import PEERS, environment
from .tasks import Task

AGAIN = "lanewise (again)"
"""A second process of lanewise: the ratio of the two says how far the machine can be trusted."""


PAUSE = {"train": 0.25, "optimizers": 0.05, "predict": 0.25, "matmul": 0.03, "elementwise": 0.03}
"""Seconds before a library's turn: the threads of the one before it may still spin (without a pause the flagship step
took 169 us after scikit-learn's turn, and 80 after lanewise's)."""


COLD = ("train", "matmul")


class Worker:
    """One library in its own process.

    Raises:
        RuntimeError: the process ended.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        library = "lanewise" if name == AGAIN else name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.compare.worker", library, str(threads)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(library, threads),
            cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        self.version: str = self.ask({"version": None}).get("version", name)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process ended with code {self.process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


@dataclass
class Result:
    """By library: seconds of one unit (a call, a training step), those of its fastest turn, until the first call was
    done, of a unit with cold caches; why a library has no figure."""

    task: Task
    seconds: dict[str, float] = field(default_factory=dict)
    fastest: dict[str, float] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    cold: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def best_peer(self) -> str | None:
        """The fastest library that is not lanewise."""
        peers = _peers(self.seconds)
        return min(peers, key=peers.__getitem__) if peers else None

    @property
    def ratio(self) -> float | None:
        """How many times lanewise's time the fastest peer takes."""
        return _ratio(self.seconds)

    @property
    def fastest_ratio(self) -> float | None:
        """The same of the fastest turn of each library: what is left when strangers on the same machine rest."""
        return _ratio(self.fastest)

    @property
    def cold_ratio(self) -> float | None:
        """The same with cold caches."""
        return _ratio(self.cold)

    @property
    def again(self) -> float | None:
        """The A/A ratio."""
        if AGAIN not in self.seconds or "lanewise" not in self.seconds:
            return None
        return self.seconds[AGAIN] / self.seconds["lanewise"]


def _peers(seconds: dict[str, float]) -> dict[str, float]:
    return {name: s for name, s in seconds.items() if name not in ("lanewise", AGAIN)}


def _ratio(seconds: dict[str, float]) -> float | None:
    peers = _peers(seconds).values()
    return min(peers) / seconds["lanewise"] if peers and "lanewise" in seconds else None


def present(wanted: Iterable[str]) -> tuple[list[str], list[str]]:
    """(libraries that are installed, those that are not)."""
    found = {name: find_spec(PEERS[name][1]) is not None for name in wanted}
    return [name for name in found if found[name]], [name for name in found if not found[name]]


def compare(task: Task, workers: list[Worker], rounds: int, budget: float, cold: bool) -> Result:
    """Every library prepares the task, then they take turns, every other round backwards: what a library leaves behind
    does not always meet the same one. The median over the rounds counts. cold: then once more each, with other data in
    the caches (products and training)."""
    result = Result(task)
    ready: list[Worker] = []
    for worker in workers:
        reply = worker.ask({"prepare": task.as_json()})
        if reply["ok"]:
            result.first[worker.name] = reply["first"]
            ready.append(worker)
        else:
            result.missing[worker.name] = reply["why"]
    times: dict[str, list[float]] = {worker.name: [] for worker in ready}
    for number in range(rounds):
        for worker in ready[:: -1 if number % 2 else 1]:
            sleep(PAUSE[task.kind])
            reply = worker.ask({"measure": budget})
            if "seconds" in reply:
                times[worker.name].append(reply["seconds"] / task.units)
            else:
                result.missing[worker.name] = reply["why"]
    if cold and task.kind in COLD:
        for worker in ready:
            sleep(PAUSE[task.kind])
            reply = worker.ask({"cold": budget})
            if "seconds" in reply:
                result.cold[worker.name] = reply["seconds"] / task.units
    result.seconds = {name: statistics.median(t) for name, t in times.items() if t}
    result.fastest = {name: min(t) for name, t in times.items() if t}
    return result


def run(
    tasks: list[Task],
    names: list[str],
    threads: int,
    rounds: int,
    budget: float,
    cold: bool,
    show: Callable[[Result], None],
) -> tuple[list[Result], dict[str, str]]:
    """All tasks; `show` is told of each as it is done. Returns (results, versions by library)."""
    workers = [Worker(name, threads) for name in names]
    try:
        versions = {worker.name: worker.version for worker in workers}
        results = []
        for task in tasks:
            results.append(compare(task, workers, rounds, budget, cold))
            show(results[-1])
        return results, versions
    finally:
        for worker in workers:
            worker.close()
