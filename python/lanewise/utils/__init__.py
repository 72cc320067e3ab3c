"""Small helpers, by Keras's names."""

from typing import Any

from .. import _missing, random as _random
from .._names import check_integer
from .arrays import normalize, pad_sequences, to_categorical
from .batches import PyDataset, Sequence
from .files import get_file
from .gradients import check_gradients


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's global generator and lanewise.

    Args:
        seed: an integer in [0, 2**32), NumPy's range.

    Raises:
        TypeError: not an integer. ValueError: outside the range; nothing is seeded then.
    """
    import random

    import numpy as np

    seed = check_integer("seed", seed, 0)
    if seed >= 2**32:
        raise ValueError(f"seed: expected an integer in [0, 2**32), received {seed}")
    random.seed(seed)
    np.random.seed(seed)
    _random.set_seed(seed)


def plot_model(model: Any, to_file: Any = "model.svg", **kwargs: Any) -> Any:
    """Draw a model as SVG; see `lanewise.models.diagram.plot_model`."""
    from ..models.diagram import plot_model

    return plot_model(model, to_file, **kwargs)


def clear_session(free_memory: bool = True) -> None:
    """Begin the automatic names (`dense`, `dense_1`, ...) again; models free their memory by themselves."""
    from .._names import reset_automatic_names

    reset_automatic_names()


__all__ = [
    "PyDataset", "Sequence", "check_gradients", "clear_session", "get_file", "normalize", "pad_sequences",
    "plot_model", "set_random_seed", "to_categorical",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
