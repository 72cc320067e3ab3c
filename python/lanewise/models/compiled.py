"""What `compile` fixes: optimizer, loss and metrics, and what the engine's sums mean in their terms."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import losses, metrics, optimizers
from .._engine import AnyArray, Float64, Program, Term
from .._names import serialize
from ..losses.base import RowFunction, align


class Compiled:
    """Optimizer, loss and metrics of a model.

    Raises:
        ValueError / TypeError: unknown names, several losses, two metrics of one name.
        NotImplementedError: functions of the user's, loss weights.
    """

    def __init__(self, optimizer: Any, loss: Any, given_metrics: Any, weighted_metrics: Any, loss_weights: Any) -> None:
        if loss_weights is not None:
            hint = "; metrics come as metrics=[...]" if any(isinstance(w, str) for w in np.ravel(loss_weights)) else ""
            raise NotImplementedError(
                f"loss_weights: a model has one output and one loss, received {loss_weights!r}{hint}"
            )
        if isinstance(loss, list | tuple) and len(loss) == 1:
            loss = loss[0]
        self.optimizer = optimizers.get(optimizer)
        self.loss: losses.Loss | None = None if loss is None else losses.get(loss)
        self.metrics: list[metrics.Metric] = _metric_list("metrics", given_metrics)
        self.weighted = _metric_list("weighted_metrics", weighted_metrics)
        self.names = ["loss"] + [metric.name for metric in self.metrics + self.weighted]
        for name in self.names:
            if self.names.count(name) > 1:
                raise ValueError(f"metrics: two values would be called {name!r}; give one of them another name=")

    def target(self, argument: str, y: AnyArray, output_shape: tuple[int, ...], weighted: bool) -> AnyArray:
        """y as loss and metrics want it, every label checked; see `losses.base.align`."""
        if self.loss is None:
            raise ValueError("loss: the model was compiled without a loss; call compile(loss=...)")
        if weighted and self.weighted:
            raise NotImplementedError("weighted_metrics: not supported together with sample or class weights yet")
        target = align(self.loss, y, output_shape, argument)
        checked = {_needs(self.loss)}
        for metric in self._resolved(target.shape[1:], output_shape):
            if metric.sparse != self.loss.sparse:
                wanted = ("one-hot rows", "integer labels")
                raise ValueError(
                    f"metrics: {metric.name} takes {wanted[metric.sparse]}, the loss {self.loss.name} takes "
                    f"{wanted[self.loss.sparse] if self.loss.joint else 'rows like the output'}"
                )
            if _needs(metric) not in checked:
                align(metric, target, output_shape, argument)
                checked.add(_needs(metric))
        return target

    def terms(self, program: Program, target: AnyArray) -> tuple[Term, list[Term]]:
        """(loss, metrics) for the engine, for a checked target."""
        resolved = self._resolved(target.shape[1:], program.output_shape)
        return self.loss_term(program), [_term(metric, program) for metric in resolved]

    def loss_term(self, program: Program) -> Term:
        """The loss for the engine. Raises ValueError where the model was compiled without one."""
        if self.loss is None:
            raise ValueError("loss: the model was compiled without a loss; call compile(loss=...)")
        return _term(self.loss, program)

    def _resolved(self, target_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[metrics.Metric]:
        return [
            metric.resolved(target_shape, output_shape) if isinstance(metric, metrics.Accuracy) else metric
            for metric in self.metrics + self.weighted
        ]

    def results(self, sums: Float64) -> dict[str, float]:
        """Loss and metrics, in compile order, from the engine's sums [rows, loss, loss_0, metric_0, ...].

        Rounded to float32, as the losses of the batches are: how an epoch was cut into slices leaves no trace.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            values = [float(np.float32(value / sums[0])) for value in (sums[1], *sums[3:])]
        finished = [
            float(np.float32(metric.finish(value)))
            for metric, value in zip(self.metrics + self.weighted, values[1:], strict=True)
        ]
        return dict(zip(self.names, [values[0], *finished], strict=True))

    @property
    def sums(self) -> Float64:
        """Zero sums to add to."""
        return np.zeros(2 + len(self.names), np.float64)

    def get_config(self) -> dict[str, Any]:
        """Arguments of `compile` as plain JSON values."""
        return {
            "optimizer": serialize(self.optimizer),
            "loss": None if self.loss is None else serialize(self.loss),
            "metrics": [serialize(metric) for metric in self.metrics],
            "weighted_metrics": [serialize(metric) for metric in self.weighted],
        }


def _needs(function: RowFunction) -> tuple[bool, bool, bool]:
    return function.sparse, function.joint, function.unit_interval


def _term(function: RowFunction, program: Program) -> Term:
    operation, source = program.builder.made_by(program.output)
    kernel, before = function.kernel_after(operation)
    return kernel, source if before else program.output, function.param


def _metric_list(argument: str, given: Any) -> list[metrics.Metric]:
    if given is None:
        return []
    if isinstance(given, dict):
        raise NotImplementedError(f"{argument}: a model has one output; give a list, received {given!r}")
    items = list(given) if isinstance(given, list | tuple) else [given]
    if len(items) == 1 and isinstance(items[0], list | tuple):
        items = list(items[0])
    return [metrics.get(item) for item in items]
