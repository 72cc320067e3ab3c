"""`keras.models`."""

from .. import _missing, models as _source
from ..models import *  # noqa: F403
from ..saving import load_model, save_model

__all__ = ["load_model", "save_model"]
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
