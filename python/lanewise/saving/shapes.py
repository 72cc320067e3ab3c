"""Which weights a description of layers asks for, found without making any of them.

A file can describe a layer of 10**12 units. Loading therefore compares the shapes that the layers ask for with the
arrays that the file holds, whose bytes have been counted, before a weight is made.
"""

import math
from collections.abc import Mapping
from typing import Any

from .. import initializers, layers
from .archive import FormatError

MAX_LAYERS = 1000
_MAX_SAMPLE = 2**40  # elements of one sample anywhere in the chain
_MAX_STATISTICS = 2**20  # columns of a Normalization whose numbers stand in the description


def check_nameable(model: Any) -> None:
    """Raises ValueError if a layer (or the model) is of a class that a file cannot name."""
    from ..models import Sequential

    if type(model) is not Sequential:
        raise ValueError(f"save: expected a Sequential, received a {type(model).__name__}, which no file can name")
    if len(model.layers) > MAX_LAYERS:
        raise ValueError(f"save: a file holds up to {MAX_LAYERS} layers, the model has {len(model.layers)}")
    for layer in model.layers:
        name = type(layer).__name__
        try:
            known = layers.get_class(name) is type(layer)
        except ValueError:
            known = False
        if not known:
            raise ValueError(f"save: layer {layer.name!r} is a {name}, which no file can name; use lanewise.layers")


def weight_shapes(config: Any) -> list[tuple[int, ...]]:
    """Shapes of the weights that `Sequential.from_config(config)` would make.

    Raises:
        FormatError: no description of a built Sequential. ValueError: layers that do not fit each other.
    """
    if not isinstance(config, Mapping) or set(config) != {"name", "layers", "build_input_shape"}:
        raise FormatError("model: expected name, layers and build_input_shape")
    described, shape = config["layers"], config["build_input_shape"]
    if not isinstance(config["name"], str):
        raise FormatError(f"model: {config['name']!r} is no name")
    if not isinstance(described, list) or len(described) > MAX_LAYERS + 1:
        raise FormatError(f"layers: expected a list of up to {MAX_LAYERS}")
    if not isinstance(shape, list) or len(shape) < 2 or shape[0] is not None:
        raise FormatError(f"build_input_shape: expected [null, ...], received {shape!r}")
    sample = _checked_sample(shape[1:])
    found: list[tuple[int, ...]] = []
    for i, entry in enumerate(described):
        layer = layers.deserialize(entry)
        if isinstance(layer, layers.InputLayer):
            if i > 0 or layer.shape != sample:
                raise FormatError(f"layers: an Input of shape {layer.shape} does not fit {shape}")
            continue
        found += _own_shapes(layer, entry["config"], sample)
        sample = _checked_sample(layer.compute_output_shape((None, *sample))[1:])
    return found


def _own_shapes(layer: layers.Layer, config: Mapping[str, Any], sample: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes of the weights of one layer for such samples; a new kind of layer with weights has a case here."""
    columns = sample[-1]
    if isinstance(layer, layers.Dense):
        return [(columns, layer.units), (layer.units,)] if layer.use_bias else [(columns, layer.units)]
    if isinstance(layer, layers.Normalization):
        if config.get("mean") is None:
            return [(columns,), (columns,)]
        if columns > _MAX_STATISTICS:
            raise FormatError(f"layers: {layer.name!r} has {columns} columns, allowed are {_MAX_STATISTICS}")
    return []


def without_initializers(config: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """(config with zeros for initializers, the initializers by layer name and argument).

    Loading overwrites all weights: their first values cost nothing then, and take nothing from the random streams.
    """
    blank = {**config, "layers": []}
    kept: dict[str, dict[str, Any]] = {}
    for entry in config["layers"]:
        found = {key: value for key, value in entry["config"].items() if key.endswith("_initializer")}
        zeros = {key: {"class_name": "Zeros", "config": {}} for key in found}
        blank["layers"].append({**entry, "config": {**entry["config"], **zeros}})
        kept[entry["config"].get("name", "")] = {key: initializers.get(value) for key, value in found.items()}
    return blank, kept


def _checked_sample(axes: Any) -> tuple[int, ...]:
    if not axes or len(axes) > 8 or not all(type(axis) is int and axis > 0 for axis in axes):
        raise FormatError(f"layers: {list(axes)!r} is no shape of a sample")
    if math.prod(axes) > _MAX_SAMPLE:
        raise FormatError(f"layers: a sample of shape {list(axes)} is too large")
    return tuple(axes)
