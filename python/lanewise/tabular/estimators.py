"""TabularRegressor and TabularClassifier: a table in, predictions with error bars out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from .._arrays import any_array, as_array
from .._engine import AnyArray, Float32, Float64
from .._names import check_number, warn
from .base import Tabular
from .read import is_missing


class TabularRegressor(Tabular):
    """Numbers from a table: K networks, each early-stopped on rows of its own, with error bars from those rows.

    Args:
        members: K, number of networks; each holds out one of max(K, 5) folds.
        units: widths of the hidden layers.
        activation: of them.
        dropout: rate behind each hidden layer.
        learning_rate: its highest value; it rises in a twentieth of the steps and falls to 0 as a cosine.
        weight_decay: decoupled, times the learning rate.
        batch_size: rows a step; 'auto': a 16th of the rows, between 32 and 256.
        epochs: at most; 'auto': 100, on large tables fewer (1500 steps in all), but at least 50.
        patience: epochs without improvement on the held-out rows before a network stops; 'auto': a quarter of them.
        numeric_embeddings: 'piecewise-linear': beside itself a number enters as how much of each of its bins lies below
            it, which the first layer embeds, so that its effect may bend at each quantile; None: as itself alone;
            'auto': piecewise linear with at most one bin for 400 rows, and 512 in all columns together.
        bins: of a number, between quantiles; 0: none.
        columns: name -> 'number', 'category', 'boolean', 'date' or 'drop', where it is not found as wished.
        random_state: an integer, for the same bits each time; None: drawn from the global seed.
        n_jobs: cores; None: as many as `get_num_threads()` says.
        verbose: 0, 1 ('auto': one line of progress) or 2 (a line for each network).

    Attributes:
        table_: what was learnt of the columns. members_: the models. n_features_in_, feature_names_in_.

    Sources: RealMLP (Holzmueller et al. 2024), cross-conformal intervals (Vovk 2015).
    """

    _classes = False
    _flat: bool
    _scores: Float64

    def __init__(
        self, *, members: int = 8, units: Sequence[int] = (128, 128), activation: Any = "silu", dropout: float = 0.05,
        learning_rate: float = 0.006, weight_decay: float = 0.02, batch_size: Any = "auto", epochs: Any = "auto",
        patience: Any = "auto", numeric_embeddings: str | None = "auto", bins: int = 16,
        columns: Mapping[str, str] | None = None, random_state: int | None = 0, n_jobs: int | None = None,
        verbose: Any = "auto",
    ) -> None:  # fmt: skip
        vars(self).update({k: v for k, v in locals().items() if k not in ("self", "__class__")})

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn.

        Args:
            x: (n, columns), a frame of pandas or polars, a PyArrow table, a dict of columns, an array, a list of rows.
            y: (n,) or (n, targets), finite numbers.
            sample_weight: (n,), >= 0.

        Raises:
            ValueError / TypeError: data or parameters that do not fit; the message names what and where.
            KeyboardInterrupt: Ctrl-C, within moments. As with every error the estimator is what it was before the call.
        """
        self._check()
        if any_array(y).dtype.kind in "US":
            raise TypeError("y: expected numbers, received text; for labels there is TabularClassifier")
        array = as_array("y", y)
        if array.ndim > 2:
            raise ValueError(f"y: expected shape (n,) or (n, targets), received {array.shape}")
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if len(bad):
            raise ValueError(f"y: expected finite numbers, received {array[bad[0]]} in row {bad[0]} ({len(bad)} rows)")
        rows = array.astype(np.float64).reshape(len(array), -1)
        return self._fit(x, rows, None, sample_weight, _flat=array.ndim == 1)

    def _scaled(self, y: Any, weights: Float32 | None) -> tuple[Float32, dict[str, Any]]:
        w = np.ones(len(y)) if weights is None else weights.astype(np.float64)
        total = math.fsum(w)
        mean = np.array([math.fsum(w * column) / total for column in y.T])
        deviation = np.array([math.sqrt(math.fsum(w * c * c) / total) for c in (y - mean).T])
        deviation[deviation == 0] = 1.0
        ends = [y.min(axis=0).tolist(), y.max(axis=0).tolist()]
        return ((y - mean) / deviation).astype(np.float32), {
            "mean": mean.tolist(), "deviation": deviation.tolist(), "ends": ends,
        }  # fmt: skip

    def _calibrated(self, scaling: dict[str, Any], y: Float64, said: Float64, spread: Float64) -> dict[str, Any]:
        error = np.abs(y - said)
        noise = np.sqrt(np.maximum((error**2).mean(axis=0) - (spread**2).mean(axis=0), 0.1 * (error**2).mean(axis=0)))
        scaling = {**scaling, "noise": np.maximum(noise, 1e-12).tolist()}
        return {"_scaling": scaling, "_scores": np.sort(error / _sigma(scaling, spread), axis=0)}  # (rows, targets)

    def _predicted(self, x: Any) -> tuple[Float64, Float64]:
        """(n, targets): the mean of the networks, and sigma in units of y."""
        said = self._outputs(x)
        deviation = np.array(self._scaling["deviation"])
        mean = np.clip(said.mean(axis=0) * deviation + self._scaling["mean"], *np.array(self._scaling["ends"]))
        return mean, _sigma(self._scaling, said.std(axis=0)) * deviation

    def _shaped(self, values: Float64) -> Float64:
        return values[:, 0] if self._flat else values

    def predict(self, x: Any) -> Float64:
        """(n,) or (n, targets): the mean of the networks, within the range of y in `fit`.

        Raises:
            ValueError: not fitted; columns that are missing or changed, by name.
        """
        return self._shaped(self._predicted(x)[0])

    def predict_std(self, x: Any) -> Float64:
        """The deviation to expect of y from `predict`: noise and the networks' spread, as the held-out rows show it."""
        return self._shaped(self._predicted(x)[1] * np.sqrt((self._scores**2).mean(axis=0)))

    def predict_interval(self, x: Any, coverage: float = 0.9) -> tuple[Float64, Float64]:
        """(lower, upper) that hold y in a share `coverage` of rows like those of `fit`.

        Args:
            x: as in `predict`.
            coverage: in (0, 1).
        """
        check_number("coverage", coverage, "a number in (0, 1)", lambda v: 0.0 < v < 1.0)
        mean, sigma = self._predicted(x)
        place = min(math.ceil(coverage * (len(self._scores) + 1)), len(self._scores)) - 1
        half = sigma * self._scores[place]
        return self._shaped(mean - half), self._shaped(mean + half)

    def score(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """R squared, the mean over the targets."""
        said = self._predicted(x)[0]
        y = as_array("y", y).astype(np.float64).reshape(len(said), -1)
        left = np.average((y - said) ** 2, axis=0, weights=sample_weight)
        total = np.average((y - np.average(y, axis=0, weights=sample_weight)) ** 2, axis=0, weights=sample_weight)
        return float(np.mean(1.0 - left / np.where(total > 0, total, 1.0)))


class TabularClassifier(Tabular):
    """Classes from a table; labels of any type. Probabilities are calibrated on the held-out rows.

    Args:
        label_smoothing: share of each target that is spread over all classes.
        members, ...: see `TabularRegressor`.

    Attributes:
        classes_: the labels. table_, members_, n_features_in_, feature_names_in_: see `TabularRegressor`.
    """

    _classes = True
    classes_: AnyArray
    label_smoothing: float

    def __init__(
        self, *, members: int = 8, units: Sequence[int] = (128, 128), activation: Any = "silu", dropout: float = 0.05,
        learning_rate: float = 0.006, weight_decay: float = 0.02, label_smoothing: float = 0.1,
        batch_size: Any = "auto", epochs: Any = "auto", patience: Any = "auto",
        numeric_embeddings: str | None = "auto", bins: int = 16, columns: Mapping[str, str] | None = None,
        random_state: int | None = 0, n_jobs: int | None = None, verbose: Any = "auto",
    ) -> None:  # fmt: skip
        vars(self).update({k: v for k, v in locals().items() if k not in ("self", "__class__")})

    def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn.

        Args:
            x: see `TabularRegressor.fit`.
            y: (n,) labels: text, integers, booleans, of any dtype; at least two different ones.
            sample_weight: (n,), >= 0.
        """
        self._check()
        labels = _labels(y)
        if any(is_missing(v) for v in labels.tolist()):
            row = next(i for i, v in enumerate(labels.tolist()) if is_missing(v))
            raise ValueError(f"y: expected a label in each row, received {labels[row]!r} in row {row}")
        try:
            classes, codes = np.unique(labels, return_inverse=True)
        except TypeError as error:
            raise TypeError(f"y: expected labels of one type, received several ({error})") from None
        if len(classes) < 2:
            raise ValueError(f"y: expected at least two classes, received {classes.tolist()}")
        if labels.dtype.kind == "f" and (classes != np.rint(classes)).any():
            raise ValueError("y: expected labels, received fractions; for numbers there is TabularRegressor")
        if labels.dtype.kind in "iuf" and len(classes) > max(30, len(labels) // 5):
            warn(f"y: {len(classes)} classes in {len(labels)} rows; for numbers there is TabularRegressor")
        smooth = self.label_smoothing
        y = np.full((len(codes), len(classes)), smooth / len(classes), np.float32)
        y[np.arange(len(codes)), codes] += np.float32(1.0 - smooth)
        return self._fit(x, y, codes, sample_weight, classes_=classes)

    def _scaled(self, y: Float32, weights: Float32 | None) -> tuple[Float32, dict[str, Any]]:
        return y, {}

    def _calibrated(self, scaling: dict[str, Any], y: Float64, said: Float64, spread: Float64) -> dict[str, Any]:
        """The temperature by which the held-out rows' probabilities come out best."""
        codes = y.argmax(axis=1)
        losses = []
        sharpness = np.geomspace(0.25, 4.0, 41)
        for power in sharpness:
            p = _sharpened(said, float(power))
            losses.append(-math.fsum(np.log(np.maximum(p[np.arange(len(p)), codes], 1e-12))))
        return {"_scaling": {"sharpness": float(sharpness[int(np.argmin(losses))])}}

    def predict_proba(self, x: Any) -> Float64:
        """(n, classes) probabilities, in the order of `classes_`.

        Raises:
            ValueError: not fitted; columns that are missing or changed, by name.
        """
        return _sharpened(self._outputs(x).mean(axis=0), self._scaling["sharpness"])

    def predict(self, x: Any) -> AnyArray:
        """(n,) labels, those that are most probable."""
        found: AnyArray = self.classes_[self.predict_proba(x).argmax(axis=1)]
        return found

    def predict_std(self, x: Any) -> Float64:
        """(n, classes): the spread of the networks' probabilities."""
        power = self._scaling["sharpness"]
        found: Float64 = np.stack([_sharpened(said, power) for said in self._outputs(x)]).std(axis=0)
        return found

    def score(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows whose label is right."""
        return float(np.average(self.predict(x) == _labels(y), weights=sample_weight))


def _sigma(scaling: dict[str, Any], spread: Float64) -> Float64:
    """How far off a prediction is, up to a factor: what all share, and where the networks differ."""
    found: Float64 = np.sqrt(np.array(scaling["noise"]) ** 2 + spread**2)
    return found


def _sharpened(p: Float64, power: float) -> Float64:
    p = np.maximum(p, 1e-12) ** power
    found: Float64 = p / p.sum(axis=1, keepdims=True)
    return found


def _labels(y: Any) -> AnyArray:
    array = any_array(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array):
        raise ValueError(f"y: expected one label a row, shape (n,), received {array.shape}")
    return array
