"""The state of an optimizer in the order in which Keras keeps it.

Keras: steps taken, learning rate (unless it follows a schedule), then the slots of all trained weights: averages of
the weights, sums of gradients, then those of the equation. Some kinds of slots alternate from weight to weight (Adam:
m and v of the first, m and v of the second, ...), others come kind by kind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._engine import Float32, Weight
from .archive import AnyArray

_FIRST = (("average",), ("gradient_accumulator",))
_GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Adam": (("m", "v"), ("v_max",)),
    "RMSprop": (("v",), ("momentum",), ("mean_gradient",)),
}
"""Kinds of slots in Keras's order; those in one bracket alternate. Where nothing is said, all alternate."""

_KERAS_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "SGD": {"velocity": ("momentum", "m")},
    "RMSprop": {
        "v": ("velocity", "rms"), "momentum": ("momentum",), "mean_gradient": ("average_gradient", "mg"),
    },
    "Adam": {"m": ("momentum", "m"), "v": ("velocity", "v"), "v_max": ("velocity_hat", "vhat")},
    "Nadam": {"m": ("momentum", "m"), "v": ("velocity", "v")},
    "Adamax": {"m": ("momentum", "m"), "u": ("norm", "u", "v")},
    "Adadelta": {
        "accumulated_gradient": ("accumulated_grad", "accum_grad"),
        "accumulated_step": ("accumulated_delta_var", "accum_var"),
    },
    "Lion": {"m": ("momentum", "m")},
}  # fmt: skip
"""Slot -> what Keras 3 calls it, then what Keras 2 called it; the same where nothing is said."""

Slot = tuple[str, Weight]


class State(NamedTuple):
    """Which of Keras's values is what: indices; `rate` is None where there is none."""

    rate: int | None
    slots: list[tuple[Slot, int]]


def _of(optimizer: Any, table: dict[str, Any], default: Any) -> Any:
    """The entry of an optimizer's class, or of the class that it is derived from (AdamW: Adam)."""
    names = [cls.__name__ for cls in type(optimizer).__mro__]
    return next((table[name] for name in names if name in table), default)


def slots_in_order(optimizer: Any, weights: Sequence[Weight]) -> list[Slot]:
    """(kind, weight) of every slot, in Keras's order.

    Args:
        optimizer: one of `lanewise.optimizers`.
        weights: the trained weights, in the order of the model.
    """
    there = list(optimizer.native.slot_names())
    own = tuple(kind for kind in there if (kind,) not in _FIRST)
    groups = [*_FIRST, *_of(optimizer, _GROUPS, (own,))]
    ordered = [tuple(kind for kind in group if kind in there) for group in groups]
    return [(kind, weight) for group in ordered for weight in weights for kind in group]


def _keras_names(optimizer: Any, kind: str) -> tuple[str, ...]:
    names: tuple[str, ...] = _of(optimizer, _KERAS_NAMES, {}).get(kind, (kind,))
    return names


# --- writing ----------------------------------------------------------------------------------------------------


def values_in_order(model: Any) -> list[tuple[str, AnyArray]]:
    """(name, value) of everything that Keras keeps, in its order; names without the optimizer's own in front."""
    optimizer, weights = model.optimizer, model.trainable_weights
    steps = optimizer.native.iterations
    values: list[tuple[str, AnyArray]] = [("iteration", np.asarray(steps, np.int32 if steps < 2**31 else np.int64))]
    if not optimizer.follows_schedule:
        values.append(("learning_rate", np.asarray(float(optimizer.learning_rate), np.float32)))
    kinds = optimizer.native.slot_names()
    slots = {id(w): dict(zip(kinds, w.slots(optimizer.native), strict=True)) for w in weights}
    paths = model._weight_names()
    for kind, weight in slots_in_order(optimizer, weights):
        name = f"{model.name}_{paths[id(weight)].replace('/', '_')}_{_keras_names(optimizer, kind)[0]}"
        values.append((name, slots[id(weight)][kind]))
    return values + [(name, value) for name, value in _beside(optimizer, steps)]


def _beside(optimizer: Any, steps: int) -> list[tuple[str, AnyArray]]:
    """What Keras keeps after the slots and lanewise computes anew: Nadam's product of momenta."""
    if type(optimizer).__name__ != "Nadam":
        return []
    config, product = optimizer.get_config(), np.float32(1)
    updates = steps // (config["gradient_accumulation_steps"] or 1)
    for i in range(1, min(updates, 1000) + 1):  # it is 0 long before that
        product *= np.float32(config["beta_1"] * (1 - 0.5 * 0.96**i))
    return [("variable", np.asarray(product))]


# --- reading ----------------------------------------------------------------------------------------------------


def state_of(model: Any, shapes: Sequence[tuple[int, ...]], names: Sequence[str] = ()) -> State | None:
    """Which of the values in a file is what; the first is always the number of steps.

    Args:
        model: compiled and built.
        shapes: of the values.
        names: their names, where the file has them.

    Returns:
        None where they are not those of this optimizer: another number of slots, or other shapes.
    """
    if not shapes or shapes[0] != ():
        return None
    optimizer, weights = model.optimizer, model.trainable_weights
    found = _by_name(optimizer, names, weights) if names else None
    if found is None:
        order = slots_in_order(optimizer, weights)
        if names:  # Keras 2 kept kind by kind what its names do not tell
            order = [(kind, weight) for kind in optimizer.native.slot_names() for weight in weights]
        left = len(shapes) - len(order) - len(_beside(optimizer, 0))
        if left not in (1, 2) or (left == 2 and shapes[1] != ()):
            return None
        found = State(1 if left == 2 else None, [(slot, left + i) for i, slot in enumerate(order)])
    return found if all(shapes[i] == weight.shape for (_, weight), i in found.slots) else None


def _by_name(optimizer: Any, names: Sequence[str], weights: Sequence[Weight]) -> State | None:
    """The same where names tell it: each kind of slot has one for each weight, in the order of the weights."""
    rate: int | None = None
    places: dict[str, list[int]] = {kind: [] for kind in optimizer.native.slot_names()}
    for i, name in enumerate(names[1:], 1):
        if _bare(name).rpartition("/")[2] in ("learning_rate", "lr"):
            rate = i
            continue
        kinds = [kind for kind in places if _is_kind(name, _keras_names(optimizer, kind))]
        if kinds:  # of "gradient_accumulator" and "accumulator" the whole name
            places[max(kinds, key=lambda kind: len(_keras_names(optimizer, kind)[0]))].append(i)
    if any(len(indices) != len(weights) for indices in places.values()):
        return None
    at = {id(weight): i for i, weight in enumerate(weights)}
    slots = slots_in_order(optimizer, weights)
    return State(rate, [((kind, weight), places[kind][at[id(weight)]]) for kind, weight in slots])


def _bare(name: str) -> str:
    """Without the number of the output that TensorFlow puts behind it."""
    return re.sub(r":\d+$", "", name)


def _is_kind(name: str, kinds: tuple[str, ...]) -> bool:
    """`Adam/m/dense/kernel:0`, `SGD/dense/kernel/momentum:0`, `adam/model_dense_kernel_momentum`."""
    parts = _bare(name).split("/")
    return parts[-1] in kinds or (len(parts) > 2 and parts[1] in kinds) or parts[-1].endswith(f"_{kinds[0]}")


def restore(model: Any, steps: int, rate: float | None, slots: Sequence[tuple[Slot, Float32]]) -> None:
    """Set what was read and checked."""
    optimizer = model.optimizer
    kinds = optimizer.native.slot_names()
    of_weight: dict[int, tuple[Weight, dict[str, Float32]]] = {}
    for (kind, weight), value in slots:
        of_weight.setdefault(id(weight), (weight, {}))[1][kind] = value
    known = float(optimizer.learning_rate)
    if rate is not None and not optimizer.follows_schedule and np.float32(known) != np.float32(rate):
        optimizer.learning_rate = rate  # files hold it in float32 only
    for weight, values in of_weight.values():
        weight.set_slots(optimizer.native, [values[kind] for kind in kinds])
    optimizer.native.iterations = steps
