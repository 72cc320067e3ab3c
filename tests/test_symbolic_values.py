"""Symbolic tensors: casts, comparisons, rows that may not go into one another, files that ask for much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras

L, ops = keras.layers, keras.ops


def test_none_in_a_shape_stands_for_the_rows_alone() -> None:
    x = keras.Input((2, 6))
    assert ops.reshape(x, (None, 2, 3, -1)).shape == (None, 2, 3, 2)
    assert ops.reshape(x, newshape=[x.shape[0], 12]).shape == (None, 12)
    for shape in ((None, None, 1), (None, -1, -1), (None, 5), (None, 5, -1)):
        with pytest.raises(ValueError, match=r"reshape: called on \(None, 2, 6\)"):
            ops.reshape(x, shape)


def test_rows_that_go_into_one_another_are_refused_where_they_are_written() -> None:
    x = keras.Input((4,))
    for function in (
        lambda: ops.roll(x, 2, axis=0), lambda: ops.roll(x, 6), lambda: ops.flip(x, 0), lambda: ops.sort(x, 0),
        lambda: ops.cumsum(x, 0), lambda: ops.softmax(x, 0), lambda: ops.take(x, [0, 1], axis=0),
        lambda: ops.sum(keras.Input((2,)), axis=0), lambda: x + np.ones((2, 4)), lambda: lw.argmax(keras.Input((2,))),
        lambda: ops.split(x, 2),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="row"):
            function()
    with pytest.raises(ValueError, match="number of rows"):
        ops.size(x)


def test_arguments_by_name() -> None:
    x = keras.Input((6,))
    assert ops.reshape(newshape=(-1, 3, 2), x=x).shape == (None, 3, 2)
    assert [part.shape for part in ops.split(x, axis=1, indices_or_sections=3)] == [(None, 2)] * 3
    assert ops.top_k(k=2, x=x)[0].shape == (None, 2)
    with pytest.raises(TypeError, match="newshape"):
        ops.reshape(x, foo=(-1, 3, 2))
    sizes = [(None, 2), (None, 4)]
    assert [part.shape for part in lw.split(x, [2, -1], axis=1)] == sizes
    with pytest.raises(ValueError, match="add up to 6"):
        lw.split(x, [2, 2], axis=1)
    assert lw.pad(x, [[0, 0], [1, 2]], "REFLECT").shape == (None, 9)
    assert lw.roll(x, shift=1, axis=1).shape == (None, 6)


def test_files_cannot_ask_for_much_by_other_ways() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, ops.pad(x, ((0, 0), (0, 4177)), constant_values=0.5))
    text = model.to_json()
    assert keras.models.model_from_json(text).output_shape == (None, 4180)
    for old, new, said in (
        ("4177", "250000000", "expected fewer than"),
        ("4177", "-7", "pad_width"),
        ('"constant"', '"empty"', "mode"),
        ('"kwargs": {"constant_values": 0.5}', '"kwargs": {"pad_width": 900000000}', None),
    ):
        assert text.count(old) == 1
        if said is None:  # an argument of the call beside what pad has there
            assert keras.models.model_from_json(text.replace(old, new)).output_shape == (None, 4180)
            continue
        with pytest.raises(ValueError, match=said):
            keras.models.model_from_json(text.replace(old, new))
    for function in ("zeros", "ones", "full", "eye", "arange", "linspace"):
        with pytest.raises(ValueError, match="makes an array of numbers"):
            L.deserialize({"class_name": "Function", "config": {"function": function, "args": [3], "kwargs": {}}})
    table = {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "U400000000"}}
    with pytest.raises(ValueError, match="expected numbers"):
        L.deserialize({"class_name": "Function", "config": {"function": "add", "args": [table], "kwargs": {}}})


def test_casts_change_the_values_that_count() -> None:
    x, data = keras.Input((4,)), np.array([[3.7, 0, -5.2, 0], [1.5, 2, 3, 4]], np.float32)
    whole = np.trunc(data)

    def given(result: Any) -> Any:
        model = keras.Model(x, result)
        copies = (keras.models.model_from_json(model.to_json()), keras.models.clone_model(model))
        out = model.predict(data, verbose=0)
        for copied in copies:
            np.testing.assert_array_equal(copied.predict(data, verbose=0), out)
        return out

    np.testing.assert_array_equal(given(ops.cast(x, "int32")), whole)
    np.testing.assert_array_equal(given(ops.sum(ops.cast(x, np.int64), axis=1)), whole.sum(1))
    np.testing.assert_array_equal(given(lw.cast(ops.cast(x, "bool"), lw.float32)), data != 0)
    np.testing.assert_array_equal(given(-L.Flatten()(ops.cast(x, "int8"))), -whole)
    model = keras.Model(x, ops.cast(x > 1, "float32") + ops.cast(x, "float32"))
    model.predict(data, verbose=0)
    assert sum(" host " in line for line in model._program.builder.graph.operations()) == 1  # the comparison


def test_ids_that_are_cast_are_looked_up_as_they_are() -> None:
    x = keras.Input((4,))
    table, ids = L.Embedding(5, 2), np.array([[0, 1, 2, 3], [4, 3, 2, 1]], np.float32)
    for cast in (
        ops.cast(x, "int32"),
        ops.reshape(ops.cast(x, "int64"), (-1, 2, 2)),
        L.Flatten()(ops.cast(x, "int32")),
    ):
        model = keras.Model(x, table(cast))
        model.predict(ids, verbose=0)
        assert not any(" host " in line for line in model._program.builder.graph.operations())
        out = model.predict(ids, verbose=0)
        np.testing.assert_array_equal(out.reshape(2, 4, 2), table.get_weights()[0][ids.astype(int)])
        with pytest.raises(ValueError, match=r"whole|integer"):
            model.predict(ids + 0.5, verbose=0)


def test_comparisons_and_logic_of_tensors() -> None:
    x, data = keras.Input((4,)), np.array([[3, 0, -5, 0], [1, 2, 3, -4]], np.float32)
    for made, wanted in (
        (ops.where(x != 0, x, -9.0), np.where(data != 0, data, -9)),
        (lw.cast((x > 2) | (x < -4), lw.float32), (data > 2) | (data < -4)),
        (lw.cast((x > -3) & ~(x > 2), "float32"), (data > -3) & ~(data > 2)),
    ):
        np.testing.assert_array_equal(keras.Model(x, made).predict(data, verbose=0), wanted)
    for other in (0, 0.5, np.zeros(4)):
        with pytest.raises(TypeError, match=r"ops\.equal"):
            assert x == other
    assert (x == x) is True and x in [x] and (x == keras.Input((4,))) is False
    assert (x != None) is True  # noqa: E711


def test_a_call_that_would_not_be_made_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="subclass of Model"):

        class Mine(keras.Sequential):
            def call(self, x: Any, training: Any = None) -> Any:
                return x
