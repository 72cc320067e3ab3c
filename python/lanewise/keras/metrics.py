"""`keras.metrics`: the objects of `lanewise.metrics`."""

from .. import _missing, metrics as _source
from ..metrics import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
