"""Hostile files of every format by name, and a process that loads them one by one and measures.

python tests/hostile_files.py DIRECTORY TARGET prints a JSON line for each file of DIRECTORY, loaded as that target of
`fuzz/targets.py` does: [name, error or None, seconds, memory beside twice the file, what was executed or written].
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fuzz import targets
from hostile_descriptions import METRICS, MODULE, descriptions
from hostile_structures import Files, structures, unzipped, zipped

# --- of every format ----------------------------------------------------------------------------------------------


def damaged(whole: bytes, step: int) -> Files:
    """A bit turned at every `step`-th byte."""
    files = {}
    for n in range(0, len(whole), step):
        flipped = bytearray(whole)
        flipped[n] ^= 1 << n % 8
        files[f"bit at {n}"] = bytes(flipped)
    return files


def around(whole: bytes) -> Files:
    """Bytes before, after and instead."""
    return {
        "empty": b"",
        "zeros": bytes(len(whole)),
        "ones": b"\xff" * len(whole),
        "before": b"\0" * 8 + whole,
        "after": whole + b"garbage",
        "twice": whole + whole,
        "text": b"hello " * 50,
        "reversed": whole[::-1],
        "pickle": b"cos\nsystem\n(S'touch " + MODULE.encode() + b"'\ntR.",
        "python": f"import {MODULE}\n".encode(),
        "npy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b" " * 50 + b"\n",
        "elf": b"\x7fELF" + bytes(60),
        "json": b"{}",
        "a million brackets": b"[" * 1_000_000,
    }


def zips(whole: bytes, text: str) -> Files:
    """What is wrong with a zip; `text` is its description."""
    entries = unzipped(whole)
    one = next(name for name in entries if name != text)
    files = {
        "no description": zipped({k: v for k, v in entries.items() if k != text}),
        "description alone": zipped({text: entries[text]}),
        "an entry less": zipped({k: v for k, v in entries.items() if k != one}),
        "path up": zipped({**entries, "../../evil": b"x"}),
        "path absolute": zipped({**entries, "/etc/evil": b"x"}),
        "a link": zipped({**entries, "link": b"/etc/passwd"}),
        "entry in a folder": zipped({**entries, "a/b/c.npy": b""}),
        "description empty": zipped({**entries, text: b""}),
        "description null": zipped({**entries, text: b"null"}),
        "description in UTF-16": zipped({**entries, text: entries[text].decode().encode("utf-16")}),
        "description twice as deep": zipped({**entries, text: b'{"a":' * 60_000 + b"1" + b"}" * 60_000}),
        "description of numbers": zipped({**entries, text: b"[" + b"1," * 900_000 + b"1]"}),
        "description of lists": zipped({**entries, text: b"[" + b"[]," * 600_000 + b"1]"}),
        "description of a long number": zipped({**entries, text: b'{"version": ' + b"9" * 1_000_000 + b"}"}),
        "bomb": zipped({**entries, text: entries[text].ljust(2**27)}, zipfile.ZIP_DEFLATED),
        "bomb in an array": zipped({**entries, one: bytes(2**27)}, zipfile.ZIP_DEFLATED),
        "packed by bzip2": zipped(entries, zipfile.ZIP_BZIP2),
        "packed by lzma": zipped(entries, zipfile.ZIP_LZMA),
        "comment": whole[:-2] + b"\x05\x00hello",
        "arrays swapped": zipped(dict(zip(entries, [*entries.values()][::-1], strict=True))),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name in [*entries, text]:
                archive.writestr(zipfile.ZipInfo(name), entries[name])
        files["two entries of one name"] = out.getvalue()
    start = int.from_bytes(whole[-6:-2], "little")
    records = [m.start() for m in re.finditer(b"PK\x01\x02", whole) if m.start() >= start]
    for what, at, width, value in [
        ("overlapping entries", 42, 4, 0),
        ("entry beyond the end", 42, 4, 2**31 - 1),
        ("entry of 4 GB", 24, 4, 2**32 - 1),
        ("packed entry of 4 GB", 20, 4, 2**32 - 2),
        ("encrypted", 8, 2, 1),
        ("streamed", 8, 2, 8),
        ("other checksum", 16, 4, 7),
        ("long name", 28, 2, 65535),
        ("unknown packing", 10, 2, 99),
    ]:
        changed = bytearray(whole)
        changed[records[-1] + at : records[-1] + at + width] = value.to_bytes(width, "little")
        files[what] = bytes(changed)
    return files


def manifests(whole: bytes, number: int) -> tuple[dict[str, Any], Callable[..., bytes], Files]:
    """Of a container with one model: its manifest, what writes it with a changed one, files like that."""
    entries = unzipped(whole)
    manifest = json.loads(entries["lanewise.json"])

    def put(**changes: Any) -> bytes:
        return zipped({**entries, "lanewise.json": json.dumps({**manifest, **changes}).encode()})

    files = descriptions(manifest["model"]["layers"], lambda layers: put(model={**manifest["model"], "layers": layers}))
    for key in manifest:
        files[f"{key} null"] = put(**{key: None})
        files[f"{key} list"] = put(**{key: [[]]})
        files[f"{key} number"] = put(**{key: number})
    return manifest, put, files


def native(whole: bytes) -> Files:
    """lanewise's own format, of a single model."""
    manifest, put, files = manifests(whole, -(2**63))
    for name, metric in METRICS.items():
        files[name] = put(compile={**manifest["compile"], "metrics": [metric]})
    files["2,000 metrics"] = put(
        compile={**manifest["compile"], "metrics": [{"class_name": "AUC", "config": {}}] * 2000}
    )
    files["ensemble of one described 4,000 times"] = put(
        kind="ensemble",
        model=[{"name": "a", "layers": [], "build_input_shape": [None, 2**18]}] * 4000,
        compile=[None] * 4000,
        weights=[],
        optimizer=[],
        arrays={},
    )
    for shape in ([2**32, 2**32], [2**63], [-1], [2**62, 4, 4], [1.5], ["3"], [[3]], [1] * 9, [0, 2**48]):
        arrays = {**manifest["arrays"], "weights/2.npy": {"dtype": "float32", "shape": shape}}
        files[f"shape {shape}"] = put(arrays=arrays)
    for dtype in ("object", "O", "|O", "S1000000000", "float16", "void", "float32,float32", None, 3):
        arrays = {**manifest["arrays"], "weights/2.npy": {"dtype": dtype, "shape": [3, 2]}}
        files[f"dtype {dtype}"] = put(arrays=arrays)
    return files


def keras(whole: bytes) -> Files:
    """A `.keras` file."""
    entries = unzipped(whole)
    config = json.loads(entries["config.json"])
    compiled = config["compile_config"]

    def put(changed: Any, **more: Any) -> bytes:
        return zipped({**entries, "config.json": json.dumps(changed).encode(), **more})

    files = descriptions(
        config["config"]["layers"], lambda layers: put({**config, "config": {**config["config"], "layers": layers}})
    )
    for name, metric in METRICS.items():
        files[name] = put({**config, "compile_config": {**compiled, "metrics": [metric]}})
    for key in ("optimizer", "loss", "metrics", "loss_weights"):
        files[f"{key} of a module"] = put(
            {
                **config,
                "compile_config": {
                    **config["compile_config"],
                    key: {"module": MODULE, "class_name": "X", "config": {}},
                },
            }
        )
        files[f"{key} list"] = put({**config, "compile_config": {**compiled, key: [[[]]]}})
    for name in ("__init__.py", f"{MODULE}.py", "assets/../../x", "assets/layers/dense/vocabulary.txt"):
        files[f"with {name}"] = zipped({**entries, name: f"import {MODULE}".encode()})
    return {
        **files,
        **{
            f"weights {name}": zipped({**entries, "model.weights.h5": data})
            for name, data in around(entries["model.weights.h5"]).items()
        },
    }


def legacy(whole: bytes) -> Files:
    """An `.h5` file: its description stands in an attribute of its root."""
    import h5py

    def put(change: Any) -> bytes:
        out = io.BytesIO(whole)
        with h5py.File(out, "r+") as root:
            change(root)
        return out.getvalue()

    with h5py.File(io.BytesIO(whole), "r") as root:
        config = json.loads(root.attrs["model_config"])
        training = json.loads(root.attrs["training_config"])
    attribute = lambda name, value: put(lambda root: root.attrs.__setitem__(name, value))  # noqa: E731
    files = descriptions(
        config["config"]["layers"],
        lambda layers: attribute(
            "model_config", json.dumps({**config, "config": {**config["config"], "layers": layers}})
        ),
    )
    for name, metric in METRICS.items():
        files[name] = attribute("training_config", json.dumps({**training, "metrics": [metric]}))
    for name, value in {
        "number": 3,
        "bytes": b"\xff\xfe",
        "array": [1.0, 2.0],
        "empty": h5py.Empty("S1"),
        "brackets": "[" * 50_000,
        "reference": whole[:0],
        "python": f"import {MODULE}",
        "long": "x" * (5 * 2**20),
        "nothing": "",
    }.items():
        files[f"description {name}"] = attribute("model_config", value)
        files[f"training {name}"] = attribute("training_config", value)
    places = {mark: [m.start() for m in re.finditer(mark, whole)] for mark in (b"TREE", b"SNOD", b"HEAP", b"GCOL")}
    for mark, found in places.items():
        for at in found[:3]:
            for offset in range(4, 48, 4):
                for value in (0, 0xFFFFFFFF, at):
                    changed = bytearray(whole)
                    changed[at + offset : at + offset + 4] = value.to_bytes(4, "little")
                    files[f"{mark.decode()} {at} + {offset} is {value}"] = bytes(changed)
    return files


def tensors(whole: bytes) -> Files:
    """safetensors: a length, a header, bytes."""
    length = int.from_bytes(whole[:8], "little")
    header, body = json.loads(whole[8 : 8 + length]), whole[8 + length :]

    def put(changed: Any, data: bytes = body) -> bytes:
        text = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        return len(text).to_bytes(8, "little") + text + data

    first, second = [name for name in header if name != "__metadata__"][:2]
    entry = header[first]
    files = {
        f"header of {n}": n.to_bytes(8, "little") + whole[8:]
        for n in (0, 1, 2**31, 2**40, 2**63, 2**64 - 1, length + 1)
    }
    files["header bomb"] = put(b"{" + b'"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},' * 100_000 + b'"b":1}')
    files["header of brackets"] = put(b"[" * 1_000_000)
    for key, values in {
        "shape": [[2**32, 2**32], [-1], [2**63], [1.5], ["a"], None, [], [0], [2**62, 8]],
        "dtype": ["F64", "O", "U8", "BF16", "F8_E4M3", "I64", None, 3, "object"],
        "data_offsets": [
            [0, 0],
            [8, 0],
            [0, 2**63],
            [-4, 8],
            [1, 13],
            [0],
            None,
            header[second]["data_offsets"],
            [2**62, 2**62 + 12],
        ],
    }.items():
        for value in values:
            files[f"{key} {value}"] = put({**header, first: {**entry, key: value}})
    files["gap"] = put(header, body + bytes(8))
    files["an entry less"] = put({k: v for k, v in header.items() if k != first})
    files["an entry more"] = put(
        {**header, "evil": {"dtype": "F32", "shape": [0], "data_offsets": [len(body), len(body)]}}
    )
    files["metadata"] = put({**header, "__metadata__": {"format": [1]}})
    return files


def tables(whole: bytes) -> Files:
    """An estimator of tables."""
    manifest, put, files = manifests(whole, 10**12)
    for key in manifest:
        files[f"{key} text"] = put(**{key: "os.system"})
    for key in manifest["params"]:
        files[f"param {key}"] = put(params={**manifest["params"], key: {"class_name": "x"}})
    for dtype in ("S2000000000", "U500000000", "V8", "O,O", "object_", "M8[s]"):
        files[f"labels {dtype}"] = put(classes={"dtype": dtype, "values": ["a"]})
    return files


def every(target: str, whole: bytes) -> Files:
    """All hostile files of one target."""
    step = {"keras": 97, "h5": 61, "weights_h5": 61, "tabular": 29, "lanewise": 11, "lanewise_weights": 7, "backup": 23}
    files = {**around(whole), **damaged(whole, step.get(target, 3))}
    if target in ("lanewise", "lanewise_weights", "tabular", "backup"):
        files.update(zips(whole, "lanewise.json"))
    if target == "keras":
        files.update(zips(whole, "config.json"))
    make = {"lanewise": native, "keras": keras, "h5": legacy, "safetensors": tensors, "tabular": tables}.get(target)
    if make is not None:
        files.update(make(whole))
    files.update(structures(target, whole))
    if target == "json":
        config = json.loads(whole)
        put = lambda layers: json.dumps({**config, "config": {**config["config"], "layers": layers}}).encode()  # noqa: E731
        files.update(descriptions(config["config"]["layers"], put))
    return files


# --- the loading process ------------------------------------------------------------------------------------------


def main(folder: str, name: str) -> None:
    with open(os.path.join(folder, "files.json"), encoding="utf-8") as file:
        sizes = json.load(file)
    runner = targets.Runner(name, folder)
    with open(os.path.join(folder, "files"), "rb") as whole:
        for key, size in sizes:
            error, took, more, seen = runner.load(whole.read(size))
            print(json.dumps([key, error and [type(error).__name__, str(error)[:300]], took, more, seen]))


if __name__ == "__main__":
    planted: dict[str, Callable[[str], Any]] = {
        "eval": lambda path: eval("1 + 1"),
        "write": lambda path: open(path + "x", "w").close(),
        "memory": lambda path: bytearray(2 * targets.MEMORY),
    }
    for fault in sys.argv[3:]:
        targets.TARGETS[sys.argv[2]] = targets.TARGETS[sys.argv[2]]._replace(load=planted[fault])
    main(sys.argv[1], sys.argv[2])
