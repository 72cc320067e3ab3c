"""`keras.backend`: what scripts still ask of it."""

from .. import _missing
from .._names import reset_automatic_names


def clear_session(free_memory: bool = True) -> None:
    """Begin the automatic names (`dense`, `dense_1`, ...) again; models free their memory by themselves."""
    reset_automatic_names()


def floatx() -> str:
    """'float32'."""
    return "float32"


def set_floatx(value: str) -> None:
    """Accepts 'float32'. Raises NotImplementedError for anything else."""
    if value != "float32":
        raise NotImplementedError(f"value: layers compute in float32, received {value!r}")


def epsilon() -> float:
    """1e-7."""
    return 1e-7


def backend() -> str:
    """'lanewise'."""
    return "lanewise"


def image_data_format() -> str:
    """'channels_last'."""
    return "channels_last"


__all__ = ["backend", "clear_session", "epsilon", "floatx", "image_data_format", "set_floatx"]

__getattr__ = _missing.getter(__name__, __all__)
