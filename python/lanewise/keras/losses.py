"""`keras.losses`: the objects of `lanewise.losses`."""

from .. import _missing, losses as _source
from ..losses import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
