"""`keras.random`."""

from .. import _missing
from ..random import set_seed

__all__ = ["set_seed"]

__getattr__ = _missing.getter(__name__, __all__)
