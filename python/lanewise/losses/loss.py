"""What losses are: row functions to train on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import Array, Float32
from .._given import own_method, refuse_methods
from .._operators import TracedBase
from .base import RowFunction

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


class Loss(RowFunction):
    """A row function to train on; a batch's loss is the (weighted) sum over its rows, divided by their number.

    Args:
        reduction: "sum_over_batch_size" or "mean", as above. Called on arrays, a loss also takes "sum", not divided;
            "mean_with_sample_weight", divided by the sum of the weights; "none" or None, the values of the rows.
        name: kept; None for Keras's name of the class.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_methods(cls, ("__call__",), "define call(self, y_true, y_pred), which gives a value for each row")

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(name, dtype)
        if reduction == "auto":  # Keras 2
            reduction = "sum_over_batch_size"
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction: expected one of {REDUCTIONS}, received {reduction!r}")
        self.reduction = reduction

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
        """The reduced (weighted) row values.

        Args:
            sample_weight: a number, or weights in the shape of the row values, (n,) or (n, 1).
        """
        if own_method(type(self), "call"):
            from .own import own_loss

            loss: Loss = own_loss(self, ())
            return loss(y_true, y_pred, sample_weight)
        rows: Any = self.rows(y_true, y_pred)
        weights = None
        if sample_weight is not None:
            weights = weights_like(rows, sample_weight)
            rows = rows * weights
        if self.reduction in ("none", None):
            return _engine.as_array(rows)
        total = rows.sum(**({} if isinstance(rows, TracedBase) else {"dtype": np.float64}))
        if self.reduction == "sum":
            return _engine.as_array(total)
        count = rows.size if self.reduction != "mean_with_sample_weight" or weights is None else weights.sum()
        return _engine.as_array(total / count if count else 0.0)

    def call(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        """The value of each row, not reduced: what a subclass in Python defines, in the operations of `keras.ops`."""
        return self.values(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}


def weights_like(rows: Float32, sample_weight: ArrayLike) -> Float32:
    """Weights broadcast to the shape of the row values; a last axis of 1 more than they have counts as none.

    Raises:
        ValueError: another shape.
    """
    weights = np.asarray(sample_weight, dtype=np.float32)
    if weights.ndim == rows.ndim + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    if weights.ndim and weights.shape != rows.shape[: weights.ndim]:
        raise ValueError(f"sample_weight: expected shape {rows.shape}, received {weights.shape}")
    return np.broadcast_to(weights.reshape(weights.shape + (1,) * (rows.ndim - weights.ndim)), rows.shape)
