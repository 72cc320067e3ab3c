"""`keras.layers.experimental`: an older place of preprocessing layers."""

from .... import _missing
from . import preprocessing

__all__ = ["preprocessing"]

__getattr__ = _missing.getter(__name__, __all__)
