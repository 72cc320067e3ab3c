"""Metrics beside Keras's: streamed through `update_state`, and as `evaluate` reports them, with and without weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lanewise import keras as ours

keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ROWS = 300
rng = np.random.default_rng(5)
SIGNAL = rng.normal(size=(ROWS, 4)).astype(np.float32)
X = np.concatenate([SIGNAL, rng.normal(size=(ROWS, 3)).astype(np.float32)], axis=1)
NOISE = 0.7 * rng.normal(size=(ROWS, 4)).astype(np.float32)
WEIGHTS = rng.uniform(0.2, 2, ROWS).astype(np.float32)
LABELS = (SIGNAL + NOISE).argmax(axis=1)

# kind: (targets, units and activation of the output)
KINDS: dict[str, tuple[np.ndarray, int, str | None]] = {
    "real": ((SIGNAL + NOISE)[:, :2], 2, None),
    "positive": (np.exp((SIGNAL + NOISE)[:, :2]), 2, "softplus"),
    "binary": ((SIGNAL + NOISE > 0).astype(np.float32)[:, :1], 1, "sigmoid"),
    "one_hot": (np.eye(4, dtype=np.float32)[LABELS], 4, "softmax"),
    "labels": (LABELS, 4, "softmax"),
}


def _classes(kind: str, *names: str, **arguments: Any) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    """Cases of these classes with these arguments, made in either library."""
    shown = "".join(f"-{key}={value}" for key, value in arguments.items())
    return {
        f"{name}{shown}": (kind, lambda k, name=name: getattr(k.metrics, name)(**arguments))  # type: ignore[misc]
        for name in names
    }


METRICS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **_classes("real", "MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError", "LogCoshError", "R2Score"),
    **_classes("real", "CosineSimilarity"),
    **_classes("positive", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Poisson"),
    **_classes("binary", "BinaryAccuracy", "BinaryCrossentropy", "Precision", "Recall", "AUC", "Hinge", "SquaredHinge"),
    **_classes("binary", "TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"),
    **_classes("binary", "Precision", "Recall", thresholds=0.3),
    **_classes("binary", "BinaryAccuracy", threshold=0.3),
    **_classes("binary", "AUC", curve="PR"),
    **_classes("binary", "AUC", num_thresholds=50, summation_method="majoring"),
    **_classes("binary", "PrecisionAtRecall", recall=0.6),
    **_classes("binary", "RecallAtPrecision", precision=0.7),
    **_classes("binary", "SensitivityAtSpecificity", specificity=0.6),
    **_classes("binary", "SpecificityAtSensitivity", sensitivity=0.6),
    **_classes("binary", "F1Score", threshold=0.5),
    **_classes("one_hot", "CategoricalAccuracy", "CategoricalCrossentropy", "KLDivergence", "CategoricalHinge"),
    **_classes("one_hot", "TopKCategoricalAccuracy", k=2),
    **_classes("one_hot", "F1Score", average="macro"),
    **_classes("one_hot", "F1Score", average="weighted"),
    **_classes("one_hot", "FBetaScore", average="micro", beta=2.0),
    **_classes("labels", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"),
    **_classes("labels", "SparseTopKCategoricalAccuracy", k=2),
}


def predictions(kind: str) -> np.ndarray:
    """Far from perfect, and no probability on a threshold."""
    raw = SIGNAL[:, : KINDS[kind][1]].astype(np.float64)
    if kind == "binary":
        raw = 1 / (1 + np.exp(-raw))
    if kind in ("one_hot", "labels"):
        raw = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return (np.log1p(np.exp(raw)) if kind == "positive" else raw).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", METRICS)
def test_streamed(name: str, weighted: bool) -> None:
    kind, make = METRICS[name]
    targets, shown = KINDS[kind][0], predictions(kind)
    found = []
    for library in (ours, keras):
        metric = make(library)
        for start, stop in [(0, 150), (150, 249), (249, ROWS)]:
            weights = {"sample_weight": WEIGHTS[start:stop]} if weighted else {}
            metric.update_state(targets[start:stop], shown[start:stop], **weights)
        found.append(np.asarray(metric.result()))
    np.testing.assert_allclose(found[0], found[1], rtol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluate(kind: str) -> None:
    targets, units, activation = KINDS[kind]
    loss = {"real": "mse", "positive": "poisson", "binary": "binary_crossentropy"}.get(kind, "categorical_crossentropy")
    loss = f"sparse_{loss}" if kind == "labels" else loss
    makers = [make for of, make in METRICS.values() if of == kind]
    keras.utils.set_random_seed(3)
    results, weights = [], None
    for library in (keras, ours):
        library.utils.clear_session()  # names of metrics are counted from the start
        model = library.Sequential([
            library.Input((X.shape[1],)), library.layers.Dense(8, "tanh"), library.layers.Dense(units, activation)
        ])  # fmt: skip
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        model.compile(
            "sgd", loss, metrics=["accuracy", *(make(library) for make in makers)],
            weighted_metrics=[make(library) for make in makers],
        )  # fmt: skip
        results.append(model.evaluate(X, targets, batch_size=64, verbose=0, return_dict=True))
        results.append(
            model.evaluate(X, targets, batch_size=64, verbose=0, sample_weight=WEIGHTS, return_dict=True)
        )  # fmt: skip
    for theirs, mine in zip(results[:2], results[2:], strict=True):
        assert sorted(mine) == sorted(theirs)
        for key, value in theirs.items():
            np.testing.assert_allclose(mine[key], np.asarray(value), rtol=1e-5, err_msg=key)
