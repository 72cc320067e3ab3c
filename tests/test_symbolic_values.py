"""Symbolic tensors: casts, comparisons, rows that may not go into one another, files that ask for much."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise.layers import Function
from lanewise.layers.slots import Slot

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
        lambda: ops.split(x, 2), lambda: x[:5], lambda: x[..., :5, :2], lambda: x[0:7, None], lambda: ops.roll(x, 5, 0),
        lambda: ops.roll(x, 5, axis=[1, -2]), lambda: ops.sort(keras.Input((600_000,)), axis=0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="row"):
            function()
    with pytest.raises(ValueError, match="number of rows"):
        ops.size(x)
    whole = (x[:], x[0:], x[..., :3], x[:, None], x[:, ::2], x[...], ops.roll(x, 5, axis=1))
    assert [part.shape[1:] for part in whole] == [(4,), (4,), (3,), (1, 4), (2,), (4,), (4,)]


def again(model: Any, folder: Path) -> dict[str, Any]:
    """The model in every other form that it can have."""
    for name in ("a.keras", "a.h5", "a.lanewise"):
        model.save(folder / name)
    described = keras.models.model_from_json(model.to_json())
    described.set_weights(model.get_weights())
    files = {name: keras.models.load_model(folder / name) for name in ("a.keras", "a.h5", "a.lanewise")}
    copies = {"clone": keras.models.clone_model(model), "copy": copy.deepcopy(model), "json": described}
    return files | copies | {"pickle": pickle.loads(pickle.dumps(model))}


WIDE = np.array([0.1, 0.2, 0.3, 0.7])
SQUARE = np.random.default_rng(1).standard_normal((4, 4))
SAME: list[Callable[[Any], Any]] = [
    lambda x: ops.elu(x, 0.5), lambda x: ops.elu(alpha=0.5, x=x), lambda x: ops.elu(x, np.float32(0.3)),
    lambda x: ops.elu(x, np.array(0.3)), lambda x: ops.elu(x, True), lambda x: ops.leaky_relu(x, 0.3),
    lambda x: ops.gelu(x, False), lambda x: ops.gelu(x, np.bool_(False)), lambda x: ops.sum(x, 1, True),
    lambda x: ops.softmax(x, -1), lambda x: ops.softmax(x, axis=[1]), lambda x: ops.power(x, 3),
    lambda x: ops.power(x, x2=3), lambda x: ops.power(x1=x, x2=np.int64(3)), lambda x: x ** np.float32(3),
    lambda x: ops.max(x=x, axis=1), lambda x: ops.divide(x, x2=3), lambda x: ops.true_divide(x1=x, x2=3.0),
    lambda x: ops.divide(x, x2=SQUARE[0]), lambda x: ops.add(x1=x, x2=WIDE), lambda x: ops.matmul(x, x2=SQUARE),
    lambda x: ops.dot(x, x2=SQUARE), lambda x: ops.where(x > WIDE, 100.0 * x, -x), lambda x: x > np.float64(0.1),
    lambda x: x // WIDE, lambda x: x % WIDE, lambda x: ops.equal(x, WIDE), lambda x: ops.mod(x, np.float64(0.3)),
    lambda x: abs(x) ** WIDE, lambda x: ops.logaddexp(x, np.float64(0.3)), lambda x: ops.arctan2(x, WIDE),
    lambda x: ops.einsum("bi,ij->bj", x, SQUARE), lambda x: ops.tensordot(x, SQUARE, 1), lambda x: ops.inner(x, SQUARE),
    lambda x: ops.where(x > 0, x, -np.inf), lambda x: ops.clip(x, 0.0, np.inf), lambda x: ops.norm(x, np.inf, axis=1),
    lambda x: ops.maximum(x, np.array([-np.inf, 0, np.nan, np.inf])), lambda x: x[:, : np.int64(3)],
    lambda x: x[:, range(2)], lambda x: x[:, np.array([2, 0])],
    lambda x: ops.take(np.array([3_000_000_000, 5_000_000_000]), ops.cast(x > 0, "int32"), axis=0),
    lambda x: ops.where(x > 0, np.array([3_000_000_000]), 0.0), lambda x: ops.convert_to_tensor(x, "int32"),
    lambda x: ops.cast(ops.ones_like(x, "int32"), "float32") / 2, lambda x: ops.divide(x, 3.1), lambda x: x / 0.0,
    lambda x: ops.clip(x, -1, np.array([np.inf, 1, 2, 3])), lambda x: ops.divide(x, 1e38),
    lambda x: Function("swish", [Slot(0)], {}).call_on([x]),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(SAME)))
def test_a_graph_and_its_copies_give_the_same_bits_however_arguments_were_given(at: int, tmp_path: Path) -> None:
    x = keras.Input((4,))
    data = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    data[0] = WIDE
    model = keras.Model(x, SAME[at](x))
    wanted = model.predict(data, verbose=0)
    for form, other in again(model, tmp_path).items():
        assert other.predict(data, verbose=0).tobytes() == wanted.tobytes(), form


def test_what_keras_cannot_say_is_not_written(tmp_path: Path) -> None:
    x = keras.Input((4,))
    model = keras.Model(x, ops.elu(x, x[:, :1]))
    for name in ("a.keras", "a.h5"):
        with pytest.raises(ValueError, match="Keras has no elu with a tensor as alpha"):
            model.save(tmp_path / name)
    model.save(tmp_path / "a.lanewise")
    data = np.array([[-1, 2, -3, 4]], np.float32)
    wanted = model.predict(data, verbose=0)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "a.lanewise").predict(data, verbose=0), wanted)


def test_places_that_are_a_tensor() -> None:
    ids = keras.Input((4,), dtype="int32")
    looked_up = keras.Model(ids, ops.take(np.arange(9.0) * 3, ids, axis=0))
    assert looked_up.predict(np.array([[1, 8, 0, 2]]), verbose=0).tolist() == [[3, 24, 0, 6]]
    with pytest.raises(ValueError, match=r"indices: expected whole numbers, received 2\.5"):
        looked_up.predict(np.array([[1, 2.5, 0, 2]]), verbose=0)
    assert ops.take(np.array([7.0]), ids, axis=0).shape == (None, 4)
    with pytest.raises(ValueError, match="indices: expected -9 to 8, received 9"):
        looked_up.predict(np.array([[1, 9, 0, 2]]), verbose=0)


def test_arguments_that_do_not_fit_are_refused() -> None:
    x = keras.Input((4,))
    for function in (lambda: ops.sum(1, x=x), lambda: ops.elu(0.5, x=x), lambda: ops.elu(x, slope=1)):
        with pytest.raises(TypeError, match=r"^(sum|elu): "):
            function()


def test_rows_by_name_in_a_description_are_seen() -> None:
    x = keras.Input((4,))
    for name, options in (("roll", {"shift": 5, "axis": 0}), ("get_item", {"key": slice(None, 5)})):
        layer = Function(name, [], {"x": Slot(0), **options})
        with pytest.raises(ValueError, match="do not go into one another"):
            layer.call_on([x])


def test_arguments_are_looked_at_before_anything_is_called() -> None:
    """In an argument of each kind what is none, as a file can say it."""
    x, y, square = keras.Input((3,)), keras.Input((2, 3)), keras.Input((600, 600))
    ellipsis, whole = ..., slice(None)
    for error, text, name, on, args in (
        (TypeError, "stack: x: expected a list of tensors", "stack", x, [Slot(0)]),
        (TypeError, "hstack: xs: expected a list of tensors", "hstack", x, [{"a": Slot(0)}]),
        (ValueError, "elu: alpha: expected numbers of float32", "elu", x, [Slot(0), 10**400]),
        (ValueError, "add: x2: expected numbers along up to 32 axes", "add", x, [Slot(0), []]),
        (TypeError, "add: x2: expected numbers, received", "add", x, [Slot(0), {"a": 1}]),
        (TypeError, "add: x2: expected tensors or numbers, received None", "add", x, [Slot(0), None]),
        (TypeError, "keepdims: expected True or False", "sum", x, [Slot(0), 1, "yes"]),
        (TypeError, "from_logits: expected numbers", "binary_crossentropy", x, [Slot(0), Slot(0), whole]),
        (TypeError, "subscripts: expected text", "einsum", x, [[0, 1], Slot(0)]),
        (TypeError, "axis: expected integers", "sum", x, [Slot(0), [[1]]]),
        (TypeError, "axis: expected integers", "sum", x, [Slot(0), 1.5]),
        (TypeError, "num_classes: expected integers", "one_hot", x, [Slot(0), 1e8]),
        (ValueError, "add: expected a symbolic tensor among its arguments", "add", x, [1, 2]),
        (ValueError, "add: .*shape", "add", x, [Slot(0), np.ones((2, 5, 3))]),
        (ValueError, "rows of", "norm", x, [Slot(0), 2, None]),
        (ValueError, "args: there is no input 1", "add", x, [Slot(0), Slot(1)]),
        (ValueError, "expected at most 1073741824 products", "norm", square, [Slot(0), "nuc", [1, 2]]),
        (ValueError, "expected at most 1073741824 products", "einsum", square, ["aij,akl->aijkl", Slot(0), Slot(0)]),
        (ValueError, "einsum: .*sum arrays before", "einsum", x, ["ab,c->a", Slot(0), [1.0, 2.0]]),
        (ValueError, "einsum: subscripts: expected 2 operands", "einsum", x, ["ab->a", Slot(0), [1.0]]),
        (ValueError, "split: gives no tensor", "split", x, [Slot(0), 3, 1]),
        (ValueError, "rows of", "get_item", y, [Slot(0), [ellipsis, slice(1, None), whole, 0]]),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            Function(name, args, {}).call_on([on])
    assert ops.einsum("ba,ca", y[:, 0], np.ones((4, 3), np.float32)).shape == (None, 4)
    assert ops.einsum("...a,b", y, np.ones(4, np.float32)).shape == (None, 2, 3, 4)
    assert ops.norm(y, 2, axis=(1, 2)).shape == (None,)
    assert ops.norm(y, 2, axis=1).shape == (None, 3)
    again = ops.exp(x)._keras_history.operation
    assert (again.input_shape, again.output_shape) == ((None, 3), (None, 3))
    with pytest.raises(ValueError, match="args: expected the number of an input"):
        Function("exp", [{"class_name": "__slot__", "config": 0.5}], {})


def test_calls_of_one_operation_of_kerass_have_the_same_arguments(tmp_path: Path) -> None:
    i, j = keras.Input((3,)), keras.Input((5,))
    first = ops.sort(i, 1)
    model = keras.Model([i, j], [first, first._keras_history.operation(j)])
    model.save(tmp_path / "m.keras")
    assert keras.models.load_model(tmp_path / "m.keras").output_shape == [(None, 3), (None, 5)]
    scaled = ops.add(i, 2.0)
    model = keras.Model([i, j], [scaled, scaled._keras_history.operation(j)])
    text = model.to_json()
    assert keras.models.model_from_json(text).output_shape == [(None, 3), (None, 5)]
    at = text.rindex("2.0")
    with pytest.raises(ValueError, match="its calls have other arguments"):
        keras.models.model_from_json(text[:at] + "3.0" + text[at + 3 :])


def test_large_moves_need_no_list_of_places() -> None:
    x = keras.Input((1,))
    model = keras.Model(x, ops.sum(ops.flip(ops.repeat(x, 2**21, axis=1), 1), 1, keepdims=True))
    assert model.predict(np.ones((2, 1)), verbose=0).tolist() == [[2.0**21]] * 2


def test_large_inputs_are_tried_too() -> None:
    x = keras.Input((2, 600_000))
    for function in (
        lambda: ops.sum(x, axis=0), lambda: ops.argmax(x, axis=0), lambda: ops.norm(x, axis=0),
        lambda: ops.transpose(x, (1, 0, 2)), lambda: x + np.array([1.0, 2.0])[:, None, None],
        lambda: x + np.ones((3, 1, 1)), lambda: ops.sum(keras.Input((3, 600_000)), axis=0),
        lambda: ops.sort(x, axis=0), lambda: ops.take(x, [0, 1], axis=0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"row|take: expected at most"):
            function()
    assert ops.sum(x, axis=1).shape == (None, 600_000)


def test_text_goes_to_a_lookup_first() -> None:
    text, numbers = keras.Input((3,), dtype="string"), keras.Input((3,))
    for function in (
        lambda: text[:, :1], lambda: 2 - text, lambda: numbers + text, lambda: ops.concatenate([text, text]),
        lambda: L.Dense(2)(text),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"expected numbers, received the text of .* StringLookup"):
            function()
    assert ops.shape(text) == (None, 3)


def test_arguments_by_name() -> None:
    x = keras.Input((6,))
    assert ops.reshape(newshape=(-1, 3, 2), x=x).shape == (None, 3, 2)
    assert [part.shape for part in ops.split(x, axis=1, indices_or_sections=3)] == [(None, 2)] * 3
    assert ops.top_k(k=2, x=x)[0].shape == (None, 2)
    with pytest.raises(TypeError, match="newshape"):
        ops.reshape(x, foo=(-1, 3, 2))
    sizes = [(None, 2), (None, 4)]
    assert [part.shape for part in lw.split(x, [2, -1], axis=1)] == sizes
    assert len(lw.split(x, np.int64(3), axis=1)) == 3
    with pytest.raises(ValueError, match="rows"):
        lw.split(x, [2, 2])
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
        ("4177", "250000000", "expected at most"),
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
    wide = keras.Input((1, 2**20))
    for x, name, args in (
        (wide, "take", [[0] * 40, 1]), (wide, "get_item", [[slice(None), [0] * 80]]), (wide, "outer", [[1.0] * 1200]),
        (wide, "get_item", [[..., [0] * 80, slice(None)]]), (wide, "add", [[[[[1.0]]]] * 60]),
        (wide, "where", [[[[[1.0]]]] * 60, 1.0]), (keras.Input((4,)), "tensordot", [np.eye(4), 20_000_000]),
        (keras.Input((4,)), "tensordot", [np.eye(4), 2**63]), (keras.Input((4,)), "roll", [[0] * 1000, [1] * 1000]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            Function(name, [Slot(0), *args], {}).call_on([x])
    with pytest.raises(ValueError, match="expected at most"):
        Function("einsum", ["bij,k->bijk", Slot(0), [1.0] * 90], {}).call_on([wide])
    assert ops.take(np.ones((10_000, 64)), keras.Input((50,), dtype="int32"), axis=0).shape == (None, 50, 64)
    for function in ("zeros", "ones", "full", "eye", "arange", "linspace"):
        with pytest.raises(ValueError, match="makes an array of numbers"):
            L.deserialize({"class_name": "Function", "config": {"function": function, "args": [3], "kwargs": {}}})
    table = {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "U400000000"}}
    with pytest.raises(TypeError, match="expected real numbers"):
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

    class Mixin:
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(NotImplementedError, match="subclass of Model"):

        class Mixed(Mixin, keras.Sequential):
            pass


def test_ids_are_looked_up_beside_what_else_reads_them() -> None:
    """The usual mask of padding, in one graph, in a nested model and in a subclass."""
    ids = np.array([[0, 1, 2, 3], [4, 0, 2, 1]], np.float32)
    table = L.Embedding(5, 2)

    def masked(x: Any) -> Any:
        whole = ops.cast(x, "int32")
        return table(whole) * ops.expand_dims(ops.cast(ops.not_equal(whole, 0), "float32"), -1)

    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return masked(x)

    x = keras.Input((4,))
    inner = keras.Model(x, masked(x))
    y, z = keras.Input((4,)), keras.Input((4,))
    cast = keras.Model(z, ops.cast(z, "int32"))
    parts = ops.cast(y, "int32")
    for model, wanted in (
        (inner, None), (Own(), None), (keras.Model(y, inner(y)), None),
        (keras.Model(y, table(cast(y))), lambda t: t),
        (keras.Model(y, ops.concatenate([table(parts[:, :1])[:, 0], parts[:, 1:] * 1.0], 1)), False),
    ):  # fmt: skip
        out = model.predict(ids, verbose=0)
        rows = table.get_weights()[0][ids.astype(int)]
        if wanted is False:
            np.testing.assert_array_equal(out, np.concatenate([rows[:, 0], ids[:, 1:]], 1))
        else:
            np.testing.assert_array_equal(out, rows if wanted else rows * (ids != 0)[..., None])


def test_casts_before_a_model_within_a_model_count() -> None:
    a, b = keras.Input((4,)), keras.Input((4,))
    inner = keras.Model([a, b], L.Concatenate()([L.Flatten()(L.Embedding(5, 1)(a)), b]))
    p, q = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([p, q], inner([p, ops.cast(q, "int32")]))
    numbers = np.array([[0.7, 1.7, 2.7, 3.7]], np.float32)
    assert model.predict([np.zeros((1, 4)), numbers], verbose=0)[0, 4:].tolist() == [0, 1, 2, 3]


def test_matrices_whose_columns_add_up_to_nothing_are_no_mixture_of_rows() -> None:
    for n in (8, 50, 256):
        centred = (np.eye(n) - 1 / n).astype(np.float32)
        assert ops.matmul(keras.Input((n,)), centred).shape == (None, n)
    n = np.int64(2)
    assert ops.pad(keras.Input((4,)), ((0, 0), (n, n))).shape == (None, 8)
    assert ops.shape(x=keras.Input((4,))) == (None, 4)


def test_a_long_axis_is_tried_as_a_short_one() -> None:
    """The shapes are those of NumPy, and rows that go into one another are seen as with short axes."""
    x, y = keras.Input((700, 9, 5)), keras.Input((9, 700, 5))
    for function, shape in (
        (lambda: ops.sort(x, axis=1), (700, 9, 5)), (lambda: ops.sum(x, axis=(1, 3)), (9,)),
        (lambda: ops.einsum("nabc,nbdc->nad", x, y), (700, 700)), (lambda: ops.swapaxes(x, 1, 2), (9, 700, 5)),
        (lambda: ops.max(y, axis=2, keepdims=True), (9, 1, 5)), (lambda: x * np.ones((700, 1, 5)), (700, 9, 5)),
        (lambda: ops.stack([x, x], axis=1), (2, 700, 9, 5)), (lambda: ops.argmax(x, axis=-1), (700, 9)),
        (lambda: ops.matmul(ops.transpose(x, (0, 3, 1, 2)), ops.transpose(y, (0, 3, 1, 2))), (5, 700, 700)),
    ):  # fmt: skip
        assert function().shape == (None, *shape)
    for function in (
        lambda: ops.sum(x, axis=0), lambda: ops.sort(x, axis=0), lambda: x + y, lambda: x + np.ones((2, 700, 9, 5)),
        lambda: ops.einsum("nabc,mabc->nbc", x, x), lambda: ops.tensordot(x, x, [[1, 2, 3], [1, 2, 3]]),
        lambda: x * np.ones(4), lambda: ops.sum(x, axis=4),
    ):  # fmt: skip
        with pytest.raises((ValueError, IndexError), match=r"rows|row|axis"):
            function()


def test_short_axes_stand_for_none_that_matters() -> None:
    a, b = keras.Input((20, 300)), keras.Input((4, 5, 1000))
    for n in range(2, 9):
        assert ops.stack([a] * n, axis=1).shape == (None, n, 20, 300)
    assert ops.stack([keras.Input((4000,))] * 4, axis=-1).shape == (None, 4000, 4)
    for function, shape in (
        (lambda: b + np.ones((4, 5, 1000), np.float32), (4, 5, 1000)), (lambda: b * np.ones((5, 1)), (4, 5, 1000)),
        (lambda: ops.where(np.ones((4, 5, 1), bool), b, 0.0), (4, 5, 1000)),
        (lambda: ops.matmul(keras.Input((4000, 5)), np.ones((5, 4), np.float32)), (4000, 4)),
        (lambda: ops.tensordot(keras.Input((5, 8192)), np.ones((4, 5)), axes=[[1], [1]]), (8192, 4)),
        (lambda: ops.norm(b, axis=(1, 2)), (1000,)), (lambda: ops.squeeze(keras.Input((1, 1, 7)), (1, 2)), (7,)),
        (lambda: ops.repeat(keras.Input((40, 4)), [1, 2] * 20, axis=1), (60, 4)),
    ):  # fmt: skip
        assert function().shape == (None, *shape)
    long, places = keras.Input((300_000,)), keras.Input((1,))
    for function in (
        lambda: ops.reshape(long, (3, 300_000)), lambda: ops.take(long, [2, 1, 0], axis=0),
        lambda: ops.repeat(long, [1, 1, 1], axis=0), lambda: ops.take(keras.Input((4,)), places, axis=0),
        lambda: ops.take(keras.Input((4,)), places), lambda: ops.take(keras.Input((4,)), places, axis=-2),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="rows"):
            function()
    x, y = keras.Input((2,)), keras.Input((2,))
    for scale in (np.array([1, -1], np.float32), np.array([1e-10] * 2)):
        with pytest.raises(ValueError, match="rows"):
            ops.einsum("ab,cb,b->a", x, y, scale)
    with pytest.raises(ValueError, match="rows"):
        ops.outer(keras.Input((1,)), keras.Input((300_000,)))
    with pytest.raises(ValueError, match="rows"):
        ops.sparse_categorical_crossentropy(keras.Input((600,)), keras.Input((1, 600)), axis=0)
    with pytest.raises(TypeError, match="received a list of them"):
        ops.take([x], keras.Input((2,)))
    with pytest.raises(TypeError, match="expected tensors or numbers, received a"):
        ops.add(x, "a")
    assert ops.tanh(keras.Input((2048, 2048, 3))).shape == (None, 2048, 2048, 3)
    with pytest.raises(ValueError, match=r"\(None,300\) \(None,20\)"):  # NumPy's words, the axes as they are
        ops.add(keras.Input((300,)), keras.Input((20,)))
    assert ops.cast(long, np.dtype("uint8").str).shape == (None, 300_000)
