"""HDF5 files: read with every size checked before memory is taken, written plainly.

h5py is an extra and imported only here. Nothing in a file leads out of it: soft and external links, virtual and
external datasets are refused, and only numbers and texts are read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, BinaryIO

import numpy as np

from .archive import AnyArray, FormatError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_TEXT = 16 * 2**20  # bytes of one attribute
MAX_ITEMS = 100_000  # of a list of names
_MAX_RANK = 8
_SLACK = 32 * 2**20  # bytes that arrays may take beyond twice the file: compressed ones
_FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, checksum, lzf: all are compiled into h5py


def library() -> Any:
    """h5py. Raises ImportError with what to install."""
    try:
        import h5py
    except ImportError:
        raise ImportError('Keras\'s files need h5py, which is not installed: pip install "lanewise[h5]"') from None
    return h5py


@contextmanager
def reading(source: str | bytes) -> Iterator[Group]:
    """The root group of the file at a path, or of its bytes.

    Raises:
        OSError: no HDF5 file, or cut off.
    """
    h5py = library()
    if isinstance(source, bytes):
        size, opened = len(source), h5py.File(io.BytesIO(source), "r")
    else:
        with open(source, "rb") as file:
            size = file.seek(0, io.SEEK_END)
        opened = h5py.File(source, "r", locking=False)
    with opened:
        root = Group(h5py.h5g.open(opened.id, b"/"), _Budget(2 * size + _SLACK))
        root.file_size = size
        yield root


@contextmanager
def writing(file: BinaryIO) -> Iterator[Any]:
    """An h5py.File that goes into an open file."""
    with library().File(file, "w") as root:
        yield root


class _Budget:
    """Bytes that the arrays of one file may still take."""

    def __init__(self, left: int) -> None:
        self.left = left

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

    def __init__(self, handle: Any, budget: _Budget, path: str = "") -> None:
        self._id = handle
        self._budget = budget
        self.path = path

    def __contains__(self, path: str) -> bool:
        try:
            self._open(path)
        except KeyError:
            return False
        return True

    def names(self) -> list[str]:
        """Names in this group."""
        entries = self._id.get_num_objs()
        if entries > MAX_ITEMS:
            raise FormatError(f"{self.path or '/'} has {entries} entries")
        return [name.decode("utf-8", "replace") for name in self._id]

    def group(self, path: str) -> Group:
        """The group at a path below this one. Raises KeyError: there is none; FormatError: it is none."""
        h5py = library()
        found = self._open(path)
        if not isinstance(found, h5py.h5g.GroupID):
            raise FormatError(f"{self._at(path)} is no group")
        return Group(found, self._budget, self._at(path))

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of the array at a path below this one, everything about it checked, nothing read."""
        return self._checked(path)[1]

    def array(self, path: str) -> AnyArray:
        """The numbers at a path below this one, in native byte order.

        Raises:
            KeyError: there is nothing. FormatError: no array of plain numbers, or one that is too large.
        """
        h5py = library()
        found, shape, size = self._checked(path)
        self._budget.take(self._at(path), size)
        value = np.asarray(h5py.Dataset(found)[()]).reshape(shape)
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
        for part in count():
            piece = self._attribute(f"{name}{part}")
            if piece is None or len(found) > MAX_ITEMS:
                break
            found += [piece] if isinstance(piece, str) else piece
        return found

    # --- checks -------------------------------------------------------------------------------------------------

    def _at(self, path: str) -> str:
        return f"{self.path}/{path}" if self.path else path

    def _open(self, path: str) -> Any:
        h5py = library()
        here = self._id
        for part in path.split("/"):
            if part in ("", ".", ".."):
                raise FormatError(f"{path[:100]!r} is no path")
            name = part.encode()
            if not isinstance(here, h5py.h5g.GroupID) or name not in here:
                raise KeyError(self._at(path))
            if here.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                raise FormatError(f"{self._at(path)} is a link, which is not followed")
            here = h5py.h5o.open(here, name)
        return here

    def _checked(self, path: str) -> tuple[Any, tuple[int, ...], int]:
        h5py = library()
        found = self._open(path)
        where = self._at(path)
        if not isinstance(found, h5py.h5d.DatasetID):
            raise FormatError(f"{where} is no array")
        rules = found.get_create_plist()
        if rules.get_layout() not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
            raise FormatError(f"{where} is a virtual array, which is not read")
        if rules.get_external_count() != 0:
            raise FormatError(f"{where} lies in another file, which is not read")
        for i in range(rules.get_nfilters()):
            if rules.get_filter(i)[0] not in _FILTERS:
                raise FormatError(f"{where} is packed with filter {rules.get_filter(i)[0]}, which is not read")
        kind = found.get_type()
        width = kind.get_size()
        if kind.get_class() not in (h5py.h5t.FLOAT, h5py.h5t.INTEGER) or width > 8:
            raise FormatError(f"{where} holds no plain numbers of up to 8 bytes")
        shape = tuple(found.shape)
        if len(shape) > _MAX_RANK:
            raise FormatError(f"{where} has {len(shape)} axes")
        size = math.prod(shape) * width
        chunk = math.prod(rules.get_chunk()) * width if rules.get_layout() == h5py.h5d.CHUNKED else 0
        if max(size, chunk) > self._budget.left:
            raise FormatError(f"{where} {shape} takes {max(size, chunk)} bytes, more than a file of this size holds")
        return found, shape, size

    def _attribute(self, name: str) -> str | list[str] | None:
        h5py = library()
        key = name.encode()
        if not h5py.h5a.exists(self._id, key):
            return None
        found = h5py.h5a.open(self._id, key)
        space = found.get_space()
        if space.get_simple_extent_type() == h5py.h5s.NULL or math.prod(found.shape) == 0:
            return []
        if found.get_type().get_class() != h5py.h5t.STRING:
            raise FormatError(f"attribute {name!r} of {self.path or '/'} is no text")
        if found.get_storage_size() > MAX_TEXT or math.prod(found.shape) > MAX_ITEMS:
            raise FormatError(f"attribute {name!r} of {self.path or '/'} is too long")
        value = h5py.AttributeManager(h5py.Group(self._id))[name]
        items = [_decoded(item) for item in np.ravel(np.asarray(value, dtype=object))]
        if sum(map(len, items)) > MAX_TEXT:
            raise FormatError(f"attribute {name!r} of {self.path or '/'} is too long")
        return items if found.shape else items[0]


def _decoded(item: Any) -> str:
    if isinstance(item, bytes):
        return item.decode("utf-8")
    if isinstance(item, str):
        return item
    raise FormatError(f"a text is {type(item).__name__}")
