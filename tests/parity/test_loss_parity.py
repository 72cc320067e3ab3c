"""Losses and metrics against Keras itself: values, gradients, streams of random batches with weights."""

from __future__ import annotations

import numpy as np
import pytest

from lanewise import _core, losses, metrics

keras = pytest.importorskip("keras")

RNG = np.random.default_rng(0)
T = RNG.random((40, 5)).astype(np.float32)
P = (RNG.random((40, 5)) * 0.9 + 0.05).astype(np.float32)
Z = (RNG.standard_normal((40, 5)) * 2).astype(np.float32)
LABELS = RNG.integers(0, 5, 40)
ONE_HOT = np.eye(5, dtype=np.float32)[LABELS]
YES = (RNG.random((40, 5)) > 0.5).astype(np.float32)
WEIGHTS = RNG.uniform(0, 2, 40).astype(np.float32)

LOSSES = [
    ("MeanSquaredError", {}, T, Z), ("MeanAbsoluteError", {}, T, Z), ("MeanAbsolutePercentageError", {}, T, Z),
    ("MeanSquaredLogarithmicError", {}, T, Z), ("Huber", {"delta": 0.7}, T, Z), ("LogCosh", {}, T, Z),
    ("Poisson", {}, T, P), ("CosineSimilarity", {}, T, Z), ("KLDivergence", {}, T, P), ("Hinge", {}, YES, Z),
    ("Hinge", {}, 2 * YES - 1, Z), ("SquaredHinge", {}, YES, Z), ("CategoricalHinge", {}, ONE_HOT, Z),
    ("BinaryCrossentropy", {"from_logits": True}, T, Z), ("BinaryCrossentropy", {"label_smoothing": 0.1}, T, P),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, Z),
    ("CategoricalCrossentropy", {}, T, P), ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, Z),
    ("SparseCategoricalCrossentropy", {}, LABELS, P), ("BinaryFocalCrossentropy", {}, YES, P),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 0.0}, YES, Z),
    ("BinaryFocalCrossentropy", {"gamma": 1.5, "apply_class_balancing": True, "label_smoothing": 0.2}, YES, P),
    ("CategoricalFocalCrossentropy", {"from_logits": True}, ONE_HOT, Z),
    ("CategoricalFocalCrossentropy", {"gamma": 1.5, "alpha": [0.1, 0.2, 0.3, 0.4, 0.5]}, ONE_HOT, P),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "truth", "prediction"), LOSSES)
def test_values_with_every_reduction(name, arguments, truth, prediction):
    for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight", None):
        ours = getattr(losses, name)(**arguments, reduction=reduction)
        theirs = getattr(keras.losses, name)(**arguments, reduction=reduction)
        for weights in (None, WEIGHTS):
            want = np.asarray(theirs(truth, prediction, weights))
            np.testing.assert_allclose(ours(truth, prediction, weights), want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "arguments", "truth", "prediction"), LOSSES)
def test_gradients(name, arguments, truth, prediction):
    jax = pytest.importorskip("jax")
    if keras.backend.backend() != "jax":
        pytest.skip("differentiated by jax")
    ours, theirs = getattr(losses, name)(**arguments), getattr(keras.losses, name)(**arguments)
    want = np.asarray(jax.grad(lambda p: theirs(truth, p))(jax.numpy.asarray(prediction)))
    target = truth.astype(np.int32) if ours.sparse else truth
    got = _core.loss_backward(ours.kernel_after("")[0], target, prediction, ours.param_for(5))
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6 * np.abs(want).max() + 1e-8)


METRICS = [
    ("MeanSquaredError", {}, T, Z), ("RootMeanSquaredError", {}, T, Z), ("R2Score", {}, T, P),
    ("CosineSimilarity", {}, T, Z), ("LogCoshError", {}, T, Z), ("BinaryAccuracy", {}, YES, P),
    ("CategoricalAccuracy", {}, ONE_HOT, P), ("SparseTopKCategoricalAccuracy", {"k": 2}, LABELS, P),
    ("Precision", {}, YES, P), ("Precision", {"top_k": 2, "class_id": 1}, YES, P),
    ("Recall", {"thresholds": 0.3}, YES, P),
    ("AUC", {}, YES, P), ("AUC", {"curve": "PR"}, YES, P), ("AUC", {"multi_label": True}, YES, P),
    ("RecallAtPrecision", {"precision": 0.5}, YES, P), ("F1Score", {"average": "macro"}, ONE_HOT, P),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "truth", "prediction"), METRICS)
def test_metrics_over_batches(name, arguments, truth, prediction):
    for weights in (None, WEIGHTS):
        ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
        for part in (slice(0, 13), slice(13, 14), slice(14, 40)):
            given = None if weights is None else weights[part]
            ours.update_state(truth[part], prediction[part], given)
            theirs.update_state(truth[part], prediction[part], given)
            np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-5, atol=1e-6)
