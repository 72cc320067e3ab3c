"""`keras.datasets`: Keras's cache, file names, addresses and hashes; what is not there is downloaded by `load_data`."""

from ... import _missing
from . import boston_housing, california_housing, cifar10, cifar100, fashion_mnist, imdb, mnist, reuters

__all__ = ["boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters"]

__getattr__ = _missing.getter(__name__, __all__)
