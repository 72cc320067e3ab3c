"""Runs scripts of this folder under lanewise, Keras or TensorFlow: nothing but their import lines is changed.

    python examples/keras/run.py                            # all of them, under lanewise
    python examples/keras/run.py digits housing             # these
    KERAS_BACKEND=jax python examples/keras/run.py --library keras digits
    python examples/keras/run.py --library keras --seeds 4 --record   # into figures.json, for the tests

Initial weights and shuffles differ between libraries: figures agree within what another seed would change.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FOLDER = Path(__file__).parent
FIGURES = FOLDER / "figures.json"  # of Keras, with several seeds: what the tests compare with
SCRIPTS = tuple(sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "run"))

# What a script says, and what it would say if it were written for the other library.
REWRITES = {
    "lanewise": {},
    "tensorflow": {r"^(import|from) lanewise\b": r"\1 tensorflow"},
    "keras": {
        r"^import lanewise as tf$": "tf = _keras_as_tensorflow()",
        r"^from lanewise import keras$": "import keras",
        r"^from lanewise\.keras\b": "from keras",
    },
}


def source(name: str, library: str = "lanewise", seed: int | None = None) -> str:
    """The text of a script for a library; with `seed`, each seed of the network is raised by it (not those of data)."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    for pattern, replacement in REWRITES[library].items():
        text = re.sub(pattern, replacement, text, flags=re.M)
    if library != "lanewise" and re.search(r"^(import|from) .*lanewise", text, re.M):
        raise ValueError(f"{name}: an import of lanewise has no counterpart in {library}")
    if seed is not None:
        text = re.sub(r"set_(random_)?seed\((\d+)\)", lambda m: f"set_{m[1] or ''}seed({int(m[2]) + seed})", text)
    return text


def run(name: str, library: str = "lanewise", seed: int | None = None) -> dict[str, Any]:
    """The final figures of a script, from the JSON in its last line. What else it prints goes to stdout as ever."""
    code = compile(source(name, library, seed), str(FOLDER / f"{name}.py"), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(_Both(sys.stdout, printed)):
        exec(code, {"__name__": "__main__", "_keras_as_tensorflow": _keras_as_tensorflow})
    figures = json.loads(printed.getvalue().rstrip().rsplit("\n", 1)[-1])
    if not isinstance(figures, dict):
        raise ValueError(f"{name}: expected a JSON object in the last line, received {figures!r}")
    return figures


class _Both(io.TextIOBase):
    """Writes to two streams."""

    def __init__(self, *streams: Any) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()


def _keras_as_tensorflow() -> SimpleNamespace:
    """What the scripts use of `tf`, where Keras is there and TensorFlow is not."""
    import keras

    return SimpleNamespace(
        keras=keras, nn=keras.activations, random=SimpleNamespace(set_seed=keras.utils.set_random_seed)
    )


def _record(name: str, found: list[dict[str, Any]]) -> None:
    """Each figure of a script as the list of its values, one a seed, rounded to what can matter."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    kept[name] = {key: [_rounded(figures[key]) for figures in found] for key in found[0]}
    lines = [
        f"{json.dumps(script)}: {{\n  "
        + ",\n  ".join(f"{json.dumps(key)}: {json.dumps(values)}" for key, values in kept[script].items())
        + "\n}"
        for script in sorted(kept)
    ]
    FIGURES.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"of: {', '.join(SCRIPTS)}; all")
    parser.add_argument("--library", choices=REWRITES, default="lanewise")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each script; 1")
    parser.add_argument("--quiet", action="store_true", help="final figures only")
    parser.add_argument("--record", action="store_true", help=f"keep the final figures in {FIGURES.name}")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.scripts) - set(SCRIPTS))
    if unknown:
        parser.error(f"no such script: {', '.join(unknown)}; there are {', '.join(SCRIPTS)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    failed = []
    for name in arguments.scripts or SCRIPTS:
        found = []
        for seed in range(arguments.seeds):
            began = time.perf_counter()
            quiet = contextlib.redirect_stdout(io.StringIO()) if arguments.quiet else contextlib.nullcontext()
            try:
                with quiet, warnings.catch_warnings():
                    if arguments.library != "lanewise":
                        warnings.simplefilter("ignore")
                    figures = run(name, arguments.library, seed)
            except Exception as error:
                failed.append(name)
                print(f"{name} {seed}: FAILED, {type(error).__name__}: {error}", file=sys.stderr)
                continue
            print(f"{name} {seed}, {time.perf_counter() - began:.1f} s: {json.dumps(figures)}", file=sys.stderr)
            found.append(figures)
        if arguments.record and len(found) == arguments.seeds:
            _record(name, found)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
