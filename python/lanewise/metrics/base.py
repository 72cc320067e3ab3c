"""What metrics share: sums that the engine adds up batch by batch, and what they mean at the end."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine
from .._engine import AnyArray, Array, Float64
from .._given import is_own
from .._names import automatic_name, snake_case
from ..losses.base import RowFunction, align


class Metric(RowFunction):
    """A value over all rows seen since `reset_state`; by itself the mean of a row function.

    Inside `fit` and `evaluate` the engine adds the sums up, without Python between two batches; on its own
    `update_state` does.

    Args:
        name: key in logs and history; None for Keras's name of the class.
    """

    numbered: ClassVar[bool] = False
    """Whether instances without a name are numbered: `auc`, `auc_1`, as in Keras."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        kind: Any = next(cls for cls in type(self).__mro__ if not is_own(cls))
        written = kind is Metric  # by a person, from nothing
        if name is None:
            name = snake_case(type(self).__name__) if written else kind.default_name or snake_case(kind.__name__)
            name = automatic_name(name) if written or self.numbered else name
        super().__init__(name, dtype)

    # --- what a kind of metric says about itself ----------------------------------------------------------------

    def size(self, columns: int) -> int:
        """How many sums the engine keeps for predictions of this many columns."""
        return 2

    def finish(self, sums: Float64) -> Any:
        """The metric, a number or an array, from its sums; 0 without rows, as in Keras."""
        return self.from_mean(float(sums[0]) / float(sums[1]) if sums[1] else 0.0)

    def from_mean(self, mean: float) -> float:
        """The metric from the mean of its row values."""
        return mean

    def resolved(self, target_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Metric:
        """The metric itself for targets and outputs of these shapes per sample ('accuracy' stands for several)."""
        return self

    def finished(self, sums: Float64) -> Any:
        """`finish` rounded to float32: a Python float, or an array. `result` is that of these sums from now on."""
        self._sums = sums
        return _engine.single(self.finish(sums))

    # --- on its own ---------------------------------------------------------------------------------------------

    _sums: Float64 | None = None

    def reset_state(self) -> None:
        """Forget all rows: what `add_weight` made becomes zero, in metrics kept as attributes too."""
        self._sums = None
        for state in vars(self).get("_state", ()):
            state.assign(np.zeros(state.shape))
        for metric in self._inner():
            metric.reset_state()

    reset_states = reset_state

    def update_state(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Add rows, each with its weight (1): a number, (n,) or (n, 1)."""
        if not hasattr(self, "kernel") and not self.own:
            raise NotImplementedError(f"{type(self).__name__}: a metric needs update_state(...) and result()")
        pred, true = np.ascontiguousarray(y_pred, dtype=np.float32), np.asarray(y_true)
        if self.own:
            return self._add(_sums_of(self.rows(true, pred), sample_weight))
        if pred.ndim == 0:
            pred, true = pred[None], true[None]
        if pred.ndim == 1:
            pred, true = (pred[None], true[None]) if self.joint else (pred[:, None], true)
        rows = pred.shape[:-1]
        if pred.ndim > 2:  # rows of rows
            true = true.reshape(-1, *true.shape[len(rows) :])
            pred = pred.reshape(-1, pred.shape[-1])
        shape = pred.shape[1:]
        metric = self.resolved(true.shape[1:], shape)
        target = align(metric, true, shape, "y_true", infinite=True)
        if len(target) != len(pred):
            raise ValueError(f"y_true: expected {len(pred)} rows as y_pred has, received {len(target)}")
        if not metric.sparse:
            target = np.ascontiguousarray(target, dtype=np.float32)
        weights = None if sample_weight is None else _weights(sample_weight, rows)
        kernel = metric.kernel_after("")[0]
        self._add(_engine.metric_sums(kernel, target, pred, metric.param_for(shape[-1]), weights))

    def _add(self, sums: Float64) -> None:
        self._sums = sums if self._sums is None else self._sums + sums

    def result(self) -> Array:
        """The metric over the rows seen, with `.numpy()`; 0 without rows."""
        return _engine.as_array(0.0 if self._sums is None else self.finished(self._sums))

    def __call__(self, *args: Any, **kwargs: Any) -> Array:
        """update_state, then result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    # --- state of a person's own ----------------------------------------------------------------------------------

    def add_weight(
        self, *given: Any, shape: Any = None, initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> State:
        """A variable for `update_state` to add to: `add_weight(shape, initializer)`, or with its name in front.

        Args:
            shape: (): one number.
            initializer: name or instance, "zeros".
            dtype: of NumPy's, float32.
        """
        from ..layers.own import weight_arguments

        made = vars(self).setdefault("_state", [])
        name, shape, initializer, *_ = weight_arguments(
            len(made), given, name, shape, initializer or "zeros", None, None
        )
        state = State(name, f"{self.name}/{name}", np.array(initializer(shape), dtype or np.float32).reshape(shape))
        made.append(state)
        return state

    add_variable = add_weight

    def _inner(self) -> list[Metric]:
        return [value for value in vars(self).values() if isinstance(value, Metric)]

    def kept(self) -> Callable[[], None]:
        """What puts its attributes and variables back as they are now, those of metrics that it keeps too."""
        values = [(state, state.numpy()) for state in vars(self).get("_state", ())]
        inner = [metric.kept() for metric in self._inner()]
        plain = (int, float, str, bool, list, dict, set, tuple, np.ndarray, type(None))
        attributes = {k: deepcopy(v) for k, v in vars(self).items() if isinstance(v, plain) and k != "_state"}

        def put_back() -> None:
            vars(self).update(attributes)
            for state, value in values:
                state.assign(value)
            for other in inner:
                other()

        return put_back

    @property
    def variables(self) -> list[State]:
        """What `add_weight` made, in metrics kept as attributes too."""
        return [*vars(self).get("_state", ()), *(state for metric in self._inner() for state in metric.variables)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class State(_engine.Weight):
    """Numbers that a metric keeps: a `Weight` that no model knows, of any dtype."""

    def __init__(self, name: str, path: str, value: AnyArray) -> None:
        self.name, self.path, self.shape, self.dtype = name, path, value.shape, value.dtype.name
        self.trainable, self._value = False, value

    def numpy(self) -> AnyArray:
        return self._value.copy()

    def assign(self, value: ArrayLike) -> None:
        array = np.asarray(value)
        if array.shape != self.shape:
            self.checked(array)  # raises
        self._value = array.astype(self.dtype)


def _weights(sample_weight: ArrayLike, rows: tuple[int, ...]) -> AnyArray:
    from ..losses.base import weights_like

    weights = np.asarray(sample_weight, np.float32)
    return np.ascontiguousarray(weights_like(np.empty(rows, np.float32), weights).reshape(-1))


def _sums_of(rows: AnyArray, sample_weight: ArrayLike | None) -> Float64:
    weights = np.ones(rows.shape) if sample_weight is None else _weights(sample_weight, rows.shape)
    return np.array([(rows * weights).sum(dtype=np.float64), weights.sum(dtype=np.float64)])


def ratio(part: ArrayLike, whole: ArrayLike) -> Any:
    """part / whole, 0 where whole is 0."""
    a, b = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)
