"""`keras.preprocessing.sequence`."""

from ... import _missing
from ...utils import pad_sequences

__all__ = ["pad_sequences"]

__getattr__ = _missing.getter(__name__, __all__)
