"""Damaged and hostile files: each is refused with one clear error, quickly, and does no harm."""

import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import lanewise as lw
from lanewise.saving import archive
from saving_files import refused, rewritten, saved, trained

# --- damaged files ----------------------------------------------------------------------------------------------


def test_every_bit_flip_is_refused_or_harmless(tmp_path):
    model = trained()
    path = saved(tmp_path, model)
    whole = path.read_bytes()
    expected = lw.fingerprint(model)
    rng = np.random.default_rng(1)
    harmless = 0
    places = {*range(0, len(whole), 13), *range(len(whole) - 400, len(whole))}
    for place in sorted(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            loaded = lw.load_model(path)
        except ValueError as error:
            assert type(error) is ValueError and "no intact lanewise file" in str(error)
        else:
            harmless += 1  # dates, permissions and versions of the zip's own records
            assert lw.fingerprint(loaded) == expected
            assert loaded.optimizer_state().keys() == model.optimizer_state().keys()
            for name, array in loaded.optimizer_state().items():
                assert np.array_equal(array, model.optimizer_state()[name])
    assert harmless < 0.2 * len(places)


def test_garbage_appended_or_put_in_front(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"garbage")
    refused(path, "cut off")
    path.write_bytes(b"\x00" * 64)
    refused(path)
    path.write_bytes(b"")
    refused(path, "too short")


# --- hostile files ----------------------------------------------------------------------------------------------


def first_dense(manifest):
    return next(layer for layer in manifest["model"]["layers"] if layer["class_name"] == "Dense")


def set_in(*keys, value):
    def change(manifest):
        target = manifest
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value

    return change


HOSTILE = {
    "format": (set_in("format", value="zip"), "its format is 'zip'"),
    "version": (set_in("version", value=2), "version 2 of the format .*upgrade"),
    "version text": (set_in("version", value="1"), "its version is '1'"),
    "version zero": (set_in("version", value=0), "its version is 0"),
    "unknown key": (set_in("code", value="import os"), "unknown content"),
    "kind": (set_in("kind", value="function"), "unknown content"),
    "a list": (lambda manifest: [manifest], "no object"),
    "no model": (set_in("model", value=None), "model: expected"),
    "class name": (lambda m: first_dense(m).update(class_name="Lambda"), "Python code .a Lambda., which is never run"),
    "class path": (lambda m: first_dense(m).update(class_name="os.system"), "unknown name 'os.system'"),
    "class dunder": (lambda m: first_dense(m).update(class_name="__class__"), "unknown name"),
    "config text": (lambda m: first_dense(m).update(config="x"), "config"),
    "unknown argument": (lambda m: first_dense(m)["config"].update(function="x"), "function"),
    "huge units": (lambda m: first_dense(m)["config"].update(units=10**12), "shapes that the layers ask for"),
    "absurd units": (lambda m: first_dense(m)["config"].update(units=10**300), "too large"),
    "negative units": (lambda m: first_dense(m)["config"].update(units=-1), "units"),
    "float units": (lambda m: first_dense(m)["config"].update(units=5.0), "units"),
    "other units": (lambda m: first_dense(m)["config"].update(units=6), "shapes that the layers ask for"),
    "activation": (lambda m: first_dense(m)["config"].update(activation="eval"), "unknown name 'eval'"),
    "initializer": (
        lambda m: first_dense(m)["config"].update(kernel_initializer={"class_name": "_Function", "config": {}}),
        "unknown name '_Function'",
    ),
    "layer name": (lambda m: first_dense(m)["config"].update(name="other"), "not called as"),
    "two names": (
        lambda m: [layer["config"].update(name="a") for layer in m["model"]["layers"]] and None,
        "called 'a'",
    ),
    "input shape": (set_in("model", "build_input_shape", value=[None, 10**30]), "too large|does not fit"),
    "input rank": (set_in("model", "build_input_shape", value=[None]), "build_input_shape"),
    "input float": (set_in("model", "build_input_shape", value=[None, 3.0]), "no shape"),
    "layers": (set_in("model", "layers", value={}), "layers: expected a list"),
    "too many layers": (
        lambda m: m["model"].update(layers=[{"class_name": "Flatten", "config": {}}] * 5000),
        "list of up to 1000",
    ),
    "optimizer": (set_in("compile", "optimizer", "class_name", value="Evil"), "unknown name 'Evil'"),
    "learning rate": (set_in("compile", "optimizer", "config", "learning_rate", value=-1.0), "learning_rate"),
    "loss": (set_in("compile", "loss", "class_name", value="open"), "unknown name 'open'"),
    "metric": (set_in("compile", "metrics", value=[{"class_name": 3}]), "metric"),
    "compile text": (set_in("compile", value="adam"), "no intact"),
    "dtype": (set_in("arrays", "weights/0.npy", "dtype", value="object"), "unknown dtype 'object'"),
    "dtype list": (set_in("arrays", "weights/0.npy", "dtype", value=["float32"]), "unknown dtype"),
    "other dtype": (set_in("arrays", "optimizer/0.npy", "dtype", value="float64"), "header"),
    "wrapping shape": (set_in("arrays", "optimizer/5.npy", "shape", value=[2**32, 2**32]), "needs"),
    "negative shape": (set_in("arrays", "optimizer/5.npy", "shape", value=[-3, -5]), "no shape"),
    "transposed": (set_in("arrays", "weights/2.npy", "shape", value=[5, 3]), "shapes that the layers ask for"),
    "true in shape": (set_in("arrays", "weights/2.npy", "shape", value=[True, 15]), "no shape"),
    "no shape": (set_in("arrays", "optimizer/5.npy", value={}), "expected dtype and shape"),
    "array missing": (lambda m: m["arrays"].pop("weights/0.npy") and None, "arrays: not those"),
    "weights missing": (lambda m: m["weights"].pop() and None, "arrays: not those"),
    "weight twice": (lambda m: m["weights"].__setitem__(1, m["weights"][0]), "one name"),
    "slots renamed": (lambda m: m.update(optimizer=[f"x{i}" for i in range(len(m["optimizer"]))]), "no intact"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_description(tmp_path, name):
    change, text = HOSTILE[name]
    refused(rewritten(saved(tmp_path), change), text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "JSON"),
        (b"[" * 100_000, "RecursionError"),
        (b'{"format": NaN}', "no JSON"),
        (b"\xff\xfe", "no intact"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "no intact"),
        (b" " * (archive.MAX_MANIFEST + 1), "allowed are"),
    ],
)
def test_hostile_json(tmp_path, data, text):
    refused(rewritten(saved(tmp_path), entries={"lanewise.json": data}), text)


def test_hostile_arrays(tmp_path):
    path = saved(tmp_path)
    with zipfile.ZipFile(path) as old:
        kernel = old.read("weights/2.npy")
    whole = path.read_bytes()
    pickled = kernel.replace(b"'<f4'", b"'|O' ")
    fortran = kernel.replace(b"False", b"True ")
    code = kernel.replace(b"{'descr': '<f4'", b"__import__('os')")[: len(kernel)].ljust(len(kernel), b" ")
    for data in (pickled, fortran, code, kernel[:-4], kernel + b"\0\0\0\0", b"\x93NUMPY\x02\x00" + kernel[8:], b""):
        path.write_bytes(whole)
        refused(rewritten(path, entries={"weights/2.npy": data}), "weights/2.npy")
    path.write_bytes(whole)
    refused(rewritten(path, entries={"weights/99.npy": kernel}), "weights/99.npy")
    path.write_bytes(whole)
    refused(rewritten(path, entries={"weights/2.npy": None}), "weights/2.npy")
    path.write_bytes(whole)
    refused(rewritten(path, entries={"../../evil.npy": kernel}), "evil")


def test_state_that_does_not_fit(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()

    def put(i, array):
        def change(manifest):
            manifest["arrays"][f"optimizer/{i}.npy"] = archive.describe(array)

        path.write_bytes(whole)
        data = archive.npy_header(array.dtype.str, array.shape) + array.tobytes()
        return rewritten(path, change, {f"optimizer/{i}.npy": data})

    names = json.loads(zipfile.ZipFile(path).read("lanewise.json"))["optimizer"]
    assert names[:2] == ["iterations", "learning_rate"]
    refused(put(0, np.array(-5)), "iterations")
    refused(put(0, np.array([1, 2])), "iterations")
    refused(put(1, np.array(np.nan)), "learning_rate")
    refused(put(names.index("epoch"), np.array(-1)), "epoch")
    slot = next(i for i, name in enumerate(names) if name.endswith("kernel/m"))
    refused(put(slot, np.zeros((9, 9), np.float32)), "expected shape")


def test_compressed_entries_are_refused_so_there_are_no_bombs(tmp_path):
    path = saved(tmp_path)
    bomb = archive.npy_header("<f4", (2**26,)) + bytes(2**28)
    refused(
        rewritten(path, entries={"weights/0.npy": bomb}, compression=zipfile.ZIP_DEFLATED, compresslevel=9),
        "compressed",
    )
    assert path.stat().st_size < 2**20


def test_overlapping_entries(tmp_path):
    """Every entry's record points at the first array."""
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    start = struct.unpack("<L", data[-6:-2])[0]
    records = []
    while data[start : start + 4] == b"PK\x01\x02":
        lengths = struct.unpack("<3H", data[start + 28 : start + 34])
        records.append(start)
        start += 46 + sum(lengths)
    data[records[3] + 42 : records[3] + 46] = data[records[1] + 42 : records[1] + 46]
    path.write_bytes(data)
    refused(path)


def test_two_entries_of_one_name(tmp_path):
    path = saved(tmp_path)
    with zipfile.ZipFile(path, "a") as more, pytest.warns(UserWarning, match="Duplicate"):
        more.writestr("lanewise.json", "{}")
    refused(path, "two entries")


def test_list_of_entries_without_end(tmp_path):
    """A file of a million empty entries costs no memory and no time."""
    path = tmp_path / "m.lanewise"
    record = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    body = record * 1_000_000
    path.write_bytes(body + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(body), 0, 0))
    refused(path, "list of entries")


def test_zip64_records_in_a_small_file(tmp_path):
    path = saved(tmp_path)
    data = path.read_bytes()
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    path.write_bytes(data[:-22] + locator + data[-22:])
    refused(path, "zip64")


def test_loading_takes_little_memory(tmp_path):
    """Peak of a load in a fresh process: at most twice the file and 64 MB above the imports."""
    model = lw.Sequential([lw.layers.Dense(3000, input_shape=(3000,), kernel_initializer="zeros")])
    path = saved(tmp_path, model)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import resource, numpy, json, zipfile, lanewise as lw; lw.Sequential, lw.saving\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak(); m = lw.load_model(sys.argv[1]); print(peak() - before)"
    )
    out = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert int(out.stdout) <= 2 * path.stat().st_size + 64 * 2**20
