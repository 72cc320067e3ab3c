"""`keras.utils`: the objects of `lanewise.utils`."""

from .. import _missing, utils as _source
from ..saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from ..utils import *  # noqa: F403
from .config import disable_interactive_logging, enable_interactive_logging

__all__ = [
    "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "disable_interactive_logging",
    "enable_interactive_logging", "get_custom_objects", "get_registered_name", "get_registered_object",
    "register_keras_serializable", "serialize_keras_object",
]  # fmt: skip
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__, _missing.places(__name__, "np_utils"))
