"""The only module on the model side that knows the compiled core.

Three things stand here: `Weight` (a named parameter), `Builder` and `Program` (a list of layers written as a graph of
engine operations and compiled for a loss), and the loops that hand an epoch to the engine slice by slice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._names import BEYOND
from ._operators import Operators, TracedBase, unmasked
from ._structure import Trained

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
AnyArray = NDArray[Any]
P = ParamSpec("P")
T = TypeVar("T")
Optimizer = _core.Optimizer
Network = _core.Network
Host = _core.Host
Variable = _core.Variable

random_uniform = _core.random_uniform
random_normal = _core.random_normal
permutation = _core.permutation
fma_peak = _core.fma_peak
column_moments = _core.column_moments
loss_rows = _core.loss_forward
mean_loss_slope = _core.loss_backward
metric_sums = _core.metric_sums
get_num_threads = _core.get_num_threads
limit_threads = _core.limit_threads
ModelLock = _core.ModelLock

PREDICT_ROWS = _core.PREDICT_ROWS  # slices of a prediction are multiples of it
MOST_NETWORKS = 8  # of one program

_ACTIVATIONS: Mapping[str, Callable[[Float32], Float32]] = {
    "relu": _core.relu_forward,
    "sigmoid": _core.sigmoid_forward,
    "tanh": _core.tanh_forward,
    "softmax": _core.softmax_forward,
    "log_softmax": _core.log_softmax_forward,
}


def host_of(function: Callable[[str, list[Any], bool, float], None], *args: Any, **named: Any) -> Host:
    """`_core.Host`, which holds the function where Python's collector sees it."""
    host = _core.Host(function, *args, **named)
    host.function = function
    return host


def activation_rows(name: str, x: Float32, *numbers: float) -> Float32:
    """The activation kernel `name`, with its numbers, over a C-contiguous (rows, cols) array."""
    if name in _ACTIVATIONS:
        return _ACTIVATIONS[name](x)
    a, b, c = (*numbers, 0.0, 0.0, 0.0)[:3]
    return _core.activation_forward(name, x, a, b, c)


class Array(np.ndarray[Any, np.dtype[np.float32]]):
    """What `model(x)` returns: an ndarray that also answers `.numpy()`, as a Keras tensor does."""

    def numpy(self) -> Float32:
        """The same values as a plain ndarray (a view)."""
        return self.view(np.ndarray)


def within(values: AnyArray) -> NDArray[np.bool_]:
    """Where the nearest float32 is finite."""
    return np.abs(values) < BEYOND if values.dtype.kind == "f" and values.itemsize > 4 else np.isfinite(values)


def single(value: Any) -> Any:
    """The nearest float32 of each number, a Python float of one. Infinite beyond them, without a warning and without
    NumPy's `errstate`: it sets a context variable, and CPython 3.11 ends where there is no memory for that."""
    if isinstance(value, float):
        return float(np.float32(value)) if -BEYOND < value < BEYOND else value * np.inf
    found = np.array(value, np.float64)
    found[~within(found)] *= np.inf
    rounded = found.astype(np.float32)
    return rounded if rounded.ndim else float(rounded)


def as_array(value: Any) -> Array:
    """value, a number or an array, as float32 that answers `.numpy()`; one that remembers its gradient as it is."""
    if isinstance(value, TracedBase):
        return value  # type: ignore[return-value]
    return np.asarray(value, np.float32).view(Array)


_NOISE = frozenset({"dropout", "alpha_dropout", "gaussian_noise", "gaussian_dropout"})

_standing_for = threading.local()
"""In a layer written in Python, while its `call` runs: what each weight stands for, by id."""


def substituted(weights: Sequence[Weight], values: Sequence[Any], function: Callable[[], T]) -> T:
    """function(), in which these weights stand for these arrays (in this thread)."""
    outer: dict[int, Any] = getattr(_standing_for, "values", {})
    inner = outer | dict(zip(map(id, weights), values, strict=True))
    _standing_for.values = now = dict(inner)
    try:
        return function()
    finally:
        _standing_for.values = outer
        for key in outer.keys() & now.keys():
            if now[key] is not inner[key]:  # assigned meanwhile
                outer[key] = _renewed(outer[key], now[key].numpy())


def _renewed(stand_in: Any, value: Float32) -> Any:
    """What stands for a weight that has another value now; its gradient goes on to the weight."""
    traced: Any = type(stand_in)
    return traced(value, [(stand_in, np.asarray)]) if isinstance(stand_in, TracedBase) else value.view(Array)


class Weight(Trained, Operators):
    """A named parameter of a layer: `numpy()` reads it, `assign()` writes it. Operators and NumPy functions take it.

    Attributes:
        name, path: its name in the layer (`kernel`), and with the layer's (`dense_1/kernel`).
        shape: its shape.
        trainable: whether training may ever change it (statistics: False).
        variable: the engine's buffer: of this shape, or flat (one axis, all elements).
    """

    dtype = "float32"

    def __init__(self, name: str, path: str, value: Float32, trainable: bool = True, flat: bool = False) -> None:
        self.name = name
        self.path = path
        self.shape: tuple[int, ...] = value.shape
        self.trainable = self.made_trainable = trainable  # its place among others goes by the second, as in Keras
        self.variable = _core.Variable((value.size,) if flat else value.shape)
        self.variable.set(value.reshape(self.variable.shape))
        self.after_assign: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def numpy(self) -> Float32:
        """A copy of the values."""
        return self.variable.get().reshape(self.shape)

    def checked(self, value: ArrayLike) -> Float32:
        """value as a float32 array of this weight's shape.

        Raises:
            TypeError: no real numbers. ValueError: another shape.
        """
        array = _plain(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{self.path}: expected real numbers, received dtype {array.dtype}")
        if array.shape != self.shape:
            raise ValueError(f"{self.path}: expected shape {self.shape}, received {array.shape}")
        return np.ascontiguousarray(array, dtype=np.float32).reshape(self.shape)  # NumPy gives () an axis there

    def slots(self, optimizer: Optimizer) -> list[Float32]:
        """Copies of what the optimizer keeps for this weight (moments, ...), in the order of its `slot_names()`."""
        return [slot.reshape(self.shape) for slot in optimizer.get_slots(self.variable)]

    def set_slots(self, optimizer: Optimizer, values: Sequence[Float32]) -> None:
        """Overwrite them, each of this weight's shape; without any they begin anew."""
        optimizer.set_slots(self.variable, [value.reshape(self.variable.shape) for value in values])

    def assign(self, value: ArrayLike) -> None:
        """Overwrite the values; the shape must be the same (`checked` says what is raised). No gradient flows."""
        self.variable.set(self.checked(value).reshape(self.variable.shape))
        if id(self) in (values := getattr(_standing_for, "values", {})):
            values[id(self)] = _renewed(values[id(self)], self.numpy())
        if self.after_assign is not None:
            self.after_assign()

    def assign_add(self, value: ArrayLike) -> None:
        """`assign` the values plus these."""
        self.assign(self.numpy() + _plain(value))

    def assign_sub(self, value: ArrayLike) -> None:
        """`assign` the values minus these."""
        self.assign(self.numpy() - _plain(value))

    @property
    def value(self) -> Any:
        """`current`."""
        return self.current()

    def current(self) -> Any:
        """The values; in a layer written in Python the array that its `call` is differentiated with."""
        values = getattr(_standing_for, "values", {})
        return values[id(self)] if id(self) in values else self.numpy()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        found = (x.current() if isinstance(x, Weight) else x for x in inputs)
        return getattr(ufunc, method)(*found, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*current(args), **{name: current(value) for name, value in kwargs.items()})

    def __getitem__(self, index: Any) -> Any:
        return self.current()[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __repr__(self) -> str:
        return f"<Weight {self.path}, shape={self.shape}, dtype=float32>"


def current(x: Any) -> Any:
    """Weights (also inside lists and tuples) as what they stand for now; anything else as it is."""
    if isinstance(x, list | tuple):
        return type(x)(current(item) for item in x)
    return x.current() if isinstance(x, Weight) else x


def _plain(x: Any) -> AnyArray:
    """x as an array, also what is traced in the call of a layer written in Python."""
    return np.asarray(x.numpy() if isinstance(x := current(x), TracedBase) else unmasked(x))


class Builder:
    """A graph being written. It remembers what made each value, so that a loss can find the logits."""

    def __init__(self) -> None:
        self.graph = _core.Graph()
        self._made_by: dict[int, tuple[str, int]] = {}
        self.for_ids = False  # whether only layers that look ids up read what is written now
        self.ids: dict[int, int] = {}  # casts to integers, moved or not, and what is looked up in their place
        self.mode: bool | None = None  # what is written now: False as when predicting, True as in training, always
        self.random = self.python = False  # something is random when predicting too, something is written in Python
        self.frozen: list[_core.Variable] = []  # moving means of batch norms written so
        self.masks: dict[int, int] = {}  # (..., k) -> (..., 1), 0 for steps that do not count
        self._hosts: list[Host] = []
        self.prepared: set[int] = set()  # inputs that a layer's `prepare` has been over

    @contextmanager
    def in_mode(self, mode: bool | None) -> Iterator[None]:
        """What is written meanwhile is in this mode; None: as around it."""
        before, self.mode = self.mode, self.mode if mode is None else mode
        try:
            yield
        finally:
            self.mode = before

    def input(self, shape: Sequence[int]) -> int:
        """A float32 input of this shape per sample."""
        return self.graph.input(shape)

    def add(
        self, op: str, value: int | Sequence[int], variables: Sequence[_core.Variable] = (), **attributes: float
    ) -> int:
        """Append an operation on one value, or on a list of values; returns the id of its output."""
        values = [value] if isinstance(value, int) else list(value)
        values = [self.ids.get(v, v) for v in values] if op in ("embedding", "encode") else values
        if self.mode and op in _NOISE:
            self.random, attributes["always"] = True, 1.0
        out = self.graph.add(op, values, variables, **attributes)
        # a penalty passes its input through: the loss behind it still finds the logits
        self._made_by[out] = self.made_by(values[0]) if op == "activity_penalty" else (op, values[0])
        if op == "reshape" and values[0] in self.ids:
            self.ids[out] = self.add(op, self.ids[values[0]], variables, **attributes)
        return out

    def call_python(
        self, values: Sequence[int], weights: Sequence[Weight], shape: Sequence[int], function: Callable[..., None],
        ends_gradient: bool = False,
    ) -> int:  # fmt: skip
        """Append an operation written in Python (`_core.Host` says how it is called).

        Of several values it gets one array, the elements of each one after the other.
        """
        value = values[0]
        if len(values) > 1:
            value = self.add("concatenate", [self.add("reshape", v) for v in values], axis=0)
        self.python, host = True, host_of(function, ends_gradient=ends_gradient)
        self._hosts.append(host)
        out = self.graph.call_host(value, [weight.variable for weight in weights], shape, host)
        self._made_by[out] = ("host", value)
        return out

    def moved(self, value: int, function: Callable[[AnyArray], AnyArray]) -> int:
        """Elements of a value in other places, as a NumPy function puts those of an array of rows.

        Raises:
            ValueError: a function that does not do the same with each row.
        """
        sample, size = self.shape(value), int(np.prod(self.shape(value), dtype=np.int64))
        places = np.asarray(function(np.arange(2 * size).reshape(2, *sample)))
        first = places[:1]
        if len(places) != 2 or (first >= size).any() or not np.array_equal(places[1:], first + size):
            raise ValueError(
                f"rows: expected every row to stay a row of its own; two samples of shape {sample} became an array of "
                f"shape {places.shape}"
            )
        shape = places.shape[1:]
        if shape and np.array_equal(first.ravel(), np.arange(size)):
            return value if shape == sample else self.reshaped(value, shape)
        out = self.graph.gather(value, first.ravel(), shape)
        self._made_by[out] = ("gather", value)
        if value in self.ids:
            self.ids[out] = self.moved(self.ids[value], function)
        return out

    def reshaped(self, value: int, shape: Sequence[int]) -> int:
        """The same elements in another shape."""
        if not shape:
            raise ValueError("rows: expected samples of at least one axis")
        return self.add("reshape", value, (), **{f"axis{i}": float(axis) for i, axis in enumerate(shape)})

    def broadcast(self, value: int, shape: Sequence[int]) -> int:
        """A value repeated along its axes of one element, and along axes put in front."""
        if self.shape(value) == tuple(shape):
            return value
        own = (1,) * (len(shape) - len(self.shape(value))) + self.shape(value)
        value = self.reshaped(value, own) if own != self.shape(value) else value
        return self.moved(value, lambda rows: np.broadcast_to(rows, (len(rows), *shape)))

    def summed(self, value: int) -> int:
        """The sum over the first axis of each sample."""
        return self.add("average_pool", value, sum=1.0)

    def shape(self, value: int) -> tuple[int, ...]:
        """Shape per sample."""
        return self.graph.shape(value)

    def made_by(self, value: int) -> tuple[str, int]:
        """(operation, its input value); ("", value) for the graph's input."""
        return self._made_by.get(value, ("", value))


LossTerm = tuple[str | _core.Host, int, float | tuple[float, ...], float]
"""A loss for the engine: kernel (or what is called), value it reads, its parameter, its weight in the total."""

MetricTerm = tuple[str | _core.Host, int, float | tuple[float, ...], int, bool]
"""A metric for the engine: kernel (or what is called), value it reads, its parameter, its target, whether sample
weights count."""

TargetTerm = tuple[int, bool]
"""A target that no loss is fitted to: the value it is like, whether it holds labels."""


Few = Callable[[Any, type[Any]], Any]
"""Predicts a few rows, as an array of a type, or returns None: see `_core.Network.predict_few`."""


class Program:
    """Layers as one graph, with the networks compiled from it, one for each set of losses and trained variables.

    Attributes:
        inputs: shapes of the inputs for one sample.
        outputs: values of the outputs.
        output_shapes: their shapes for one sample.
    """

    def __init__(
        self, inputs: Sequence[tuple[int, ...]], write: Callable[[Builder, list[int]], Sequence[int]],
        prepared: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.builder = Builder()
        self.inputs = tuple(tuple(shape) for shape in inputs)
        values = [self.builder.input(shape) for shape in self.inputs]
        self.builder.prepared = {values[i] for i in prepared}
        self.outputs = list(write(self.builder, values))
        self.output_shapes = [self.builder.shape(value) for value in self.outputs]
        self._plain = len(self.inputs) == len(self.outputs) == 1 and not prepared and not self.builder.random
        self._networks: dict[Any, tuple[Network, Any]] = {}
        self._predictor: Network | None = None

    def network(
        self,
        losses: Sequence[LossTerm] = (),
        metrics: Sequence[MetricTerm] = (),
        trainable: Sequence[_core.Variable] = (),
        regularizers: Sequence[tuple[_core.Variable, float, float]] = (),
        constraints: Sequence[tuple[_core.Variable, str, float, float, float]] = (),
        targets: Sequence[TargetTerm] = (),
        frozen: Sequence[_core.Variable] = (),
    ) -> Network:
        """The network for these terms: compiled at the first request, kept.

        Loss i is fitted to target i; `targets` come after those.
        """
        if losses and self.builder.masks.keys() & set(self.outputs):
            raise NotImplementedError(
                "mask_zero: the mask would leave steps of the output out of the loss, which is not supported; use "
                "mask_zero=False (and no Masking), or pool the steps"
            )
        frozen = [*frozen, *self.builder.frozen]
        rules = tuple((id(v), *rule) for v, *rule in (*regularizers, *constraints))
        key = (
            tuple(losses), tuple(metrics), tuple(map(id, trainable)), rules, tuple(targets), tuple(map(id, frozen)),
        )  # fmt: skip
        if key not in self._networks:
            network = _core.Network(
                self.builder.graph, self.outputs, losses=losses, metrics=metrics, trainable=trainable,
                regularizers=regularizers, constraints=constraints, targets=targets, frozen=frozen,
            )  # fmt: skip
            network.kept = self.builder, losses, metrics  # whoever has the network has what it calls
            # the variables are held, so that no id in a key is reused
            self._networks[key] = network, (trainable, regularizers, constraints, frozen)
            if len(self._networks) > MOST_NETWORKS:  # each compile with a function of one's own makes another
                del self._networks[next(iter(self._networks))]
        return self._networks[key][0]

    def free_workspaces(self) -> None:
        """Give back the memory that its networks keep for the next call."""
        for network, _ in self._networks.values():
            network.free_workspaces()

    def predictor(self) -> Network:
        """`network()` without terms, found without making a key for it."""
        if self._predictor is None:
            self._predictor = self.network()
        return self._predictor

    def few(self, lock: ModelLock) -> Few | None:
        """The predictor's `predict_few`, where one input is read as it is, there is one output and nothing is random
        when predicting; else None."""
        return self.predictor().predict_few(lock) if self._plain and not self.builder.python else None


def make_optimizer(name: str, **hyper: float) -> Optimizer:
    """The engine's optimizer `name` with these hyper-parameters."""
    return _core.Optimizer(name, **hyper)


def empty_outputs(program: Program, rows: int) -> list[Float32]:
    """Arrays for so many rows of each output."""
    return [np.empty((rows, *shape), np.float32) for shape in program.output_shapes]


def run_rows(program: Program, x: Sequence[AnyArray]) -> list[Float32]:
    """The outputs for all rows of x, dropout off."""
    out = empty_outputs(program, len(x[0]))
    program.network().predict(x, 0, len(x[0]), out)
    return out
