"""Descriptions as Keras 3 writes them: {"module", "class_name", "config", "registered_name"}, nested.

The arguments themselves come from `get_config`, whose keys are Keras's; nothing here knows a layer by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _registry, constraints, initializers, layers, regularizers
from .._given import has_layers, is_model, is_own
from .._names import serialize
from ..layers.keras_operations import keras_entry
from ..layers.operation import BESIDE
from ..layers.symbolic import Function

Config = dict[str, Any]

_POLICY: Config = {
    "module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None,
}  # fmt: skip
_HOMES = {
    "keras.initializers": initializers, "keras.regularizers": regularizers, "keras.constraints": constraints,
    "keras.layers": layers,
}  # fmt: skip
_LEGACY = ("class_name", "config", *BESIDE, "inbound_nodes")
_OWN = frozenset({"Quantile", "Tweedie", "Gamma", "GaussianNLL"})  # losses and metrics that Keras does not have


def keras_form(entry: Mapping[str, Any], module: str) -> Config:
    """An object that `serialize` described, as Keras 3 describes it.

    Args:
        entry: {"class_name", "config"}.
        module: where Keras has the class, 'keras.layers' for example.
    """
    name, config = entry["class_name"], entry["config"]
    registered: str | None = None
    custom = _registry.get_registered_object(name)
    if custom is not None:
        registered, module, name = name, custom.__module__, custom.__name__
    elif name in _OWN:
        module = module.replace("keras", "lanewise", 1)
    if isinstance(config, Mapping):
        config = {key: _value(key, item, name) for key, item in config.items()}
    beside = {key: entry[key] for key in BESIDE if key in entry}
    return {"module": module, "class_name": name, "config": config, "registered_name": registered, **beside}


def _value(key: str, value: Any, owner: str) -> Any:
    if isinstance(value, list | tuple):
        return [_value("", item, owner) for item in value]
    if key == "dtype" and value == "float32" and owner != "InputLayer":
        return _POLICY
    if not isinstance(value, Mapping):
        return value
    if not isinstance(value.get("class_name"), str) or "config" not in value or "module" in value:
        return {k: _value(k, item, owner) for k, item in value.items()}
    return keras_form(value, "keras.optimizers.schedules" if key == "learning_rate" else _home(value["class_name"]))


def _home(name: str) -> str:
    """The module in which Keras has a class that stands inside a layer's arguments."""
    for module, table in _HOMES.items():
        try:
            table.get_class(name)
        except ValueError:
            continue
        return module
    return "keras"


# --- layers and models ------------------------------------------------------------------------------------------


def layer_form(layer: Any) -> Config:
    """A layer, or a model inside a model, as Keras 3 describes it."""
    if is_model(layer):
        return model_form(layer)
    described = keras_form(serialize(layer), "keras.layers")
    kind = type(layer)
    if described["registered_name"] is None and is_own(kind):
        described |= {"module": kind.__module__, "registered_name": kind.__name__}
    if layer.built and layer.weights:
        described["build_config"] = {"input_shape": list(layer.input_shape)}
    return described


def model_form(model: Any) -> Config:
    """A model as it stands in config.json; what it was compiled with is not in it."""
    own = model.get_config()
    if not has_layers(own):  # of a person's class: as what it is below that
        below: Any = next(base for base in type(model).__mro__ if not is_own(base))
        own = below.get_config(model)
    if "input_layers" in own:
        return _graph_form(model, own)
    described = [layer_form(layer) for layer in model.layers]
    shape = own["build_input_shape"]
    first = next((entry for entry in own["layers"][:1] if entry["class_name"] == "InputLayer"), None)
    if first is not None:
        described.insert(0, keras_form(first, "keras.layers"))
    elif shape is not None:
        config = {"batch_shape": shape, "dtype": "float32", "sparse": False, "name": "input_layer"}
        described.insert(0, keras_form({"class_name": "InputLayer", "config": config}, "keras.layers"))
    config = {
        "name": model.name, "trainable": model.trainable, "dtype": _POLICY, "layers": described,
        "build_input_shape": shape,
    }  # fmt: skip
    form: Config = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    if shape is not None:
        form["build_config"] = {"input_shape": shape}
    return form


def _graph_form(model: Any, own: Config) -> Config:
    entries = []
    for layer, entry in zip(model.operations, own["layers"], strict=True):
        if isinstance(layer, Function):
            entries.append(keras_entry(layer, [node["args"][0] for node in entry["inbound_nodes"]]))
            continue
        entries.append({**layer_form(layer), "name": entry["name"], "inbound_nodes": entry["inbound_nodes"]})
    config = {**own, "layers": entries}
    return {
        "module": "keras.src.models.functional", "class_name": "Functional", "config": config,
        "registered_name": "Functional",
    }  # fmt: skip


# --- what a model was compiled with -----------------------------------------------------------------------------


def compile_form(config: Mapping[str, Any]) -> Config:
    """What `get_compile_config` returned, as the compile_config of Keras 3."""
    form: Config = {"optimizer": keras_form(config["optimizer"], "keras.optimizers")}
    for key, module in (("loss", "keras.losses"), ("metrics", "keras.metrics"), ("weighted_metrics", "keras.metrics")):
        form[key] = _each(config.get(key), module) or None
    form["loss_weights"] = config.get("loss_weights")
    return {**form, "run_eagerly": False, "steps_per_execution": 1, "jit_compile": "auto"}


def _each(value: Any, module: str) -> Any:
    if isinstance(value, list | tuple):
        return [_each(item, module) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "class_name" not in value:
        return {key: _each(item, module) for key, item in value.items()}
    if module == "keras.metrics" and value["class_name"] == "AutoAccuracy":
        name = value["config"].get("name")  # goes by the shapes: in Keras a text does that, the class does not
        return name if name in ("accuracy", "acc") else "accuracy"
    return keras_form(value, module)


def legacy_form(value: Any) -> Any:
    """The same as .h5 files have it: layers, losses and metrics without module and registered name."""
    if isinstance(value, list):
        return [legacy_form(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "registered_name" in value and value["module"] in (
        "keras", "keras.layers", "keras.losses", "keras.metrics"
    ) and value["class_name"] != "DTypePolicy":  # fmt: skip
        return legacy_form({key: value[key] for key in _LEGACY if key in value})
    return {key: legacy_form(item) for key, item in value.items()}
