"""`keras.optimizers.legacy`: an older place of the same objects."""

from ... import _missing, optimizers as _source
from ...optimizers import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
