"""Training beside Keras: every optimizer with every loss on six networks, from the same weights, 50 steps unshuffled.

Three runs each: lanewise, Keras in float32 and Keras in float64, the twin that stands for exact arithmetic.

* Each step's loss is Keras's within 1e-4, relative, or nearer to the twin than Keras's: Keras raises Adam's betas to
  the step's power in float32, which moves a curve by up to 6e-4 (lanewise's is within 3e-7 of the twin there).
* Weights, losses and predictions are no further from the twin than four times Keras's own distance. Distances are
  Euclidean, over all weights and so on; one below 2**-24 of the size, the rounding of each number to float32, counts as
  that. Where a rounding changes the side of a relu, one run of Keras is no measure of it: a case that does not hold at
  once is judged by the furthest of five runs, four of them with the rows of each batch in other orders, which is the
  same to exact arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
import keras

if keras.backend.backend() != "jax":
    pytest.skip("trains Keras through JAX: KERAS_BACKEND=jax", allow_module_level=True)

from lanewise import keras as ours
from parity.cases import BATCH, LOSSES, NETWORKS, OPTIMIZERS, STEPS, Case, case
from parity.keras_steps import Run, Trained

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

HALF_ULP = 2.0**-24


def weights_for(chosen: Case) -> list[np.ndarray]:
    """Keras's initial weights, the same in every run."""
    keras.utils.set_random_seed(7)
    return chosen.build(keras).get_weights()


def compiled(chosen: Case, library: Any, optimizer: str) -> Any:
    model = chosen.build(library)
    losses = chosen.losses(library)
    several = {} if len(losses) == 1 else {"loss_weights": chosen.loss_weights}
    model.compile(OPTIMIZERS[optimizer](library), losses if len(losses) > 1 else losses[0], **several)
    return model


def step_by_step(model: Any, weights: list[np.ndarray], chosen: Case) -> Run:
    """By `train_on_batch`: the same lines for either library."""
    model.set_weights(weights)
    x, y = (a[0] if len(a) == 1 else a for a in (chosen.x, chosen.y))
    losses = []
    for start in range(0, STEPS * BATCH, BATCH):
        rows = slice(start, start + BATCH)
        model.reset_metrics()
        targets = [a[rows] for a in y] if isinstance(y, list) else y[rows]
        result = model.train_on_batch(x[rows], targets)
        losses.append(float(np.ravel(result)[0]))
    predicted = model.predict(x, verbose=0)
    return Run(np.array(losses), model.get_weights(), predicted if isinstance(predicted, list) else [predicted])


def distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    squares = sum(float(np.sum((a.astype(np.float64) - b) ** 2)) for a, b in zip(one, other, strict=True))
    return squares**0.5


def size(values: list[np.ndarray]) -> float:
    return sum(float(np.sum(np.square(a, dtype=np.float64))) for a in values) ** 0.5


def too_far(mine: Run, theirs: list[Run], twin: Run) -> list[str]:
    """What is further from the twin than four times the furthest of Keras's runs, in words."""
    found = []
    for what in ("losses", "weights", "predictions"):
        ours_at, exact, *theirs_at = (
            [v] if isinstance(v, np.ndarray) else v for v in (getattr(run, what) for run in (mine, twin, *theirs))
        )
        away, theirs_away = distance(ours_at, exact), max(distance(values, exact) for values in theirs_at)
        if not away <= 4 * max(theirs_away, HALF_ULP * size(exact)):
            found.append(f"{what}: {away:.2e} from the twin, Keras {theirs_away:.2e}, size {size(exact):.1e}")
    return found


def off_the_curve(mine: Run, theirs: Run, twin: Run) -> list[str]:
    """The first step whose loss is neither Keras's nor nearer to the twin than Keras's, in words."""
    relative = np.abs(mine.losses - theirs.losses) / np.abs(theirs.losses)
    nearer = np.abs(mine.losses - twin.losses) < np.abs(theirs.losses - twin.losses)
    steps = np.flatnonzero(~((relative <= 1e-4) | nearer))
    return [f"loss of step {s}: {mine.losses[s]} against {theirs.losses[s]}, {relative[s]:.1e}" for s in steps[:1]]


def other_orders() -> list[np.ndarray]:
    """Orders of all rows in which each batch has the rows it had."""
    rng = np.random.default_rng(3)
    batches = np.arange(STEPS * BATCH).reshape(STEPS, BATCH)
    return [rng.permuted(batches, axis=1).ravel() for _ in range(4)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("network", NETWORKS)
def test_losses_and_weights(network: str, loss: str) -> None:
    chosen = case(network, loss)
    weights = weights_for(chosen)
    single, double = (
        Trained(chosen.build, chosen.losses, chosen.loss_weights, dtype) for dtype in ("float32", "float64")
    )
    failed = {}
    for name, optimizer in OPTIMIZERS.items():
        theirs, twin = (t.train(weights, optimizer, chosen.x, chosen.y, BATCH) for t in (single, double))
        assert np.isfinite(twin.losses).all()
        mine = step_by_step(compiled(chosen, ours, name), weights, chosen)
        found = off_the_curve(mine, theirs, twin)
        if too_far(mine, [theirs], twin):
            others = [single.train(weights, optimizer, chosen.x, chosen.y, BATCH, order) for order in other_orders()]
            found += too_far(mine, [theirs, *others], twin)
        if found:
            failed[name] = found
    assert not failed, "\n".join(f"{name}: {'; '.join(found)}" for name, found in failed.items())


@pytest.mark.parametrize(("network", "loss", "optimizer"), [
    ("plain", "huber", "adamw"), ("batch_norm", "sparse", "nadam"), ("two_outputs", "binary_crossentropy", "ema"),
])  # fmt: skip
def test_the_steps_are_those_of_keras(network: str, loss: str, optimizer: str) -> None:
    """`keras_steps` gives what Keras's own `train_on_batch` gives."""
    chosen = case(network, loss)
    weights = weights_for(chosen)
    quick = Trained(chosen.build, chosen.losses, chosen.loss_weights, "float32")
    quick_run = quick.train(weights, OPTIMIZERS[optimizer], chosen.x, chosen.y, BATCH)
    own_run = step_by_step(compiled(chosen, keras, optimizer), weights, chosen)
    np.testing.assert_allclose(quick_run.losses, own_run.losses, rtol=2e-6)
    for a, b in zip(quick_run.weights, own_run.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
