"""Run by test_out_of_memory.py in a process of its own: one allocation after another fails, and what was asked for is
asked for again. Prints a line for each phase as JSON."""

import ctypes
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lanewise as lw
from lanewise import ops

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 12), dtype=np.float32)
Y = X[:, 0] * X[:, 1]
MANY = np.tile(X, (40, 1))  # NumPy keeps memory of less than a kilobyte: arrays of so many rows are asked for anew
FOLDER = Path(tempfile.mkdtemp())


def build() -> lw.Sequential:
    """A model with everything that takes memory of its own."""
    lw.random.set_seed(1)
    model = lw.Sequential([
        lw.Input((12,)),
        lw.layers.Dense(9, "gelu", kernel_regularizer=lw.regularizers.L2(1e-3)),
        lw.layers.BatchNormalization(),
        lw.layers.Dropout(0.2),
        lw.layers.Dense(1),
    ])  # fmt: skip
    model.compile(lw.optimizers.Adam(0.01, global_clipnorm=1.0), "mse", metrics=["mae"])
    return model


def fit(model: lw.Sequential) -> Any:
    return model.fit(X, Y, batch_size=16, epochs=2, validation_split=0.2, verbose=0).history


def trained() -> lw.Sequential:
    model = build()
    fit(model)
    return model


def saved() -> tuple[lw.Sequential, Path]:
    model = trained()
    path = FOLDER / "saved.lanewise"
    model.save(path)
    return model, path


def predict(model: lw.Sequential) -> bytes:
    return bytes(model.predict(X, verbose=0).tobytes())


def with_many(model: lw.Sequential) -> bytes:
    predictions = predict(model), model.predict(MANY.astype(np.float64), verbose=0), model.predict_on_batch(MANY)
    model.set_weights([np.repeat(weight, 1, axis=0) for weight in model.get_weights()])
    return b"".join(bytes(p) for p in predictions) + str(model.evaluate(MANY, np.tile(Y, 40), verbose=0)).encode()


def with_slopes(model: lw.Sequential) -> bytes:
    """Not as text: the context variables by which NumPy prints do not survive what fails here (CPython 3.11)."""
    loss, slopes = model.value_and_grad(X, Y)
    return np.float64(loss).tobytes() + b"".join(slope.tobytes() for slope in slopes)


def save(model: lw.Sequential) -> bytes:
    path = FOLDER / "out.lanewise"
    model.save(path)
    return predict(lw.load_model(path))


# What is there before, what is asked for, and whether asking again after a failure gives the bits of the first time.
Phase = tuple[Callable[[], Any], Callable[[Any], Any], bool]
PHASES: dict[str, Phase] = {
    "build": (lambda: None, lambda _: predict(build()), True),
    "first fit": (build, lambda m: str(fit(m)), False),  # a fit that stops in the middle has trained a little
    "another fit": (trained, lambda m: str(fit(m)), False),
    "predict": (trained, predict, True),
    "evaluate": (trained, lambda m: str(m.evaluate(X, Y, verbose=0)), True),
    "value_and_grad": (trained, with_slopes, True),
    "many rows": (trained, with_many, True),
    "save": (trained, save, True),
    "load": (saved, lambda s: predict(lw.load_model(s[1])), True),
    "matmul": (lambda: None, lambda _: ops.matmul(X, X.T, out=None).tobytes(), True),
}


class Native:
    """C++ allocations of _core (operator new), or the memory of NumPy's arrays."""

    def __init__(self, library: str) -> None:
        self.shim = ctypes.CDLL(os.environ["LD_PRELOAD"].split()[0])
        self.shim.watch.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t]
        self.shim.fail_at.argtypes = [ctypes.c_long]
        self.shim.seen.restype = ctypes.c_long
        maps = Path("/proc/self/maps").read_text().splitlines()
        # what std::string and its kin take, they take from within libstdc++
        for i, name in enumerate([library, "libstdc++"] if library == "/_core" else [library]):
            spans = [[int(x, 16) for x in line.split()[0].split("-")] for line in maps if name in line]
            self.shim.watch(i, spans[0][0], spans[-1][1])

    def arm(self, n: int) -> None:
        self.shim.fail_at(n)

    def disarm(self) -> int:
        """How many there were."""
        seen = int(self.shim.seen())
        self.shim.fail_at(0)
        return seen

    def count(self, act: Callable[[Any], Any], before: Callable[[], Any]) -> int:
        """How many there are."""
        state = before()
        self.arm(0)
        act(state)
        return self.disarm()


class Interpreter:
    """Python's own allocations; CPython's test hook."""

    def __init__(self) -> None:
        import _testcapi

        self.hook = _testcapi

    def arm(self, n: int) -> None:
        if n:
            self.hook.set_nomemory(n, n + 1)

    def disarm(self) -> int:
        self.hook.remove_mem_hooks()
        return 0

    def count(self, act: Callable[[Any], Any], before: Callable[[], Any]) -> int:
        """How many there are is not told: none is left where it does no harm that the next fifty fail. (If all do from
        there on, CPython 3.11 does not end in `finally`.)"""

        def enough(n: int) -> bool:
            state = before()
            self.hook.set_nomemory(n, n + 50)
            try:
                act(state)
            except BaseException:
                return False
            finally:
                self.hook.remove_mem_hooks()
            return True

        high = 1024
        while not enough(high):
            high *= 2
        low = high // 2
        while high - low > 16:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high


def of_memory(error: BaseException) -> bool:
    """A MemoryError, or that a call failed without an exception: NumPy's `ufunc.reduce` can lose one."""
    lost = isinstance(error, SystemError) and "without" in str(error) and "exception" in str(error)
    return lost or isinstance(error, MemoryError)


def planted() -> Phase:
    """A prediction that turns a MemoryError into another error, and then gives other bits."""
    wrong: list[str] = []

    def act(model: lw.Sequential) -> Any:
        try:
            return predict(model) + bytes(len(wrong))
        except MemoryError:
            wrong.append("")
            raise ValueError("planted")  # noqa: B904 (what a MemoryError led to is none)

    return trained, act, True


def phase(name: str, source: Any, step: int) -> dict[str, Any]:
    before, act, again = planted() if name == "planted" else PHASES[name]
    want = act(before())
    failed, other, n, total = 0, [], 1, source.count(act, before)
    state = before()
    while n <= total:
        error: BaseException | None = None
        source.arm(n)
        try:
            act(state)
        except BaseException as e:
            error = e
        source.disarm()
        if error is not None:
            failed += 1
            if not of_memory(error):
                other.append(f"{n}: {error!r}")
            got = act(state)
            if again and got != want:
                other.append(f"{n}: other bits afterwards")
            weights = [np.isfinite(w).all() for w in state.get_weights()] if hasattr(state, "get_weights") else []
            if not all(weights):
                other.append(f"{n}: weights that are no numbers")
            if not again:
                state = before()
                if act(before()) != want:
                    other.append(f"{n}: a new model trains otherwise")
        n += step
    return {"phase": name, "allocations": total, "failed": failed, "other": other[:5]}


def main() -> None:
    ops.set_num_threads(1)
    which, step = sys.argv[1], int(sys.argv[2])
    source = Interpreter() if which == "python" else Native("/_core" if which == "core" else "_multiarray_umath")
    for name in sys.argv[3:] or PHASES:
        print(json.dumps(phase(name, source, step)), flush=True)


if __name__ == "__main__":
    main()
