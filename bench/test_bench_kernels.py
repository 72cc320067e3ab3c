"""Every kernel against NumPy over the same arrays: equations and bounds are those of `numpy_equations.py`.

A result is checked before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from activations import SMOOTH
from lanewise import ops
from networks import adam
from numpy_equations import ACTIVATIONS, LOSSES, SUMS, Array, assert_within, gamma, nbytes, normal, wide

pytestmark = pytest.mark.benchmark(max_time=0.2, min_rounds=5)

LIBRARIES = ("lanewise", "numpy")

# --- matrix products --------------------------------------------------------------------------------------------

SHAPES = [  # m, n, k
    (32, 128, 1000), (1000, 128, 32), (128, 512, 784), (64, 64, 64), (256, 256, 256), (1024, 1024, 1024),
    (2048, 2048, 2048), (1, 4096, 4096), (8, 4096, 4096), (256, 4096, 256), (16, 16, 16),
]  # fmt: skip
PRODUCTS = [(m, n, k, "AB") for m, n, k in SHAPES]
PRODUCTS += [(m, n, k, which) for m, n, k in SHAPES if m * n * k < 2**30 for which in ("AtB", "ABt")]
DENSE = [(32, 1000, 128), (128, 784, 512), (256, 64, 1)]  # rows, inputs, units


@cache
def product(m: int, n: int, k: int, which: str) -> tuple[Array, Array, Array, Array]:
    """A and B (one stored transposed), A·B in float64, and its bound."""
    a, b = normal(1, m, k), normal(2, k, n)
    if which == "AtB":
        a = np.ascontiguousarray(a.T).T
    elif which == "ABt":
        b = np.ascontiguousarray(b.T).T
    a64, b64 = wide(a, b)
    return a, b, a64 @ b64, gamma(k) * (np.abs(a64) @ np.abs(b64)) + k * 2.0**-149


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("m", "n", "k", "which"), PRODUCTS)
def test_matmul(measure: Callable[..., None], library: str, m: int, n: int, k: int, which: str) -> None:
    """m×n×k, plain and with one side transposed in memory."""
    a, b, exact, bound = product(m, n, k, which)
    out = np.full((m, n), np.nan, np.float32)
    call = (lambda: ops.matmul(a, b, out)) if library == "lanewise" else (lambda: np.matmul(a, b, out))
    call()
    assert_within(out, exact, bound)
    measure(library, f"matmul {m}×{n}×{k} {which}", call, flops=2.0 * m * n * k)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("rows", "inputs", "units"), DENSE)
def test_dense_forward(measure: Callable[..., None], library: str, rows: int, inputs: int, units: int) -> None:
    """relu(X·W + b)."""
    x, w, b = normal(1, rows, inputs), normal(2, inputs, units), normal(3, units)
    out = np.full((rows, units), np.nan, np.float32)

    def with_numpy() -> None:
        np.matmul(x, w, out)
        np.add(out, b, out)
        np.maximum(out, 0, out=out)

    call = with_numpy if library == "numpy" else (lambda: ops.dense_forward(x, w, b, "relu", out))
    call()
    x64, w64, b64 = wide(x, w, b)
    bound = gamma(inputs + 1) * (np.abs(x64) @ np.abs(w64) + np.abs(b64))
    assert_within(out, np.maximum(x64 @ w64 + b64, 0), bound)
    flops = 2.0 * rows * inputs * units
    measure(library, f"dense_forward {rows}×{inputs}→{units} relu", call, flops=flops)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("rows", "inputs", "units"), DENSE)
def test_dense_backward(measure: Callable[..., None], library: str, rows: int, inputs: int, units: int) -> None:
    """dX, dW and db of relu(X·W + b)."""
    x, w, dy = normal(1, rows, inputs), normal(2, inputs, units), normal(3, rows, units)
    y = np.maximum(normal(4, rows, units), 0)
    out = tuple(np.full(a.shape, np.nan, np.float32) for a in (x, w, dy[0]))
    dz = np.empty_like(dy)

    def with_numpy() -> None:
        np.multiply(dy, y > 0, dz)
        np.matmul(dz, w.T, out[0])
        np.matmul(x.T, dz, out[1])
        np.sum(dz, axis=0, out=out[2])

    call = with_numpy if library == "numpy" else (lambda: ops.dense_backward(dy, x, w, y, "relu", out))
    call()
    x64, w64, dz64 = wide(x, w, dy * (y > 0))
    size = np.abs(dz64)
    assert_within(out[0], dz64 @ w64.T, gamma(units) * (size @ np.abs(w64.T)))
    assert_within(out[1], x64.T @ dz64, gamma(rows) * (np.abs(x64.T) @ size))
    assert_within(out[2], dz64.sum(axis=0), gamma(rows) * size.sum(axis=0))
    measure(library, f"dense_backward {rows}×{inputs}→{units} relu", call, flops=4.0 * rows * inputs * units)


# --- elementwise kernels, softmax, sums and losses -----------------------------------------------------------------

KERNELS = ACTIVATIONS | SUMS | LOSSES
ROWS = [(name, *shape) for name in ACTIVATIONS for shape in ((32, 128), (4096, 512))]
ROWS += [(name, *shape) for name in SUMS for shape in ((32, 128), (4096, 512))]
ROWS += [("column_sum", 65536, 1), *((name, 4096, 10) for name in LOSSES)]


def arguments(name: str, rows: int, cols: int) -> list[Array]:
    """What the kernel reads."""
    if name in LOSSES:
        x, rng = 3 * normal(1, rows, cols), np.random.default_rng(2)
        labels = rng.integers(0, cols, rows, dtype=np.int32)
        if name.startswith("sparse"):
            return [labels, x]
        if name.startswith("categorical"):
            return [np.eye(cols, dtype=np.float32)[labels], x]
        if name.startswith("binary"):
            return [rng.integers(0, 2, (rows, cols)).astype(np.float32), x]
        return [normal(2, rows, cols), x]
    x = 3 * normal(1, rows, cols)
    if name.startswith("prelu"):
        return [*([normal(2, rows, cols)] if name.endswith("_backward") else []), x, np.full(cols, 0.25, np.float32)]
    if name.endswith("_backward"):
        activation = SMOOTH.get(name.removesuffix("_backward"))
        if activation is not None and activation.of_input:
            return [normal(2, rows, cols), x]
        y = np.empty_like(x)
        KERNELS[name.replace("_backward", "_forward")].equation(x, y)
        return [normal(2, rows, cols), y]
    return [x]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("name", "rows", "cols"), ROWS)
def test_rows(measure: Callable[..., None], library: str, name: str, rows: int, cols: int) -> None:
    """Activations, softmax, sums and losses."""
    kernel, args = KERNELS[name], arguments(name, rows, cols)
    shape: tuple[int, ...] = (rows, cols)
    if name == "column_sum":
        shape = (cols,)
    elif name == "row_sum" or (name in LOSSES and name.endswith("_forward")):
        shape = (rows,)
    out = np.full(shape, np.nan, np.float32)
    function: Callable[..., object] = getattr(ops, name) if library == "lanewise" else kernel.equation
    call = lambda: function(*args, out=out)  # noqa: E731
    call()
    exact = np.empty(shape)
    kernel.equation(*wide(*args), out=exact)
    assert_within(out, exact, kernel.bound(*wide(*args), exact) * (1 if library == "lanewise" else 4))
    measure(library, f"{name} {rows}×{cols}", call, nbytes=nbytes(*args, out))


# --- optimizers: in place; hyper-parameters that float32 holds exactly ------------------------------------------------

RATE, MOMENTUM, BETA_2, EPSILON = 2.0**-10, 0.875, 1 - 2.0**-10, 2.0**-23
ADAM_RATE = RATE * np.sqrt(1 - BETA_2**3).item() / (1 - MOMENTUM**3)  # of step 3


def sgd(w: Array, g: Array, velocity: Array, spare: Array) -> None:
    np.multiply(velocity, MOMENTUM, velocity)
    np.multiply(g, RATE, spare)
    np.subtract(velocity, spare, velocity)
    np.add(w, velocity, w)


def adam_step(w: Array, g: Array, m: Array, v: Array, spare: Array) -> None:
    adam(w, g, m, v, spare, 3, RATE, MOMENTUM, BETA_2, EPSILON)


def rmsprop(w: Array, g: Array, v: Array, spare: Array) -> None:
    np.multiply(v, MOMENTUM, v)
    np.multiply(g, g, spare)
    np.multiply(spare, 1 - MOMENTUM, spare)
    np.add(v, spare, v)
    np.add(v, EPSILON, spare)
    np.sqrt(spare, spare)
    np.divide(g, spare, spare)
    np.multiply(spare, RATE, spare)
    np.subtract(w, spare, w)


OPTIMIZERS: dict[str, tuple[Callable[..., None], dict[str, float], int]] = {  # equation, hyper-parameters, slots
    "sgd_step": (sgd, {"learning_rate": RATE, "momentum": MOMENTUM}, 1),
    "adam_step": (
        adam_step, {"step": 3, "learning_rate": RATE, "beta_1": MOMENTUM, "beta_2": BETA_2, "epsilon": EPSILON}, 2,
    ),
    "rmsprop_step": (rmsprop, {"learning_rate": RATE, "rho": MOMENTUM, "epsilon": EPSILON}, 1),
}  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("n", [128_000, 4_000_000])  # the flagship's kernel; more than the caches hold
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(measure: Callable[..., None], library: str, name: str, n: int) -> None:
    """One step on n weights."""
    equation, hyper, slots = OPTIMIZERS[name]
    w, g = normal(1, n), normal(2, n)
    state = [normal(3, n), np.abs(normal(4, n)) + 0.5][-slots:] if name != "sgd_step" else [normal(3, n)]
    exact = wide(w, g, *state)
    before = [np.abs(a) for a in exact]
    equation(*exact, np.empty(n))
    if library == "lanewise":
        call = lambda: getattr(ops, name)(w, g, *state, **hyper)  # noqa: E731
    else:
        spare = np.empty_like(w)
        call = lambda: equation(w, g, *state, spare)  # noqa: E731
    call()
    # Slots are sums of two terms, each rounded at most four times; the step takes their relative error and 8 roundings
    # of its own; the weight is rounded once (SGD with momentum: twice).
    size = gamma(4) * np.maximum(before[1], before[1] ** 2)
    slot_bounds = [gamma(4) * slot + size for slot in before[2:]]
    for slot, value, bound in zip(state, exact[2:], slot_bounds, strict=True):
        assert_within(slot, value, bound)
    if name == "sgd_step":
        step_bound = slot_bounds[0]
    else:
        v = exact[-1]
        root = np.sqrt(v)
        largest = RATE * before[1] / root if name == "rmsprop_step" else ADAM_RATE * np.abs(exact[2]) / root
        step_bound = largest * (gamma(8) + slot_bounds[-1] / (2 * v))
        if name == "adam_step":
            step_bound += ADAM_RATE * slot_bounds[0] / root
    assert_within(w, exact[0], step_bound + gamma(2) * (before[0] + np.abs(exact[0])))
    measure(library, f"{name} {n}", call, nbytes=nbytes(w, g, *state) + nbytes(w, *state))


def test_every_kernel_is_measured() -> None:
    """A kernel that `ops` offers stands in one of the tables above."""
    offered = {name for name in ops.__all__ if name.endswith(("_forward", "_backward", "_step", "_sum"))}
    assert offered == set(KERNELS) | set(OPTIMIZERS) | {"dense_forward", "dense_backward", "optimizer_step"}
