"""Models and weights in files, and the user's own classes by name. docs/format.md describes the formats."""

from .. import _missing
from .._registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from .convert import from_keras, to_keras
from .describe import (
    clone_model,
    deserialize_keras_object,
    model_from_config,
    model_from_json,
    serialize_keras_object,
)
from .model import check_suffix, load_model, load_weights, save_model, save_weights

__all__ = [
    "CustomObjectScope", "check_suffix", "clone_model", "custom_object_scope", "deserialize_keras_object", "from_keras",
    "get_custom_objects", "get_registered_name", "get_registered_object", "load_model", "load_weights",
    "model_from_config", "model_from_json", "register_keras_serializable", "save_model", "save_weights",
    "serialize_keras_object", "to_keras",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
