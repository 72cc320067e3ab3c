"""One step of the optimizers behind `ops.optimizer_step` against NumPy (SGD, Adam, RMSprop: test_bench_kernels)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lanewise import ops
from numpy_equations import Array, nbytes, normal, wide

pytestmark = pytest.mark.benchmark(max_time=0.2, min_rounds=5)

N = 128_000  # the flagship's kernel
RATE, BETA_1, BETA_2, EPSILON, STEP = 2.0**-10, 0.875, 1 - 2.0**-10, 2.0**-23, 3  # float32 holds them exactly
ADAM_RATE = RATE * np.sqrt(1 - BETA_2**STEP).item() / (1 - BETA_1**STEP)
MOMENTA = [BETA_1 * (1 - 0.5 * 0.96**i) for i in range(1, STEP + 2)]


def amsgrad(w: Array, g: Array, m: Array, v: Array, largest: Array) -> None:
    m += (g - m) * (1 - BETA_1)
    v += (g * g - v) * (1 - BETA_2)
    np.maximum(largest, v, out=largest)
    w -= ADAM_RATE * m / (np.sqrt(largest) + EPSILON)


def adamax(w: Array, g: Array, m: Array, u: Array) -> None:
    m += (g - m) * (1 - BETA_1)
    np.maximum(BETA_2 * u, np.abs(g), out=u)
    w -= RATE / (1 - BETA_1**STEP) * m / (u + EPSILON)


def nadam(w: Array, g: Array, m: Array, v: Array) -> None:
    now, ahead = np.prod(MOMENTA[:-1]).item(), np.prod(MOMENTA).item()
    m += (g - m) * (1 - BETA_1)
    v += (g * g - v) * (1 - BETA_2)
    step = RATE * MOMENTA[-1] / (1 - ahead) * m + RATE * (1 - MOMENTA[-2]) / (1 - now) * g
    w -= step / (np.sqrt(v) * (1 - BETA_2**STEP) ** -0.5 + EPSILON)


def adagrad(w: Array, g: Array, s: Array) -> None:
    s += g * g
    w -= RATE * g / np.sqrt(s + EPSILON)


def adadelta(w: Array, g: Array, v: Array, u: Array) -> None:
    v += (g * g - v) * (1 - BETA_1)
    d = np.sqrt(u + EPSILON) * g / np.sqrt(v + EPSILON)
    u += (d * d - u) * (1 - BETA_1)
    w -= RATE * d


def ftrl(w: Array, g: Array, s: Array, z: Array) -> None:
    after = s + g * g
    z += g - (np.sqrt(after) - np.sqrt(s)) / RATE * w
    w[...] = -z / (np.sqrt(after) / RATE)
    s[...] = after


def lion(w: Array, g: Array, m: Array) -> None:
    w -= RATE * np.sign(BETA_1 * m + (1 - BETA_1) * g)
    m += (g - m) * (1 - BETA_2)


ADAM = {"learning_rate": RATE, "beta_1": BETA_1, "beta_2": BETA_2, "epsilon": EPSILON}
STEPS: dict[str, tuple[Callable[..., None], dict[str, float], list[str]]] = {
    "amsgrad": (amsgrad, ADAM, ["m", "v", "v_max"]),
    "adamax": (adamax, ADAM, ["m", "u"]),
    "nadam": (nadam, ADAM, ["m", "v"]),
    "adagrad": (adagrad, {"learning_rate": RATE, "epsilon": EPSILON}, ["accumulator"]),
    "adadelta": (
        adadelta,
        {"learning_rate": RATE, "rho": BETA_1, "epsilon": EPSILON},
        ["accumulated_gradient", "accumulated_step"],
    ),
    "ftrl": (ftrl, {"learning_rate": RATE}, ["accumulator", "linear"]),
    "lion": (lion, {"learning_rate": RATE, "beta_1": BETA_1, "beta_2": BETA_2}, ["m"]),
}


@pytest.mark.parametrize("library", ["lanewise", "numpy"])
@pytest.mark.parametrize("name", STEPS)
def test_optimizer_step(measure: Callable[..., Any], library: str, name: str) -> None:
    """One step on N weights; for float32 the answer is that of float64 to 2e-5 of the largest weight."""
    equation, hyper, slot_names = STEPS[name]
    w, g = normal(1, N), normal(2, N)
    slots = {slot: np.abs(normal(3 + i, N)) + 0.5 for i, slot in enumerate(slot_names)}
    exact = wide(w, g, *slots.values())
    equation(*exact)
    if library == "lanewise":
        call = lambda: ops.optimizer_step(name, w, g, slots, step=STEP, **hyper)  # noqa: E731
    else:
        call = lambda: equation(w, g, *slots.values())  # noqa: E731
    call()
    for got, wanted in zip((w, *slots.values()), (exact[0], *exact[2:]), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5 * np.abs(wanted).max())
    measure(library, f"{name} {N}", call, nbytes=nbytes(w, g, *slots.values()) + nbytes(w, *slots.values()))
