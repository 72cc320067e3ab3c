"""The container: a zip of one JSON text and `.npy` arrays, nothing compressed.

Reading trusts nothing: the names and sizes of all entries are compared with what the JSON says before any array is
made. There is no decompression, no pickle, and no parser of array headers: a header must be the very bytes that its
dtype and shape ask for.
"""

import math
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from .files import replacing

AnyArray = NDArray[Any]
Plan = list[tuple[str, str, tuple[int, ...]]]

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # how a file of that format begins
MANIFEST = "lanewise.json"
MAX_MANIFEST = 2 * 2**20  # bytes of JSON
MAX_ENTRIES = 20_000
MAX_ITEMS = 100_000  # of things that a file names by their number alone
_MAX_NODES = 100_000  # lists and objects of a description
MAX_VALUES = 400_000  # in them
_MAX_KEYS = 200_000
_MAX_DIRECTORY = 128 * MAX_ENTRIES  # bytes of the zip's own list of entries
_DTYPES = {"float32": "<f4", "float64": "<f8", "int64": "<i8", "uint64": "<u8"}
_END = struct.Struct("<4s4H2LH")  # the zip's last record
_ZIP64_BYTES = 2**31 - 1  # zip64 records are written only in files beyond this size


class FormatError(ValueError):
    """What is wrong with a file or a description; `saving.model` makes it a ValueError that names the file."""


class Mismatch(ValueError):
    """An intact file that holds the weights of another model: what it holds, without the file's name."""


def parsed(data: bytes | str, longest: int, constants: bool = True) -> Any:
    """The value of a JSON text, none of which takes much more memory than the text.

    Args:
        data: the text; bytes are UTF-8.
        longest: characters that it may have.
        constants: whether NaN and Infinity, which Keras writes, are numbers.
    """
    import json

    if len(data) > longest:
        raise FormatError(f"a description of {len(data)} bytes, allowed are {longest}")
    text = data if isinstance(data, str) else str(data, "utf-8")
    _check_counts(text)
    return json.loads(text, parse_constant=None if constants else _no_constant)


def _check_counts(text: str) -> None:
    """Raises FormatError for a JSON text that may hold more than a reader takes: its words count too."""
    if text.count("[") + text.count("{") > _MAX_NODES:
        raise FormatError(f"a description of more than {_MAX_NODES} lists and objects")
    if text.count(",") > MAX_VALUES or text.count(":") > _MAX_KEYS:
        raise FormatError(f"a description of more than {MAX_VALUES} values, or {_MAX_KEYS} names of values")


# --- writing ----------------------------------------------------------------------------------------------------


def described(value: Any, longest: int, **options: Any) -> str:
    """JSON of plain values, which `parsed` takes. options: for `json.dumps`.

    Raises:
        ValueError: NaN, or more than `parsed` takes.
    """
    import json

    text = json.dumps(value, **{"allow_nan": False, **options})
    try:
        if len(text) > longest:
            raise FormatError(f"a description of {len(text)} bytes, allowed are {longest}")
        _check_counts(text)
    except FormatError as error:
        raise ValueError(
            f"model: no reader would take {error}; where a function of keras.ops is called on an array of many "
            "numbers, a layer can have them as its weights"
        ) from None
    return text


def describe(array: AnyArray) -> dict[str, Any]:
    """{"dtype", "shape"} of an array. Raises TypeError for a dtype that the format does not have."""
    if array.dtype.name not in _DTYPES:
        raise TypeError(f"arrays of a model file are {', '.join(_DTYPES)}, received {array.dtype}")
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The header of format 1.0 of a `.npy` file, row-major; `dtype` is '<f4' and so on."""
    axes = "".join(f"{axis}, " for axis in shape)
    axes = axes.rstrip() if len(shape) == 1 else axes[:-2]
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({axes}), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1")


def write(path: str, manifest: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> None:
    """Write a file in the place of `path`; the same content gives the same bytes.

    Args:
        path: file to make or replace.
        manifest: plain JSON values.
        arrays: entry name -> array.

    Raises:
        ValueError: a manifest that no reader would take (too long, NaN, too many arrays); nothing is written then.
    """
    if len(arrays) >= MAX_ENTRIES:
        raise ValueError(f"model: it has {len(arrays)} arrays, allowed are {MAX_ENTRIES - 1}")
    text = described(manifest, MAX_MANIFEST, indent=1, ensure_ascii=True)  # a byte each
    with new_zip(path) as archive:
        _add(archive, MANIFEST, text.encode("ascii"), b"")
        for name, array in arrays.items():
            values = np.ascontiguousarray(array, dtype=_DTYPES[array.dtype.name])
            _add(archive, name, npy_header(values.dtype.str, array.shape), values.reshape(-1).view(np.uint8).data)


@contextmanager
def new_zip(path: str) -> Iterator[ZipFile]:
    """A zip that takes the place of `path` when the block ends well; else what came out of the block comes out.

    (A ZipFile left by an error closes itself, which is another error where an entry is half written: a Ctrl-C would
    become a ValueError.)
    """
    with replacing(path) as file:
        archive = ZipFile(file, "w", ZIP_STORED)
        try:
            yield archive
            archive.close()
        except BaseException:
            archive.fp = None  # closed, without writing its directory
            raise


def _add(archive: ZipFile, name: str, head: bytes, body: bytes | memoryview) -> None:
    info = ZipInfo(name)  # its date is 1980-01-01
    info.create_system = 3
    info.external_attr = 0o644 << 16
    info.file_size = len(head) + len(body)
    with archive.open(info, "w") as entry:
        entry.write(head)
        entry.write(body)


# --- reading ----------------------------------------------------------------------------------------------------


class Archive:
    """A file opened for reading, its structure checked.

    Attributes:
        manifest: the JSON object.

    Raises:
        FormatError: anything that `write` would not have written.
    """

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
            raise FormatError("this is an HDF5 file; give it the suffix '.h5'")
        check_end(file, size, _MAX_DIRECTORY)
        self._zip = ZipFile(file)
        entries = self._zip.infolist()
        self._entries = {info.filename: info for info in entries}
        if len(self._entries) != len(entries):
            raise FormatError("two entries have one name")
        end = 0
        for info in sorted(entries, key=lambda info: info.header_offset):
            if info.compress_type != ZIP_STORED or info.file_size != info.compress_size:
                raise FormatError(f"entry {info.filename!r} is compressed; entries are stored as they are")
            if info.flag_bits & ~0x800:
                raise FormatError(f"entry {info.filename!r} is encrypted or streamed")
            if info.header_offset != end:
                raise FormatError(f"entry {info.filename!r} overlaps another one, or there is a gap before it")
            file.seek(end + 26)  # lengths of name and extra, after which the content begins
            end += 30 + sum(struct.unpack("<2H", file.read(4))) + info.file_size
        if end != self._zip.start_dir:
            raise FormatError("the entries are longer than the file, or there is a gap behind them")
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> dict[str, Any]:
        info = self._entries.pop(MANIFEST, None)
        if info is None:
            if "config.json" in self._entries and "model.weights.h5" in self._entries:
                raise FormatError("this is a .keras file; give it the suffix '.keras'")
            raise FormatError(f"it has no entry {MANIFEST!r}")
        if info.file_size > MAX_MANIFEST:
            raise FormatError(f"{MANIFEST} has {info.file_size} bytes, allowed are {MAX_MANIFEST}")
        manifest = parsed(self._zip.read(info), MAX_MANIFEST, constants=False)
        if not isinstance(manifest, dict):
            raise FormatError(f"{MANIFEST} holds no object")
        return manifest

    def plan(self, described: Mapping[str, Any]) -> Plan:
        """(entry, dtype, shape) of the arrays that the manifest describes as entry -> {"dtype", "shape"}.

        Raises:
            FormatError: entries too many or too few, or a size that is not what dtype and shape ask for.
        """
        if set(described) != set(self._entries):
            odd = sorted(set(described) ^ set(self._entries))
            raise FormatError(f"the entries are not those that {MANIFEST} lists: {odd[:3]}")
        return [(name, *self._checked(name, entry)) for name, entry in described.items()]

    def read(self, plan: Plan) -> dict[str, AnyArray]:
        """The arrays of a plan.

        Raises:
            FormatError, BadZipFile: another header than dtype and shape ask for, or bytes without their checksum.
        """
        arrays: dict[str, AnyArray] = {}
        for name, dtype, shape in plan:
            head = npy_header(dtype, shape)
            data = self._zip.read(self._entries[name])
            if not data.startswith(head):
                raise FormatError(f"entry {name!r} does not begin with the header of a {shape} array")
            arrays[name] = np.frombuffer(data, dtype, offset=len(head)).reshape(shape)
        return arrays

    def _checked(self, name: str, described: Any) -> tuple[str, tuple[int, ...]]:
        if not isinstance(described, dict) or set(described) != {"dtype", "shape"}:
            raise FormatError(f"entry {name!r}: expected dtype and shape")
        dtype, shape = described["dtype"], described["shape"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise FormatError(f"entry {name!r}: unknown dtype {dtype!r}")
        if not isinstance(shape, list) or len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**48 for n in shape):
            raise FormatError(f"entry {name!r}: {shape!r} is no shape")
        code = _DTYPES[dtype]
        expected = len(npy_header(code, tuple(shape))) + math.prod(shape) * int(code[2])
        if self._entries[name].file_size != expected:
            raise FormatError(f"entry {name!r} has {self._entries[name].file_size} bytes, {shape} needs {expected}")
        return code, tuple(shape)


def check_end(file: BinaryIO, size: int, longest: int) -> None:
    """The list of entries is read in one go by `ZipFile`: its length, at most `longest`, is checked before."""
    if size < _END.size:
        raise FormatError("it is too short")
    file.seek(size - _END.size)
    mark, _, _, _, _, length, _, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\x05\x06" or comment != 0:
        raise FormatError("it does not end as such a file; it may be cut off")
    if size <= _ZIP64_BYTES and size >= _END.size + 20:
        file.seek(size - _END.size - 20)
        if file.read(4) == b"PK\x06\x07":
            raise FormatError("it is small and has zip64 records")
    if length > longest:
        raise FormatError(f"its list of entries has {length} bytes, allowed are {longest}")
    file.seek(0)


def _no_constant(text: str) -> float:
    raise FormatError(f"{MANIFEST} holds {text}, which is no JSON")
