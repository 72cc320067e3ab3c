"""`keras.callbacks`: the objects of `lanewise.callbacks`."""

from .. import _missing, callbacks as _source
from ..callbacks import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
