"""Models: what a person builds, trains, evaluates and predicts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _missing
from .._names import from_description, lookup
from .functional import Functional
from .model import Model
from .sequential import Sequential

if TYPE_CHECKING:
    from ..saving import clone_model, load_model, model_from_config, model_from_json, save_model

_TABLE: dict[str, type[Any]] = {"Sequential": Sequential, "Functional": Functional, "Model": Functional}


def get_class(name: str) -> type[Any]:
    """The class of models of this name, from a closed table."""
    return lookup("model", name, _TABLE)


@from_description
def deserialize(config: Mapping[str, Any]) -> Any:
    """A new model from {"class_name", "config"}, which may be Keras's."""
    return get_class(config["class_name"]).from_config(config["config"])


__all__ = ["clone_model", "load_model", "model_from_config", "model_from_json", "save_model"]
_HOMES = dict.fromkeys(__all__, "lanewise.saving")  # 10 ms of imports
__all__ += ["Functional", "Model", "Sequential"]

__getattr__ = _missing.getter(__name__, __all__, homes=_HOMES)
__dir__ = _missing.lister(globals(), __all__)
