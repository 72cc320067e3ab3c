"""The table that `model.summary()` prints."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Model

_BOX = ("┏━┳┓", "┃", "┡━╇┩", "│", "├─┼┤", "└─┴┘")
_ASCII = ("+-++", "|", "+=++", "|", "+-++", "+-++")
_SHARES = {4: (0.3, 0.26, 0.18, 0.26), 5: (0.27, 0.234, 0.162, 0.234, 0.1)}  # of a line, for tables with connections

Cell = list[str]
"""The parts of a cell, which stand on one line if there is room."""


def print_summary(
    model: Model, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None,
    show_trainable: bool = False, expand_nested: bool = False, layer_range: Any = None,
) -> None:  # fmt: skip
    """Layers, output shapes and parameters as a table, then the totals; through `print_fn` line by line if given.

    Where layers do not simply follow one another, a column says what each is connected to: layer[call][output].
    """
    from .functional import Functional
    from .model import Model as Base

    graph = getattr(model, "graph", None)
    own = type(model).call not in (Base.call, Functional.call)  # of a class with a call, its layers alone
    connected = graph is not None and not own and not _is_chain(model)
    heads = ["Layer (type)", "Output Shape", "Param #"]
    heads += (["Connected to"] if connected else []) + (["Trainable"] if show_trainable else [])
    rows = []
    for layer in _in_range(model.layers if own else model.operations, layer_range):
        rows += _rows(layer, model if connected else None, connected, show_trainable, expand_nested, 0)
    total = sum(w.size for w in model.weights)
    slots = model.optimizer_parameters()
    trained = sum(w.size for w in model.trainable_weights)
    box = _BOX if print_fn is not None or _shows_boxes() else _ASCII
    room = 80 if print_fn is not None else min(80, shutil.get_terminal_size().columns)
    lines = [
        f'Model: "{model.name}"',
        *_table(heads, rows, line_length or room, box),
        f" Total params: {_amount(total + slots)}",
        f" Trainable params: {_amount(trained)}",
        f" Non-trainable params: {_amount(total - trained)}",
    ]
    if slots:
        lines.append(f" Optimizer params: {_amount(slots)}")
    for line in lines:
        (print if print_fn is None else print_fn)(line)


def _is_chain(model: Any) -> bool:
    calls = model.graph.calls
    return (
        len(model.inputs) == len(model.outputs) == 1
        and len(calls) == len(model.operations)
        and all(len(call.node.inputs) <= 1 for call in calls)
        and len({tensor.key for call in calls for tensor in call.node.inputs}) == len(calls) - 1
    )


def _in_range(layers: list[Any], given: Any) -> list[Any]:
    """From the first layer whose name fits given[0] to the last that fits given[1]: names or regular expressions."""
    if given is None:
        return layers
    if not isinstance(given, list | tuple) or len(given) != 2 or not all(isinstance(name, str) for name in given):
        raise ValueError(f"layer_range: expected two names of layers, received {given!r}")
    found = [[i for i, layer in enumerate(layers) if re.match(name, layer.name)] for name in given]
    for name, places in zip(given, found, strict=True):
        if not places:
            raise ValueError(f"layer_range: no layer is called {name!r}. Layers: {[layer.name for layer in layers]}")
    low, high = sorted((found[0][0], found[1][-1]))
    return layers[low : high + 1]


def _rows(
    layer: Any, model: Any, connected: bool, show_trainable: bool, expand_nested: bool, level: int
) -> list[list[Cell]]:
    """The row of a layer, with expand_nested those of the layers in it too."""
    prefix = "   " * level + "└ " if level else ""
    count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    row = [[f"{prefix}{layer.name}", f"({type(layer).__name__})"], [_shape(layer)], [count]]
    if connected:
        row.append(_connections(layer, model) if model is not None else ["-"])
    if show_trainable:
        row.append(["-" if not layer.weights else "Y" if layer.trainable else "N"])
    rows = [row]
    for inner in getattr(layer, "operations", ()) if expand_nested else ():
        rows += _rows(inner, None, connected, show_trainable, expand_nested, level + 1)
    return rows


def _shape(layer: Any) -> str:
    if not layer.built:
        return "?"

    def shown(shape: Any) -> str:
        if isinstance(shape, dict):
            return "{" + ", ".join(f"{key}: {shown(value)}" for key, value in shape.items()) + "}"
        if isinstance(shape, list) or (isinstance(shape, tuple) and any(isinstance(axis, tuple) for axis in shape)):
            return "[" + ", ".join(map(shown, shape)) + "]"
        return "(" + ", ".join(map(str, shape)) + ")"

    return shown(layer.output_shape)


def _connections(layer: Any, model: Any) -> Cell:
    """`name[call][output]` of everything that the layer is called on in the model."""
    names = [
        "{}[{}][{}]".format(tensor._keras_history.operation.name, *tensor._keras_history[1:])
        for call in model.graph.calls
        if call.operation is layer
        for tensor in call.node.inputs
    ]
    return [f"{name}," for name in names[:-1]] + names[-1:] or ["-"]


def _wrapped(cell: Cell, width: int) -> list[str]:
    joined = " ".join(cell)
    return [joined] if len(joined) <= width else list(cell)


def _table(heads: Sequence[str], rows: Sequence[list[Cell]], length: int, box: tuple[str, ...]) -> list[str]:
    columns = len(heads)
    shares = _SHARES.get(columns) if "Connected to" in heads else None
    room = [int(share * length) - 3 for share in shares] if shares else [length] * columns
    cells = [[_wrapped(cell, width) for cell, width in zip(row, room, strict=True)] for row in rows]
    widths = [max(len(line) for row in [[[h] for h in heads], *cells] for line in row[i]) for i in range(columns)]
    spare = max(0, length - sum(widths) - 3 * columns - 1)
    for i in range(columns):
        widths[i] += spare // columns
    top, head_bar, under_head, bar, between, bottom = box

    def rule(chars: str) -> str:
        return chars[0] + chars[2].join(chars[1] * (width + 2) for width in widths) + chars[3]

    def line(texts: Sequence[str], bar: str) -> str:
        placed = [t.rjust(w) if i == 2 else t.ljust(w) for i, (t, w) in enumerate(zip(texts, widths, strict=True))]
        return f"{bar} " + f" {bar} ".join(placed) + f" {bar}"

    lines = [rule(top), line(heads, head_bar), rule(under_head)]
    for i, row in enumerate(cells):
        lines += [rule(between)] * (i > 0)
        height = max(map(len, row))
        lines += [line([cell[j] if j < len(cell) else "" for cell in row], bar) for j in range(height)]
    return [*lines, rule(bottom)]


def _amount(parameters: int) -> str:
    size = 4.0 * parameters
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{parameters:,} ({size:.2f} {unit})"
        size /= 1024
    return f"{parameters:,} ({size:.2f} GB)"


def _shows_boxes() -> bool:
    try:
        "".join(_BOX).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
