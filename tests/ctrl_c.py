"""Ctrl-C while networks are trained side by side."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_when(begun: threading.Event) -> Iterator[None]:
    """SIGINT to this process once the event is set."""

    def interrupt() -> None:
        begun.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    killer = threading.Thread(target=interrupt)
    killer.start()
    yield
    killer.join()


def assert_no_thread_is_left() -> None:
    """None that trained is alive."""
    for thread in threading.enumerate():
        if thread.name.startswith("fit_many"):
            thread.join(1)
            assert not thread.is_alive()
