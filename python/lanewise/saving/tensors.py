"""Weights as safetensors, through the library of that name (an extra, imported only here)."""

import os
from typing import TYPE_CHECKING, Any

from .files import open_regular, replacing

if TYPE_CHECKING:
    from ..models import Model


_MAX_HEADER = 2**20  # bytes beside what the weights of the model ask for


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError("safetensors is not installed: pip install safetensors") from None
    return safetensors.numpy


def _names(model: "Model", nested: bool = True) -> list[str]:
    """`0.kernel`, `0.bias`, `1.kernel`, ...: layers with weights are counted, as other libraries do in a chain.

    In a model or a layer of yours that is the first layer they are `0.0.kernel`, ... (without `nested`, which wrote the
    last of each name only, `0.kernel`); a second `w` of one layer is `0.w_1`.
    """
    found: dict[int, str] = {}
    used: set[str] = set()

    def walk(part: Any, prefix: str) -> None:
        inner = getattr(part, "operations", None)
        for weight in (part._weights if nested else part.weights) if inner is None else ():
            name, count = prefix + weight.name, 0
            while nested and name in used:
                count += 1
                name = f"{prefix}{weight.name}_{count}"
            found.setdefault(id(weight), name)
            used.add(name)
        count = 0
        for entry in part.inner_layers() if inner is None else inner:
            if entry.weights and not (prefix and all(id(weight) in found for weight in entry.weights)):
                walk(entry, f"{prefix}{count}." if nested or part is model else prefix)
                count += 1

    walk(model, "")
    return [found[id(weight)] for weight in model.weights]


def save_tensors(model: "Model", path: str) -> None:
    """Write the weights of a built model in the place of `path`."""
    data = _library().save(dict(zip(_names(model), model.get_weights(), strict=True)), {"format": "lanewise"})
    with replacing(path) as file:
        file.write(data)


def load_tensors(model: "Model", path: str) -> None:
    """Read the weights of a built model; it changes only if all names and shapes fit.

    Raises:
        ValueError: no regular file, a damaged one, other names, shapes or dtypes. OSError: it cannot be read.
    """
    library = _library()
    with open_regular(path) as file:
        # its list is made of objects that take many times its bytes
        if int.from_bytes(file.read(8), "little") > _MAX_HEADER + 1024 * len(model.weights):
            raise ValueError(f"filepath: {path!r} is no intact safetensors file, or of more weights than the model")
        file.seek(0)
        data = file.read(os.fstat(file.fileno()).st_size)  # not what is added meanwhile
    try:
        tensors = library.load(data)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"filepath: {path!r} is no intact safetensors file: {error}") from None
    found = {name: tensor.shape for name, tensor in tensors.items()}
    for names in (_names(model, nested=False), _names(model)):
        own = dict(zip(names, (weight.shape for weight in model.weights), strict=True))
        if own == found and len(found) == len(names):
            model.set_weights([tensors[name] for name in names])
            return
    held, wanted = str(dict(sorted(found.items()))), str(own)
    raise ValueError(f"filepath: {path!r} holds {held[:500]}, the model has {wanted[:500]}")
