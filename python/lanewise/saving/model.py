"""save_model, load_model, save_weights, load_weights."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..initializers.base import zeros_only
from .archive import AnyArray, Archive, FormatError, Plan, describe, write

if TYPE_CHECKING:
    from ..models import Sequential

FORMAT = "lanewise"
VERSION = 1
_KEYS = {"format", "version", "made_by", "kind", "model", "compile", "weights", "optimizer", "arrays"}


# --- file names -------------------------------------------------------------------------------------------------


def check_suffix(argument: str, path: str, weights: bool = False) -> None:
    """Raises ValueError for a file name of a format that lanewise does not have."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".keras", ".h5", ".hdf5"):
        raise ValueError(
            f"{argument}: Keras's files ({suffix}) are neither written nor read yet; use the suffix '.lanewise', or "
            "'.safetensors' for weights that other libraries read. To bring weights over from Keras: build the "
            "same layers here and call model.set_weights(keras_model.get_weights())"
        )
    if suffix == ".safetensors" and not weights:
        raise ValueError(
            f"{argument}: '.safetensors' holds weights only: use save_weights and load_weights; for a whole model use "
            "the suffix '.lanewise'"
        )
    if suffix in (".pkl", ".pickle", ".npz", ".npy", ".pt", ".pth", ".onnx"):
        raise ValueError(f"{argument}: expected a file called *.lanewise, received {path!r}")


def _path(filepath: Any, weights: bool = False) -> str:
    path = os.fspath(filepath)
    if not isinstance(path, str):
        path = os.fsdecode(path)
    check_suffix("filepath", path, weights)
    return path


def _check_overwrite(path: str, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(f"filepath: {path!r} exists; pass overwrite=True to replace it")


@contextmanager
def _opened(path: str) -> Iterator[Archive]:
    """The archive; whatever is wrong with the file, while it is read and used, is one ValueError."""
    with open(path, "rb") as file:
        try:
            yield Archive(file)
        except Exception as error:
            what = str(error) if isinstance(error, FormatError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"filepath: {path!r} is no intact lanewise file: {what[:500]}") from None


# --- saving -----------------------------------------------------------------------------------------------------


def save_model(model: "Sequential", filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Write layers, weights, and if compiled the optimizer with its state, to one file.

    The file is replaced in one step: after a crash it holds the old model or the new one.

    Args:
        model: a built Sequential of lanewise's own layers.
        filepath: recommended suffix '.lanewise'.
        overwrite: False refuses to replace a file.
        **kwargs: `include_optimizer=False` leaves out what the model was compiled with; `save_format` is accepted.

    Raises:
        ValueError: not built, classes that no file can name, or a suffix of another format.
        FileExistsError: with overwrite=False. OSError: the file cannot be written.
    """
    from .. import __version__
    from .shapes import check_nameable

    include_optimizer = kwargs.pop("include_optimizer", True)
    kwargs.pop("save_format", None)
    if kwargs:
        raise TypeError(f"save: unknown arguments {sorted(kwargs)}")
    path = _path(filepath)
    _check_overwrite(path, overwrite)
    if not getattr(model, "built", False):
        raise ValueError("save: the model is not built; give the first layer input_shape=, or show it data first")
    check_nameable(model)
    config = model.get_config()
    weights = model.get_weights()
    compiled = model.get_compile_config() if include_optimizer else None
    state = model.optimizer_state() if compiled is not None else {}
    _write(
        path,
        {"kind": "model", "made_by": __version__, "model": config, "compile": compiled},
        [weight.path for weight in model.weights],
        weights,
        state,
    )


def save_weights(model: "Sequential", filepath: Any, overwrite: bool = True) -> None:
    """Write the weights only.

    Args:
        model: a built Sequential.
        filepath: '*.lanewise'; '*.safetensors' writes that format (needs `pip install safetensors`).
        overwrite: False refuses to replace a file.

    Raises:
        ValueError: not built, or a suffix of another format. FileExistsError: with overwrite=False.
        ImportError: safetensors is not installed. OSError: the file cannot be written.
    """
    from .. import __version__

    path = _path(filepath, weights=True)
    _check_overwrite(path, overwrite)
    if not getattr(model, "built", False):
        raise ValueError("save_weights: the model is not built; give the first layer input_shape=, or show it data")
    if path.lower().endswith(".safetensors"):
        from .tensors import save_tensors

        save_tensors(model, path)
        return
    names = [weight.path for weight in model.weights]
    head = {"kind": "weights", "made_by": __version__, "model": None, "compile": None}
    _write(path, head, names, model.get_weights(), {})


def _write(
    path: str, head: dict[str, Any], names: list[str], weights: list[Any], state: Mapping[str, AnyArray]
) -> None:
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


def load_model(filepath: Any, compile: bool = True, **kwargs: Any) -> "Sequential":
    """The model that `save_model` wrote, ready to predict and to train on.

    Nothing in the file is executed: classes come from a closed table, and every size is checked before it is used.

    Args:
        filepath: the file.
        compile: False leaves out optimizer, loss and metrics.
        **kwargs: `safe_mode` is accepted; `custom_objects` must be None or empty.

    Raises:
        ValueError: not a lanewise model file, damaged, or made by a later version. OSError: it cannot be read.
    """
    from ..models import Sequential
    from .shapes import SLACK, check_description

    kwargs.pop("safe_mode", None)
    if kwargs.pop("custom_objects", None):
        raise NotImplementedError("custom_objects: a file names classes of a closed table only")
    if kwargs:
        raise TypeError(f"load_model: unknown arguments {sorted(kwargs)}")
    path = _path(filepath)
    with _opened(path) as archive:
        manifest, plan = _checked(archive)
        if manifest["kind"] != "model":
            raise FormatError("it holds weights only: build the model and call load_weights on it")
        config = manifest["model"]
        shapes = [shape for _, _, shape in plan[: len(manifest["weights"])]]
        check_description(config)
        with zeros_only(sum(map(math.prod, shapes)) + SLACK):
            model = Sequential.from_config(config)
        if [weight.shape for weight in model.weights] != shapes:
            raise FormatError("the weights do not have the shapes that the layers ask for")
        if [weight.path for weight in model.weights] != manifest["weights"]:
            raise FormatError("the weights are not called as the layers ask for")
        weights, state = _arrays(archive, manifest, plan)
        model.set_weights(weights)
        if compile and manifest["compile"] is not None:
            model.compile_from_config(manifest["compile"])
            _check_state(state)
            if state:
                model.load_optimizer_state(state)
    return model


def load_weights(model: "Sequential", filepath: Any) -> None:
    """Read weights into a built model of the same shapes.

    Args:
        model: changed only if everything fits.
        filepath: what `save_weights` or `save_model` wrote, or a '.safetensors' file with the same names.

    Raises:
        ValueError: not built, a damaged file, or weights of other shapes. OSError: it cannot be read.
    """
    path = _path(filepath, weights=True)
    if not getattr(model, "built", False):
        raise ValueError("load_weights: the model is not built; give the first layer input_shape=, or call build()")
    if path.lower().endswith(".safetensors"):
        from .tensors import load_tensors

        load_tensors(model, path)
        return
    with _opened(path) as archive:
        manifest, plan = _checked(archive)
        names: list[str] = manifest["weights"]
        weights, _ = _arrays(archive, manifest, plan)
    own = [(weight.name, weight.shape) for weight in model.weights]
    found = [(name.rpartition("/")[2], array.shape) for name, array in zip(names, weights, strict=True)]
    if own != found:
        raise ValueError(f"filepath: {path!r} holds the weights {_listed(found)}, the model has {_listed(own)}")
    model.set_weights(weights)


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
    if set(manifest) != _KEYS or manifest["kind"] not in ("model", "weights"):
        raise FormatError(f"unknown content: {sorted(set(manifest) ^ _KEYS)[:3] or manifest.get('kind')}")
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


def _check_state(state: Mapping[str, AnyArray]) -> None:
    for key in ("iterations", "epoch", "seed"):
        if key in state and (state[key].shape != () or state[key].dtype.kind not in "iu" or int(state[key]) < 0):
            raise FormatError(f"optimizer: {key} is no number of steps")
