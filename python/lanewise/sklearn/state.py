"""What a pickle of an estimator holds, looked at before it is used: parameters, arrays and plain values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

_PLAIN = (int, float, str, bool, type(None), np.integer, np.floating, np.bool_)
_FITTED = frozenset({
    "_multilabel", "_no_improvement_count", "_norms", "_slots", "best_loss_", "best_validation_score_", "classes_",
    "coefs_", "feature_names_in_", "intercepts_", "loss_", "loss_curve_", "members_", "n_features_in_", "n_iter_",
    "n_layers_", "n_outputs_", "out_activation_", "t_", "validation_scores_",
})  # fmt: skip


def _is_plain(value: Any) -> bool:
    """Numbers, text, arrays of them, and lists, tuples and dicts of these."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufUSMm" or all(isinstance(entry, _PLAIN) for entry in value.flat)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(entry) for key, entry in value.items())
    return all(map(_is_plain, value)) if isinstance(value, list | tuple) else isinstance(value, _PLAIN)


def checked(cls: Any, state: Any) -> dict[str, Any]:
    """The state, if it can be one of this class.

    Raises:
        ValueError: anything else: a parameter that is missing, fitted attributes that are neither arrays nor plain
            values, shapes that do not follow from each other.
    """

    def wrong(what: str) -> ValueError:
        return ValueError(f"state: {what}; this is no {cls.__name__} of this version of lanewise")

    if not isinstance(state, dict):
        raise wrong(f"expected a dict, received {type(state).__name__}")
    parameters = set(cls._get_param_names())
    if not parameters <= state.keys():
        raise wrong(f"no parameter {sorted(parameters - state.keys())[0]!r}")
    for name, value in state.items():
        if name == "members_":
            if not isinstance(value, list) or not all(type(member) is cls for member in value):
                raise wrong(f"members_ is no list of {cls.__name__}")
        elif name in _FITTED and not _is_plain(value):
            raise wrong(f"{name} is neither an array nor a plain value")
    if "coefs_" not in state:
        return state
    try:
        coefs, intercepts, norms = state["coefs_"], state["intercepts_"], state["_norms"]
        widths = [state["n_features_in_"], *(len(b) for b in intercepts)]
        shapes = list(pairwise(widths))
        fits = (
            [w.shape for w in coefs] == shapes
            and all(b.ndim == 1 for b in intercepts)
            and all(w.dtype.kind == "f" and np.isfinite(w).all() for w in (*coefs, *intercepts))
            and state["n_layers_"] == len(widths)
            and state["n_outputs_"] == widths[-1]
            and [[a.shape for a in norm] for norm in norms] in ([], [[(w,)] * 4 for w in widths[1:-1]])
        )
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        raise wrong(f"{type(error).__name__}: {error}") from None
    if not fits:
        raise wrong("the shapes or types of its weights do not follow from each other")
    return state


class Estimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: they take sparse matrices."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
