"""Losses that are no mean, on rows that are there more than once: against NumPy in float64."""

from typing import Any

import numpy as np
import pytest

import lanewise as lw

RNG = np.random.default_rng(8)
X = RNG.standard_normal((40, 5)).astype(np.float32)
Y = RNG.standard_normal(40).astype(np.float32)
WEIGHTS = RNG.uniform(0.2, 3.0, 40).astype(np.float32)
PICKED = RNG.integers(0, 40, 90).astype(np.int64)  # most rows several times, in several batches
BATCH, RATE = 16, 0.003  # the last batch has 10 rows


def reference(kernel: Any, reduction: str, weights: Any) -> tuple[Any, list[float]]:
    """Kernel after an epoch of plain gradient descent, and the loss of each batch."""
    w, losses = kernel.astype(np.float64), []
    for start in range(0, len(PICKED), BATCH):
        rows = PICKED[start : start + BATCH]
        x, y = X[rows].astype(np.float64), Y[rows].astype(np.float64)
        each = np.ones(len(rows)) if weights is None else weights[rows].astype(np.float64)
        each = each / {"sum": 1.0, "mean_with_sample_weight": each.sum(), "sum_over_batch_size": len(rows)}[reduction]
        error = x @ w[:, 0] - y
        losses.append(float(each @ error**2))
        w = w - RATE * 2.0 * x.T @ (each * error)[:, None]
    return w, losses


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight", "sum_over_batch_size"])
@pytest.mark.parametrize("each_batch", [False, True])
def test_bootstrapped_rows(reduction: str, weighted: bool, each_batch: bool) -> None:
    def build() -> lw.Sequential:
        model = lw.Sequential([lw.Input((5,)), lw.layers.Dense(1, use_bias=False)])
        model.compile(
            lw.optimizers.SGD(RATE), lw.losses.MeanSquaredError(reduction=reduction), weighted_metrics=["mae"]
        )
        return model

    lw.utils.set_random_seed(2)
    before = build().get_weights()[0]
    weights = WEIGHTS if weighted else None
    callbacks = lw.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None) if each_batch else None
    fits = lw.fit_many(
        build, X, Y, seeds=[2], folds=[(PICKED, PICKED)], shuffle=False, batch_size=BATCH, sample_weight=weights,
        callbacks=callbacks, verbose=0,
    )  # fmt: skip
    expected, losses = reference(before, reduction, weights)
    found = fits[0].model.get_weights()[0]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
    sizes = [min(BATCH, len(PICKED) - start) for start in range(0, len(PICKED), BATCH)]
    assert fits[0].logs["loss"] == pytest.approx(np.average(losses, weights=sizes), rel=1e-5)
    error = np.abs(X[PICKED].astype(np.float64) @ found.astype(np.float64)[:, 0] - Y[PICKED])
    held = None if weights is None else weights[PICKED].astype(np.float64)
    assert fits[0].logs["val_mae"] == pytest.approx(np.average(error, weights=held), rel=1e-5)
