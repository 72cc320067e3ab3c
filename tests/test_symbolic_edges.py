"""Functions on symbolic tensors at the edges of what they take: numbers, errors and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lanewise import keras
from lanewise.keras import Input, Model, layers, ops

TINY = np.float32(1e-38)


def model_of(function: Any, *shape: int) -> Any:
    x = Input(shape)
    return Model(x, function(x))


def equal_to_the_function(function: Any, rows: Any) -> None:
    rows = np.asarray(rows, np.float32)
    with np.errstate(all="ignore"):
        expected = function(rows)
    np.testing.assert_array_equal(model_of(function, *rows.shape[1:]).predict(rows, verbose=0), expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.arctan2(ops.abs(x), -1.0),
        lambda x: ops.divide(1.0, abs(x)),
        lambda x: ops.arctan2(-x, -1.0),
        lambda x: 1.0 / (x * 0.5),
        lambda x: 1.0 / (x / 2),
        lambda x: x / 41.0,
        lambda x: ops.floor(ops.divide(x * 41, 41.0)),
        lambda x: 1.0 - x,
        lambda x: ops.transpose(x, np.array([0, 1])),
        lambda x: 7 // (x + 0.5),
        lambda x: ops.pad(x, [[0, 0], [1, 2]], constant_values=[[0, 0], [3, 4]]),
        lambda x: 3 - (x - 2) * -0.5,
        lambda x: x / np.float32([3e38, 2e38, 1e38, 1.0]),
        lambda x: ops.median(x, axis=np.int64(1)),
        lambda x: ops.repeat(x, [0, 2, 1, 0], axis=1),
        lambda x: ops.repeat(x, [3], axis=-1),
        lambda x: ops.norm(x[:, None], 1, axis=(1, 2)),
        lambda x: ops.norm(x[:, None], 2, axis=(1, 2)),
    ],
)
def test_the_functions_numbers(function: Any) -> None:
    equal_to_the_function(function, [[0.0, -0.0, 3e38, TINY], [-1.0, 1.0, 2.0, -TINY]])


def test_quotients_are_divided() -> None:
    """Products with a reciprocal are off by a rounding, and 41/41 below 1."""
    n = np.arange(1, 300, dtype=np.float32)[:, None]
    equal_to_the_function(lambda x: x / n[:, 0], n * n.T)
    assert (
        model_of(lambda x: ops.mean(x, axis=1, keepdims=True), 41).predict(np.full((2, 41), 7.0), verbose=0) == 7
    ).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_casts_to_integers_end_at_64_bits(dtype: str) -> None:
    """C leaves open what is beyond the type; NumPy has other numbers in the last elements of an array than before."""
    info = np.iinfo("uint64" if dtype == "uint64" else "int64")
    given = np.float32([-1e30, -70000.9, -1.9, -0.5, 0.5, 1.9, 100.5, 70000.9, 8.3e14, 1e30, -np.inf, np.inf])
    found = ops.cast(np.tile(given, 3), dtype)
    end = int(np.nextafter(float(info.max), 0))
    exact = [min(max(int(np.nan_to_num(x)), -(2**63)), end) % 2 ** np.iinfo(dtype).bits for x in given]
    np.testing.assert_array_equal(found, np.array(exact * 3, np.uint64).astype(dtype))
    assert ops.cast(np.int32([300, -1]), dtype).tolist() == ops.cast(np.float32([300, -1]), dtype).tolist()
    assert ops.cast(ops.sum(np.float32([1.5])), dtype).numpy() == 1
    assert ops.cast(np.float32([np.nan]), dtype)[0] == 0
    rows = np.float32(np.random.default_rng(1).normal(size=(46, 3)) * 1e10)
    model = model_of(lambda x: ops.cast(ops.cast(x, dtype), "float32"), 3)
    whole = model.predict(rows, verbose=0)
    np.testing.assert_array_equal(whole, np.concatenate([model.predict(row[None], verbose=0) for row in rows]))


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("large", [1e3, 1e5, 1e7])
def test_softmax_of_large_numbers(large: float, axis: int) -> None:
    near = np.float32(large) + np.float32([[[0, 1, -1], [2, 0, -3]]])
    exact = np.exp(near.astype(np.float64) - near.max())
    exact /= exact.sum(axis=axis, keepdims=True)
    for found in (ops.softmax(near, axis), model_of(lambda x: ops.softmax(x, axis), 2, 3).predict(near, verbose=0)):
        np.testing.assert_allclose(found, exact, rtol=1e-6)
    np.testing.assert_allclose(ops.log_softmax(near, axis), np.log(exact), rtol=1e-6, atol=1e-6)


def test_whole_numbers_keep_their_bits() -> None:
    assert ops.convert_to_tensor([1, 2]).dtype == np.int32
    assert ops.convert_to_tensor([2**32 + 5]).tolist() == [2**32 + 5]
    assert ops.minimum([2**31], 1.5).tolist() == [1.5]


def test_pairs_that_are_large_when_they_are_repeated() -> None:
    column, row = Input((1100, 1)), Input((1, 1100))
    model = Model([column, row], column + row)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 1100, 1)).astype(np.float32), rng.normal(size=(2, 1, 1100)).astype(np.float32)
    np.testing.assert_array_equal(model.predict([a, b], verbose=0), a + b)


def test_large_constants_and_means_need_no_list_of_places() -> None:
    rng = np.random.default_rng(1)
    constant = rng.normal(size=(1100, 1000)).astype(np.float32)
    x = rng.normal(size=(1, 1100, 1000)).astype(np.float32)
    np.testing.assert_array_equal(model_of(lambda x: ops.maximum(x, constant), 1100, 1000).predict(x, verbose=0),
                                  np.maximum(x, constant))  # fmt: skip
    x = rng.normal(size=(1, 3, 1100, 1000)).astype(np.float32)
    mean = model_of(lambda x: ops.mean(x, axis=1), 3, 1100, 1000).predict(x, verbose=0)
    np.testing.assert_allclose(mean, x.mean(axis=1), rtol=1e-5, atol=1e-6)


def test_calls_on_many_shapes_end_somewhere() -> None:
    """Each is looked at: 20,000 arguments in all."""
    layer = model_of(lambda x: ops.take(x, [0], 1), 9).layers[-1]
    layer._known_shapes = {((None, n),): (None, 1) for n in range(10, 20_000)}
    with pytest.raises(ValueError, match="take: expected fewer calls on other shapes: after 19990 of them, with 3 arg"):
        layer(Input((8,)))


def test_a_call_that_is_none() -> None:
    x = Input((3,))
    form = Model(x, ops.exp(x)).get_config()
    entry = {"module": "keras.src.ops.numpy", "class_name": "Exp", "config": {"name": "e"}, "name": "e"}
    for node in ({"args": 1}, {"args": [], "kwargs": []}):
        with pytest.raises(ValueError, match="expected a call with its arguments"):
            Model.from_config({**form, "layers": [form["layers"][0], {**entry, "inbound_nodes": [node]}]})


def test_repeat_counts_beyond_64_bits() -> None:
    x = np.ones((2, 3), np.float32)
    for repeats in (2**62, 6148914691236517206, [2**62, 2**62, 5], -1, [1, -1, 1], 2**70):
        with pytest.raises(ValueError, match="repeat: expected numbers of times from 0 on, received"):
            ops.repeat(x, repeats, axis=1)
    with pytest.raises(TypeError, match="integer"):
        ops.repeat(x, 1.5, axis=1)
    np.testing.assert_array_equal(ops.repeat(x, np.array([1, 0, 2]), axis=1), np.repeat(x, [1, 0, 2], axis=1))


# --- training -------------------------------------------------------------------------------------------------------


def trained(function: Any, units: int = 4) -> tuple[Any, Any, Any]:
    """A Dense layer before the function, compiled; rows and targets."""
    x = Input((3,))
    h = layers.Dense(units, kernel_initializer=keras.initializers.RandomNormal(seed=1), bias_initializer="ones")(x)
    model = Model(x, function(h))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    rows = np.random.default_rng(2).normal(size=(8, 3)).astype(np.float32)
    return model, rows, np.zeros(model.predict(rows, verbose=0).shape, np.float32)


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y[:],
        lambda y: y[:, :3],
        lambda y: ops.cast(y, "float32"),
        lambda y: ops.reshape(y, (-1, 3, 2)),
        lambda y: y**1,
        lambda y: ops.roll(y, 3, 1),
        lambda y: ops.transpose(y, (0, 1, 2)),
        lambda y: ops.repeat(y, 1, 1),
    ],
)
def test_what_changes_nothing_drops_a_mask_too(function: Any) -> None:
    rows = np.float32([[[1, 2], [0, 0], [3, 4]]])
    pool = layers.GlobalAveragePooling1D()
    model = model_of(lambda x: pool(function(layers.Masking()(x))), 3, 2)
    np.testing.assert_allclose(model.predict(rows, verbose=0), rows.mean(axis=1), rtol=1e-6)


def test_operators_in_layers_of_ones_own() -> None:
    def function(x: Any) -> Any:
        whole, rest = divmod(x, 2.0)
        return whole + rest + 7 // x + 7 % x + x // 2 + x.round() + x.cumsum(axis=1)

    np.testing.assert_allclose(slope_of(function, [3.0, 4.0, 6.0]), [3 + 1 - 2, 2 + 1 - 1, 1 + 1 - 1])


def slope_of(function: Any, at: list[float]) -> Any:
    """The gradient of the sum of a function inside a layer of one's own."""

    class Own(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return function(inputs)

    x = Input((len(at),))
    model = Model(x, Own()(layers.Dense(len(at), kernel_initializer="identity")(x)))
    model.compile(loss=lambda y, p: ops.sum(p, axis=-1))
    _, slopes = model.value_and_grad(np.float32([at]), np.float32([[0] * len(at)]))
    return slopes[1]


@pytest.mark.parametrize(
    ("function", "at", "slopes"),
    [
        (lambda x: ops.arctan2(x, np.array([200, 16, 100], np.uint8)), [1, 1, 1], [200 / 40001, 16 / 257, 100 / 10001]),
        (lambda x: ops.arctan2(x, [5_000_000_000, 2**32, 7]), [1, 1, 1], [2e-10, 2.3283064e-10, 0.14]),
        (lambda x: ops.divide(np.array([1, 2, 3], np.uint8), x), [1, 2, 3], [-1, -0.5, -1 / 3]),
        (lambda x: ops.divide(np.array([True, False, True]), x), [1, 2, 3], [-1, 0, -1 / 9]),
        (ops.elu, [0, 1, -1], [1, 1, np.exp(-1)]),
        (ops.selu, [0, 1, -1], [1.7580993, 1.0507009, 1.7580993 * np.exp(-1)]),
        (lambda x: ops.roll(x, 2**62, 1) * np.float32([1, 2, 3]), [1, 1, 1], [2, 3, 1]),
        (lambda x: ops.einsum("bi,ci->bi", x, np.float32([[2.0]])), [1, 2, 3], [2, 2, 2]),
        (lambda x: ops.sum(ops.softmax(x, 1) * np.float32([1, 2, 4]), axis=1, keepdims=True), [1e3, 1e3, 1e3],
         [-4 / 9, -1 / 9, 5 / 9]),
    ],
)  # fmt: skip
def test_slopes(function: Any, at: list[float], slopes: list[float]) -> None:
    np.testing.assert_allclose(slope_of(function, at), slopes, rtol=2e-6)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["norm", "normalize"])
def test_a_norm_of_matrices_is_no_norm_of_vectors_in_training(name: str, order: int) -> None:
    options: dict[str, Any] = {"ord": order, "keepdims": True} if name == "norm" else {"order": order}
    function = getattr(ops, name)
    model, x, y = trained(lambda h: function(ops.reshape(h, (-1, 2, 2)), axis=[1, 2], **options))
    with pytest.raises(TypeError, match="expected ord=1 or 2 of vectors"):
        model.fit(x, y, verbose=0)


def test_the_norm_of_all_elements_trains() -> None:
    model, x, y = trained(lambda h: ops.norm(ops.reshape(h, (-1, 2, 2)), axis=(1, 2), keepdims=True))
    before = model.evaluate(x, y, verbose=0)
    history = model.fit(x, y, batch_size=8, verbose=0).history["loss"]
    assert history[0] == pytest.approx(before, rel=1e-6)
    assert model.evaluate(x, y, verbose=0) < before


@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8"])
def test_steps_have_no_slope(dtype: str) -> None:
    """Types that cut off what is behind the point: nothing is learnt through them."""
    model, x, y = trained(lambda h: ops.cast(ops.cast(h * 9.0, dtype), "float32"))
    before = model.get_weights()
    model.fit(x, y + 1000, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    other, x, y = trained(lambda h: ops.cast(ops.cast(h * 9.0, "float16"), "float32"))
    before = other.get_weights()
    other.fit(x, y + 1000, verbose=0)
    assert (before[0] != other.get_weights()[0]).any()


@pytest.mark.parametrize(("row", "median"), [([3e38] * 3, 3e38), ([1, np.nan, 2], np.nan), ([3.5, 1, 2, 1e9], 2.75)])
def test_a_median_in_training_is_that_in_prediction(row: list[float], median: float) -> None:
    seen = []

    class Median(layers.Layer):
        def call(self, inputs: Any) -> Any:
            result = ops.median(inputs, axis=1, keepdims=True)
            seen.append(float(np.asarray(keras.ops.convert_to_numpy(result))[0, 0]))
            return result

    x = Input((len(row),))
    h = layers.Dense(len(row), kernel_initializer="identity")(x)
    model = Model(x, Median()(h))
    model.compile(optimizer="sgd", loss="mae")
    seen.clear()
    model.train_on_batch(np.float32([row]), np.float32([[0]]))
    np.testing.assert_array_equal(seen[-1], np.float32(median))  # before it the layer is tried on other rows
    np.testing.assert_array_equal(ops.median(np.float32([row]), axis=1), np.float32([median]))


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (
            lambda x: ops.split(x, 0, axis=1),
            ValueError,
            r"split: called on \(None, 4\): expected a number that divides 4",
        ),
        (lambda x: ops.split(x, 3, axis=1), ValueError, "expected a number that divides 4, received 3"),
        (lambda x: ops.split(x, 2, axis=5), ValueError, "axis: expected -2 to 1, received 5"),
        (lambda x: ops.split(x, 2, axis=None), ValueError, "axis: expected -2 to 1, received None"),
        (lambda x: ops.split(x, 2, axis=0), ValueError, "expected another axis than 0"),
        (lambda x: ops.split(x, [1.5], axis=1), ValueError, r"or a list of places, received \[1.5\]"),
        (lambda x: ops.add(x, [[1], [1, 2]]), ValueError, r"add: x2: expected lists of one length, received \[\[1\], "),
        (lambda x: ops.tensordot(x, x, axes=[[1, 1], [0]]), ValueError, "tensordot: "),
        (lambda x: ops.cast(x, "bfloat16"), TypeError, "dtype: expected real numbers of up to 64 bits, received 'bf"),
        (lambda x: ops.sum(x, axis=True), TypeError, "sum: axis: expected integers, received True"),
        (lambda x: ops.expand_dims(x, None), ValueError, r"expand_dims: called on \(None, 4\), rows first"),
        (lambda x: ops.stack([x, x], axis=None), ValueError, "stack: called on"),
        (lambda x: x["a":], TypeError, "get_item: key: expected slices of integers"),
        (lambda x: x[:, 1.5:], TypeError, "get_item: key: expected slices of integers"),
        (lambda x: ops.top_k(x, 1.5), TypeError, "integer"),
        (lambda x: ops.concatenate(x), TypeError, "expected a list of tensors, received a symbolic tensor"),
        (lambda x: ops.pad(x, 1, constant_values=["a"]), TypeError, "constant_values: expected numbers"),
        (lambda x: x[:, [[0, 1], [1]]], ValueError, "get_item: indices: expected lists of one length"),
        (lambda x: ops.take(x, [2**64 - 1], 1), ValueError, "take: indices: expected numbers of 64 bits"),
        (lambda x: ops.concatenate([x] * 2001, 1), ValueError, "xs: expected at most 2000 tensors, received 2001"),
        (lambda x: ops.pad(x, [[0, 0], [1, 1]], constant_values=[None, 1]), TypeError, "constant_values: expected num"),
        (lambda x: ops.pad(x, [[0, 0], [1, 1]], constant_values=[1, 2, 3]), ValueError, "pad: called on"),
        (lambda x: ops.norm(x, [1, 2], axis=1), TypeError, "norm: ord: expected the order of a norm"),
        (lambda x: x * np.array([1j]), TypeError, "expected real numbers, received complex128"),
        (lambda x: ops.less(x, "a"), TypeError, "less: x2: expected tensors or numbers, received a"),
    ],
)
def test_what_is_wrong_is_said(function: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        function(Input((4,)))


def test_a_weight_does_not_become_a_constant() -> None:
    """Keras would use its values as they are then; here they would stay those of now."""
    x = Input((4,))
    dense = layers.Dense(4)
    h = dense(x)
    for function in (lambda: ops.matmul(h, dense.kernel), lambda: h * dense.bias, lambda: ops.add(dense.bias, h)):
        with pytest.raises(
            TypeError, match=r"received the weight dense\w*/(kernel|bias), which would stay as it is now"
        ):
            function()
    assert (h * dense.bias.numpy()).shape == (None, 4)


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared() -> Any:
    """A layer that is called 5,001 times."""
    x = h = Input((1,))
    layer = layers.Activation("relu")
    for _ in range(5001):
        h = layer(h)
    return Model(x, h)


@pytest.mark.parametrize("suffix", ["lanewise", "keras", "h5", "json"])
def test_what_no_reader_would_take_is_not_written(tmp_path: Path, suffix: str, shared: Any) -> None:
    """More lists than a description may have, more numbers, more bytes."""
    rng = np.random.default_rng(3)
    path = tmp_path / f"m.{suffix}"
    save = (lambda model: model.to_json()) if suffix == "json" else (lambda model: model.save(path))
    with pytest.raises(ValueError, match="more than 5000"):
        save(shared)
    for shape in ((100_001, 1), (1, 500_000), (600, 500)) if suffix == "json" else ((100_001, 1),):
        constant = rng.normal(size=shape).astype(np.float32)
        model = model_of(lambda x, a=constant: ops.maximum(x, a), *shape)
        with pytest.raises(ValueError, match=r"no reader would take a description of .* as its weights"):
            save(model)
    assert not list(tmp_path.iterdir())
    fits = model_of(lambda x: ops.maximum(x, rng.normal(size=(100, 100)).astype(np.float32)), 100, 100)
    x = np.zeros((1, 100, 100), np.float32)
    text = save(fits)
    again = keras.models.model_from_json(text) if suffix == "json" else keras.models.load_model(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), fits.predict(x, verbose=0))
