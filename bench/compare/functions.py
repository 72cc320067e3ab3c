"""The elementwise functions, sums and losses that are compared: the arrays of each, and NumPy's best way to do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..networks import BETA_1, BETA_2, EPSILON, RATE, adam
from .placing import empty, placed

Float32 = NDArray[np.float32]
Call = Callable[[], object]


@dataclass(frozen=True)
class Function:
    """What one call reads and writes, in whole arrays (rows, cols); a row or a column of results counts as nothing.

    Attributes:
        traffic: "copy" (one read, one written), "read" (one or two read) or "update" (four read, three written).
        arrays: how many arrays of the full shape a call reads and writes, each counted once for either.
    """

    name: str
    traffic: str
    arrays: int


_FUNCTIONS = [
    Function("relu", "copy", 2), Function("sigmoid", "copy", 2), Function("tanh", "copy", 2),
    Function("softmax", "copy", 2), Function("mse", "read", 2), Function("adam_step", "update", 7),
    Function("column_sum", "read", 1), Function("row_sum", "read", 1),
]  # fmt: skip
FUNCTIONS = {f.name: f for f in _FUNCTIONS}
IN_CACHE = ((256, 256), (32, 2048))
"""256 KB an array: with its results, and Adam's moments, in the L2 of two cores."""
IN_MEMORY = ((4096, 4096),)
"""64 MB an array."""


def arrays(shape: tuple[int, int], count: int) -> list[Float32]:
    """Normal numbers; different arrays."""
    rng = np.random.default_rng(0)
    return [placed(rng.standard_normal(shape, dtype=np.float32), number) for number in range(count)]


def numpy_call(name: str, shape: tuple[int, int]) -> Call:
    """The function in NumPy, with `out=` and no temporary array that can be spared."""
    x, y, g = arrays(shape, 3)
    out, rows = empty(shape, 3), empty(shape[:1], 6)
    column, cols = empty((shape[0], 1), 7), empty(shape[1:], 8)

    def sigmoid() -> None:
        np.negative(x, out=out)
        np.exp(out, out=out)
        np.add(out, 1, out=out)
        np.reciprocal(out, out=out)

    def softmax() -> None:
        np.max(x, axis=1, keepdims=True, out=column)
        np.subtract(x, column, out=out)
        np.exp(out, out=out)
        np.sum(out, axis=1, keepdims=True, out=column)
        np.divide(out, column, out=out)

    def mse() -> None:
        np.subtract(x, y, out=out)
        np.einsum("ij,ij->i", out, out, out=rows)
        np.divide(rows, shape[1], out=rows)

    m, v = placed(np.zeros_like(x), 4), placed(np.zeros_like(x), 5)
    steps = [0]

    def adam_step() -> None:
        steps[0] += 1
        adam(x, g, m, v, out, steps[0])

    calls: dict[str, Call] = {
        "relu": lambda: np.maximum(x, 0, out=out), "sigmoid": sigmoid, "tanh": lambda: np.tanh(x, out=out),
        "softmax": softmax, "mse": mse, "adam_step": adam_step, "column_sum": lambda: np.sum(x, axis=0, out=cols),
        "row_sum": lambda: np.sum(x, axis=1, out=rows),
    }  # fmt: skip
    return calls[name]


def lanewise_call(name: str, shape: tuple[int, int]) -> Call:
    """The function in lanewise."""
    from lanewise import ops

    x, y, g = arrays(shape, 3)
    out, rows, cols = empty(shape, 3), empty(shape[:1], 6), empty(shape[1:], 8)
    m, v, steps = placed(np.zeros_like(x), 4), placed(np.zeros_like(x), 5), [0]

    def adam_step() -> None:
        steps[0] += 1
        ops.adam_step(
            x, g, m, v, step=steps[0], learning_rate=RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON
        )  # fmt: skip

    calls: dict[str, Call] = {
        "relu": lambda: ops.relu_forward(x, out), "sigmoid": lambda: ops.sigmoid_forward(x, out),
        "tanh": lambda: ops.tanh_forward(x, out), "softmax": lambda: ops.softmax_forward(x, out),
        "mse": lambda: ops.mse_forward(y, x, rows), "adam_step": adam_step,
        "column_sum": lambda: ops.column_sum(x, cols), "row_sum": lambda: ops.row_sum(x, rows),
    }  # fmt: skip
    return calls[name]


def torch_call(name: str, shape: tuple[int, int]) -> Call:
    """The function in PyTorch, with `out=` where it has it."""
    import torch

    x, y, g = (torch.from_numpy(a) for a in arrays(shape, 3))
    out, rows, cols = torch.empty_like(x), torch.empty(shape[0]), torch.empty(shape[1])
    mse_loss = torch.nn.functional.mse_loss
    weight = torch.nn.Parameter(x.clone())
    weight.grad = g
    optimizer = torch.optim.Adam([weight], lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True)
    calls: dict[str, Call] = {
        "relu": lambda: torch.clamp_min(x, 0, out=out), "sigmoid": lambda: torch.sigmoid(x, out=out),
        "tanh": lambda: torch.tanh(x, out=out), "softmax": lambda: torch.softmax(x, 1, out=out),
        "mse": lambda: torch.mean(mse_loss(x, y, reduction="none"), 1, out=rows), "adam_step": optimizer.step,
        "column_sum": lambda: torch.sum(x, 0, out=cols), "row_sum": lambda: torch.sum(x, 1, out=rows),
    }  # fmt: skip
    return calls[name]
