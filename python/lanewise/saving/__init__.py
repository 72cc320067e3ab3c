"""Models and weights in files. docs/format.md describes the format."""

from .. import _missing
from .model import check_suffix, load_model, load_weights, save_model, save_weights

__all__ = ["check_suffix", "load_model", "load_weights", "save_model", "save_weights"]

__getattr__ = _missing.getter(__name__, __all__)
