"""The scripts of examples/keras under Keras and under lanewise: the same figures and the same curves, within noise.

Weights and shuffles differ, so seeds are the measure: sixteen runs of lanewise against one of Keras. A figure is
Keras's within `keras_scripts.tolerance`, at odds of 1 to 1,000. So is each value of each curve, of thousands, at
odds of 1 to 100,000. Curves are those of every `fit` of the script, epoch by epoch as far as all runs have come.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_scripts import disagreements, load_runner, tolerance
from lanewise import keras as ours

keras = pytest.importorskip("keras")
pytest.importorskip("sklearn")
pytest.importorskip("pandas")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

runner = load_runner()
SEEDS = int(os.environ.get("LANEWISE_PARITY_SEEDS", "16"))


@contextmanager
def recorded(library: Any) -> Iterator[list[dict[str, list[float]]]]:
    """The history of every `fit` inside."""
    kept: list[dict[str, list[float]]] = []
    owners = [next(c for c in model.__mro__ if "fit" in vars(c)) for model in (library.Sequential, library.Model)]
    plain = {owner: vars(owner)["fit"] for owner in owners}

    def watching(fit: Any) -> Any:
        def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
            history = fit(self, *args, **kwargs)
            kept.append(history.history)
            return history

        return watched

    try:
        for owner, fit in plain.items():
            owner.fit = watching(fit)
        yield kept
    finally:
        for owner, fit in plain.items():
            owner.fit = fit


@pytest.mark.parametrize("name", runner.SCRIPTS)
def test_figures_and_curves(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with recorded(keras) as their_curves:
        theirs = runner.run(name, "keras", seed=0)
    figures, curves = [], []
    for seed in range(SEEDS):
        with recorded(ours) as own:
            figures.append(runner.run(name, seed=seed))
        curves.append(own)
    found = disagreements(figures, {key: [value] for key, value in theirs.items()})
    for fit, their_history in enumerate(their_curves):
        for key, values in their_history.items():
            own_values = [run[fit][key] for run in curves]
            for epoch in range(min(len(values), *(len(v) for v in own_values))):
                mine = [v[epoch] for v in own_values]
                apart = abs(np.mean(mine) - values[epoch])
                if not apart <= tolerance(mine, [values[epoch]], odds=1e-5):
                    found.append(f"fit {fit}, {key} of epoch {epoch + 1}: {mine} against {values[epoch]}")
    assert not found, "\n".join(found)
