"""Losses, by Keras's names: classes, and functions (y_true, y_pred) -> one value a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing
from .._names import deserialize as _deserialize, lookup, resolve, serialize, table_of
from .classes import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error

_TABLE: dict[str, type[Loss]] = table_of(
    MeanSquaredError, MeanAbsoluteError, Huber, BinaryCrossentropy, CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    mse=MeanSquaredError, MSE=MeanSquaredError, mae=MeanAbsoluteError, MAE=MeanAbsoluteError, bce=BinaryCrossentropy,
    BCE=BinaryCrossentropy, huber_loss=Huber,
)  # fmt: skip

_FUNCTIONS: dict[Any, str] = {
    function: function.__name__
    for function in (
        mean_squared_error, mean_absolute_error, huber, binary_crossentropy, categorical_crossentropy,
        sparse_categorical_crossentropy,
    )
}  # fmt: skip


def function_name(identifier: Any) -> Any:
    """The name of one of this package's functions; anything else as it is.

    Raises:
        NotImplementedError: a function of the user's.
    """
    if callable(identifier) and type(identifier).__name__ in ("function", "builtin_function_or_method", "method"):
        if identifier in _FUNCTIONS:
            return _FUNCTIONS[identifier]
        raise NotImplementedError(
            f"a loss or metric of your own cannot run inside the engine yet: {identifier!r}; "
            f"available: {', '.join(_FUNCTIONS.values())}"
        )
    return identifier


def get_class(name: str) -> type[Loss]:
    """The class of this name."""
    return lookup("loss", name, _TABLE)


def get(identifier: Any) -> Loss:
    """A loss from a name, a config, a class, an instance or one of this package's functions."""
    return resolve("loss", function_name(identifier), _TABLE, Loss)


def deserialize(config: Mapping[str, Any]) -> Loss:
    """The loss that `serialize` described."""
    return _deserialize("loss", config, _TABLE)


__all__ = [
    "MAE", "MSE", "BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "Loss", "MeanAbsoluteError",
    "MeanSquaredError", "SparseCategoricalCrossentropy", "binary_crossentropy", "categorical_crossentropy",
    "deserialize", "get", "get_class", "huber", "mae", "mean_absolute_error", "mean_squared_error", "mse", "serialize",
    "sparse_categorical_crossentropy",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
