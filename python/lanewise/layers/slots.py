"""Arguments of a function on symbolic tensors: the places of the tensors, and how both stand in a config."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import number_type
from .._engine import Weight


class Slot:
    """The place of input number `index` among the arguments of a function."""

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return "a symbolic tensor"


def only_numbers(value: Any) -> bool:
    """Whether it is a list of plain numbers, which may be long: it stays what it is."""
    return isinstance(value, list) and set(map(type, value)) <= {int, float, bool}


def list_leaves(value: Any) -> list[Any]:
    """What is in lists, and lists in them; something else for itself."""
    if not isinstance(value, list):
        return [value]
    return value if only_numbers(value) else [leaf for entry in value for leaf in list_leaves(entry)]


def filled(value: Any, inputs: Sequence[Any]) -> Any:
    """The arguments, these inputs in the slots."""
    if isinstance(value, Slot):
        return inputs[value.index]
    if isinstance(value, list) and not only_numbers(value):
        return [filled(entry, inputs) for entry in value]
    return {key: filled(entry, inputs) for key, entry in value.items()} if isinstance(value, dict) else value


def settled(value: Any) -> Any:
    """An argument as a file can say it, so that a graph and its file are one: NumPy's numbers as Python's, arrays of
    real numbers in float32."""
    if isinstance(value, Slot):
        return value
    if only_numbers(value):
        return [*value]
    if isinstance(value, list | tuple | range):
        return [settled(entry) for entry in value]
    if isinstance(value, dict):
        return {key: settled(entry) for key, entry in value.items()}
    if isinstance(value, slice):
        return slice(settled(value.start), settled(value.stop), settled(value.step))
    if isinstance(value, Weight):
        raise TypeError(
            f"expected tensors or numbers, received the weight {value.path}, which would stay as it is now while its "
            "layer learns; a layer of your own can use it in its call, and .numpy() gives its numbers"
        )
    if isinstance(value, complex) or (hasattr(value, "__array__") and not isinstance(value, type)):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"expected real numbers, received {array.dtype} {str(value)[:60]}")
    else:
        return value
    if array.ndim == 0:
        return array.item()
    return array.astype(np.float32 if array.dtype.kind == "f" else array.dtype)  # a copy: theirs may change


def _finite(value: Any) -> Any:
    """What JSON has no number for, as text."""
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def encoded(value: Any) -> Any:
    """The arguments as a config has them: of what JSON knows."""
    if isinstance(value, list | tuple):
        return [encoded(entry) for entry in value]
    if isinstance(value, dict):
        return {key: encoded(entry) for key, entry in value.items()}
    if isinstance(value, Slot):
        return {"class_name": "__slot__", "config": value.index}
    if isinstance(value, slice):
        return {"class_name": "__slice__", "config": {"start": value.start, "stop": value.stop, "step": value.step}}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, np.ndarray):
        config = {"value": _finite(value.tolist()), "dtype": str(value.dtype)}
        return {"class_name": "__numpy__", "config": config}
    if isinstance(value, float) and not math.isfinite(value):
        return {"class_name": "__float__", "config": str(value)}
    return value


def decoded(value: Any) -> Any:
    """The arguments that a config has."""
    if only_numbers(value):
        return value
    if isinstance(value, list | tuple):
        return [decoded(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    config = value.get("config")
    match value.get("class_name"):
        case "__slot__":
            if not isinstance(config, int):
                raise ValueError(f"args: expected the number of an input, received {str(config)[:60]}")
            return Slot(config)
        case "__slice__" if isinstance(config, dict):
            return slice(config.get("start"), config.get("stop"), config.get("step"))
        case "__ellipsis__":
            return Ellipsis
        case "__float__" if config in ("inf", "-inf", "nan"):
            return float(str(config))
        case "__numpy__" | "__tensor__" if isinstance(config, dict):
            return np.asarray(config["value"], number_type(config.get("dtype", "float32")))
    return {key: decoded(entry) for key, entry in value.items()}
