"""`keras.saving`: the objects of `lanewise.saving`."""

from .. import _missing, saving as _source
from ..saving import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
