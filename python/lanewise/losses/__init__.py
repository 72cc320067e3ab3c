"""Losses, by Keras's names: classes, and functions (y_true, y_pred) -> one value a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import _missing, _registry
from .._names import deserialize as _deserialize, lookup, resolve, serialize as _serialize, snake_case, table_of
from . import functions
from .base import Loss
from .classification import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_similarity,
    gamma,
    gaussian_nll,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    quantile,
    sparse_categorical_crossentropy,
    squared_hinge,
    tweedie,
)
from .own import own_loss
from .regression import (
    CosineSimilarity,
    Gamma,
    GaussianNLL,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Quantile,
    Tweedie,
)

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence = kl_divergence
bce = BCE = binary_crossentropy
logcosh = log_cosh

_CLASSES: tuple[type[Loss], ...] = (
    MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber, LogCosh,
    Poisson, CosineSimilarity, Quantile, Tweedie, Gamma, GaussianNLL, BinaryCrossentropy, BinaryFocalCrossentropy,
    CategoricalCrossentropy, CategoricalFocalCrossentropy, SparseCategoricalCrossentropy, KLDivergence, Hinge,
    SquaredHinge, CategoricalHinge,
)  # fmt: skip

ALIASES: dict[str, str] = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "kld": "kl_divergence", "bce": "binary_crossentropy",
    "kullback_leibler_divergence": "kl_divergence", "logcosh": "log_cosh", "huber_loss": "huber", "pinball": "quantile",
}  # fmt: skip
"""Other names of losses, and of the metrics that are their means; those of up to four letters in capitals too."""


def with_aliases(table: dict[str, Any]) -> dict[str, Any]:
    """The table with every alias of a name that it knows."""
    for alias, name in ALIASES.items():
        if name in table:
            table[alias] = table[name]
            if len(alias) <= 4:
                table[alias.upper()] = table[name]
    return table


_TABLE: dict[str, type[Loss]] = with_aliases(table_of(*_CLASSES))

_FUNCTIONS: dict[Any, str] = {
    getattr(functions, snake_case(cls.__name__)): snake_case(cls.__name__) for cls in _CLASSES
}


def function_name(identifier: Any, known: Mapping[Any, str] = _FUNCTIONS) -> Any:
    """The name of one of this package's functions; anything else as it is."""
    if callable(identifier) and type(identifier).__name__ == "function" and identifier in known:
        return known[identifier]
    return identifier


def get_class(name: str) -> type[Loss]:
    """The class of this name."""
    return lookup("loss", name, _TABLE)


def get(identifier: Any) -> Any:
    """A loss from a name, a config, a class, an instance or a function of (y_true, y_pred); None stays None."""
    if identifier is None:
        return None
    if isinstance(identifier, str):
        identifier = _registry.find_function(identifier) or identifier
    made = resolve("loss", function_name(own_loss(identifier, _FUNCTIONS)), _TABLE, Loss)
    return own_loss(made, _FUNCTIONS)


def serialize(loss: Loss | Callable[..., Any]) -> Any:
    """A loss as plain JSON values: the name of a function of this package, else its class name and config."""
    return _serialize(loss) if isinstance(loss, Loss) else function_name(loss)


def deserialize(config: str | Mapping[str, Any]) -> Loss:
    """The loss that `serialize` described."""
    return lookup("loss", config, _TABLE)() if isinstance(config, str) else _deserialize("loss", config, _TABLE)


__all__ = [
    "BCE", "KLD", "MAE", "MAPE", "MSE", "MSLE", "BinaryCrossentropy", "BinaryFocalCrossentropy",
    "CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge", "CosineSimilarity", "Gamma",
    "GaussianNLL", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson", "Quantile",
    "SparseCategoricalCrossentropy", "SquaredHinge", "Tweedie", "bce", "binary_crossentropy",
    "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
    "cosine_similarity", "deserialize", "gamma", "gaussian_nll", "get", "get_class", "hinge", "huber", "kl_divergence",
    "kld", "kullback_leibler_divergence", "log_cosh", "logcosh", "mae", "mape", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "mse", "msle", "poisson",
    "quantile", "serialize", "sparse_categorical_crossentropy", "squared_hinge", "tweedie",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
