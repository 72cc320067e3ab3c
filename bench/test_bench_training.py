"""Training steps and predictions of whole networks, through the public API, against the same networks in NumPy.

The NumPy network is written once: in float32, over arrays made beforehand, it is the competitor; in float64 it is the
reference, to which the mean loss of every ten steps must agree within 2e-6, relative, over rows never seen before. That
check runs on a model of its own before anything is timed. A timed call is one epoch: shuffle, gather, forward, loss,
backward, Adam; `fit` with its history and callbacks included.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from networks import Case, NumPyNetwork

pytestmark = pytest.mark.benchmark(max_time=1.0, min_rounds=5)

LIBRARIES = ("lanewise", "numpy")

FLAGSHIP = Case((1000, 128, 1), 32, 4096)
# The large network is checked over fewer steps: from the third ten on, roundings grow in it as in any chaotic system,
# and NumPy in float32 is 2e-5 away as well (over 100 steps of the two others: 2e-7).
CASES = [FLAGSHIP, Case((20, 64, 64, 1), 32, 4096), Case((784, 512, 512, 10), 128, 2048, tens=1)]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_training(measure: Callable[..., None], library: str, case: Case) -> None:
    """One epoch of shuffled mini-batches."""
    few = 10 * case.batch
    x, y = case.data(case.tens * few)
    model = case.model()
    exact = NumPyNetwork(case, model.get_weights(), np.float64)
    network = NumPyNetwork(case, model.get_weights(), np.float32)
    for start in range(0, len(x), few):
        xs, ys, order = x[start : start + few], y[start : start + few], np.arange(few)
        if library == "lanewise":
            loss = model.fit(xs, ys, batch_size=case.batch, shuffle=False, verbose=0).history["loss"][0]
        else:
            loss = network.epoch(xs, ys, order)
        expected = exact.epoch(xs.astype(np.float64), ys, order)
        assert loss == pytest.approx(expected, rel=2e-6), f"steps up to {exact.steps}"

    x, y = case.data(case.rows)
    model = case.model()
    network = NumPyNetwork(case, model.get_weights(), np.float32)
    rng = np.random.default_rng(2)

    def with_numpy() -> None:
        network.epoch(x, y, rng.permutation(len(x)))

    def with_lanewise() -> None:
        model.fit(x, y, batch_size=case.batch, verbose=0)

    steps = case.rows // case.batch
    call = with_lanewise if library == "lanewise" else with_numpy
    call()
    measure(library, f"train {case.name}", call, flops=steps * case.step_flops(), steps=steps)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("rows", [1, 32, 4096])
def test_predict(measure: Callable[..., None], library: str, rows: int) -> None:
    """The flagship network on some rows, as one batch."""
    case = FLAGSHIP
    x, _ = case.data(rows)
    model = case.model()
    exact = NumPyNetwork(case, model.get_weights(), np.float64)
    network = NumPyNetwork(case, model.get_weights(), np.float32)
    activations = [x, *(np.empty((rows, units), np.float32) for units in case.units[1:])]
    call = (lambda: model.predict_on_batch(x)) if library == "lanewise" else (lambda: network.forward(activations))

    # Each layer adds k + 1 roundings to terms whose sizes the same network of absolute values bounds.
    value = size = np.abs(x.astype(np.float64))
    value, roundings = x.astype(np.float64), 0
    for layer, inputs in enumerate(case.units[:-1]):
        kernel, bias = exact.weights[2 * layer], exact.weights[2 * layer + 1]
        value, size = value @ kernel + bias, size @ np.abs(kernel) + np.abs(bias)
        value = np.maximum(value, 0) if layer + 2 < len(case.units) else value
        roundings += inputs + 1
    assert np.all(np.abs(call() - value) <= roundings * 2.0**-24 / (1 - roundings * 2.0**-24) * size)
    flops = 2.0 * rows * sum(a * b for a, b in pairwise(case.units))
    measure(library, f"predict {'-'.join(map(str, case.units))}, {rows} row(s)", call, flops=flops)


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_fit_many(measure: Callable[..., None], case: Case) -> None:
    """Four networks over one x, an epoch each, with building: to be compared with the epochs of test_training."""
    x, y = case.data(case.rows)

    def build() -> lw.Sequential:
        return case.model()

    def call() -> Any:
        return lw.fit_many(build, x, y, seeds=4, batch_size=case.batch, verbose=0)

    fits = call()
    for fit in fits:
        lw.utils.set_random_seed(fit.seed)
        model = build()
        model.fit(x, y, batch_size=case.batch, verbose=0)
        assert lw.fingerprint(model) == lw.fingerprint(fit.model)
    steps = 4 * (case.rows // case.batch)
    measure("lanewise", f"fit_many {case.name}", call, flops=steps * case.step_flops(), steps=steps)


DEPTHS = (100, 1000)  # layers: per layer, both are to cost the same


def deep(layers: int, **clipping: float) -> tuple[lw.Sequential, Any, Any]:
    x = np.random.default_rng(3).normal(size=(64, 16)).astype(np.float32)
    model = lw.Sequential([lw.Input((16,)), *(lw.layers.Dense(16) for _ in range(layers)), lw.layers.Dense(1)])
    model.compile(lw.optimizers.Adam(**clipping), "mse")
    return model, x, x[:, :1]


@pytest.mark.parametrize("layers", DEPTHS)
def test_first_step_of_a_deep_network(measure: Callable[..., None], layers: int) -> None:
    """Made, compiled, planned and stepped once."""

    def call() -> None:
        model, x, y = deep(layers)
        assert np.isfinite(model.train_on_batch(x, y))

    measure("lanewise", f"first step of {layers} layers", call)


@pytest.mark.parametrize("layers", DEPTHS)
@pytest.mark.parametrize("clipping", [{}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}], ids=str)
def test_step_of_a_deep_network(measure: Callable[..., None], clipping: dict[str, float], layers: int) -> None:
    """One step of small layers, whose gradients are clipped or not."""
    model, x, y = deep(layers, **clipping)
    for _ in range(8):
        assert np.isfinite(model.train_on_batch(x, y))
    measure("lanewise", f"step of {layers} layers, {clipping or 'not clipped'}", lambda: model.train_on_batch(x, y))
