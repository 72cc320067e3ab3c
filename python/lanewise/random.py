"""One global seed, arrays of random numbers, and the keys of the random streams that follow from it.

Every random number comes from a counter-based generator (Philox) keyed by seed, stream and counter, so that it
depends on nothing but the seed and on what was asked before it: not on threads, batch or machine.
"""

from __future__ import annotations

import itertools
import operator
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _engine, _missing
from ._names import check_share

__all__ = ["SeedGenerator", "dropout", "normal", "randint", "set_seed", "shuffle", "truncated_normal", "uniform"]

__getattr__ = _missing.getter(__name__, __all__)

_MASK = 2**64 - 1

# Streams of the generator used from Python; the engine's own (shuffle, dropout) are below 100.
_INITIALIZER_STREAM = 100
_RUN_STREAM = 101

_generations = itertools.count()


class _State:
    """A seed and what was drawn from it."""

    def __init__(self, seed: int) -> None:
        self.begin(seed)

    def begin(self, seed: int) -> None:
        self.seed = seed
        self.generation = next(_generations)
        self.initializers = self.runs = 0


_process = _State(int.from_bytes(os.urandom(8), "little"))
_threads = threading.local()


def _state() -> _State:
    state: _State = getattr(_threads, "state", _process)
    return state


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The calling thread draws from a seed of its own; in it `set_seed` means that one too."""
    before = _state()
    _threads.state = _State(check_seed("seed", seed))
    try:
        yield
    finally:
        _threads.state = before


def generators_of(layers: Iterable[Any]) -> list[SeedGenerator]:
    """Those that the layers keep as attributes."""
    return [found for layer in layers for found in vars(layer).values() if isinstance(found, SeedGenerator)]


def drawn(generators: Sequence[SeedGenerator]) -> list[int]:
    """The seed of the calling thread, what was drawn from it, and from the generators."""
    state = _state()
    return [state.seed, state.initializers, state.runs, *(generator.used for generator in generators)]


def draw_from(generators: Sequence[SeedGenerator], counts: Sequence[int]) -> None:
    """Go on where `drawn` gave these counts. Raises ValueError: they are of other generators."""
    if len(counts) != 3 + len(generators):
        raise ValueError(f"random: {len(counts) - 3} generators, expected {len(generators)}")
    state = _state()
    state.seed, state.initializers, state.runs, *used = counts
    for generator, count in zip(generators, used, strict=True):
        generator.used = count


class Noted:
    """How much was drawn, before something and after it; a context."""

    def __init__(self, generators: Sequence[SeedGenerator]) -> None:
        self._generators = generators
        self._after: list[int] | None = None

    def __enter__(self) -> Noted:
        self._before = drawn(self._generators)
        return self

    def __exit__(self, *_: Any) -> None:
        self._after = drawn(self._generators)

    def put_back(self) -> None:
        """The same is drawn again, unless something else was drawn since."""
        if self._after in (None, drawn(self._generators)):
            draw_from(self._generators, self._before)

    def go_on(self) -> None:
        """After `put_back`: it is drawn after all, unless something else was drawn since."""
        if self._after is not None and drawn(self._generators) == self._before:
            draw_from(self._generators, self._after)


def set_seed(seed: int) -> None:
    """Make everything random that follows reproducible: initial weights, shuffling, dropout.

    Args:
        seed: any integer; taken modulo 2**64.

    Raises:
        TypeError: not an integer.
    """
    _state().begin(check_seed("seed", seed))


def check_seed(argument: str, seed: Any) -> int:
    """seed modulo 2**64. Raises TypeError where it is no integer."""
    try:
        if isinstance(seed, bool):
            raise TypeError
        return operator.index(seed) & _MASK
    except TypeError:
        raise TypeError(f"{argument}: expected an integer, received {seed!r} of type {type(seed).__name__}") from None


def generation() -> int:
    """How often `set_seed` was called: a model that drew its seed before the last call draws a new one."""
    return _state().generation


def next_run_seed() -> int:
    """A seed (53 bits) for one model's shuffling and dropout."""
    state = _state()
    state.runs += 1
    return int(_engine.random_uniform(state.seed, _RUN_STREAM, 0, state.runs, 1)[0] * 2.0**53)


def _initializer_key(seed: int | None) -> tuple[int, int, int, int]:
    if seed is not None:
        return seed, _INITIALIZER_STREAM, 0, 0
    state = _state()
    state.initializers += 1
    return state.seed, _INITIALIZER_STREAM, 0, state.initializers


def _addressable(n: int) -> int:
    if n >= 2**60:  # of 8 bytes each: no address is left
        raise ValueError(f"shape: {n} elements are more than any memory holds")
    return n


def next_uniform(n: int, seed: int | None = None) -> _engine.Float64:
    """n float64 in [0, 1). With a seed: always the same ones; without: the next of the global seed."""
    return _engine.random_uniform(*_initializer_key(seed), _addressable(n))


def next_normal(n: int, seed: int | None = None, limit: float | None = None) -> _engine.Float64:
    """n standard normal float64, truncated to [-limit, limit] if a limit is given."""
    key, n = _initializer_key(seed), _addressable(n)
    if limit is None:
        return _engine.random_normal(*key, n)
    return _engine.random_normal(*key, n, -limit, limit)


# --- arrays: the functions of `keras.random` and of `tf.random` ------------------------------------------------------


class SeedGenerator:
    """Seeds, one after the other, for the functions below.

    Args:
        seed: where to begin; None for the next of the global seed.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self._seed = next_run_seed() if seed is None else check_seed("seed", seed)
        self.used = 0

    def next(self) -> int:
        """The next seed."""
        self.used += 1
        return int(_engine.random_uniform(self._seed, _RUN_STREAM, 1, self.used, 1)[0] * 2.0**53)


def _seed_of(seed: Any) -> int | None:
    if isinstance(seed, SeedGenerator):
        return seed.next()
    return None if seed is None else check_seed("seed", seed)


def _shaped(values: _engine.Float64, shape: Any, dtype: Any) -> Any:
    kind = np.dtype("float32" if dtype is None else getattr(dtype, "name", dtype))
    return values.reshape(shape).astype(kind).view(_engine.Array)


def _count(shape: Any) -> int:
    return int(np.prod(shape, dtype=np.int64))


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normally distributed numbers, float32.

    Args:
        shape: of the result.
        mean, stddev: of the distribution.
        dtype: another type of number.
        seed: the same seed gives the same numbers; None for the next of the global seed.
    """
    return _shaped(mean + stddev * next_normal(_count(shape), _seed_of(seed)), shape, dtype)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """`normal`, none further than two standard deviations from the mean."""
    return _shaped(mean + stddev * next_normal(_count(shape), _seed_of(seed), 2.0), shape, dtype)


def uniform(shape: Any, minval: float = 0.0, maxval: float | None = None, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers in [minval, maxval), float32; integers for an integer dtype; arguments as of `normal`."""
    high = 1.0 if maxval is None else maxval
    values = minval + (high - minval) * next_uniform(_count(shape), _seed_of(seed))
    whole = dtype is not None and np.dtype(getattr(dtype, "name", dtype)).kind in "iu"
    return _shaped(np.floor(values) if whole else values, shape, dtype)


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Integers in [minval, maxval); arguments as of `normal`."""
    return uniform(shape, minval, maxval, dtype, seed)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """`inputs`, each element 0 with the probability `rate`, the others divided by 1 - rate; for layers of your own.

    Args:
        inputs: an array.
        rate: in [0, 1].
        noise_shape: of what is drawn, which broadcasts; None in it: the length of that axis; None: as inputs.
        seed: as of `normal`.
    """
    x = inputs if hasattr(inputs, "shape") else np.asarray(inputs, np.float32)
    rate = check_share("rate", rate)
    given = x.shape if noise_shape is None else noise_shape
    shape = [x.shape[i] if axis is None else axis for i, axis in enumerate(given)]
    kept = (next_uniform(_count(shape), _seed_of(seed)) >= rate).reshape(shape)
    return x * (kept * np.float32(1 / (1 - rate) if rate < 1 else 0))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """x, its slices along an axis in another order."""
    array = np.asarray(x)
    order = np.argsort(next_uniform(array.shape[axis], _seed_of(seed)), kind="stable")
    return np.take(array, order, axis)
