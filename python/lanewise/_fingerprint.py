"""A short text that is equal where weights (and predictions) are equal to the bit."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._names import _shown


def fingerprint(model: Any, predictions: ArrayLike | None = None) -> str:
    """16 hexadecimal digits for the weights of a model; with predictions, a blank and 16 more for those.

    They are the first digits of SHA-256 over, for each array in order: its name, a blank, its axes joined by `x`, a
    line feed, and its values as little-endian float32 in row-major order. The name of a weight is its name in the layer
    (`kernel`, `bias`), so that the count in `dense_7` does not matter; predictions are named `predictions`. All NaN
    count as one.

    Args:
        model: a built model; or an `Ensemble`, whose models follow one another.
        predictions: real numbers of any shape, compared as float32.

    Raises:
        ValueError: the model is not built. TypeError: no model; predictions that are no real numbers.
    """
    from .many import Ensemble

    models = model.models if isinstance(model, Ensemble) else [model]
    if not all(hasattr(one, "get_weights") for one in models):
        raise TypeError(f"model: expected a model or an Ensemble, received {_shown(model)}")
    if not all(one.built for one in models):
        raise ValueError("fingerprint: the model is not built yet; give the first layer input_shape=, or call build()")
    weights = (
        (weight.name, array) for one in models for weight, array in zip(one.weights, one.get_weights(), strict=True)
    )
    text = _digest(weights)
    if predictions is None:
        return text
    array = np.asarray(predictions)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"predictions: expected real numbers, received dtype {array.dtype}")
    return f"{text} {_digest([('predictions', array)])}"


def _digest(arrays: Iterable[tuple[str, Any]]) -> str:
    from hashlib import sha256

    total = sha256()
    for name, array in arrays:
        values = np.array(array, dtype="<f4", order="C")
        values[np.isnan(values)] = np.nan
        total.update(f"{name} {'x'.join(map(str, values.shape))}\n".encode())
        total.update(values.tobytes())
    return total.hexdigest()[:16]
