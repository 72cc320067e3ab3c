"""keras.datasets and get_file against a server on loopback with small made files; no network."""

import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import pickletools
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import lanewise as lw
from lanewise.keras.datasets import (
    _read,
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)

RNG = np.random.default_rng(2)


class Server:
    """Files by name, and which were asked for."""

    def __init__(self):
        self.files = {}
        self.asked = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.partition("?")[0].rsplit("/", 1)[-1]
                server.asked.append(name)
                if name not in server.files:
                    self.send_error(404)
                    return
                body = server.files[name]
                self.send_response(200)
                if name != "no-length":
                    self.send_header("Content-Length", str(len(body) + (100 if name == "cut" else 0)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(tmp_path, monkeypatch):
    made = Server()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.http.shutdown()
    made.http.server_close()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def cached(tmp_path, *names):
    return os.path.join(tmp_path, "keras", "datasets", *names)


# --- get_file ---------------------------------------------------------------------------------------------------


def test_a_file_is_downloaded_once_and_checked(server, tmp_path, capsys):
    data = server.files["a.bin"] = RNG.bytes(1_000_000)
    get = lambda **options: lw.utils.get_file(origin=server.base + "a.bin", **options)  # noqa: E731
    path = get(file_hash=sha256(data))
    assert path == cached(tmp_path, "a.bin") and Path(path).read_bytes() == data
    out = capsys.readouterr().out
    assert f"Downloading data from {server.base}a.bin" in out and "977/977" in out
    assert get(file_hash=sha256(data).upper()) == get() == get(md5_hash=hashlib.md5(data).hexdigest()) == path
    assert server.asked == ["a.bin"] and capsys.readouterr().out == ""
    get(force_download=True)
    assert len(server.asked) == 2
    assert os.listdir(os.path.dirname(path)) == ["a.bin"]


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, tmp_path, capsys):
    server.files["a.bin"] = b"right"
    os.makedirs(cached(tmp_path))
    Path(cached(tmp_path, "a.bin")).write_bytes(b"wrong")
    path = lw.utils.get_file("a.bin", server.base + "a.bin", file_hash=sha256(b"right"))
    assert Path(path).read_bytes() == b"right" and "not the file that was expected" in capsys.readouterr().out


def test_what_comes_with_another_hash_is_not_kept(server, tmp_path):
    server.files["a.bin"] = b"evil"
    with pytest.raises(ValueError, match="nothing was kept"):
        lw.utils.get_file("a.bin", server.base + "a.bin", file_hash=sha256(b"good"))
    assert os.listdir(cached(tmp_path)) == []


def test_a_cut_connection_leaves_nothing(server, tmp_path):
    server.files["cut"] = b"x" * 1000
    with pytest.raises(OSError, match="could not be downloaded: "):
        lw.utils.get_file("cut", server.base + "cut")
    assert os.listdir(cached(tmp_path)) == []
    server.files["no-length"] = b"y" * 1000
    assert Path(lw.utils.get_file("no-length", server.base + "no-length")).read_bytes() == b"y" * 1000


def test_no_network_and_no_file_are_clear_errors(server, tmp_path):
    target = cached(tmp_path, "a.bin")
    with pytest.raises(OSError, match=r"a\.bin could not be downloaded: 404 Not Found\. Without a network, put the"):
        lw.utils.get_file("a.bin", server.base + "a.bin")
    server.http.server_close()
    refused = os.strerror(errno.ECONNREFUSED)  # in the language of the environment
    with pytest.raises(OSError, match=f"{refused}.*put the file at {target} yourself"):
        lw.utils.get_file("a.bin", "http://127.0.0.1:9/a.bin")


def test_places(server, tmp_path, monkeypatch):
    server.files["a.bin"] = b"1"
    origin = server.base + "a.bin?version=2"
    assert lw.utils.get_file(origin=origin) == cached(tmp_path, "a.bin")
    elsewhere = lw.utils.get_file("b", origin, cache_dir=tmp_path / "other", cache_subdir="sub")
    assert elsewhere == str(tmp_path / "other" / "sub" / "b")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert lw.utils.get_file(origin=origin) == str(tmp_path / "home" / ".keras" / "datasets" / "a.bin")
    for options, text in (
        ({}, "origin: expected"), ({"origin": server.base}, "fname: expected a name"),
        ({"origin": origin, "fname": "a/b"}, "without '/'"), ({"origin": origin, "hash_algorithm": "x"}, "hash_alg"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            lw.utils.get_file(**options)


def tar(entries, mode="w:gz"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def packed(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("make", [tar, packed])
def test_archives_are_unpacked_where_keras_unpacks_them(server, tmp_path, make):
    server.files["data.tar.gz"] = make({"inner/a.txt": b"A", "inner/b.txt": b"B"})
    origin = server.base + "data.tar.gz"
    folder = lw.utils.get_file("data.tar.gz", origin, extract=True)
    assert folder == cached(tmp_path, "data_extracted") and Path(folder, "inner", "a.txt").read_bytes() == b"A"
    assert os.path.exists(cached(tmp_path, "data.tar.gz"))
    folder = lw.utils.get_file("named", origin, extract=True)
    assert folder == cached(tmp_path, "named") and os.path.exists(cached(tmp_path, "named_archive"))
    assert lw.utils.get_file("named", origin, extract=True) == folder  # from the cache, over what is there
    assert not [name for name in os.listdir(cached(tmp_path)) if name.startswith(".")]


@pytest.mark.parametrize(
    "data",
    [tar({"../out.txt": b"x"}), tar({"link": "../../out"}), packed({"../out.txt": b"x"}), tar({"/out.txt/..": "/etc"})],
    ids=["tar", "link", "zip", "absolute"],
)
def test_archives_that_lead_out_of_their_folder_are_refused(server, tmp_path, data):
    server.files["bad"] = data
    with pytest.raises(ValueError, match="nothing was unpacked"):
        lw.utils.get_file("bad", server.base + "bad", extract=True)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"keras/datasets/bad_archive"}


def test_no_archive(server):
    server.files["plain"] = b"text"
    with pytest.raises(ValueError, match="expected an archive of the format tar or zip"):
        lw.utils.get_file("plain", server.base + "plain", extract=True)
    with pytest.raises(ValueError, match="archive_format: expected"):
        lw.utils.get_file("plain", server.base + "plain", extract=True, archive_format="rar")


# --- the data sets ----------------------------------------------------------------------------------------------


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, allow_pickle=True, **arrays)
    return out.getvalue()


def put(server, monkeypatch, module, name, data, attribute="_HASH"):
    server.files[name] = data
    for place in (module, _read):
        if hasattr(place, "BASE"):
            monkeypatch.setattr(place, "BASE", server.base)
    monkeypatch.setattr(module, attribute, sha256(data))


def test_mnist(server, monkeypatch, tmp_path):
    arrays = {
        "x_train": RNG.integers(0, 256, (6, 28, 28), np.uint8), "y_train": np.arange(6, dtype=np.uint8),
        "x_test": RNG.integers(0, 256, (2, 28, 28), np.uint8), "y_test": np.arange(2, dtype=np.uint8),
    }  # fmt: skip
    put(server, monkeypatch, mnist, "mnist.npz", npz(**arrays))
    (x, y), (u, v) = mnist.load_data()
    for got, name in ((x, "x_train"), (y, "y_train"), (u, "x_test"), (v, "y_test")):
        assert np.array_equal(got, arrays[name]) and got.dtype == np.uint8
    assert os.path.exists(cached(tmp_path, "mnist.npz"))
    mnist.load_data()
    assert server.asked == ["mnist.npz"]


def test_fashion_mnist(server, monkeypatch, tmp_path):
    images, labels = RNG.integers(0, 256, (5, 28, 28), np.uint8), np.array([3, 1, 4, 1, 5], np.uint8)
    monkeypatch.setattr(fashion_mnist, "BASE", server.base)
    for part in ("train", "t10k"):
        server.files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(bytes(16) + images.tobytes())
        server.files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(bytes(8) + labels.tobytes())
    (x, y), (u, v) = fashion_mnist.load_data()
    assert np.array_equal(x, images) and np.array_equal(v, labels) and u.shape == (5, 28, 28) and len(y) == 5
    assert os.path.exists(cached(tmp_path, "fashion-mnist", "t10k-labels-idx1-ubyte.gz"))


@pytest.mark.parametrize(("function", "version"), [(boston_housing, None), (california_housing, "small")])
def test_tables_are_shuffled_and_split_as_keras_does(server, monkeypatch, function, version):
    x, y = RNG.standard_normal((1000, 3)), np.arange(1000.0)
    name = f"{function.__name__.rpartition('.')[2]}.npz"
    put(server, monkeypatch, function, name, npz(x=x, y=y))
    options = {} if version is None else {"version": version}
    rows = 600 if version else 1000
    (x_train, y_train), (x_test, y_test) = function.load_data(test_split=0.25, **options)
    order = np.arange(rows)
    np.random.RandomState(113).shuffle(order)
    assert np.array_equal(np.concatenate([y_train, y_test]), order) and len(y_test) == rows // 4
    assert np.array_equal(x_train, x[order][: len(x_train)]) and len(x_test) == len(y_test)
    for bad in ({"test_split": 1.0}, {"test_split": -0.1}):
        with pytest.raises(ValueError, match="test_split"):
            function.load_data(**bad)
    if version:
        with pytest.raises(ValueError, match="version: expected 'small' or 'large'"):
            function.load_data(version="medium")


def objects(rows):
    array = np.empty(len(rows), object)
    array[:] = [list(row) for row in rows]
    return array


def test_imdb(server, monkeypatch):
    rows = [[1, 5, 9, 2], [3, 3], [7, 8, 1], [2]]
    arrays = {"x_train": objects(rows), "y_train": np.array([1, 0, 1, 0]), "x_test": objects(rows[::-1]),
              "y_test": np.array([0, 0, 1, 1])}  # fmt: skip
    put(server, monkeypatch, imdb, "imdb.npz", npz(**arrays))
    order, second, random = np.arange(4), np.arange(4), np.random.RandomState(113)
    random.shuffle(order)
    random.shuffle(second)
    (x, y), (u, v) = imdb.load_data()
    assert v.tolist() == [arrays["y_test"][i] for i in second]
    top = 12  # the largest number is not kept, as in Keras
    assert x.tolist() == [[1] + [w + 3 if w + 3 < top else 2 for w in rows[i]] for i in order]
    assert y.tolist() == [arrays["y_train"][i] for i in order] and x.dtype == u.dtype == object
    (x, y), _ = imdb.load_data(num_words=8, skip_top=5, start_char=None, index_from=0, oov_char=None)
    assert x.tolist() == [[w for w in rows[i] if 5 <= w < 8] for i in order]
    (x, y), (u, v) = imdb.load_data(maxlen=4)
    assert max(map(len, x)) <= 3 and len(x) == len(y) == 2 and len(u) == len(v) == 2
    with pytest.raises(ValueError, match="maxlen: no text has less than 1 words"):
        imdb.load_data(maxlen=1)


def test_reuters(server, monkeypatch):
    rows = [[i, 2 * i + 1] for i in range(10)]
    put(server, monkeypatch, reuters, "reuters.npz", npz(x=objects(rows), y=np.arange(10)))
    (x, y), (u, v) = reuters.load_data(test_split=0.3, num_words=100)
    order = np.arange(10)
    np.random.RandomState(113).shuffle(order)
    assert np.concatenate([y, v]).tolist() == order.tolist() and (len(x), len(u)) == (7, 3)
    assert x[0] == [1, *(w + 3 for w in rows[order[0]])]
    names = reuters.get_label_names()
    assert len(names) == 46 and names[3] == "earn" and names[-1] == "lead"


def test_word_indices(server, monkeypatch):
    index = json.dumps({"the": 1, "café": 2}).encode()
    for module, name in ((imdb, "imdb_word_index.json"), (reuters, "reuters_word_index.json")):
        put(server, monkeypatch, module, name, index, "_INDEX_HASH")
        assert module.get_word_index() == {"the": 1, "café": 2}


def batch(n, keys):
    data = RNG.integers(0, 256, (n, 3072), np.uint8)
    labels = {key: RNG.integers(0, 10, n).tolist() for key in keys}
    return data, labels, pickle.dumps({b"data": data, **{k.encode(): v for k, v in labels.items()}}, 3)


def python2(data):
    """A pickle of protocol 3 as Python 2 with NumPy 1 wrote it: texts of bytes, the older name of NumPy's module."""
    out = bytearray(data)
    for opcode, _, place in pickletools.genops(data):
        if opcode.name in ("SHORT_BINBYTES", "BINBYTES"):
            out[place] = ord("U" if opcode.name == "SHORT_BINBYTES" else "T")
        elif opcode.name == "PROTO":
            out[place + 1] = 2
    return bytes(out).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_cifar10(server, monkeypatch):
    made = {f"data_batch_{i}": batch(4, ["labels"]) for i in range(1, 6)} | {"test_batch": batch(3, ["labels"])}
    archive = tar({f"cifar-10-batches-py/{name}": bytes_ for name, (_, _, bytes_) in made.items()})
    serve_cifar(server, monkeypatch, cifar10, "cifar-10-python.tar.gz", archive)
    (x, y), (u, v) = cifar10.load_data()
    assert x.shape == (20, 32, 32, 3) and y.shape == (20, 1) and u.shape == (3, 32, 32, 3) and y.dtype == np.uint8
    data, labels, _ = made["data_batch_2"]
    assert np.array_equal(x[4], data[0].reshape(3, 32, 32).transpose(1, 2, 0)) and y[4, 0] == labels["labels"][0]
    assert v[:, 0].tolist() == made["test_batch"][1]["labels"]


def serve_cifar(server, monkeypatch, module, name, archive):
    server.files[name] = archive
    monkeypatch.setattr(module, "_HASH", sha256(archive))
    real = _read.get_file
    monkeypatch.setattr(_read, "get_file", lambda folder, origin, **o: real(folder, server.base + name, **o))


def test_cifar100(server, monkeypatch):
    keys = ["fine_labels", "coarse_labels"]
    made = {"train": batch(6, keys), "test": batch(2, keys)}
    archive = tar({f"cifar-100-python/{name}": python2(data) for name, (_, _, data) in made.items()})
    serve_cifar(server, monkeypatch, cifar100, "cifar-100-python.tar.gz", archive)
    (_, fine), _ = cifar100.load_data()
    (x, coarse), (_, test) = cifar100.load_data(label_mode="coarse")
    assert fine[:, 0].tolist() == made["train"][1]["fine_labels"] and x.shape == (6, 32, 32, 3)
    assert coarse[:, 0].tolist() == made["train"][1]["coarse_labels"]
    assert test[:, 0].tolist() == made["test"][1]["coarse_labels"]
    with pytest.raises(ValueError, match="label_mode: expected 'fine' or 'coarse'"):
        cifar100.load_data("medium")


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_code_in_a_file_runs(server, monkeypatch, tmp_path):
    witness = str(tmp_path / "witness")
    evil = np.empty(1, object)
    evil[0] = Evil(witness)
    put(server, monkeypatch, imdb, "imdb.npz", npz(x_train=evil, y_train=np.zeros(1), x_test=evil, y_test=np.zeros(1)))
    with pytest.raises(pickle.UnpicklingError, match="no data set needs"):
        imdb.load_data()
    archive = tar({f"cifar-10-batches-py/data_batch_{i}": pickle.dumps(Evil(witness)) for i in range(1, 6)})
    serve_cifar(server, monkeypatch, cifar10, "cifar-10-python.tar.gz", archive)
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        cifar10.load_data()
    assert not os.path.exists(witness)
    for payload in (b"cbuiltins\neval\n(S'1'\ntR.", b"cnumpy.lib.format\nread_array\n.", b"c_codecs\nencode\n."):
        with pytest.raises(pickle.UnpicklingError):
            _read.ArrayUnpickler(io.BytesIO(payload)).load()


def test_addresses_and_hashes_are_those_that_keras_states():
    assert _read.BASE == "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
    for module in (mnist, boston_housing, california_housing, cifar10, cifar100, imdb, reuters):
        assert len(module._HASH) == 64 and int(module._HASH, 16)


def test_what_stands_for_an_array_of_objects_must_be_one(tmp_path: Path) -> None:
    entry = io.BytesIO()
    np.lib.format.write_array_header_1_0(entry, {"descr": "|O", "fortran_order": False, "shape": (2,)})
    entry.write(pickle.dumps([[1], [2, 3]]))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("x.npy", entry.getvalue())
    with pytest.raises(pickle.UnpicklingError, match="expected an array, received list"):
        _read.load_npz(str(tmp_path / "x.npz"))
