"""`keras.models`: the objects of `lanewise.models`."""

from typing import TYPE_CHECKING

from .. import _missing, models as _source

if TYPE_CHECKING:
    from ..models import *  # noqa: F403

__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__, homes=dict.fromkeys(__all__, "lanewise.models"))
__dir__ = _missing.lister(globals(), __all__)
