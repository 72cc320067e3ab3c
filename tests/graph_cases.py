"""Graphs as people write them, for lanewise and for Keras: what masks, merges and pools of theirs compute.

`golden/graphs.json` is what Keras 3.15 (backend jax) makes of them; `python tests/graph_cases.py` writes it anew.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from same_bits import grid

GOLDEN = pathlib.Path(__file__).parent / "golden" / "graphs.json"
ROWS = 12
IDS = (np.abs(grid(ROWS, 5)) * 5).astype(np.int64) % 6
IDS[:, 3:] = 0
IDS[0] = [1, 2, 3, 4, 5]
IDS[:, 0] = np.maximum(IDS[:, 0], 1)  # a mean over no step at all is NaN
STEPS = grid(ROWS, 5, 3, salt=1)
STEPS[:, 3:] = 0
STEPS[2, 1, 1] = 0  # a step that is not masked
WIDE, SHORT, LONG, ONE = (
    grid(ROWS, 4, salt=2),
    grid(ROWS, 2, 4, salt=3),
    grid(ROWS, 3, 4, salt=4),
    grid(ROWS, 1, salt=5),
)
Y = np.abs(grid(ROWS, salt=6))

Build = Callable[[Any], tuple[Any, Any, Any]]
"""From a namespace `keras` to (inputs, hidden tensor, data)."""


def _words(make: Callable[[Any, Any, Any, Any], Any]) -> Build:
    """Of three embeddings of the same ids: with a mask, without, with another mask (that of the ids shifted)."""

    def build(keras: Any) -> tuple[Any, Any, Any]:
        ids, other = keras.Input((5,)), keras.Input((5,))
        embed = lambda mask, tensor: keras.layers.Embedding(6, 3, mask_zero=mask)(tensor)  # noqa: E731
        hidden = make(keras.layers, embed(True, ids), embed(False, ids), embed(True, other))
        return [ids, other], keras.layers.GlobalAveragePooling1D()(hidden), [IDS, np.roll(IDS, 1, 0)]

    return build


def _pair(a: Any, b: Any, make: Callable[[Any, Any, Any], Any]) -> Build:
    def build(keras: Any) -> tuple[Any, Any, Any]:
        inputs = [keras.Input(a.shape[1:]), keras.Input(b.shape[1:])]
        return inputs, keras.layers.Flatten()(make(keras.layers, *inputs)), [a, b]

    return build


def _steps(keras: Any) -> tuple[Any, Any, Any]:
    steps = keras.Input((5, 3))
    hidden = keras.layers.Dense(2)(keras.layers.Masking()(steps))
    return steps, keras.layers.GlobalAveragePooling1D(keepdims=True)(hidden), STEPS


MASKS: dict[str, Build] = {
    "mean": _words(lambda L, e, f, g: e),
    "mean through layers": _words(lambda L, e, f, g: L.Dropout(0.0)(L.Dense(4, activation="tanh")(L.Identity()(e)))),
    "mean through norms": _words(lambda L, e, f, g: L.ReLU()(L.LayerNormalization()(e))),
    "add": _words(lambda L, e, f, g: L.Add()([e, g])),
    "add with none": _words(lambda L, e, f, g: L.Add()([e, f])),
    "concatenate": _words(lambda L, e, f, g: L.Concatenate()([e, g])),
    "concatenate with none": _words(lambda L, e, f, g: L.Concatenate()([e, f])),
    "concatenate steps": _words(lambda L, e, f, g: L.Concatenate(axis=1)([e, g])),
    "concatenate steps with none": _words(lambda L, e, f, g: L.Concatenate(axis=1)([e, f])),
    "masking": _steps,
}
MERGES: dict[str, Build] = {
    "add (1) (k)": _pair(WIDE, ONE, lambda L, a, b: L.Add()([L.Dense(4)(a), L.Dense(1)(b)])),
    "multiply (k) (t,k)": _pair(WIDE, LONG, lambda L, a, b: L.Multiply()([L.Dense(4)(a), L.Dense(4)(b)])),
    "maximum (k) (t,k)": _pair(WIDE, LONG, lambda L, a, b: L.Maximum()([L.Dense(4)(a), L.Dense(4)(b)])),
    "subtract (t,1) (t,k)": _pair(LONG, LONG, lambda L, a, b: L.Subtract()([L.Dense(1)(a), L.Dense(4)(b)])),
    "average (k) (1)": _pair(WIDE, ONE, lambda L, a, b: L.Average()([L.Dense(4)(a), L.Dense(1)(b)])),
    "dot 2": _pair(LONG, SHORT, lambda L, a, b: L.Dot(axes=2)([L.Dense(4)(a), L.Dense(4)(b)])),
    "dot (1,2)": _pair(LONG, SHORT, lambda L, a, b: L.Dot(axes=(1, 2))([L.Dense(4)(a), L.Dense(3)(b)])),
    "dot 1 and 2": _pair(WIDE, LONG, lambda L, a, b: L.Dot(axes=(1, 2))([L.Dense(4)(a), L.Dense(4)(b)])),
    "dot normalized": _pair(
        LONG, SHORT, lambda L, a, b: L.Dot(axes=-1, normalize=True)([L.Dense(4)(a), L.Dense(4)(b)])
    ),
}
CASES = {**MASKS, **MERGES}


def model_of(keras: Any, name: str) -> tuple[Any, Any]:
    """(a model of this case with one output, its data), with weights that are the same everywhere."""
    inputs, hidden, x = CASES[name](keras)
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(keras.layers.Flatten()(hidden)))
    model.set_weights([grid(*w.shape, salt=10 + i) / 4 for i, w in enumerate(model.get_weights())])
    return model, x


def outcome(keras: Any, name: str) -> dict[str, list[float]]:
    """Predictions, losses of three epochs, the loss after them and predictions again."""
    model, x = model_of(keras, name)
    model.compile(keras.optimizers.SGD(0.02), "mse")
    before = model.predict(x, verbose=0)
    history = model.fit(x, Y, epochs=3, batch_size=4, shuffle=False, verbose=0)
    return {
        "before": np.ravel(before).tolist(),
        "losses": [float(loss) for loss in history.history["loss"]] + [float(model.evaluate(x, Y, verbose=0))],
        "after": np.ravel(model.predict(x, verbose=0)).tolist(),
    }


if __name__ == "__main__":
    import keras

    rounded = {name: {k: [round(v, 8) for v in vs] for k, vs in outcome(keras, name).items()} for name in CASES}
    GOLDEN.write_text(json.dumps(rounded, indent=1) + "\n")
