"""Functions, operators and slices of symbolic tensors, and models written as classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bounds import ALIKE, running
from lanewise import keras
from same_bits import grid

L, ops = keras.layers, keras.ops
X, Z = grid(6, 4, 5, salt=1), grid(6, 3, salt=2)
C = grid(3, 2, salt=3)

# name: (function of symbolic tensors, the same of arrays in NumPy, whether the engine has it)
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], bool]] = {
    "slice": (lambda x, z: x[:, :3], lambda x, z: x[:, :3], True),
    "step": (lambda x, z: x[:, 0], lambda x, z: x[:, 0], True),
    "strides": (lambda x, z: x[:, ::2, 1:], lambda x, z: x[:, ::2, 1:], True),
    "new axis": (lambda x, z: x[..., None], lambda x, z: x[..., None], True),
    "square": (lambda x, z: x**2, lambda x, z: x**2, True),
    "composed": (
        lambda x, z: ops.relu(z) * 2.0 + z[:, :1] ** 2,
        lambda x, z: np.maximum(z, 0) * 2 + z[:, :1] ** 2,
        True,
    ),
    "minus": (lambda x, z: 1.0 - (-x), lambda x, z: 1 + x, True),
    "quotient": (lambda x, z: 2.0 / (z * z + 1.0), lambda x, z: 2 / (z * z + 1), True),
    "broadcast": (lambda x, z: x / (x[:, :1] ** 2 + 1.0), lambda x, z: x / (x[:, :1] ** 2 + 1), True),
    "abs": (lambda x, z: abs(x), lambda x, z: np.abs(x), True),
    "array": (lambda x, z: z + np.arange(3.0), lambda x, z: z + np.arange(3), True),
    "maximum": (lambda x, z: ops.maximum(z, 0.5), lambda x, z: np.maximum(z, 0.5), True),
    "mean": (lambda x, z: ops.mean(x, axis=1), lambda x, z: x.mean(1), True),
    "sum": (lambda x, z: ops.sum(x, axis=-1, keepdims=True), lambda x, z: x.sum(-1, keepdims=True), True),
    "max": (lambda x, z: ops.max(x, axis=(1, 2)), lambda x, z: x.max((1, 2)), True),
    "min": (lambda x, z: ops.min(x, axis=2), lambda x, z: x.min(2), True),
    "concatenate": (lambda x, z: ops.concatenate([x, x * 2], axis=1), lambda x, z: np.concatenate([x, x * 2], 1), True),
    "stack": (lambda x, z: ops.stack([z, -z], 1), lambda x, z: np.stack([z, -z], 1), True),
    "transpose": (lambda x, z: ops.transpose(x, (0, 2, 1)), lambda x, z: x.transpose(0, 2, 1), True),
    "reshape": (lambda x, z: ops.reshape(x, (-1, 20)), lambda x, z: x.reshape(-1, 20), True),
    "take": (lambda x, z: ops.take(x, [0, 2], axis=1), lambda x, z: x[:, [0, 2]], True),
    "repeat": (lambda x, z: ops.repeat(z, 2, axis=1), lambda x, z: z.repeat(2, 1), True),
    "split": (lambda x, z: ops.split(z, 3, axis=1)[1], lambda x, z: z[:, 1:2], True),
    "matmul": (lambda x, z: z @ C, lambda x, z: z @ C, True),
    "sigmoid": (lambda x, z: ops.sigmoid(z), lambda x, z: 1 / (1 + np.exp(-z)), True),
    "where": (lambda x, z: ops.where(z > 0, z, 0.5), lambda x, z: np.where(z > 0, z, 0.5), False),
    "log": (lambda x, z: ops.log(ops.abs(z) + 1.0), lambda x, z: np.log(np.abs(z) + 1), False),
    "std": (lambda x, z: ops.std(x, axis=1), lambda x, z: x.std(1), False),
    "erf": (lambda x, z: ops.erf(z), lambda x, z: np.vectorize(math.erf)(z), False),
    "top k": (lambda x, z: ops.top_k(z, 2)[0], lambda x, z: -np.sort(-z, 1)[:, :2], False),
    "tensordot": (lambda x, z: ops.tensordot(z, C, 1), lambda x, z: z @ C, True),
    "reshape to all": (lambda x, z: ops.reshape(x, (ops.shape(x)[0], -1)), lambda x, z: x.reshape(6, -1), True),
    "moveaxis": (lambda x, z: ops.moveaxis(x, 1, 2), lambda x, z: np.moveaxis(x, 1, 2), True),
    "roll": (lambda x, z: ops.roll(x, 2, axis=2), lambda x, z: np.roll(x, 2, 2), True),
    "hstack": (lambda x, z: ops.hstack([z, z * 2]), lambda x, z: np.hstack([z, z * 2]), False),
    "inner": (lambda x, z: ops.inner(z, C.T), lambda x, z: np.inner(z, C.T), True),
    "pad": (
        lambda x, z: ops.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=0.5),
        lambda x, z: np.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=0.5),
        False,
    ),
    "pad with edges": (
        lambda x, z: ops.pad(x, [[0, 0], [1, 0], [0, 2]], "edge"),
        lambda x, z: np.pad(x, ((0, 0), (1, 0), (0, 2)), "edge"),
        False,
    ),
    "relu6": (lambda x, z: ops.relu6(z * 8), lambda x, z: np.clip(z * 8, 0, 6), True),
    "hard sigmoid": (lambda x, z: ops.hard_sigmoid(z), lambda x, z: np.clip(z / 6 + 0.5, 0, 1), True),
    "hard silu": (lambda x, z: ops.hard_swish(z), lambda x, z: z * np.clip(z / 6 + 0.5, 0, 1), True),
    "tf": (
        lambda x, z: lw.concat([lw.square(z), lw.reshape(x, (lw.shape(x)[0], -1))], 1),
        lambda x, z: np.concatenate([z**2, x.reshape(6, -1)], 1),
        True,
    ),
    "einsum": (lambda x, z: ops.einsum("bij,bkj->bik", x, x), lambda x, z: x @ x.transpose(0, 2, 1), False),
}  # fmt: skip


def model_of(name: str) -> Any:
    x, z = keras.Input((4, 5)), keras.Input((3,))
    return keras.Model([x, z], FUNCTIONS[name][0](x, z))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_compute_what_numpy_does_and_go_into_files(name: str, tmp_path: Any) -> None:
    model, wanted = model_of(name), FUNCTIONS[name][1](X.astype(np.float64), Z.astype(np.float64))
    out = model.predict([X, Z], verbose=0)
    assert model.output_shape == (None, *wanted.shape[1:])
    np.testing.assert_allclose(out, wanted, rtol=2e-6, atol=1e-6)
    lines = model._program.builder.graph.operations()
    assert any(" host " in line for line in lines) != FUNCTIONS[name][2]
    model.save(tmp_path / "m.keras")
    for again in (
        keras.models.load_model(tmp_path / "m.keras"),
        keras.Model.from_config(model.get_config()),
        keras.models.clone_model(model),
        keras.models.model_from_json(model.to_json()),
    ):
        np.testing.assert_array_equal(again.predict([X, Z], verbose=0), out)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "abs"])  # differences cross its kink
def test_gradients_flow_through_them(name: str) -> None:
    x, z = keras.Input((4, 5)), keras.Input((3,))
    first, second = L.Dense(5), L.Dense(3)
    model = keras.Model([x, z], L.Dense(1)(L.Flatten()(FUNCTIONS[name][0](first(x), second(z)))))
    model.set_weights([grid(*w.shape, salt=10 + i) / 4 for i, w in enumerate(model.get_weights())])
    model.compile("sgd", "mse")
    y = grid(6, salt=9)
    _, gradients = model.value_and_grad([X, Z], y)
    weights, step = model.get_weights(), 2.0**-7
    for i, gradient in enumerate(gradients):
        at = tuple(n // 2 for n in gradient.shape)
        losses = []
        for sign in (1, -1):
            moved = [w.copy() for w in weights]
            moved[i][at] += sign * step
            model.set_weights(moved)
            losses.append(np.mean((model.predict([X, Z], verbose=0)[:, 0].astype(np.float64) - y) ** 2))
        assert gradient[at] == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=2e-2, abs=2e-3)


def test_what_the_engine_has_gives_the_same_bits_everywhere() -> None:
    for name in (name for name, case in FUNCTIONS.items() if case[2]):
        seen = set()
        for isa in ALIKE:
            for threads in (1, 2, 7):
                with running(isa, threads):
                    seen.add(model_of(name).predict([X, Z], verbose=0).tobytes())
        assert len(seen) == 1, name


def test_rows_stay_rows() -> None:
    x = keras.Input((4,))
    for function in (lambda: x[0], lambda: ops.sum(x), lambda: ops.transpose(x), lambda: ops.sum(x, axis=0)):
        with pytest.raises(ValueError, match="row"):
            keras.Model(x, L.Dense(1)(function())).predict(np.ones((2, 4)), verbose=0)


def test_an_operation_of_keras_that_is_not_there_is_named() -> None:
    x = keras.Input((4,))
    config = keras.Model(x, ops.exp(x)).get_config()
    entry = {"module": "keras.src.ops.numpy", "class_name": "Hanning", "config": {"name": "hanning"}, "name": "hanning",
             "inbound_nodes": config["layers"][1]["inbound_nodes"]}  # fmt: skip
    config["layers"][1] = entry
    config["output_layers"] = ["hanning", 0, 0]
    with pytest.raises(ValueError, match="Hanning"):
        keras.Model.from_config(config)


def test_ids_and_other_numbers_from_one_array() -> None:
    inputs = keras.Input((3,))
    table = L.Embedding(5, 2)
    model = keras.Model(inputs, L.Concatenate()([table(inputs[:, 0]), inputs[:, 1:] * 2.0]))
    x = np.array([[4, 0.25, 7.5], [0, 0.5, -9.5]], np.float32)
    out = model.predict(x, verbose=0)
    np.testing.assert_array_equal(out[:, :2], table.get_weights()[0][[4, 0]])
    np.testing.assert_array_equal(out[:, 2:], x[:, 1:] * 2)
    with pytest.raises(ValueError, match=r"from 0 to 4.*Received: 5"):
        model.predict(np.array([[5, 0, 0]]), verbose=0)
    users, items = L.Embedding(50, 2)(inputs[:, 0]), L.Embedding(3, 2)(inputs[:, 1])
    pair = keras.Model(inputs, L.Dot(1)([users, items]))
    assert pair.predict(np.array([[49, 2, 0]]), verbose=0).shape == (1, 1)
    with pytest.raises(ValueError, match="from 0 to 2"):
        pair.predict(np.array([[2, 49, 0]]), verbose=0)


def test_a_hostile_description_is_refused() -> None:
    for function, args in (("zeros", [[10**12]]), ("tile", [{"class_name": "__slot__", "config": 0}, [1, 10**12]]),
                           ("exp", [{"class_name": "__slot__", "config": 7}]), ("eval", ["1"])):  # fmt: skip
        with pytest.raises(ValueError, match=r"symbolic tensor|at most|no input 7|no function"):
            L.deserialize(
                {"class_name": "Function", "config": {"function": function, "args": args, "kwargs": {}}}
            ).call_on([keras.Input((3,))][: len(args) - (function == "zeros")])


def test_a_small_file_cannot_ask_for_much_memory() -> None:
    """Every call could double what it is called on, or make a table of two long vectors."""
    column, row = keras.Input((1 << 14, 1)), keras.Input((1, 1 << 14))
    for function in (
        lambda: column + row,
        lambda: ops.where(column > 0, row, 1.0),
        lambda: ops.matmul(column, row),
        lambda: ops.einsum("bij,bjk->bik", column, row),
        lambda: ops.einsum("...ij,...jk->...ik", column, row),
        lambda: ops.tensordot(column, np.ones((1, 1 << 14), np.float32), 1),
        lambda: ops.outer(keras.Input((1,)), np.ones(1 << 25, np.float32)),
        lambda: ops.pad(column, ((0, 0), (0, 10**9), (0, 0))),
        lambda: ops.pad(column, ((0, 0), (0, 0), (0, 2**70)), "reflect"),
    ):
        with pytest.raises(ValueError, match=rf"expected (at most {1 << 24} elements of a sample|numbers of float32)"):
            function()
    for count in (2e8, float("nan"), "3", {"a": 1}):
        with pytest.raises(TypeError, match="repeat: repeats: expected "):
            ops.repeat(column, count, axis=1)
    x = keras.Input((2,))
    with pytest.raises(ValueError, match="concatenate: expected at most"):
        for _ in range(30):
            x = ops.concatenate([x, x], axis=1)
    assert x.shape == (None, 1 << 24)
    a, b = keras.Input((700, 600)), keras.Input((600, 700))
    for product in (ops.matmul(a, b), ops.einsum("bij,bjk->bik", a, b), ops.einsum("...ij,...jk->...ik", a, b)):
        assert product.shape == (None, 700, 700)


MASKED: dict[str, tuple[Any, list[float]]] = {  # Keras 3.15, backend jax
    "number": (lambda e: e * 2.0, [3.0, 5.0]),
    "sum": (lambda e: e + e, [3.0, 5.0]),
    "negative": (lambda e: -e, [-1.5, -2.5]),
    "quotient": (lambda e: e / 2.0, [0.75, 1.25]),
    "power": (lambda e: e**2, [5.0, 9.0]),
    "difference": (lambda e: 1.0 - e, [-0.5, -1.5]),
    "larger": (lambda e: ops.maximum(e, e * 0.5), [1.5, 2.5]),
    "product": (lambda e: ops.multiply(e, e), [5.0, 9.0]),
    "negated": (ops.negative, [-1.5, -2.5]),
    "Rescaling": (lambda e: L.Rescaling(2.0)(e), [6.0, 8.0]),
    "Add": (lambda e: L.Add()([e, e]), [6.0, 8.0]),
}


@pytest.mark.parametrize("name", MASKED)
def test_operators_drop_a_mask_and_layers_pass_it_on(name: str, tmp_path: Any) -> None:
    write, expected = MASKED[name]
    ids = keras.Input((4,), dtype="int32")
    embedded = L.Embedding(5, 2, mask_zero=True)(ids)
    model = keras.Model(ids, L.GlobalAveragePooling1D()(write(embedded)))
    model.set_weights([np.arange(10).reshape(5, 2)])
    x = np.array([[1, 2, 0, 0]])
    assert model.predict(x, verbose=0)[0] == pytest.approx(expected)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


ARITHMETIC: dict[str, tuple[list[Any], Callable[[Any], Any]]] = {  # class in Keras: (arguments, the same)
    "Add": (["x", 0.1], lambda x: L.Rescaling(1, 0.1)(x)), "Subtract": ([0.1, "x"], lambda x: L.Rescaling(-1, 0.1)(x)),
    "Multiply": ([3, "x"], lambda x: L.Rescaling(3.0)(x)), "Divide": (["x", 256.0], lambda x: L.Rescaling(1 / 256)(x)),
    "TrueDivide": (["x", 4], lambda x: L.Rescaling(1 / 4)(x)), "Negative": (["x"], lambda x: x * -1.0),
    "Maximum": (["x", "x"], lambda x: L.Maximum()([x, x])),
}  # fmt: skip


@pytest.mark.parametrize("name", ARITHMETIC)
@pytest.mark.parametrize("by_name", [False, True])
def test_arithmetic_that_keras_wrote_has_the_bits_of_the_layer_that_does_the_same(name: str, by_name: bool) -> None:
    written, same = ARITHMETIC[name]
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["i", 0, 0], "shape": [None, 5]}}
    args = [tensor if argument == "x" else argument for argument in written]
    node = {"args": args, "kwargs": {}}
    if by_name:
        node = {"args": [], "kwargs": dict(zip(["x"] if len(args) == 1 else ["x1", "x2"], args, strict=True))}
    layers = [
        {"class_name": "InputLayer", "name": "i", "config": {"batch_shape": [None, 5], "name": "i"}},
        {"class_name": name, "name": "f", "module": "keras.src.ops.numpy", "config": {"name": "f"},
         "inbound_nodes": [node]},
    ]  # fmt: skip
    config = {"layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [["f", 0, 0]]}
    x = keras.Input((5,))
    data = np.random.default_rng(0).standard_normal((64, 5)).astype(np.float32)
    wanted = keras.Model(x, same(x)).predict(data, verbose=0)
    np.testing.assert_array_equal(keras.Model.from_config(config).predict(data, verbose=0), wanted)


def test_a_call_without_training_never_trains_noise_and_statistics() -> None:
    """Keras tells only those that ask: dropout stays off, batch norm takes its moving statistics."""

    class Quiet(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = L.Dense(8, kernel_initializer="ones"), L.BatchNormalization()
            self.drop, self.last = L.Dropout(0.9), L.Dense(1, kernel_initializer="ones")

        def call(self, x: Any) -> Any:
            return self.last(self.drop(self.norm(self.first(x))))

    x = np.linspace(0, 1, 40).reshape(20, 2).astype(np.float32)
    model = Quiet()
    model.compile("sgd", "mse")
    losses = [model.train_on_batch(x, x.sum(1)) for _ in range(2)]
    assert losses == pytest.approx([66.06320953, 8.88529968], rel=1e-5)  # Keras 3.15, backend jax


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, np.zeros(3, np.float32)])
def test_division_by_zero_is_what_ieee_says(zero):
    """Of the output, when it runs: as in Keras."""
    x = keras.Input((3,))
    model = keras.Model(x, x / zero)
    rows = np.array([[1, -2, 0]], np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        want = rows / np.float32(zero)
    np.testing.assert_array_equal(model.predict(rows, verbose=0), want)
