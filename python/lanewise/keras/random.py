"""`keras.random`."""

from .. import _missing, random as _source
from ..random import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
