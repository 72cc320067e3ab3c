"""Files that are small, or in order, and would cost far more than they hold: names times names, one text referred to
again and again, a lattice of groups, chunks that overlap, words by the million. Each kept a loader busy for minutes or
took gigabytes before its limit was there.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import hostile_graphs
import lanewise as lw
from fuzz import targets

Files = dict[str, bytes]


def unzipped(whole: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(entries: Files, method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


# --- HDF5 ---------------------------------------------------------------------------------------------------------


def edited(whole: bytes, change: Callable[[Any], None]) -> bytes:
    import h5py

    out = io.BytesIO(whole)
    with h5py.File(out, "r+") as root:
        change(root)
    return out.getvalue()


def layer_names(root: Any, names: Any) -> Any:
    group = root["model_weights"]
    for key in [key for key in group.attrs if key.startswith("layer_names")]:
        del group.attrs[key]
    for key, value in names.items():
        group.attrs[key] = value
    return group


def names_times_names(root: Any) -> None:
    """60,000 layers, all of them one group, which has 60,000 weights: 140 KB."""
    group = layer_names(root, {"layer_names": np.array([b"a"] * 60_000)})
    group.create_group("a").attrs["weight_names"] = np.array([b"w"] * 60_000)


def one_text_many_times(whole: bytes) -> bytes:
    """60 lists of names, all of them one text of 4 MB."""
    many = {f"layer_names{i}": f"short{i:03}" for i in range(60)}
    data = bytearray(edited(whole, lambda root: layer_names(root, {"long": "L" * 2**22, **many})))

    def references(length: int) -> list[int]:
        """Where a length, the address of a heap and a number in it stand."""
        found, at = [], data.find(struct.pack("<L", length))
        while 0 <= at <= len(data) - 16:
            heap, number = struct.unpack_from("<QL", data, at + 4)
            if data[heap : heap + 4] == b"GCOL" and 0 < number < 1000:
                found.append(at)
            at = data.find(struct.pack("<L", length), at + 1)
        return found

    (long,) = references(2**22)
    short = references(8)
    assert len(short) >= 60
    for at in short:
        data[at : at + 16] = data[long : long + 16]
    return bytes(data)


def lattice(root: Any) -> None:
    """Each of 23 groups under three names: 3^23 paths."""
    inner = root["layers"]
    for _ in range(23):
        group = inner.create_group("n0")
        inner["n1"] = inner["n2"] = group
        inner = group.create_group("layers")


def overlapping_chunks() -> bytes:
    """An array in 3,000 chunks, each of which has four megabytes, the same ones."""
    model = lw.Sequential([lw.Input((60,)), lw.layers.Dense(50, use_bias=False)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.h5"
        model.save(path)
        whole = path.read_bytes()

    def in_chunks(root: Any) -> None:
        group = root["model_weights"][model.layers[0].name]
        (name,) = group.attrs["weight_names"]
        name = name.decode() if isinstance(name, bytes) else name
        del group[name]
        group.create_dataset(name, data=np.ones((60, 50), np.float32), chunks=(1, 1), compression="gzip")

    data, count = bytearray(edited(whole, in_chunks)), 0
    at = data.find(b"TREE")
    while at >= 0:
        kind, level, entries = struct.unpack_from("<BBH", data, at + 4)
        for i in range(entries if (kind, level) == (1, 0) else 0):
            struct.pack_into("<L", data, at + 24 + 40 * i, 2**22)
            count += 1
        at = data.find(b"TREE", at + 4)
    assert count == 3000
    return bytes(data) + bytes(2**22)


# --- descriptions -------------------------------------------------------------------------------------------------


def text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def lookups(count: int, vocabulary: Any) -> dict[str, Any]:
    """Keras's description of layers that look words up."""
    one = {"class_name": "StringLookup", "config": {"vocabulary": vocabulary, "output_mode": "multi_hot"}}
    named = [{**one, "config": {**one["config"], "name": f"l{i}"}} for i in range(count)]
    begin = {"class_name": "InputLayer", "config": {"batch_shape": [None, 1], "dtype": "string", "name": "t"}}
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [begin, *named]}}


def descriptions() -> dict[str, Any]:
    """Models of Keras's whose words, names or metrics would take too much."""
    words = [f"{i:x}" for i in range(440_000)]
    return {
        "440,000 words": lookups(1, words),
        "340,000 names": {**lookups(1, ["a"]), "more": dict.fromkeys(words[:340_000], 1)},
        "one long word": lookups(1, [*words[:100_000], "z" * 3000]),  # an array of NumPy's would have 1.2 GB
        "100,000 metrics": {**lookups(1, ["a"]), "compile_config": {"optimizer": "adam", "metrics": ["mae"] * 100_000}},
        "a metric of 10^10 thresholds": {
            **lookups(1, ["a"]),
            "compile_config": {
                "optimizer": {"class_name": "Adam", "config": {}}, "loss": "mse",
                "metrics": [{"class_name": "AUC", "config": {"num_thresholds": 10**10}}],
            },
        },
    }  # fmt: skip


def keras(whole: bytes) -> Files:
    entries = unzipped(whole)
    files = {}
    for name, config in descriptions().items():
        files[name] = zipped({**entries, "config.json": text(config)}, zipfile.ZIP_DEFLATED)
    for name, words in {
        "2,000,000 words in assets": "".join(f"{i:x}\n" for i in range(500_000)).encode(),
        "16,000,000 empty words in assets": b"\n" * (2**22 - 2) + b"a",
    }.items():
        assets = {f"assets/layers/string_lookup{f'_{i}' * bool(i)}/vocabulary.txt": words for i in range(4)}
        files[name] = zipped({**entries, "config.json": text(lookups(4, None)), **assets}, zipfile.ZIP_DEFLATED)
    weights = edited(entries["model.weights.h5"], lattice)
    return {**files, "a lattice of groups": zipped({**entries, "model.weights.h5": weights})}


def structures(target: str, whole: bytes) -> Files:
    """Of one target, by name."""
    if target == "keras":
        return keras(whole)
    if target == "h5":
        return {
            "names times names": edited(whole, names_times_names),
            "one text many times": one_text_many_times(whole),
            "chunks that overlap": overlapping_chunks(),
        }
    if target == "json":
        return hostile_graphs.texts() | {name: text(config) for name, config in descriptions().items()}
    if target == "lanewise":
        entries = unzipped(whole)
        files = hostile_graphs.manifests(json.loads(entries["lanewise.json"]))
        return {name: zipped({"lanewise.json": manifest}) for name, manifest in files.items()}
    if target == "safetensors":
        header = ",".join(f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(100_000)).encode()
        return {"100,000 names": (len(header) + 2).to_bytes(8, "little") + b"{" + header + b"}"}
    if target == "tabular":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "t.lanewise"
            targets.table(lw.tabular.TabularClassifier).save(path)
            entries = unzipped(path.read_bytes())
        manifest = json.loads(entries["lanewise.json"])
        manifest["classes"] = {"dtype": "<U100000", "values": ["x" * 100_000, *["y"] * 100_000]}
        return {"one long label": zipped({**entries, "lanewise.json": text(manifest)})}
    return {}
