"""`keras.ops`: operations on arrays, differentiated inside a loss, an activation or a layer of your own."""

from functools import wraps as _wraps
from typing import Any as _Any

from .. import _missing
from ..custom import neural as _neural, operations as _operations
from ..custom.neural import *  # noqa: F403
from ..custom.operations import *  # noqa: F403
from ..layers.operation import is_symbolic as _is_symbolic
from ..layers.symbolic import apply as _apply

__all__: list[str] = []
__all__ += _operations.__all__ + _neural.__all__


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

__getattr__ = _missing.getter(__name__, __all__)
