"""Descriptions that Keras wrote, as lanewise's own: {"class_name", "config"} with the arguments of constructors.

Keras 3 nests {"module", "class_name", "config", "registered_name"}; Keras 2 had other names for some arguments.
Only the class name is looked at, in closed tables, later; a module is never imported and no code is ever run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import _registry
from ..layers.operation import BESIDE
from .archive import FormatError

Config = dict[str, Any]


def own_form(value: Any) -> Any:
    """A value of a description, all objects in it in lanewise's form.

    Raises:
        FormatError: Python code (a lambda), or a mixed-precision policy.
    """
    if isinstance(value, list | tuple):
        return [own_form(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"type", "value"}:  # an array, as the first Keras 2 wrote it
        return value["value"]
    if not isinstance(value.get("class_name"), str) or "config" not in value:
        return {key: own_form(item) for key, item in value.items()}
    name, config = value["class_name"], value["config"]
    if name in ("__lambda__", "Lambda"):
        raise FormatError("it holds Python code (a Lambda), which is never run")
    if name == "function":
        return _function(value)
    if name in ("__numpy__", "__tensor__", "__bytes__"):
        return config["value"]
    if name.endswith("Policy"):
        _check_dtype(config.get("name") if isinstance(config, Mapping) else config)
        return "float32"
    if name == "__keras_tensor__":
        return dict(value)
    return _object(name, value)


def _function(value: Mapping[str, Any]) -> Any:
    """The name of a function: one of the package's tables, or of the user's."""
    for name in (value.get("registered_name"), value["config"]):
        if isinstance(name, str) and name != "function" and _registry.find_function(name) is not None:
            return name
    return value["config"]


def _object(name: str, value: Mapping[str, Any]) -> Config:
    registered = value.get("registered_name")
    if isinstance(registered, str) and _registry.get_registered_object(registered) is not None:
        name = registered
    config = value["config"]
    if name == "Sequential":
        config = _chain(config)
    elif name in ("Functional", "Model"):
        name, config = "Functional", _graph(config)
    result: Config = {"class_name": name, "config": config}
    if str(value.get("module", "")).startswith("keras.src.ops"):  # arithmetic on tensors, no layer
        result["module"] = value["module"]
    elif isinstance(config, Mapping) and name not in ("Sequential", "Functional", "Function"):
        result["config"] = _arguments(name, config)  # arrays of functions keep their types
    result |= {key: value[key] for key in BESIDE if key in value}
    if "inbound_nodes" in value:  # of a layer in a graph
        result["inbound_nodes"] = _nodes(value["inbound_nodes"])
    return result


# --- models -----------------------------------------------------------------------------------------------------


def _chain(config: Any) -> Config:
    """Arguments of a Sequential. The first Keras wrote a bare list of layers, Keras 2 no shape beside them."""
    if isinstance(config, list):
        config = {"name": None, "layers": config}
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        raise FormatError("a Sequential has no list of layers")
    described = [own_form(entry) for entry in config["layers"]]
    shape = config.get("build_input_shape")
    if shape is None and described and isinstance(described[0], Mapping):
        first = described[0].get("config", {})
        shape = first.get("batch_shape") or first.get("batch_input_shape")
    if isinstance(shape, list | tuple) and shape:
        shape = [None, *shape[1:]]
    result = {"name": config.get("name"), "layers": described, "build_input_shape": shape}
    return {**result, "trainable": False} if config.get("trainable") is False else result


def _graph(config: Any) -> Config:
    """Arguments of a functional model, the calls of its layers as Keras 3 writes them."""
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        raise FormatError("a functional model has no list of layers")
    kept: Config = {key: config[key] for key in ("name", "trainable", "input_layers", "output_layers") if key in config}
    kept["layers"] = [own_form(entry) for entry in config["layers"]]
    if any(_is_old(entry) for entry in config["layers"]):
        _count_from_zero(kept)
    return kept


def _is_old(entry: Any) -> bool:
    """Whether the calls of a layer are written as Keras 2 did."""
    nodes = entry.get("inbound_nodes") if isinstance(entry, Mapping) else None
    return isinstance(nodes, list) and any(isinstance(node, list) for node in nodes)


def _count_from_zero(config: Config) -> None:
    """Keras 2 counts the calls of a model inside a model from 1, its own inputs being call 0; layers' from 0.

    Of the outputs, only those of a nested Sequential are changed: those of a functional one Keras 3 counts from 1 too.
    """
    inner = {entry.get("name"): entry["class_name"] for entry in config["layers"] if isinstance(entry, dict)}
    inner = {name: kind for name, kind in inner.items() if kind in ("Sequential", "Functional")}
    used: dict[Any, list[list[Any]]] = {name: [] for name in inner}
    for entry in config["layers"]:
        for node in entry.get("inbound_nodes") or [] if isinstance(entry, dict) else []:
            for tensor in _tensors(node):
                if tensor[0] in used:
                    used[tensor[0]].append(tensor)
    outputs = config.get("output_layers")
    if isinstance(outputs, list):
        config["output_layers"] = outputs = [list(o) if isinstance(o, list) else o for o in outputs]
        for output in [outputs] if outputs and isinstance(outputs[0], str) else outputs:
            if isinstance(output, list) and len(output) == 3 and inner.get(output[0]) == "Sequential":
                used[output[0]].append(output)
    for tensors in used.values():
        if tensors and all(type(tensor[1]) is int and tensor[1] >= 1 for tensor in tensors):
            for tensor in tensors:
                tensor[1] -= 1


def _tensors(node: Any) -> list[list[Any]]:
    """What a call is on: the lists [layer, call, output] themselves."""
    argument = node["args"][0] if isinstance(node, dict) and node.get("args") else []
    entries = argument if isinstance(argument, list) else [argument]
    histories = [entry["config"]["keras_history"] for entry in entries if isinstance(entry, dict) and "config" in entry]
    return [history for history in histories if isinstance(history, list) and len(history) == 3]


def _nodes(nodes: Any) -> Any:
    """Calls of a layer as Keras 3 writes them; Keras 2: [[[layer, node, tensor, {}], ...], ...] for each layer."""
    if not isinstance(nodes, list):
        return nodes
    return [_call(node) if isinstance(node, list) else node for node in nodes]


def _call(node: list[Any]) -> Config:
    if node and isinstance(node[0], str):  # one tensor, not in a list
        node = [node]
    tensors = [_tensor(entry) for entry in node]
    extra: Config = {}
    for entry in node:
        if isinstance(entry, list) and len(entry) > 3 and isinstance(entry[3], Mapping):
            extra.update({k: v for k, v in entry[3].items() if v is not None})
    return {"args": [tensors if len(tensors) != 1 else tensors[0]], "kwargs": extra}


def _tensor(entry: Any) -> Config:
    if not isinstance(entry, list) or len(entry) < 3:
        raise FormatError(f"inbound_nodes: {str(entry)[:100]} is no call of a layer")
    return {"class_name": "__keras_tensor__", "config": {"shape": None, "keras_history": list(entry[:3])}}


# --- arguments that had, or have, another name ------------------------------------------------------------------

_RENAMED = {
    "InputLayer": {"batch_input_shape": "batch_shape"},
    "LeakyReLU": {"alpha": "negative_slope"},
}
_MEANINGLESS = {
    "BatchNormalization": ("renorm_momentum", "renorm_clipping"),  # without renorm, which is refused where it is on
    "Embedding": ("input_length",),
}
_FLOATS = ("float16", "float32", "float64")  # float16 and float64 layers are computed in float32 here
_OTHERS = ("bool", "uint8", "int8", "int16", "int32", "int64", "string")


def _arguments(name: str, config: Mapping[str, Any]) -> Config:
    """Arguments of a constructor, by the names they have today."""
    config = {_RENAMED.get(name, {}).get(key, key): own_form(value) for key, value in config.items()}
    for key in _MEANINGLESS.get(name, ()):
        config.pop(key, None)
    if isinstance(config.get("dtype"), str):
        _check_dtype(config["dtype"], (*_FLOATS, *_OTHERS))
        if name != "InputLayer":
            del config["dtype"]
    shape = config.get("batch_input_shape")
    if isinstance(shape, list) and None in shape[1:]:  # an Embedding's of Keras 2, which takes any length
        del config["batch_input_shape"]
    if isinstance(config.get("vocabulary"), str):
        raise FormatError(f"the vocabulary of a {name} is a file of another name, which is not opened")
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:  # Keras 2 has [1] for BatchNormalization
        config["axis"] = axis[0]
    return config


def _check_dtype(name: Any, allowed: tuple[str, ...] = _FLOATS) -> None:
    if name not in allowed:
        raise FormatError(f"its layers compute by the policy {str(name)[:100]!r}; lanewise computes in float32")


# --- what a model was compiled with -----------------------------------------------------------------------------


def compile_form(config: Mapping[str, Any], outputs: Sequence[str] = ()) -> Config:
    """{"optimizer", "loss", "metrics", ...} of Keras 3's compile_config or of the training_config of an .h5 file.

    Args:
        config: what Keras wrote.
        outputs: names of the model's outputs.
    """
    optimizer = own_form(config.get("optimizer_config", config.get("optimizer")))
    if isinstance(optimizer, str):
        optimizer = {"class_name": optimizer, "config": {}}
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("config"), dict):
        raise FormatError(f"optimizer: {str(optimizer)[:100]} is none")
    result = {
        "optimizer": {**optimizer, "config": _optimizer_arguments(optimizer["config"])},
        "loss": _each(own_form(config.get("loss")), places=True),
        "metrics": _each(own_form(config.get("metrics"))),
        "weighted_metrics": _each(own_form(config.get("weighted_metrics"))),
    }
    if config.get("loss_weights") is not None:
        result["loss_weights"] = own_form(config["loss_weights"])
    for key in ("metrics", "weighted_metrics"):
        _without_outputs(result[key], outputs)
    return result


def _without_outputs(given: Any, outputs: Sequence[str]) -> None:
    """Keras 2 has the name of the output in that of its metrics, if there are several: `price_mae`."""
    if len(outputs) < 2 or not isinstance(given, list) or len(given) != len(outputs):
        return
    for output, items in zip(outputs, given, strict=True):
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and str(item["config"].get("name")).startswith(f"{output}_"):
                item["config"]["name"] = item["config"]["name"].removeprefix(f"{output}_")


def _optimizer_arguments(config: Config) -> Config:
    """Arguments of an optimizer: `lr` and `decay` of old, and settings of averages that are not taken."""
    config = dict(config)
    for key in ("jit_compile", "is_legacy_optimizer", "schedule_decay"):
        config.pop(key, None)
    if not config.get("use_ema"):
        config = {key: value for key, value in config.items() if key not in ("ema_momentum", "ema_overwrite_frequency")}
    if "lr" in config:
        config["learning_rate"] = config.pop("lr")
    decay = config.pop("decay", None)
    if decay:  # lr/(1 + decay*steps)
        schedule = {"initial_learning_rate": config["learning_rate"], "decay_steps": 1, "decay_rate": decay}
        config["learning_rate"] = {"class_name": "InverseTimeDecay", "config": schedule}
    if config.get("epsilon", 0) is None:
        del config["epsilon"]
    return config


def _each(value: Any, places: bool = False) -> Any:
    """Losses and metrics in whatever lists and dicts they stand; Keras 2 wraps a metric's function."""
    if isinstance(value, list):
        places = places or any(isinstance(item, list) for item in value)  # None holds that of an output
        return [_each(item) for item in value if item is not None or places] or None
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {key: _each(item) for key, item in value.items()}
    config = value.get("config")
    if value["class_name"] in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper") and isinstance(config, dict):
        return {"class_name": str(config.get("fn")), "config": {"name": config.get("name")}}
    if value["class_name"] == "LossFunctionWrapper" and isinstance(config, dict):
        return config.get("fn")
    return value
