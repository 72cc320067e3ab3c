"""Metrics, by Keras's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import _missing, _registry, losses
from .._names import deserialize as _deserialize, lookup, resolve, serialize as _serialize, table_of
from ..losses.functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..losses.own import is_own_function
from .accuracy import (
    Accuracy,
    AutoAccuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .base import Metric
from .confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from .iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .means import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Gamma,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Quantile,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tweedie,
)
from .own import OwnMetric
from .scores import F1Score, FBetaScore, Mean, R2Score, Sum

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kl_divergence
bce = BCE = binary_crossentropy
logcosh = log_cosh

_TABLE: dict[str, type[Metric]] = losses.with_aliases(
    table_of(
        AUC, Accuracy, AutoAccuracy, BinaryAccuracy, BinaryCrossentropy, BinaryFocalCrossentropy, BinaryIoU,
        CategoricalAccuracy, CategoricalCrossentropy, CategoricalFocalCrossentropy, CategoricalHinge,
        CosineSimilarity, F1Score, FBetaScore, FalseNegatives, FalsePositives, Gamma, GaussianNLL, Hinge, Huber, IoU,
        KLDivergence, LogCoshError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanIoU, MeanSquaredError,
        MeanSquaredLogarithmicError, OneHotIoU, OneHotMeanIoU, Poisson, Precision, PrecisionAtRecall, Quantile,
        R2Score, Recall, RecallAtPrecision, RootMeanSquaredError, SensitivityAtSpecificity, SparseCategoricalAccuracy,
        SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, SquaredHinge,
        TopKCategoricalAccuracy, TrueNegatives, TruePositives, Tweedie,
        accuracy=AutoAccuracy, acc=AutoAccuracy, rmse=RootMeanSquaredError, RMSE=RootMeanSquaredError,
        log_cosh=LogCoshError,
    )
)  # fmt: skip

_FUNCTIONS: dict[Any, str] = {
    **losses._FUNCTIONS,
    **{
        function: function.__name__
        for function in (
            binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, sparse_top_k_categorical_accuracy,
            top_k_categorical_accuracy,
        )
    },
}  # fmt: skip


def get_class(name: str) -> type[Metric]:
    """The class of this name."""
    return lookup("metric", name, _TABLE)


def get(identifier: Any) -> Any:
    """A metric from a name, a config, a class, an instance, or a function of (y_true, y_pred).

    A metric given by name keeps that name in logs and history: 'mse' -> `mse`, `val_mse`. 'accuracy' is the accuracy
    that fits outputs and targets. None stays None.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        identifier = _registry.find_function(identifier) or identifier
    if is_own_function(identifier, _FUNCTIONS):
        return OwnMetric(identifier)
    identifier = losses.function_name(identifier, _FUNCTIONS)
    if isinstance(identifier, str):
        return lookup("metric", identifier, _TABLE)(name=identifier)
    return resolve("metric", identifier, _TABLE, Metric)


def serialize(metric: Metric | Callable[..., Any]) -> Any:
    """A metric as plain JSON values: the name of a function of this package, else its class name and config."""
    return _serialize(metric) if isinstance(metric, Metric) else losses.function_name(metric, _FUNCTIONS)


def deserialize(config: str | Mapping[str, Any]) -> Metric:
    """The metric that `serialize` described."""
    return lookup("metric", config, _TABLE)() if isinstance(config, str) else _deserialize("metric", config, _TABLE)


__all__ = [
    "AUC", "BCE", "KLD", "MAE", "MAPE", "MSE", "MSLE", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy",
    "BinaryFocalCrossentropy", "BinaryIoU", "CategoricalAccuracy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalHinge", "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives",
    "FalsePositives", "Gamma", "GaussianNLL", "Hinge", "Huber", "IoU", "KLDivergence", "LogCoshError", "Mean",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU", "MeanSquaredError", "MeanSquaredLogarithmicError",
    "Metric", "OneHotIoU", "OneHotMeanIoU", "Poisson", "Precision", "PrecisionAtRecall", "Quantile", "R2Score",
    "Recall", "RecallAtPrecision", "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge",
    "Sum", "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives", "Tweedie", "bce", "binary_accuracy",
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_accuracy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_hinge", "deserialize", "get", "get_class", "hinge", "huber",
    "kl_divergence", "kld", "log_cosh", "logcosh", "mae", "mape", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "mse", "msle", "poisson",
    "serialize", "sparse_categorical_accuracy", "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy", "squared_hinge", "top_k_categorical_accuracy",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
