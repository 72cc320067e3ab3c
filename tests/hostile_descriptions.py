"""Hostile descriptions of layers and metrics, which files of several formats hold."""

from __future__ import annotations

import json
from typing import Any

from hostile_structures import Files

MODULE = "hostile_trap"  # stands on the path of the loading process; its import would be seen
SEVERAL: dict[str, Any] = {
    "units NaN": ("units", float("nan")),
    "units infinite": ("units", float("inf")),
    "units 10^12": ("units", 10**12),
    "units 2^63": ("units", 2**63),
    "units -1": ("units", -1),
    "units text": ("units", "2"),
    "units list": ("units", [2]),
    "units true": ("units", True),
    "units null": ("units", None),
    "units absurd": ("units", 10**300),
    "activation of a module": ("activation", f"{MODULE}.f"),
    "activation dunder": ("activation", "__import__"),
    "activation eval": ("activation", "eval"),
    "activation object": ("activation", {"class_name": "function", "config": "exec"}),
    "lambda": ("activation", {"class_name": "__lambda__", "config": {"value": "4wEAAAAB"}}),
    "initializer of a module": ("kernel_initializer", {"module": MODULE, "class_name": "X", "config": {}}),
    "regularizer": ("kernel_regularizer", {"class_name": "os.system", "config": "true"}),
    "name": ("name", "../../x"),
    "name long": ("name", "n" * 100_000),
    "name number": ("name", 3),
    "unknown argument": ("code", "import os"),
}
CLASSES = [
    "os.system",
    "builtins.eval",
    "__class__",
    "Lambda",
    "TFSMLayer",
    f"{MODULE}",
    f"{MODULE}.X",
    "object",
    "Layer",
    "Model",
    "subprocess.Popen",
    "",
    "Dense\0",
    "numpy.load",
    "pickle.loads",
]


def descriptions(layers: Any, put: Any) -> Files:
    """Models of these descriptions of layers, changed; `put(layers, more)` makes the file."""
    files = {}
    at = next(i for i, layer in enumerate(layers) if layer["class_name"] == "Dense")

    def changed(**what: Any) -> list[Any]:
        new = json.loads(json.dumps(layers))
        new[at].update(what)
        return new

    for name, (key, value) in SEVERAL.items():
        files[name] = put(changed(config={**layers[at]["config"], key: value}))
    for name in CLASSES:
        files[f"class {name!r}"] = put(changed(class_name=name))
        files[f"module {name!r}"] = put(changed(module=name, class_name=name, registered_name=f"{name}>{name}"))
    many = [{"class_name": "Flatten", "config": {"name": f"{i}"}} for i in range(30_000)]
    nested: Any = {"class_name": "Dense", "config": {"units": 1}}
    for i in range(300):
        nested = {"class_name": "Sequential", "config": {"name": f"s{i}", "layers": [nested]}}
    inner = {"name": "i", "layers": [{"class_name": "Flatten", "config": {}}] * 30}
    return {
        **files,
        "30,000 layers": put(many),
        "10^6 layers": put([0] * 1_000_000),
        "300 models in models": put([*layers, nested]),
        "27,000 layers in 900 models": put(
            [{"class_name": "Sequential", "config": {**inner, "name": f"m{i}"}} for i in range(900)]
        ),
        "layers object": put({}),
        "layers text": put("x"),
        "layers null": put(None),
        "a layer that is a number": put([3]),
        "unknown words by number": put(
            [*layers, {"class_name": "IntegerLookup", "config": {"vocabulary": [1], "num_oov_indices": 10**12}}]
        ),
        "embedding of 10^12": put([{"class_name": "Embedding", "config": {"input_dim": 10**12, "output_dim": 10**6}}]),
        "vocabulary of a file": put([{"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}]),
        "repeated 10^15": put([{"class_name": "RepeatVector", "config": {"n": 10**15}}, layers[at]]),
        "reshaped to 2^62": put([{"class_name": "Reshape", "config": {"target_shape": [2**62, 4]}}, layers[at]]),
        "norms of 10^9": put(
            [
                {"class_name": "RepeatVector", "config": {"n": 10**9}},
                {"class_name": "BatchNormalization", "config": {"axis": 1}},
            ]
        ),
    }


METRICS = {
    "thresholds": {"class_name": "AUC", "config": {"num_thresholds": 10**10}},
    "classes": {"class_name": "MeanIoU", "config": {"num_classes": 10**12}},
    "recall": {"class_name": "PrecisionAtRecall", "config": {"recall": 0.5, "num_thresholds": 10**9}},
    "metric of a module": {"module": MODULE, "class_name": "X", "config": {}},
    "metric function": {"class_name": "function", "config": "os.system"},
}
