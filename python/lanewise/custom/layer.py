"""Layers and activations that a person wrote in Python, inside the engine; and the engine's own inside those."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import _engine, random
from .._engine import AnyArray, Array, Builder, Float32, Weight
from .._structure import flatten, pack
from ..layers.operation import tracing
from . import functions  # noqa: F401  what the tape looks up
from .tape import Traced, gradients

Write = Callable[[Builder, Sequence[int]], int]
"""Writes operations on values of a graph; returns the output's value."""


class LayerHost:
    """What the engine calls: the output of a layer, and the gradients of its input and its weights.

    Args:
        call: from an array of rows and whether dropout is on, and mask= if `takes` has one, to the output.
        name: for messages.
        weights: what it reads; what it assigns to them in a step that fails is undone.
        backward: where the person works out gradients: (inputs, outputs, gradient) -> gradient of the inputs, or
            (that, [gradient of each weight]); else the tape does.
        generators: what else it draws from.
    """

    def __init__(
        self, call: Callable[..., Any], name: str, weights: Sequence[Weight], backward: Any = None,
        generators: Sequence[random.SeedGenerator] = (),
    ) -> None:  # fmt: skip
        self._call = call
        self._name = name
        self._weights = list(weights)
        self._backward = backward
        self._generators = generators
        self._samples: list[tuple[int, ...]] = []
        self._taken: Any = None
        self._mask: tuple[int, ...] | None = None
        self._tape = threading.local()  # of this thread's last batch: the backward pass comes after it

    def takes(self, samples: Sequence[tuple[int, ...]], given: Any = None, mask: tuple[int, ...] | None = None) -> None:
        """The shapes of the inputs for one sample, the lists or dicts that several of them go to `call` in, and the
        shape of a mask that comes behind them, with a last axis of one element."""
        self._samples, self._taken, self._mask = list(samples), given, mask

    def _parts(self, x: AnyArray) -> list[AnyArray]:
        """The inputs, whose elements come one after the other."""
        samples = self._samples if self._mask is None else [*self._samples, self._mask]
        if self._taken is None and len(samples) == 1:
            return [x]
        ends = np.cumsum([math.prod(sample) for sample in samples])[:-1]
        parts = np.split(x.reshape(len(x), -1), ends, axis=1)
        return [part.reshape(len(x), *sample) for part, sample in zip(parts, samples, strict=True)]

    def _packed(self, parts: Sequence[Any]) -> Any:
        return parts[0] if self._taken is None else pack(self._taken, parts)

    def __call__(self, stage: str, arrays: Sequence[Any], training: bool, scale: float) -> None:
        """Views of the engine's memory come in, valid during the call: nothing of them is handed on."""
        if stage == "forward":
            self._tape.values = None
            x, *values = (array.copy() for array in arrays[:-1])
            values = [value.reshape(w.shape) for value, w in zip(values, self._weights, strict=True)]
            try:
                with random.Noted(self._generators) as self._tape.drawn:
                    self._tape.values = values
                    self.forward(x, values, arrays[-1], training, bool(scale))
            except BaseException:
                if training:
                    self._undo()
                raise
        elif stage == "backward":
            dy, dx = arrays
            found = self.backward(dy.copy())
            if dx is not None:
                dx[...] = found[0].reshape(dx.shape)
            self._tape.slopes = found[1:]
        elif stage == "undo":
            self._undo()
        else:
            arrays[0][...] = np.reshape(self._tape.slopes[int(scale)], arrays[0].shape)

    def _undo(self) -> None:
        """Of the last forward pass what it assigned and drew; once."""
        values, self._tape.values = self._tape.values, None
        if values is not None:
            self._tape.drawn.put_back()
            put_back(zip(self._weights, values, strict=True))

    def forward(self, x: AnyArray, values: Sequence[AnyArray], out: AnyArray, training: bool, traced: bool) -> None:
        """The output into `out`; with `traced`, what `backward` needs is kept."""
        traced = traced and self._backward is None
        wrap: Callable[[AnyArray], Any] = Traced if traced else lambda array: array.view(Array)
        parts = self._parts(x)
        masked = {} if self._mask is None else {"mask": (parts.pop()[..., 0] != 0).view(Array)}
        given, stand_ins = [wrap(part) for part in parts], [wrap(value) for value in values]
        y = _engine.substituted(self._weights, stand_ins, lambda: self._call(self._packed(given), training, **masked))
        value = np.asarray(y.value if isinstance(y, Traced) else y, np.float32)
        if value.shape != out.shape:
            raise ValueError(f"{self._name}: expected an output of shape {out.shape}, received {value.shape}")
        out[...] = value
        self._tape.last = (given, stand_ins, y)

    def backward(self, dy: Float32) -> list[AnyArray]:
        """Gradients of the input and of each weight."""
        given, stand_ins, y = self._tape.last
        self._tape.last = None
        if self._backward is not None:
            found = self._backward(self._packed([np.asarray(part) for part in given]), np.asarray(y), dy)
            first, slopes = found if isinstance(found, tuple) and len(found) == 2 else (found, [])
            parts = flatten(first)
            wanted = [part.shape for part in given]
            none = not slopes and not any(weight.trainable for weight in self._weights)
            if [np.shape(part) for part in parts] != wanted or not (none or len(slopes) == len(self._weights)):
                shapes = ", ".join(map(str, wanted))
                raise ValueError(
                    f"{self._name}: expected backward() to return the gradient of the inputs, of shape {shapes}, or "
                    f"that and a list with one of each of {len(self._weights)} weights, received {str(found)[:100]}"
                )
            return [self._joined(parts), *slopes]
        if not isinstance(y, Traced):
            return [self._joined([np.zeros_like(a.value) for a in given]), *(np.zeros_like(a.value) for a in stand_ins)]
        slopes = gradients(y, dy.astype(y.dtype, copy=False), [*given, *stand_ins])
        return [self._joined(slopes[: len(given)]), *slopes[len(given) :]]

    def _joined(self, parts: Sequence[AnyArray]) -> AnyArray:
        if self._mask is not None:  # which has no gradient
            parts = [*parts, np.zeros((len(parts[0]), *self._mask), np.float32)]
        if len(parts) == 1 and self._taken is None:
            return parts[0]
        return np.concatenate([np.reshape(part, (len(part), -1)) for part in parts], axis=1)

    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output for one sample, found by running the layer on two rows of ones; weights stay as they are.

        Raises:
            ValueError: the rows are not the first axis. Whatever the layer raises.
        """
        ones = [np.ones((2, *sample), np.float32) for sample in self._samples]
        wrap: Callable[[AnyArray], Any] = Traced if self._backward is None else lambda array: array.view(Array)
        masked = {} if self._mask is None else {"mask": np.ones((2, *self._mask[:-1]), bool).view(Array)}
        before, tracing.made = tracing.made, (made := [(weight, weight.numpy()) for weight in self._weights])
        try:
            with np.errstate(all="ignore"):
                y = self._call(self._packed([wrap(x) for x in ones]), False, **masked)
        finally:  # a call may count, in weights that it has made too
            tracing.made = before
            put_back(reversed(made))
            if before is not None:
                before += made
        if y is None or isinstance(y, tuple | list | dict):
            what = "nothing; return what it computes" if y is None else f"{len(y)}; join them or write two layers"
            raise ValueError(f"{self._name}: call() in Python gives one array, received {what}")
        shape = np.shape(y.value if isinstance(y, Traced) else y)
        if shape[:1] != (2,):
            raise ValueError(f"{self._name}: expected an output with the rows of the input, received shape {shape}")
        return tuple(shape[1:])


def put_back(values: Iterable[tuple[Weight, AnyArray]]) -> None:
    """Assign the values to the weights that have others; where there is no memory to compare them, to all."""
    for weight, value in values:
        try:
            same = np.array_equal(weight.numpy(), value, equal_nan=True)
        except MemoryError:
            same = False
        if not same:
            weight.assign(value)


def arguments_of(call: Callable[..., Any]) -> Collection[str]:
    """The names of a function's arguments; none where it does not tell."""
    try:
        return inspect.signature(call).parameters
    except (TypeError, ValueError):
        return ()


def write_function(function: Callable[..., Any], builder: Builder, value: int) -> int:
    """A person's own activation, elementwise, on a value of a graph."""
    name = str(getattr(function, "__name__", type(function).__name__))
    host = LayerHost(lambda x, training: function(x), name, [])
    host.takes([builder.shape(value)])
    shape = host.output_shape()
    return builder.call_python([value], [], shape, host)


def engine_call(
    write: Write, inputs: Sequence[Any], weights: Sequence[Weight], training: bool, frozen: Sequence[Weight] = (),
    reads_ids: bool = False,
) -> Any:  # fmt: skip
    """Operations of the engine on arrays, some of them traced: then gradients flow to those and to the weights.

    The gradient of an input is what reaches an operation in Python that hands it on, put before the others; its weight
    of one element is there so that gradients go that far. Inputs that ids are read from have none, nor a gradient.
    """
    arrays = [np.ascontiguousarray(x.value if isinstance(x, Traced) else x, np.float32) for x in inputs]
    reached: list[AnyArray] = list(arrays)
    hooks = [] if reads_ids else [Weight("hook", "hook", np.zeros(1, np.float32))]

    def hand_on(i: int, stage: str, arrays: Sequence[Any], unused: bool, scale: float) -> None:
        if stage == "forward":
            arrays[-1][...] = arrays[0]
        elif stage == "backward":
            reached[i] = arrays[0].copy()
        elif stage == "gradient":
            arrays[0][...] = 0

    def whole(builder: Builder, values: Sequence[int]) -> list[int]:
        handed = values if reads_ids else [
            builder.call_python([value], hooks, builder.shape(value), partial(hand_on, i))
            for i, value in enumerate(values)
        ]  # fmt: skip
        return [write(builder, handed)]

    program = _engine.Program([array.shape[1:] for array in arrays], whole)
    seed = random.next_run_seed() if training else 0
    left = [weight.variable for weight in frozen]
    y = program.network(frozen=left).call(arrays, training, seed, 0)[0]
    traced = [i for i, x in enumerate(inputs) if isinstance(x, Traced)]
    if not traced:
        return y.view(Array)
    made_of = [w for w in weights if isinstance(w.current(), Traced)]
    kept: dict[int, list[AnyArray]] = {}

    def slopes(g: AnyArray) -> list[AnyArray]:
        if id(g) not in kept:

            def slope(stage: str, arrays: Sequence[Any], unused: bool, scale: float) -> None:
                arrays[-1][...] = g if stage == "slope" else 0

            loss = (_engine.host_of(slope), program.outputs[0], 0.0, 1.0)
            network = program.network([loss], [], [w.variable for w in [*hooks, *made_of]], frozen=left)
            reached[:] = [np.zeros_like(array) for array in arrays]  # of what the output does not depend on
            _, found = network.value_and_grad(arrays, [np.zeros_like(y)], None, training, seed, 0)
            kept.clear()
            kept[id(g)] = [*(reached[i] for i in traced), *found[len(hooks) :]]
        return kept[id(g)]

    def part(i: int) -> Callable[[AnyArray], AnyArray]:
        return lambda g: slopes(g)[i]

    sources = [*(inputs[i] for i in traced), *(w.current() for w in made_of)]
    return Traced(y, [(source, part(i)) for i, source in enumerate(sources)])
