"""Legacy `.h5` files: whole models and weights of Keras 2 and 3, by layer name and in the order of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from .._engine import Weight
from .._given import is_own
from .._names import warn
from ..initializers.base import zeros_only
from . import h5, keras_optimizer, keras_state, keras_write
from .archive import AnyArray, FormatError, Mismatch, described, parsed
from .files import replacing
from .keras_state import Places
from .keras_zip import KERAS_VERSION, MAX_CONFIG, built, compile_from, form_text
from .shapes import SLACK

_TOP = "top_level_model_weights"
_ORDER = "lanewise_order"
"""Of a layer with layers inside, or written by a person: the places of the file's weights in `layer.weights`. Keras's
order has those in training first, so that it depends on what was frozen when the file was written; with this text it is
told. Of another layer each weight has a name of its own."""
_HEADER_LIMIT = 64_000  # bytes of one attribute; Keras's own limit is 64,512


def legacy_weights(layer: Any) -> list[Weight]:
    """The weights of a layer, or of a model inside a model, in the order that these files have."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


# --- writing ----------------------------------------------------------------------------------------------------


def write_model(path: str, model: Any, include_optimizer: bool) -> None:
    """Write a built model in the place of `path`, as `model.save("m.h5")` of Keras 3 does."""
    form = keras_write.legacy_form(keras_write.model_form(model))
    compiled = model._compiled.get_config(names=False) if include_optimizer and model._compiled else None
    with replacing(path) as file, h5.writing(file) as root:
        root.attrs["keras_version"] = KERAS_VERSION
        root.attrs["backend"] = "lanewise"
        config = {key: form[key] for key in ("class_name", "config")}
        root.attrs["model_config"] = form_text(config)
        if compiled is not None:
            training = keras_write.legacy_form(keras_write.compile_form(compiled))
            optimizer = training.pop("optimizer")
            training["optimizer_config"] = {key: optimizer[key] for key in ("class_name", "config")}
            root.attrs["training_config"] = described(training, MAX_CONFIG)
        _write_layers(root.create_group("model_weights"), model)
        if compiled is not None:
            name = model.optimizer.name
            values = [(f"{name}/{key}", value) for key, value in keras_optimizer.values_in_order(model)]
            _write_arrays(root.create_group("optimizer_weights"), values)


def write_weights(path: str, model: Any) -> None:
    """Write the weights of a built model in the place of `path`, layer by layer, as Keras 2 did."""
    with replacing(path) as file, h5.writing(file) as root:
        _write_layers(root, model)


def _write_layers(group: Any, model: Any) -> None:
    odd = next((layer.name for layer in model.layers if layer.name in (_TOP, "model_weights")), None)
    if odd is not None:
        raise ValueError(f"save: a layer is called {odd!r}, which '.h5' files have a meaning of their own for")
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    group.attrs["backend"] = "lanewise"
    group.attrs["keras_version"] = KERAS_VERSION
    paths = model._weight_names()
    for layer in sorted(model.layers, key=lambda layer: str(layer.name)):
        weights = legacy_weights(layer)
        values = [(f"{model.name}/{paths[id(weight)]}", weight.numpy()) for weight in weights]
        for i, value in enumerate(keras_state.beside(layer)):
            values.append((f"{model.name}/{layer.name}/count_{i}", value))
        part = group.create_group(layer.name)
        _write_arrays(part, values)
        leaves = layer.leaves()
        if len(leaves) > 1 or any(is_own(type(leaf)) for leaf in leaves):
            place = {id(weight): i for i, weight in enumerate(layer.weights)}
            part.attrs[_ORDER] = " ".join(str(place[id(weight)]) for weight in weights)
    _write_arrays(group.create_group(_TOP), [])


def _write_arrays(group: Any, values: Iterable[tuple[str, AnyArray]]) -> None:
    pairs = list(values)
    _write_names(group, "weight_names", [name for name, _ in pairs])
    for name, value in pairs:
        group.create_dataset(name, data=value)


def _write_names(group: Any, key: str, names: list[str]) -> None:
    """A list of texts as one attribute, or where it is long as `key0`, `key1`, ..."""
    data = np.asarray([name.encode() for name in names])
    parts = -(-data.nbytes // _HEADER_LIMIT)
    if parts <= 1:
        group.attrs[key] = data
        return
    for i, part in enumerate(np.array_split(data, parts + 1)):
        group.attrs[f"{key}{i}"] = part


# --- reading ----------------------------------------------------------------------------------------------------


def read_model(file: BinaryIO, compile: bool) -> Any:
    """The model in a file.

    Raises:
        FormatError, OSError and others: whatever is wrong with it.
    """
    root = h5.root(file)
    text = root.text("model_config")
    if text is None:
        raise FormatError("it holds weights only: build the model and call load_weights on it")
    with zeros_only(root.file_size // 2 + SLACK):
        model = built(parsed(text, MAX_CONFIG))
    if "model_weights" not in root:
        raise FormatError("it has no group 'model_weights'")
    keras_state.assign(model, by_order(root.group("model_weights"), model), fresh=True)
    training = root.text("training_config") if compile else None
    if training is not None:
        _compile(root, model, parsed(training, MAX_CONFIG))
    return model


def _compile(root: h5.Group, model: Any, training: Any) -> None:
    if not isinstance(training, Mapping):
        raise FormatError("training_config holds no object")
    compile_from(model, training)
    if "optimizer_weights" in root:
        group = root.group("optimizer_weights")
        names = group.texts("weight_names")
        keras_state.read_state(model, group, names, names)()


def is_legacy(root: h5.Group) -> bool:
    """Whether a file has the layout of this module, rather than that of Keras 3's `.weights.h5`."""
    return "model_weights" in root or bool(root.texts("layer_names"))


def places(root: h5.Group, model: Any, by_name: bool, skip_mismatch: bool) -> Places:
    """Where the weights of a model stand in a file of weights or of a whole model."""
    group = root.group("model_weights") if "model_weights" in root else root
    return (_by_name if by_name else by_order)(group, model, skip_mismatch)


def by_order(group: h5.Group, model: Any, skip_mismatch: bool = False) -> Places:
    """The layers that have weights, in the order of the model, whatever their names are.

    Raises:
        Mismatch: another number of layers, of weights of a layer, or another shape.
    """
    layers = [layer for layer in model.layers if legacy_weights(layer)]
    found = [(name, group.group(name)) for name in group.texts("layer_names")]
    stored = [(name, part, part.texts("weight_names")) for name, part in found]
    stored = [entry for entry in stored if entry[2]]
    if len(stored) != len(layers):
        raise Mismatch(f"has {len(stored)} layers with weights, the model {len(layers)}")
    result: Places = []
    for layer, (name, part, names) in zip(layers, stored, strict=True):
        result += _of_layer(layer, name, part, names, skip_mismatch)
    return result


def _by_name(group: h5.Group, model: Any, skip_mismatch: bool) -> Places:
    """The layers that are called as in the model; others in either stay as they are."""
    layers = {layer.name: layer for layer in model.layers}
    result: Places = []
    for name in group.texts("layer_names"):
        if name in layers:
            part = group.group(name)
            result += _of_layer(layers[name], name, part, part.texts("weight_names"), skip_mismatch)
    return result


def _as_written(layer: Any, name: str, part: h5.Group, names: list[str]) -> list[Weight]:
    """The weights of a layer in the order of the file."""
    order, weights = part.text(_ORDER), layer.weights
    if order is None:
        named = {weight.name: weight for weight in weights}
        last = [name.rpartition("/")[2].partition(":")[0] for name in names[: len(weights)]]
        apart = len(named) == len(weights) and sorted(last) == sorted(named)
        return [named[key] for key in last] if apart else legacy_weights(layer)
    places = order[: 8 * len(weights)].split(" ")
    if sorted(places) != sorted(map(str, range(len(weights)))):
        raise Mismatch(f"has for layer {name!r} weights in the order {order[:50]}, the model has {len(weights)}")
    return [weights[int(place)] for place in places]


def _of_layer(layer: Any, name: str, part: h5.Group, names: list[str], skip_mismatch: bool) -> Places:
    try:
        weights = _as_written(layer, name, part, names)
        if len(names) not in (len(weights), len(weights) + len(keras_state.beside(layer))):
            raise Mismatch(f"has {len(names)} weights for layer {name!r}, {layer.name!r} of the model {len(weights)}")
        for weight, key in zip(weights, names, strict=False):
            if part.shape(key) != weight.shape:
                raise Mismatch(f"has {key!r} of shape {part.shape(key)}, {weight.path} of the model has {weight.shape}")
    except Mismatch as error:
        if not skip_mismatch:
            raise
        warn(f"load_weights: the file {error}; skipped")
        return []
    return [(weight, part, key) for weight, key in zip(weights, names, strict=False)]
