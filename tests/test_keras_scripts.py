"""The scripts of examples/keras under lanewise: they run without a warning, and to the figures that Keras gives.

`examples/keras/figures.json` has the final figures of real Keras with four seeds; here a script runs with four too.
`keras_scripts.tolerance` says how far apart their means may be: what seeds make of them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keras_scripts import disagreements, load_runner

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

runner = load_runner()
FIGURES = json.loads(runner.FIGURES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", runner.SCRIPTS)
def test_a_script_gives_what_keras_gives(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = disagreements([runner.run(name, seed=seed) for seed in range(4)], FIGURES[name])
    assert not found, "\n".join(found)
    assert list(tmp_path.iterdir()) == []  # scripts write to folders of their own


def test_what_is_compared_is_told_apart() -> None:
    """The comparison sees a loss of twice the size, another fact and a missing figure; it accepts other seeds."""
    keras = {"loss": [0.10, 0.11, 0.12, 0.11], "rate": [0.25] * 4, "holds": [True] * 4}
    same = {"rate": 0.25, "holds": True}
    assert disagreements([{"loss": 0.115, **same}, {"loss": 0.105, **same}], keras) == []
    for change in ({"loss": 0.3}, {"rate": 0.2501}, {"holds": False}, {"more": 1}):
        run = {"loss": 0.11, **same, **change}
        assert len(disagreements([run, run], keras)) == 1


def test_the_runner_rewrites_every_import() -> None:
    for name in runner.SCRIPTS:
        for library in ("keras", "tensorflow"):
            ours, theirs = runner.source(name).splitlines(), runner.source(name, library).splitlines()
            changed = [line for line, other in zip(ours, theirs, strict=True) if line != other]
            assert changed and all(line.startswith(("import lanewise", "from lanewise")) for line in changed)
        assert "set_seed(" in runner.source(name) or "set_random_seed(" in runner.source(name)
