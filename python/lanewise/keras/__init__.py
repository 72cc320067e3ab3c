"""The objects of lanewise where a Keras script looks for them; submodules are loaded at first use."""

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

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

_SUBMODULES = frozenset({
    "activations", "backend", "callbacks", "config", "constraints", "datasets", "initializers", "layers", "losses",
    "metrics", "models", "ops", "optimizers", "preprocessing", "random", "regularizers", "saving", "utils",
})  # fmt: skip

_HOME = {
    "Input": "layers", "InputLayer": "layers", "Layer": "layers", "Model": "models", "Sequential": "models",
    "Callback": "callbacks", "Initializer": "initializers", "Loss": "losses", "Metric": "metrics",
    "Optimizer": "optimizers", "Regularizer": "regularizers",
}  # fmt: skip

__all__ = [
    "Input", "InputLayer", "Layer", "Model", "Sequential", "__version__", "activations", "backend", "callbacks",
    "config", "constraints", "datasets", "initializers", "layers", "losses", "metrics", "models", "ops", "optimizers",
    "preprocessing", "random", "regularizers", "saving", "utils",
]  # fmt: skip


def version() -> str:
    """The version."""
    return str(__getattr__("__version__"))


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return _import_module(f"{__name__}.{name}")
    if name in _HOME:
        value = getattr(_import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name == "__version__":
        value = _import_module("..", __name__).__version__
    else:
        from .._missing import absent

        raise absent(__name__, name, __all__, _sys._getframe(1))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
