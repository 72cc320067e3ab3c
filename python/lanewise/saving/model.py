"""save_model, load_model, save_weights, load_weights: which format, and one kind of error for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from .._names import UnknownName
from .._registry import CustomObjectScope
from ..initializers.base import few_items
from . import h5
from .archive import HDF5_SIGNATURE, MAX_ITEMS, FormatError, Mismatch
from .files import open_regular

# --- which format -----------------------------------------------------------------------------------------------

_NOT_OURS = (".pkl", ".pickle", ".npz", ".npy", ".pt", ".pth", ".onnx", ".tf", ".pb")
_OURS = (".lanewise", ".keras", ".h5", ".hdf5", ".safetensors")


def check_suffix(argument: str, path: str, weights: bool = False, reading: bool = False) -> str:
    """The format that a file name asks for: 'lanewise', 'keras', 'h5', 'weights.h5' or 'safetensors'.

    Raises:
        ValueError: a suffix of a format that lanewise does not have (to be read, a file may be called as it likes), or
            that does not hold what is to be saved.
    """
    name = path.lower()
    suffix = os.path.splitext(name)[1]
    if suffix == ".safetensors" and not weights:
        raise ValueError(
            f"{argument}: '.safetensors' holds weights only: use save_weights and load_weights; for a whole model use "
            "the suffix '.lanewise' or '.keras'"
        )
    if suffix == ".keras" and weights:
        raise ValueError(
            f"{argument}: '.keras' holds whole models: use model.save, or for weights the suffix '.weights.h5', "
            f"'.lanewise' or '.safetensors'; received {path!r}"
        )
    if suffix in _NOT_OURS or (not reading and suffix not in _OURS):
        names = "*.weights.h5, *.h5, *.lanewise or *.safetensors" if weights else "*.keras, *.h5 or *.lanewise"
        raise ValueError(f"{argument}: expected a file called {names}, received {path!r}")
    if suffix in (".h5", ".hdf5"):
        return "weights.h5" if weights and name.endswith(".weights.h5") else "h5"
    return {".keras": "keras", ".safetensors": "safetensors"}.get(suffix, "lanewise")


def _path(filepath: Any) -> str:
    path = os.fspath(filepath)
    return path if isinstance(path, str) else os.fsdecode(path)


def _target(method: str, model: Any, path: str, overwrite: bool, weights: bool) -> str:
    """The format to write; raises what `save_model` and `save_weights` say."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"filepath: {path!r} is a directory")
    kind = check_suffix("filepath", path, weights)
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(f"filepath: {path!r} exists; pass overwrite=True to replace it")
    if not getattr(model, "built", False):
        raise ValueError(f"{method}: the model is not built; give the first layer input_shape=, or show it data first")
    if kind in ("keras", "h5", "weights.h5"):
        h5.library()
    return kind


@contextmanager
def _opened(path: str) -> Iterator[tuple[str, BinaryIO]]:
    """(format, file) by what the file begins with; whatever is wrong with it, while it is used, is one ValueError
    (or MemoryError)."""
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"filepath: {path!r} is a directory; a SavedModel of TensorFlow has to be saved from there as '.h5' first"
        )
    with open_regular(path) as file:
        kind = "keras" if path.lower().endswith(".keras") else "lanewise"
        if file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
            kind = "h5"
        file.seek(0)
        try:
            with few_items(MAX_ITEMS):
                yield kind, file
        except Mismatch as error:
            raise ValueError(f"filepath: {path!r} {error}") from None
        except Exception as error:
            if isinstance(error, MemoryError) or str(error) == "can't allocate lock":  # Python's, before 3.13
                raise MemoryError(f"filepath: {path!r} holds more than there is memory for") from None
            if isinstance(error, UnknownName):
                raise ValueError(
                    f"filepath: {path!r} needs a class or function that is not known here (your own ones go into "
                    f"custom_objects={{'name': object}}), or is no intact {kind} file: {str(error)[:500]}"
                ) from None
            what = str(error) if isinstance(error, FormatError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"filepath: {path!r} is no intact {kind} file: {what[:500]}") from None


# --- saving -----------------------------------------------------------------------------------------------------


def save_model(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Write layers, weights, and if compiled the optimizer with its state, to one file.

    The file is replaced in one step: after a crash it holds the old model or the new one.

    Args:
        model: a built model of lanewise's own layers, or of classes that are registered.
        filepath: '*.lanewise' writes lanewise's own format, '*.keras' and '*.h5' write Keras's (with h5py).
        overwrite: False refuses to replace a file.
        **kwargs: `include_optimizer=False` leaves out what the model was compiled with; `save_format` and `zipped`
            are accepted, but for TensorFlow's folders (`save_format='tf'`).

    Raises:
        ValueError: not built, classes that no file can name, or a suffix of another format.
        FileExistsError: with overwrite=False. ImportError: h5py is not installed. OSError: the file cannot be written.
    """
    from . import keras_h5, keras_zip, native
    from .shapes import check_nameable

    include_optimizer = bool(kwargs.pop("include_optimizer", True))
    check_format(kwargs.pop("save_format", None))
    kwargs.pop("zipped", None)
    if kwargs:
        raise TypeError(f"save: unknown arguments {sorted(kwargs)}")
    path = _path(filepath)
    kind = _target("save", model, path, overwrite, weights=False)
    check_nameable(model)
    writer = {"keras": keras_zip.write, "h5": keras_h5.write_model}.get(kind, native.write_model)
    model._weights_lock.read(writer, path, model, include_optimizer)  # of one moment: another thread may be training


def check_format(save_format: Any) -> None:
    """Raises ValueError for a format of TensorFlow's."""
    if save_format == "tf":
        raise ValueError(
            "save_format: 'tf' is TensorFlow's own; the suffix of the file says the format, such as '*.keras'"
        )


def save_ensemble(ensemble: Any, filepath: Any, overwrite: bool) -> None:
    """What `Ensemble.save` does."""
    from . import native
    from .shapes import check_nameable

    path = _path(filepath)
    if check_suffix("filepath", path) != "lanewise":
        raise ValueError(f"filepath: an ensemble goes into a '*.lanewise' file, received {path!r}")
    for model in ensemble.models:
        _target("save", model, path, overwrite, weights=False)
        check_nameable(model)
    native.write_ensemble(path, ensemble.models)


def save_weights(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Write the weights only.

    Args:
        model: a built model.
        filepath: '*.lanewise'; '*.weights.h5' and '*.h5' write Keras 3's and Keras 2's layout (with h5py), the first
            with the state of the optimizer, as Keras does; '*.safetensors' writes that format (with safetensors).
        overwrite: False refuses to replace a file.
        **kwargs: `save_format` is accepted, but for TensorFlow's checkpoints (`save_format='tf'`).

    Raises:
        ValueError: not built, or a suffix of another format. FileExistsError: with overwrite=False.
        ImportError: h5py or safetensors is not installed. OSError: the file cannot be written.
    """
    from . import keras_h5, keras_state, native, tensors

    check_format(kwargs.pop("save_format", None))
    if kwargs:
        raise TypeError(f"save_weights: unknown arguments {sorted(kwargs)}")
    path = _path(filepath)
    kind = _target("save_weights", model, path, overwrite, weights=True)
    writers = {
        "safetensors": lambda: tensors.save_tensors(model, path),
        "weights.h5": lambda: keras_state.write_weights(path, model),
        "h5": lambda: keras_h5.write_weights(path, model),
        "lanewise": lambda: native.write_weights(path, model),
    }
    model._weights_lock.read(writers[kind])


# --- loading ----------------------------------------------------------------------------------------------------


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model in a file, ready to predict and to train on.

    Nothing in the file is executed: classes come from closed tables, and every size is checked before it is used.

    Args:
        filepath: what `save_model` wrote, or a '.keras' or '.h5' file of Keras 2 or 3.
        custom_objects: name -> class or function of yours, for the names that the file holds beside the known ones.
        compile: False leaves out optimizer, loss and metrics.
        safe_mode: accepted; loading is always safe: Python code in a file is refused.

    Raises:
        ValueError: no model file, damaged, made by a later version, or with what lanewise does not have.
        OSError: it cannot be read.
    """
    from . import keras_h5, keras_zip, native

    path = _path(filepath)
    check_suffix("filepath", path, reading=True)
    with CustomObjectScope(custom_objects), _opened(path) as (kind, file):
        readers = {"h5": keras_h5.read_model, "keras": keras_zip.read, "lanewise": native.read_model}
        return readers[kind](file, compile)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Read weights into a built model of the same shapes.

    Args:
        model: changed only if everything fits.
        filepath: what `save_weights` or `save_model` wrote, a file of Keras's, or a '.safetensors' file with the same
            names.
        skip_mismatch: leave layers as they are, with a warning, whose weights have another shape or number (Keras's
            files).
        by_name: take the layers that have the same name, and leave the others (legacy '.h5' files).

    Raises:
        ValueError: not built, a damaged file, or weights of other shapes. OSError: it cannot be read.
        ImportError: safetensors is not installed.
    """
    from . import keras_h5, keras_state, keras_zip, native

    path = _path(filepath)
    if not path.lower().endswith(".keras"):
        check_suffix("filepath", path, weights=True, reading=True)
    if not getattr(model, "built", False):
        raise ValueError("load_weights: the model is not built; give the first layer input_shape=, or call build()")
    if path.lower().endswith(".safetensors"):
        from .tensors import load_tensors

        load_tensors(model, path)
        return
    with _opened(path) as (kind, file):
        legacy = False
        if kind == "lanewise":
            assign = native.read_weights(file, model)
        else:
            root = h5.root(file if kind == "h5" else keras_zip.weights_of(file))
            legacy = keras_h5.is_legacy(root)
            if legacy:
                keras_state.assign(model, keras_h5.places(root, model, by_name, skip_mismatch))
            elif not by_name:
                places = keras_state.read_weights(root, model, skip_mismatch=skip_mismatch)
                restore = keras_state.read_optimizer(root, model) if model.compiled else None
                keras_state.assign(model, places)
                if restore is not None:
                    restore()
    if by_name and not legacy:
        raise ValueError(f"by_name: only legacy '.h5' files go by the names of layers, received {path!r}")
    if kind == "lanewise":
        assign()
