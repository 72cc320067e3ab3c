"""Categories as numbers: CategoryEncoding, IntegerLookup, StringLookup, Discretization.

Looking up happens in NumPy, before the engine, on whole arrays (`prepare`): words and other integers become ids.
One-hot and counting columns are made by the engine, batch by batch, so that no large array of zeros ever exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from .._arrays import any_array
from .._engine import AnyArray, Array, Builder, Float32
from .._names import check_default, check_integer
from .base import Layer, match_rank
from .operation import Shape, is_symbolic
from .own import refuse_more

_MODES = {"one_hot": 0, "multi_hot": 1, "count": 2}


def _check_mode(mode: Any, allowed: Sequence[str]) -> str:
    mode = "multi_hot" if mode == "binary" else mode
    if mode not in allowed:
        hint = "; TF-IDF is not there" if mode in ("tf_idf", "tf-idf") else ""
        raise ValueError(f"output_mode: expected one of {', '.join(allowed)}, received {mode!r}{hint}")
    return str(mode)


def encode(ids: AnyArray, mode: str, tokens: int) -> Float32:
    """Columns for ids (..., k): (..., k, tokens) ones, or (..., tokens) ones or counts; ids of -1 are left out."""
    if mode == "one_hot":
        ids = ids[..., 0] if ids.ndim > 1 and ids.shape[-1] == 1 else ids
        return np.asarray(ids[..., None] == np.arange(tokens), np.float32)
    flat = ids.reshape(-1, ids.shape[-1])
    out = np.zeros((len(flat), tokens + 1), np.float32)  # the last column takes what is left out
    np.add.at(out, (np.arange(len(flat))[:, None], flat), 1.0)
    out = out if mode == "count" else np.minimum(out, 1.0)
    return np.ascontiguousarray(out[:, :tokens]).reshape(*ids.shape[:-1], tokens)


class _Categorical(Layer):
    """What ends in ids or in columns for them."""

    output_mode: str
    mask_use = "drops"
    reads_ids = True

    def _tokens(self) -> int:
        """Number of columns."""
        raise NotImplementedError

    def ids(self, argument: str, data: Any) -> AnyArray:
        """int64 ids of the data."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.output_mode == "int":
            return input_shape
        if self.output_mode == "one_hot" and input_shape[-1] != 1:
            return (*input_shape, self._tokens())
        return (*input_shape[:-1], self._tokens())

    def lower(self, builder: Builder, value: int) -> int:
        if self.output_mode == "int":
            return value
        return builder.add("encode", value, tokens=self._tokens(), mode=_MODES[self.output_mode])

    def __call__(self, inputs: Any, *more: Any, training: bool | None = None, **other: Any) -> Any:
        """Ids (int64) or columns (float32) of an array of any shape; or, on symbolic tensors, a symbolic tensor."""
        refuse_more(self, other)
        if is_symbolic(inputs):
            return self.call_on(inputs)
        ids = self.ids("inputs", inputs)
        if self.output_mode == "int":
            return ids
        return encode(ids[None] if ids.ndim == 0 else ids, self.output_mode, self._tokens()).view(Array)


class CategoryEncoding(_Categorical):
    """Ids as columns.

    Args:
        num_tokens: number of columns; ids are 0 .. num_tokens - 1, others raise ValueError.
        output_mode: 'multi_hot' (a 1 for each id among those along the last axis), 'count' (how often each occurs), or
            'one_hot' (a row for each id).
        sparse: not supported; False.
        **kwargs: see `Layer`.
    """

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        if num_tokens is None:
            raise ValueError("num_tokens: expected the number of ids; IntegerLookup finds it by itself")
        self.num_tokens = check_integer("num_tokens", num_tokens, 1)
        self.output_mode = _check_mode(output_mode, tuple(_MODES))
        check_default("sparse", sparse, False, "columns are dense")
        super().__init__(**kwargs)

    def _tokens(self) -> int:
        return self.num_tokens

    def ids(self, argument: str, data: Any) -> AnyArray:
        array = _numbers(argument, data)
        bad = ~((array >= 0) & (array < self.num_tokens) & (array == np.floor(array)))
        if bad.any():
            raise ValueError(
                f"{argument}: expected whole numbers from 0 to {self.num_tokens - 1} (num_tokens={self.num_tokens}), "
                f"received {array[bad][0]} at {tuple(int(i) for i in np.argwhere(bad)[0])}"
            )
        return array.astype(np.int64)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}


class _Prepared(_Categorical):
    """Those that look at the data before the engine."""

    host = True

    def prepare(self, argument: str, data: Any) -> AnyArray:
        ids = match_rank(self.ids(argument, data), None)
        if self.output_mode != "int" and (ids < 0).any():
            raise NotImplementedError(
                f"{self.name}: values that output_mode={self.output_mode!r} leaves out (the mask token) are not "
                "supported inside a model; call the layer on the data first"
            )
        return ids


class Discretization(_Prepared):
    """The number of the bin that a value falls into: 0 below the first boundary, 1 from it to the second, ...

    Args:
        bin_boundaries: ascending numbers.
        num_bins: instead, how many bins of about equally many values `adapt` shall find.
        epsilon: allowed error of those, as in Keras.
        output_mode: 'int', or as in `CategoryEncoding`.
        sparse: not supported; False.
        **kwargs: see `Layer`.
    """

    def __init__(
        self, bin_boundaries: Sequence[float] | None = None, num_bins: int | None = None, epsilon: float = 0.01,
        output_mode: str = "int", sparse: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                f"bin_boundaries, num_bins: give one of them, received {bin_boundaries!r} and {num_bins!r}"
            )
        self.num_bins = None if num_bins is None else check_integer("num_bins", num_bins, 1)
        self.epsilon = epsilon
        self.output_mode = _check_mode(output_mode, ("int", *_MODES))
        check_default("sparse", sparse, False, "columns are dense")
        self.bin_boundaries: list[float] | None = None
        if bin_boundaries is not None:
            self._set_boundaries(bin_boundaries)
        super().__init__(**kwargs)

    def _set_boundaries(self, values: Sequence[float]) -> None:
        array = np.asarray(values, np.float64)
        if array.ndim != 1 or not np.isfinite(array).all() or (np.diff(array) < 0).any():
            raise ValueError(f"bin_boundaries: expected ascending finite numbers, received {values!r}")
        self.bin_boundaries = array.tolist()

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Take the boundaries from data: quantiles of a summary, by Keras's rule. `batch_size`, `steps` mean nothing.

        Raises:
            ValueError: boundaries were given.
        """
        if self.num_bins is None:
            raise ValueError(f"{self.name}: adapt() has nothing to do: bin_boundaries= were given")
        values = np.sort(_numbers("data", data).astype(np.float32), axis=None)
        step = max(len(values) * self.epsilon, 1.0)
        kept = values[int(step - 1) :: int(step)]
        summary = _compressed(np.stack([kept, np.full_like(kept, step)]), self.epsilon)
        self.bin_boundaries = _compressed(summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def _tokens(self) -> int:
        return self.num_bins or len(self.bin_boundaries or ()) + 1

    def ids(self, argument: str, data: Any) -> AnyArray:
        if self.bin_boundaries is None:
            raise ValueError(f"{self.name}: no boundaries yet; call adapt(data), or give bin_boundaries=")
        values = _numbers(argument, data).astype(np.float32)
        return np.digitize(values, np.asarray(self.bin_boundaries, np.float32)).astype(np.int64)

    def get_config(self) -> dict[str, Any]:
        return {
            **{key: value for key, value in super().get_config().items() if key != "trainable"},  # as Keras's
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": False,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The layer that `get_config` described, boundaries found by `adapt` included."""
        if config.get("num_bins") is None or config.get("bin_boundaries") is None:
            return super().from_config(config)
        layer = super().from_config({**config, "bin_boundaries": None})
        layer._set_boundaries(config["bin_boundaries"])
        return layer


def _compressed(summary: AnyArray, epsilon: float) -> AnyArray:
    """Values and weights brought to about 1/epsilon of them: interpolated along the cumulated weights, as Keras."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    of_all = weights / weights[-1]
    bins, total = np.interp(shares, of_all, summary[0]), np.interp(shares, of_all, weights)
    return np.stack([bins, total - np.concatenate([[0.0], total[:-1]])]).astype(np.float32)


def _numbers(argument: str, data: Any) -> AnyArray:
    array = any_array(data)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected real numbers, received an array of dtype {array.dtype}")
    return array
