"""`keras.preprocessing`."""

from ... import _missing
from . import sequence

__all__ = ["sequence"]

__getattr__ = _missing.getter(__name__, __all__)
