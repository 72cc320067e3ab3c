"""Labels as numbers, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target


def dense_targets(y: Any) -> Any:
    """y of a multilabel task may be sparse; (n, 1) is (n,), with scikit-learn's warning."""
    y = y.toarray() if hasattr(y, "toarray") else y
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def is_multilabel(y: Any) -> bool:
    """Whether y holds a column of 0 and 1 for each label. Raises ValueError where it is no classification target."""
    check_classification_targets(y)
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            f"y: expected one label a row, or a column of 0 and 1 for each label, received several labels a row, shape "
            f"{y.shape}"
        )
    return bool(kind == "multilabel-indicator")


def codes(classes: Any, y: Any, multilabel: bool) -> Any:
    """y by number: columns of 0 and 1 for a multilabel task and two classes, else the number of each label.

    Raises:
        ValueError: a label that is none of `classes`.
    """
    if multilabel:
        if y.ndim != 2 or y.shape[1] != len(classes):
            raise ValueError(f"y: expected a column for each of {len(classes)} labels, received shape {y.shape}")
        return y.astype(np.float32)
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"y: has classes that are not in `classes_`, {list(classes)}: {list(unknown)}")
    found = np.searchsorted(classes, y)
    return found[:, None].astype(np.float32) if len(classes) <= 2 else found.astype(np.int32)


def decided(raw: Any, multilabel: bool) -> Any:
    """The codes that outputs stand for: (n, labels) of 0 and 1, or (n,) numbers of classes."""
    if multilabel:
        return (raw > 0.5).astype(int)
    return (raw[:, 0] > 0.5).astype(int) if raw.shape[1] == 1 else raw.argmax(axis=1)


def labels(classes: Any, raw: Any, multilabel: bool) -> Any:
    """The labels that outputs stand for."""
    found = decided(raw, multilabel)
    return found if multilabel else np.asarray(classes)[np.minimum(found, len(classes) - 1)]


def probabilities(classes: Any, raw: Any, multilabel: bool) -> Any:
    """(n, classes) from outputs: two columns for one of a sigmoid; those of a multilabel task each for itself."""
    if multilabel or raw.shape[1] > 1:
        return raw
    return np.ones_like(raw) if len(classes) == 1 else np.hstack([1 - raw, raw])


def check_first_classes(known: Any, classes: Any) -> bool:
    """Whether this is the first call of partial_fit.

    Raises:
        ValueError: the first call without `classes`, or a later one with others.
    """
    if known is None and classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    if known is not None and classes is not None and not np.array_equal(known, np.unique(classes)):
        raise ValueError(f"classes: {classes!r} is not the same as on last call to partial_fit, was: {known!r}")
    return known is None


def accuracy(y: Any, raw: Any, multilabel: bool, weights: Any) -> float:
    """Share of the rows whose codes are right."""
    found = decided(raw, multilabel)
    right = (found == y).all(axis=1) if multilabel else found == y.reshape(-1)
    return float(np.average(right, weights=weights))


def r2(y: Any, raw: Any, weights: Any) -> float:
    """Coefficient of determination, the mean over the outputs."""
    y = y.reshape(raw.shape).astype(np.float64)
    left = np.average((y - raw) ** 2, axis=0, weights=weights)
    total = np.average((y - np.average(y, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(total > 0, 1 - left / total, left == 0).mean())
