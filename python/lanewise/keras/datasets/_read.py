"""Reading the files of the data sets without running anything that stands in them, and what several of them share."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...utils import get_file

BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

Array = NDArray[Any]
Split = tuple[tuple[Array, Array], tuple[Array, Array]]
"""(x_train, y_train), (x_test, y_test)."""

_reconstruct = np.empty(0).__reduce__()[0]
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays, lists, dicts, numbers, bytes and texts; any other class or function raises UnpicklingError."""

    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"the file names {module}.{name}, which no data set needs; it was not loaded")
        return found


def load_npz(path: str) -> dict[str, Array]:
    """The arrays of an .npz file, those of objects (lists of several lengths) too."""
    arrays: dict[str, Array] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                arrays[member.removesuffix(".npy")] = _load_npy(file)
    return arrays


def _load_npy(file: Any) -> Array:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read_header(file)
    if dtype.hasobject:
        array = ArrayUnpickler(file).load()
        if not isinstance(array, np.ndarray):
            raise pickle.UnpicklingError(f"expected an array, received {type(array).__name__}")
        return array
    count = int(np.prod(shape, dtype=np.int64))
    flat: Array = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape).copy()


def shuffled(random: np.random.RandomState, *arrays: Array) -> list[Array]:
    """The arrays in the order that Keras takes for a generator of this state."""
    order = np.arange(len(arrays[0]))
    random.shuffle(order)
    return [array[order] for array in arrays]


def check_split(test_split: float) -> None:
    """Raises ValueError for a fraction outside [0, 1)."""
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split: expected a number in [0, 1), received {test_split!r}")


def load_table(path: str, name: str, file_hash: str, rows: int | None, test_split: float, seed: int) -> Split:
    """x and y of a table, shuffled and split."""
    check_split(test_split)
    with np.load(get_file(path, origin=BASE + name, file_hash=file_hash), allow_pickle=False) as file:
        x, y = shuffled(np.random.RandomState(seed), file["x"][:rows], file["y"][:rows])
    at = int(len(x) * (1 - test_split))
    return (x[:at], y[:at]), (x[at:], y[at:])


# --- CIFAR: batches of colour images in pickle files --------------------------------------------------------------


def unpacked(folder: str, archive: str, file_hash: str, inner: str) -> str:
    """The folder that holds the batches."""
    origin = f"https://www.cs.toronto.edu/~kriz/{archive}"
    return os.path.join(get_file(folder, origin=origin, extract=True, file_hash=file_hash), inner)


def load_batches(folder: str, names: Sequence[str], labels: str) -> tuple[Array, Array]:
    """(images (n, 32, 32, 3), labels (n, 1)), uint8."""
    images, numbers = [], []
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            batch = ArrayUnpickler(file, encoding="bytes").load()
        images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32))
        numbers.append(np.asarray(batch[labels.encode()], np.uint8).reshape(-1, 1))
    return np.concatenate(images).transpose(0, 2, 3, 1), np.concatenate(numbers)


# --- texts: lists of word numbers ----------------------------------------------------------------------------------


def word_index(path: str, name: str, file_hash: str) -> dict[str, int]:
    """From word to number."""
    with open(get_file(path, origin=BASE + name, file_hash=file_hash), encoding="utf-8") as file:
        index: dict[str, int] = json.load(file)
    return index


def begun(rows: Iterable[Any], start_char: int | None, index_from: int | None) -> list[list[int]]:
    """Each text with `start_char` in front and its numbers moved up by `index_from`."""
    start = [] if start_char is None else [start_char]
    return [start + [word + (index_from or 0) for word in row] for row in rows]


def shorter(rows: list[list[int]], labels: Array, maxlen: int | None) -> tuple[list[list[int]], Array]:
    """Texts of less than `maxlen` words, and their labels."""
    if not maxlen:
        return rows, labels
    kept = [i for i, row in enumerate(rows) if len(row) < maxlen]
    if not kept:
        raise ValueError(f"maxlen: no text has less than {maxlen} words; give a larger number")
    return [rows[i] for i in kept], labels[kept]


def limited(rows: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """Numbers in [skip_top, num_words); others become `oov_char`, or are left out where that is None."""
    top = num_words or max(map(max, rows))
    if oov_char is None:
        return [[word for word in row if skip_top <= word < top] for row in rows]
    return [[word if skip_top <= word < top else oov_char for word in row] for row in rows]


def as_objects(rows: list[list[int]]) -> Array:
    """An array of lists, (n,)."""
    array = np.empty(len(rows), object)
    array[:] = rows
    return array
