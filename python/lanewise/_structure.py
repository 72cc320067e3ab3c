"""Lists, tuples and dicts of things, as Keras takes them for several inputs and outputs; a dict goes by sorted keys.

And what consists of parts that train, and what holds in the calling thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def flatten(structure: Any) -> list[Any]:
    """The leaves in order."""
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    if isinstance(structure, list | tuple):
        return [leaf for entry in structure for leaf in flatten(entry)]
    return [structure]


def pack(structure: Any, leaves: Sequence[Any]) -> Any:
    """The same lists, tuples and dicts with these leaves."""
    left = iter(leaves)
    return map_leaves(lambda _: next(left), structure)


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same lists, tuples and dicts with function(leaf) for each leaf, called in the order of `flatten`."""
    if isinstance(structure, dict):
        done = {key: map_leaves(function, structure[key]) for key in sorted(structure)}
        return {key: done[key] for key in structure}
    if isinstance(structure, list):
        return [map_leaves(function, entry) for entry in structure]
    if isinstance(structure, tuple):
        return type(structure)(map_leaves(function, entry) for entry in structure)
    return function(structure)


def by_name(argument: str, given: Any, names: Sequence[str], what: str = "outputs", missing: Any = None) -> list[Any]:
    """One entry for each name from a dict by name, or from a list or tuple in their order.

    Args:
        argument: what the user gave it as, for the errors.
        given: the dict, list or tuple.
        names: of the inputs or outputs, in order.
        what: "inputs" or "outputs".
        missing: for names that a dict does not have.

    Raises:
        ValueError: a name that is none of these, or another number of entries.
    """
    if isinstance(given, dict):
        unknown = [key for key in given if key not in names]
        if unknown:
            from ._names import near_match

            raise ValueError(
                f"{argument}: no {what[:-1]} is called {unknown[0]!r}.{near_match(str(unknown[0]), list(names))} "
                f"The model's {what}: {', '.join(map(repr, names))}"
            )
        return [given.get(name, missing) for name in names]
    if len(given) != len(names):
        shown = ", ".join(map(repr, names))
        raise ValueError(f"{argument}: the model has {len(names)} {what} ({shown}), received {len(given)} entries")
    return list(given)


def instances(value: Any, kind: type[T]) -> list[T]:
    """The objects of a kind in lists, tuples and dicts with keys of any kind, in order; each list and dict once.

    Of large ones without such objects only the types are looked at: 10 ns an entry.
    """
    found: list[T] = []
    seen: dict[int, Any] = {}  # they are held, so that no id is another's
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, kind):
            found.append(entry)
        elif isinstance(entry, dict | list | tuple) and id(entry) not in seen:
            seen[id(entry)] = entry
            entries = list(entry.values() if isinstance(entry, dict) else entry)
            if any(issubclass(each, (kind, dict, list, tuple)) for each in set(map(type, entries))):
                waiting += reversed(entries)
    return found


class Trained:
    """Something whose `trainable` can be set. `Trained.version` counts how often any was: networks found are kept."""

    version = 0
    layouts = 0
    """How often layers were added to models that stand in others, taken out or changed: their programs are old then."""
    _trainable = True
    _told: Mapping[str, Any] = {}
    """What a description says of layers and weights inside: for when they are made."""

    def _parts(self) -> Sequence[Trained]:
        """What it consists of."""
        return ()

    def _made_to_train(self) -> Sequence[Trained]:
        """Its own weights, but for those that were made to be left alone (statistics)."""
        return ()

    def reached(self) -> list[Trained]:
        """Itself and what it consists of, inside too, each once: a layer may keep the one that it is in."""
        found: dict[int, Trained] = {}
        waiting: list[Trained] = [self]
        while waiting:
            part = waiting.pop()
            if id(part) not in found:
                found[id(part)] = part
                waiting += reversed(part._parts())
        return list(found.values())

    def flag(self, value: bool) -> None:
        """Set `trainable` of itself and its own weights, not of what it consists of."""
        self._trainable = value
        for weight in self._made_to_train():
            weight._trainable = value

    @property
    def trainable(self) -> bool:
        """Whether training may change it; setting it sets what it consists of, and all weights, as in Keras."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for part in self.reached():
            part.flag(bool(value))
            part._told = {}
        Trained.version += 1


class Held(threading.local):
    """Attributes: value: of the calling thread, None outside of all blocks."""

    value: Any = None


class Within(Generic[T]):
    """A context: inside, `held.value` is this value, which the block is given.

    Leaving it takes no memory, as the reset of a ContextVar does: a load that ran out of it must not leave a process in
    which every layer begins with zeros.
    """

    def __init__(self, held: Held, value: T) -> None:
        self._held = held
        self._value = value

    def __enter__(self) -> T:
        self._before = self._held.value
        self._held.value = self._value
        return self._value

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._held.value = self._before
