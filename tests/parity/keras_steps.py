"""Keras's training, step by step and cheap enough to do thousands of times, in float32 or float64.

`model.fit` of Keras on JAX compiles every pair of model and optimizer anew, a second or more each. Here a model's
gradient is compiled once for each loss, and an optimizer's update once for all models: it acts element by element, so
all weights are laid end to end in one vector. Model, loss and optimizer are Keras's own, through its public stateless
functions; `test_training.py` checks that the steps are those of Keras's `train_on_batch`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import keras

LENGTH = 2048  # of the vector of all weights; the rest is zeros


class Run(NamedTuple):
    """What a training leaves: losses (steps,), weights in the order of `get_weights`, and predictions."""

    losses: np.ndarray
    weights: list[np.ndarray]
    predictions: list[np.ndarray]


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Keras and JAX compute in this type inside."""
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    with jax.enable_x64(dtype == "float64"):
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        try:
            yield
        finally:
            keras.config.set_floatx(before)
            keras.config.set_dtype_policy(policy)


class Trained:
    """A model with a loss, in one precision, ready to be trained from the same weights by one optimizer after another.

    Args:
        build: makes the model from Keras; called inside the precision.
        losses: makes, for each output, what `keras.losses.get` takes; called inside the precision too.
        loss_weights: for each output.
        dtype: "float32" or "float64".
    """

    def __init__(
        self, build: Callable[[Any], Any], losses: Callable[[Any], list[Any]], loss_weights: Sequence[float], dtype: str
    ) -> None:
        self.dtype = dtype
        with precision(dtype):
            self.model = build(keras)
            functions = [keras.losses.get(loss) for loss in losses(keras)]

            def loss_of(flat: Any, others: Any, x: Any, y: Any) -> Any:
                predicted, others = self.model.stateless_call(self._split(flat), others, x, training=True)
                predicted = predicted if isinstance(predicted, list) else [predicted]
                values = [
                    weight * function(target, output)
                    for weight, function, target, output in zip(loss_weights, functions, y, predicted, strict=True)
                ]
                # In Keras a loss is the mean over rows of what a function or an object gives.
                return sum(jnp.mean(value) for value in values), others

            self._gradient = jax.jit(jax.value_and_grad(loss_of, has_aux=True))

    def _split(self, flat: Any) -> list[Any]:
        parts, at = [], 0
        for variable in self.model.trainable_variables:
            size = int(np.prod(variable.shape))
            parts.append(flat[at : at + size].reshape(variable.shape))
            at += size
        return parts

    def train(
        self, weights: Sequence[np.ndarray], optimizer: Callable[[Any], Any], x: Any, y: Any, batch: int,
        order: np.ndarray | None = None,
    ) -> Run:  # fmt: skip
        """As many steps as x, a list of inputs, has batches of that many rows; from these weights.

        Rows are taken in their order, or in `order`; predictions are for the rows in their order.
        """
        with precision(self.dtype):
            self.model.set_weights(weights)
            trainable = np.concatenate([np.asarray(v).ravel() for v in self.model.trainable_variables])
            flat = jnp.asarray(np.pad(trainable, (0, LENGTH - len(trainable))), self.dtype)
            others = [v.value for v in self.model.non_trainable_variables]
            state, update = _update(optimizer, self.dtype)
            x, y = [_cast(a, self.dtype) for a in x], [_cast(a, self.dtype) for a in y]
            order = np.arange(len(x[0])) if order is None else order
            losses = []
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                inputs = [a[rows] for a in x]
                (loss, others), gradient = self._gradient(
                    flat, others, inputs[0] if len(inputs) == 1 else inputs, [a[rows] for a in y]
                )
                flat, state = update(state, gradient, flat)
                losses.append(loss)
            for variable, value in zip(self.model.trainable_variables, self._split(flat), strict=True):
                variable.assign(value)
            for variable, value in zip(self.model.non_trainable_variables, others, strict=True):
                variable.assign(value)
            predicted = self.model(x[0] if len(x) == 1 else x, training=False)
            predicted = predicted if isinstance(predicted, list) else [predicted]
            computed_in = [str(a.dtype) for a in (flat, losses[0], *predicted)]
            assert set(computed_in) == {self.dtype}, computed_in
            return Run(np.array(losses), self.model.get_weights(), [np.asarray(p) for p in predicted])


def _cast(array: np.ndarray, dtype: str) -> Any:
    return jnp.asarray(array, dtype if array.dtype.kind == "f" else None)


@functools.cache
def _update(optimizer: Callable[[Any], Any], dtype: str) -> tuple[Any, Any]:
    """(state at the start, function from state, gradient and weights to weights and state)."""
    made = optimizer(keras)
    made.build([keras.Variable(np.zeros(LENGTH), dtype=dtype)])

    def update(state: Any, gradient: Any, flat: Any) -> Any:
        (flat,), state = made.stateless_apply(state, [gradient], [flat])
        return flat, state

    return [v.value for v in made.variables], jax.jit(update)
