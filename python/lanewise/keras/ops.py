"""`keras.ops`: operations on arrays, differentiated inside a loss, an activation or a layer of your own."""

from functools import wraps as _wraps
from typing import Any as _Any

from .. import _missing
from ..custom import moves as _moves, neural as _neural, operations as _operations
from ..custom.moves import *  # noqa: F403
from ..custom.neural import *  # noqa: F403
from ..custom.operations import *  # noqa: F403
from ..layers.operation import is_symbolic as _is_symbolic
from ..layers.symbolic import apply as _apply

__all__: list[str] = []
__all__ += _operations.__all__ + _moves.__all__ + _neural.__all__


def _dispatching(function: _Any) -> _Any:
    """The function, which makes a layer where it is called on symbolic tensors."""
    name = function.__name__

    @_wraps(function)
    def called(*args: _Any, **kwargs: _Any) -> _Any:
        if _is_symbolic(args) or _is_symbolic(kwargs) or (args and _is_symbolic(args[0])):
            return _apply(name, *args, **kwargs)
        return function(*args, **kwargs)

    return called


globals().update({_name: _dispatching(globals()[_name]) for _name in __all__})


def _module(name: str, names: list[str]) -> _Any:
    """`keras.ops.<name>`: some of these functions."""
    return _missing.module_of(f"{__name__}.{name}", **{key: globals()[key] for key in names})


_NEURAL = [*_neural.__all__, "normalize", "one_hot"]
_NO_ARRAYS = {*_NEURAL, "cast", "convert_to_numpy", "convert_to_tensor", "erf", "is_tensor",
              "logsumexp", "rsqrt", "shape", "stop_gradient", "top_k"}  # fmt: skip
nn = _module("nn", _NEURAL)
linalg = _module("linalg", ["norm"])
numpy = _module("numpy", [_name for _name in __all__ if _name not in _NO_ARRAYS])
__all__ += ["linalg", "nn", "numpy"]

__getattr__ = _missing.getter(__name__, __all__)
