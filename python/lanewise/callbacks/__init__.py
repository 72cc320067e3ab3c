"""Callbacks: what runs between epochs and batches of `fit`, by Keras's names."""

from .. import _missing
from .base import Callback, CallbackList
from .checkpoint import ModelCheckpoint
from .early_stopping import EarlyStopping
from .simple import History, LambdaCallback, TerminateOnNaN

__all__ = [
    "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback", "ModelCheckpoint", "TerminateOnNaN",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
