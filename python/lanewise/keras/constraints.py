"""`keras.constraints`: the objects of `lanewise.constraints`."""

from .. import _missing, constraints as _source
from ..constraints import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
