"""The table that `model.summary()` prints."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Model

_BOX = ("┏━┳┓", "┃", "┡━╇┩", "│", "├─┼┤", "└─┴┘")
_ASCII = ("+-++", "|", "+=++", "|", "+-++", "+-++")


def print_summary(
    model: Model, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None,
    show_trainable: bool = False,
) -> None:  # fmt: skip
    """Layers, output shapes and parameters as a table, then the totals; through `print_fn` line by line if given."""
    rows = [_row(layer, show_trainable) for layer in model.layers]
    heads = ["Layer (type)", "Output Shape", "Param #"] + (["Trainable"] if show_trainable else [])
    total = sum(w.size for w in model.weights)
    trained = sum(w.size for w in model.trainable_weights)
    lines = [
        f'Model: "{model.name}"',
        *_table(heads, rows, line_length or 80, _BOX if print_fn is not None or _shows_boxes() else _ASCII),
        f" Total params: {_amount(total)}",
        f" Trainable params: {_amount(trained)}",
        f" Non-trainable params: {_amount(total - trained)}",
    ]
    slots = model.optimizer_parameters()
    if slots:
        lines.append(f" Optimizer params: {_amount(slots)}")
    for line in lines:
        (print if print_fn is None else print_fn)(line)


def _row(layer: Any, show_trainable: bool) -> list[str]:
    shape = "(" + ", ".join(map(str, layer.output_shape)) + ")" if layer.built else "?"
    count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    cells = [f"{layer.name} ({type(layer).__name__})", shape, count]
    return cells + (["-" if not layer.weights else "Y" if layer.trainable else "N"] if show_trainable else [])


def _table(heads: list[str], rows: list[list[str]], length: int, box: tuple[str, ...]) -> list[str]:
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    spare = max(0, length - sum(widths) - 3 * len(widths) - 1)
    for i in range(len(widths)):
        widths[i] += spare // len(widths)
    top, head_bar, under_head, bar, between, bottom = box

    def rule(chars: str) -> str:
        return chars[0] + chars[2].join(chars[1] * (width + 2) for width in widths) + chars[3]

    def cells(row: list[str], bar: str) -> str:
        pairs = zip(row, widths, strict=True)
        texts = [text.rjust(w) if i == 2 else text.ljust(w) for i, (text, w) in enumerate(pairs)]
        return f"{bar} " + f" {bar} ".join(texts) + f" {bar}"

    lines = [rule(top), cells(heads, head_bar), rule(under_head)]
    for i, row in enumerate(rows):
        lines += [rule(between)] * (i > 0) + [cells(row, bar)]
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
