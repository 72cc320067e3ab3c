"""Where arrays lie. A vector that lies in two cache lines is two reads, and an array from a heap begins 0, 16, 32 or 48
bytes after a line, as that process has allocated before: NumPy's 2x512x512 takes 14 us or 25. Two processes of one
library have the same luck, so that A/A does not show it. Here all have NumPy's usual place for a large array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PAGE, _LINE, _AFTER = 4096, 64, 16


def empty(shape: tuple[int, ...], number: int = 0) -> NDArray[np.float32]:
    """A new float32 array, 16 bytes after a cache line.

    Args:
        shape: of the array.
        number: of those that are used together; each lies 21 lines further in its page, for loads look like the stores
            before them where their last twelve bits are alike.
    """
    size = 4 * int(np.prod(shape))
    memory = np.empty(size + 2 * _PAGE, np.uint8)
    start = -memory.ctypes.data % _PAGE + (_AFTER + number * 21 * _LINE) % _PAGE
    return memory[start : start + size].view(np.float32).reshape(shape)


def placed(values: NDArray[np.float32], number: int = 0) -> NDArray[np.float32]:
    """A copy there, row-major."""
    copy = empty(values.shape, number)
    copy[...] = values
    return copy
