"""Intersection over union of classes, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._engine import Float64
from .._names import check_default, check_finite, check_integer
from ..initializers.base import take_items
from ..losses.base import Param
from .base import Metric
from .scores import EPSILON


class IoU(Metric):
    """Mean over classes of true positives / (true positives + false positives + false negatives).

    Args:
        num_classes: classes are 0 .. num_classes - 1; others do not count.
        target_class_ids: the classes whose mean is taken; those that neither occur nor are predicted are left out.
        ignore_class: targets of this class do not count.
        sparse_y_true: targets hold numbers of classes, else one-hot rows.
        sparse_y_pred: predictions hold numbers of classes, else a score for each class.
        axis: -1.
    """

    numbered = True

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1,
    ) -> None:  # fmt: skip
        check_default("axis", axis, -1, "the last one")
        self.num_classes = check_integer("num_classes", num_classes, 1)
        self.target_class_ids = [check_integer("target_class_ids", i, 0) for i in target_class_ids]
        if max(self.target_class_ids) >= self.num_classes:
            raise ValueError(f"target_class_ids: expected classes below {num_classes}, received {target_class_ids}")
        self.ignore_class = ignore_class
        self.sparse_y_true, self.sparse_y_pred = bool(sparse_y_true), bool(sparse_y_pred)
        # labels (n,) beside scores are the engine's labels; else both are rows of one shape
        self.sparse = self.sparse_y_true and not self.sparse_y_pred  # type: ignore[misc]
        self.kernel = "sparse_confusion_counts" if self.sparse else "confusion_counts"  # type: ignore[misc]
        super().__init__(name, None)

    @property
    def param(self) -> Param:
        ignored = (0.0, 0.0) if self.ignore_class is None else (float(self.ignore_class), 1.0)
        how = 0.0 if self.sparse_y_pred else 1.0
        return float(self.num_classes), how, 0.0, float(not self.sparse_y_true), *ignored

    def size(self, columns: int) -> int:
        return self.num_classes**2

    def finish(self, sums: Float64) -> Any:
        matrix = sums.reshape(self.num_classes, self.num_classes)
        right = np.diag(matrix)[self.target_class_ids]
        union = (matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix))[self.target_class_ids]
        there = union > 1e-9
        return np.where(there, right / (union + EPSILON), 0.0).sum() / (there.sum() + EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name, "num_classes": self.num_classes, "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class, "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
        }  # fmt: skip


class MeanIoU(IoU):
    """`IoU` over all classes; arguments as there."""

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
        sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1,
    ) -> None:  # fmt: skip
        every = range(check_integer("num_classes", num_classes, 1))
        take_items("num_classes", num_classes)
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["target_class_ids"]
        return config


class OneHotIoU(IoU):
    """`IoU` for one-hot targets and a score for each class; sparse_y_pred: numbers of classes instead."""

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1,
    ) -> None:  # fmt: skip
        if sparse_y_pred:
            raise NotImplementedError("sparse_y_pred: one-hot targets go with scores of the same shape")
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, False, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"], config["sparse_y_pred"]
        return config


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot targets and a score for each class."""

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
        sparse_y_pred: bool = False, axis: int = -1,
    ) -> None:  # fmt: skip
        if sparse_y_pred:
            raise NotImplementedError("sparse_y_pred: one-hot targets go with scores of the same shape")
        super().__init__(num_classes, name, dtype, ignore_class, False, False, axis)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse_y_true"], config["sparse_y_pred"]
        return config


class BinaryIoU(IoU):
    """`IoU` of the classes 0 and 1, a prediction counting as 1 from the threshold on.

    Args:
        target_class_ids: [0], [1] or both.
        threshold: 0.5.
    """

    def __init__(
        self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5, name: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        self.threshold = check_finite("threshold", threshold)
        super().__init__(2, target_class_ids, name, dtype)

    @property
    def param(self) -> Param:
        return 2.0, 2.0, self.threshold, 0.0, 0.0, 0.0

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "target_class_ids": self.target_class_ids, "threshold": self.threshold}
