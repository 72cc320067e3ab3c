"""Whatever holds the data, the same numbers give the same bits as contiguous float32 arrays, and are read in place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import lanewise as lw
from bounds import same_bits, unaligned
from lanewise import keras

ROWS, COLUMNS = 75, 6
WHOLE = np.random.default_rng(0).integers(-3, 4, (ROWS, COLUMNS))  # whole numbers: exact in every dtype
X = WHOLE.astype(np.float32)
Y = (X @ np.arange(COLUMNS, dtype=np.float32))[:, None] / 8
LABELS = np.arange(ROWS) % 3
MIXED = ["float64", "int8", "float32", "int64", "int16", "int32"]


def fitted(x: Any, y: Any, sparse: bool = False, **keywords: Any) -> list[np.ndarray]:
    """History, weights, prediction and evaluation after a training on x and y."""
    keras.utils.set_random_seed(1)
    model = lw.Sequential([
        keras.layers.Dense(9, "tanh"), keras.layers.Dense(3 if sparse else 1, "softmax" if sparse else None),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy" if sparse else "mse")
    history = model.fit(x, y, epochs=2, batch_size=16, verbose=0, validation_split=0.2, **keywords).history
    scores = [model.evaluate(x, y, verbose=0), model.train_on_batch(x, y)]
    return [
        np.array([*history["loss"], *history["val_loss"], *scores]),
        *model.get_weights(),
        model.predict(x, verbose=0),
    ]


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(same_bits(u, v) for u, v in zip(a, b, strict=True))


def frame(x: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])


def mixed_frame(x: np.ndarray) -> pd.DataFrame:
    """A dtype for each column, as files give them."""
    dtypes = [*MIXED[:4], "Int16", "Float32"]  # pandas's own dtypes too, which hold missing values
    return pd.DataFrame({f"c{i}": pd.Series(x[:, i]).astype(dtypes[i]) for i in range(x.shape[1])})


SOURCES: dict[str, Callable[[np.ndarray], Any]] = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "longdouble": lambda x: x.astype(np.longdouble),
    **{np.dtype(t).name: lambda x, t=t: x.astype(t) for t in (np.int8, np.int16, np.int32, np.int64)},
    "big endian": lambda x: x.astype(">f4"),
    "list": lambda x: x.tolist(),
    "list of arrays": lambda x: list(x),
    "tuple": lambda x: tuple(map(tuple, x.tolist())),
    "list of one array": lambda x: [x],
    "Fortran order": np.asfortranarray,
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every third column": lambda x: np.repeat(x, 3, axis=1)[:, ::3],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "inside a wider one": lambda x: np.pad(x, ((1, 2), (3, 4)), constant_values=np.nan)[1:-2, 3:-4],
    "unaligned": unaligned,
    "float64 strided": lambda x: np.repeat(x.astype(np.float64), 2, axis=1)[:, ::2],
    "subclass of ndarray": lambda x: x.view(type("Mine", (np.ndarray,), {})),
    "pandas": frame,
    "pandas float64": lambda x: frame(x.astype(np.float64)),
    "pandas mixed": mixed_frame,
    "pandas other index": lambda x: frame(x).set_index(np.arange(ROWS)[::-1] * 7),
    "polars": lambda x: pl.DataFrame(x),
    "polars mixed": lambda x: pl.DataFrame({f"c{i}": x[:, i].astype(t) for i, t in enumerate(MIXED)}),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_x_from_any_source(name: str) -> None:
    source = SOURCES[name](X)
    assert equal(fitted(source, Y), fitted(X, Y))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "bool"])
def test_unsigned_and_bool(dtype: str) -> None:
    x = (WHOLE > 0) if dtype == "bool" else (WHOLE + 3).astype(dtype)
    assert equal(fitted(x, Y), fitted(x.astype(np.float32), Y))


TARGETS: dict[str, Callable[[np.ndarray], Any]] = {
    "flat": lambda y: y[:, 0],
    "flat strided": lambda y: np.repeat(y, 5, axis=1)[:, 2],
    "backwards": lambda y: y[::-1].copy()[::-1],
    "float64": lambda y: y.astype(np.float64),
    "float16": lambda y: y.astype(np.float16),
    "list": lambda y: y.tolist(),
    "flat list": lambda y: y[:, 0].tolist(),
    "pandas series": lambda y: pd.Series(y[:, 0]),
    "pandas frame": lambda y: pd.DataFrame({"y": y[:, 0]}),
    "polars series": lambda y: pl.Series(y[:, 0]),
    "read-only": lambda y: np.broadcast_to(y, y.shape),
}


@pytest.mark.parametrize("name", TARGETS)
def test_y_from_any_source(name: str) -> None:
    assert equal(fitted(X, TARGETS[name](Y)), fitted(X, Y))


LABEL_SOURCES: dict[str, Callable[[np.ndarray], Any]] = {
    **{t: lambda y, t=t: y.astype(t) for t in ("int8", "uint8", "uint32", "int32", "float32", "float64")},
    "column": lambda y: y[:, None],
    "list": lambda y: y.tolist(),
    "pandas": lambda y: pd.Series(y),
    "pandas categories": lambda y: pd.Series(y).astype("category").cat.codes,
    "polars": lambda y: pl.Series(y),
    "strided": lambda y: np.repeat(y, 3)[::3],
}  # fmt: skip


@pytest.mark.parametrize("name", LABEL_SOURCES)
def test_labels_from_any_source(name: str) -> None:
    assert equal(fitted(X, LABEL_SOURCES[name](LABELS), sparse=True), fitted(X, LABELS, sparse=True))


@pytest.mark.parametrize(
    "weights",
    [
        lambda w: w.tolist(),
        lambda w: w.astype(np.float64),
        lambda w: w[:, None],
        pd.Series,
        lambda w: np.repeat(w, 2)[::2],
    ],
)
def test_sample_weights_from_any_source(weights: Callable[[np.ndarray], Any]) -> None:
    w = (np.arange(ROWS) % 4).astype(np.float32) / 4
    assert equal(fitted(X, Y, sample_weight=weights(w)), fitted(X, Y, sample_weight=w))


def test_rounding_is_that_of_numpy() -> None:
    """float64 becomes float32 by rounding to nearest, whoever does it."""
    x, y = np.random.default_rng(1).standard_normal((2, ROWS, COLUMNS))
    assert equal(fitted(x, y[:, :1]), fitted(x.astype(np.float32), y[:, :1].astype(np.float32)))
    large = np.random.default_rng(2).integers(-(2**62), 2**62, (ROWS, COLUMNS))
    keras.utils.set_random_seed(3)
    model = lw.Sequential([keras.layers.Dense(4, input_shape=(COLUMNS,))])
    assert same_bits(model.predict(large, verbose=0), model.predict(large.astype(np.float32), verbose=0))


def test_memory_maps_are_read_in_place(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64, np.int16):
        path = tmp_path / f"{np.dtype(dtype)}.npy"
        np.save(path, X.astype(dtype))
        mapped = np.load(path, mmap_mode="r")
        assert isinstance(mapped, np.memmap)
        assert equal(fitted(mapped, Y), fitted(X, Y))


def test_a_large_map_costs_no_memory(tmp_path: Path) -> None:
    """64 MB of float64 on disk; what training may add is checked by the largest resident size of a process."""
    rows, columns = 40_000, 200
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float64, (rows, columns)).flush()
    code = f"""
import resource, numpy as np
from lanewise import keras
x = np.load({str(tmp_path / "x.npy")!r}, mmap_mode="r")
model = keras.Sequential([keras.layers.Dense(16, "relu", input_shape=({columns},)), keras.layers.Dense(1)])
model.compile("adam", "mse")
def anonymous():
    with open("/proc/self/status") as status:
        return sum(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
model.fit(x[:64], np.zeros(64), verbose=0)
before = anonymous()
model.fit(x, np.zeros({rows}, np.float32), epochs=2, verbose=0)
model.predict(x, verbose=0)
print(anonymous() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 8 * 1024  # KB; the map itself is 62,500 KB


def test_the_users_arrays_are_never_changed() -> None:
    for order in ("C", "F"):
        x, y, w = np.array(X, order=order), Y.copy(), np.ones(ROWS, np.float32)
        for array in (x, y, w):
            array.setflags(write=False)
        fitted(x, y, sample_weight=w)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)


def test_more_axes_than_two() -> None:
    images = WHOLE.reshape(ROWS, 3, 2)
    results = []
    for x in (images.astype(np.float32), images.astype(np.float64), np.asfortranarray(images), images.tolist(),
              np.ascontiguousarray(images.transpose(0, 2, 1)).transpose(0, 2, 1), images[::-1][::-1]):  # fmt: skip
        keras.utils.set_random_seed(1)
        model = lw.Sequential(
            [keras.layers.Flatten(input_shape=(3, 2)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
        )
        model.compile("sgd", "mse")
        model.fit(x, Y, verbose=0)
        results.append([*model.get_weights(), model.predict(x, verbose=0)])
    assert all(equal(result, results[0]) for result in results)


def test_one_column_may_be_flat() -> None:
    assert equal(fitted(X[:, 0], Y), fitted(X[:, :1], Y))


def test_validation_data_from_any_source() -> None:
    def values(x: Any, y: Any) -> list[float]:
        keras.utils.set_random_seed(1)
        model = lw.Sequential([keras.layers.Dense(1, input_shape=(COLUMNS,))])
        model.compile("sgd", "mse")
        return model.fit(X, Y, epochs=2, verbose=0, validation_data=(x, y)).history["val_loss"]

    want = values(X[:20], Y[:20])
    for x, y in [
        (X[:20].tolist(), Y[:20, 0]),
        (frame(X[:20]), pd.Series(Y[:20, 0])),
        (WHOLE[:20], Y[:20].astype(np.float64)),
    ]:
        assert values(x, y) == want


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_axes_of_one_element_have_strides_that_mean_nothing(dtype: str) -> None:
    """NumPy gives x[..., None] a stride of 0, and slices of such an axis any stride at all."""
    x = np.arange(60).reshape(5, 3, 4).astype(dtype)
    keras.utils.set_random_seed(1)
    model = lw.Sequential([keras.layers.Input((3, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    expected = model.predict(x.reshape(5, 3, 4, 1).copy(), verbose=0)
    last = x.reshape(5, 3, 4, 1)
    for same in (x[..., None], np.expand_dims(x, -1), last[..., ::-1], last[..., :: 10**9]):
        assert same_bits(model.predict(same, verbose=0), expected)
    column, flat = x[:, :1, :1], lw.Sequential([keras.layers.Input((1, 1)), keras.layers.Flatten()])
    assert same_bits(flat.predict(column[:, ::-1, :: 10**9], verbose=0), column.reshape(5, 1).astype(np.float32))
    model.compile("adam", "mse")
    y = np.ones((5, 2))
    scores = [model.evaluate(v, y, verbose=0) for v in (last.copy(), x[..., None])]
    assert scores[0] == scores[1]
