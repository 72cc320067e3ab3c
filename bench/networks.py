"""The networks that are timed, and the same networks in NumPy: the competitor in float32, the reference in float64."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BETA_1, BETA_2, EPSILON, RATE = 0.9, 0.999, 1e-7, 1e-3


def adam(
    w: Array, g: Array, m: Array, v: Array, spare: Array, step: int, rate: float = RATE, beta_1: float = BETA_1,
    beta_2: float = BETA_2, epsilon: float = EPSILON,
) -> None:  # fmt: skip
    """Adam's step number `step` (1, 2, ...) in place, without copies, epsilon where Keras has it."""
    np.subtract(g, m, spare)
    np.multiply(spare, 1 - beta_1, spare)
    np.add(m, spare, m)
    np.multiply(g, g, spare)
    np.subtract(spare, v, spare)
    np.multiply(spare, 1 - beta_2, spare)
    np.add(v, spare, v)
    np.sqrt(v, spare)
    np.add(spare, epsilon, spare)
    np.divide(m, spare, spare)
    np.multiply(spare, rate * (1 - beta_2**step) ** 0.5 / (1 - beta_1**step), spare)
    np.subtract(w, spare, w)


@dataclass(frozen=True)
class Case:
    """Units from the input to the output, rows of a batch; one output: regression, else classes."""

    units: tuple[int, ...]
    batch: int
    rows: int  # of an epoch
    tens: int = 10  # of steps that are checked

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.units))}, batch {self.batch}"

    def step_flops(self) -> int:
        """Of the matrix products: forward and dW of each layer, dX of all but the first."""
        products = [a * b for a, b in pairwise(self.units)]
        return 2 * self.batch * (2 * sum(products) + sum(products[1:]))

    def data(self, rows: int) -> tuple[Array, Array]:
        """Normal inputs; a noisy linear target, or the class whose linear score is highest."""
        rng = np.random.default_rng(1)
        x = rng.standard_normal((rows, self.units[0]), dtype=np.float32)
        scores = x @ rng.standard_normal((self.units[0], self.units[-1]), dtype=np.float32) / self.units[0] ** 0.5
        scores += 0.3 * rng.standard_normal(scores.shape, dtype=np.float32)
        return x, scores if self.units[-1] == 1 else scores.argmax(axis=1).astype(np.int32)

    def model(self, optimizer: Any = "adam") -> Any:
        """The network of lanewise, compiled; its weights follow from a seed."""
        import lanewise as lw

        lw.utils.set_random_seed(1)
        hidden = [lw.layers.Dense(units, activation="relu") for units in self.units[1:-1]]
        model = lw.Sequential([lw.Input((self.units[0],)), *hidden, lw.layers.Dense(self.units[-1])])
        classes = lw.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss="mse" if self.units[-1] == 1 else classes)
        return model


class NumPyNetwork:
    """Dense layers with relu between them, Adam, and mean squared error or cross-entropy, over arrays made once."""

    def __init__(self, case: Case, weights: list[Array], dtype: Any) -> None:
        self.case = case
        self.weights = [w.astype(dtype) for w in weights]  # kernel, bias, kernel, bias, ...
        self.m = [np.zeros_like(w) for w in self.weights]
        self.v = [np.zeros_like(w) for w in self.weights]
        self.gradients = [np.empty_like(w) for w in self.weights]
        self.spare = [np.empty_like(w) for w in self.weights]
        self.a = [np.empty((case.batch, units), dtype) for units in case.units]
        self.da = [np.empty_like(a) for a in self.a]
        self.rows = np.arange(case.batch)
        self.steps = 0

    def forward(self, activations: list[Array]) -> Array:
        """activations[0] is x; the others are written. Returns the last."""
        for layer, (x, y) in enumerate(pairwise(activations)):
            np.matmul(x, self.weights[2 * layer], out=y)
            np.add(y, self.weights[2 * layer + 1], out=y)
            if layer + 2 < len(activations):
                np.maximum(y, 0, out=y)
        return activations[-1]

    def loss_and_gradient(self, target: Array) -> float:
        """The batch's mean loss; its gradient goes to the last of da."""
        out, gradient, batch = self.a[-1], self.da[-1], len(self.rows)
        if self.case.units[-1] == 1:
            np.subtract(out, target, out=gradient)
            loss = float(np.vdot(gradient, gradient)) / batch
            np.multiply(gradient, 2 / batch, out=gradient)
            return loss
        np.subtract(out, out.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=gradient)
        total = gradient.sum(axis=1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0]) - out[self.rows, target]))
        np.divide(gradient, total, out=gradient)
        gradient[self.rows, target] -= 1
        np.multiply(gradient, 1 / batch, out=gradient)
        return loss

    def backward(self) -> None:
        """From da[-1] to all gradients; the input's own is not computed."""
        for layer in reversed(range(len(self.a) - 1)):
            x, dy = self.a[layer], self.da[layer + 1]
            if layer:
                np.matmul(dy, self.weights[2 * layer].T, out=self.da[layer])
                np.multiply(self.da[layer], x > 0, out=self.da[layer])
            np.matmul(x.T, dy, out=self.gradients[2 * layer])
            np.sum(dy, axis=0, out=self.gradients[2 * layer + 1])

    def update(self) -> None:
        """Adam's next step."""
        self.steps += 1
        for w, g, m, v, t in zip(self.weights, self.gradients, self.m, self.v, self.spare, strict=True):
            adam(w, g, m, v, t, self.steps)

    def epoch(self, x: Array, y: Array, order: Array) -> float:
        """One pass over the rows in this order; the mean loss."""
        total, batch = 0.0, self.case.batch
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            np.take(x, rows, axis=0, out=self.a[0], mode="clip")  # "clip" writes straight to out
            self.forward(self.a)
            total += self.loss_and_gradient(y[rows])
            self.backward()
            self.update()
        return total / (len(x) // batch)
