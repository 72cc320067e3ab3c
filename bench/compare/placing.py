"""Where the arrays lie that libraries take from NumPy: A, B and C of products, those of functions, the rows of x.

A vector that lies in two cache lines is two reads, and an array from a heap begins 0, 16, 32 or 48 bytes after a line,
as that process has allocated before: NumPy's 2x512x512 takes 14 us or 25. Two processes of one library have the same
luck, so that A/A does not show it. JAX copies its inputs, and PyTorch allocates results of functions itself, on a line.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

VARIABLE = "LANEWISE_BENCH_AFTER"
AFTER = (16, 0)
"""Bytes after a line: where NumPy's large arrays begin, and where those of libraries that align begin."""

_PAGE, _LINE = 4096, 64


def empty(shape: tuple[int, ...], number: int = 0) -> NDArray[np.float32]:
    """A new float32 array.

    Args:
        shape: of the array.
        number: of those that are used together; each lies 11 lines further in its page, for loads look like the stores
            before them where their last twelve bits are alike.
    """
    size = 4 * int(np.prod(shape))
    memory = np.empty(size + 2 * _PAGE, np.uint8)
    after = int(os.environ.get(VARIABLE, AFTER[0])) + number * 11 * _LINE
    start = -memory.ctypes.data % _PAGE + after % _PAGE
    return memory[start : start + size].view(np.float32).reshape(shape)


def placed(values: NDArray[np.float32], number: int = 0) -> NDArray[np.float32]:
    """A copy there, row-major."""
    copy = empty(values.shape, number)
    copy[...] = values
    return copy
