"""`keras.optimizers`: the objects of `lanewise.optimizers`."""

from ... import _missing, optimizers as _source
from ...optimizers import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

_SUBMODULES = ("legacy", "schedules")

__getattr__ = _missing.getter(__name__, __all__, _SUBMODULES)
