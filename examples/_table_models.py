"""What lanewise is compared with in tables.py."""

from __future__ import annotations

import pickle
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from _table_data import TABLES, Task


class Fitted(NamedTuple):
    """The fitted model, what it says of the test rows, and if it has them, ends of 90 % intervals."""

    model: Any
    predicted: np.ndarray
    interval: tuple[np.ndarray, np.ndarray] | None = None


def split(x: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """These rows."""
    return {name: column[rows] for name, column in x.items()}


def lanewise(task: Task, train: np.ndarray, test: np.ndarray) -> Fitted:
    """`lanewise.tabular` as it comes."""
    from lanewise.tabular import TabularClassifier, TabularRegressor

    kind = TabularClassifier if task.classes else TabularRegressor
    model: Any = kind(verbose=0).fit(split(task.x, train), task.y[train])
    x = split(task.x, test)
    return Fitted(model, model.predict(x), None if task.classes else model.predict_interval(x))


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
            return Fitted(pipe, pipe.predict(_frame(split(task.x, test))))

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
        return Fitted(model, np.asarray(model.predict(x_test)).reshape(len(test)))


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


def size(model: Any) -> int:
    """Bytes of a fitted model with its preprocessing: lanewise's file, a pickle of the others."""
    if not hasattr(model, "save") or not hasattr(model, "predict_std"):
        return len(pickle.dumps(model))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.lanewise")
        return (Path(folder) / "model.lanewise").stat().st_size
