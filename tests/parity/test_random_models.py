"""Random scripts under Keras and under lanewise: the same histories, logs of every batch, results and predictions.

They look for differences of meaning, which are large: numbers may differ by 1e-3 of themselves (Keras on JAX is
6e-4 from exact arithmetic with Adam at times, see `test_training.py`, which holds curves to 1e-4).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from lanewise import keras as ours
from parity.random_scripts import data, script

keras = pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore")  # of either library

Kept = list[tuple[str, Any]]
DATA = data()


def plain(value: Any) -> Any:
    """Numbers and arrays in the lists and dicts that they came in."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, str | int | None):
        return value
    return np.asarray(value, np.float64)


def cut(value: Any, start: int, stop: int) -> Any:
    if isinstance(value, dict):
        return {key: cut(v, start, stop) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(cut(v, start, stop) for v in value)
    return value[start:stop]


def run(library: Any, text: str, weights: list[np.ndarray] | None) -> tuple[Kept, list[np.ndarray]]:
    """What the script keeps, and the weights that it began from."""
    kept: Kept = []
    began: list[np.ndarray] = []
    library.utils.clear_session()  # names are counted from the start
    library.utils.set_random_seed(5)

    def keep(name: str, value: Any) -> None:
        if name == "history":
            kept.append(("epochs", list(value.epoch)))
            if library is keras:  # on JAX it would give the buffer of an averaged weight away twice, and raise
                value.model.set_weights(value.model.get_weights())
            value = value.history
        if name == "predict" and isinstance(value, dict):
            value = dict(sorted(value.items()))
        kept.append((name, plain(value)))

    def start(model: Any) -> None:
        if weights is not None:
            model.set_weights(weights)
        began.extend(model.get_weights())

    class Watch(library.callbacks.Callback):
        def __init__(self, epoch: int, batch: int) -> None:
            super().__init__()
            self.at, self.now = (epoch, batch), -1

        def on_train_begin(self, logs: Any = None) -> None:
            keep("steps", {key: self.params[key] for key in ("epochs", "steps")})

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.now = epoch

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            keep("train batch begins", batch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            keep(f"train batch {self.now}/{batch}", dict(logs))
            if (self.now, batch) == self.at:
                self.model.stop_training = True

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            keep(f"test batch {batch}", dict(logs))

        def on_test_end(self, logs: Any = None) -> None:
            keep("test", dict(logs))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            keep(f"epoch {epoch}", dict(logs))
            if (epoch, -1) == self.at:
                self.model.stop_training = True

        def on_train_end(self, logs: Any = None) -> None:
            keep("train", dict(logs or {}))

    def batches(size: int, *parts: Any) -> list[Any]:
        from parity.random_scripts import ROWS

        return [tuple(cut(part, at, min(at + size, ROWS)) for part in parts) for at in range(0, ROWS, size)]

    def iter_of(size: int, *parts: Any) -> Any:
        while True:
            yield from batches(size, *parts)

    class Made(library.utils.PyDataset):
        def __init__(self, found: list[Any]) -> None:
            super().__init__()
            self.found = found

        def __len__(self) -> int:
            return len(self.found)

        def __getitem__(self, index: int) -> Any:
            return self.found[index]

    def dataset_of(size: int, *parts: Any) -> Any:
        return Made(batches(size, *parts))

    space = {"k": library, "np": np, "keep": keep, "start": start, "Watch": Watch, "iter_of": iter_of,
             "dataset_of": dataset_of, "list_of": dataset_of, **DATA}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(text, space)
    return kept, began


def apart(mine: Any, theirs: Any, moved: Any, where: str) -> list[str]:
    """Where two structures of numbers differ, in words: order of keys included.

    moved: as theirs, from weights that differ in their last bits. Numbers may differ by eight times what that makes.
    """
    if isinstance(theirs, dict) and isinstance(mine, dict):
        if list(mine) != list(theirs):
            return [f"{where}: {list(mine)} against {list(theirs)}"]
        return [line for key in theirs for line in apart(mine[key], theirs[key], moved[key], f"{where}[{key}]")]
    if isinstance(theirs, list) and isinstance(mine, list):
        if len(mine) != len(theirs):
            return [f"{where}: {mine} against {theirs}"]
        return [line for i, b in enumerate(theirs) for line in apart(mine[i], b, moved[i], f"{where}[{i}]")]
    if not (isinstance(theirs, np.ndarray) and isinstance(mine, np.ndarray)):
        return [] if mine == theirs else [f"{where}: {mine!r} against {theirs!r}"]
    if mine.shape != theirs.shape:
        return [f"{where}: shape {mine.shape} against {theirs.shape}"]
    far = ~np.isclose(mine, theirs, rtol=1e-3, atol=1e-4 + 8 * np.abs(moved - theirs), equal_nan=True)
    return [f"{where}: {mine[far][:3]} against {theirs[far][:3]}"] if far.any() else []


def disagreements(text: str) -> list[str]:
    """What differs between the two libraries, in words."""
    theirs, weights = run(keras, text, None)
    mine, _ = run(ours, text, weights)
    if (names := [name for name, _ in mine]) != (wanted := [name for name, _ in theirs]):
        at = next((i for i, pair in enumerate(zip(names, wanted, strict=False)) if pair[0] != pair[1]), len(names))
        return [f"after {wanted[max(at - 3, 0) : at]}: {names[at : at + 2]} against {wanted[at : at + 2]}"]

    def compared(moved: Kept) -> list[str]:
        kept = zip(mine, theirs, moved, strict=True)
        return [line for (name, a), (_, b), (_, c) in kept for line in apart(a, b, c, name)]

    found = compared(theirs)
    if found:  # by how much does Keras itself move, where a rounding may turn a relu or an error's sign?
        signs = np.random.default_rng(1)
        moved, _ = run(keras, text, [w * (1 + signs.choice([-1, 1], w.shape) * 2.0**-23) for w in weights])
        if [name for name, _ in moved] == wanted:
            found = compared(moved)
    return found[:8]


@pytest.mark.parametrize("seed", [*range(40), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(40, 540))])
def test_the_same_under_both(seed: int) -> None:
    text = script(seed)
    found = disagreements(text)
    assert not found, "\n".join([*found, text])
