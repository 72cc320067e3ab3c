"""`keras.optimizers.legacy`: the objects of `lanewise.optimizers.legacy`."""

from ... import _missing
from ...optimizers import legacy as _source
from ...optimizers.legacy import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
