"""Models of Keras's in memory, and back: through their descriptions and numbers, without a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .._engine import Weight
from .._given import is_model
from . import keras_optimizer, keras_read, keras_state, keras_write
from .archive import AnyArray
from .describe import model_from_config
from .shapes import check_nameable


def from_keras(model: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model of lanewise with the layers, weights, optimizer and its state of a built model of Keras 2 or 3.

    Args:
        model: a Sequential or functional model of `keras` or `tf.keras`.
        custom_objects: name -> class of lanewise's kind, for classes of yours in it.

    Raises:
        TypeError: no model of Keras's. ValueError: what lanewise does not have, or a model that is not built.
    """
    if not callable(getattr(model, "to_json", None)) or not hasattr(model, "get_weights"):
        raise TypeError(f"model: expected a model of Keras's, received {model!r} of type {type(model).__name__}")
    config = json.loads(model.to_json())
    config.pop("compile_config", None)
    twin = model_from_config(config, custom_objects)
    if not twin.built:
        raise ValueError("model: it is not built; give it an Input, or show it data first")
    theirs = dict(_layers(model))
    for name, layer in _layers(twin):
        if layer.weights:
            order = map(id, keras_state.in_order(layer))
            found = dict(zip(order, theirs[name].get_weights(), strict=False))
            layer.set_weights([found[id(weight)] for weight in layer.weights])
    compiled = _compile_config(model)
    if compiled is not None:
        twin.compile_from_config(keras_read.compile_form(compiled))
        optimizer = model.optimizer
        variables = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
        values = _Values([np.asarray(variable) for variable in variables])
        keras_state.read_state(twin, values, [str(i) for i in range(len(values.arrays))])()
    return twin


def to_keras(model: Any) -> Any:
    """A model of Keras 3 (`import keras`) with the layers, weights, optimizer and its state of a built model.

    Raises:
        ImportError: Keras is not installed. ValueError: not built, or layers that Keras does not have.
    """
    try:
        import keras
    except ImportError:
        raise ImportError("to_keras needs Keras 3, which is not installed: pip install keras") from None
    if not getattr(model, "built", False):
        raise ValueError("model: it is not built; give it an Input, or show it data first")
    check_nameable(model)
    form = keras_write.model_form(model)
    compiled = model.get_compile_config()
    if compiled is not None:
        form["compile_config"] = keras_write.compile_form(compiled)
    twin = keras.saving.deserialize_keras_object(form)
    theirs = dict(_layers(twin))
    for name, layer in _layers(model):
        values = [entry.numpy() if isinstance(entry, Weight) else entry for entry in keras_state.in_order(layer)]
        if values and not layer.inner_layers():
            theirs[name].load_own_variables({str(i): value for i, value in enumerate(values)})
        elif values:
            theirs[name].set_weights(values)
            for inner in theirs[name]._flatten_layers():
                getattr(inner, "finalize_state", int)()  # of a Normalization: what it computes with
    if compiled is not None:
        twin.optimizer.build(twin.trainable_variables)
        for variable, (_, value) in zip(twin.optimizer.variables, keras_optimizer.values_in_order(model), strict=True):
            variable.assign(value)
    return twin


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """(name, layer) of the layers that a description has, those of models inside included."""
    for layer in model.layers:
        if is_model(layer):
            yield from _layers(layer)
        else:
            yield layer.name, layer


def _compile_config(model: Any) -> Any:
    """What a model of Keras's was compiled with; None where it was not."""
    if getattr(model, "optimizer", None) is None or not hasattr(model, "get_compile_config"):
        return None
    optimizer = {"class_name": type(model.optimizer).__name__, "config": model.optimizer.get_config()}
    return {**(model.get_compile_config() or {}), "optimizer": optimizer}  # saving to .h5 takes Keras's own out


class _Values:
    """Numbers in memory, read as a group of a file is."""

    def __init__(self, arrays: list[AnyArray]) -> None:
        self.arrays = arrays

    def shape(self, place: str) -> tuple[int, ...]:
        return tuple(self.arrays[int(place)].shape)

    def array(self, place: str) -> AnyArray:
        return self.arrays[int(place)]
