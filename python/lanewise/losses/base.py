"""What losses and metrics share, a kernel that gives one value a row; and losses, which are trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import AnyArray, Array, Float32
from .._given import own_method, refuse_methods
from .._names import LARGEST, Configurable, snake_case
from .._operators import TracedBase
from ..initializers.base import take_items

INTERVALS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "unit": (lambda low, high: low >= 0 and high <= 1, "in [0, 1]"),
    "not negative": (lambda low, high: low >= 0, ">= 0"),
    "positive": (lambda low, high: low > 0, "> 0"),
}
"""Where targets must lie: a check of the least and the largest, and words."""

Param = float | tuple[float, ...]


class RowFunction(Configurable):
    """A function of (target row, prediction row) that the engine computes for each row and averages.

    Attributes:
        kernel: name of the engine's kernel.
        sparse: targets are integer labels (n,) rather than rows like the prediction's.
        joint: the kernel reads the last axis as one thing (a distribution, a direction), so samples have one axis.
        interval: where targets must lie, a key of `INTERVALS`; empty: anywhere.
        outputs: columns of the prediction for each column of the target.
        own: a person's own, written in Python (`own.OwnRows`): it takes targets of any shape.
    """

    kernel: ClassVar[str]
    sparse: ClassVar[bool] = False
    joint: ClassVar[bool] = False
    interval: ClassVar[str] = ""
    outputs: ClassVar[int] = 1
    own: ClassVar[bool] = False
    default_name: ClassVar[str] = ""
    dtype = "float32"

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        if dtype not in (None, "float32", np.float32):
            raise NotImplementedError(f"dtype: losses and metrics take float32 rows, received {dtype!r}")
        take_items("losses and metrics", 20)  # 5,000 of them in a file
        self.name = name or self.default_name or snake_case(type(self).__name__)

    @property
    def param(self) -> Param:
        """The kernel's own parameters."""
        return 0.0

    def param_for(self, columns: int) -> Param:
        """`param` for predictions of this many columns."""
        return self.param

    def kernel_after(self, operation: str) -> tuple[str, bool]:
        """(kernel, whether it reads the input of the last operation) where the model ends with `operation`."""
        if not hasattr(self, "kernel"):
            raise NotImplementedError(f"{type(self).__name__}: define call(self, y_true, y_pred), a value for each row")
        return self.kernel, False

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape per sample of targets (no labels) for predictions of this shape."""
        if output_shape[-1] % self.outputs:
            raise ValueError(
                f"{self.name}: expected {self.outputs} outputs for each target, received predictions of shape "
                f"(n, {', '.join(map(str, output_shape))})"
            )
        return (*output_shape[:-1], output_shape[-1] // self.outputs)

    def rows(self, y_true: ArrayLike, y_pred: ArrayLike) -> Float32:
        """One value for each row, float32 of shape y_pred.shape[:-1]; y_true is aligned to y_pred as in a model.

        One axis: n rows of one number; where the last axis is one thing, a single row. Of a traced array (in a loss
        of a person's own) they are traced too.
        """
        if isinstance(y_true, TracedBase):
            raise TypeError(
                f"y_true: {self.name} has a gradient in y_pred alone, received a traced array in the place of y_true; "
                "write it with operators or lanewise.keras.ops"
            )
        traced: Any = y_pred if isinstance(y_pred, TracedBase) else None
        pred = np.ascontiguousarray(y_pred if traced is None else traced.value, dtype=np.float32)
        true = np.asarray(y_true)
        if pred.ndim == 1:
            pred, true = (pred[None], true[None]) if self.joint else (pred[:, None], true)
        shape, columns = pred.shape[:-1], pred.shape[-1]
        if pred.ndim > 2:  # rows of rows
            true = true.reshape(-1, *true.shape[len(shape) :])
            pred = pred.reshape(-1, columns)
        target = align(self, true, pred.shape[1:], "y_true", infinite=True)
        if len(target) != len(pred):
            raise ValueError(f"y_true: expected {len(pred)} rows as y_pred has, received {len(target)}")
        if not self.sparse:
            target = np.ascontiguousarray(target, dtype=np.float32)
        kernel, param = self.kernel_after("")[0], self.param_for(columns)
        rows = _engine.loss_rows(kernel, target, pred, param).reshape(shape)
        if traced is None:
            return rows

        def back(gradient: AnyArray) -> AnyArray:
            slope = _engine.mean_loss_slope(kernel, target, pred, param) * np.float32(len(pred))
            return np.asarray((slope * gradient.reshape(-1, 1)).reshape(traced.shape))

        return type(traced)(rows, [(traced, back)])  # type: ignore[no-any-return]

    def values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        """`rows` as Keras's functions return them: one axis is a single row."""
        pred: Any = y_pred if isinstance(y_pred, TracedBase) else np.asarray(y_pred)
        if pred.ndim == 1 and not self.sparse:
            return _engine.as_array(self.rows(np.asarray(y_true)[None], pred[None])[0])
        return _engine.as_array(self.rows(y_true, y_pred))


def align(
    function: RowFunction, y: AnyArray, output_shape: tuple[int, ...], argument: str, infinite: bool = False
) -> AnyArray:
    """y as the kernel wants it for predictions of this shape per sample: int32 labels, or rows of that shape.

    (n,) and (n, 1), (n, t) and (n, t, 1) are the same thing. Every label is checked here, before anything is computed.

    Raises:
        TypeError: no real numbers.
        ValueError: another shape, NaN, a label that is no class, a target outside its interval, or beyond float32
            unless `infinite`.
    """
    if y.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected real numbers, received dtype {y.dtype}; encode labels as numbers first")
    if function.joint and len(output_shape) != 1:
        raise NotImplementedError(f"{function.name}: expected predictions of two axes, received (n, *{output_shape})")
    if function.sparse:
        return _labels(function, y, output_shape[-1], argument)
    wanted = output_shape if function.own else function.target_shape(output_shape)
    if (*y.shape[1:], 1) == wanted:
        y = y[..., None]
    elif y.shape[1:] == (*wanted, 1):
        y = y[..., 0]
    if function.own:
        return y
    if y.shape[1:] != wanted:
        hint = ""
        if function.joint and (y.ndim == 1 or y.shape[1:] == (1,)):
            hint = "; integer labels go with 'sparse_categorical_crossentropy', or through to_categorical"
        elif y.ndim == 1 or y.shape[1:] == (1,):
            labels = function.interval == "unit" and y.dtype.kind in "biu"
            hint = "; one number a row goes with a last layer of one unit"
            hint += ", a label with 'sparse_categorical_crossentropy' and softmax" if labels else ""
        like = "the model's output" if function.outputs == 1 else f"1/{function.outputs} of the model's output"
        raise ValueError(
            f"{argument}: {function.name} expects targets shaped like {like}, (n, "
            f"{', '.join(map(str, wanted))}), received {y.shape}{hint}"
        )
    if y.dtype.kind == "f" or function.interval:
        _check_range(function, y, argument, infinite)
    return y


def _check_range(function: RowFunction, y: AnyArray, argument: str, infinite: bool) -> None:
    if not y.size:
        return
    low, high = np.minimum.reduce(y, None), np.maximum.reduce(y, None)  # NaN propagates: no temporary array of flags
    if low != low or not (infinite or max(-float(low), float(high)) <= LARGEST):
        flat = y.reshape(len(y), -1).astype(np.float64)
        bad = np.isnan(flat) if low != low else np.abs(flat) > LARGEST
        row = int(bad.any(axis=1).argmax())
        if low != low:
            raise ValueError(f"{argument}: expected numbers, received NaN in row {row}")
        value = flat[row, bad[row].argmax()]
        raise ValueError(f"{argument}: expected numbers in the range of float32, received {value} in row {row}")
    if function.interval:
        check, words = INTERVALS[function.interval]
        if not check(float(low), float(high)):
            bad = high if check(float(low), float(low)) else low
            hint = ""
            if function.interval == "unit" and bad == low == -1 and high == 1:
                hint = "; labels of -1 and 1 go with 'hinge', or become 0 and 1 by (y + 1) / 2"
            elif function.interval == "unit" and bad == high == np.floor(high):
                hint = "; labels of more than two classes go with 'sparse_categorical_crossentropy'"
            raise ValueError(f"{argument}: {function.name} expects targets {words}, received {bad}{hint}")


def _labels(function: RowFunction, y: AnyArray, classes: int, argument: str) -> AnyArray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = "; one-hot rows go with 'categorical_crossentropy'" if y.shape[1:] == (classes,) else ""
        raise ValueError(f"{argument}: {function.name} expects labels (n,) or (n, 1), received {y.shape}{hint}")
    if y.dtype != np.int32:
        y = y.copy()  # what is checked is what is converted, whoever changes it meanwhile
    bad = ~((y >= 0) & (y < classes))  # NaN is out of range too
    if y.dtype.kind == "f":
        bad |= y != np.floor(y)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{argument}: {function.name} expects integer labels from 0 to {classes - 1} for an output of {classes} "
            f"classes, received {y[row].item()!r} in row {row}{_labels_hint(y, classes)}"
        )
    return np.ascontiguousarray(y, dtype=np.int32)


def _labels_hint(y: AnyArray, classes: int) -> str:
    """What to do about labels that an output of so many classes has no column for."""
    low, high = y.min(), y.max()
    if classes == 1:
        return "; two classes and a last layer of one unit go with 'binary_crossentropy'"
    if low == 1 and high == classes:
        return "; labels that count from 1: train on y - 1"
    if low >= 0 and high < 100 * classes and (y == np.floor(y)).all():
        return f"; labels up to {int(high)} need a last layer of {int(high) + 1} units"
    return ""


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
