"""The networks of a table: what each is, and how all are trained side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _engine, initializers, random
from .._engine import AnyArray, Float32, Float64
from ..callbacks import EarlyStopping
from ..layers import Activation, Concatenate, Dense, Dropout, Embedding, Input
from ..many import Ensemble, fit_many
from ..models import Functional, Model
from ..optimizers import AdamW
from ..optimizers.schedules import CosineDecay

_EMBEDDING = 8  # width of an embedding
_LEAST_FOLDS = 5
_BATCHES = (32, 256)  # sizes of a batch
_EPOCHS, _LEAST_EPOCHS, _STEPS_IN_ALL = 100, 50, 1500  # most epochs; fewer where there are so many steps
_STEPS = 16  # steps an epoch has at least, where batches can be small enough

Rows = NDArray[np.uint32]


def network(width: int, vocabularies: Sequence[int], outputs: int, classes: bool, p: Any) -> Model:
    """Numbers and ids (n, width), ids last -> embeddings -> [dense, activation, dropout] ... -> outputs."""
    given: Any = Input((width,), name="x")
    first = width - len(vocabularies)
    pieces = [given[:, :first]] if first and vocabularies else []
    for i, size in enumerate(vocabularies):
        table = Embedding(size, _EMBEDDING, initializers.RandomNormal(stddev=0.3), name=f"embedding_{i}")
        pieces.append(table(given[:, first + i]))
    value = Concatenate(name="joined")(pieces) if len(pieces) > 1 else pieces[0] if pieces else given
    for i, units in enumerate(p.units):
        value = Dense(units, kernel_initializer="he_normal", name=f"dense_{i}")(value)
        value = Activation(p.activation, name=f"activation_{i}")(value)
        if p.dropout:
            value = Dropout(p.dropout, name=f"dropout_{i}")(value)
    return Functional(given, Dense(outputs, "softmax" if classes else None, name="output")(value), name="table")


def folds(rows: int, members: int, seed: int, labels: AnyArray | None) -> list[tuple[Rows, Rows]]:
    """(rows that train, rows that are held out) of each network; each class is spread over all folds."""
    count = min(max(members, _LEAST_FOLDS), rows)
    order = _engine.permutation(seed, 0, rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(rows, np.int64)
    fold[order] = np.arange(rows) % count
    each = [np.flatnonzero(fold == i).astype(np.uint32) for i in range(min(members, count))]
    return [(np.setdiff1d(np.arange(rows, dtype=np.uint32), held), held) for held in each]


def train(
    x: Float32, y: Float32, weights: Float32 | None, parts: Sequence[tuple[Rows, Rows]], vocabularies: Sequence[int],
    classes: bool, seed: int, p: Any,
) -> list[Model]:  # fmt: skip
    """One network for each of `parts`, with the weights of the epoch that was best on its held-out rows.

    Adam with a short memory of squares (beta_2 = 0.95), a cosine to zero after a short warm-up.

    Args:
        x, y, weights: all rows.
        p: the estimator, whose parameters count.
    """
    rows = len(parts[0][0])
    size = p.batch_size
    if size == "auto":
        size = min(max(_BATCHES[0], 2 ** int(math.log2(max(rows // _STEPS, 1)))), _BATCHES[1])
    each = -(-rows // size)
    epochs = min(_EPOCHS, max(_STEPS_IN_ALL // each, _LEAST_EPOCHS)) if p.epochs == "auto" else p.epochs
    steps = epochs * each
    numbers = itertools.count()

    def build() -> Model:
        random.set_seed(seed + next(numbers) * 1_000_003)  # in a fit_many: of this network alone
        model = network(x.shape[1], vocabularies, y.shape[1], classes, p)
        warm = max(steps // 20, 1)
        rate = p.learning_rate  # of a single step
        if steps > 1:
            rate = CosineDecay(0.0, steps - warm, warmup_target=p.learning_rate, warmup_steps=warm)
        model.compile(
            AdamW(rate, p.weight_decay, 0.9, 0.95), "categorical_crossentropy" if classes else "mean_squared_error"
        )
        return model

    stop = EarlyStopping(
        patience=max(epochs // 4, 1) if p.patience == "auto" else p.patience, restore_best_weights=True
    )
    fits = fit_many(
        build, x, y, folds=parts, seeds=[seed], epochs=epochs, batch_size=size, callbacks=[stop],
        sample_weight=weights, n_jobs=p.n_jobs, verbose=p.verbose, fail_on_nan=True,
    )  # fmt: skip
    if fits.interrupted:
        raise KeyboardInterrupt
    if fits.errors:
        raise next(iter(fits.errors.values()))
    return fits.models


def outputs(models: Sequence[Model], x: Float32) -> Float64:
    """(members, n, outputs)."""
    return np.asarray(Ensemble(models).predict_all(x), np.float64)


def held_out(models: Sequence[Model], x: Float32, parts: Sequence[tuple[Rows, Rows]]) -> tuple[Rows, Float64]:
    """Rows that one of the networks was not trained on, and what it says of them."""
    said = [model.predict(x[held], verbose=0) for model, (_, held) in zip(models, parts, strict=True)]
    return np.concatenate([held for _, held in parts]), np.concatenate(said).astype(np.float64)
