"""lanewise's own format; docs/format.md describes it."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .._engine import Weight
from ..initializers.base import zeros_only
from .archive import AnyArray, Archive, FormatError, Mismatch, Plan, describe, write
from .shapes import SLACK, check_description, check_size

if TYPE_CHECKING:
    from ..models import Model

FORMAT = "lanewise"
VERSION = 1
_KEYS = {"format", "version", "made_by", "kind", "model", "compile", "weights", "optimizer", "arrays"}


# --- saving -----------------------------------------------------------------------------------------------------


def write_model(path: str, model: Any, include_optimizer: bool) -> None:
    """Write a built model in the place of `path`."""
    from .. import __version__

    compiled = model.get_compile_config() if include_optimizer else None
    head = {"kind": "model", "made_by": __version__, "model": model.get_config(), "compile": compiled}
    state = model.optimizer_state() if compiled is not None else {}
    _write(path, head, _names(model), [weight.numpy() for weight in _made(model)], state)


def write_ensemble(path: str, models: Sequence[Any]) -> None:
    """Write built models in the place of `path`: lists of what `write_model` writes, without states of optimizers."""
    from .. import __version__

    head = {
        "kind": "ensemble", "made_by": __version__, "model": [model.get_config() for model in models],
        "compile": [model.get_compile_config() for model in models],
    }  # fmt: skip
    names = [f"{i}/{name}" for i, model in enumerate(models) for name in _names(model)]
    _write(path, head, names, [weight.numpy() for model in models for weight in _made(model)], {})


def write_weights(path: str, model: Any) -> None:
    """Write the weights of a built model in the place of `path`."""
    from .. import __version__

    head = {"kind": "weights", "made_by": __version__, "model": None, "compile": None}
    _write(path, head, _names(model), [weight.numpy() for weight in _made(model)], {})


def _made(model: Any) -> list[Weight]:
    """The weights as each layer made them, the order of this format (`model.weights` has those that train first)."""
    return list({id(weight): weight for leaf in model.leaves() for weight in leaf._weights}.values())


def _names(model: Any) -> list[str]:
    names = model._weight_names()
    return [names[id(weight)] for weight in _made(model)]


def _set(model: Any, weights: Sequence[AnyArray]) -> None:
    values = {id(weight): value for weight, value in zip(_made(model), weights, strict=True)}
    model.set_weights([values[id(weight)] for weight in model.weights])


def _write(
    path: str, head: dict[str, Any], names: list[str], weights: list[Any], state: Mapping[str, AnyArray]
) -> None:
    check_size(*(head["model"] if head["kind"] == "ensemble" else [head["model"]]))
    arrays: dict[str, AnyArray] = {f"weights/{i}.npy": array for i, array in enumerate(weights)}
    arrays.update({f"optimizer/{i}.npy": np.asarray(array) for i, array in enumerate(state.values())})
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        **head,
        "weights": names,
        "optimizer": list(state),
        "arrays": {name: describe(array) for name, array in arrays.items()},
    }
    write(path, manifest, arrays)


# --- loading ----------------------------------------------------------------------------------------------------


def read_model(file: BinaryIO, compile: bool) -> Any:
    """The model, the Ensemble or the estimator of a table in an open file.

    Raises:
        FormatError, ValueError and others: whatever is wrong with it.
    """
    archive = Archive(file)
    if archive.manifest.get("kind") == "tabular":
        from ..tabular.files import opened

        return opened(archive)
    manifest, plan = _checked(archive)
    kind, names = manifest["kind"], manifest["weights"]
    if kind == "weights":
        raise FormatError("it holds weights only: build the model and call load_weights on it")
    shapes = [shape for _, _, shape in plan[: len(names)]]
    elements = sum(map(math.prod, shapes)) + SLACK
    if kind == "model":
        with zeros_only(elements):
            check_size(manifest["model"])
            model = _described(manifest["model"], names, shapes)
        weights, state = _arrays(archive, manifest, plan)
        _set(model, weights)
        if compile and manifest["compile"] is not None:
            model.compile_from_config(manifest["compile"])
            if state:
                paths = dict(zip(names, _names(model), strict=True))
                parts = [(*name.rpartition("/"), value) for name, value in state.items()]
                model.load_optimizer_state({paths.get(path, path) + sep + key: v for path, sep, key, v in parts})
        return model
    described, compiled = manifest["model"], manifest["compile"]
    if not isinstance(described, list) or not isinstance(compiled, list) or len(described) != len(compiled):
        raise FormatError("model, compile: expected lists of one length")
    check_size(*described)
    counts = [sum(name.startswith(f"{i}/") for name in names) for i in range(len(described))]
    if sum(counts) != len(names) or manifest["optimizer"]:
        raise FormatError("weights: not those of the models")
    first, models = 0, []
    with zeros_only(elements):  # of all models together
        for i, (config, count) in enumerate(zip(described, counts, strict=True)):
            own = [name.removeprefix(f"{i}/") for name in names[first : first + count]]
            models.append(_described(config, own, shapes[first : first + count]))
            first += count
    weights = _arrays(archive, manifest, plan)[0]
    for model, config, count in zip(models, compiled, counts, strict=True):
        _set(model, weights[:count])
        weights = weights[count:]
        if compile and config is not None:
            model.compile_from_config(config)
    from ..many import Ensemble

    return Ensemble(models)


def _described(config: Any, names: list[str], shapes: list[tuple[int, ...]]) -> "Model":
    """The model of a description, which has to ask for weights of these names and shapes."""
    from ..models import Functional, Sequential

    check_description(config)
    model: Model = (Functional if "input_layers" in config else Sequential).from_config(config)
    if [weight.shape for weight in _made(model)] != shapes:
        raise FormatError("the weights do not have the shapes that the layers ask for")
    if names not in (_names(model), [weight.path for weight in _made(model)]):  # as they once were
        raise FormatError("the weights are not called as the layers ask for")
    return model


def read_weights(file: BinaryIO, model: Any) -> Callable[[], None]:
    """What gives a built model the weights in an open file, which must be its own.

    Raises:
        Mismatch: they are others. FormatError and others: whatever is wrong with the file.
    """
    archive = Archive(file)
    manifest, plan = _checked(archive)
    names: list[str] = manifest["weights"]
    weights, _ = _arrays(archive, manifest, plan)
    own = [(weight.name, weight.shape) for weight in _made(model)]
    found = [(name.rpartition("/")[2], array.shape) for name, array in zip(names, weights, strict=True)]
    if len(own) != len(found) or not all(_is_called(a[0], b[0]) and a[1] == b[1] for a, b in zip(found, own)):  # noqa: B905
        raise Mismatch(f"holds the weights {_listed(found)}, the model has {_listed(own)}")
    return partial(_set, model, weights)


def _is_called(found: str, name: str) -> bool:
    """Whether a weight of this name may be called so in a file: the second of a layer has a number behind it."""
    first, _, count = found.rpartition("_")
    return found == name or (first == name and count.isdigit())


def _listed(weights: list[tuple[str, tuple[int, ...]]]) -> str:
    shown = ", ".join(f"{name} {shape}" for name, shape in weights[:6])
    return shown + (f", ... ({len(weights)} in all)" if len(weights) > 6 else "")


def _checked(archive: Archive) -> tuple[dict[str, Any], Plan]:
    """The manifest and its arrays, every structure and size checked."""
    manifest = archive.manifest
    if manifest.get("format") != FORMAT:
        raise FormatError(f"its format is {manifest.get('format')!r}")
    version = manifest.get("version")
    if type(version) is not int or version < 1:
        raise FormatError(f"its version is {version!r}")
    if version > VERSION:
        raise FormatError(f"it has version {version} of the format and this lanewise reads up to {VERSION}; upgrade it")
    if set(manifest) != _KEYS or manifest["kind"] not in ("model", "weights", "ensemble"):
        raise FormatError(f"unknown content: {sorted(set(manifest) ^ _KEYS)[:3] or manifest.get('kind')}")
    if not isinstance(manifest["made_by"], str):
        raise FormatError(f"made_by: expected a text, received {str(manifest['made_by'])[:50]}")
    for key in ("weights", "optimizer"):
        names = manifest[key]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise FormatError(f"{key}: expected a list of names")
        if len(set(names)) != len(names):
            raise FormatError(f"{key}: two have one name")
    expected = [f"{kind}/{i}.npy" for kind in ("weights", "optimizer") for i in range(len(manifest[kind]))]
    if not isinstance(manifest["arrays"], dict) or list(manifest["arrays"]) != expected:
        raise FormatError("arrays: not those that weights and optimizer list")
    return manifest, archive.plan(manifest["arrays"])


def _arrays(archive: Archive, manifest: dict[str, Any], plan: Plan) -> tuple[list[Any], dict[str, AnyArray]]:
    """(weights in order, optimizer state by name)."""
    arrays = archive.read(plan)
    weights = [arrays[f"weights/{i}.npy"] for i in range(len(manifest["weights"]))]
    if any(array.dtype != np.float32 for array in weights):
        raise FormatError("a weight is not float32")
    return weights, {name: arrays[f"optimizer/{i}.npy"] for i, name in enumerate(manifest["optimizer"])}
