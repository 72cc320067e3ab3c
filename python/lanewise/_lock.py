"""The lock of a model's weights."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class SharedLock:
    """Many readers (predict) or one writer (a slice of training); a waiting writer goes first.

    Ctrl-C may come between any two calls of Python functions, so the mutex is entered as what it is, a lock written in
    C, and not through its Condition, whose methods are Python.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._readers = 0
        self._writers_waiting = 0
        self._writing = False
        self._writer = 0  # the thread that writes

    def _check_not_within(self) -> None:
        """A loss or metric in Python that asks its own model would wait for the step that it is part of, for ever."""
        if self._writing and self._writer == threading.get_ident():
            raise RuntimeError(
                "a loss, metric or layer written in Python was called by a step of this model and cannot use the model "
                "itself: it would wait for that step to end"
            )

    def read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """function(*args), which reads weights."""
        held = False  # so that Ctrl-C at any moment leaves the lock free
        try:
            with self._mutex:
                if self._writing or self._writers_waiting:
                    self._check_not_within()
                    self._changed.wait_for(lambda: not self._writing and self._writers_waiting == 0)
                held = True
                self._readers += 1
            return function(*args, **kwargs)
        finally:
            if held:
                with self._mutex:
                    self._readers -= 1
                    if self._writers_waiting:
                        self._changed.notify_all()

    def write(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """function(*args), which changes weights."""
        held = False
        try:
            with self._mutex:
                if self._writing or self._readers:
                    self._check_not_within()
                    self._writers_waiting += 1
                    try:
                        self._changed.wait_for(lambda: not self._writing and self._readers == 0)
                    finally:
                        self._writers_waiting -= 1
                self._writer = threading.get_ident()
                held = self._writing = True
            return function(*args, **kwargs)
        finally:
            if held:
                with self._mutex:
                    self._writing = False
                    self._changed.notify_all()
