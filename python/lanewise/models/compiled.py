"""What `compile` fixes: optimizer, losses and metrics, and what the engine's sums mean in their terms."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import losses, metrics as metric_classes, optimizers
from .._engine import AnyArray, Float64, LossTerm, MetricTerm, Network, Program, TargetTerm, single
from .._names import serialize
from .._structure import by_name
from ..losses.base import Param, RowFunction, align
from ..losses.own import OwnLoss, OwnRows
from ..metrics.own import OwnState
from .arguments import as_given, each_loss, loss_weights_of, metric_lists, per_output
from .weighing import WeighedNetwork, Weighing


class OutputTerms(NamedTuple):
    """What one output is trained and judged by."""

    name: str
    loss: losses.Loss | None
    weight: float
    metrics: list[metric_classes.Metric]
    weighted: list[metric_classes.Metric]

    @property
    def judged(self) -> bool:
        """Whether it needs a target."""
        return self.loss is not None or bool(self.metrics or self.weighted)

    def all_metrics(self, target_shape: tuple[int, ...], shape: tuple[int, ...]) -> list[metric_classes.Metric]:
        """The metrics, then the weighted ones, 'accuracy' as the one for targets and outputs of these shapes."""
        return [metric.resolved(target_shape, shape) for metric in self.metrics + self.weighted]


class Terms(NamedTuple):
    """Losses, metrics and further targets, as `Program.network` takes them."""

    losses: list[LossTerm]
    metrics: list[MetricTerm]
    targets: list[TargetTerm]
    weighing: Weighing

    def weighed(self, network: Network) -> Network:
        """The network, or what stands before it where weights are not those of the rows."""
        plain = not self.weighing.told and not self.weighing.reductions
        return network if plain else WeighedNetwork(network, self.weighing)  # type: ignore[return-value]


class Compiled:
    """Optimizer, losses and metrics of a model.

    Args:
        optimizer, loss, given_metrics, weighted_metrics, loss_weights: as `compile` takes them.
        output_names: of the model; with several, losses and metrics come as lists in this order, or as dicts.
        by_key: the outputs are a dict: losses are shown in the order of a dict of losses, as in Keras.

    Raises:
        ValueError / TypeError: unknown names, or lists and dicts that do not fit the outputs.
        NotImplementedError: functions of the user's.
    """

    def __init__(
        self, optimizer: Any, loss: Any, given_metrics: Any, weighted_metrics: Any, loss_weights: Any,
        output_names: Sequence[str], by_key: bool = False,
    ) -> None:  # fmt: skip
        self.optimizer = optimizers.get(optimizer)
        self.output_names = list(output_names)
        self.given_loss = loss = each_loss(loss, as_given)
        fitted = [losses.get(entry) for entry in per_output("loss", loss, self.output_names)]
        weights = loss_weights_of(loss_weights, self.output_names, given_metrics)
        plain = metric_lists("metrics", given_metrics, self.output_names)
        weighted = metric_lists("weighted_metrics", weighted_metrics, self.output_names)
        self.outputs = [
            OutputTerms(*terms) for terms in zip(self.output_names, fitted, weights, plain, weighted, strict=True)
        ]
        self.given_weights = loss_weights is not None
        self.several = len(self.output_names) > 1
        self.advised = False  # whether `advice.warn_of_outputs` has looked
        self.fitted = [i for i, output in enumerate(self.outputs) if output.loss is not None]
        self.unreduced = next((loss for loss in fitted if loss is not None and loss.reduction in ("none", None)), None)
        # in the engine's order: targets of losses, then those that only metrics look at
        self.targets = self.fitted + [
            i for i, output in enumerate(self.outputs) if output.judged and output.loss is None
        ]
        given = list(loss) if by_key and isinstance(loss, dict) else self.output_names
        self._label([name for name in given if self.outputs[self.output_names.index(name)].loss is not None])

    def _label(self, fitted_names: Sequence[str]) -> None:
        """The names of the values in logs, by Keras's rules; fitted_names: in the order in which losses are shown."""
        several_losses = len(self.fitted) > 1
        self.loss_names = [f"{self.output_names[i]}_loss" for i in self.fitted] if several_losses else []
        self._metrics: list[tuple[str, metric_classes.Metric]] = []  # in the order of the engine
        self._sizes: list[int] = []  # how many sums each of them has, once the outputs are known
        counts: dict[str, int] = {}

        def unique(name: str) -> str:
            index = counts.get(name, 0)
            counts[name] = index + 1
            return f"{name}_{index}" if index else name

        for kind in ("metrics", "weighted"):
            for output in self.outputs:
                prefix = f"{output.name}_" if self.several else ""
                for metric in getattr(output, kind):
                    name = f"{prefix}{metric.name}"
                    if kind == "weighted" and name in counts:
                        name = f"{prefix}weighted_{metric.name}"
                    self._metrics.append((unique(name), metric))
        self._states = [metric for _, metric in self._metrics if isinstance(metric, OwnState)]
        self.latest: Float64 | None = None  # sums that results were last made of
        losses_shown = [f"{name}_loss" for name in fitted_names if several_losses]
        names = ["loss", *losses_shown, *(name for name, _ in self._metrics)]
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"metrics: two values would be called {name!r}; give one of them another name=")
        self._own_names = ["loss", *(metric.name for _, metric in self._metrics), *losses_shown]
        self.names = self._in_order(names)

    # --- targets ------------------------------------------------------------------------------------------------

    def align(self, argument: str, y: Any, output_shapes: Sequence[tuple[int, ...]], as_array: Any) -> list[AnyArray]:
        """y as the engine takes it, one array for each of `targets`, every label checked; see `losses.base.align`."""
        if not self.fitted:
            raise ValueError("loss: the model was compiled without a loss; call compile(loss=...)")
        given = self.spread(argument, y)
        aligned = []
        for i in self.targets:
            name = f"{argument}[{self.output_names[i]!r}]" if self.several else argument
            if given[i] is None:
                raise ValueError(f"{name}: expected targets, received None")
            aligned.append(_aligned(self.outputs[i], as_array(name, given[i]), output_shapes[i], name))
        return aligned

    def spread(self, argument: str, y: Any) -> list[Any]:
        """Targets or weights for each output, None where there are none."""
        names = self.output_names
        if not self.several:
            return [y[names[0]] if isinstance(y, dict) and list(y) == names else y]
        if isinstance(y, dict):
            return by_name(argument, y, names)
        if not isinstance(y, list | tuple):
            received = f"{type(y).__name__}" + (f" of shape {y.shape}" if hasattr(y, "shape") else "")
            raise ValueError(
                f"{argument}: the model has {len(names)} outputs ({', '.join(map(repr, names))}), give a list or a "
                f"dict with the targets of each; received {received}"
            )
        if len(y) == len(self.targets) < len(names):  # of the outputs that have a loss
            found = dict(zip(sorted(self.targets), y, strict=True))
            return [found.get(i) for i in range(len(names))]
        return by_name(argument, y, names)

    # --- for the engine -----------------------------------------------------------------------------------------

    def terms(self, program: Program, targets: Sequence[AnyArray]) -> Terms:
        """What to compile for the engine, for aligned targets."""
        found: list[tuple[Any, MetricTerm, int]] = []  # (place, term, number of its sums)
        told: list[tuple[OwnState, int]] = []
        reductions: dict[int, str] = {}
        for at, i in enumerate(self.fitted):
            reduction = getattr(self.outputs[i].loss, "reduction", None)
            if reduction in ("sum", "mean_with_sample_weight"):
                reductions[at] = reduction
            if reduction == "sum" and len(program.output_shapes[i]) > 1:
                raise NotImplementedError(
                    "loss: reduction='sum' takes an output of one row a sample, received "
                    f"{(None, *program.output_shapes[i])}"
                )
        copies: list[int] = []
        further: list[TargetTerm] = []
        for at, i in enumerate(self.targets):
            output, shape = self.outputs[i], program.output_shapes[i]
            resolved = output.all_metrics(targets[at].shape[1:], shape)
            labels = any(metric.sparse for metric in resolved)
            if at in reductions and output.weighted:
                copies.append(at)
            if at >= len(self.fitted):
                further.append((program.outputs[i], labels))
            for m, metric in enumerate(resolved):
                weighted = m >= len(output.metrics)
                if weighted and isinstance(metric, OwnState):
                    told.append((metric, at))
                target = len(self.targets) + copies.index(at) if weighted and at in reductions else at
                term = (*_term(metric, program, i, targets[at]), target, weighted)
                found.append(((weighted, i), term, metric.size(shape[-1])))
        for at in copies:
            sparse = targets[at].dtype.kind == "i" and targets[at].shape[1:] == ()
            further.append((program.outputs[self.targets[at]], sparse))
        found.sort(key=lambda entry: entry[0])
        self._sizes = [size for *_, size in found]
        terms = [term for _, term, _ in found]
        fitted = self.loss_terms(program, targets)  # it tries losses written in Python
        row_values = {}
        for at in reductions:
            loss = self.outputs[self.fitted[at]].loss
            if isinstance(loss, OwnLoss) and loss.reduction == "sum":
                row_values[at] = loss.row_values
        return Terms(fitted, terms, further, Weighing(told, reductions, copies, row_values))

    def loss_terms(self, program: Program, targets: Sequence[AnyArray] = ()) -> list[LossTerm]:
        """The losses for the engine, for aligned targets (none: like the outputs).

        Raises:
            ValueError: the model was compiled without one.
        """
        if not self.fitted:
            raise ValueError("loss: the model was compiled without a loss; call compile(loss=...)")
        terms = []
        for at, i in enumerate(self.fitted):
            loss = self.outputs[i].loss
            assert loss is not None
            target = targets[at] if targets else np.empty((0, *program.output_shapes[i]), np.float32)
            labels = any(m.sparse for m in self.outputs[i].all_metrics(target.shape[1:], program.output_shapes[i]))
            terms.append((*_term(loss, program, i, target, labels), self.outputs[i].weight))
        return terms

    def losses(self, sums: Float64) -> Any:
        """The losses that `results` has, for many sums at once: (..., sums) -> lists."""
        rows = np.maximum(sums[..., :1], 1.0)  # none where an epoch did not validate
        return single(sums[..., 1 : 2 + len(self.fitted)] / rows).tolist()

    def results(self, sums: Float64, values: list[float] | None = None) -> dict[str, Any]:
        """Loss and metrics by name, from the engine's sums.

        Rounded to float32, as the losses of the batches are: how an epoch was cut into slices leaves no trace.

        Args:
            sums: of the engine.
            values: what `losses` gave, if it was asked.
        """
        first = 2 + len(self.fitted)
        if values is None:
            rows, *totals = sums[:first].tolist()
            values = [single(total / rows) for total in totals]
        found: dict[str, Any] = dict(zip(["loss", *self.loss_names], values, strict=False))
        start = first
        for (name, metric), size in zip(self._metrics, self._sizes, strict=True):
            found[name] = metric.finished(sums[start : start + size])
            start += size
        self.latest = sums
        return _flat(found) if self._states else found

    def returned(self, found: dict[str, Any], return_dict: bool) -> Any:
        """What `evaluate` and steps on one batch return, of these results: as a list in Keras's order.

        First by the metrics' own names, so twice where two have one, then what these do not name.
        """
        if return_dict:
            return dict(sorted(found.items()))
        values = [found[name] for name in (self._in_order(found) if self._states else self.names)]
        return values[0] if len(values) == 1 else values

    def _in_order(self, names: Collection[str]) -> list[str]:
        own = self._own_names
        return [name for name in own if name in names] + sorted(set(names) - set(own))

    def begin(self) -> Float64:
        """Zero sums to add to, all rows forgotten."""
        self.forget()
        return np.zeros(2 + len(self.fitted) + sum(self._sizes), np.float64)

    @property
    def calls_python(self) -> bool:
        """Whether a loss or metric is written in Python."""
        return any(isinstance(f, OwnRows) for o in self.outputs for f in (o.loss, *o.metrics, *o.weighted))

    def forget(self) -> None:
        """Metrics with a state of their own begin again; the others have none."""
        for metric in self._states:
            metric.reset_state()

    @contextmanager
    def apart(self, within: bool) -> Iterator[None]:
        """Evaluate `within` an epoch of training: metrics with a state of their own are then put back as they were."""
        kept = [metric.kept() for metric in map(_given, self._states)] if within else []
        try:
            yield
        finally:
            for put_back in kept:
                put_back()

    def reset(self) -> None:
        """All metrics begin again, and no results are known."""
        self.latest = None
        for _, metric in self._metrics:
            metric.reset_state()

    def trackers(self) -> list[metric_classes.Metric]:
        """A mean for each loss, then the metrics as they were given: each knows its result of what ran last."""
        found: list[metric_classes.Metric] = []
        for i, name in enumerate(["loss", *self.loss_names], 1):
            found.append(metric_classes.Mean(name))
            if self.latest is not None:
                found[-1].finished(self.latest[[i, 0]])
        return found + [_given(metric) for _, metric in self._metrics]

    def metric_called(self, name: str) -> metric_classes.Metric | None:
        """The metric of this name, as it was given."""
        return next((_given(metric) for key, metric in self._metrics if key == name), None)

    # --- description --------------------------------------------------------------------------------------------

    def get_config(self, names: bool = True) -> dict[str, Any]:
        """Arguments of `compile` as plain JSON values.

        Args:
            names: whether a loss given by name goes by name; in .h5 files Keras 3.15 does not know 'mse'.
        """

        def loss(given: Any) -> Any:
            if not names or not isinstance(given, str):
                return _described(losses.get(given))
            return given if len(given) <= 4 else losses.ALIASES.get(given, given)  # Keras 3 has the short ones

        config: dict[str, Any] = {
            "optimizer": serialize(self.optimizer), "loss": each_loss(self.given_loss, loss),
        }  # fmt: skip
        parts: dict[str, list[Any]] = {
            "metrics": [[_described(metric) for metric in output.metrics] for output in self.outputs],
            "weighted_metrics": [[_described(metric) for metric in output.weighted] for output in self.outputs],
        }
        for key, entries in parts.items():
            by = {name: entry for name, entry in zip(self.output_names, entries, strict=True) if entry}
            config[key] = by if self.several else entries[0]
        if self.given_weights:
            weights = {output.name: output.weight for output in self.outputs}
            config["loss_weights"] = weights if self.several else self.outputs[0].weight
        return config


def _given(metric: metric_classes.Metric) -> metric_classes.Metric:
    return metric.metric if isinstance(metric, OwnState) else metric


def _flat(results: dict[str, Any]) -> dict[str, Any]:
    """Dicts of values at the end, by their own keys."""
    several = [key for key, value in results.items() if isinstance(value, dict)]
    for key in several:
        results.update(results.pop(key))
    return results


def _described(function: Any) -> Any:
    if function is None:
        return None
    return function.described() if isinstance(function, OwnRows) else serialize(function)


# --- one output -------------------------------------------------------------------------------------------------


def _aligned(output: OutputTerms, y: AnyArray, shape: tuple[int, ...], argument: str) -> AnyArray:
    """The target of one output as its loss and metrics want it."""
    if not shape and (output.loss is not None or output.metrics):
        raise ValueError(
            f"{argument}: losses and metrics take outputs of (rows, columns), that of the model has shape (None,); "
            "keepdims=True or expand_dims(x, -1) makes it one column"
        )
    target, checked = y, set()
    if output.loss is not None and output.loss.own:
        target = align(output.loss, y, shape, argument)
    elif output.loss is not None:
        target = align(output.loss, y, shape, argument)
        checked.add(_needs(output.loss))
    for metric in output.all_metrics(target.shape[1:], shape):
        if metric.own:
            target = target if output.loss is not None or checked else align(metric, target, shape, argument)
            continue
        sparse = next(iter(checked))[0] if checked else metric.sparse
        if metric.sparse != sparse:
            loss = output.loss
            wanted = ("one-hot rows", "integer labels")
            if loss is None:
                raise ValueError(f"metrics: {metric.name} takes {wanted[metric.sparse]}, those before it do not")
            ways = (
                "train on to_categorical(y) with 'categorical_crossentropy'",
                "take 'accuracy', or the metric without 'sparse_' before its name",
            )
            raise ValueError(
                f"metrics: {metric.name} takes {wanted[metric.sparse]}, the loss {loss.name} takes "
                f"{wanted[loss.sparse] if loss.joint else 'rows like the output'}; {ways[metric.sparse]}"
            )
        if _needs(metric) not in checked:
            seen = align(metric, target, shape, argument)
            target = target if checked else seen
            checked.add(_needs(metric))
    return target


def _needs(function: RowFunction) -> tuple[bool, bool, str]:
    return function.sparse, function.joint, function.interval


def _term(
    function: RowFunction, program: Program, output: int, target: AnyArray, labels: bool = False
) -> tuple[Any, int, Param]:
    value = program.outputs[output]
    if isinstance(function, OwnRows):
        return function.host(target.shape[1:], program.output_shapes[output], labels), value, 0.0
    operation, source = program.builder.made_by(value)
    kernel, before = function.kernel_after(operation)
    return kernel, source if before else value, function.param_for(program.output_shapes[output][-1])
