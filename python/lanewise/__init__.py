"""lanewise: dense neural networks on the CPU, Keras-shaped, over hand-written SIMD kernels.

Everything is loaded at first use, so that `import lanewise` costs next to nothing beside NumPy. `import lanewise as lw`
is the native spelling; `import lanewise as tf` with `tf.keras...` runs Keras scripts of dense layers.
"""

import sys as _sys
from importlib import import_module as _import_module

TYPE_CHECKING = False  # `typing` would take longer than all the rest; type checkers know the name
if TYPE_CHECKING:
    from typing import Any

    from . import (
        activations,
        callbacks,
        config,
        constraints,
        initializers,
        keras,
        layers,
        losses,
        metrics,
        models,
        nn,
        ops,
        optimizers,
        random,
        regularizers,
        saving,
        sklearn as sklearn,
        tabular as tabular,
        utils,
    )
    from ._fingerprint import fingerprint
    from .layers import Input
    from .many import Ensemble, fit_many, halving, lr_find
    from .models import Model, Sequential
    from .ops import (
        active_isa,
        available_isas,
        build_info,
        compiled_isas,
        get_num_threads,
        set_num_threads,
        use_isa,
    )
    from .saving import from_keras, load_model, to_keras

    __version__: str

_SUBMODULES = frozenset({
    "activations", "callbacks", "config", "constraints", "initializers", "keras", "layers", "losses", "metrics",
    "models", "nn", "ops", "optimizers", "random", "regularizers", "saving", "sklearn", "tabular",
    "utils",
})  # fmt: skip

_HOME = {
    "Ensemble": "many",
    "Input": "layers",
    "Model": "models",
    "Sequential": "models",
    "from_keras": "saving",
    "load_model": "saving",
    "to_keras": "saving",
    "fingerprint": "_fingerprint",
    "fit_many": "many",
    "halving": "many",
    "lr_find": "many",
    "active_isa": "ops",
    "available_isas": "ops",
    "build_info": "ops",
    "compiled_isas": "ops",
    "get_num_threads": "ops",
    "set_num_threads": "ops",
    "use_isa": "ops",
}

__all__ = [
    "Ensemble", "Input", "Model", "Sequential", "__version__", "activations", "active_isa", "available_isas",
    "build_info",
    "callbacks", "compiled_isas", "config", "constraints", "fingerprint", "fit_many", "from_keras", "get_num_threads",
    "halving", "initializers", "keras", "layers", "load_model", "losses", "lr_find", "metrics", "models", "nn", "ops",
    "optimizers", "random", "regularizers", "saving", "set_num_threads", "to_keras", "use_isa", "utils",
]  # fmt: skip


def __getattr__(name: str) -> "Any":
    if name in _SUBMODULES:
        return _import_module(f"{__name__}.{name}")
    if name in _HOME:
        value = getattr(_import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name == "__version__":
        value = _import_module(f"{__name__}.ops").build_info()["version"]
    elif name == "datasets":
        return _import_module(f"{__name__}.keras.datasets")
    elif not name.startswith("_") and name in (tensorflow := _import_module(f"{__name__}._tensorflow")).__all__:
        value = getattr(tensorflow, name)
    else:
        from ._missing import absent

        raise absent(__name__, name, __all__, _sys._getframe(1))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES} - {"TYPE_CHECKING"})
