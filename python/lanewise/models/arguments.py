"""What `compile` is given, sorted by output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import losses, metrics as metric_classes
from .._names import check_finite
from .._structure import by_name
from ..losses.own import OwnRows
from ..metrics.own import own_state


def is_config(given: Any) -> bool:
    return isinstance(given, Mapping) and "class_name" in given


def per_output(argument: str, given: Any, names: Sequence[str]) -> list[Any]:
    """One entry for each output: one thing for all, a list, or a dict by name."""
    if isinstance(given, dict) and not is_config(given):
        return by_name(argument, given, names)
    if isinstance(given, list | tuple):
        return by_name(argument, given, names)
    return [given] * len(names)


def each_loss(given: Any, change: Callable[[Any], Any]) -> Any:
    """The same lists and dicts with change(entry) for each loss."""
    if isinstance(given, list | tuple):
        return [each_loss(entry, change) for entry in given]
    if isinstance(given, dict) and not is_config(given):
        return {key: each_loss(entry, change) for key, entry in given.items()}
    return change(given)


def as_given(loss: Any) -> Any:
    """What a person gave or would have given: the object of a config, the function of a name of their own."""
    if not isinstance(loss, str | Mapping):
        return loss
    found = losses.get(loss)
    if isinstance(found, OwnRows):
        return found.written
    return loss if isinstance(loss, str) else found


def loss_weights_of(given: Any, names: Sequence[str], given_metrics: Any) -> list[float]:
    if given is None:
        return [1.0] * len(names)
    if any(isinstance(w, str) for w in (given if isinstance(given, list | tuple) else [given])):
        raise ValueError(f"loss_weights: expected numbers, received {given!r}; metrics come as metrics=[...]")
    if len(names) > 1 and not isinstance(given, dict | list | tuple):
        raise ValueError(
            f"loss_weights: the model has {len(names)} outputs ({', '.join(map(repr, names))}), give a list or a dict; "
            f"received {given!r}"
        )
    each = (
        by_name("loss_weights", given, names, missing=1.0)
        if isinstance(given, dict)
        else per_output("loss_weights", given, names)
    )
    return [check_finite("loss_weights", weight) for weight in each]


def metric_lists(argument: str, given: Any, names: Sequence[str]) -> list[list[metric_classes.Metric]]:
    """The metrics of each output.

    Raises:
        ValueError: several outputs and a list that is not one entry for each.
    """
    if given is None or (isinstance(given, list | tuple | dict) and not given):
        return [[] for _ in names]
    if len(names) == 1:
        if isinstance(given, dict) and not is_config(given):
            given = by_name(argument, given, names)
        return [_metrics(given)]
    if not isinstance(given, list | tuple | dict) or is_config(given):
        given = [given]
    if not isinstance(given, dict) and len(given) != len(names):
        raise ValueError(
            f"{argument}: the model has {len(names)} outputs ({', '.join(map(repr, names))}), give a dict by output or "
            f"a list with the metrics of each, such as {[['mae'], *([[]] * (len(names) - 1))]}; received {given!r}"
        )
    return [_metrics(entry) for entry in by_name(argument, given, names)]


def _metrics(given: Any) -> list[metric_classes.Metric]:
    if given is None:
        return []
    if isinstance(given, list | tuple):
        return [metric for entry in given for metric in _metrics(entry)]
    return [own_state(metric_classes.get(given))]
