"""Changes of files that keep them readable: JSON stays JSON, a zip keeps its checksums; else bytes change."""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

ODD: list[Any] = [
    None, True, False, -1, 0, 1, 2, 2**31, 2**32 + 1, 2**53, 2**63, 10**30, 0.5, -0.0, 1e-320, 1e308, "", "a", [], {},
    [[]], [None, 3], [2**32, 2**32], "Dense", "Lambda", "os.system", "__class__", "../../x", "\u0000", "eval",
    "{epoch}", "Functional", "Sequential", "function", {"class_name": "Dense", "config": {}},
    {"class_name": "function", "config": "eval"}, {"class_name": "__lambda__", "config": {"value": "4wEA"}},
    "CategoryEncoding", "AUC", "MeanIoU", "Embedding", "Normalization",
]  # fmt: skip
"""Values that a reader does not expect."""

Inner = Callable[[bytes, random.Random], bytes]


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    """(container, key) of every value inside."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        found.append((value, key))
        _places(inner, found)


def json_text(data: bytes, rng: random.Random) -> bytes:
    """One to three values of a JSON text replaced, removed, repeated, exchanged or wrapped."""
    value = json.loads(data)
    for _ in range(rng.randint(1, 3)):
        places: list[tuple[Any, Any]] = []
        _places(value, places)
        if not places:
            return json.dumps(rng.choice(ODD)).encode()
        container, key = rng.choice(places)
        what = rng.randrange(7)
        if what <= 1:
            container[key] = rng.choice(ODD)
        elif what == 2:
            del container[key]
        elif what == 3:
            other, at = rng.choice(places)
            container[key] = json.loads(json.dumps(other[at]))
        elif what == 4 and isinstance(container, list):
            container.extend(json.loads(json.dumps(container[key])) for _ in range(rng.choice([1, 2, 60])))
        elif what == 4:
            container[str(rng.choice(places)[1])] = container[key]
        elif what == 5:
            old = container[key]
            if type(old) is int:
                container[key] = old + rng.choice([-1, 1, 7, 2**31, -(2**31)]) if rng.random() < 0.7 else old * -1
            elif type(old) is float:
                container[key] = old * rng.choice([-1.0, 0.0, 1e300, 1e-300, 2.0])
            elif isinstance(old, str):
                container[key] = rng.choice([old[:-1], old + "x", old.upper(), old.replace("e", ">")])
            else:
                container[key] = [old]
        else:
            container[key] = {"class_name": rng.choice(["Dense", "Adam", "Sequential", "x"]), "config": container[key]}
        if len(places) > 4000:
            break
    return json.dumps(value).encode()


def raw(data: bytes, rng: random.Random) -> bytes:
    """Bits turned, numbers written over, pieces cut, repeated or moved."""
    new = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        if not new:
            return bytes(rng.randrange(256) for _ in range(8))
        at, what = rng.randrange(len(new)), rng.randrange(7)
        if what <= 1:
            new[at] ^= 1 << rng.randrange(8)
        elif what == 2:
            new[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif what == 3:
            number = rng.choice([0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, len(new), at])
            packed = struct.pack("<q", number)[: rng.choice([2, 4, 8])]
            new[at : at + len(packed)] = packed
        elif what == 4:
            del new[at : at + rng.randint(1, 64)]
        elif what == 5:
            piece = new[at : at + rng.randint(1, 64)]
            place = rng.randrange(len(new))
            new[place : place + len(piece)] = piece
        else:
            return bytes(new[:at])
    return bytes(new)


def text(data: bytes, rng: random.Random) -> bytes:
    """JSON as JSON most of the time, else its bytes."""
    if rng.random() < 0.85:
        try:
            return json_text(data, rng)
        except (ValueError, RecursionError):
            pass
    return raw(data, rng)


def archive(data: bytes, rng: random.Random) -> bytes:
    """One entry of a zip changed, renamed, removed or repeated, checksums made new; or the bytes of the zip itself."""
    if rng.random() < 0.25:
        return raw(data, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            if sum(info.file_size for info in old.infolist()) > 2**20:
                return raw(data, rng)
            entries = [(info.filename, old.read(info)) for info in old.infolist()]
    except Exception:
        return raw(data, rng)
    if not entries:
        return raw(data, rng)
    at = rng.randrange(len(entries))
    if rng.random() < 0.6:  # the descriptions are where most can go wrong
        at = next((i for i, (name, _) in enumerate(entries) if name in ("lanewise.json", "config.json")), at)
    name, content = entries[at]
    what = rng.random()
    if what < 0.9:
        entries[at] = (name, (text if name.endswith((".json", ".txt")) else raw)(content, rng))
    elif what < 0.93:
        del entries[at]
    elif what < 0.96:
        entries.append((rng.choice([name, "../x", "assets/layers/dense/vocabulary.txt"]), content))
    else:
        entries[at] = (entries[rng.randrange(len(entries))][0], content)
    out = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_STORED] * 5 + [zipfile.ZIP_DEFLATED])) as new,
    ):
        warnings.simplefilter("ignore")  # two entries of one name
        for name, content in entries:
            new.writestr(zipfile.ZipInfo(name or "x"), content)
    return out.getvalue()
