"""Callbacks: what runs between epochs and batches of `fit`, by Keras's names."""

from .. import _missing
from .base import Callback, CallbackList, History, LambdaCallback, TerminateOnNaN
from .files import BackupAndRestore, CSVLogger
from .monitor import EarlyStopping, ModelCheckpoint, OptunaPruning
from .rates import LearningRateScheduler, OneCycle, ProgbarLogger, ReduceLROnPlateau, SwapEMAWeights
from .tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "OneCycle", "OptunaPruning", "ProgbarLogger", "ReduceLROnPlateau",
    "SwapEMAWeights", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
