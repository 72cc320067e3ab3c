"""How much memory this process holds, in KB, as exactly as can be told; imported by the processes that tests start."""

from __future__ import annotations

import ctypes

LIBC = ctypes.CDLL(None)


def counted() -> int | None:
    """What AddressSanitizer, where it is preloaded, was asked for and was not given back: it keeps that for a while."""
    if not hasattr(LIBC, "__sanitizer_get_current_allocated_bytes"):
        return None
    count = getattr(LIBC, "__sanitizer_get_current_allocated_bytes")
    count.restype = ctypes.c_size_t
    return int(count()) // 1024


def resident() -> int:
    """What the kernel has given: exactly, where /proc/self/status may be 128 KB off for each CPU."""
    if (count := counted()) is not None:
        return count
    if hasattr(LIBC, "malloc_trim"):  # what malloc keeps for later swings by a megabyte where threads begin and end
        LIBC.malloc_trim(0)
    with open("/proc/self/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))


def in_use() -> int:
    """What malloc was asked for and was not given back; what the kernel says where the C library does not count."""
    if counted() is not None or not hasattr(LIBC, "mallinfo2"):
        return resident()

    class Info(ctypes.Structure):
        names = ("arena", "ord", "smb", "hblk", "mapped", "usm", "fsm", "used", "free", "keep")
        _fields_ = [(name, ctypes.c_size_t) for name in names]

    LIBC.mallinfo2.restype = Info
    info = LIBC.mallinfo2()
    return int(info.used + info.mapped) // 1024
