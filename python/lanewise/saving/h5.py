"""HDF5 files: read by `hdf5`, with every size checked before memory is taken, and written by h5py.

h5py is an extra and imported only here, to write. Nothing in a file leads out of it: soft and external links, virtual
and external datasets are refused, and only numbers and texts are read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from . import hdf5
from .archive import AnyArray, FormatError

MAX_TEXT = 16 * 2**20  # bytes of all attributes that are read
MAX_ITEMS = 100_000  # names in them
_MAX_RANK = 8
_NUMBERS = itertools.count()
_SLACK = 32 * 2**20  # bytes that arrays may take beyond twice the file: compressed ones


def library() -> Any:
    """h5py. Raises ImportError with what to install."""
    try:
        import h5py
    except ImportError:
        raise ImportError("to write Keras's files needs h5py: pip install h5py") from None
    return h5py


def root(source: BinaryIO | bytes) -> Group:
    """The first group of an open file, or of its bytes.

    Raises:
        FormatError: no HDF5 file, or cut off.
    """
    file = hdf5.File(source)
    group = Group(file, file.root, _Budget(2 * file.size + _SLACK))
    group.file_size = file.size
    return group


@contextmanager
def writing(file: BinaryIO) -> Iterator[Any]:
    """An h5py.File in memory, which goes into an open file at the end.

    HDF5 never calls Python while it works: it would swallow Ctrl-C, and Python 3.12 and later answer an error that
    passes through it with a SystemError.
    """
    # HDF5 opens no name twice at once, not even in memory.
    with library().File(f"lanewise {next(_NUMBERS)}", "w", driver="core", backing_store=False) as root:
        yield root
        root.flush()
        image = root.id.get_file_image()
    file.write(image)


class _Budget:
    """Bytes that the arrays of one file may still take; bytes and number of its texts."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.text, self.items = MAX_TEXT, MAX_ITEMS

    def take(self, what: str, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise FormatError(f"{what} takes {size} bytes, more than a file of this size holds")


class Group:
    """A group of a file; names are looked up one by one, nothing is followed out of the file.

    Attributes:
        path: where it stands.
        file_size: bytes of the file; of the root only.
    """

    file_size = 0

    def __init__(self, file: hdf5.File, node: hdf5.Node, budget: _Budget, path: str = "") -> None:
        self._file = file
        self._node = node
        self._budget = budget
        self.path = path

    def __contains__(self, path: str) -> bool:
        try:
            self._open(path)
        except KeyError:
            return False
        return True

    def names(self) -> list[str]:
        """Names in this group, sorted."""
        return sorted(self._node.links)

    def group(self, path: str) -> Group:
        """The group at a path below this one. Raises KeyError: there is none; FormatError: it is none."""
        found = self._open(path)
        if not found.is_group:
            raise FormatError(f"{self._at(path)} is no group")
        return Group(self._file, found, self._budget, self._at(path))

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of the array at a path below this one, everything about it checked, nothing read."""
        return self._checked(path).shape

    def array(self, path: str) -> AnyArray:
        """The numbers at a path below this one, in native byte order.

        Raises:
            KeyError: there is nothing. FormatError: no array of plain numbers, or one that is too large.
        """
        found = self._checked(path)
        self._budget.take(self._at(path), found.unpacked)
        try:
            value = found.read()
        except FormatError as error:
            raise FormatError(f"{self._at(path)} {error}") from None
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))

    def text(self, name: str) -> str | None:
        """An attribute that is one text; None where there is none."""
        value = self._attribute(name)
        if value is None or isinstance(value, str):
            return value
        raise FormatError(f"attribute {name!r} of {self.path or '/'} is no text")

    def texts(self, name: str) -> list[str]:
        """An attribute that is a list of texts; a long one is spread over `name0`, `name1`, ..., as Keras does."""
        whole = self._attribute(name)
        if whole is not None:
            return [whole] if isinstance(whole, str) else whole
        found: list[str] = []
        part = 0
        while len(found) <= MAX_ITEMS and (piece := self._attribute(f"{name}{part}")) is not None:
            found += [piece] if isinstance(piece, str) else piece
            part += 1
        return found

    # --- checks -------------------------------------------------------------------------------------------------

    def _at(self, path: str) -> str:
        return f"{self.path}/{path}" if self.path else path

    def _open(self, path: str) -> hdf5.Node:
        here = self._node
        for part in path.split("/"):
            if part in ("", ".", ".."):
                raise FormatError(f"{path[:100]!r} is no path")
            if not here.is_group or part not in here.links:
                raise KeyError(self._at(path))
            address = here.links[part]
            if address is None:
                raise FormatError(f"{self._at(path)} is a link, which is not followed")
            here = self._file.node(address)
        return here

    def _checked(self, path: str) -> hdf5.Array:
        found = self._open(path)
        where = self._at(path)
        if not found.is_array:
            raise FormatError(f"{where} is no array")
        try:
            array = found.array()
        except FormatError as error:
            raise FormatError(f"{where} {error}") from None
        if array.kind.dtype is None:
            raise FormatError(f"{where} holds no plain numbers of up to 8 bytes")
        if len(array.shape) > _MAX_RANK:
            raise FormatError(f"{where} has {len(array.shape)} axes")
        if array.unpacked > self._budget.left:
            raise FormatError(
                f"{where} {array.shape} takes {array.unpacked} bytes, more than a file of this size holds"
            )
        return array

    def _attribute(self, name: str) -> str | list[str] | None:
        found = self._node.attribute(name)
        if found is None:
            return None
        kind, shape, data = found
        items = 0 if shape is None else math.prod(shape)
        if items == 0:
            return []
        where = f"attribute {name!r} of {self.path or '/'}"
        if not kind.text:
            raise FormatError(f"{where} is no text")
        budget = self._budget
        budget.items -= items
        if budget.items < 0 or kind.width * items > len(data):
            raise FormatError(f"{where} is too long, or cut off")
        texts = []
        for i in range(items):
            text = data[i * kind.width : (i + 1) * kind.width]
            text = self._file.long_text(text) if kind.long else text.rstrip(b"\0")
            budget.text -= len(text)
            if budget.text < 0:
                raise FormatError(f"{where} is too long")
            texts.append(text.decode("utf-8"))
        return texts if shape else texts[0]
