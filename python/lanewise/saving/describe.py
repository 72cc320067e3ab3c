"""Models and objects as JSON, and back: `to_json`, `model_from_json`, `clone_model`, `keras.saving`'s serializers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _registry, constraints, initializers, layers, losses, metrics, models, optimizers, regularizers
from .._given import is_model
from .._names import Configurable, from_description, serialize
from ..initializers.base import few_items
from ..models import config as clone
from . import keras_read, keras_write
from .archive import MAX_ITEMS, parsed
from .keras_zip import MAX_CONFIG, form_text
from .shapes import check_size

_PLACES: tuple[tuple[str, Any, type[Any]], ...] = (
    ("keras.layers", layers, layers.Layer),
    ("keras.losses", losses, losses.Loss),
    ("keras.metrics", metrics, metrics.Metric),
    ("keras.optimizers", optimizers, optimizers.Optimizer),
    ("keras.initializers", initializers, initializers.Initializer),
    ("keras.regularizers", regularizers, regularizers.Regularizer),
    ("keras.constraints", constraints, constraints.Constraint),
)


# --- models -----------------------------------------------------------------------------------------------------


def to_json(model: Any, **kwargs: Any) -> str:
    """The layers of a model as JSON that Keras 3 reads too; no weights, nothing of `compile`.

    Args:
        model: any model.
        **kwargs: for `json.dumps`.

    Raises:
        ValueError: a longer description than `model_from_json` takes, or one layer in two models of each other.
    """
    clone.check_apart(model)
    return form_text(keras_write.model_form(model), **kwargs)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new model, with new weights, from `model.to_json()` of lanewise or of Keras 2 or 3.

    Raises:
        ValueError: no JSON, no description of a model, or classes that lanewise does not have.
        NotImplementedError: another value of an argument that is only taken at its default.
    """
    try:
        config = parsed(json_string, MAX_CONFIG)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"json_string: expected JSON, received {json_string[:60]!r}: {error}") from None
    return model_from_config(config, custom_objects)


@from_description
def model_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new model, with new weights, from {"class_name", "config"}.

    Raises:
        ValueError: no description of a model, or classes that lanewise does not have.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("class_name"), str) or "config" not in config:
        raise ValueError(f"config: expected {{'class_name': ..., 'config': {{...}}}}, received {str(config)[:200]}")
    check_size(config["config"])
    with _registry.CustomObjectScope(custom_objects), few_items(MAX_ITEMS):
        model = models.deserialize(keras_read.own_form(config))
        compiled = config.get("compile_config")
        if isinstance(compiled, Mapping) and compiled.get("optimizer") is not None:
            model.compile_from_config(keras_read.compile_form(compiled))
    return model


clone_model = clone.clone_model


# --- objects ----------------------------------------------------------------------------------------------------


def serialize_keras_object(obj: Any) -> Any:
    """An object as Keras 3 describes it, {"module", "class_name", "config", "registered_name"}; lists, dicts of them.

    Raises:
        TypeError: no object that can be described.
    """
    if obj is None or isinstance(obj, str | int | float | bool):
        return obj
    if isinstance(obj, list | tuple):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(item) for key, item in obj.items()}
    if is_model(obj):
        return keras_write.model_form(obj)
    for module, _, base in _PLACES:
        if isinstance(obj, base):
            return (
                keras_write.layer_form(obj) if base is layers.Layer else keras_write.keras_form(serialize(obj), module)
            )
    if hasattr(obj, "tolist"):
        return obj.tolist()
    if callable(obj) and hasattr(obj, "__name__"):
        name = _registry.get_registered_name(obj)
        return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}
    raise TypeError(f"obj: expected an object of lanewise, received {obj!r} of type {type(obj).__name__}")


@from_description
def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object that `serialize_keras_object` of lanewise or Keras described; only known classes are made.

    Args:
        config: the description; plain values come back as they are.
        custom_objects: name -> class of yours.
        safe_mode: accepted; Python code in a description is always refused.
        **kwargs: accepted.

    Raises:
        ValueError: an unknown class.
    """
    if isinstance(config, list | tuple):
        return [deserialize_keras_object(item, custom_objects) for item in config]
    if not isinstance(config, Mapping):
        return config
    with _registry.CustomObjectScope(custom_objects):
        if not isinstance(config.get("class_name"), str) or "config" not in config:
            return {key: deserialize_keras_object(item) for key, item in config.items()}
        own = keras_read.own_form(config)
        if not isinstance(own, dict):
            return _registry.find_function(own) or own if isinstance(own, str) else own
        name = own["class_name"]
        if name in ("Sequential", "Functional"):
            return model_from_config(config)
        custom = _registry.find_class(name)
        if custom is not None and issubclass(custom, Configurable):
            return custom.from_config(own["config"])
        module = config.get("module")
        places = [table for place, table, _ in _PLACES if module is None or place == module]
        for table in places or [table for _, table, _ in _PLACES]:
            try:
                table.get_class(name)
            except ValueError:
                continue
            return table.deserialize(own)
    raise ValueError(f"config: lanewise has no {name!r} in {module!r}")
