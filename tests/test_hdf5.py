"""The reader of HDF5 files beside h5py: the same numbers, names and texts; what it does not read it says."""

import io
import re
import struct

import numpy as np
import pytest

from lanewise.saving import h5, hdf5
from lanewise.saving.archive import FormatError

h5py = pytest.importorskip("h5py")

VERSIONS = [("earliest", "v108"), ("earliest", "latest"), ("v108", "v108"), ("latest", "latest")]
TYPES = ["f2", "<f4", ">f4", "<f8", ">f8", "i1", "u1", "<i2", ">u2", "<i4", ">i4", "<u4", "<i8", ">u8"]


def made(write, **options):
    out = io.BytesIO()
    with h5py.File(out, "w", **options) as root:
        write(root)
    return out.getvalue()


def numbers(shape, dtype):
    return (
        (np.arange(np.prod(shape, dtype=int)) * 7 % 101 - (0 if np.dtype(dtype).kind == "u" else 50))
        .reshape(shape)
        .astype(dtype)
    )


@pytest.mark.parametrize("libver", VERSIONS[:3])
def test_arrays_of_every_type_and_shape(libver):
    def write(root):
        for dtype in TYPES:
            for shape in [(), (1,), (3, 4), (2, 1, 5), (0,), (4, 0, 2)]:
                name = f"{dtype[-2]}/{dtype}/{shape}".replace("<", "l").replace(">", "b")
                root.create_dataset(name if libver[0] == "v108" else f"all/{name}", data=numbers(shape, dtype))
        small = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        small.set_layout(h5py.h5d.COMPACT)
        space, kind = h5py.h5s.create_simple((5,)), h5py.h5t.NATIVE_FLOAT
        h5py.h5d.create(root.id, b"compact", kind, space, small).write(space, space, numbers((5,), "f4"))

    data, seen = made(write, libver=libver), 0
    ours = h5.root(data)
    with h5py.File(io.BytesIO(data), "r") as theirs:

        def compare(name, item):
            nonlocal seen
            if isinstance(item, h5py.Dataset):
                found = ours.array(name)
                assert ours.shape(name) == item.shape == found.shape
                assert found.dtype == item.dtype.newbyteorder("=") and np.array_equal(found, item[()])
                seen += 1

        theirs.visititems(compare)
    assert seen == len(TYPES) * 6 + 1


@pytest.mark.parametrize("shape", [(1,), (1000,), (37, 41), (3, 5, 70)])
@pytest.mark.parametrize(
    "packed", [{}, {"compression": "gzip"}, {"shuffle": True}, {"compression": 9, "shuffle": True}]
)
def test_chunks(shape, packed):
    values = numbers(shape, "f4")
    chunks = tuple(max(1, n // 3) for n in shape)
    data = made(
        lambda root: root.create_dataset("x", data=values, chunks=chunks, maxshape=(None,) * len(shape), **packed)
    )
    root = h5.root(data)
    assert np.array_equal(root.array("x"), values)


def test_many_chunks_and_many_groups_make_trees_of_several_levels():
    values = numbers((3000, 2), "i4")

    def write(root):
        root.create_dataset("chunks", data=values, chunks=(2, 1))
        for i in range(3000):
            root.create_group(f"groups/a rather long name of a group {i}")

    data = made(write)
    root = h5.root(data)
    assert np.array_equal(root.array("chunks"), values)
    assert len(root.group("groups").names()) == 3000
    assert "groups/a rather long name of a group 2999" in root and "groups/x" not in root


@pytest.mark.parametrize("libver", VERSIONS)
def test_texts(libver):
    texts = {
        "long": "ä" * 3000, "short": "x", "none": "", "bytes": np.bytes_(b"fixed"), "list": ["a", "bc", "ä"],
        "array": np.array([b"ab", b"c", b""]), "empty": h5py.Empty("S1"), "no items": np.zeros(0, "S3"),
    }  # fmt: skip

    def write(root):
        root.attrs["number"] = 3
        root.attrs.update(
            texts if libver[0] == "earliest" else dict(list(texts.items())[1:])
        )  # 9 have an index of their own

    root = h5.root(made(write, libver=libver))
    for name in ("long", "short", "none") if libver[0] == "earliest" else ("short", "none"):
        assert root.text(name) == texts[name]
    assert root.text("bytes") == "fixed" and root.text("absent") is None
    assert root.texts("list") == texts["list"] and root.texts("array") == ["ab", "c", ""]
    assert root.texts("empty") == root.texts("no items") == []
    with pytest.raises(FormatError, match="'number' of / is no text"):
        root.text("number")


def test_a_long_list_of_names_in_parts():
    data = made(lambda root: root.attrs.update({"n0": [b"a", b"b"], "n1": [b"c"]}))
    root = h5.root(data)
    assert root.texts("n") == ["a", "b", "c"]


def test_links_in_the_header():
    """Groups of the newer kind, with few entries."""

    def write(root):
        root.create_dataset("a/b/x", data=numbers((3,), "f4"))
        root["soft"], root["out"] = h5py.SoftLink("/a"), h5py.ExternalLink("other.h5", "/")

    for libver in VERSIONS:
        root = h5.root(made(write, libver=libver))
        assert root.array("a/b/x").tolist() == numbers((3,), "f4").tolist()
        for name in ("soft", "out"):
            with pytest.raises(FormatError, match="is a link, which is not followed"):
                root.group(name)


def one(make, **options):
    return made(lambda root: make(root, "x"), **options)


REFUSED = {
    "lzf": (lambda r, n: r.create_dataset(n, data=np.zeros(9), compression="lzf"), {}, "packed with filter 32000"),
    "checksum": (lambda r, n: r.create_dataset(n, data=np.zeros(9), fletcher32=True), {}, "packed with filter 3,"),
    "chunks of the newest kind": (
        lambda r, n: r.create_dataset(n, data=np.zeros((9, 9)), chunks=(1, 1)),
        {"libver": "latest"}, "laid out in a way",
    ),
    "never written": (lambda r, n: r.create_dataset(n, (3,), "f4"), {}, "was never written"),
    "chunks never written": (lambda r, n: r.create_dataset(n, (3,), "f4", chunks=(1,)), {}, "never written"),
    "complex": (lambda r, n: r.create_dataset(n, data=np.zeros(3, complex)), {}, "no plain numbers"),
    "truth": (lambda r, n: r.create_dataset(n, data=np.zeros(3, bool)), {}, "no plain numbers"),
    "nine axes": (lambda r, n: r.create_dataset(n, data=np.zeros((1,) * 9)), {}, "9 axes"),
    "committed type": (
        lambda r, n: (r.__setitem__("t", np.dtype("f4")), r.create_dataset(n, (3,), r["t"])), {}, "shared type",
    ),
    "group": (lambda r, n: r.create_group(n), {}, "is no array"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_said(name):
    make, options, text = REFUSED[name]
    root = h5.root(one(make, **options))
    with pytest.raises(FormatError, match=text):
        root.array("x")


def test_groups_and_attributes_with_an_index_of_the_newest_kind():
    data = made(lambda root: [root.create_group(f"g{i}") for i in range(30)], libver="latest")
    root = h5.root(data)
    with pytest.raises(FormatError, match="a group with an index of the newest kind"):
        root.names()
    data = made(lambda root: root.attrs.update({f"a{i}": "x" for i in range(30)}), libver="latest")
    root = h5.root(data)
    with pytest.raises(FormatError, match="attributes with an index of the newest kind"):
        root.text("a0")


# --- damaged structures -------------------------------------------------------------------------------------------


def example():
    def write(root):
        root.create_dataset("g/x", data=numbers((6, 4), "f4"), chunks=(3, 2), compression="gzip", shuffle=True)
        root.create_dataset("g/y", data=numbers((4,), "f8"))
        root.attrs["text"], root.attrs["texts"] = "some text", ["a", "b"]

    return made(write)


def everything(data):
    root = h5.root(data)
    assert root.names() == ["g"] and root.group("g").names() == ["x", "y"]
    return root.array("g/x"), root.array("g/y"), root.text("text"), root.texts("texts")


def test_every_truncation_and_every_bit_is_an_error_or_other_content():
    """Errors are of a few kinds that `load_model` names; nothing else, and no end of time."""
    whole = example()
    everything(whole)
    for length in range(len(whole)):
        with pytest.raises(FormatError):
            everything(whole[:length])
    refused = 0
    for place in range(0, len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        try:
            everything(bytes(flipped))
        except (FormatError, KeyError, IndexError, struct.error, UnicodeDecodeError, AssertionError, hdf5.zlib.error):
            refused += 1
    print(f"{len(whole)} truncations and bits, {refused} bits refused")
    assert refused > 300


def put(data, at, *numbers):
    return data[:at] + struct.pack(f"<{len(numbers)}Q", *numbers) + data[at + 8 * len(numbers) :]


def at(data, mark, i=0):
    return [m.start() for m in re.finditer(mark, data)][i]


def test_structures_that_run_in_circles_or_overlap():
    whole = example()
    trees = [m.start() for m in re.finditer(b"TREE", whole)]
    for tree in trees:  # a tree one level higher whose children are itself
        looped = bytearray(whole)
        looped[tree + 5] = 1
        width = 8 if looped[tree + 4] == 0 else 8 * 4
        looped[tree + 24 + width : tree + 32 + width] = struct.pack("<Q", tree)
        with pytest.raises(FormatError, match=r"in circles|another kind"):
            everything(bytes(looped))
    with pytest.raises(FormatError, match="no object stands at"):
        everything(put(whole, 64, 512 + 1))
    with pytest.raises(FormatError, match="HDF5 version is 9"):
        everything(whole[:8] + b"\x09" + whole[9:])
    with pytest.raises(FormatError, match="addresses are not of 8 bytes"):
        everything(whole[:13] + b"\x04" + whole[14:])
    with pytest.raises(FormatError, match=r"points to .* which are not there"):
        everything(put(whole, 64, 2**63))
    with pytest.raises(
        FormatError, match="no text"
    ):  # the heap of long texts has an object of no length, again and again
        heap = at(whole, b"GCOL")
        everything(whole[: heap + 16] + struct.pack("<HHLQ", 9, 0, 0, 0) * 8 + whole[heap + 16 + 128 :])


def test_a_header_that_continues_in_itself():
    whole = made(lambda root: [root.attrs.__setitem__(f"a{i}", "x" * 50) for i in range(40)])
    header = struct.unpack_from("<Q", whole, 64)[0]
    size = struct.unpack_from("<L", whole, header + 8)[0]
    place, end = header + 16, header + 16 + size
    while place < end:
        kind, length = struct.unpack_from("<HH", whole, place)
        if kind == 16:
            with pytest.raises(FormatError, match="in circles"):
                h5.root(put(whole, place + 8, header + 16, size))
            return
        place += 8 + length
    raise AssertionError("no header is continued")


def test_work_is_bounded():
    """A group whose entries all share one long node of symbols: each is a new address."""
    whole = example()
    file = hdf5.File(whole)
    with pytest.raises(FormatError, match="overlap"):
        for start in range(0, len(whole) - 4000):
            file.block(start, 4000)
    with pytest.raises(FormatError, match="a structure of"):
        hdf5.File(whole + bytes(2**26)).block(0, 2**25 + 1)
