"""The loaders as functions of bytes, with what each begins from: small files of every format.

A target raises where a loader breaks its promise: another error than ValueError, more than a second, more memory than
twice the file and 64 MB, a model that changed although loading failed; `Watch` sees what is executed or written.
"""

from __future__ import annotations

import contextlib
import difflib  # noqa: F401 (loaded before watching begins)
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.ma

import lanewise as lw
from lanewise.custom import layer, moves, neural, operations  # noqa: F401 (as difflib)
from lanewise.initializers.base import zeros_only
from lanewise.tabular import TabularClassifier, TabularRegressor

sys.path.insert(0, str(Path(__file__).parents[1]))
from fuzz import mutate
from limits import SLOWER, forget_peak, memory, seconds
from sanitizer import KEPT

SECONDS = 1.0 * SLOWER
MEMORY = 64 * 2**20 + KEPT  # bytes, beside twice the file


class Broken(Exception):
    """A loader did what it must not do."""


class Target(NamedTuple):
    """A loader: suffix of its files, how files are changed, and what loads one."""

    suffix: str
    change: Callable[[bytes, Any], bytes]
    load: Callable[[str], Any]
    seeds: Callable[[Path], dict[str, bytes]]


# --- small files of every format ----------------------------------------------------------------------------------

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def chain(optimizer: str = "adam") -> Any:
    """3-2-1 with a Normalization, trained for a step."""
    lw.random.set_seed(1)
    network = lw.Sequential([
        lw.layers.Normalization(mean=[0.0, 1.0, 2.0], variance=1.0, input_shape=(3,), name="n"),
        lw.layers.Dense(2, "relu", kernel_regularizer="l2", name="d"), lw.layers.Dropout(0.5, name="o"),
        lw.layers.Dense(1, name="e"),
    ])  # fmt: skip
    network.compile(optimizer, "mse", metrics=["mae", lw.metrics.AUC(num_thresholds=5)])
    network.fit(X, X[:, 0] > 0, verbose=0)
    return network


def graph() -> Any:
    """Two inputs, one of ids; shared layer, a model in the model, operators."""
    a, ids = lw.Input((3,), name="a"), lw.Input((2,), name="ids", dtype="int64")
    shared = lw.layers.Dense(2, name="s")
    inner = lw.Sequential([lw.layers.Dense(2, "tanh", input_shape=(2,), name="i")], name="inner")
    embedded = lw.layers.GlobalAveragePooling1D(name="g")(lw.layers.Embedding(4, 2, name="m")(ids))
    hidden = lw.layers.Concatenate(name="c")([inner(shared(a)) * 2.0, embedded])
    return lw.Model([a, ids], lw.layers.BatchNormalization(name="b")(hidden), name="net")


def words() -> Any:
    """A vocabulary."""
    lookup = lw.layers.StringLookup(vocabulary=["a", "b"], name="l", output_mode="multi_hot")
    return lw.Sequential([lw.Input((1,), dtype="string", name="t"), lookup, lw.layers.Dense(1, name="d")], name="words")


def table(kind: Any = TabularRegressor) -> Any:
    """A fitted estimator of a table."""
    columns = {"a": np.arange(40.0), "b": np.array(["x", "y"] * 20)}
    y = columns["a"] if kind is TabularRegressor else columns["b"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(units=(2,), members=2, epochs=4, random_state=0).fit(columns, y)


def _models(folder: Path, suffix: str) -> dict[str, bytes]:
    made = {"chain": chain("sgd"), "graph": graph(), "words": words()}
    if suffix == ".lanewise":
        made["adam"] = chain()
    found = {}
    for name, model in made.items():
        path = folder / f"{name}{suffix}"
        model.save(path)
        found[name] = path.read_bytes()
    return found


def _lanewise(folder: Path) -> dict[str, bytes]:
    found = _models(folder, ".lanewise")
    path = folder / "x.lanewise"
    lw.Ensemble([chain(), chain("sgd")]).save(path)
    found["ensemble"] = path.read_bytes()
    chain().save_weights(path)
    return {**found, "weights": path.read_bytes()}


def _weights(suffix: str) -> Callable[[Path], dict[str, bytes]]:
    def seeds(folder: Path) -> dict[str, bytes]:
        path = folder / f"w{suffix}"
        chain().save_weights(path)
        return {"chain": path.read_bytes()}

    return seeds


def _tables(folder: Path) -> dict[str, bytes]:
    found = {}
    for kind in (TabularRegressor, TabularClassifier):
        path = folder / "t.lanewise"
        table(kind).save(path)
        found[kind.__name__] = path.read_bytes()
    return found


def _texts(folder: Path) -> dict[str, bytes]:
    return {name: make().to_json().encode() for name, make in (("chain", chain), ("graph", graph), ("words", words))}


def _backups(folder: Path) -> dict[str, bytes]:
    backup = lw.keras.callbacks.BackupAndRestore(folder, save_freq=1, delete_checkpoint=False)
    chain().fit(X, X[:, 0] > 0, batch_size=2, verbose=0, callbacks=[backup])
    return {"chain": (folder / "latest.npz").read_bytes()}


# --- loaders ------------------------------------------------------------------------------------------------------

_kept: dict[str, Any] = {}


def _into_model(path: str) -> None:
    """load_weights into a model that must not change if it fails."""
    if "model" not in _kept:
        _kept["model"] = chain()
    model = _kept["model"]
    before = model.get_weights()
    try:
        model.load_weights(path)
    except BaseException:
        if any(
            (a.view(np.uint32) != b.view(np.uint32)).any() for a, b in zip(before, model.get_weights(), strict=True)
        ):
            raise Broken("the weights changed although loading failed") from None
        raise
    model.set_weights(before)


def _table_of(path: str) -> None:
    try:
        TabularRegressor.load(path)
    except ValueError:
        TabularClassifier.load(path)


def _json(path: str) -> None:
    with open(path, "rb") as file:
        text = file.read()
    try:
        found = text.decode()
    except UnicodeDecodeError:
        found = text.decode("latin1")
    with zeros_only(2**20):  # a text may ask for any number of weights: they are made as a person's own model's are
        try:
            lw.saving.model_from_json(found)
        except ValueError as error:
            raise ValueError(str(error)) from error


def _backup(path: str) -> None:
    if "backup" not in _kept:
        _kept["backup"] = chain()
    model = _kept["backup"]
    folder = os.path.dirname(path)
    callback = lw.keras.callbacks.BackupAndRestore(folder)
    callback._path = path
    callback.set_model(model)
    before = lw.fingerprint(model)
    try:
        callback.on_train_begin()
    except BaseException:
        if lw.fingerprint(model) != before:
            raise Broken("the weights changed although the backup was refused") from None
        raise
    model.set_weights([np.zeros(weight.shape, np.float32) for weight in model.weights])


TARGETS = {
    "lanewise": Target(".lanewise", mutate.archive, lw.load_model, _lanewise),
    "lanewise_weights": Target(".lanewise", mutate.archive, _into_model, _weights(".lanewise")),
    "tabular": Target(".lanewise", mutate.archive, _table_of, _tables),
    "keras": Target(".keras", mutate.archive, lw.load_model, lambda folder: _models(folder, ".keras")),
    "h5": Target(".h5", mutate.raw, lw.load_model, lambda folder: _models(folder, ".h5")),
    "weights_h5": Target(".weights.h5", mutate.raw, _into_model, _weights(".weights.h5")),
    "safetensors": Target(".safetensors", mutate.raw, _into_model, _weights(".safetensors")),
    "json": Target(".json", mutate.text, _json, _texts),
    "backup": Target(".npz", mutate.archive, _backup, _backups),
}


def seeds(name: str) -> dict[str, bytes]:
    """The small files that a target begins from."""
    with tempfile.TemporaryDirectory() as folder:
        return TARGETS[name].seeds(Path(folder))


# --- one run ------------------------------------------------------------------------------------------------------


class Watch:
    """What Python's audit hooks report while a file is loaded: files opened for writing, code, modules, processes.

    Modules of lanewise, NumPy and the standard library that a loader needs are loaded before watching begins.
    """

    EVENTS = (
        "exec", "import", "compile", "marshal.loads", "pickle.find_class", "ctypes.dlopen", "os.system", "os.exec",
        "os.posix_spawn", "os.fork", "subprocess.Popen", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod",
        "os.link", "os.symlink", "os.truncate", "os.putenv", "shutil.rmtree", "socket.connect",
    )  # fmt: skip

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            _, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & 0o1103):
                self.seen.append(f"open for writing: {arguments[0]!r}")
        elif event in self.EVENTS:
            self.seen.append(f"{event}{arguments!r:.200}")


class Load(NamedTuple):
    """What a load did: its error; seconds; bytes beyond what the process had before, less twice the file; what the
    audit hooks saw."""

    error: BaseException | None
    took: float
    more: int
    seen: list[str]


class Runner:
    """Runs one target again and again, in a folder of its own.

    Attributes:
        loaded, refused: how many files were.
        slowest: seconds. most: bytes beyond what the process had before, less twice the file.
    """

    def __init__(self, name: str, folder: str) -> None:
        self.target = TARGETS[name]
        self.path = os.path.join(folder, f"f{self.target.suffix}")
        self.loaded = self.refused = 0
        self.slowest = 0.0
        self.most = 0
        self.watch = Watch()
        warnings.simplefilter("ignore")
        for data in seeds(name).values():  # what is imported when it is needed first
            self._load(data)
        for _ in range(2):
            self._load(b"")

    def _load(self, data: bytes) -> None:
        self._write(data)
        with contextlib.suppress(ValueError):
            self.target.load(self.path)

    def _write(self, data: bytes) -> None:
        with open(self.path, "wb") as file:
            file.write(data)

    def load(self, data: bytes) -> Load:
        """What loading this file does."""
        self._write(data)
        forget_peak()
        before, begun = memory("VmRSS"), seconds()
        error = None
        self.watch.on = True
        try:
            self.target.load(self.path)
        except BaseException as caught:
            error = caught
        self.watch.on = False
        took, more = seconds() - begun, memory("VmHWM") - before - 2 * len(data)
        seen, self.watch.seen = self.watch.seen, []
        return Load(error, took, more, seen)

    def __call__(self, data: bytes) -> str:
        """Load a file; the text of the error, or ''. Raises Broken."""
        error, took, more, seen = self.load(data)
        self.slowest, self.most = max(self.slowest, took), max(self.most, more)
        if took > SECONDS:
            raise Broken(f"took {took:.2f} s")
        if more > MEMORY:
            raise Broken(f"took {more >> 20} MB beside twice the file")
        if seen:
            raise Broken(f"did what loading must not do: {seen[:3]}")
        if error is None:
            self.loaded += 1
            return ""
        text = str(error)
        if isinstance(error, ValueError) and (type(error) is not ValueError or "MemoryError" in text):
            raise Broken(f"{type(error).__name__}: {text}") from error
        if not isinstance(error, ValueError) and (self.target.suffix, type(error)) != (".json", NotImplementedError):
            raise error
        self.refused += 1
        return text


if __name__ == "__main__":  # write the corpus anew
    for target in TARGETS:
        place = Path(__file__).parent / "corpus" / target
        place.mkdir(parents=True, exist_ok=True)
        for key, content in seeds(target).items():
            (place / key).write_bytes(content)
            print(json.dumps([target, key, len(content)]))
