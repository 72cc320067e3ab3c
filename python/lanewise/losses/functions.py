"""The losses as functions (y_true, y_pred) -> one value a row, float32 of shape y_pred.shape[:-1], with `.numpy()`.

Two arrays of one axis are a single row, as in Keras. Formulas and arguments are those of the classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from .._engine import Array
from . import classification as c, regression as r


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`MeanSquaredError` of each row."""
    return r.MeanSquaredError().values(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`MeanAbsoluteError` of each row."""
    return r.MeanAbsoluteError().values(y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`MeanAbsolutePercentageError` of each row."""
    return r.MeanAbsolutePercentageError().values(y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`MeanSquaredLogarithmicError` of each row."""
    return r.MeanSquaredLogarithmicError().values(y_true, y_pred)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Array:
    """`Huber` of each row."""
    return r.Huber(delta).values(y_true, y_pred)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`LogCosh` of each row."""
    return r.LogCosh().values(y_true, y_pred)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`Poisson` of each row."""
    return r.Poisson().values(y_true, y_pred)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """`CosineSimilarity` of each row."""
    return r.CosineSimilarity(axis).values(y_true, y_pred)


def quantile(y_true: ArrayLike, y_pred: ArrayLike, q: float = 0.5) -> Array:
    """`Quantile` of each row."""
    return r.Quantile(q).values(y_true, y_pred)


def tweedie(y_true: ArrayLike, y_pred: ArrayLike, power: float = 1.5, log_input: bool = False) -> Array:
    """`Tweedie` of each row."""
    return r.Tweedie(power, log_input).values(y_true, y_pred)


def gamma(y_true: ArrayLike, y_pred: ArrayLike, log_input: bool = False) -> Array:
    """`Gamma` of each row."""
    return r.Gamma(log_input).values(y_true, y_pred)


def gaussian_nll(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`GaussianNLL` of each row."""
    return r.GaussianNLL().values(y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """`BinaryCrossentropy` of each row."""
    return c.BinaryCrossentropy(from_logits, label_smoothing, axis).values(y_true, y_pred)


def binary_focal_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
    from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
) -> Array:  # fmt: skip
    """`BinaryFocalCrossentropy` of each row."""
    loss = c.BinaryFocalCrossentropy(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis)
    return loss.values(y_true, y_pred)


def categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """`CategoricalCrossentropy` of each row."""
    return c.CategoricalCrossentropy(from_logits, label_smoothing, axis).values(y_true, y_pred)


def categorical_focal_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, alpha: float | Sequence[float] = 0.25, gamma: float = 2.0,
    from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
) -> Array:  # fmt: skip
    """`CategoricalFocalCrossentropy` of each row."""
    return c.CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis).values(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Array:
    """`SparseCategoricalCrossentropy` of each row."""
    return c.SparseCategoricalCrossentropy(from_logits, ignore_class, axis).values(y_true, y_pred)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`KLDivergence` of each row."""
    return c.KLDivergence().values(y_true, y_pred)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`Hinge` of each row."""
    return c.Hinge().values(y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`SquaredHinge` of each row."""
    return c.SquaredHinge().values(y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """`CategoricalHinge` of each row."""
    return c.CategoricalHinge().values(y_true, y_pred)
