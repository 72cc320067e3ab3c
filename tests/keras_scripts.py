"""The scripts of examples/keras, run inside a test, and how their figures are compared."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "examples" / "keras"


def load_runner() -> ModuleType:
    """examples/keras/run.py as a module."""
    spec = importlib.util.spec_from_file_location("keras_script_runner", FOLDER / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tolerance(ours: Sequence[float], theirs: Sequence[float], odds: float = 1e-3) -> float:
    """How far apart the means of two samples of one distribution are, exceeded with these odds.

    t * s * sqrt(1/n + 1/m), s the standard deviation pooled from both, t of Student's distribution; at least 1 % of the
    value, since counts of rows move in steps. Several equal values of Keras's do not depend on the seed: 5e-6 of the
    value then, rounding.
    """
    from scipy.stats import t as student  # comes with scikit-learn, which the scripts need

    n, m = len(ours), len(theirs)
    largest = float(np.max(np.abs(theirs)))
    if m > 1 and float(np.ptp(theirs)) <= 1e-6 * largest:
        return 5e-6 * largest
    squares = n * float(np.var(ours)) + m * float(np.var(theirs))
    error = float(np.sqrt(squares / (n + m - 2) * (1 / n + 1 / m)))
    return max(float(student.ppf(1 - odds / 2, n + m - 2)) * error, 0.01 * largest)


def disagreements(ours: Sequence[Mapping[str, Any]], theirs: Mapping[str, Sequence[Any]]) -> list[str]:
    """Figures in which runs of a script under lanewise are not what Keras's are, in words.

    Args:
        ours: the figures of each run.
        theirs: by figure, the values of all runs.
    """
    found = [f"figures differ: {sorted(ours[0])} against {sorted(theirs)}"] if set(ours[0]) != set(theirs) else []
    for key in set(ours[0]) & set(theirs):
        mine, keras = [run[key] for run in ours], list(theirs[key])
        if isinstance(keras[0], float):
            apart, allowed = abs(np.mean(mine) - np.mean(keras)), tolerance(mine, keras)
            if not apart <= allowed:
                found.append(f"{key}: {_shown(mine)} against {_shown(keras)}, apart {apart:.3g} > {allowed:.3g}")
        elif isinstance(keras[0], list) and keras[0] and isinstance(keras[0][0], float):
            if not np.allclose(mine, keras[0], rtol=1e-5):
                found.append(f"{key}: {mine} against {keras[0]}")
        elif mine != [keras[0]] * len(mine):
            found.append(f"{key}: {mine} against {keras[0]}")
    return found


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
