"""Models as plain JSON values and back, functional ones laid out as Keras 3 lays them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, TypeVar

from .. import layers as layer_classes
from .._given import has_layers, is_model, is_own
from .._names import serialize
from .._registry import CustomObjectScope, collected
from .._structure import flatten, map_leaves
from ..layers import InputLayer
from ..layers.operation import KerasTensor, Operation

if TYPE_CHECKING:
    from .functional import Functional

M = TypeVar("M", bound="Functional")
_MODELS = ("Functional", "Model", "Sequential")


# --- writing ----------------------------------------------------------------------------------------------------


def functional_config(model: Functional) -> dict[str, Any]:
    """Name, layers with their calls, inputs and outputs."""
    index_of = {
        (id(operation), index): position
        for operation in model.operations
        for position, index in enumerate(
            sorted(call.number for call in model.graph.calls if call.operation is operation)
        )
    }

    def history(tensor: KerasTensor, nested: int = 0) -> list[Any]:
        operation, index, output = tensor._keras_history
        # Keras counts from 1 for outputs of nested functional models
        first = nested if type(operation).__name__ == "Functional" else 0
        return [operation.name, index_of[id(operation), index] + first, output]

    def described(tensor: KerasTensor) -> dict[str, Any]:
        config = {"shape": list(tensor.shape), "dtype": tensor.dtype, "keras_history": history(tensor)}
        return {"class_name": "__keras_tensor__", "config": config}

    entries = []
    for operation in model.operations:
        calls = sorted(
            (call for call in model.graph.calls if call.operation is operation), key=lambda call: call.number
        )
        nodes = [
            {
                "args": [map_leaves(described, call.node.arguments)],
                "kwargs": {} if call.node.training is None else {"training": call.node.training},
            }
            for call in calls
            if call.node.inputs
        ]
        entries.append({**serialize(operation), "name": operation.name, "inbound_nodes": nodes})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": entries,
        "input_layers": _listed(map_leaves(history, model.input)),
        "output_layers": _listed(map_leaves(lambda tensor: history(tensor, 1), model.output)),
    }


def _listed(structure: Any) -> Any:
    return list(structure) if isinstance(structure, tuple) else structure


# --- reading ----------------------------------------------------------------------------------------------------


def deserialize_operation(entry: Any) -> Any:
    """The layer or model that `serialize` described.

    Raises:
        ValueError: a class that is not there, or no description.
    """
    if not isinstance(entry, Mapping) or entry.get("class_name") not in _MODELS:
        return layer_classes.deserialize(entry)
    from . import deserialize

    return deserialize(entry)


def functional_from_config(cls: type[M], config: Mapping[str, Any]) -> M:
    """The model that `functional_config`, or Keras, described; its layers are new.

    Raises:
        ValueError: no such description, or calls on tensors that nothing makes.
    """
    for key in ("layers", "input_layers", "output_layers"):
        if key not in config:
            raise ValueError(f"config: a functional model has layers, input_layers and output_layers; {key} is absent")
    made: dict[str, Operation] = {}
    waiting: list[tuple[Operation, list[Any]]] = []
    for entry in config["layers"]:
        if not isinstance(entry, Mapping):
            raise ValueError(f"layers: expected a description of a layer, received {entry!r}")
        operation, nodes = _operation(entry)
        name = entry.get("name", operation.name)
        if not isinstance(name, str) or name in made:
            raise ValueError(f"layers: two are called {name!r}, or it is no name")
        made[name] = operation
        waiting.append((operation, nodes))
    _replay(made, waiting)

    def tensor(where: Any) -> KerasTensor:
        name, index, output = where
        first = 1 if type(made.get(name)).__name__ == "Functional" else 0
        return _tensor(made, [name, index - first, output])

    def tensors(structure: Any) -> Any:
        if isinstance(structure, list | tuple) and len(structure) == 3 and isinstance(structure[0], str):
            return tensor(structure)
        if isinstance(structure, Mapping):
            return {key: tensors(value) for key, value in structure.items()}
        if isinstance(structure, list | tuple):
            return [tensors(entry) for entry in structure]
        raise ValueError(f"input_layers, output_layers: expected [name, call, output], received {structure!r}")

    model = cls(tensors(config["input_layers"]), tensors(config["output_layers"]), name=config.get("name"))
    if config.get("trainable") is False:
        model._trainable = False  # the layers say themselves whether they train
    return model


def _operation(entry: Mapping[str, Any]) -> tuple[Operation, list[Any]]:
    """(the layer, its calls), an operation of Keras's as the function of `keras.ops` that it is."""
    nodes = entry.get("inbound_nodes", [])
    if not isinstance(nodes, list):
        raise ValueError(f"inbound_nodes: expected a list, received {nodes!r}")
    if not str(entry.get("module", "")).startswith("keras.src.ops"):
        return deserialize_operation(entry), nodes
    from ..layers import keras_operations

    kind, config = str(entry.get("class_name")), entry.get("config", {})
    try:
        function, calls = keras_operations.from_keras(kind, config, nodes)
    except (ValueError, TypeError) as error:
        name = config.get("name")
        raise ValueError(f"layers: the operation {kind!r} of Keras ({name}) is not known here: {error}") from error
    return function, [{"args": [tensors], "kwargs": {}} for tensors in calls]


def _replay(made: Mapping[str, Operation], waiting: list[tuple[Operation, list[Any]]]) -> None:
    """Make every call, as soon as what it is called on exists: by rounds through the file."""
    ready = [(0, place) for place in range(len(waiting))]  # a heap: (round, place in the file)
    done, left = [0] * len(waiting), [0] * len(waiting)  # calls; calls that the next one stands on
    asleep: dict[tuple[int, int], list[int]] = {}
    while ready:
        turn, place = heappop(ready)
        operation, nodes = waiting[place]
        for node in nodes[done[place] :]:
            absent: set[tuple[int, int]] = set()
            arguments = _arguments(made, node, absent)
            left[place] = len(absent)
            for key in absent:
                asleep.setdefault(key, []).append(place)
            if absent:
                break
            operation.call_on(arguments, _training(node))
            done[place] += 1
            for other in asleep.pop((id(operation), len(operation.nodes) - 1), ()):
                left[other] -= 1
                if not left[other]:
                    heappush(ready, (turn + (other < place), other))
    stuck = [operation.name for (operation, nodes), n in zip(waiting, done, strict=True) if n < len(nodes)]
    if stuck:
        raise ValueError(f"inbound_nodes: {', '.join(stuck[:5])} stand on tensors that nothing makes, or in a loop")


def _training(node: Mapping[str, Any]) -> bool | None:
    """The `training` that a call was given; None without one."""
    given = node.get("kwargs")
    value = given.get("training") if isinstance(given, Mapping) else None
    return None if value is None else bool(value)


def _arguments(made: Mapping[str, Operation], node: Any, absent: set[tuple[int, int]]) -> Any:
    """What a call is on, as tensors; the calls whose tensors do not exist yet go into `absent`."""
    if not isinstance(node, Mapping) or not isinstance(node.get("args"), list) or len(node["args"]) != 1:
        raise ValueError(f"inbound_nodes: expected a call on one argument, received {str(node)[:200]}")

    def revived(argument: Any) -> Any:
        if isinstance(argument, Mapping) and argument.get("class_name") == "__keras_tensor__":
            where = argument.get("config", {}).get("keras_history")
            if (
                not isinstance(where, list | tuple)
                or len(where) != 3
                or not all(type(n) is int and n >= 0 for n in where[1:])
            ):
                raise ValueError(f"inbound_nodes: expected [name, call, output], received {where!r}")
            operation = made.get(where[0])
            if operation is None:
                raise ValueError(f"inbound_nodes: no layer is called {where[0]!r}")
            if where[1] < len(operation.nodes):
                return _tensor(made, where)
            absent.add((id(operation), where[1]))
            return None
        if isinstance(argument, Mapping):
            return {key: revived(value) for key, value in argument.items()}
        if isinstance(argument, list):
            return [revived(entry) for entry in argument]
        raise ValueError(f"inbound_nodes: expected a tensor, received {argument!r}")

    return revived(node["args"][0])


def _tensor(made: Mapping[str, Operation], where: Sequence[Any]) -> KerasTensor:
    name, index, output = str(where[0]), where[1], where[2]
    nodes = made[name].nodes if name in made else []
    if not (type(index) is int and 0 <= index < len(nodes) and 0 <= output < len(nodes[index].shapes)):
        raise ValueError(f"input_layers, output_layers: there is no tensor {list(where)!r}")
    return made[name].tensor_of(index, output)


# --- copies -----------------------------------------------------------------------------------------------------


def check_apart(model: Any) -> None:
    """Raises ValueError where a layer stands in two models, or layers in Python: a description would make two of it."""
    seen: dict[int, Any] = {}
    waiting = [model] if getattr(model, "_of_tensors", True) else []  # else its class makes all of it again
    while waiting:
        part = waiting.pop()
        for operation in part.operations:
            own = is_own(type(operation))
            if is_model(operation) and not own:
                waiting.append(operation)
            for layer in {id(leaf): leaf for leaf in (operation, *(operation.leaves() if own else ()))}.values():
                place = part if layer is operation else operation
                other = seen.setdefault(id(layer), place)
                if other is not place and not isinstance(layer, InputLayer):
                    raise ValueError(
                        f"{layer.name}: the layer stands both in {other.name} and in {place.name}; a copy, or a file, "
                        "would have two layers instead of one. Have it in one of them, or save the weights alone "
                        "(save_weights)"
                    )


def _copied(model: Any) -> Any:
    """A new model from the config of this one, its own classes and functions as they are."""
    check_apart(model)
    with collected() as own:
        config = model.get_config()
    with CustomObjectScope(own):
        made = type(model).from_config(config)
    if not has_layers(config):
        made._take_form(model._form())
    return made


def clone_model(model: Any, input_tensors: Any = None, clone_function: Callable[[Any], Any] | None = None) -> Any:
    """A model of the same layers with new weights.

    Args:
        model: a Sequential or a functional model.
        input_tensors: what to use instead of the model's inputs; functional models only.
        clone_function: makes the new layer from each old one; by default from its config.

    Raises:
        TypeError: no model, or a clone_function that returns no layer.
    """
    from .functional import Functional
    from .sequential import Sequential

    def cloned(operation: Any) -> Any:
        if clone_function is None or isinstance(operation, InputLayer):
            with collected() as own:
                config = serialize(operation)
            with CustomObjectScope(own):
                return deserialize_operation(config)
        made = clone_function(operation)
        if not isinstance(made, Operation):
            raise TypeError(f"clone_function: expected a layer, received {made!r} of type {type(made).__name__}")
        return made

    own = isinstance(model, Functional | Sequential) and is_own(type(model))
    if own and input_tensors is None and clone_function is None:
        return _copied(model)
    if own and not has_layers(model.get_config()):
        raise ValueError(
            f"clone_function, input_tensors: only for a Sequential or a Model(inputs, outputs), as in Keras; "
            f"{type(model).__name__} is a class of your own: clone_model(model) makes it again from its get_config"
        )
    if isinstance(model, Sequential):
        if input_tensors is not None:
            raise NotImplementedError(
                "input_tensors: a Sequential has no other inputs than its own; call it on a tensor"
            )
        if clone_function is None:
            return _copied(model)
        first = [] if model._input is None else [cloned(model._input)]
        return type(model)([*first, *map(cloned, model.layers)], name=model.name)
    if not isinstance(model, Functional):
        raise TypeError(f"model: expected a model, received {model!r} of type {type(model).__name__}")
    if input_tensors is None and clone_function is None:
        return _copied(model)
    made = {id(operation): cloned(operation) for operation in model.operations}
    given = flatten(input_tensors) if input_tensors is not None else [made[t.key[0]].output for t in model.inputs]
    if len(given) != len(model.inputs):
        raise ValueError(f"input_tensors: the model has {len(model.inputs)} inputs, received {len(given)}")
    known = {tensor.key: new for tensor, new in zip(model.inputs, given, strict=True)}
    for call in model.graph.calls:
        if call.node.inputs:
            arguments = map_leaves(lambda t: known[t.key], call.node.arguments)
            results = made[id(call.operation)].call_on(arguments, call.node.training)
            known.update({(*call.key, i): tensor for i, tensor in enumerate(flatten(results))})
    new = lambda t: known[t.key]  # noqa: E731
    return type(model)(map_leaves(new, model.input), map_leaves(new, model.output), name=model.name)
