"""`keras.models`."""

from typing import TYPE_CHECKING

from .. import _missing, models as _source
from ..models import *  # noqa: F403

if TYPE_CHECKING:
    from ..saving import clone_model, load_model, model_from_config, model_from_json, save_model

__all__ = ["clone_model", "load_model", "model_from_config", "model_from_json", "save_model"]
_HOMES = dict.fromkeys(__all__, "lanewise.saving")  # 10 ms of imports
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__, homes=_HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
