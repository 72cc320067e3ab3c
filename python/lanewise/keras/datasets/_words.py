"""What the two data sets of texts share: lists of word numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...utils import get_file
from ._read import BASE, Array


def word_index(path: str, name: str, file_hash: str) -> dict[str, int]:
    """From word to number."""
    with open(get_file(path, origin=BASE + name, file_hash=file_hash), encoding="utf-8") as file:
        index: dict[str, int] = json.load(file)
    return index


def begun(rows: Iterable[Any], start_char: int | None, index_from: int | None) -> list[list[int]]:
    """Each text with `start_char` in front and its numbers moved up by `index_from`."""
    start = [] if start_char is None else [start_char]
    return [start + [word + (index_from or 0) for word in row] for row in rows]


def shorter(rows: list[list[int]], labels: Array, maxlen: int | None) -> tuple[list[list[int]], Array]:
    """Texts of less than `maxlen` words, and their labels."""
    if not maxlen:
        return rows, labels
    kept = [i for i, row in enumerate(rows) if len(row) < maxlen]
    if not kept:
        raise ValueError(f"maxlen: no text has less than {maxlen} words; give a larger number")
    return [rows[i] for i in kept], labels[kept]


def limited(rows: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> list[list[int]]:
    """Numbers in [skip_top, num_words); others become `oov_char`, or are left out where that is None."""
    top = num_words or max(map(max, rows))
    if oov_char is None:
        return [[word for word in row if skip_top <= word < top] for row in rows]
    return [[word if skip_top <= word < top else oov_char for word in row] for row in rows]


def as_objects(rows: list[list[int]]) -> Array:
    """An array of lists, (n,)."""
    array = np.empty(len(rows), object)
    array[:] = rows
    return array
