"""MNIST: handwritten digits (LeCun, Cortes, Burges)."""

import numpy as np

from ...utils import get_file
from ._read import BASE, Split

_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> Split:
    """60,000 and 10,000 grey images, uint8 (n, 28, 28), and their digits, uint8 (n,).

    Args:
        path: name of the file in the cache.

    Returns:
        (x_train, y_train), (x_test, y_test).
    """
    with np.load(get_file(path, origin=f"{BASE}mnist.npz", file_hash=_HASH), allow_pickle=False) as file:
        return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])
