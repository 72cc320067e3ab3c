"""`keras.models`."""

from .. import _missing
from ..models import Sequential
from ..saving import load_model, save_model

__all__ = ["Sequential", "load_model", "save_model"]

__getattr__ = _missing.getter(__name__, __all__)
