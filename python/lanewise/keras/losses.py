"""`keras.losses`: the objects of `lanewise.losses`."""

from typing import Any

from .. import _missing, losses as _source
from ..losses import *  # noqa: F403


def get(identifier: Any) -> Any:  # type: ignore[no-redef]
    """As `lanewise.losses.get`, but as in Keras a function, and the name of one, give the function: a value a row."""
    found = _source.get(identifier)
    named = getattr(_source, identifier, None) if isinstance(identifier, str) else identifier
    return named if type(named).__name__ == "function" and found is not None else found


__all__: list[str] = []
__all__ += _source.__all__

__getattr__ = _missing.getter(__name__, __all__)
