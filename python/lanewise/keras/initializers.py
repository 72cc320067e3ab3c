"""`keras.initializers`: the objects of `lanewise.initializers`."""

from .. import _missing, initializers as _source
from ..initializers import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
