"""Estimators of tables in one file; docs/format.md describes it."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from .._arrays import is_type_name
from ..initializers.base import zeros_only
from ..models import Functional
from ..saving.archive import Archive, FormatError, describe, write as write_archive
from ..saving.files import open_regular
from ..saving.shapes import SLACK, check_description, check_size
from .columns import Table

VERSION = 1
_MAX_LABELS = 2**24  # bytes of all of them
_KEYS = {"format", "version", "made_by", "kind", "class", "params", "table", "scaling", "classes", "flat", "model",
         "members", "arrays"}  # fmt: skip


def write(estimator: Any, filepath: Any) -> None:
    """Write a fitted estimator in the place of `filepath`."""
    from .. import __version__

    if not os.fspath(filepath).lower().endswith(".lanewise"):
        raise ValueError(f"filepath: tables go into a '*.lanewise' file, received {os.fspath(filepath)!r}")
    members = [model.get_weights() for model in estimator.members_]
    arrays = {f"members/{i}/{j}.npy": w for i, weights in enumerate(members) for j, w in enumerate(weights)}
    if hasattr(estimator, "_scores"):
        arrays["scores.npy"] = estimator._scores
    classes = getattr(estimator, "classes_", None)
    if classes is not None:
        odd = next((label for label in classes.tolist() if not isinstance(label, int | float | str)), None)
        if odd is not None or classes.dtype.kind in "Mm":
            kind = classes.dtype if odd is None else type(odd).__name__
            raise TypeError(f"save: labels of type {kind} cannot be written to a file; use texts or integers")
        classes = {"dtype": "object" if classes.dtype.kind in "OT" else classes.dtype.str, "values": classes.tolist()}
    params = {k: list(v) if isinstance(v, tuple) else v for k, v in estimator.get_params().items()}
    for name, value in params.items():
        if not isinstance(value, int | float | str | list | dict | None):
            raise TypeError(f"save: {name}={value!r} cannot be written to a file; expected plain values")
    manifest = {
        "format": "lanewise", "version": VERSION, "made_by": __version__, "kind": "tabular",
        "class": type(estimator).__name__, "params": params, "table": estimator.table_.to_json(),
        "scaling": estimator._scaling, "classes": classes, "flat": getattr(estimator, "_flat", True),
        "model": estimator.members_[0].get_config(), "members": len(members),
        "arrays": {name: describe(array) for name, array in arrays.items()},
    }  # fmt: skip
    write_archive(os.fspath(filepath), manifest, arrays)


def read(cls: Any, filepath: Any) -> Any:
    """The estimator of this class in a file; every size is checked before it is used.

    Raises:
        ValueError: whatever is wrong with the file; the message names it.
    """
    path = os.fspath(filepath)
    with open_regular(path) as file:
        try:
            return opened(Archive(file), cls)
        except Exception as error:
            what = str(error) if isinstance(error, FormatError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"filepath: {path!r} is no intact file of a {cls.__name__}: {what[:500]}") from None


def opened(archive: Archive, expected: Any = None) -> Any:
    """The estimator in an archive, of any class or of the expected one. Raises whatever is wrong with it."""
    from .estimators import TabularClassifier, TabularRegressor

    manifest = archive.manifest
    if manifest.get("format") != "lanewise" or manifest.get("kind") != "tabular":
        raise FormatError(f"it holds {manifest.get('kind')!r}, no table's estimator; load_model reads models")
    if manifest.get("version") != VERSION or set(manifest) != _KEYS:
        raise FormatError(f"unknown version {manifest.get('version')!r} or content")
    cls: Any = {kind.__name__: kind for kind in (TabularRegressor, TabularClassifier)}.get(manifest["class"], expected)
    if cls is None or manifest["class"] != (expected or cls).__name__:
        raise FormatError(f"it holds a {manifest['class']}")
    plan = archive.plan(manifest["arrays"])
    count, config = manifest["members"], manifest["model"]
    if type(count) is not int or not 1 <= count <= len(plan):
        raise FormatError(f"members: {count!r} networks of {len(plan)} arrays")
    estimator = cls(**{k: tuple(v) if k == "units" else v for k, v in manifest["params"].items()})
    estimator._check()
    estimator.table_ = Table.from_json(manifest["table"])
    check_description(config)
    check_size(*[config] * count)
    with zeros_only(sum(math.prod(shape) for _, _, shape in plan) + SLACK):
        models = [Functional.from_config(config) for _ in range(count)]
    width = len(models[0].weights)
    names = [f"members/{i}/{j}.npy" for i in range(count) for j in range(width)]
    regression = manifest["classes"] is None
    if [name for name, _, _ in plan] != names + ["scores.npy"] * regression:
        raise FormatError("the arrays are not those that the networks ask for")
    shapes = [weight.shape for weight in models[0].weights]
    if [shape for _, _, shape in plan[: len(names)]] != shapes * count:
        raise FormatError("the weights do not have the shapes that the layers ask for")
    arrays = archive.read(plan)
    for i, model in enumerate(models):
        model.set_weights([arrays[f"members/{i}/{j}.npy"] for j in range(width)])
    outputs = models[0].output_shape[-1]
    estimator.members_, estimator._scaling = models, _scaling(manifest["scaling"], regression, outputs)
    if type(manifest["flat"]) is not bool or not isinstance(manifest["made_by"], str):
        raise FormatError("flat, made_by: expected a truth value and a text")
    if regression:
        estimator._scores, estimator._flat = arrays["scores.npy"], bool(manifest["flat"])
        if estimator._scores.ndim != 2 or estimator._scores.shape[1] != outputs:
            raise FormatError("scores have another shape")
    else:
        kind, values = manifest["classes"]["dtype"], manifest["classes"]["values"]
        if not is_type_name(kind):
            raise FormatError(f"classes: {str(kind)[:60]} is no type of labels")
        dtype = np.dtype(kind)
        if len(values) != outputs:
            raise FormatError("there are not as many classes as outputs")
        longest = max(len(str(value)) for value in values)
        if dtype.kind not in "biufUO" or dtype.itemsize > min(16 + 4 * longest, _MAX_LABELS // outputs):
            raise FormatError(f"classes: {dtype} is no type of labels")
        estimator.classes_ = np.array(values, dtype)
        if estimator.classes_.shape != (outputs,):
            raise FormatError("the classes are no labels")
    vars(estimator).update(estimator.table_.attributes())
    return estimator


def _scaling(given: Any, regression: bool, outputs: int) -> dict[str, Any]:
    """What brings outputs of the networks to the targets: finite numbers for each of them."""
    lists = {"mean", "deviation", "noise"}
    if not isinstance(given, dict) or set(given) != (lists | {"ends"} if regression else {"sharpness"}):
        raise FormatError("scaling: other entries")
    rows = [given[key] for key in sorted(lists)] + given["ends"] if regression else [[given["sharpness"]] * outputs]
    if len(rows) != (5 if regression else 1) or not all(
        isinstance(row, list) and len(row) == outputs and all(type(v) is float and math.isfinite(v) for v in row)
        for row in rows
    ):
        raise FormatError("scaling: no finite numbers for each target")
    return given
