"""Embeddings and normalisation by what they mean: ids, masks, rules, special rows, and twenty steps of Keras's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lanewise as lw
from bounds import ISAS, running
from lanewise import _core as core
from lanewise.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    LayerNormalization,
    Normalization,
    Permute,
    RepeatVector,
    Rescaling,
    Reshape,
    RMSNormalization,
    Softmax,
    UnitNormalization,
)  # fmt: skip

Array = NDArray[Any]


# --- embedding -------------------------------------------------------------------------------------------------------


def test_embedding_looks_up_every_kind_of_integer():
    layer = Embedding(300, 40)
    ids = np.array([[0, 299], [7, 7], [255, 1]])
    table = layer(ids) is not None and layer.embeddings.numpy()
    for dtype in (np.int16, np.int32, np.int64, np.uint16, np.uint64, np.float32, np.float64):
        assert np.array_equal(layer(ids.astype(dtype)), table[ids])
    assert np.array_equal(layer(np.asfortranarray(ids)), table[ids])
    assert np.array_equal(layer(ids[::-1, ::-1]), table[ids[::-1, ::-1]])
    assert np.abs(table).max() <= 0.05
    assert np.abs(table).max() > 0.049


@pytest.mark.parametrize("bad", [300, -1, 2.5, np.nan, 2**40])
def test_an_id_outside_the_table_is_refused_before_anything_changes(bad):
    model = lw.Sequential([lw.Input((2,)), Embedding(300, 4), Flatten(), Dense(1)])
    model.compile("adam", "mse")
    x = np.zeros((70, 2))
    x[41, 1] = bad
    before = model.get_weights()
    for run in (lambda: model.fit(x, x[:, 0], verbose=0), lambda: model.predict(x, verbose=0), lambda: model(x),
                lambda: model.evaluate(x, x[:, 0], verbose=0), lambda: model.train_on_batch(x, x[:, 0]),
                lambda: model(x, training=True)):  # fmt: skip
        with pytest.raises(ValueError, match=r"from 0 to 299.*in row 41"):
            run()
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.optimizer.iterations == 0


def test_moments_of_rows_that_no_batch_names_decay_as_in_keras():
    """Adam's step is dense: a row that was named once goes on moving."""
    model = lw.Sequential([lw.Input((1,)), Embedding(5, 2), Flatten(), Dense(1)])
    model.compile(lw.optimizers.Adam(0.1), "mse")
    model.train_on_batch(np.array([[3]]), np.array([1.0]))
    after_one = model.layers[0].embeddings.numpy()
    model.train_on_batch(np.array([[1]]), np.array([1.0]))
    after_two = model.layers[0].embeddings.numpy()
    assert not np.array_equal(after_one[3], after_two[3])
    assert np.array_equal(after_one[[0, 2, 4]], after_two[[0, 2, 4]])


def test_ids_that_another_layer_reads_as_numbers():
    """An input feeds an embedding and a dense layer: one as int32, one as float32."""
    graph, table, kernel = core.Graph(), core.Variable((9, 3)), core.Variable((2, 6))
    rng = np.random.default_rng(0)
    table.set(rng.standard_normal((9, 3)).astype(np.float32))
    kernel.set(rng.standard_normal((2, 6)).astype(np.float32))
    ids = graph.input([2])
    looked_up = graph.add("reshape", [graph.add("embedding", [ids], [table])])
    numbers = graph.add("matmul", [ids], [kernel])
    network = core.Network(graph, [looked_up, numbers])
    x = rng.integers(0, 9, (5, 2))
    out = [np.empty((5, 6), np.float32) for _ in range(2)]
    network.predict([x], 0, 5, out)
    assert np.array_equal(out[0], table.get()[x].reshape(5, 6))
    assert out[1] == pytest.approx(x @ kernel.get(), rel=1e-5)
    with pytest.raises(ValueError, match="come from an input"):
        graph.add("embedding", [numbers], [table])


def test_a_mask_is_refused_where_it_would_change_statistics():
    for layers in ([BatchNormalization(), Flatten()], [Softmax(), Flatten()]):
        model = lw.Sequential([lw.Input((3,)), Embedding(9, 2, mask_zero=True), Dropout(0.1), *layers])
        with pytest.raises(NotImplementedError, match="mask_zero"):
            model.predict(np.zeros((1, 3)))


# --- arguments and special rows --------------------------------------------------------------------------------------


def test_rules_of_gamma_and_beta_are_kept():
    layer = BatchNormalization(
        gamma_regularizer="l2", beta_constraint="non_neg", beta_initializer="ones", momentum=0.5, gamma_constraint=None
    )
    again = BatchNormalization.from_config(layer.get_config())
    model = lw.Sequential([lw.Input((3,)), again])
    model.compile(lw.optimizers.SGD(10.0), "mse")
    x = np.random.default_rng(0).standard_normal((32, 3))
    model.fit(x, x + 5, verbose=0)
    model.fit(x, x - 50, verbose=0)
    assert (again.beta.numpy() >= 0).all()
    assert model.value_and_grad(x, x)[0] > 0.01 * float((again.gamma.numpy() ** 2).sum())


@pytest.mark.parametrize(("layer", "shape", "error", "match"), [
    (lambda: Reshape((4, -1)), (6,), ValueError, "do not fit"),
    (lambda: Reshape((2, 2)), (6,), ValueError, "do not fit"),
    (lambda: Permute((2, 1)), (6,), ValueError, "3 axes"),
    (lambda: RepeatVector(2), (3, 2), ValueError, "expected input of shape"),
    (lambda: GlobalMaxPooling1D(), (3,), ValueError, "time"),
    (lambda: Rescaling([1.0, 2.0]), (3,), ValueError, "scale has 2"),
    (lambda: BatchNormalization(axis=1), (3, 2), NotImplementedError, "last axis"),
])  # fmt: skip
def test_shapes_that_do_not_fit(layer, shape, error, match):
    with pytest.raises(error, match=match):
        lw.Sequential([lw.Input(shape), layer()])


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: Reshape((0, 2)), ValueError, "target_shape"),
    (lambda: Reshape((-1, -1)), ValueError, "target_shape"),
    (lambda: Permute((1, 3)), ValueError, "dims"),
    (lambda: Embedding(0, 2), ValueError, "input_dim"),
    (lambda: Embedding(2, 2.5), TypeError, "output_dim"),
    (lambda: BatchNormalization(momentum=2), ValueError, "momentum"),
    (lambda: BatchNormalization(renorm=True), NotImplementedError, "renorm"),
    (lambda: LayerNormalization(epsilon=-1), ValueError, "epsilon"),
    (lambda: LayerNormalization(rms_scaling=True), NotImplementedError, "RMSNormalization"),
    (lambda: LayerNormalization(axis=[-2, -1]), NotImplementedError, "last axis"),
])  # fmt: skip
def test_arguments_that_cannot_be(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_normalization_and_its_inverse():
    x = np.random.default_rng(0).standard_normal((100, 4)) * [1, 10, 100, 0] + 5
    there, back = Normalization(), Normalization(invert=True)
    there.adapt(x)
    back.adapt(x)
    assert back(there(x)) == pytest.approx(x, rel=1e-5)
    given = Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0], invert=True)
    assert given([[1.0, 1.0]])[0] == pytest.approx([3.0, 5.0])


def test_special_rows():
    """Zero rows stay zero, NaN stays in its row or column, one row has no variance."""
    assert np.array_equal(UnitNormalization()(np.zeros((2, 5))), np.zeros((2, 5)))
    assert UnitNormalization()([[3.0, 4.0]])[0] == pytest.approx([0.6, 0.8])
    x = np.ones((3, 4), np.float32)
    x[1, 2] = np.nan
    assert np.array_equal(np.isnan(LayerNormalization()(x)).any(axis=1), [False, True, False])
    assert np.array_equal(np.isnan(BatchNormalization()(x, training=True)).any(axis=0), [False, False, True, False])
    assert np.array_equal(BatchNormalization()(np.ones((1, 3)) * 7, training=True), np.zeros((1, 3)))
    time = np.zeros((1, 3, 2), np.float32)
    time[0, 1] = [np.nan, -1]
    for isa in ISAS:
        with running(isa):
            got = GlobalMaxPooling1D()(time)
            assert np.isnan(got[0, 0])
            assert got[0, 1] == 0.0


# --- Keras 3.15 (jax), 20 steps --------------------------------------------------------------------------------------


def grid(*shape: int) -> Array:
    """((37 k + 11) mod 101) / 50 - 1 of the elements k: numbers of no pattern, the same everywhere."""
    k = np.arange(int(np.prod(shape)), dtype=np.int64)
    return ((k * 37 + 11) % 101 / 50.0 - 1.0).reshape(shape).astype(np.float32)


IDS = (np.arange(80 * 4) * 7 % 13).reshape(80, 4)
# weights: 0.3 * grid, those of gamma, scale and moving_variance plus 1; targets grid(80, 2); batches of 16, four
# epochs, no shuffle, mse; of each weight the first five numbers. Where a batch norm undoes an offset its gradient is
# zero, and Adam would turn the noise around zero into steps: SGD there.
GOLDEN: dict[str, tuple[Callable[[], list[Any]], Array, Callable[[], Any], dict[str, Any]]] = {
    "batch": (lambda: [Dense(8, "relu"), BatchNormalization(), Dense(5), BatchNormalization(momentum=0.9),
                       Activation("tanh"), Dense(2)], grid(80, 6) * 2, lambda: lw.optimizers.SGD(0.05, momentum=0.9), {
        "loss": [0.3859845, 0.3302338, 0.322717, 0.3174633],
        "gamma": [[0.7543519, 0.9898234, 1.252897, 0.769794, 1.036669],
                  [0.7173867, 0.9581142, 1.182144, 0.8294647, 1.052206]],
        "beta": [[-0.234, -0.012, 0.21, -0.174, 0.048],
                 [-0.3036335, 0.02340777, 0.2456679, -0.1827162, 0.04549126]],
        "moving_mean": [[-0.1656016, 0.01506899, 0.2140593, -0.1057671, 0.1036618],
                        [-0.1632809, -0.09004711, 0.07516213, -0.1501135, -0.07584713]],
        "moving_variance": [[0.6348448, 0.8135092, 0.9968587, 0.6870332, 0.9015865],
                            [0.9885814, 0.387641, 0.5052075, 0.1936341, 0.9904304]],
        "predict": [0.03035096, -0.01512589, 0.1918521, 0.1025141, 0.1863725, 0.1404432]}),
    "layer": (lambda: [Dense(8, "tanh"), LayerNormalization(), Dense(5), RMSNormalization(), UnitNormalization(),
                       Dense(2)], grid(80, 6) * 2, lambda: lw.optimizers.Adam(0.01), {
        "loss": [0.4007213, 0.3360321, 0.3283013, 0.3242499],
        "gamma": [[0.6998493, 1.132235, 1.256974, 0.7519009, 0.9410734]],
        "beta": [[-0.1242225, -0.0166628, 0.192644, -0.07206064, -0.05383377]],
        "scale": [[0.6778217, 0.9606943, 1.193824, 0.9105142, 1.078743]],
        "predict": [-0.227578, -0.1648106, 0.1141558, 0.2533064, 0.1040518, 0.2278541]}),
    "embedding": (lambda: [Embedding(13, 5), GlobalAveragePooling1D(), Dense(4, "tanh"), BatchNormalization(),
                           Dense(2)], IDS, lambda: lw.optimizers.Adam(0.01), {
        "loss": [0.3983063, 0.3477297, 0.3369839, 0.3339506],
        "embeddings": [[-0.3459857, 0.1007362, 0.1435197, -0.05326561, -0.0397891]],
        "gamma": [[0.6857533, 0.9301412, 1.114664, 0.8709401]],
        "beta": [[-0.3514605, 0.08577258, 0.2839031, -0.2428887]],
        "moving_mean": [[-0.2428419, -0.008628149, 0.2214943, -0.1676075]],
        "moving_variance": [[0.6269441, 0.8084032, 0.9897689, 0.6758958]],
        "predict": [0.01308852, 0.04186131, 0.02470689, 0.04266217, 0.01863273, 0.04091931]}),
    "maximum": (lambda: [Embedding(13, 5, embeddings_regularizer=lw.regularizers.L2(0.01)), GlobalMaxPooling1D(),
                         RepeatVector(3), Permute((2, 1)), LayerNormalization(), Reshape((-1,)), Rescaling(0.5, 1.0),
                         Dense(2)], IDS, lambda: lw.optimizers.RMSprop(0.01), {
        "loss": [0.3841083, 0.3482437, 0.3457139, 0.3450411],
        "embeddings": [[-0.03130388, 5.949839e-07, 0.01950924, -0.007125426, -1.387059e-07]],
        "gamma": [[0.766, 0.988, 1.21]],
        "beta": [[-0.3268747, -0.0576468, 0.2049395]],
        "predict": [0.04006608, -0.05624533, 0.04006608, -0.05624523, 0.04006608, -0.05624523]}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_twenty_steps_as_keras_makes_them(name):
    layers, x, optimizer, wanted = GOLDEN[name]
    model = lw.Sequential([lw.Input(x.shape[1:]), *layers()])
    for w in model.weights:
        w.assign(grid(*w.shape) * 0.3 + (w.name in ("gamma", "moving_variance", "scale")))
    model.compile(optimizer(), "mse")
    history = model.fit(x, grid(80, 2), batch_size=16, epochs=4, shuffle=False, verbose=0).history
    assert history["loss"] == pytest.approx(wanted["loss"], rel=1e-4)
    for key in set(wanted) - {"loss", "predict"}:
        own = [w.numpy().reshape(-1)[:5] for w in model.weights if w.name == key]
        for got, numbers in zip(own, wanted[key], strict=True):
            assert got == pytest.approx(numbers, rel=1e-3, abs=1e-4), key
    assert model.predict(x[:3], verbose=0).reshape(-1) == pytest.approx(wanted["predict"], rel=2e-3, abs=2e-4)
