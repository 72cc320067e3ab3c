"""A model as a picture: boxes and arrows, written as SVG text."""

from __future__ import annotations

import os
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

from ..layers.operation import KerasTensor
from .functional import Functional
from .summary import _shape

_LINE, _CHAR, _PAD, _GAP, _ROW_GAP = 18, 7.2, 12, 28, 44  # pixels


class Diagram:
    """The picture of a model; a notebook shows it.

    Attributes:
        svg: its text.
    """

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg


class _Box(NamedTuple):
    lines: list[str]
    width: float
    height: float


def plot_model(
    model: Any, to_file: Any = "model.svg", show_shapes: bool = False, show_dtype: bool = False,
    show_layer_names: bool = True, rankdir: str = "TB", expand_nested: bool = False, dpi: int = 200,
    show_layer_activations: bool = False, show_trainable: bool = False, **kwargs: Any,
) -> Diagram:  # fmt: skip
    """Draw a built model as SVG, without any other program.

    Args:
        model: a Sequential or functional model.
        to_file: name of the file, *.svg; None writes none.
        show_shapes: shapes of inputs and outputs in each box.
        show_dtype: the type of what goes in, in each box.
        show_layer_names: names beside classes.
        rankdir: 'TB' from top to bottom, 'LR' from left to right.
        expand_nested: list the layers of a model in its box.
        dpi: accepted; the picture has no pixels.
        show_layer_activations: activations in the boxes.
        show_trainable: 'trainable' or 'not trainable' in boxes with weights.
        **kwargs: `show_layer_info` and `show_layer_activations` of other versions are accepted.

    Returns:
        The picture, which a notebook shows.

    Raises:
        ValueError: a model that is not built, another suffix than '.svg', another rankdir.
        OSError: the file cannot be written.
    """
    if rankdir not in ("TB", "LR"):
        raise ValueError(f"rankdir: expected 'TB' or 'LR', received {rankdir!r}")
    if not getattr(model, "built", False):
        raise ValueError("model: it is not built; give the first layer input_shape=, or show it data first")
    path = None if to_file is None else check_svg(os.fspath(to_file))
    layers, depths, edges = _graph(model)

    def box(layer: Any) -> _Box:
        kind = type(layer).__name__
        lines = [f"{layer.name} ({kind})" if show_layer_names else kind]
        activation = getattr(layer, "activation", None)
        if show_layer_activations and activation is not None:
            lines.append(f"activation: {getattr(activation, '__name__', activation)}")
        if show_shapes:
            lines += [f"in {_shown(layer.input_shape)}", f"out {_shape(layer)}"]
        if show_dtype:
            lines.append(layer.input_dtype)
        if show_trainable and layer.weights:
            lines.append("trainable" if layer.trainable else "not trainable")
        if expand_nested:
            lines += [f"· {inner.name} ({type(inner).__name__})" for inner in getattr(layer, "operations", ())]
        return _Box(lines, max(map(len, lines)) * _CHAR + 2 * _PAD, len(lines) * _LINE + _PAD)

    svg = _svg([box(layer) for layer in layers], depths, edges, rankdir == "LR", str(model.name))
    if path is not None:
        from ..saving.files import replacing

        with replacing(path) as file:
            file.write(svg.encode())
    return Diagram(svg)


def check_svg(path: str) -> str:
    """The path of a picture. Raises ValueError for another suffix than '.svg'."""
    if not str(path).lower().endswith(".svg"):
        svg = os.path.splitext(path)[0] + ".svg"
        raise ValueError(
            f"to_file: diagrams are SVG, which every browser shows: expected *.svg, such as {svg!r}, received {path!r}"
        )
    return path


def _shown(shape: Any) -> str:
    return str(shape).replace("'", "")


def _graph(model: Any) -> tuple[list[Any], list[int], list[tuple[int, int]]]:
    """(layers, rank of each, the first at the inputs; edges between their numbers)."""
    if not isinstance(model, Functional):
        layers = [model.input._keras_history.operation, *model.operations]
        return layers, list(range(len(layers))), [(i, i + 1) for i in range(len(layers) - 1)]
    layers = model.operations
    number = {id(layer): i for i, layer in enumerate(layers)}
    edges: dict[tuple[int, int], None] = {}
    for call in model.graph.calls:
        tensors: list[KerasTensor] = call.node.inputs
        for tensor in tensors:
            edges[number[id(tensor._keras_history.operation)], number[id(call.operation)]] = None
    deepest = max(model.graph.depths)
    return layers, [deepest - depth for depth in model.graph.depths], list(edges)


def _ordered(ranks: list[int], edges: list[tuple[int, int]]) -> list[list[int]]:
    """Boxes of each rank, each as near to the middle of those it is connected to as some sweeps bring it."""
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for i, rank in enumerate(ranks):
        rows[rank].append(i)
    place = {i: (at + 0.5) / len(row) for row in rows for at, i in enumerate(row)}
    for sweep in range(8):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            near = {
                i: [place[a if b == i else b] for a, b in edges if i in (a, b) and (ranks[a] < ranks[b]) == (b == i)]
                if sweep % 2 == 0
                else [place[b if a == i else a] for a, b in edges if i in (a, b)]
                for i in row
            }
            row.sort(key=lambda i: sum(near[i]) / len(near[i]) if near[i] else place[i])
            place.update({i: (at + 0.5) / len(row) for at, i in enumerate(row)})
    return rows


def _svg(boxes: list[_Box], ranks: list[int], edges: list[tuple[int, int]], sideways: bool, title: str) -> str:
    rows = _ordered(ranks, edges)

    def across(i: int) -> float:
        return boxes[i].height if sideways else boxes[i].width

    def along(i: int) -> float:
        return boxes[i].width if sideways else boxes[i].height

    lengths = [sum(map(across, row)) + _GAP * (len(row) - 1) for row in rows]
    size = max(lengths) + 2 * _GAP
    centre: dict[int, tuple[float, float]] = {}
    at = float(_GAP)
    for row, length in zip(rows, lengths, strict=True):
        deep, start = max(map(along, row)), (size - length) / 2
        for i in row:
            centre[i] = (start + across(i) / 2, at + deep / 2)
            start += across(i) + _GAP
        at += deep + _ROW_GAP
    total = at - _ROW_GAP + _GAP

    def xy(a: float, b: float) -> tuple[float, float]:
        return (b, a) if sideways else (a, b)

    width, height = xy(size, total)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">',
        f"<title>{_xml(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    for a, b in edges:
        (xa, ya), (xb, yb) = centre[a], centre[b]
        ya, yb = ya + along(a) / 2, yb - along(b) / 2
        between = [i for i, rank in enumerate(ranks) if ranks[a] < rank < ranks[b]]
        if between:  # around what lies between
            lane = max(centre[i][0] + across(i) / 2 for i in between) + _GAP / 2
            first = min(centre[i][1] - along(i) / 2 for i in between)
            last = max(centre[i][1] + along(i) / 2 for i in between)
            xa, xb = xa + across(a) / 4, xb + across(b) / 4
            stops = [(xa, ya), (lane, first), (lane, last), (xb, yb)]
        else:
            stops = [(xa, ya), (xb, yb)]
        path = "M{:.1f} {:.1f}".format(*xy(*stops[0]))
        for (x0, y0), (x1, y1) in pairwise(stops):
            bend = (y1 - y0) / 2
            points = [xy(x0, y0 + bend), xy(x1, y1 - bend), xy(x1, y1)]
            path += "C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}".format(*(v for point in points for v in point))
        out.append(f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"/>')
    for i, box in enumerate(boxes):
        x, y = xy(*centre[i])
        left, top = x - box.width / 2, y - box.height / 2
        out.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4" '
            'fill="#eef3fb" stroke="#36649e"/>'
        )
        for n, text in enumerate(box.lines):
            weight = ' font-weight="bold"' if n == 0 else ' fill="#444"'
            out.append(
                f'<text x="{x:.1f}" y="{top + _PAD / 2 + (n + 0.75) * _LINE:.1f}" text-anchor="middle"{weight}>'
                f"{_xml(text)}</text>"
            )
    return "\n".join([*out, "</svg>\n"])


def _xml(text: str) -> str:
    """As XML can have it, which has no control characters."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
