"""Graphs of a few hundred bytes that would take minutes or gigabytes, or write where others have their memory."""

from __future__ import annotations

import json
from typing import Any

_SLOT = {"class_name": "__slot__", "config": 0}
_DOTS = {"class_name": "__ellipsis__", "config": {}}
_ALL = {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": None}}


def _integers(value: Any) -> dict[str, Any]:
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": "int64"}}


def tensor(name: str) -> dict[str, Any]:
    """What a layer of this name gives."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0], "shape": None}}


def source(*shape: int, name: str = "i") -> dict[str, Any]:
    """An input."""
    config = {"batch_shape": [None, *shape], "name": name}
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}


def called(kind: str, name: str, on: str | list[str], **config: Any) -> dict[str, Any]:
    """A layer, called on what these give."""
    args = [tensor(on) if isinstance(on, str) else [tensor(other) for other in on]]
    nodes = [{"args": args, "kwargs": {}}]
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def function(name: str, *args: Any, on: str = "i", called_as: str = "f") -> dict[str, Any]:
    """A function of `keras.ops`; a tensor among its arguments is the slot."""
    return called("Function", called_as, [on], function=name, args=list(args), kwargs={})


def model(*layers: dict[str, Any], outputs: list[str] | None = None) -> dict[str, Any]:
    """The description of a functional model; without more the last layer gives what comes out."""
    names = outputs or [layers[-1]["name"]]
    begins = [layer["name"] for layer in layers if layer["class_name"] == "InputLayer"]
    config = {"name": "m", "trainable": True, "layers": list(layers), "input_layers": [[n, 0, 0] for n in begins],
              "output_layers": [[n, 0, 0] for n in names]}  # fmt: skip
    return {"class_name": "Functional", "config": config}


def _doubled(times: int) -> list[dict[str, Any]]:
    return [called("Concatenate", f"l{k}", [f"l{k - 1}" if k else "i"] * 2, axis=1) for k in range(times)]


def _chain(count: int, shape: tuple[int, ...], name: str, *args: Any) -> dict[str, Any]:
    links = [function(name, *args, on=f"f{k - 1}" if k else "i", called_as=f"f{k}") for k in range(count)]
    return model(source(*shape), *links)


def _operation(kind: str, nodes: list[dict[str, Any]], **config: Any) -> dict[str, Any]:
    """An operation as Keras describes it."""
    described = {"module": "keras.src.ops.numpy", "class_name": kind, "config": {"name": "f", **config}}
    return {**described, "name": "f", "inbound_nodes": nodes}


def _of_many_shapes(name: str, *args: Any) -> dict[str, Any]:
    """One function, called on 150 inputs."""
    inputs = [source(2, k + 1, name=f"i{k}") for k in range(150)]
    layer = function(name, *args)
    layer["inbound_nodes"] = [{"args": [[tensor(f"i{k}")]], "kwargs": {}} for k in range(150)]
    whole = model(*inputs, layer)
    whole["config"]["output_layers"] = [["f", k, 0] for k in range(150)]
    return whole


def _chain_of_calls(name: str, count: int, *args: Any) -> dict[str, Any]:
    """One function, called on what it gave before."""
    layer = function(name, *args)
    where = [tensor("i"), *({**tensor("f"), "config": {"keras_history": ["f", k, 0]}} for k in range(count - 1))]
    layer["inbound_nodes"] = [{"args": [[on]], "kwargs": {}} for on in where]
    whole = model(source(1), layer)
    whole["config"]["output_layers"] = [["f", count - 1, 0]]
    return whole


def _reversed_calls(count: int) -> dict[str, Any]:
    links = [called("Concatenate", f"l{k}", ["i"] * 30 + [f"l{k - 1}" if k else "i"]) for k in range(count)]
    return model(source(1), *links[::-1], outputs=[links[-1]["name"]])


def _apart(count: int) -> dict[str, Any]:
    inputs = [source(1, name=f"i{k}") for k in range(count)]
    links = [called("Identity", f"l{k}", f"i{k}") for k in range(count)]
    return model(*inputs, *links, outputs=[layer["name"] for layer in links])


def _outputs_of_a_model(count: int) -> dict[str, Any]:
    """All outputs of a model in it, each of them asked for by its number."""
    inner = model(source(1), called("Identity", "l", "i"), outputs=["l"] * count)["config"]
    nested = called("Functional", "n", "i")
    joined = called("Concatenate", "c", ["n"] * count)
    for number, one in enumerate(joined["inbound_nodes"][0]["args"][0]):
        one["config"]["keras_history"][2] = number
    return model(source(1), {**nested, "config": {**inner, "name": "n"}}, joined)


def _sums(count: int) -> dict[str, Any]:
    """l(k) = l(k-1) + 1, as Keras writes it."""
    links = [called("Add", f"l{k}", f"l{k - 1}" if k else "i") for k in range(count)]
    for link in links:
        link["inbound_nodes"][0]["args"].append(1.0)
        link["module"] = "keras.src.ops.numpy"
    return model(source(64, 64, 64), *links)


def _two(name: str, *args: Any, i: tuple[int, ...], j: tuple[int, ...]) -> dict[str, Any]:
    """A function of two inputs, which slots 0 and 1 stand for."""
    call = called("Function", "f", ["i", "j"], function=name, args=list(args), kwargs={})
    return model(source(*i), source(*j, name="j"), call)


def _called_again() -> dict[str, Any]:
    """A sum of two numbers, then of a column and a row."""
    graph = _two("add", _SLOT, _OTHER, i=(1, 1), j=(1, 1))
    layers = graph["config"]["layers"]
    layers[1:1] = [source(12_000, 1, name="k"), source(1, 12_000, name="l")]
    layers[-1]["inbound_nodes"].append({"args": [[tensor("k"), tensor("l")]], "kwargs": {}})
    return model(*layers, outputs=["f"])


def _one_slot_of_three(count: int) -> dict[str, Any]:
    """Joined thrice, with two inputs that no argument stands for: what is twice as long says that it is thrice."""
    links = [
        called("Function", f"f{k}", ["i", *[f"f{k - 1}" if k else "i"] * 2], function="concatenate", kwargs={},
               args=[[_OTHER] * 3, 1])
        for k in range(count)
    ]  # fmt: skip
    return model(source(1), *links)


_OTHER = {"class_name": "__slot__", "config": 1}
_LONG = 2**31
GRAPHS: dict[str, dict[str, Any]] = {
    "sizes whose sum wraps": model(
        source(1), called("RepeatVector", "a", "i", n=_LONG), called("Flatten", "f", "a"),
        called("RepeatVector", "b", "f", n=_LONG), called("RepeatVector", "c", "f", n=_LONG),
        called("Maximum", "s", ["b", "c"]), called("GlobalAveragePooling1D", "g", "s"),
        called("Reshape", "r", "g", target_shape=[_LONG, 1]), called("GlobalAveragePooling1D", "h", "r"),
    ),
    "doubled 62 times": model(source(1, 1), *_doubled(62), called("GlobalAveragePooling1D", "g", "l61")),
    "places along an axis": model(
        source(5, 6000), function("take_along_axis", _SLOT, _integers([[[0]] * 6000]), 1)
    ),
    "labels of another shape": model(
        source(6000, name="i"), source(1, 6000, name="j"),
        called("Function", "f", ["i", "j"], function="sparse_categorical_crossentropy", kwargs={},
               args=[_SLOT, {"class_name": "__slot__", "config": 1}]),
    ),
    "a place that is true": model(source(1, 8000), function("get_item", _SLOT, [_ALL, True, [0] * 8000])),
    "a mask as a place": model(
        source(2, 1, 8000), function("get_item", _SLOT, [_ALL, [True, False], [0] * 8000])
    ),
    "parts that take the rows": model(source(30_000), function("split", _SLOT, 3, 1)),
    "a long word among arrays": model(source(12, 12, 12), function("where", _SLOT, _SLOT, "a" * 30_000)),
    "roll of 16 axes": model(source(*[2] * 16), function("roll", _SLOT, [1] * 16, list(range(1, 17)))),
    "rows in rows": model(source(12), function("where", [_SLOT] * 150, [[_SLOT]] * 150, [[[_SLOT]]] * 150)),
    "einsum of 500^5": model(source(500), function("einsum", "ab,ac,ad,ae->a", *[_SLOT] * 4)),
    "repeat by an array": model(source(2), function("repeat", _SLOT, _integers([30_000_000]), 1)),
    "tile by an array": model(source(2), function("tile", _SLOT, _integers([1, 30_000_000]))),
    "places that broadcast": model(
        source(1, 1, 1, 1),
        function("get_item", _SLOT, [_ALL, [[[[0]]]] * 100, [[[[0]]] * 100], [[[[0]] * 100]], [[[[0] * 100]]]]),
    ),
    **{
        f"{name} to {dtype}": model(source(1), function(name, _SLOT, dtype))
        for name in ("cast", "zeros_like", "convert_to_tensor")
        for dtype in ("(30000000,)f4", "S400000000", "U9", "complex64", "O")
    },
    "a class of 50,000 letters": model(source(1), called("a" * 50_000, "l", "i")),
    "one hot of 300 MB": model(source(1), function("one_hot", _SLOT, 1, -1, "V300000000")),
    "a function that is called again": _called_again(),
    "joined with other inputs": _one_slot_of_three(40),
    "einsum by lists": model(source(200), function("einsum", *[x for k in (1, 2, 3, 4) for x in (_SLOT, [0, k])], [0])),
    "einsum of 250^5": model(source(250), function("einsum", "ab,ac,ad,ae->a", *[_SLOT] * 4)),
    "einsum whose rows cancel out": _two("einsum", "ab,cd,d->a", _SLOT, _OTHER, [1.2, -1.0], i=(3,), j=(2,)),
    "a product that is summed away": _two(
        "categorical_crossentropy", _SLOT, _OTHER, False, 1, i=(1, 15_000), j=(15_000, 1)
    ),
    "tile by a list of lists": model(source(2**28), function("tile", _SLOT, [[1, 2]])),
    "singular values of a million": model(source(2**20, 2**20), function("normalize", _SLOT, [1, 2])),
    "32,000 letters": model(source(1), function("einsum", "".join(map(chr, range(0x4E00, 0x9E00))), _SLOT)),
    "20,000 operands": model(source(1), function("einsum", ",".join(["ab"] * 20_000) + "->a", *[_SLOT] * 20_000)),
    "a product of 4096^3": model(source(4096, 4096), function("matmul", _SLOT, _SLOT)),
    "rows behind a mask": model(
        source(2, 3),
        function("get_item", _SLOT, [{"class_name": "__ellipsis__", "config": {}},
                                     {"class_name": "__slice__", "config": {"start": None, "stop": 5, "step": None}},
                                     [[True, False, True], [True, True, False]]]),
    ),
    "tile by 100,000 numbers": model(source(3), function("tile", _SLOT, [99] * 100_000)),
    "tile by long numbers": model(source(3), function("tile", _SLOT, [10**4000] * 100)),
    "a type that is a dict": model(source(3), function("cast", _SLOT, {"names": ["a"], "formats": ["(,)f4"]})),
    "40 axes": model(source(*[1] * 40), function("exp", _SLOT)),
    "numbers along 40 axes": model(source(3), function("add", _SLOT, json.loads("[" * 40 + "0" + "]" * 40))),
    "joined in no axis": model(source(1), function("concatenate", [_SLOT], None)),
    "elements of no axis": model(source(3), function("take", _SLOT, [], 1)),
    "a slope of 10^400": model(source(3), function("elu", _SLOT, 10**400)),
    **{
        f"a loss of n rows by n, {name} {i}": _two(name, _SLOT, _OTHER, True, 1, i=i, j=j)
        for name in ("categorical_crossentropy", "sparse_categorical_crossentropy")
        for i, j in (((1, 3), (3,)), ((1,), (1, 3)), ((1,), (1, 1, 3)))
        if len(i) < len(j) or not name.startswith("sparse")
    },
    "2^36 classes": _two("sparse_categorical_crossentropy", _SLOT, _OTHER, i=(1,), j=(2**36,)),
    "2^27 classes beside a long input": _two("one_hot", _SLOT, 2**27, i=(1,), j=(2**33,)),
    "1e9 classes": model(source(1), function("one_hot", _SLOT, 1e9)),
    "places beside a long axis": model(source(2**36, 2), function("take_along_axis", _SLOT, _integers([[[0]]]), 2)),
    "a dict of tensors": model(
        source(1), function("stack", {"s": _SLOT, "a" * 300_000: 0, **{f"b{k}": 0 for k in range(999)}})
    ),
    "a million parts": model(source(10**6), function("split", _SLOT, 10**6, 1)),
    "a norm of singular values": model(source(2896, 2896), function("norm", _SLOT, 2, [1, 2])),
    "rows of a shape": model(source(3), function("broadcast_to", _SLOT, [0, 3])),
    "a dict as a number": model(source(3), function("less", _SLOT, {"a": 1})),
    "no shape": model(source(3), function("reshape", _SLOT, [])),
    "axes in axes": model(source(3), function("sum", _SLOT, [[1]])),
    "an infinite slot": model(source(3), function("exp", {"class_name": "__slot__", "config": float("inf")})),
    "repeats beyond 64 bits": model(source(3), function("repeat", _SLOT, 6148914691236517206, 1)),
    "repeats whose sum is beyond 64 bits": model(source(5), function("repeat", _SLOT, [*[2**62] * 4, 5], 1)),
    "a long word among places": model(source(3), function("get_item", _SLOT, [_ALL, ["a" * 50_000, *"b" * 12_000]])),
    "a long word among numbers": model(
        source(3), function("pad", _SLOT, 1, "constant", [["a" * 50_000, *"b" * 12_000]])
    ),
    "singular values of many matrices": model(source(2**22, 2, 2), function("norm", _SLOT, 2, [2, 3])),
    "calls of an operation without tensors": model(source(3), _operation("Add", [{}] * 5000, x1=[1] * 90_000, x2=1)),
    "20,000 tensors for 150 shapes": _of_many_shapes("concatenate", [_SLOT] * 20_000, 1),
    "1,900 tensors for 150 shapes": _of_many_shapes("concatenate", [_SLOT] * 1900, 1),
    "unsigned places for 150 shapes": _of_many_shapes("take", _SLOT, [2**64 - 1] * 20_000, 1),
    "4,900 pads": _chain_of_calls("pad", 4900, _SLOT, [[0, 0], [0, 1]]),
    "a flag that is a slice": _two("categorical_crossentropy", _SLOT, _OTHER, _ALL, i=(3,), j=(3,)),
}  # fmt: skip
"""Refused."""

FINE: dict[str, dict[str, Any]] = {
    "20 large flips": model(
        source(1),
        function("repeat", _SLOT, 2**23, 1, called_as="f"),
        *[function("flip", _SLOT, 1, on=f"f{k}" if k else "f", called_as=f"f{k + 1}") for k in range(20)],
    ),
    "einsum of numbers": model(
        source(12), function("einsum", ",,,,,,,ab,ac,ad,ae,af,ag,ah->a", *[1.0] * 7, *[_SLOT] * 7)
    ),
    "places along 22 axes": model(source(*[2] * 22), function("take_along_axis", _SLOT, _SLOT, 1)),
    "100 sorts": _chain(100, (250_000,), "sort", _SLOT),
    "900 times erf": _chain(900, (8000,), "erf", _SLOT),
    "erf of 17 axes": model(
        source(2**17),
        function("reshape", _SLOT, [-1] + [2] * 17, called_as="r"),
        *[function("erf", _SLOT, on="r", called_as=f"f{k}") for k in range(10)],
        outputs=[f"f{k}" for k in range(10)],
    ),
    "einsum of ones": model(
        source(160), function("einsum", "bi,bj,bk,i,j,k->bijk", *[_SLOT] * 3, *[_integers([1])] * 3)
    ),
    "100 products": _chain(100, (700, 700), "matmul", _SLOT, _SLOT),
    "median of 8,000,000": model(source(800_000, 10), function("median", _SLOT, [1])),
    "200 times take": _chain(200, (500_000,), "take", _SLOT, [0, 0], 1),
    "300 calls in reverse": _reversed_calls(300),
    "6,000 outputs": model(source(1), called("Identity", "l", "i"), outputs=["l"] * 6000),
    "400 inputs": _apart(400),
    "2,000 outputs of a model": _outputs_of_a_model(2000),
    "200 sums": _sums(200),
    "2,000 calls of an operation": model(
        source(25_000), _operation("Add", [{"args": [tensor("i")]}] * 2000, x2=[1] * 25_000)
    ),
    "places for 150 shapes": _of_many_shapes("take", _SLOT, [[0]] * 12_000, 1),
    "places behind an ellipsis for 150 shapes": _of_many_shapes("get_item", _SLOT, [_DOTS, [[0]] * 12_000, _ALL]),
    "4,900 calls, each on what the one before gave": _chain_of_calls("exp", 4900, _SLOT),
    "labels of millions of classes for 300 shapes": model(
        *[source(2**22 - k, 1, name=f"i{k}") for k in range(300)],
        {
            **function("sparse_categorical_crossentropy", _integers([[0], [1], [2]]), _SLOT, False, 1),
            "inbound_nodes": [{"args": [[tensor(f"i{k}")]], "kwargs": {}} for k in range(300)],
        },
    ),
    "400 times millions of classes": model(
        source(),
        *[function("one_hot", _SLOT, 2**22, called_as=f"f{k}") for k in range(400)],
        outputs=[f"f{k}" for k in range(400)],
    ),
}
"""In order: they may load, as quickly as the others."""


def texts() -> dict[str, bytes]:
    """As `to_json` writes them."""
    return {f"graph {name}": json.dumps(graph).encode() for name, graph in (GRAPHS | FINE).items()}


def manifests(whole: dict[str, Any]) -> dict[str, bytes]:
    """As they stand in `*.lanewise`: the manifest of another model, changed."""
    changed = {"kind": "model", "compile": None, "weights": [], "optimizer": [], "arrays": {}}
    return {
        f"graph {name}": json.dumps({**whole, **changed, "model": graph["config"]}).encode()
        for name, graph in (GRAPHS | FINE).items()
    }
