"""Functions on symbolic tensors as Keras 3 writes them: operations with their calls."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from .._names import snake_case
from .._structure import flatten
from .slots import Slot, encoded, filled
from .symbolic import Function, function_called

_CALLED = frozenset({"x", "x1", "x2", "xs", "condition", "key", "indices", "operands", "target", "output"})
_MODULES = {"nn": "sigmoid softplus log_sigmoid softsign silu relu relu6 leaky_relu elu selu gelu softmax log_softmax "
            "hard_sigmoid hard_silu binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy "
            "one_hot normalize",
            "math": "logsumexp rsqrt erf", "linalg": "norm",
            "core": "cast convert_to_tensor stop_gradient"}  # fmt: skip


def keras_entry(layer: Function, calls: Sequence[Any]) -> dict[str, Any]:
    """A function as Keras 3 describes its operation; `calls`: descriptions of the tensors that each call is on."""
    name = layer.function
    config: dict[str, Any] = {"name": layer.name}
    options = dict(layer.applied.options)
    called = [value for key in list(options) if key in _CALLED for value in [options.pop(key)]]
    if name == "einsum":
        called = called[0]
    for key, value in options.items():
        if any(isinstance(leaf, Slot) for leaf in flatten([value])):
            raise ValueError(f"save: {layer.name}: Keras has no {name} with a tensor as {key}; save it as *.lanewise")
    config |= {key: _plain(encoded(value)) for key, value in options.items() if key != "name"}
    kwargs = {key: config.pop(key) for key in ("constant_values",) if key in config}  # of the call in Keras
    nodes = []
    for call in calls:
        tensors = call if isinstance(call, list) else [call]
        args = [filled(_encoded_slots(value), tensors) for value in called]
        nodes.append({"args": args, "kwargs": dict(kwargs)})
    home = next((module for module, names in _MODULES.items() if name in names.split()), "numpy")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return {
        "module": f"keras.src.ops.{home}", "class_name": class_name, "config": config, "registered_name": class_name,
        "name": layer.name, "inbound_nodes": nodes,
    }  # fmt: skip


def _encoded_slots(value: Any) -> Any:
    if isinstance(value, Slot):
        return value
    return [_encoded_slots(entry) for entry in value] if isinstance(value, list) else _plain(encoded(value))


def _plain(value: Any) -> Any:
    """An encoded argument as Keras has it: infinite numbers and NaN as Python's JSON writes them."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        if value.get("class_name") == "__float__":
            return float(value["config"])
        return {key: _plain(entry) for key, entry in value.items()}
    return value


def _is_off(key: str, value: Any) -> bool:
    """Whether an argument of Keras's that is not there says nothing."""
    return value is None or value is False or (key == "decimals" and value == 0)


def from_keras(kind: str, config: Mapping[str, Any], nodes: Sequence[Any]) -> tuple[Function, list[list[Any]]]:
    """(the function that an operation of Keras's is, of each of its calls the descriptions of the tensors it is on).

    Raises:
        ValueError: an operation that is not in `keras.ops` here, or calls whose other arguments differ.
    """
    name = snake_case(kind)
    known = inspect.signature(function_called(name)).parameters

    def slots(value: Any, tensors: list[Any]) -> Any:
        if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            tensors.append(value)
            return encoded(Slot(len(tensors) - 1))
        return [slots(entry, tensors) for entry in value] if isinstance(value, list) else value

    calls: list[tuple[list[Any], dict[str, Any]]] = []
    on: list[list[Any]] = []
    for node in nodes or [{}]:
        args, kwargs = (node.get("args", []), node.get("kwargs", {})) if isinstance(node, Mapping) else (None, None)
        if not isinstance(args, list) or not isinstance(kwargs, Mapping):
            raise ValueError(f"expected a call with its arguments, received {str(node)[:60]}")
        on.append([])
        calls.append((slots(args, on[-1]), {key: slots(value, on[-1]) for key, value in kwargs.items()}))
    called, options = calls[0]
    if any(other != calls[0] for other in calls[1:]):
        raise ValueError("its calls have other arguments")
    options = {**options, **config}
    odd = [key for key in options if key not in known and key != "name" and not _is_off(key, options[key])]
    if odd:
        raise ValueError(f"{odd[0]}={str(options[odd[0]])[:60]} is not there")
    options = {key: value for key, value in options.items() if key in known and key != "name"}
    if name == "einsum":
        called = [options.pop("subscripts"), *called]
    return Function(name, called, options, config.get("name")), on
