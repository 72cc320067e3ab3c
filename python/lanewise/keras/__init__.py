"""The objects of lanewise where a Keras script looks for them; submodules are loaded at first use."""

from typing import TYPE_CHECKING

from .. import _missing

if TYPE_CHECKING:
    from .. import __version__
    from ..layers import Input, InputLayer, Layer
    from ..models import Model, Sequential
    from . import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        preprocessing,
        random,
        regularizers,
        saving,
        utils,
    )

__all__ = [
    "Input", "InputLayer", "Layer", "Model", "Sequential", "__version__", "activations", "backend", "callbacks",
    "config", "constraints", "datasets", "initializers", "layers", "losses", "metrics", "models", "ops", "optimizers",
    "preprocessing", "random", "regularizers", "saving", "utils",
]  # fmt: skip

_SUBMODULES = [name for name in __all__ if name[0].islower()]
_HOMES = {
    "Input": "lanewise.layers", "InputLayer": "lanewise.layers", "Layer": "lanewise.layers",
    "Model": "lanewise.models", "Sequential": "lanewise.models", "Callback": "lanewise.callbacks",
    "Initializer": "lanewise.initializers", "Loss": "lanewise.losses", "Metric": "lanewise.metrics",
    "Optimizer": "lanewise.optimizers", "Regularizer": "lanewise.regularizers", "__version__": "lanewise",
    "device": "lanewise",
}  # fmt: skip


def version() -> str:
    """The version."""
    return str(__getattr__("__version__"))


__getattr__ = _missing.getter(__name__, __all__, _SUBMODULES, _HOMES)
__dir__ = _missing.lister(globals(), __all__)
