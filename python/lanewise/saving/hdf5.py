"""A reader of HDF5 files in plain Python, for files that nobody vouches for.

The HDF5 library loops for ever on some damaged files, and takes memory before it looks. This reads what Keras writes
(and h5py by default) and nothing else: groups of symbol tables or links in the header, attributes in the header, arrays
in one piece or in chunks by a B-tree of version 1, packed by deflate and shuffle or not. Every address is checked,
every structure is bounded, and only what is asked for is read.

Source: HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .archive import HDF5_SIGNATURE, AnyArray, FormatError

_NOWHERE = 2**64 - 1  # the address of what was never written
_MAX_BLOCK = 2**25  # bytes of one header, heap or node
_MAX_PIECES = 100_000  # messages of a header, entries of a group, chunks of an array
_MAX_RANK = 32  # the format's own limit
_MAX_NAME = 1024  # bytes
_FILTERS = {1: "deflate", 2: "shuffle"}

_SPACE, _LINKS, _TYPE, _LINK, _ELSEWHERE, _LAYOUT = 1, 2, 3, 6, 7, 8
_PIPELINE, _ATTRIBUTE, _CONTINUATION, _SYMBOLS, _ATTRIBUTES = 11, 12, 16, 17, 21


class Kind(NamedTuple):
    """What an element is: a plain number of a dtype; or a text, or anything else, of a width."""

    dtype: np.dtype[np.generic] | None
    text: bool
    width: int
    long: bool = False  # a text of any length, which stands elsewhere


class Attribute(NamedTuple):
    """shape None: empty, without a shape."""

    kind: Kind
    shape: tuple[int, ...] | None
    data: bytes


class File:
    """An HDF5 file, from bytes or an open file.

    Attributes:
        size: bytes. root: its first group. unread: bytes of chunks that may still be read: they do not overlap.

    Raises:
        FormatError: no such file, cut off, or laid out in another way.
    """

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._data: Any = memoryview(source) if isinstance(source, bytes) else None  # so that arrays are no copies
        self._file = None if isinstance(source, bytes) else source
        self.size = len(source) if isinstance(source, bytes) else source.seek(0, 2)
        head = self.read(0, 96) if self.size >= 96 else b""
        if head[:8] != HDF5_SIGNATURE:
            raise FormatError("it does not begin as an HDF5 file, or is cut off")
        version = head[8]
        if version <= 1:
            widths, base = head[13:15], 24 + 4 * version
            end, root = _unsigned(head, base + 16), _unsigned(head, base + 40)
        elif version <= 3:
            widths, base = head[9:11], 12
            end, root = _unsigned(head, 28), _unsigned(head, 36)
        else:
            raise FormatError(f"its HDF5 version is {version}")
        if widths != b"\x08\x08" or _unsigned(head, base) != 0:
            raise FormatError("its addresses are not of 8 bytes, or do not count from its begin")
        if end > self.size:
            raise FormatError(f"it has {self.size} bytes of {end}: it is cut off")
        self._left = 4 * self.size + 2**22
        self.unread = 2 * self.size + 2**22
        self._nodes: dict[int, Node] = {}
        self._heaps: dict[int, tuple[bytes, dict[int, tuple[int, int]]]] = {}
        self.root = self.node(root)

    def node(self, at: int) -> Node:
        """The group or array at an address."""
        if at not in self._nodes:
            self._nodes[at] = Node(self, at)
        return self._nodes[at]

    def read(self, at: int, size: int) -> bytes:
        """Bytes of the file, or a view of them. Raises FormatError for a place outside of it."""
        if not 0 <= at <= at + size <= self.size:
            raise FormatError(f"it points to {size} bytes at {at}, which are not there")
        if self._file is None:
            return self._data[at : at + size]  # type: ignore[no-any-return]
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) != size:
            raise FormatError("it was cut off while it was read")
        return data

    def block(self, at: int, size: int, mark: bytes = b"") -> bytes:
        """A piece of structure, which begins with `mark`."""
        self._left -= size + 64
        if size > _MAX_BLOCK or self._left < 0:
            raise FormatError(f"a structure of {size} bytes, or structures that overlap")
        data = bytes(self.read(at, size))
        if not data.startswith(mark):
            raise FormatError(f"no {mark.decode()} at {at}")
        return data

    def long_text(self, reference: bytes) -> bytes:
        """The text that 16 bytes point to: length, address of a global heap, number in it."""
        length, at, number = struct.unpack("<LQL", reference)
        if number == 0 or length == 0:
            return b""
        if at not in self._heaps:
            heap = self.block(at, _unsigned(self.block(at, 16, b"GCOL"), 8), b"GCOL")
            place, found = 16, {}
            while place + 16 <= len(heap):
                index, size = struct.unpack_from("<H6xQ", heap, place)
                if index == 0:
                    break
                found[index] = place + 16, size
                place += 16 + -(-size // 8) * 8
            self._heaps[at] = heap, found
        heap, found = self._heaps[at]
        start, size = found.get(number, (0, 0))
        if not length <= size <= len(heap) - start:
            raise FormatError(f"there is no text {number} at {at}")
        return heap[start : start + length]

    def tree(self, at: int, kind: int, key: int) -> Iterator[tuple[bytes, int]]:
        """(key, address) of all leaves of a B-tree of version 1, in order; key: bytes of one."""
        seen: set[int] = set()

        def walk(at: int, level: int | None) -> Iterator[tuple[bytes, int]]:
            if at in seen or len(seen) > _MAX_PIECES:
                raise FormatError("a tree that runs in circles, or without end")
            seen.add(at)
            _, found, height, count = struct.unpack("<4s2BH", self.block(at, 8, b"TREE"))
            if found != kind or (level is not None and height != level):
                raise FormatError(f"a tree of another kind at {at}")
            entries = self.block(at + 24, count * (key + 8))
            for i in range(count):
                place = i * (key + 8)
                child = _unsigned(entries, place + key)
                if height == 0:
                    yield entries[place : place + key], child
                else:
                    yield from walk(child, height - 1)

        yield from walk(at, None)


class Node:
    """A group or an array: the messages of its header.

    Attributes:
        links: name -> address; None for a link that leads elsewhere. None where this is no group.
        is_array: whether it has an array.
    """

    def __init__(self, file: File, at: int) -> None:
        self._file = file
        self._messages = list(self._read(at))
        self._one = dict(reversed(self._messages))
        self.is_array = _LAYOUT in self._one
        self.is_group = not self.is_array and bool(self._one.keys() & {_SYMBOLS, _LINKS, _LINK})
        self._found: dict[str, int | None] | None = None
        self._attributes: dict[bytes, tuple[bytes, bytes, bytes]] | None = None

    def _read(self, at: int) -> Iterator[tuple[int, bytes]]:
        """(kind, content) of all messages."""
        head = self._file.block(at, 16)
        if head[:4] == b"OHDR":
            flags = head[5]
            first = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            size = int.from_bytes(self._file.block(at + first, width), "little")
            start, shift, mark = at + first + width, "<BHB" + ("2x" if flags & 4 else ""), 4
        elif head[0] == 1:
            start, size, shift, mark = at + 16, _unsigned(head, 8, 4), "<HHB3x", 0
        else:
            raise FormatError(f"no object stands at {at}")
        step, count = struct.calcsize(shift), 0
        blocks, seen = [self._file.block(start, size)], {start}
        while blocks:
            block, place = blocks.pop(0), 0
            while place + step <= len(block):
                kind, length, flags = struct.unpack_from(shift, block, place)
                place += step
                content = block[place : place + length]
                place += length
                count += 1
                if len(content) != length or count > _MAX_PIECES:
                    raise FormatError(f"the header at {at} is cut off, or without end")
                if kind == _CONTINUATION:
                    where, length = struct.unpack_from("<QQ", content)
                    if where in seen or length < 2 * mark:
                        raise FormatError(f"the header at {at} runs in circles")
                    seen.add(where)
                    more = self._file.block(where, length, b"OCHK" if mark else b"")
                    blocks.append(more[mark : len(more) - mark])
                elif kind and flags & 2 and kind in (_SPACE, _TYPE, _LAYOUT, _PIPELINE, _ATTRIBUTE):
                    raise FormatError("a shared type, which is not read")
                elif kind:
                    yield kind, content

    # --- groups -------------------------------------------------------------------------------------------------

    @property
    def links(self) -> dict[str, int | None]:
        """What stands in this group."""
        if self._found is None:
            self._found = {}
            for name, at in self._entries():
                if name in self._found or len(self._found) >= _MAX_PIECES:
                    raise FormatError(f"two entries are called {name[:100]!r}, or there are too many")
                self._found[name] = at
        return self._found

    def _entries(self) -> Iterator[tuple[str, int | None]]:
        table = self._one.get(_SYMBOLS)
        if table is not None:
            tree, heap = struct.unpack_from("<QQ", table)
            size, _, start = struct.unpack("<8xQQQ", self._file.block(heap, 32, b"HEAP"))
            names = self._file.block(start, size)
            for _, at in self._file.tree(tree, 0, 8):
                count = _unsigned(self._file.block(at, 8, b"SNOD"), 6, 2)
                entries = self._file.block(at + 8, 40 * count)
                for i in range(count):
                    offset, address, cached = struct.unpack_from("<QQL", entries, 40 * i)
                    end = names.find(b"\0", offset, offset + _MAX_NAME)
                    if end < 0:
                        raise FormatError("a name without end")
                    yield _name(names[offset:end]), None if cached == 2 else address
        info = self._one.get(_LINKS)
        if info is not None and _unsigned(info, 2 + (8 if info[1] & 1 else 0)) != _NOWHERE:
            raise FormatError("a group with an index of the newest kind, which is not read: write it by h5py's default")
        for kind, content in self._messages:
            if kind == _LINK:
                yield _link(content)

    # --- attributes ---------------------------------------------------------------------------------------------

    def attribute(self, name: str) -> Attribute | None:
        """An attribute, its text not read yet; None where there is none."""
        if self._attributes is None:
            self._attributes = {}
            for kind, content in self._messages:
                if kind == _ATTRIBUTE:
                    version, flags, *sizes = struct.unpack_from("<BBHHH", content)
                    if version not in (1, 2, 3) or (version > 1 and flags & 3):
                        raise FormatError(f"an attribute of version {version}, or with a shared type")
                    place, parts = 9 if version == 3 else 8, []
                    for size in sizes:
                        parts.append(content[place : place + size])
                        place += -(-size // 8) * 8 if version == 1 else size
                    self._attributes[parts[0].split(b"\0")[0]] = parts[1], parts[2], content[place:]
                elif kind == _ATTRIBUTES and _unsigned(content, 2 + (2 if content[1] & 1 else 0)) != _NOWHERE:
                    raise FormatError("attributes with an index of the newest kind, which is not read")
        found = self._attributes.get(name.encode())
        return None if found is None else Attribute(_kind(found[0]), _shape(found[1]), found[2])

    # --- arrays -------------------------------------------------------------------------------------------------

    def array(self) -> Array:
        """What is said about the array, nothing of it read. Raises FormatError: laid out in a way that is not read."""
        space, kind, layout = self._one.get(_SPACE), self._one.get(_TYPE), self._one.get(_LAYOUT)
        if space is None or kind is None or layout is None:
            raise FormatError("an array without type or shape")
        if self._one.get(_ELSEWHERE) is not None:
            raise FormatError("lies in another file, which is not read")
        version, form = layout[0], layout[1]
        if form == 3:
            raise FormatError("is a virtual array, which is not read")
        if version not in (3, 4) or form > 2 or (form == 2 and version == 4):
            raise FormatError("is laid out in a way that is not read: write it by h5py's default")
        pipeline = self._one.get(_PIPELINE)
        filters = () if pipeline is None else tuple(_pipeline(pipeline))
        shape = _shape(space)
        return Array(self._file, _kind(kind), () if shape is None else shape, filters, form, layout)


class Array:
    """An array of a file that is not read yet.

    Attributes:
        kind, shape: of its elements.
        unpacked: bytes that reading takes.
    """

    def __init__(
        self, file: File, kind: Kind, shape: tuple[int, ...], filters: tuple[int, ...], form: int, layout: bytes
    ) -> None:
        self._file, self.kind, self.shape, self._filters = file, kind, shape, filters
        self._form, self._layout = form, layout
        self.unpacked = math.prod(shape) * kind.width
        self._chunk: tuple[int, ...] = ()
        if form == 2:
            rank = layout[2]
            if rank != len(shape) + 1:
                raise FormatError("is in chunks of another rank")
            self._chunk = struct.unpack_from(f"<{rank}L", layout, 11)[:-1]
            if 0 in self._chunk:
                raise FormatError("is in chunks of no length")
            self._count = math.prod(-(-n // c) for n, c in zip(shape, self._chunk, strict=True))
            self.unpacked = max(self.unpacked, self._count * math.prod(self._chunk) * kind.width)

    def read(self) -> AnyArray:
        """The numbers, in the byte order of the file."""
        dtype = self.kind.dtype
        if dtype is None:
            raise FormatError("holds no plain numbers")
        size = math.prod(self.shape) * self.kind.width
        if self._form == 2:
            return self._chunks(dtype)
        if self._filters:
            raise FormatError("is packed in one piece")
        if self._form == 0:
            data = self._layout[4 : 4 + min(size, _unsigned(self._layout, 2, 2))]
        else:
            at, length = struct.unpack_from("<QQ", self._layout, 2)
            if size and (at == _NOWHERE or length < size):
                raise FormatError("was never written, or is cut off")
            data = self._file.read(at, size) if size else b""
        if len(data) != size:
            raise FormatError("is cut off")
        return np.frombuffer(data, dtype).reshape(self.shape)

    def _chunks(self, dtype: np.dtype[np.generic]) -> AnyArray:
        rank, chunk = len(self.shape), self._chunk
        whole = np.empty(self.shape, dtype)
        size, seen = math.prod(chunk) * dtype.itemsize, set()
        if whole.size == 0:
            return whole
        if self._count > _MAX_PIECES:
            raise FormatError(f"is in {self._count} chunks")
        root = _unsigned(self._layout, 3)
        for key, at in self._file.tree(root, 1, 8 * (rank + 2)) if root != _NOWHERE else ():
            length, skipped, *place = struct.unpack(f"<LL{rank + 1}Q", key)
            place.pop()
            corner = tuple(place)
            if (
                skipped
                or corner in seen
                or any(p % c or p >= n for p, c, n in zip(place, chunk, self.shape, strict=True))
            ):
                raise FormatError("has a chunk twice, or outside of it")
            seen.add(corner)
            self._file.unread -= length
            if self._file.unread < 0:
                raise FormatError("has chunks that overlap")
            data = self._unpacked(self._file.read(at, length), size, dtype.itemsize)
            part = np.frombuffer(data, dtype).reshape(chunk)
            into = whole[tuple(slice(p, p + c) for p, c in zip(place, chunk, strict=True))]
            into[...] = part[tuple(slice(0, n) for n in into.shape)]
        if len(seen) != self._count:
            raise FormatError("has chunks that were never written")
        return whole

    def _unpacked(self, data: bytes, size: int, width: int) -> bytes:
        for code in reversed(self._filters):
            if code == 1:
                data = zlib.decompressobj().decompress(data, size + 1)
            elif len(data) % width == 0:
                data = np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()
        if len(data) != size:
            raise FormatError(f"has a chunk of {len(data)} bytes, {size} are needed")
        return data


# --- parts ------------------------------------------------------------------------------------------------------


def _unsigned(data: bytes, at: int, width: int = 8) -> int:
    if at + width > len(data):
        raise FormatError("a structure is cut off")
    return int.from_bytes(data[at : at + width], "little")


def _name(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _link(content: bytes) -> tuple[str, int | None]:
    """(name, address; None for a link that leads elsewhere)."""
    flags, place = content[1], 2
    kind = content[place] if flags & 8 else 0
    place += bool(flags & 8) + (8 if flags & 4 else 0) + bool(flags & 16)
    width = 1 << (flags & 3)
    length = _unsigned(content, place, width)
    place += width
    return _name(content[place : place + length]), _unsigned(content, place + length) if kind == 0 else None


def _shape(content: bytes) -> tuple[int, ...] | None:
    """Shape of a dataspace; None where it is empty without one."""
    version, rank = content[0], content[1]
    if version not in (1, 2) or rank > _MAX_RANK:
        raise FormatError(f"a shape of version {version} with {rank} axes")
    if version == 2 and content[3] == 2:
        return None
    start = 8 if version == 1 else 4
    return tuple(_unsigned(content, start + 8 * i) for i in range(rank))


_FLOATS = {  # width -> exponent's place and width, mantissa's, bias: IEEE 754
    2: (10, 5, 0, 10, 15),
    4: (23, 8, 0, 23, 127),
    8: (52, 11, 0, 52, 1023),
}


def _kind(content: bytes) -> Kind:
    """What the elements of a datatype are."""
    if len(content) < 8:
        raise FormatError("a type is cut off")
    form, bits, width = content[0] & 15, _unsigned(content, 1, 3), _unsigned(content, 4, 4)
    order = ">" if bits & 1 else "<"
    if form == 0 and width in (1, 2, 4, 8) and _unsigned(content, 8, 4) == (8 * width) << 16:
        return Kind(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{width}"), False, width)
    if form == 1 and width in _FLOATS and not bits & 0x40:
        if struct.unpack_from("<HH4BL", content, 8) == (0, 8 * width, *_FLOATS[width]):
            return Kind(np.dtype(f"{order}f{width}"), False, width)
    elif form == 3:
        return Kind(None, True, width)
    elif form == 9 and bits & 15 == 1 and width == 16:
        return Kind(None, True, width, True)
    return Kind(None, False, width)


def _pipeline(content: bytes) -> Iterator[int]:
    """Numbers of the filters, in the order in which they were applied."""
    version, count = content[0], content[1]
    place = 8 if version == 1 else 2
    for _ in range(count):
        code = _unsigned(content, place, 2)
        if code not in _FILTERS:
            raise FormatError(f"is packed with filter {code}, which is not read")
        named = version == 1
        length = _unsigned(content, place + 2, 2) if named else 0
        values = _unsigned(content, place + (6 if named else 4), 2)
        place += (8 if named else 6) + -(-length // 8) * 8 + 4 * (values + (values % 2 if named else 0))
        yield code
