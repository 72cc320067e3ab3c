"""Layers one by one, as a model runs them, beside the same arithmetic in NumPy, and every loss with its gradient. The
answer is checked against float64 before anything is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lanewise as lw
import twin
import twin_layers
from lanewise import _core
from loss_equations import CASES, EQUATIONS, data

pytestmark = pytest.mark.benchmark(max_time=0.3, min_rounds=5)

Array = NDArray[Any]
ROWS, COLS = 2048, 256
EPSILON = 1e-3


def norm(axis: int, centered: bool) -> Callable[[Array], Array]:
    """(x - mean) / sqrt(variance + epsilon) along an axis."""

    def forward(x: Array) -> Array:
        shifted = x - x.mean(axis=axis, keepdims=True) if centered else x
        return shifted / np.sqrt((shifted**2).mean(axis=axis, keepdims=True) + np.float32(EPSILON))

    return forward


LAYERS: dict[str, tuple[Callable[[], Any], Callable[[Array], Array]]] = {
    "BatchNormalization": (lambda: lw.layers.BatchNormalization(), norm(0, True)),
    "LayerNormalization": (lambda: lw.layers.LayerNormalization(), norm(1, True)),
    "RMSNormalization": (lambda: lw.layers.RMSNormalization(epsilon=EPSILON), norm(1, False)),
    "UnitNormalization": (
        lambda: lw.layers.UnitNormalization(), lambda x: x / np.sqrt((x**2).sum(axis=1, keepdims=True)),
    ),
    "LeakyReLU": (lambda: lw.layers.LeakyReLU(), lambda x: np.where(x > 0, x, np.float32(0.3) * x)),
    "ELU": (lambda: lw.layers.ELU(), lambda x: np.where(x > 0, x, np.expm1(x))),
    "PReLU": (lambda: lw.layers.PReLU(), lambda x: np.maximum(x, 0)),
    "Rescaling": (lambda: lw.layers.Rescaling(0.5, 1.0), lambda x: x * np.float32(0.5) + np.float32(1.0)),
}  # fmt: skip


@pytest.mark.parametrize("library", ["lanewise", "numpy"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer(measure: Callable[..., None], library: str, name: str) -> None:
    """Forward, as in training."""
    make, equation = LAYERS[name]
    x = np.random.default_rng(0).standard_normal((ROWS, COLS), dtype=np.float32)
    layer = make()
    np.testing.assert_allclose(layer(x, training=True), equation(x.astype(np.float64)), rtol=2e-5, atol=2e-6)
    call = (lambda: layer(x, training=True)) if library == "lanewise" else (lambda: equation(x))
    measure(library, f"{name} {ROWS}x{COLS}", call, nbytes=8 * x.size)


TWINS: dict[str, Callable[[], twin.Layer]] = {
    "BatchNormalization": lambda: twin_layers.BatchNorm(np.ones(COLS), np.zeros(COLS), 0.0, 1.0),
    "LayerNormalization": lambda: twin_layers.LayerNorm(np.ones(COLS), np.zeros(COLS), EPSILON),
    "RMSNormalization": lambda: twin_layers.LayerNorm(np.ones(COLS), np.zeros(COLS), EPSILON, center=False),
    "UnitNormalization": lambda: twin_layers.UnitNorm(),
}


@pytest.mark.parametrize("name", TWINS)
def test_norm_backward(measure: Callable[..., None], name: str) -> None:
    """Forward and backward of the layer behind a root mean square norm, whose scale needs the gradient through it."""
    rng = np.random.default_rng(3)
    x, y = (rng.standard_normal((ROWS, COLS), dtype=np.float32) for _ in range(2))
    model = lw.Sequential([lw.Input((COLS,)), lw.layers.RMSNormalization(epsilon=EPSILON), LAYERS[name][0]()])
    model.compile("sgd", "mse")
    value, gradients = twin.value_and_grad([TWINS["RMSNormalization"](), TWINS[name]()], "mse", x, y)
    got, own = model.value_and_grad(x, y)
    assert got == pytest.approx(value, rel=1e-5)
    # terms of 2 / COLS that cancel under a batch norm, which undoes a scale
    atol = 2e-5 * np.abs(gradients[0]).max() + 1e-6 * 2 / COLS
    np.testing.assert_allclose(own[0], gradients[0], rtol=0, atol=atol)
    measure("lanewise", f"{name} forward and backward {ROWS}x{COLS}", lambda: model.value_and_grad(x, y))


def test_embedding_training(measure: Callable[..., None]) -> None:
    """One epoch of Embedding(10000, 16) over 256 ids, their mean, 16 and 1 units, Adam, batch 32."""
    rng = np.random.default_rng(4)
    ids, y = rng.integers(0, 10_000, (640, 256)).astype(np.int32), rng.integers(0, 2, (640, 1)).astype(np.float32)
    lw.utils.set_random_seed(1)
    model = lw.Sequential([lw.Input((256,)), lw.layers.Embedding(10_000, 16), lw.layers.GlobalAveragePooling1D(),
                           lw.layers.Dense(16, "relu"), lw.layers.Dense(1, "sigmoid")])  # fmt: skip
    model.compile("adam", "binary_crossentropy")
    table, *dense = [w.astype(np.float64) for w in model.get_weights()]
    hidden = np.maximum(table[ids[:32]].mean(axis=1) @ dense[0] + dense[1], 0)
    p = 1 / (1 + np.exp(-(hidden @ dense[2] + dense[3])))
    expected = -np.mean(np.where(y[:32] > 0, np.log(p), np.log(1 - p)))
    assert model.value_and_grad(ids[:32], y[:32])[0] == pytest.approx(expected, rel=1e-5)

    def call() -> None:
        model.fit(ids, y, batch_size=32, verbose=0)

    measure("lanewise", "train Embedding 10000x16 over 256, mean, 16, 1", call, steps=20)


@pytest.mark.parametrize("library", ["lanewise", "numpy"])
def test_embedding(measure: Callable[..., None], library: str) -> None:
    """The rows of a table."""
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 5000, (ROWS, 32)).astype(np.int32)
    layer = lw.layers.Embedding(5000, 64)
    np.testing.assert_array_equal(layer(ids), layer.get_weights()[0][ids])
    table = layer.get_weights()[0]
    call = (lambda: layer(ids)) if library == "lanewise" else (lambda: table[ids])
    measure(library, "Embedding 2048x32 of 5000x64", call, nbytes=8 * ids.size * 64)


@pytest.mark.parametrize("library", ["lanewise", "numpy"])
@pytest.mark.parametrize("name", ["Add", "Multiply", "Maximum", "Concatenate"])
def test_merging(measure: Callable[..., None], library: str, name: str) -> None:
    """Two inputs joined, in a model."""
    equation: Callable[[Array, Array], Array] = {
        "Add": np.add, "Multiply": np.multiply, "Maximum": np.maximum, "Concatenate": lambda a, b: np.hstack([a, b]),
    }[name]  # fmt: skip
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal((ROWS, COLS), dtype=np.float32) for _ in range(2))
    inputs = [lw.Input((COLS,)), lw.Input((COLS,))]
    model = lw.Model(inputs, getattr(lw.layers, name)()(inputs))
    np.testing.assert_array_equal(model.predict_on_batch([a, b]), equation(a, b))
    call = (lambda: model.predict_on_batch([a, b])) if library == "lanewise" else (lambda: equation(a, b))
    measure(library, f"{name} {ROWS}x{COLS}", call, nbytes=12 * a.size)


STEPS, WIDTH = 16, 16  # ROWS * STEPS * WIDTH elements, as many as of the layers above
MOVES: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array]]] = {
    "slice": (lambda x: x[:, 4:12], lambda x: x[:, 4:12].copy()),
    "transpose": (lambda x: lw.layers.Permute((2, 1))(x), lambda x: np.ascontiguousarray(x.transpose(0, 2, 1))),
    "broadcast sum": (lambda x: x + x[:, :1], lambda x: x + x[:, :1]),
    "divide": (lambda x: x / (x * x + 1.0), lambda x: x / (x * x + np.float32(1.0))),
    "Dot": (lambda x: lw.layers.Dot(axes=(2, 2))([x, x]), lambda x: x @ x.transpose(0, 2, 1)),
    "masked mean": (
        lambda x: lw.layers.GlobalAveragePooling1D()(lw.layers.Masking(0.0)(x)),
        lambda x: (x * (m := (x != 0).any(-1, keepdims=True))).sum(1) / m.sum(1, dtype=np.float32),
    ),
}  # fmt: skip


@pytest.mark.parametrize("library", ["lanewise", "numpy"])
@pytest.mark.parametrize("name", MOVES)
def test_moves(measure: Callable[..., None], library: str, name: str) -> None:
    """What slices, broadcasts, joins and masks rows of STEPS x WIDTH, in a model."""
    write, equation = MOVES[name]
    x = np.random.default_rng(5).standard_normal((ROWS, STEPS, WIDTH), dtype=np.float32)
    x[::3, 9:] = 0  # masked steps
    inputs = lw.Input((STEPS, WIDTH))
    model = lw.Model(inputs, write(inputs))
    expected = equation(x.astype(np.float64))
    np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-5, atol=1e-5)
    call = (lambda: model.predict_on_batch(x)) if library == "lanewise" else (lambda: equation(x))
    measure(library, f"{name} {ROWS}x{STEPS}x{WIDTH}", call, nbytes=4 * (x.size + expected.size))


@pytest.mark.parametrize(("name", "params"), {name: (name, params) for name, params in reversed(CASES)}.values())
def test_loss(measure: Callable[..., None], name: str, params: tuple[float, ...]) -> None:
    """Rows and gradient of a loss that `test_bench_kernels.py` has not."""
    target, pred = data(name, params, ROWS, 8)
    EQUATIONS[name](target, pred, params).assert_holds(_core.loss_forward(name, target, pred, params), (ROWS, 8))

    def call() -> None:
        _core.loss_forward(name, target, pred, params)
        _core.loss_backward(name, target, pred, params)

    measure("lanewise", f"{name} {ROWS}x8", call, nbytes=20 * pred.size)
