"""`keras.config`: there is one type of number, float32, and nothing to choose."""

from .. import _missing
from .backend import backend, epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format


def enable_interactive_logging() -> None:
    """Accepted; progress goes by verbose=."""


def disable_interactive_logging() -> None:
    """Accepted; progress goes by verbose=."""


def enable_traceback_filtering() -> None:
    """Accepted; tracebacks are whole."""


def disable_traceback_filtering() -> None:
    """Accepted; tracebacks are whole."""


def dtype_policy() -> str:
    """'float32'."""
    return "float32"


def set_dtype_policy(policy: str) -> None:
    """Accepts 'float32'. Raises NotImplementedError for anything else."""
    set_floatx(policy)


__all__ = [
    "backend", "disable_interactive_logging", "disable_traceback_filtering", "dtype_policy",
    "enable_interactive_logging", "enable_traceback_filtering", "epsilon", "floatx", "image_data_format",
    "set_dtype_policy", "set_epsilon", "set_floatx", "set_image_data_format",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
