"""Weights as safetensors, through the library of that name (an extra, imported only here)."""

from typing import TYPE_CHECKING, Any

from .atomic import replacing

if TYPE_CHECKING:
    from ..models import Model


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError("safetensors is not installed: pip install safetensors") from None
    return safetensors.numpy


def _names(model: "Model") -> list[str]:
    """`0.kernel`, `0.bias`, `1.kernel`, ...: layers with weights are counted, as other libraries do in a chain."""
    with_weights = [layer for layer in model.layers if layer.weights]
    return [f"{i}.{weight.name}" for i, layer in enumerate(with_weights) for weight in layer.weights]


def save_tensors(model: "Model", path: str) -> None:
    """Write the weights of a built model in the place of `path`."""
    data = _library().save(dict(zip(_names(model), model.get_weights(), strict=True)), {"format": "lanewise"})
    with replacing(path) as file:
        file.write(data)


def load_tensors(model: "Model", path: str) -> None:
    """Read the weights of a built model; it changes only if all names and shapes fit.

    Raises:
        ValueError: a damaged file, other names, shapes or dtypes. OSError: it cannot be read.
    """
    library = _library()
    with open(path, "rb") as file:
        data = file.read()
    try:
        tensors = library.load(data)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"filepath: {path!r} is no intact safetensors file: {error}") from None
    names = _names(model)
    own = {name: weight.shape for name, weight in zip(names, model.weights, strict=True)}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if own != found:
        raise ValueError(f"filepath: {path!r} holds {dict(sorted(found.items()))}, the model has {own}")
    model.set_weights([tensors[name] for name in names])
