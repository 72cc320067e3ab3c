"""Fashion-MNIST: pictures of clothes (Zalando, MIT licence)."""

import gzip
import os

import numpy as np

from ...utils import get_file
from ._read import BASE, Array, Split


def load_data() -> Split:
    """60,000 and 10,000 grey images, uint8 (n, 28, 28), and their kinds 0 to 9, uint8 (n,).

    Returns:
        (x_train, y_train), (x_test, y_test).
    """
    (y_train, x_train), (y_test, x_test) = ((_labels(part), _images(part)) for part in ("train", "t10k"))
    return (x_train, y_train), (x_test, y_test)


def _bytes(name: str, header: int) -> Array:
    path = get_file(name, origin=BASE + name, cache_subdir=os.path.join("datasets", "fashion-mnist"))
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def _labels(part: str) -> Array:
    return _bytes(f"{part}-labels-idx1-ubyte.gz", 8)


def _images(part: str) -> Array:
    return _bytes(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
