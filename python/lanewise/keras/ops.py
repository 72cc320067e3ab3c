"""`keras.ops`: operations on arrays, differentiated inside a loss, an activation or a layer of your own."""

from .. import _missing
from ..custom import neural as _neural, operations as _operations
from ..custom.neural import *  # noqa: F403
from ..custom.operations import *  # noqa: F403

__all__: list[str] = []
__all__ += _operations.__all__ + _neural.__all__

__getattr__ = _missing.getter(__name__, __all__)
