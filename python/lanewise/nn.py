"""`tf.nn`: the activation functions."""

from . import _missing
from .activations import relu, sigmoid, softmax, tanh

__all__ = ["relu", "sigmoid", "softmax", "tanh"]

__getattr__ = _missing.getter(__name__, __all__)
