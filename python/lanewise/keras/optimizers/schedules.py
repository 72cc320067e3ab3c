"""`keras.optimizers.schedules`: the objects of `lanewise.optimizers.schedules`."""

from ... import _missing
from ...optimizers import schedules as _source
from ...optimizers.schedules import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
