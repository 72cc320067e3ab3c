"""`keras.optimizers.legacy`: names of tf.keras for optimizers that are the same ones here."""

from .. import _missing
from .base import Optimizer
from .classes import SGD, Adadelta, Adagrad, Adam, Adamax, Ftrl, Nadam, RMSprop

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "Ftrl", "Nadam", "Optimizer", "RMSprop"]

__getattr__ = _missing.getter(__name__, __all__)
