"""`.keras` files: a zip of config.json, metadata.json and model.weights.h5, as Keras 3 writes them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from ..initializers.base import zeros_only
from . import h5, keras_read, keras_state, keras_write
from .archive import FormatError, described, new_zip, parsed
from .shapes import SLACK, check_size

KERAS_VERSION = "3.15.1"  # whose layout this is
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_CONFIG = 4 * 2**20  # bytes of JSON
_MAX_ENTRIES = 1000
_MAX_DIRECTORY = 2**20  # bytes of the zip's own list of entries
_MAX_TOKENS = 300_000  # of all vocabularies, beside what the size of the file allows
_SLACK = 32 * 2**20  # bytes that packed entries may unpack to beyond twice the file


def write(path: str, model: Any, include_optimizer: bool) -> None:
    """Write a built model in the place of `path`; the same model gives the same bytes."""
    form = keras_write.model_form(model)
    compiled = model.get_compile_config() if include_optimizer else None
    if compiled is not None:
        form["compile_config"] = keras_write.compile_form(compiled)
    config = form_text(form).encode("ascii")
    metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": "1980-01-01@00:00:00"}).encode("ascii")
    weights = io.BytesIO()
    with h5.writing(weights) as root:
        keras_state.write_state(root, model, include_optimizer)
    with new_zip(path) as archive:
        for name, data in ((_METADATA, metadata), (_CONFIG, config), (_WEIGHTS, weights.getvalue())):
            info = ZipInfo(name)  # its date is 1980-01-01
            info.create_system = 3
            info.external_attr = 0o644 << 16
            info.file_size = len(data)
            with archive.open(info, "w") as entry:
                entry.write(data)


def form_text(form: Mapping[str, Any], **options: Any) -> str:
    """A model's form as JSON that is read again, NaN and infinities as Keras has them; options: for `json.dumps`.

    Raises ValueError: it would not be.
    """
    check_size(form["config"])
    return described(form, MAX_CONFIG, **{"allow_nan": True, **options})


def read(file: BinaryIO, compile: bool) -> Any:
    """The model in an open file.

    Raises:
        FormatError, ValueError and others: whatever is wrong with it.
    """
    entries = _entries(file)
    with ZipFile(file) as archive:
        config = parsed(_unpacked(archive, entries[_CONFIG], MAX_CONFIG), MAX_CONFIG)
        if not isinstance(config, dict):
            raise FormatError(f"{_CONFIG} holds no object")
        _put_vocabularies(archive, entries, config, _MAX_TOKENS + file.seek(0, os.SEEK_END) // 64)
        data = _unpacked(archive, entries[_WEIGHTS], entries[_WEIGHTS].file_size)
    root = h5.root(data)
    with zeros_only(len(data) // 2 + SLACK):  # float16 is the smallest type
        model = built(config)
    keras_state.assign(model, keras_state.read_weights(root, model, named=True), fresh=True)
    compiled = config.get("compile_config")
    if compile and isinstance(compiled, Mapping) and compiled.get("optimizer") is not None:
        compile_from(model, compiled)
        keras_state.read_optimizer(root, model)()
    return model


def _put_vocabularies(archive: ZipFile, entries: Mapping[str, ZipInfo], config: Any, left: int) -> None:
    """Keras keeps what a lookup layer has learnt beside the description, one token a line: put it into that.

    Args:
        left: tokens that all of them may have.
    """
    for path, entry in keras_state.described_paths(config):
        info = entries.get(f"assets/{path}/vocabulary.txt")
        arguments = entry.get("config")
        if info is None or not isinstance(arguments, dict) or arguments.get("vocabulary") is not None:
            continue
        lines = _unpacked(archive, info, MAX_CONFIG).decode("utf-8").splitlines()
        left -= len(lines)
        if left < 0:
            raise FormatError("its vocabularies have more tokens than a file of this size holds")
        while lines and not lines[-1]:
            lines.pop()
        arguments["vocabulary"] = list(map(int, lines)) if entry["class_name"] == "IntegerLookup" else lines


def weights_of(file: BinaryIO) -> bytes:
    """The HDF5 file inside."""
    entries = _entries(file)
    with ZipFile(file) as archive:
        return _unpacked(archive, entries[_WEIGHTS], entries[_WEIGHTS].file_size)


def compile_from(model: Any, config: Mapping[str, Any]) -> None:
    """Compile a model with what Keras wrote. Raises FormatError that says how to load the file all the same."""
    try:
        model.compile_from_config(keras_read.compile_form(config, getattr(model, "output_names", ())))
    except (ValueError, TypeError, NotImplementedError) as error:
        raise FormatError(f"what it was compiled with does not load (compile=False leaves it out): {error}") from None


def built(config: Any) -> Any:
    """The model that Keras described, with its weights made."""
    from ..models import deserialize

    check_size(config.get("config") if isinstance(config, Mapping) else None)
    described = keras_read.own_form(config)
    if not isinstance(described, dict) or not isinstance(described.get("class_name"), str):
        raise FormatError("it describes no model")
    model = deserialize(described)
    if not model.built:
        raise FormatError("the model in it was saved before it was built: there are no weights")
    return model


def _entries(file: BinaryIO) -> dict[str, ZipInfo]:
    """The entries by name, their sizes checked against the file's."""
    from .archive import check_end

    size = file.seek(0, os.SEEK_END)
    check_end(file, size, _MAX_DIRECTORY)
    with ZipFile(file) as archive:
        infos = archive.infolist()
    entries = {info.filename: info for info in infos}
    if len(infos) > _MAX_ENTRIES or len(entries) != len(infos):
        raise FormatError(f"it has {len(infos)} entries, {len(entries)} names")
    for name in (_CONFIG, _WEIGHTS):
        if name not in entries:
            raise FormatError(f"it has no entry {name!r}")
    left = 2 * size + _SLACK
    for info in infos:
        left -= info.file_size
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or info.flag_bits & 1:
            raise FormatError(f"entry {info.filename!r} is encrypted or packed in another way than deflate")
        if left < 0:
            raise FormatError(f"entry {info.filename!r} would unpack to {info.file_size} bytes")
    return entries


def _unpacked(archive: ZipFile, info: ZipInfo, limit: int) -> bytes:
    """The bytes of an entry, its checksum checked; no more than it says are ever unpacked."""
    if info.file_size > limit:
        raise FormatError(f"entry {info.filename!r} has {info.file_size} bytes, allowed are {limit}")
    with archive.open(info) as entry:
        data = entry.read(info.file_size)
        if len(data) != info.file_size or entry.read(1):
            raise FormatError(f"entry {info.filename!r} does not have the {info.file_size} bytes that it says")
    return data
