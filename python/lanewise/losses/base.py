"""What losses and metrics share: a kernel that gives one value a row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import AnyArray, Float32
from .._names import Configurable, check_default, snake_case


class RowFunction(Configurable):
    """A function of (target row, prediction row) that the engine computes for each row and averages.

    Attributes:
        kernel: name of the engine's kernel.
        sparse: targets are integer labels (n,) rather than rows like the prediction's.
        joint: the kernel reads the last axis as one distribution (softmax family), so samples have one axis.
        unit_interval: targets must lie in [0, 1].
    """

    kernel: ClassVar[str]
    sparse: ClassVar[bool] = False
    joint: ClassVar[bool] = False
    unit_interval: ClassVar[bool] = False

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        check_default("dtype", dtype, None, "losses and metrics take float32 rows")
        self.name = snake_case(type(self).__name__) if name is None else name

    @property
    def param(self) -> float:
        """The kernel's own parameter."""
        return 0.0

    def kernel_after(self, operation: str) -> tuple[str, bool]:
        """(kernel, whether it reads the input of the last operation) where the model ends with `operation`."""
        return self.kernel, False

    def rows(self, y_true: ArrayLike, y_pred: ArrayLike) -> Float32:
        """One value for each row, (n,) float32; y_true is aligned to y_pred as in a model."""
        pred = np.ascontiguousarray(y_pred, dtype=np.float32)
        pred = pred[:, None] if pred.ndim == 1 else pred
        target = align(self, np.asarray(y_true), pred.shape[1:], "y_true")
        flat = pred.reshape(len(pred), -1)
        if len(target) != len(pred):
            raise ValueError(f"y_true: expected {len(pred)} rows as y_pred has, received {len(target)}")
        return self.flat_rows(target if self.sparse else target.reshape(len(target), -1), flat)

    def flat_rows(self, target: AnyArray, pred: Float32) -> Float32:
        """`rows` on an aligned target and a prediction of two axes."""
        if not self.sparse:
            target = np.ascontiguousarray(target, dtype=np.float32)
        return _engine.loss_rows(self.kernel_after("")[0], target, pred, self.param)


def align(function: RowFunction, y: AnyArray, output_shape: tuple[int, ...], argument: str) -> AnyArray:
    """y as the kernel wants it for predictions of this shape per sample: int32 labels, or rows of that shape.

    (n,) and (n, 1) are the same thing. Every label is checked here, before anything is computed.

    Raises:
        TypeError: no real numbers.
        ValueError: another shape, NaN, a label that is no class, a target outside [0, 1] where that is needed.
    """
    if y.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected real numbers, received dtype {y.dtype}; encode labels as numbers first")
    if function.joint and len(output_shape) != 1:
        raise NotImplementedError(f"{function.name}: expected predictions of two axes, received (n, *{output_shape})")
    if function.sparse:
        return _labels(function, y, output_shape[-1], argument)
    if y.ndim == 1 and output_shape == (1,):
        y = y[:, None]
    if y.shape[1:] != output_shape:
        hint = ""
        if function.joint and (y.ndim == 1 or y.shape[1:] == (1,)):
            hint = "; integer labels go with 'sparse_categorical_crossentropy', or through to_categorical"
        raise ValueError(
            f"{argument}: {function.name} expects targets shaped like the model's output, (n, "
            f"{', '.join(map(str, output_shape))}), received {y.shape}{hint}"
        )
    if y.dtype.kind == "f" or function.unit_interval:
        _check_range(function, y, argument)
    return y


def _check_range(function: RowFunction, y: AnyArray, argument: str) -> None:
    low, high = y.min(initial=0), y.max(initial=0)  # NaN propagates: no temporary array of flags
    if np.isnan(low):
        row = next(i for i, values in enumerate(y) if np.isnan(values).any())
        raise ValueError(f"{argument}: expected numbers, received NaN in row {row}")
    if function.unit_interval and (low < 0 or high > 1):
        bad = low if low < 0 else high
        raise ValueError(f"{argument}: {function.name} expects targets in [0, 1], received {bad}")


def _labels(function: RowFunction, y: AnyArray, classes: int, argument: str) -> AnyArray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = "; one-hot rows go with 'categorical_crossentropy'" if y.shape[1:] == (classes,) else ""
        raise ValueError(f"{argument}: {function.name} expects labels (n,) or (n, 1), received {y.shape}{hint}")
    bad = ~((y >= 0) & (y < classes))  # NaN is out of range too
    if y.dtype.kind == "f":
        bad |= y != np.floor(y)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{argument}: {function.name} expects integer labels from 0 to {classes - 1} for an output of {classes} "
            f"classes, received {y[row].item()!r} in row {row}"
        )
    return np.ascontiguousarray(y, dtype=np.int32)
