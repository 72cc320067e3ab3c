"""Metrics, by Keras's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _missing, _registry, losses
from .._names import deserialize as _deserialize, lookup, resolve, serialize, table_of
from ..losses.own import is_own_function
from .classes import (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
)
from .own import OwnMetric

mse = MSE = mean_squared_error = losses.mean_squared_error
mae = MAE = mean_absolute_error = losses.mean_absolute_error

_TABLE: dict[str, type[Metric]] = table_of(
    Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy, Huber,
    MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError, SparseCategoricalAccuracy, SparseCategoricalCrossentropy,
    acc=Accuracy, mse=MeanSquaredError, MSE=MeanSquaredError, mae=MeanAbsoluteError, MAE=MeanAbsoluteError,
    rmse=RootMeanSquaredError, RMSE=RootMeanSquaredError, bce=BinaryCrossentropy, BCE=BinaryCrossentropy,
)  # fmt: skip


def get_class(name: str) -> type[Metric]:
    """The class of this name."""
    return lookup("metric", name, _TABLE)


def get(identifier: Any) -> Metric:
    """A metric from a name, a config, a class, an instance, or a function of (y_true, y_pred).

    A metric given by name keeps that name in logs and history: 'mse' -> `mse`, `val_mse`.
    """
    if isinstance(identifier, str):
        identifier = _registry.find_function(identifier) or identifier
    if is_own_function(identifier, losses._FUNCTIONS):
        return OwnMetric(identifier)
    identifier = losses.function_name(identifier)
    if isinstance(identifier, str):
        return lookup("metric", identifier, _TABLE)(name=identifier)
    return resolve("metric", identifier, _TABLE, Metric)


def deserialize(config: Mapping[str, Any]) -> Metric:
    """The metric that `serialize` described."""
    return _deserialize("metric", config, _TABLE)


__all__ = [
    "MAE", "MSE", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy",
    "Huber", "MeanAbsoluteError", "MeanSquaredError", "Metric", "RootMeanSquaredError", "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy", "deserialize", "get", "get_class", "mae", "mean_absolute_error",
    "mean_squared_error", "mse", "serialize",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
