"""`keras.models`."""

from .. import _missing, models as _source
from ..models import *  # noqa: F403
from ..saving import clone_model, load_model, model_from_config, model_from_json, save_model

__all__ = ["clone_model", "load_model", "model_from_config", "model_from_json", "save_model"]
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
