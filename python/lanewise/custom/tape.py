"""Arrays that remember how they were computed, so that a function of them can be differentiated.

`Traced` stands for an ndarray inside a person's own loss, activation or layer. Operators, NumPy's functions and those
of `lanewise.keras.ops` work on it; `gradients` walks back from a result to what it was made of (reverse mode). The
rules stand in `rules.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import converted
from .._engine import Weight
from .._operators import TracedBase

AnyArray = NDArray[Any]
Pullback = Callable[[AnyArray], AnyArray]
"""From the gradient of a result to that of what it was made of."""

_BARE = frozenset({bool, int, float})
_count = itertools.count()


class Traced(TracedBase):
    """An array and, where gradients flow, what it was made of.

    Attributes:
        value: the ndarray.
        made_of: (what, how gradients go back) for each array that it depends on.
    """

    __slots__ = ("_order", "made_of", "value")

    def __init__(self, value: Any, made_of: Sequence[tuple[Traced, Pullback]] = ()) -> None:
        self.value: AnyArray = np.asarray(value)
        self.made_of = tuple(made_of)
        self._order = next(_count)

    # --- what an array answers ------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def T(self) -> Any:
        return self.transpose()

    def numpy(self) -> AnyArray:
        """The values alone; no gradient flows through what is made of them."""
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        raise TypeError(
            "a traced array, as y_pred, cannot become a plain one or a tensor: its gradient would be lost; use "
            "operators, keras.ops, NumPy functions that take it as it is, or x.numpy() where no gradient is wanted"
        )

    def __len__(self) -> int:
        return len(self.value if self.ndim else np.asarray(self))  # raises

    def __iter__(self) -> Iterator[Traced]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<Traced {self.value!r}>"

    # --- comparisons, indexing ------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.value)

    def __eq__(self, other: Any) -> Any:
        return np.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return np.not_equal(self, other)

    __hash__ = object.__hash__

    def __getitem__(self, index: Any) -> Traced:
        if isinstance(index, Traced):
            index = index.value
        elif isinstance(index, tuple):
            index = tuple(i.value if isinstance(i, Traced) else i for i in index)

        def back(g: AnyArray) -> AnyArray:
            whole = np.zeros_like(self.value)
            np.add.at(whole, index, g)
            return whole

        return Traced(self.value[index], [(self, back)])

    # --- methods: NumPy's, by its functions ------------------------------------------------------------------------

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.min(self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.prod(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.var(self, axis=axis, keepdims=keepdims)

    def std(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.std(self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: Any = None) -> Any:
        return np.cumsum(self, axis)

    def round(self, decimals: int = 0) -> Any:
        return np.round(self.value, decimals)

    def argmax(self, axis: Any = None) -> Any:
        return self.value.argmax(axis)

    def argmin(self, axis: Any = None) -> Any:
        return self.value.argmin(axis)

    def clip(self, lower: Any = None, upper: Any = None) -> Any:
        return np.clip(self, lower, upper)

    def reshape(self, *shape: Any) -> Any:
        new = shape[0] if len(shape) == 1 else shape
        return np.reshape(self, new)

    def transpose(self, *axes: Any) -> Any:
        order = (axes[0] if len(axes) == 1 else axes) if axes else None
        return np.transpose(self, order)

    def ravel(self) -> Any:
        return self.reshape(-1)

    flatten = ravel

    def squeeze(self, axis: Any = None) -> Any:
        return np.squeeze(self, axis)

    def dot(self, other: Any) -> Any:
        return np.dot(self, other)

    def astype(self, dtype: Any) -> Any:
        value = converted(self.value, np.dtype(dtype))
        return Traced(value, [(self, lambda g: g)]) if value.dtype.kind == "f" else value  # steps, whose slope is 0

    # --- NumPy ------------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        from .rules import call_ufunc

        return call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from .rules import call_function

        return call_function(function, args, kwargs)


def plain(x: Any) -> Any:
    """The ndarray of a traced array (also inside lists and tuples); anything else as it is."""
    if isinstance(x, Weight):
        x = x.current()
    if isinstance(x, Traced):
        return x.value
    if isinstance(x, list | tuple):
        return type(x)(plain(item) for item in x)
    return x


def typed(*values: Any) -> list[Any]:
    """Bare numbers in the float type of the arrays beside them; anything else as it is.

    NumPy 2 does so by itself. NumPy 1 looks at values where all are of one element: float32 and 0.5 are float64 there.
    """
    arrays = [v for v in values if v is not None and type(v) not in _BARE]
    kind = np.result_type(*(np.asarray(v).dtype for v in arrays)) if arrays else None
    if kind is None or kind.kind != "f":
        return list(values)
    return [np.asarray(v, kind) if type(v) in _BARE else v for v in values]


def gradients(result: Traced, seed: AnyArray, of: Sequence[Traced]) -> list[AnyArray]:
    """seed^T times the Jacobian of `result` with respect to each of `of`.

    Args:
        result: what was computed.
        seed: gradient of whatever it is for, of the result's shape.
        of: arrays that it was made of; zeros for one that it does not depend on.
    """
    reached: dict[int, Traced] = {}
    pending = [result]
    while pending:
        node = pending.pop()
        if node._order not in reached:
            reached[node._order] = node
            pending.extend(source for source, _ in node.made_of)
    sums: dict[int, AnyArray] = {result._order: seed}
    for order in sorted(reached, reverse=True):  # what was made later first
        node, g = reached[order], sums.get(order)
        if g is None:
            continue
        for source, back in node.made_of:
            part = np.asarray(back(g)).astype(source.value.dtype, copy=False)
            before = sums.get(source._order)
            sums[source._order] = part if before is None else before + part
    return [sums.get(x._order, np.zeros_like(x.value)) for x in of]


def value_and_gradients(function: Callable[..., Any], *arrays: Any) -> tuple[AnyArray, list[AnyArray]]:
    """(function(*arrays), gradient of the sum of its elements for each array).

    Raises:
        TypeError: the function uses something that has no derivative here.
    """
    traced = [Traced(array) for array in arrays]
    result = function(*traced)
    if not isinstance(result, Traced):  # it does not depend on them
        return np.asarray(result), [np.zeros_like(t.value) for t in traced]
    return result.value, gradients(result, np.ones_like(result.value), traced)
