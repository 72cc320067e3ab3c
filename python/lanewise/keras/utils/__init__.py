"""`keras.utils`: the objects of `lanewise.utils`."""

from ... import _missing, utils as _source
from ...utils import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

_SUBMODULES = ("np_utils",)

__getattr__ = _missing.getter(__name__, __all__, _SUBMODULES)
