"""Slips that run without an error and spoil a training: `fit` warns once, with the fact it has seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _engine
from .._engine import AnyArray, Program
from .._names import warn
from .compiled import Compiled
from .data import Rows, largest, largest_column, not_finite

_LOOKED_AT = 32  # rows predicted to see what a model gives
_GROWTH = 1e3  # times the first epoch's loss, or 1 where that is more: it explodes
_PROBABILITIES = ("sigmoid", "softmax")


def warn_of_outputs(compiled: Compiled, program: Program, read: Callable[..., Any], rows: Rows) -> None:
    """Warn where a cross-entropy takes logits for probabilities or the reverse, and of a softmax over one column.

    Args:
        compiled: each of its losses is looked at once.
        program: the model's.
        read: calls a function under the lock of the weights.
        rows: what it will be trained on.
    """
    if compiled.advised:
        return
    compiled.advised = True
    for i in compiled.fitted:
        loss = compiled.outputs[i].loss
        operation, _ = program.builder.made_by(program.outputs[i])
        output = f"output {compiled.output_names[i]!r}" if compiled.several else "the model"
        if operation == "softmax" and program.output_shapes[i][-1] == 1:
            warn(
                f"loss: {output} ends with softmax over one column, which is always 1: for two classes use "
                "Dense(1, activation='sigmoid') and 'binary_crossentropy', or one column for each class"
            )
        from_logits = getattr(loss, "from_logits", None)
        if from_logits and operation in _PROBABILITIES:
            warn(
                f"loss: {loss.name} has from_logits=True, but {output} ends with {operation}, which gives "  # type: ignore[union-attr]
                "probabilities: leave out one of the two"
            )
        elif from_logits is False and operation not in _PROBABILITIES:
            count = min(rows.size, _LOOKED_AT)
            given = _engine.empty_outputs(program, count)
            read(program.predictor().predict, [array[:count] for array in rows.x], 0, count, given)
            low, high = float(given[i].min()), float(given[i].max())
            if low < 0 or high > 1:
                warn(
                    f"loss: {loss.name} expects probabilities, but {output} gives numbers from {low:.3g} to "  # type: ignore[union-attr]
                    f"{high:.3g}: end it with activation={loss.activation!r}, or pass from_logits=True"  # type: ignore[union-attr]
                )


def warn_of_overflow(inputs: Sequence[AnyArray], outputs: Sequence[AnyArray]) -> None:
    """Warn where numbers beyond float32 made results that are not finite, as NumPy warns of such a cast."""
    wide = any(array.dtype.kind == "f" and array.dtype.itemsize > 4 for array in inputs)
    if not wide or all(np.isfinite(output).all() for output in outputs):
        return
    for name, array in _named("x", inputs):
        if array.dtype.kind == "f" and (slip := not_finite(name, array, given=False)):
            return warn(f"predict: {slip}, so results are not finite", RuntimeWarning)


def loss_slip(loss: float, first: float, epoch: int, rows: Rows) -> str | None:
    """What to say of an epoch's loss that is not finite or grew beyond all measure, with the likely cause.

    Args:
        loss: of this epoch.
        first: of the first one.
        epoch: counted from 0.
        rows: what the model is trained on.
    """
    finite = math.isfinite(loss)
    if finite and not loss > _GROWTH * max(abs(first), 1.0):
        return None
    parts = [*_named("x", rows.x), *_named("y", rows.y)]
    cause = None if finite else next(filter(None, (not_finite(name, array) for name, array in parts)), None)
    if cause is None:
        reach = " and ".join(f"|{name}| is at most {_reach(array)}" for name, array in parts)
        cause = f"{reach}: try a smaller learning_rate, clipnorm=, or data scaled to a spread of about 1"
        if any(largest(array) > 10 for array in rows.x if array.dtype.kind == "f"):
            cause += " (layers.Normalization() as the first layer does it for x, after adapt(x))"
    if finite:
        return f"loss: grew from {first:.3g} to {loss:.3g} in epoch {epoch + 1}; {cause}"
    return f"loss: {'NaN' if math.isnan(loss) else loss} in epoch {epoch + 1}; {cause}"


def _named(name: str, arrays: Sequence[AnyArray]) -> list[tuple[str, AnyArray]]:
    return [(name if len(arrays) == 1 else f"{name}[{i}]", array) for i, array in enumerate(arrays)]


def _reach(array: AnyArray) -> str:
    value = f"{largest(array):.3g}"
    return value if array.ndim != 2 or array.shape[1] == 1 else f"{value} (column {largest_column(array)})"
