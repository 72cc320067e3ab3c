"""The time that a test gives to what must not hang or dawdle, and what that takes of time and memory."""

from __future__ import annotations

import os
import time

SLOWER = int(os.environ.get("SLOWER", "1"))
"""By how much longer anything takes where the CPU is emulated (scripts/matrix.py, row no-avx)."""


def seconds() -> float:
    """A clock that stands still while this thread waits for a processor, and for nothing else."""
    with open("/proc/thread-self/schedstat") as file:
        return time.perf_counter() - int(file.read().split()[1]) / 1e9


def memory(key: str) -> int:
    """Bytes of this process: VmRSS, or VmHWM, the most since `forget_peak`."""
    with open("/proc/self/status") as file:
        text = file.read()
    return int(text[text.index(key) + len(key) + 1 :].split(maxsplit=1)[0]) * 1024


def forget_peak() -> None:
    """VmHWM begins anew."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
