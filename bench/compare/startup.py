"""What a library costs before it has done anything: bytes on disk, seconds to import, seconds to the first step."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from ..networks import Case
from .peers import environment
from .tasks import Task

FIRST_STEP = Task("train", network=Case((1000, 128, 1), 32, 32))
"""An epoch of one step of the flagship network."""

_DISTRIBUTIONS = {
    "lanewise": ("lanewise",), "numpy": ("numpy",), "torch": ("torch",), "torch-compile": ("torch",),
    "jax": ("jax", "optax"), "jax-scan": ("jax", "optax"), "sklearn": ("scikit-learn",),
    "onnxruntime": ("onnxruntime",), "keras-jax": ("keras", "jax"),
    "keras-tensorflow": ("keras", "tensorflow", "tensorflow-cpu"),
}  # fmt: skip
_IMPORTS = {
    "jax": "jax, optax", "jax-scan": "jax, optax", "sklearn": "sklearn.neural_network", "torch-compile": "torch",
    "keras-jax": "keras", "keras-tensorflow": "keras",
}  # fmt: skip


@dataclass(frozen=True)
class Startup:
    """Attributes:
    name: of the library.
    own_bytes: of its own distribution.
    all_bytes: with everything that it requires.
    import_seconds: in a new process that has NumPy already (NumPy's own, for NumPy).
    first_seconds: from arrays in memory to the end of the first training step: network made, compiled, one step.
    """

    name: str
    own_bytes: int
    all_bytes: int
    import_seconds: float
    first_seconds: float | None


def _files(name: str) -> dict[Path, int]:
    """Files of an installed distribution and their bytes; of the package's directory where there is no record."""
    try:
        paths = [Path(str(file.locate())).resolve() for file in distribution(name).files or []]
    except PackageNotFoundError:
        spec = find_spec(name)
        places = list(spec.submodule_search_locations or []) if spec else []
        paths = [path for place in places for path in Path(place).rglob("*")]
    return {p: p.stat().st_size for p in paths if p.is_file() and "__pycache__" not in p.parts}


def _requirements(name: str, found: dict[str, dict[Path, int]]) -> None:
    """The files of a distribution and of all that it requires without extras, as far as they are installed."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return
    found[key] = _files(name)
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        requires = ["numpy"] if key == "lanewise" else []
    for text in requires:
        if "extra ==" not in text:
            _requirements(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0], found)


def _import_seconds(name: str, env: dict[str, str], processes: int) -> float:
    """Median of so many new processes."""
    first = "" if name == "numpy" else "import numpy\n"
    timed = f"t = time.perf_counter()\nimport {_IMPORTS.get(name, name)}\nprint(time.perf_counter() - t)"
    run = [sys.executable, "-c", f"{first}import time\n{timed}"]
    return statistics.median(
        float(subprocess.run(run, capture_output=True, text=True, check=True, env=env).stdout) for _ in range(processes)
    )


def _first_seconds(name: str, threads: int, env: dict[str, str], processes: int) -> float | None:
    """Median of so many new processes, each of which has imported the library already; None where it does not train."""
    times = []
    for _ in range(processes):
        requests = [{"version": None}, {"prepare": FIRST_STEP.as_json()}]
        done = subprocess.run(
            [sys.executable, "-m", "bench.compare.worker", name, str(threads)], capture_output=True, text=True, env=env,
            input="".join(json.dumps(r) + "\n" for r in requests), cwd=Path(__file__).resolve().parents[2], check=True,
        )  # fmt: skip
        reply = json.loads(done.stdout.splitlines()[-1])
        if not reply["ok"]:
            return None
        times.append(reply["first"])
    return statistics.median(times)


def startup(name: str, threads: int, processes: int) -> Startup:
    """All of it for one library of `PEERS`; medians over so many new processes."""
    env = environment(name, threads)
    own: dict[Path, int] = {}
    everything: dict[str, dict[Path, int]] = {}
    for distribution_name in _DISTRIBUTIONS[name]:
        own |= _files(distribution_name)
        _requirements(distribution_name, everything)
    files = {path: size for part in everything.values() for path, size in part.items()}
    return Startup(
        name, sum(own.values()), sum(files.values()), _import_seconds(name, env, processes),
        _first_seconds(name, threads, env, processes),
    )  # fmt: skip
