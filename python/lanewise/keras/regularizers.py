"""`keras.regularizers`: the objects of `lanewise.regularizers`."""

from .. import _missing, regularizers as _source
from ..regularizers import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
