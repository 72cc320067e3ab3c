"""Losses for classes. Formulas are for one row of d values; t the target, p the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._names import check_default, check_finite, check_not_negative, check_share
from .base import Loss, Param


class CrossEntropy(Loss):
    """Base of the cross-entropies: how they take logits.

    With from_logits=True the model's output is read as logits. Otherwise it holds probabilities; where the model ends
    with the matching activation, its input is read as logits all the same, which is the same value without the
    rounding (as Keras on TensorFlow does).
    """

    activation = "softmax"

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(reduction, name, dtype)
        check_default("axis", axis, -1, "classes are along the last axis")
        self.from_logits = bool(from_logits)
        self.label_smoothing = check_share("label_smoothing", label_smoothing)

    @property
    def param(self) -> Param:
        return self.label_smoothing

    def kernel_after(self, operation: str) -> tuple[str, bool]:
        if self.from_logits:
            return self.kernel, False
        return (self.kernel, True) if operation == self.activation else (f"{self.kernel}_probs", False)

    def get_config(self) -> dict[str, Any]:
        smoothing = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": -1}
        return {**super().get_config(), **smoothing}


class BinaryCrossentropy(CrossEntropy):
    """Mean of -(t*log(p) + (1 - t)*log(1 - p)).

    Args:
        from_logits: p is sigmoid of the output.
        label_smoothing: s in [0, 1]: t becomes t*(1 - s) + s/2.
        axis: -1.
    """

    kernel = "binary_crossentropy"
    activation = "sigmoid"
    interval = "unit"


class BinaryFocalCrossentropy(CrossEntropy):
    """Mean of u**gamma times the binary cross-entropy, u = t*(1 - p) + (1 - t)*p (Lin et al. 2017).

    From logits it has a gradient however wrong they are, where Keras clips the probability at 1e-7.

    Args:
        apply_class_balancing: weigh each element by alpha*t + (1 - alpha)*(1 - t).
        alpha: weight of class 1.
        gamma: >= 0; 0 is the plain cross-entropy.
        from_logits, label_smoothing, axis: as `BinaryCrossentropy`.
    """

    kernel = "binary_focal_crossentropy"
    activation = "sigmoid"
    interval = "unit"

    def __init__(
        self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
        label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = "sum_over_batch_size",
        name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = check_finite("alpha", alpha)
        self.gamma = check_not_negative("gamma", gamma)

    @property
    def param(self) -> Param:
        weights = (self.alpha, 1.0 - self.alpha) if self.apply_class_balancing else (1.0, 1.0)
        return self.label_smoothing, self.gamma, *weights

    def get_config(self) -> dict[str, Any]:
        focus = {"apply_class_balancing": self.apply_class_balancing, "alpha": self.alpha, "gamma": self.gamma}
        return {**super().get_config(), **focus}


class CategoricalCrossentropy(CrossEntropy):
    """-sum t*log(p); targets are one-hot rows or distributions.

    Args:
        from_logits: p is softmax of the output.
        label_smoothing: s in [0, 1]: t becomes t*(1 - s) + s/classes.
        axis: -1.
    """

    kernel = "categorical_crossentropy"
    joint = True


class CategoricalFocalCrossentropy(CrossEntropy):
    """-sum alpha * (1 - p)**gamma * t * log(p) (Lin et al. 2017); from logits as `BinaryFocalCrossentropy`.

    Args:
        alpha: weight of all classes, or a sequence with one for each.
        gamma: >= 0; 0 is the plain cross-entropy.
        from_logits, label_smoothing, axis: as `CategoricalCrossentropy`.
    """

    kernel = "categorical_focal_crossentropy"
    joint = True

    def __init__(
        self, alpha: float | Sequence[float] = 0.25, gamma: float = 2.0, from_logits: bool = False,
        label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = "sum_over_batch_size",
        name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        several = isinstance(alpha, Sequence) and not isinstance(alpha, str)
        self.alpha: Any = [check_finite("alpha", a) for a in alpha] if several else check_finite("alpha", alpha)  # type: ignore[union-attr]
        self.gamma = check_not_negative("gamma", gamma)

    @property
    def param(self) -> Param:
        weights = self.alpha if isinstance(self.alpha, list) else [self.alpha]
        return self.label_smoothing, self.gamma, float(len(weights)), *weights

    def param_for(self, columns: int) -> Param:
        if isinstance(self.alpha, list) and len(self.alpha) not in (1, columns):
            raise ValueError(f"alpha: expected a number for each of {columns} classes, received {len(self.alpha)}")
        return self.param

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


class SparseCategoricalCrossentropy(CrossEntropy):
    """-log(p[label]); targets are integer labels (n,) or (n, 1).

    Args:
        from_logits: p is softmax of the output.
        ignore_class: not supported; None.
        axis: -1.
    """

    kernel = "sparse_categorical_crossentropy"
    joint = True
    sparse = True

    def __init__(
        self, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        check_default("ignore_class", ignore_class, None, "a class that does not count is not there yet")
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["label_smoothing"]
        return {**config, "ignore_class": None}


class KLDivergence(Loss):
    """sum t*log(t/p) over the row, t and p clipped to [1e-7, 1], without a gradient where p is clipped."""

    kernel = "kl_divergence"
    joint = True


class Hinge(Loss):
    """Mean of max(1 - t*p, 0). Targets are -1 and 1; a target of 0 counts as -1, so that 0 and 1 serve too."""

    kernel = "hinge"


class SquaredHinge(Loss):
    """Mean of max(1 - t*p, 0)**2; targets as `Hinge`."""

    kernel = "squared_hinge"


class CategoricalHinge(Loss):
    """max(max_c (1 - t_c)*p_c - sum t*p + 1, 0); targets are one-hot. Of equal maxima the first has the gradient."""

    kernel = "categorical_hinge"
    joint = True
