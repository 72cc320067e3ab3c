"""One global seed, and the keys of the random streams that follow from it.

Every random number comes from a counter-based generator (Philox) keyed by seed, stream and counter, so that it
depends on nothing but the seed and on what was asked before it: not on threads, batch or machine.
"""

from __future__ import annotations

import operator
import os
from typing import Any

from . import _engine

__all__ = ["set_seed"]

_MASK = 2**64 - 1

# Streams of the generator used from Python; the engine's own (shuffle, dropout) are below 100.
_INITIALIZER_STREAM = 100
_RUN_STREAM = 101

_seed: int = int.from_bytes(os.urandom(8), "little")
_generation: int = 0
_initializers: int = 0
_runs: int = 0


def set_seed(seed: int) -> None:
    """Make everything random that follows reproducible: initial weights, shuffling, dropout.

    Args:
        seed: any integer; taken modulo 2**64.

    Raises:
        TypeError: not an integer.
    """
    global _seed, _generation, _initializers, _runs
    _seed = check_seed("seed", seed)
    _generation += 1
    _initializers = _runs = 0


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
    return _generation


def next_run_seed() -> int:
    """A seed (53 bits) for one model's shuffling and dropout."""
    global _runs
    _runs += 1
    return int(_engine.random_uniform(_seed, _RUN_STREAM, 0, _runs, 1)[0] * 2.0**53)


def _initializer_key(seed: int | None) -> tuple[int, int, int, int]:
    global _initializers
    if seed is not None:
        return seed, _INITIALIZER_STREAM, 0, 0
    _initializers += 1
    return _seed, _INITIALIZER_STREAM, 0, _initializers


def next_uniform(n: int, seed: int | None = None) -> _engine.Float64:
    """n float64 in [0, 1). With a seed: always the same ones; without: the next of the global seed."""
    return _engine.random_uniform(*_initializer_key(seed), n)


def next_normal(n: int, seed: int | None = None, limit: float | None = None) -> _engine.Float64:
    """n standard normal float64, truncated to [-limit, limit] if a limit is given."""
    key = _initializer_key(seed)
    if limit is None:
        return _engine.random_normal(*key, n)
    return _engine.random_normal(*key, n, -limit, limit)
