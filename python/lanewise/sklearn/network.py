"""The engine under the multilayer perceptrons: a Sequential, trained epoch by epoch with scikit-learn's penalty."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import optimizers
from .._engine import AnyArray, Float32, Float64
from .._names import resolve
from ..layers import Activation, BatchNormalization, Dense, Dropout, Input, Layer
from ..models import Sequential
from ..models.batches import Pace, slices

ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}
"""scikit-learn's names of activations that have another one here."""

_DENSE_BYTES = 1 << 26  # sparse rows are made dense at once up to here, beyond it so many bytes at a time


MERGED_ROWS = 4096  # up to so many rows are looked through for equal ones


class _Steady(Pace):
    def record(self, units: int, seconds: float) -> None:
        """The slices of sparse rows are as long as memory allows, however long they take."""


class Net:
    """Dense layers of these widths, each but the last followed by [batch norm,] activation [and dropout].

    Args:
        widths: columns of the input, of each hidden layer, of the output.
        activation, output: scikit-learn's names, or lanewise's.
        dropout: rate behind each hidden layer.
        batch_norm: whether hidden layers have one.
    """

    def __init__(self, widths: tuple[int, ...], activation: Any, output: Any, dropout: Any, batch_norm: bool) -> None:
        self.key = (widths, activation, output, dropout, batch_norm)
        self.dropout = dropout
        self.dense: list[Layer] = []
        self.norms: list[Layer] = []
        layers: list[Any] = [Input((widths[0],), name="x")]
        for i, width in enumerate(widths[1:]):
            last = i == len(widths) - 2
            named = ACTIVATIONS.get(output if last else activation, output if last else activation)
            split = batch_norm and not last
            self.dense.append(
                Dense(width, None if split else named, name=f"dense_{i}", kernel_initializer="zeros")  # set later
            )
            layers.append(self.dense[-1])
            if split:
                self.norms.append(BatchNormalization(momentum=0.9, name=f"norm_{i}"))
                layers += [self.norms[-1], Activation(named, name=f"activation_{i}")]
            if dropout and not last:
                layers.append(Dropout(dropout, name=f"dropout_{i}"))
        self.model = Sequential(layers, name="mlp")
        self.model.build()
        self.parts: list[tuple[Any, int, int]] = []  # (network, first row, last row) of an epoch

    # --- weights ------------------------------------------------------------------------------------------------

    def put(self, coefs: Sequence[Any], intercepts: Sequence[Any], norms: Sequence[Any]) -> None:
        """Overwrite the weights. Raises ValueError where one has another shape."""

        def put() -> None:
            for layer, *values in zip(self.dense, coefs, intercepts, strict=True):
                layer.set_weights(values)
            for layer, values in zip(self.norms, norms, strict=True):
                layer.set_weights(values)

        self.model._weights_lock.write(put)

    def get(self, dtype: Any) -> tuple[list[AnyArray], list[AnyArray], list[list[Float32]]]:
        """(coefs, intercepts, norms), copies."""
        pairs = [[w.astype(dtype) for w in layer.get_weights()] for layer in self.dense]
        return [kernel for kernel, _ in pairs], [bias for _, bias in pairs], [n.get_weights() for n in self.norms]

    def predict(self, x: Any) -> Float32:
        """The output for each row of an array or a sparse matrix."""
        if not hasattr(x, "tocsr"):
            return np.asarray(self.model.predict_on_batch(x))
        x, step = x.tocsr(), max(1, _DENSE_BYTES // (8 * x.shape[1]))
        parts = (x[start : start + step].toarray() for start in range(0, x.shape[0], step))
        return np.concatenate([self.model.predict_on_batch(part) for part in parts])

    # --- training -----------------------------------------------------------------------------------------------

    def data(self, x: Any, y: Any, weights: Any, alpha: float, batch_size: int) -> None:
        """What is trained on, compiled for; the model is compiled already.

        The loss of a batch of b rows is sum(w*l)/sum(w) + alpha/2 * sum |W|**2 / sum(w): as in scikit-learn, but that
        the last sum(w) is b times the mean weight.
        """
        model, compiled = self.model, self.model._get_compiled("fit")
        n, columns = x.shape
        total = n if weights is None else float(np.sum(weights, dtype=np.float64))
        if not total > 0:
            raise ValueError(f"sample_weight: expected a sum above 0, received {total}")
        self.dense_x = not hasattr(x, "tocsr") or 8 * n * columns <= _DENSE_BYTES
        if hasattr(x, "tocsr"):
            x = x.toarray() if self.dense_x else x.tocsr()
        self.whole = n <= batch_size
        program = model._ready([(columns,)])

        def aligned(y: Any) -> Any:
            return compiled.align("y", y, program.output_shapes, lambda _, value: value)

        aligned(y)  # errors name the row as it was given
        if self.whole and self.dense_x and n <= MERGED_ROWS and not (self.norms or self.dropout):
            x, y, weights = merged(x, y, weights)
        n = x.shape[0]
        self.x, self.y = x, aligned(y)
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        self.batch_size = batch_size = min(batch_size, n)
        self.rate_pace = Pace(8) if self.dense_x else _Steady(max(1, _DENSE_BYTES // (8 * columns * batch_size)))
        trained = model.trainable_weights
        compiled.optimizer.build(trained)
        terms = compiled.terms(program, self.y)

        def network(rows: int) -> Any:
            l2 = 0.5 * alpha * (n / rows) / total
            penalties = [(layer.weights[0].variable, 0.0, l2) for layer in self.dense if l2]
            return program.network(terms.losses, (), [w.variable for w in trained], penalties, (), terms.targets)

        first = n - n % batch_size
        self.parts = [(network(batch_size), 0, first)]
        if first < n:
            self.parts.append((network(n - first), first, n))

    def balanced(self, order: Any) -> list[Float32 | None] | None:
        """The weights of the rows, scaled so that those of each batch have the mean 1."""
        if self.weights is None:
            return None
        ordered = self.weights if order is None else self.weights[order]
        starts = np.arange(0, len(ordered), self.batch_size)
        sums = np.add.reduceat(ordered, starts)
        counts = np.diff(starts, append=len(ordered))
        factors = np.divide(counts, sums, out=np.zeros(len(sums)), where=sums > 0).repeat(counts)
        found = np.empty(len(ordered), np.float32)
        found[slice(None) if order is None else order] = ordered * factors
        return [found]

    def epoch(self, order: Any, seed: int, hooks: Any = None) -> Float64:
        """Train on all rows in this order; (rows, sum of losses with penalty, sum of losses without)."""
        model, compiled = self.model, self.model._get_compiled("fit")
        native, batch = compiled.optimizer.native, self.batch_size
        if self.whole:
            order = None
        weights = self.balanced(order)
        sums, step = np.zeros(3), 0
        each = hooks is not None and hooks.needs_batches
        for network, first, last in self.parts:
            for start, stop in slices(last - first, batch, self.rate_pace, each):
                if each:
                    hooks.on_train_batch_begin(step, None)
                compiled.optimizer.plan_steps(-(-(stop - start) // batch))
                begin, end, x, y, w, taken = first + start, first + stop, self.x, self.y, weights, order
                if not self.dense_x:
                    rows = np.arange(begin, end) if order is None else order[begin:end]
                    x, y, taken, begin, end = x[rows].toarray(), [y[0][rows]], None, 0, end - begin
                    w = None if w is None else [w[0][rows]]  # type: ignore[index]
                found = model._weights_lock.write(
                    network.train, [x], y, w, taken, begin, end, batch, native, seed
                )  # fmt: skip
                sums += found
                if each:
                    hooks.on_train_batch_end(step, {"loss": float(found[1] / found[0])})
                step += -(-(stop - start) // batch)
                if model.stop_training:
                    return sums
        return sums

    def loss(self, held: Any, extra: float) -> float:
        """The loss of rows that are not trained on, penalty included; extra: what the loss alone counts more."""
        compiled = self.model._get_compiled("fit")
        x, y, weights = held
        x = x.toarray() if hasattr(x, "tocsr") else x
        y = compiled.align("y", y, self.model._ready([x.shape[1:]]).output_shapes, lambda _, value: value)
        w = None if weights is None else [np.asarray(weights / np.mean(weights), np.float32)]
        sums = self.model._weights_lock.read(
            self.parts[0][0].evaluate, [x], y, w, 0, len(x), self.batch_size
        )  # fmt: skip
        return float((sums[1] + extra * sums[2]) / sums[0])

    def gradient(self, flat: Float64, shown: bool = False) -> Any:
        """(loss of all rows with penalty, its gradient) with these trained weights one after the other; shown: sums."""
        model = self.model
        trained = model.trainable_weights
        ends = np.cumsum([w.size for w in trained])[:-1]

        def put() -> None:
            for weight, part in zip(trained, np.split(flat, ends), strict=True):
                weight.assign(part.reshape(weight.shape))

        model._weights_lock.write(put)
        weights = self.balanced(None)
        sums, parts = model._weights_lock.read(
            self.parts[0][0].value_and_grad, [self.x], self.y, weights, False, 0, 0
        )  # fmt: skip
        if shown:
            return sums
        return float(sums[1] / sums[0]), np.concatenate([part.ravel() for part in parts]).astype(np.float64)


def merged(x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Rows in one order, equal ones once with the sum of their weights, those of weight 0 left out.

    A batch of all rows has the same gradient so, and the same bits whether a row has the weight 2 or is there twice.
    """
    if weights is not None:
        x, y, weights = x[weights != 0], y[weights != 0], weights[weights != 0]
    rows = np.hstack([x, y.reshape(len(y), -1)])
    _, first, place = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(place.ravel(), weights, len(first)).astype(np.float64)
    return x[first], y[first], None if (sums == 1).all() else sums


def optimizer_of(solver: Any, params: Any) -> optimizers.Optimizer:
    """The optimizer that `solver` names, with the estimator's parameters; an instance is copied, without its state."""
    rate = params.learning_rate_init
    if isinstance(solver, optimizers.Optimizer):
        return copy.copy(solver)
    if solver == "adam":
        return optimizers.Adam(rate, params.beta_1, params.beta_2, params.epsilon)
    if solver in ("sgd", "lbfgs"):  # the second steps by itself
        return optimizers.SGD(rate, params.momentum, params.nesterovs_momentum)
    table = optimizers._TABLE
    if isinstance(solver, str) and solver.lower() in table:
        solver = solver.lower()
    found = resolve("solver", solver, {**table, "lbfgs": optimizers.SGD}, optimizers.Optimizer)
    if isinstance(solver, str):
        found.learning_rate = rate
    return found
