"""What CIFAR-10 and CIFAR-100 share: batches of colour images in pickle files."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ...utils import get_file
from ._read import Array, ArrayUnpickler


def unpacked(folder: str, archive: str, file_hash: str, inner: str) -> str:
    """The folder that holds the batches."""
    origin = f"https://www.cs.toronto.edu/~kriz/{archive}"
    return os.path.join(get_file(folder, origin=origin, extract=True, file_hash=file_hash), inner)


def load_batches(folder: str, names: Sequence[str], labels: str) -> tuple[Array, Array]:
    """(images (n, 32, 32, 3), labels (n, 1)), uint8."""
    images, numbers = [], []
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            batch = ArrayUnpickler(file, encoding="bytes").load()
        images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32))
        numbers.append(np.asarray(batch[labels.encode()], np.uint8).reshape(-1, 1))
    return np.concatenate(images).transpose(0, 2, 3, 1), np.concatenate(numbers)
