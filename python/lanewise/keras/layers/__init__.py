"""`keras.layers`: the objects of `lanewise.layers`."""

from ... import _missing, layers as _source
from ...layers import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

_SUBMODULES = ("advanced_activations", "core", "embeddings", "experimental", "merge", "noise", "normalization")

__getattr__ = _missing.getter(__name__, __all__, _SUBMODULES)
