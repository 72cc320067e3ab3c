"""`keras.activations`: the functions of `lanewise.activations`."""

from .. import _missing
from ..activations import deserialize, get, linear, relu, serialize, sigmoid, softmax, tanh

__all__ = ["deserialize", "get", "linear", "relu", "serialize", "sigmoid", "softmax", "tanh"]

__getattr__ = _missing.getter(__name__, __all__)
