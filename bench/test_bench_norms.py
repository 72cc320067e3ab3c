"""Training steps of 100-256-N-256-N-10, batch 64, N a batch or a layer normalisation before relu, against PyTorch with
its fused Adam (left out where it is not installed). The first loss is checked against float64 NumPy before anything is
timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from networks import Case

pytestmark = pytest.mark.benchmark(max_time=1.0, min_rounds=5)

Array = NDArray[Any]
CASE = Case((100, 256, 256, 10), 64, 6400)
EPSILON = 1e-3


def lanewise_model(kind: str) -> Any:
    """The network, compiled with Adam and cross-entropy from logits."""
    import lanewise as lw

    lw.utils.set_random_seed(1)
    norm = lw.layers.BatchNormalization if kind == "batch" else lw.layers.LayerNormalization
    layers: list[Any] = [lw.Input((CASE.units[0],))]
    for units in CASE.units[1:-1]:
        layers += [lw.layers.Dense(units), norm(), lw.layers.Activation("relu")]
    model = lw.Sequential([*layers, lw.layers.Dense(CASE.units[-1])])
    model.compile("adam", lw.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def loss_in_float64(kind: str, kernels: list[Array], x: Array, y: Array) -> float:
    """Mean cross-entropy of the untrained network: biases and beta 0, gamma 1."""
    value = x.astype(np.float64)
    for i, kernel in enumerate(kernels):
        value = value @ kernel
        if i + 1 < len(kernels):
            axis = 0 if kind == "batch" else 1
            mean, variance = value.mean(axis=axis, keepdims=True), value.var(axis=axis, keepdims=True)
            value = np.maximum((value - mean) / np.sqrt(variance + EPSILON), 0)
    value -= value.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(value).sum(axis=1)) - value[np.arange(len(y)), y]))


@pytest.mark.parametrize("library", ["lanewise", "PyTorch"])
@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_training_with_norms(measure: Callable[..., None], library: str, kind: str) -> None:
    """One epoch of shuffled mini-batches."""
    x, y = CASE.data(CASE.rows)
    model = lanewise_model(kind)
    kernels = [w.numpy() for w in model.weights if w.name == "kernel"]
    first = (x[: CASE.batch], y[: CASE.batch])
    expected = loss_in_float64(kind, kernels, *first)
    if library == "lanewise":
        assert model.value_and_grad(*first)[0] == pytest.approx(expected, rel=1e-5)

        def call() -> None:
            model.fit(x, y, batch_size=CASE.batch, verbose=0)
    else:
        torch = pytest.importorskip("torch")
        layers: list[Any] = []
        for kernel in kernels:
            linear = torch.nn.Linear(*kernel.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(kernel.T))
                linear.bias.zero_()
            make = torch.nn.BatchNorm1d if kind == "batch" else torch.nn.LayerNorm
            layers += [linear, make(kernel.shape[1], eps=EPSILON), torch.nn.ReLU()]
        network = torch.nn.Sequential(*layers[:-2])
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        rows, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
        loss_of = torch.nn.functional.cross_entropy
        got = loss_of(network(rows[: CASE.batch]), labels[: CASE.batch])
        assert float(got.detach()) == pytest.approx(expected, rel=1e-5)

        def call() -> None:
            for some in torch.randperm(len(rows)).split(CASE.batch):
                optimizer.zero_grad(set_to_none=True)
                loss_of(network(rows[some]), labels[some]).backward()
                optimizer.step()

    call()
    steps = CASE.rows // CASE.batch
    measure(library, f"train {CASE.name} with {kind} norms", call, flops=steps * CASE.step_flops(), steps=steps)
