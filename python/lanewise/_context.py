"""What holds in the calling thread for the length of a `with` block."""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Held(threading.local):
    """Attributes: value: of the calling thread, None outside of all blocks."""

    value: Any = None


class Within(Generic[T]):
    """A context: inside, `held.value` is this value, which the block is given.

    Leaving it takes no memory, as the reset of a ContextVar does: a load that ran out of it must not leave a process in
    which every layer begins with zeros.
    """

    def __init__(self, held: Held, value: T) -> None:
        self._held = held
        self._value = value

    def __enter__(self) -> T:
        self._before = self._held.value
        self._held.value = self._value
        return self._value

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._held.value = self._before
