"""Data sets, sequences and operations beside Keras's own."""

import inspect
import re

import numpy as np
import pytest

import lanewise as lw
from lanewise.keras import datasets, ops
from lanewise.keras.datasets import _read

keras = pytest.importorskip("keras")


@pytest.mark.parametrize("name", datasets.__all__)
def test_addresses_and_hashes_are_those_of_keras(name):
    theirs = inspect.getsource(inspect.getmodule(getattr(keras.datasets, name).load_data))
    ours = inspect.getsource(getattr(datasets, name))
    hashes = re.findall(r'"([0-9a-f]{32}|[0-9a-f]{64})"', theirs)
    assert hashes or name == "fashion_mnist"
    assert all(f'"{value}"' in ours for value in hashes)
    for address in re.findall(r'"(https://[^"]*)"', theirs):
        known = (_read.BASE, *re.findall(r"https://[^\s{]*", inspect.getsource(_read)))
        assert any(address.startswith(start) for start in known)
    signature = inspect.signature(getattr(keras.datasets, name).load_data)
    for parameter in inspect.signature(getattr(datasets, name).load_data).parameters.values():
        assert signature.parameters[parameter.name].default == parameter.default


def objects(rows):
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


@pytest.mark.parametrize(
    "options",
    [{}, {"num_words": 30}, {"skip_top": 6, "oov_char": None}, {"maxlen": 8}, {"start_char": None, "index_from": 0}],
)
def test_texts_are_cut_as_keras_cuts_them(options, monkeypatch, tmp_path):
    rng = np.random.default_rng(4)
    rows = [rng.integers(1, 50, rng.integers(2, 12)).tolist() for _ in range(40)]
    labels = rng.integers(0, 2, 40)
    path = str(tmp_path / "file.npz")
    np.savez(path, allow_pickle=True, x=objects(rows), y=labels, x_train=objects(rows), y_train=labels,
             x_test=objects(rows[::-1]), y_test=labels)  # fmt: skip
    for name in ("imdb", "reuters"):
        ours = getattr(datasets, name)
        theirs = inspect.getmodule(getattr(keras.datasets, name).load_data)
        for module in (ours, theirs, _read):
            monkeypatch.setattr(module, "get_file", lambda *args, **kwargs: path)
        for (x, y), (u, v) in zip(ours.load_data(**options), theirs.load_data(**options), strict=True):
            assert [list(row) for row in x] == [list(row) for row in u] and list(y) == list(v)


def test_pad_sequences_and_to_categorical():
    rng = np.random.default_rng(4)
    rows = [rng.integers(1, 50, rng.integers(0, 12)).tolist() for _ in range(20)]
    for options in ({}, {"maxlen": 5}, {"padding": "post"}, {"maxlen": 4, "truncating": "post", "value": 7}):
        ours, theirs = lw.utils.pad_sequences(rows, **options), keras.utils.pad_sequences(rows, **options)
        assert np.array_equal(ours, theirs) and ours.dtype == theirs.dtype
    y = rng.integers(0, 5, (7, 1))
    assert np.array_equal(lw.utils.to_categorical(y), keras.utils.to_categorical(y))


MORE = {"tensordot", "top_k"}  # take further arguments: tests/test_beside_keras.py has them
NAMES = [n for n in ops.__all__ if hasattr(keras.ops, n) and callable(getattr(ops, n)) and n not in MORE]
REDUCTIONS = {
    "sum", "mean", "max", "min", "amax", "amin", "prod", "var", "std", "median", "logsumexp", "argmax", "argmin",
}  # fmt: skip
ALONE = {"zeros_like", "ones_like", "argsort", "cumsum", "sort", "flip", "squeeze"}
SPECIAL = {"power", "log", "sqrt", "log2", "log10", "log1p", "rsqrt"}


@pytest.mark.parametrize("name", NAMES)
def test_operations_give_what_keras_gives(name):
    rng = np.random.default_rng(6)
    x, y = rng.uniform(0.1, 0.9, (2, 4, 3)).astype(np.float32)
    if name not in SPECIAL:
        x *= rng.choice([-1, 1], x.shape)
    arguments = {
        "where": [(x > 0, x, y)], "clip": [(x, -0.2, 0.3)], "cast": [(x, "int32")],
        "transpose": [(x,), (x[None], (2, 0, 1))], "reshape": [(x, (2, 6))], "concatenate": [([x, y],), ([x, y], 1)],
        "stack": [([x, y],), ([x, y], 1)], "split": [(x, 2)], "expand_dims": [(x, 1)], "swapaxes": [(x, 0, 1)],
        "take": [(x, [0, 2]), (x, [0, 2], 0)], "take_along_axis": [(x, np.argsort(y, 1), 1)], "tile": [(x, (2, 1))],
        "repeat": [(x, 2, 1)], "norm": [(x,)], "broadcast_to": [(x[0], (4, 3))], "einsum": [("ij,kj->ik", x, y)],
        "zeros": [((2, 3),)], "ones": [((2, 3),)], "full": [((2,), 3.0)], "eye": [(3,)], "arange": [(2, 9, 3), (4.0,)],
        "linspace": [(0.0, 1.0, 5)], "one_hot": [(np.array([0, 2, 1]), 3)], "dot": [(x, y.T)], "matmul": [(x, y.T)],
        "outer": [(x[0], y[0])], "binary_crossentropy": [(np.round(y), y), (np.round(y), x, True)],
        "convert_to_tensor": [([1.0, 2.0],), ([1, 2],)], "categorical_crossentropy": [(y, y), (y, x, True)],
        "logical_and": [(x > 0, y > 0.5)],
        "sparse_categorical_crossentropy": [(np.array([0, 1, 2, 0]), y), (np.array([0, 1, 2, 0]), x, True)],
        "logical_or": [(x > 0, y > 0.5)], "logical_not": [(x > 0,)], "any": [(x > 0,)], "all": [(x > 0, 1)],
        "softmax": [(x,)], "log_softmax": [(x,)], "floor_divide": [(x, y)], "gelu": [(x,)],
        "is_tensor": [(x.tolist(),)], "moveaxis": [(x, 0, 1), (x[None], (0, 1), (2, 0))],
        "pad": [(x, ((1, 2), (0, 3))), (x, 1)], "roll": [(x, 2), (x, -1, 1)],
    }  # fmt: skip
    pairs = len(inspect.signature(getattr(ops, name)).parameters) == 2 and name not in REDUCTIONS | ALONE
    default = [(x,), (x, 1)] if name in REDUCTIONS else [(x, y)] if pairs else [(x,)]
    for given in arguments.get(name, default):
        ours, theirs = getattr(ops, name)(*given), getattr(keras.ops, name)(*given)
        if isinstance(ours, list | tuple):
            ours, theirs = np.asarray(ours), np.asarray([np.asarray(part) for part in theirs])
        theirs = np.asarray(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
        if name not in ("ndim", "size", "shape", "is_tensor", "argsort"):
            assert np.asarray(ours).dtype == theirs.dtype, name
