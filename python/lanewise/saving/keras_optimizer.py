"""The state of an optimizer in the order in which Keras keeps it.

Keras: steps taken, learning rate (unless it follows a schedule), then the slots of all trained weights. Some slots
alternate from weight to weight (Adam: m and v of the first, m and v of the second, ...), others come kind by kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._engine import Weight
from .archive import AnyArray

_GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "RMSprop": (("v",), ("momentum",), ("mean_gradient",)),
}
"""Kinds of slots in Keras's order; those in one bracket alternate. Where nothing is said, all alternate."""

_KERAS_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "SGD": {"velocity": ("momentum", "m")},
    "Adam": {"m": ("momentum", "m"), "v": ("velocity", "v")},
    "RMSprop": {
        "v": ("velocity", "rms"), "momentum": ("momentum",), "mean_gradient": ("average_gradient", "mg"),
    },
}  # fmt: skip
"""Slot -> what Keras 3 calls it, then what Keras 2 called it."""

Slot = tuple[str, Weight]


def slots_in_order(optimizer: Any, weights: Sequence[Weight]) -> list[Slot]:
    """(kind, weight) of every slot, in Keras's order.

    Args:
        optimizer: one of `lanewise.optimizers`.
        weights: the trained weights, in the order of the model.
    """
    there = tuple(optimizer.native.slot_names())
    groups = _GROUPS.get(type(optimizer).__name__, (there,))
    ordered = [tuple(kind for kind in group if kind in there) for group in groups]
    return [(kind, weight) for group in ordered for weight in weights for kind in group]


def keras_name(optimizer: Any, slot: Slot, model: str) -> str:
    """What Keras 3 calls a slot: `model_dense_kernel_momentum`."""
    kind, weight = slot
    names = _KERAS_NAMES.get(type(optimizer).__name__, {}).get(kind, (kind,))
    return f"{model}_{weight.path.replace('/', '_')}_{names[0]}"


def values_in_order(model: Any) -> list[tuple[str, AnyArray]]:
    """(name, value) of everything that Keras keeps, in its order; names without the optimizer's own in front."""
    optimizer, weights = model.optimizer, model.trainable_weights
    steps: list[tuple[str, AnyArray]] = [("iteration", np.asarray(optimizer.iterations, np.int32))]
    if not follows_schedule(optimizer):
        steps.append(("learning_rate", np.asarray(float(optimizer.learning_rate), np.float32)))
    kinds = optimizer.native.slot_names()
    slots = {id(w): dict(zip(kinds, optimizer.native.get_slots(w.variable), strict=True)) for w in weights}
    order = slots_in_order(optimizer, weights)
    return steps + [
        (keras_name(optimizer, (kind, weight), model.name), slots[id(weight)][kind]) for kind, weight in order
    ]


def follows_schedule(optimizer: Any) -> bool:
    """Whether the learning rate comes from a schedule."""
    return isinstance(optimizer.get_config().get("learning_rate"), dict)


def state_of(model: Any, shapes: Sequence[tuple[int, ...]], names: Sequence[str] = ()) -> dict[str, int] | None:
    """Which of Keras's values is which of `model.load_optimizer_state`'s: name -> index.

    Args:
        model: compiled and built.
        shapes: of the values in the file.
        names: their names, where the file has them.

    Returns:
        None where they are not those of this optimizer: another number of slots, or other shapes.
    """
    if not shapes or shapes[0] != ():
        return None
    optimizer, weights = model.optimizer, model.trainable_weights
    found = {"iterations": 0}
    order = slots_in_order(optimizer, weights)
    rest = list(range(1, len(shapes)))
    by_name = _by_name(optimizer, names, weights) if names else None
    if by_name is not None:
        rate, places = by_name
    else:
        rate = 1 if len(rest) == len(order) + 1 and shapes[1] == () else None
        places = rest[1:] if rate is not None else rest
        if names:  # Keras 2 kept kind by kind what its names do not tell
            kinds = optimizer.native.slot_names()
            order = [(kind, weight) for kind in kinds for weight in weights]
    if rate is not None:
        found["learning_rate"] = rate
    if len(places) != len(order) or any(shapes[p] != w.shape for p, (_, w) in zip(places, order, strict=True)):
        return None
    found.update({f"{weight.path}/{kind}": place for place, (kind, weight) in zip(places, order, strict=True)})
    return found


def _by_name(optimizer: Any, names: Sequence[str], weights: Sequence[Weight]) -> tuple[int | None, list[int]] | None:
    """(index of the learning rate, indices of the slots in Keras's order) where the names tell."""
    known = _KERAS_NAMES.get(type(optimizer).__name__, {})
    rate: int | None = None
    places: dict[str, list[int]] = {kind: [] for kind in optimizer.native.slot_names()}
    for i, name in enumerate(names):
        if i == 0:
            continue
        if name.partition(":")[0].rpartition("/")[2] in ("learning_rate", "lr"):
            rate = i
            continue
        kind = next((kind for kind in places if _is_kind(name, known.get(kind, (kind,)))), None)
        if kind is not None:
            places[kind].append(i)
    if any(len(indices) != len(weights) for indices in places.values()):
        return None
    at = {id(weight): i for i, weight in enumerate(weights)}
    return rate, [places[kind][at[id(weight)]] for kind, weight in slots_in_order(optimizer, weights)]


def _is_kind(name: str, kinds: tuple[str, ...]) -> bool:
    """`Adam/m/dense/kernel:0`, `SGD/dense/kernel/momentum:0`, `adam/model_dense_kernel_momentum`."""
    parts = name.partition(":")[0].split("/")
    return parts[-1] in kinds or (len(parts) > 2 and parts[1] in kinds) or parts[-1].endswith(f"_{kinds[0]}")
