"""`keras.layers.merge`: an older place of the same objects."""

from ... import _missing, layers as _source
from ...layers import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
