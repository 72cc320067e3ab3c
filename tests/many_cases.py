"""What the tests of fit_many train: data, builders, and the bits of a training."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np

import lanewise as lw
from lanewise.callbacks import EarlyStopping
from lanewise.layers import BatchNormalization, Dense, Dropout

ROWS = 203
RNG = np.random.default_rng(5)
X = RNG.standard_normal((ROWS, 12)).astype(np.float32)
Y = (X[:, :3].sum(axis=1) + 0.3 * RNG.standard_normal(ROWS)).astype(np.float32)
LABELS = (Y > 0).astype(np.int64) + (Y > 1)
WEIGHTS = RNG.uniform(0.5, 2.0, ROWS).astype(np.float32)


def build(units: int = 8, rate: float = 0.2, optimizer: Any = "adam") -> lw.Sequential:
    model = lw.Sequential([lw.Input((12,)), Dense(units, activation="relu"), Dropout(rate), Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def build_classifier() -> lw.Sequential:
    model = lw.Sequential([Dense(9, activation="tanh"), BatchNormalization(), Dense(3, activation="softmax")])  # lazily
    model.compile(lw.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_with_numpy() -> lw.Sequential:
    """First weights from the global generators of NumPy and Python."""
    model = build()
    model.set_weights([np.random.standard_normal(w.shape) + random.random() for w in model.get_weights()])
    return model


def digest(model: Any, history: Any) -> str:
    """SHA-256 over weights, optimizer state and history."""
    total = hashlib.sha256()
    state = model.optimizer_state()
    slots = [value for key, value in state.items() if "/" in key or key in ("seed", "epoch", "iterations")]
    curves = [np.array(history.history[key], np.float64) for key in sorted(history.history)]
    for array in (*model.get_weights(), *slots, *curves):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def single(builder: Callable[[], Any], seed: int, x: Any, y: Any, arguments: dict[str, Any]) -> str:
    arguments = dict(arguments)
    callbacks = arguments.pop("callbacks", None)
    lw.utils.set_random_seed(seed)
    model = builder()
    history = model.fit(x, y, verbose=0, callbacks=callbacks and [EarlyStopping(**callbacks)], **arguments)
    return digest(model, history)


def many(builder: Any, x: Any, y: Any, n_jobs: int, arguments: dict[str, Any], **more: Any) -> Any:
    arguments = dict(arguments)
    callbacks = arguments.pop("callbacks", None)
    given = callbacks and EarlyStopping(**callbacks)
    return lw.fit_many(builder, x, y, n_jobs=n_jobs, verbose=0, callbacks=given, **arguments, **more)
