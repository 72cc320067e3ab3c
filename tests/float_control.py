"""The control word of this thread's SSE unit, through glibc: what other libraries may set, and we must put back."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

REACHABLE = platform.machine() in ("x86_64", "AMD64") and platform.libc_ver()[0] == "glibc"

FLUSH = 0x8040  # flush-to-zero with denormals-are-zero
UPWARD = 0x4000  # rounding towards +infinity


def mxcsr(value: int | None = None) -> int:
    """MXCSR without its status flags; set first if a value is given. glibc's fenv_t: 28 bytes of x87, then MXCSR."""
    libm, environment = ctypes.CDLL("libm.so.6"), (ctypes.c_uint32 * 8)()
    libm.fegetenv(environment)
    if value is not None:
        environment[7] = value
        libm.fesetenv(environment)
    return int(environment[7]) & 0xFFC0


@contextmanager
def control(bits: int) -> Iterator[None]:
    """These control bits on for a block, as another library may leave them."""
    before = mxcsr()
    mxcsr(before | bits)
    try:
        yield
    finally:
        mxcsr(before)
