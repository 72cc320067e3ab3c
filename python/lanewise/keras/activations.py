"""`keras.activations`: the functions of `lanewise.activations`."""

from .. import _missing, activations as _source
from ..activations import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
