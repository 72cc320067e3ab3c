"""What is compared: tasks that every library is asked to do, and the data they do it on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..networks import Case
from .functions import FUNCTIONS, IN_CACHE, IN_MEMORY
from .placing import empty, placed
from .shapes import QUICK as QUICK_SHAPES, SHAPES, Shape

Float32 = NDArray[np.float32]

NETWORKS = [
    Case((1000, 128, 1), 32, 4096),
    Case((20, 64, 64, 1), 32, 4096),
    Case((784, 512, 512, 10), 128, 2048),
    Case((256, 4096, 4096, 1), 256, 1024),
]
PREDICT_ROWS = (1, 32, 4096)
OPTIMIZERS = ("sgd", "adam with clipnorm", "adam with global_clipnorm")
"""Trained with beside Adam: the second and third need whole gradients before the first update, and so no fusion."""


@dataclass(frozen=True)
class Task:
    """One thing to time: a product, an epoch of training, a prediction, or a function of each element.

    Attributes:
        kind: "matmul", "train", "predict", "elementwise" or "optimizers" (training of lanewise alone).
        shape: of a product.
        network: that is trained or predicts.
        rows: that are predicted at once; of an elementwise function's arrays.
        cols: of an elementwise function's arrays.
        function: which elementwise function.
        optimizer: of a training, one of OPTIMIZERS.
    """

    kind: str
    shape: Shape | None = None
    network: Case | None = None
    rows: int = 0
    cols: int = 0
    function: str = ""
    optimizer: str = "adam"

    @property
    def name(self) -> str:
        """As the table shows it."""
        if self.shape is not None:
            return self.shape.name
        if self.function:
            return f"{self.function} {self.rows}x{self.cols}"
        assert self.network is not None
        other = "" if self.optimizer == "adam" else f", {self.optimizer}"
        return f"{'-'.join(map(str, self.network.units))}, batch {self.rows or self.network.batch}{other}"

    @property
    def group(self) -> str:
        """Tasks that are summed up together."""
        if self.function:
            return f"elementwise, {'L2' if self.in_cache else 'memory'}"
        return f"matmul, {self.shape.kind}" if self.shape is not None else self.kind

    @property
    def in_cache(self) -> bool:
        """Whether an elementwise function's arrays lie in L2."""
        return (self.rows, self.cols) not in IN_MEMORY

    @property
    def trains(self) -> bool:
        """Whether it is an epoch of training."""
        return self.kind in ("train", "optimizers")

    @property
    def units(self) -> int:
        """How many of what is reported (calls; steps of training) one timed call makes."""
        return self.network.rows // self.network.batch if self.trains and self.network is not None else 1

    @property
    def flops(self) -> float:
        """Of the matrix products of one unit."""
        if self.function:
            return 0.0
        if self.shape is not None:
            return self.shape.flops
        assert self.network is not None
        if self.trains:
            return self.network.step_flops()
        units = self.network.units
        return 2.0 * self.rows * sum(a * b for a, b in pairwise(units))

    @property
    def traffic(self) -> tuple[str, float]:
        """(kind of traffic, bytes) that must be read and written at least once: of a product A, B and C; of a step of
        training x and the weights with Adam's moments; of a prediction x and the weights."""
        if self.function:
            function = FUNCTIONS[self.function]
            return function.traffic, 4.0 * self.rows * self.cols * function.arrays
        if self.shape is not None:
            s = self.shape
            return "read", 4.0 * (s.m * s.k + s.k * s.n + s.m * s.n)
        assert self.network is not None
        weights = sum((a + 1) * b for a, b in pairwise(self.network.units))
        if self.trains:
            return "update", 4.0 * (self.network.batch * self.network.units[0] + 6 * weights)
        return "read", 4.0 * (self.rows * self.network.units[0] + weights)

    def as_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @staticmethod
    def from_json(text: dict[str, Any]) -> Task:
        """What `as_json` wrote."""
        shape, network = text["shape"], text["network"]
        return Task(
            text["kind"],
            None if shape is None else Shape(**shape),
            None if network is None else Case(**{**network, "units": tuple(network["units"])}),
            text["rows"],
            text["cols"],
            text["function"],
            text["optimizer"],
        )

    def operands(self) -> tuple[Float32, Float32]:
        """A and B of a product, normal numbers; transposed ones as views."""
        assert self.shape is not None
        s, rng = self.shape, np.random.default_rng(0)
        a = placed(rng.standard_normal((s.k, s.m) if s.transpose_a else (s.m, s.k), dtype=np.float32))
        b = placed(rng.standard_normal((s.n, s.k) if s.transpose_b else (s.k, s.n), dtype=np.float32), 1)
        return (a.T if s.transpose_a else a), (b.T if s.transpose_b else b)

    def result(self) -> Float32:
        """C of a product; a new array."""
        assert self.shape is not None
        return empty((self.shape.m, self.shape.n), 2)

    def weights(self) -> list[Float32]:
        """Kernel and bias of each layer; new arrays."""
        assert self.network is not None
        return [w.copy() for w in _weights(self.network.units)]

    def data(self) -> tuple[Float32, NDArray[Any]]:
        """Inputs and targets: of an epoch, or of a prediction; new arrays."""
        assert self.network is not None
        x, y = _data(self.network, self.rows or self.network.rows)
        return placed(x), y.copy()


@cache
def _weights(units: tuple[int, ...]) -> list[Float32]:
    """As He et al. (2015) scale them."""
    rng = np.random.default_rng(3)
    weights: list[Float32] = []
    for k, n in pairwise(units):
        kernel = rng.standard_normal((k, n), dtype=np.float32) * np.float32((2 / k) ** 0.5)
        weights += [kernel, np.zeros(n, np.float32)]
    return weights


@lru_cache(1)
def _data(network: Case, rows: int) -> tuple[Float32, NDArray[Any]]:
    return network.data(rows)


def all_tasks(kinds: list[str], quick: bool) -> list[Task]:
    """The tasks of these kinds; quick: those that say most."""
    tasks: list[Task] = []
    networks = NETWORKS[:3] if quick else NETWORKS
    if "train" in kinds:
        tasks += [Task("train", network=n) for n in networks]
    if "optimizers" in kinds:
        tasks += [Task("optimizers", network=n, optimizer=o) for n in networks for o in ("adam", *OPTIMIZERS)]
    if "predict" in kinds:
        tasks += [Task("predict", network=NETWORKS[0], rows=rows) for rows in PREDICT_ROWS]
    if "elementwise" in kinds:
        sizes = IN_CACHE[:1] if quick else IN_CACHE + IN_MEMORY
        tasks += [Task("elementwise", rows=r, cols=c, function=f) for r, c in sizes for f in FUNCTIONS]
    if "matmul" in kinds:
        tasks += [Task("matmul", shape=s) for s in (QUICK_SHAPES if quick else SHAPES)]
    return tasks
