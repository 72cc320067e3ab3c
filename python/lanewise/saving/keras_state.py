"""Where Keras 3 keeps the numbers of a model: `layers/dense_1/vars/0`, `optimizer/vars/2`.

Layers are counted by class within each model, whatever their names are; a model inside a model has `layers` of its
own. What a layer or a model in Python keeps goes by attributes: `layers/block/dense/vars/0`,
`layers/block/more/dense_1/vars/0`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .._engine import Weight
from .._given import is_model, is_own
from .._names import warn
from .._structure import instances
from ..layers.base import trained_first
from ..layers.operation import Operation
from ..models.subclassed import GRAPH
from . import h5, keras_optimizer
from .archive import AnyArray, FormatError, Mismatch
from .files import replacing
from .h5 import Group
from .shapes import MAX_CALLS

Places = list[tuple[Weight, Group, str]]
"""(weight, group, name of the array in it) of what is to be read."""

_BESIDE: dict[str, tuple[AnyArray, ...]] = {"Normalization": (np.zeros((), np.int32),)}
"""The count of rows that were adapted to, which Keras keeps and lanewise does not."""


_DEEPEST = 49  # slashes in a path

Found = Iterator[tuple[str, Any]]
"""(path, layer) of layers and of models inside, each once."""


def layer_paths(model: Any, named: Mapping[str, str] | None = None, flat: bool = False) -> Found:
    """(path, layer) of every layer, and of models and what stands in those and in layers in Python, each once.

    Args:
        model: the model.
        named: other paths of layers that stand in a description, by name.
        flat: as files of lanewise had it: all weights of a layer in Python at the layer, a model in Python by classes.
    """
    return _paths(model, "", {id(model): model}, named or {}, flat)


def _paths(owner: Any, prefix: str, seen: dict[int, Any], named: Mapping[str, str], flat: bool) -> Found:
    for name, value in _attributes(owner, flat):
        if isinstance(value, Operation):
            yield from _layer(value, prefix + name, seen, {}, flat)
        elif isinstance(value, list | tuple | dict):
            known = named if name == "layers" and is_model(owner) else {}
            yield from _container(value, f"{prefix}{name}/", seen, known, flat)


def _layer(layer: Any, path: str, seen: dict[int, Any], named: Mapping[str, str], flat: bool) -> Found:
    if id(layer) not in seen:
        seen[id(layer)] = layer
        path = named.get(layer.name, path)
        yield path, layer
        yield from _paths(layer, f"{path}/", seen, named if is_model(layer) else {}, flat)


def _container(value: Any, prefix: str, seen: dict[int, Any], named: Mapping[str, str], flat: bool) -> Found:
    """What stands in a list or dict: counted by class."""
    if id(value) in seen or not instances(value, Operation):
        return
    seen[id(value)] = value
    used: dict[str, int] = {}
    for entry in value.values() if isinstance(value, dict) else value:
        layer = isinstance(entry, Operation)
        if not layer and not isinstance(entry, list | tuple | dict):
            continue
        path = prefix + _counted(_container_name(type(entry).__name__) if layer else "container", used)
        if layer:
            yield from _layer(entry, path, seen, named, flat)
        else:
            yield from _container(entry, f"{path}/", seen, named, flat)


def _attributes(owner: Any, flat: bool) -> Found:
    """(name, value) of what Keras looks through, in its order: attributes by name, those that begin with _ last.

    Before them come the layers of a model that is described by those; of a model in Python they are one among them.
    """
    base = next(kind for kind in type(owner).__mro__ if not is_own(kind))
    names = set() if flat or base is type(owner) else set(dir(owner)) - set(dir(base))
    if is_model(owner):
        names -= GRAPH
        if flat or base is type(owner) or getattr(owner, "_of_tensors", True):
            yield "layers", owner.layers
        else:
            names.add("layers")
    for name in sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name):
        try:
            if not name.startswith("__"):
                yield name, getattr(owner, name)
        except Exception:  # of a property that a person wrote
            continue


def _container_name(name: str) -> str:
    """Keras's rule, which differs from that of automatic names for digits: `Dense2D` -> `dense2_d`."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _counted(kind: str, used: dict[str, int]) -> str:
    """`dense`, `dense_1`, `dense_2`, ... within one container."""
    used[kind] = used.get(kind, -1) + 1
    return f"{kind}_{used[kind]}" if used[kind] else kind


def described_paths(config: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, description) of every layer in a description by Keras, as `layer_paths` gives them once it is made."""
    described = config.get("config") if isinstance(config, dict) else None
    entries = described.get("layers") if isinstance(described, dict) else None
    used: dict[str, int] = {}
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("class_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or (name == "InputLayer" and config.get("class_name") == "Sequential"):
            continue
        path = f"{prefix}layers/{_counted(_container_name(name), used)}"
        yield path, entry
        yield from described_paths(entry, f"{path}/")


def own_weights(layer: Any, flat: bool = False) -> list[Weight]:
    """The weights of a layer itself in Keras's order: those that are ever trained, then the others.

    Args:
        layer: the layer; a model has none.
        flat: those of the layers that it keeps, too, in one order, as files of lanewise had it.
    """
    weights: list[Weight] = [] if is_model(layer) else layer.weights if flat else layer._weights
    return trained_first(weights)


def in_order(layer: Any) -> list[Any]:
    """What Keras's `get_weights` has of a layer and those inside: weights, and arrays of what is beside them."""
    return [entry for leaf in layer.leaves() for entry in (*own_weights(leaf), *beside(leaf))]


def beside(layer: Any) -> tuple[AnyArray, ...]:
    """What Keras keeps of a layer after its weights."""
    return _BESIDE.get(type(layer).__name__, ()) if own_weights(layer) else ()


# --- writing ----------------------------------------------------------------------------------------------------


def write_state(root: Any, model: Any, optimizer: bool) -> None:
    """Write the numbers of a model under the root of an h5py.File.

    Args:
        root: the open file.
        model: built.
        optimizer: whether its state goes along, where the model is compiled.
    """
    root.create_group("vars").attrs["name"] = model.name
    for path, layer in layer_paths(model):
        if path.count("/") > _DEEPEST:
            raise ValueError(f"save: {layer.name} stands in too many models inside each other; save it as '*.lanewise'")
        group = root.require_group(path).create_group("vars")
        group.attrs["name"] = layer.name
        for i, value in enumerate([*(weight.numpy() for weight in own_weights(layer)), *beside(layer)]):
            group[str(i)] = value
    if optimizer and model.compiled:
        group = root.create_group("optimizer").create_group("vars")
        group.attrs["name"] = model.optimizer.name
        for i, (_, value) in enumerate(keras_optimizer.values_in_order(model)):
            group[str(i)] = value


def write_weights(path: str, model: Any) -> None:
    """Write a `.weights.h5` file in the place of `path`."""
    with replacing(path) as file, h5.writing(file) as root:
        write_state(root, model, optimizer=True)


# --- reading ----------------------------------------------------------------------------------------------------


def read_weights(root: Group, model: Any, named: bool = False, skip_mismatch: bool = False) -> Places:
    """Where the weights of a built model stand in the file, shapes checked; nothing is read yet.

    Args:
        root: of the file.
        model: built.
        named: whether to go by the names of the layers that stand in the file, where they do: the file was made of
            this very model. Otherwise by class and position, as Keras does.
        skip_mismatch: leave out, with a warning, layers whose weights do not fit.

    Raises:
        Mismatch: weights missing, too many, or of another shape.
    """
    first = {path.partition("/")[0] for path, _ in layer_paths(model)}  # of a model in Python others than `layers`
    if not any(name in root for name in first | {"layers", "_layer_checkpoint_dependencies"}):
        raise FormatError("it has no group 'layers'")
    paths = _named_paths(root, model) if named else {}
    try:
        return _read(root, model, paths, False, False)
    except Mismatch:
        try:
            return _read(root, model, paths, True, False)
        except Mismatch:
            if skip_mismatch:
                return _read(root, model, paths, False, True)
        raise


def _read(root: Group, model: Any, named: Mapping[str, str], flat: bool, skip_mismatch: bool) -> Places:
    places: Places = []
    for path, layer in layer_paths(model, named, flat):
        weights = own_weights(layer, flat)
        if not weights:
            continue
        try:
            places += _places(_group(root, path), layer, weights, path)
        except Mismatch as error:
            if not skip_mismatch:
                raise
            warn(f"load_weights: the file {error}; skipped")
    return places


def _places(group: Group | None, layer: Any, weights: Sequence[Weight], path: str) -> Places:
    count = len(weights)
    names = group.names() if group is not None else []
    if group is None or len(names) not in (count, count + len(beside(layer))):
        raise Mismatch(f"has {len(names)} weights in {path!r}, layer {layer.name!r} of the model has {count}")
    for i, weight in enumerate(weights):
        if str(i) not in group or group.shape(str(i)) != weight.shape:
            found = f"shape {group.shape(str(i))}" if str(i) in group else "nothing"
            raise Mismatch(f"has {found} at {path}/vars/{i}, {weight.path} of the model has {weight.shape}")
    return [(weight, group, str(i)) for i, weight in enumerate(weights)]


def _group(root: Group, path: str) -> Group | None:
    for place in (path, path.replace("layers", "_layer_checkpoint_dependencies")):  # Keras 2.12
        if f"{place}/vars" in root:
            return root.group(f"{place}/vars")
    return None


def _named_paths(root: Group, model: Any) -> dict[str, str]:
    """Paths by the name of the layer whose variables stand there; empty where the file has not all names.

    Only layers that are described have names of their own in a file; those inside layers in Python are named anew.
    """
    found: dict[str, str] = {}
    groups, left = [root.group("layers")] if "layers" in root else [], MAX_CALLS
    while groups:  # those that are one lead to the same below
        group = groups.pop()
        for kind in group.names():
            left -= 1
            if left < 0:
                raise FormatError(f"it has more than {MAX_CALLS} layers")
            if f"{kind}/vars" in group:
                name = group.group(f"{kind}/vars").text("name")
                if name is not None:
                    found[name] = f"{group.path}/{kind}"
            if f"{kind}/layers" in group:
                if len(groups) > 1000 or group.path.count("/") > _DEEPEST:
                    raise FormatError("layers are nested too deeply")
                groups.append(group.group(f"{kind}/layers"))
    wanted = [layer.name for _, layer in layer_paths(model, flat=True) if own_weights(layer, flat=True)]
    return found if len(set(wanted)) == len(wanted) and all(name in found for name in wanted) else {}


def read_optimizer(root: Group, model: Any) -> Callable[[], None]:
    """What gives the optimizer of a compiled model the state in the file; where it is another's, only a warning."""
    if "optimizer/vars" not in root:
        return lambda: None
    group = root.group("optimizer/vars")
    count = len(group.names())
    places = [str(i) for i in range(count)]
    if not all(place in group for place in places):
        raise FormatError("optimizer: its variables are not numbered from 0")
    return read_state(model, group, places)


class Numbers(Protocol):
    """What `Group` is for reading: arrays by name."""

    def shape(self, path: str, /) -> tuple[int, ...]: ...
    def array(self, path: str, /) -> AnyArray: ...


def read_state(model: Any, group: Numbers, places: Sequence[str], names: Sequence[str] = ()) -> Callable[[], None]:
    """What gives the optimizer the values at these places in Keras's order, all read and checked.

    Where they are another optimizer's, there is a warning and nothing to give.
    """
    state = keras_optimizer.state_of(model, [group.shape(place) for place in places], names)
    if state is None:
        if len(places) > 2:  # else it was compiled and never trained
            warn(
                f"optimizer: the file holds {len(places)} variables, which are not those of this "
                f"{type(model.optimizer).__name__}; it starts anew"
            )
        return lambda: None
    steps = group.array(places[0])
    if steps.dtype.kind not in "iu" or not 0 <= int(steps) < 2**62:
        raise FormatError("optimizer: its number of steps is none")
    rate = None if state.rate is None else float(group.array(places[state.rate]))
    if rate is not None and not 0 <= rate < math.inf:
        raise FormatError(f"optimizer: its learning rate is {rate}")
    slots = [((kind, weight), weight.checked(group.array(places[i]))) for (kind, weight), i in state.slots]
    return lambda: keras_optimizer.restore(model, int(steps), rate, slots)


def assign(model: Any, places: Places, fresh: bool = False) -> None:
    """Read weights and overwrite them under the model's lock.

    Args:
        model: the model.
        places: where they stand.
        fresh: a model that nobody has yet is filled array by array; of any other, nothing changes if reading fails.
    """

    def write() -> None:
        for weight, value in values:
            weight.assign(value)

    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite
        values: Iterable[tuple[Weight, AnyArray]] = (
            (weight, weight.checked(group.array(name))) for weight, group, name in places
        )
        if not fresh:
            values = list(values)
        model._weights_lock.write(write)
