"""From columns of a table to the numbers that a network takes; what was learnt of them is plain JSON."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np

from .._engine import Float32, Float64
from .._names import near_match, warn
from ..optimizers.exact import cos_pi
from .read import KINDS, Values, as_kind, read, values_of

ONE_HOT = 9  # a category of at most so many levels becomes columns of 0 and 1, a larger one an embedding
_RARE = 3  # of an embedding, levels seen less often share the row of those that were never seen
_LEVELS = 10_000  # the most frequent ones that are kept
_ROWS_PER_BIN = 400  # on small tables bins cost more than they bring: Carseats (400 rows) 0.430 with 16, 0.384 without
_WIDTH = 512  # columns that the bins of all numbers may have together
EMBEDDINGS = ("auto", "piecewise-linear", None)


@dataclass
class Scale:
    """Numbers made comparable: z = (v - centre) * factor, then z / sqrt(1 + (z/3)**2), so that none is beyond +-3.

    The factor is 1 over the quartiles' distance, or 2 over the range where that is 0. Missing values become the median.
    `bins` are quantiles: beside z there is, for each bin, how much of it lies below v, from 0 to 1, so that the first
    layer can bend at each quantile.

    Source: RealMLP (Holzmueller et al. 2024); piecewise-linear encoding (Gorishniy et al. 2022).
    """

    centre: float
    factor: float
    bins: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, values: Float64, bins: int) -> Self | None:
        """That of these values; None where they are all one."""
        known = values[~np.isnan(values)]
        if not len(known) or known.min() == known.max():
            return None
        low, centre, high = (float(q) for q in np.quantile(known, [0.25, 0.5, 0.75]))
        factor = 1.0 / (high - low) if high > low else 2.0 / float(known.max() - known.min())
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1))) if bins else np.zeros(0)
        return cls(centre, factor, edges.tolist() if len(edges) > 3 else [])

    def apply(self, values: Float64) -> list[Float64]:
        """The columns of these values."""
        values = np.where(np.isnan(values), self.centre, values)
        z = np.clip((values - self.centre) * self.factor, -1e150, 1e150)
        below = [np.clip((values - a) / (b - a), 0.0, 1.0) for a, b in pairwise(self.bins)]
        return [z / np.sqrt(1.0 + (z / 3.0) ** 2), *below]


def parts(kind: str, values: Values) -> list[Float64]:
    """The numbers behind a column: itself; of a date the days since 1970, and its place in year, week and day."""
    if kind != "date":
        return [values.array]
    blank = values.missing()
    moments = np.where(blank, np.datetime64(0, "us"), values.array)
    days = moments.astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    day = (moments - days) / np.timedelta64(86_400_000_000, "us")
    year = ((days - years.astype("datetime64[D]")) / np.timedelta64(1, "D") + day) / 365.25
    week = (days.astype(np.int64) + 3) % 7 / 7.0
    turns = [f for share in (year, week, day) for f in (cos_pi(2 * share), cos_pi(2 * share - 0.5))]  # cosine, sine
    return [np.where(blank, np.nan, part) for part in (days.astype(np.int64) + day, *turns)]


_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)?(\.\d*)?([eE][-+]?\d+)?")  # no 007
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")


def _warn_of_numbers(name: str, levels: list[str]) -> None:
    """A cell or two with something else make text of a column of numbers; dates that were not read are text too."""
    numbers = sum(any(c.isdigit() for c in level) and bool(_NUMBER.fullmatch(level.strip())) for level in levels)
    dates = sum(bool(_DATE.fullmatch(level.strip())) for level in levels)
    for found, least, what, makes in (
        (numbers, 1, "numbers", "pandas.to_numeric"),
        (dates, 0, "dates", "pandas.to_datetime"),
    ):
        if 0.9 * len(levels) <= found <= len(levels) - least:
            warn(
                f"x: column {name!r} is taken as text, and {found} of its {len(levels)} values are {what}: "
                f"{makes}(column, errors='coerce') reads them; with columns={{{name!r}: 'category'}} they are names"
            )


@dataclass
class Column:
    """One column: its kind, and what `fit` learnt of it.

    Attributes:
        scales: of each of its parts; None for one that is constant.
        levels: of a category, most frequent first.
        text: whether a category was text.
        zone: whether dates had a time zone.
        gaps: whether values were missing.
        embedded: whether a category is one id: 0 unseen, 1 missing, 2 and up the levels.
        note: why it is not used.
    """

    name: str
    kind: str
    scales: list[Scale | None] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)
    text: bool = False
    gaps: bool = False
    embedded: bool = False
    note: str = ""
    zone: bool = False

    @classmethod
    def fit(cls, name: str, kind: str | None, values: Values, bins: int) -> Self:
        """What these values say."""
        given, kind = kind, values.kind if kind is None else kind
        if kind in (None, "drop"):
            return cls(name, "drop", note="left out by you" if kind else "every value is missing")
        assert kind is not None
        named, values = given is not None or values.labelled, as_kind(name, kind, values)
        missing = values.missing()
        gaps = bool(missing.any()) and not missing.all()
        column = cls(name, kind, text=values.text, gaps=gaps, zone=values.zone)
        if kind == "category":
            counts = Counter(values.array[~missing].tolist())
            least = 1
            if len(counts) > ONE_HOT:
                column.embedded, least = True, _RARE
                if values.text and not named:
                    _warn_of_numbers(name, list(counts))
            ranked = sorted(counts, key=lambda level: (-counts[level], level))
            column.levels = [level for level in ranked if counts[level] >= least][:_LEVELS]
            if len(counts) + column.gaps < 2:
                column.kind, column.note = "drop", "constant"
            elif not column.levels:
                column.kind, column.note = "drop", "hardly any value stands there twice"
        else:
            column.scales = [Scale.of(part, bins if kind == "number" else 0) for part in parts(kind, values)]
            if not any(column.scales) and not column.gaps:
                column.kind, column.note = "drop", "constant"
        return column

    def apply(self, values: Values) -> list[Float64]:
        """The network's columns; of an embedded category one of ids."""
        missing = values.missing()
        if self.kind == "category":
            first = 2 if self.embedded else 0
            places: dict[str | None, int] = {level: i + first for i, level in enumerate(self.levels)}
            places[None] = 1 if self.embedded else -1
            ids = np.array([places.get(value, -2) for value in values.array.tolist()], np.float64)
            if self.embedded:
                return [np.maximum(ids, 0.0)]
            found = [np.where(ids == i, 1.0, 0.0) for i in range(len(self.levels))]
        else:
            each = zip(self.scales, parts(self.kind, values), strict=True)
            found = [z for scale, part in each if scale is not None for z in scale.apply(part)]
        return found + ([np.where(missing, 1.0, 0.0)] if self.gaps else [])

    def describe(self) -> str:
        """One line."""
        if self.kind == "drop":
            return f"not used: {self.note}"
        text = self.kind
        if self.kind == "category":
            shown = ", ".join(self.levels[:4]) + (", ..." if len(self.levels) > 4 else "")
            text += f", {'embedding of ' if self.embedded else ''}{len(self.levels)} levels: {shown}"
        elif self.kind == "number" and self.scales[0] is not None:
            scale = self.scales[0]
            text += f", median {scale.centre:.6g}, scale {1 / scale.factor:.6g}"
            text += f", {len(scale.bins) - 1} bins" if scale.bins else ""
        return text + (", with missing values" if self.gaps else "")


class Table:
    """All columns of a table, in the order of `fit`."""

    def __init__(self, columns: Sequence[Column], named: bool) -> None:
        self.columns = list(columns)
        self.named = named
        self.used = [c for c in self.columns if c.kind != "drop"]

    @classmethod
    def fit(
        cls, x: Any, kinds: Mapping[str, str] | None, bins: int, embeddings: str | None = "auto"
    ) -> tuple[Self, Float32]:  # fmt: skip
        """The columns of a table, and it as numbers.

        Args:
            x: the table.
            kinds: of columns, where they are given.
            bins: of each number; embeddings: 'auto' takes fewer on small and on wide tables, None none.

        Raises:
            ValueError / TypeError: no table, kinds that are not there, no column that can be used.
        """
        names, columns, rows, named = read(x)
        kinds = {str(name): kind for name, kind in (kinds or {}).items()}
        for name, kind in kinds.items():
            if name not in names:
                raise ValueError(f"columns: the table has no column {name!r}.{near_match(name, names)}")
            if kind not in (*KINDS, "drop"):
                raise ValueError(f"columns[{name!r}]: expected one of {', '.join(KINDS)}, drop, received {kind!r}")
        given = [values_of(name, column) if kinds.get(name) != "drop" else Values(None, np.full(rows, np.nan))
                 for name, column in zip(names, columns, strict=True)]  # fmt: skip
        if embeddings == "auto":
            bins = min(bins, rows // _ROWS_PER_BIN, _WIDTH // max(sum(v.kind == "number" for v in given), 1))
        elif embeddings is None:
            bins = 0
        table = cls([Column.fit(n, kinds.get(n), v, bins) for n, v in zip(names, given, strict=True)], named)
        if not table.used:
            reasons = "; ".join(f"{c.name!r} {c.note}" for c in table.columns[:5])
            raise ValueError(f"x: no column can be used: {reasons}")
        return table, table._numbers([v for v, c in zip(given, table.columns, strict=True) if c.kind != "drop"])

    def apply(self, x: Any) -> Float32:
        """A table as numbers (rows, width).

        Raises:
            ValueError: columns that are missing or of another kind; the message names them.
        """
        names, columns, _, named = read(x)
        expected = [column.name for column in self.columns]
        if not (named and self.named):
            if len(names) != len(expected):
                raise ValueError(f"x: expected {len(expected)} columns as in fit, received {len(names)}")
            names = expected
        missing = [repr(c.name) for c in self.used if c.name not in names]
        extra = [name for name in names if name not in expected]
        if missing:
            hint = f"; columns that were not there in fit: {', '.join(map(repr, extra[:5]))}" if extra else ""
            raise ValueError(f"x: columns of fit are missing: {', '.join(missing)}{hint}")
        if extra:
            warn(f"x: columns that were not there in fit are ignored: {', '.join(extra)}")
        found = dict(zip(names, columns, strict=True))
        return self._numbers([values_of(c.name, found[c.name]) for c in self.used])

    def _numbers(self, given: Sequence[Values]) -> Float32:
        """Columns of numbers first, then those of ids."""
        each = [c.apply(as_kind(c.name, c.kind, v, c.text, c.zone)) for c, v in zip(self.used, given, strict=True)]
        plain = [column for c, found in zip(self.used, each, strict=True) if not c.embedded for column in found]
        ids = [found[0] for c, found in zip(self.used, each, strict=True) if c.embedded]
        return np.stack([*plain, *ids], axis=1).astype(np.float32, order="C")

    @property
    def vocabularies(self) -> list[int]:
        """Ids of each embedded category."""
        return [len(c.levels) + 2 for c in self.used if c.embedded]

    def attributes(self) -> dict[str, Any]:
        """What scikit-learn asks of a fitted estimator."""
        names = np.array([column.name for column in self.columns], object)
        return {"n_features_in_": len(names), "feature_names_in_": names}

    def describe(self) -> str:
        """A line for each column."""
        width = max(len(c.name) for c in self.columns)
        return "\n".join(f"{c.name:{width}}  {c.describe()}" for c in self.columns)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"named": self.named, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """What `to_json` gave. Raises TypeError, KeyError or ValueError for anything else."""
        columns = []
        for entry in given["columns"]:
            scales = [None if scale is None else Scale(**scale) for scale in entry["scales"]]
            column = Column(**{**entry, "scales": scales})
            numbers = [v for s in scales if s is not None for v in (s.centre, s.factor, *s.bins)]
            if column.kind not in (*KINDS, "drop") or not all(type(v) is float and math.isfinite(v) for v in numbers):
                raise ValueError(f"column {column.name!r} is damaged")
            if not all(isinstance(text, str) for text in (column.name, *column.levels)):
                raise ValueError(f"column {column.name!r} is damaged")
            columns.append(column)
        return cls(columns, bool(given["named"]))
