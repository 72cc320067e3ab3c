"""What is checked before a file is written or a model is made from a description."""

import math
from collections.abc import Mapping
from typing import Any

from .. import _registry, layers
from .._given import is_own
from .._names import name_of
from ..layers.operation import MAX_SAMPLE
from .archive import FormatError

MAX_LAYERS = 1000
MAX_CALLS = 5000  # layers and their calls in one file
SLACK = 2**20  # elements that layers may hold beside the weights in the file, such as constants of a Normalization


def check_nameable(model: Any) -> None:
    """Raises ValueError if a layer (or the model) is of a class that a file cannot name, or would be two in a file."""
    from ..models.config import check_apart

    _check_names(model)
    check_apart(model)


def _check_names(model: Any) -> None:
    from ..models import Functional, Model, Sequential

    if type(model) not in (Sequential, Functional):
        kind = type(model).__name__
        raise ValueError(f"save: expected a Sequential or a Model, received a {kind}, which no file can name")
    if len(model.leaves()) > MAX_LAYERS:
        raise ValueError(f"save: a file holds up to {MAX_LAYERS} layers, the model has {len(model.leaves())}")
    names: set[Any] = {None}
    for layer in model.layers:
        if layer.name in names:  # which may have been set
            raise ValueError(f"save: each layer needs a name of its own, {type(layer).__name__} has {layer.name!r}")
        names.add(name_of(type(layer), layer.name))
        if isinstance(layer, Model):
            _check_names(layer)
            continue
        name = _registry.get_registered_name(type(layer))
        try:
            known = layers.get_class(name) is type(layer)
        except ValueError:
            known = is_own(type(layer))  # a reader gives it in custom_objects
        if not known:
            raise ValueError(
                f"save: layer {layer.name!r} is a {name}, which no file can name; use lanewise.layers, or register "
                "the class: @lanewise.saving.register_keras_serializable()"
            )


def check_size(*described: Any) -> None:
    """Raises FormatError where descriptions of models, those in models too, have more layers and calls than any."""
    left, waiting = MAX_CALLS, list(described)
    while waiting:
        config = waiting.pop()
        entries = config.get("layers") if isinstance(config, Mapping) else None
        if isinstance(entries, list) and len(entries) > left:
            break
        for entry in entries if isinstance(entries, list) else ():
            nodes = entry.get("inbound_nodes") if isinstance(entry, Mapping) else None
            left -= max(1, len(nodes) if isinstance(nodes, list) else 0)
            if isinstance(entry, Mapping):
                waiting.append(entry.get("config"))
        if left < 0:
            break
    else:
        return
    raise FormatError(f"layers: more than {MAX_CALLS} of them, or of their calls")


def check_description(config: Any) -> None:
    """Raises FormatError where this is no description of a functional model or of a built Sequential."""
    if not isinstance(config, Mapping):
        raise FormatError("model: expected a description")
    if "input_layers" in config:
        if set(config) != {"name", "trainable", "layers", "input_layers", "output_layers"}:
            raise FormatError("model: expected name, trainable, layers, input_layers and output_layers")
        if not isinstance(config["name"], str) or not isinstance(config["trainable"], bool):
            raise FormatError("model: expected a name, and whether it trains")
        if not isinstance(config["layers"], list) or len(config["layers"]) > MAX_LAYERS + 1:
            raise FormatError(f"layers: expected a list of up to {MAX_LAYERS}")
        return
    if set(config) - {"trainable"} != {"name", "layers", "build_input_shape"}:
        raise FormatError("model: expected name, layers and build_input_shape")
    described, shape = config["layers"], config["build_input_shape"]
    if not isinstance(config["name"], str):
        raise FormatError(f"model: {config['name']!r} is no name")
    if not isinstance(described, list) or len(described) > MAX_LAYERS + 1:
        raise FormatError(f"layers: expected a list of up to {MAX_LAYERS}")
    if not isinstance(shape, list) or len(shape) < 2 or shape[0] is not None:
        raise FormatError(f"build_input_shape: expected [null, ...], received {shape!r}")
    axes = shape[1:]
    if len(axes) > 8 or not all(type(axis) is int and axis > 0 for axis in axes):
        raise FormatError(f"layers: {axes!r} is no shape of a sample")
    if math.prod(axes) > MAX_SAMPLE:
        raise FormatError(f"layers: a sample of shape {axes} is too large")
