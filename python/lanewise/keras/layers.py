"""`keras.layers`: the objects of `lanewise.layers`, in older places too."""

from .. import _missing, layers as _source
from ..layers import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__, _missing.places(
    __name__, "advanced_activations", "core", "embeddings", "experimental", "experimental.preprocessing", "merge",
    "noise", "normalization", "preprocessing",
))  # fmt: skip
