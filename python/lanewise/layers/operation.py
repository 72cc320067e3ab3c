"""Symbolic tensors and what can be called on them: the graph that `Model(inputs, outputs)` is made of."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from .._engine import Builder, Weight
from .._given import is_model, is_own
from .._missing import Unset
from .._names import Configurable, automatic_name, constructor_keywords, name_of
from .._structure import Trained, flatten, pack

Shape = tuple[int | None, ...]
"""A shape as Keras writes it: None for the rows, then the axes of one sample."""

BESIDE = ("name", "trainable", "trainable_inside", "trainable_variables")
"""What stands beside the config of a layer in a description, where its constructor does not know it."""
MAX_SAMPLE = 2**40  # elements; the engine has the same limit
MAX_AXES = 32  # rows included; NumPy's iterators take no more


class KerasHistory(NamedTuple):
    """Where a symbolic tensor comes from: the output `tensor_index` of call `node_index` of an operation."""

    operation: Operation
    node_index: int
    tensor_index: int


class KerasTensor:
    """Shape and type of what a layer will give, without values: what `Input` and layers called on it return.

    Operators, comparisons, slices and functions of `keras.ops` make layers of it.

    Attributes:
        shape: (None, ...), rows first.
        dtype: 'float32', or what the Input was given.
        name: its name.
    """

    __slots__ = ("_keras_history", "dtype", "name", "shape")

    __array_priority__ = 100  # a NumPy number on the left gives way

    def __init__(self, shape: Shape, dtype: str, name: str | None, history: KerasHistory) -> None:
        if math.prod(axis or 1 for axis in shape[1:]) > MAX_SAMPLE:
            raise ValueError(f"expected at most 2**40 elements of a sample, received shape {shape}")
        if len(shape) > MAX_AXES:
            raise ValueError(f"expected at most {MAX_AXES} axes, received {len(shape)}")
        self.shape = shape
        self.dtype = dtype
        self._keras_history = history
        self.name = automatic_name("keras_tensor") if name is None else name

    @property
    def ndim(self) -> int:
        """Number of axes, rows included."""
        return len(self.shape)

    @property
    def key(self) -> tuple[int, int, int]:
        """Equal for two tensors that are the same output of the same call."""
        operation, node_index, tensor_index = self._keras_history
        return id(operation), node_index, tensor_index

    def __add__(self, other: Any) -> Any:
        return _applied("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return _applied("subtract", self, other)

    def __mul__(self, other: Any) -> Any:
        return _applied("multiply", self, other)

    __rmul__ = __mul__

    def _no_values(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} is symbolic: it has a shape, but no values. Make a Model(inputs, outputs) of it and call "
            "predict, and write functions of tensors as layers (lanewise.layers)"
        )

    __array__ = __bool__ = __float__ = __int__ = __len__ = __iter__ = numpy = _no_values

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int | float | np.ndarray | np.generic):
            raise TypeError(
                f"{self!r} == {other!r}: == asks whether two symbolic tensors are one, as `is`; use ops.equal"
            )
        return self is other

    def __ne__(self, other: object) -> Any:
        return True if other is None or isinstance(other, str) else _applied("not_equal", self, other)

    __hash__ = object.__hash__

    __array_ufunc__ = None  # NumPy's arrays and numbers on the left give way

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


def _applied(name: str, *args: Any) -> Any:
    from .symbolic import apply

    return apply(name, *args)


def _operator(name: str, swapped: bool = False) -> Callable[..., Any]:
    def operator(self: Any, *other: Any) -> Any:
        return _applied(name, *(reversed((self, *other)) if swapped else (self, *other)))

    return operator


for _method, _name in {
    "getitem": "get_item", "neg": "negative", "truediv": "true_divide",
    "pow": "power", "abs": "absolute", "mod": "mod", "floordiv": "floor_divide",
    "matmul": "matmul", "and": "logical_and", "or": "logical_or", "invert": "logical_not",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}.items():  # fmt: skip
    setattr(KerasTensor, f"__{_method}__", _operator(_name))
for _method, _name in {
    "sub": "subtract", "truediv": "true_divide", "floordiv": "floor_divide", "pow": "power", "mod": "mod",
    "matmul": "matmul", "and": "logical_and", "or": "logical_or",
}.items():  # fmt: skip
    setattr(KerasTensor, f"__r{_method}__", _operator(_name, swapped=True))


class _Tracing(threading.local):
    """What calls made now, in this thread, go by, those told otherwise left out.

    Attributes:
        predicting: on symbolic tensors, whether they are as when predicting.
        training: inside the call of a layer written in Python, whether that trains; None outside.
        made: while a layer is called for the shape of its output, weights that are made and their values.
    """

    predicting = False
    training: bool | None = None
    made: list[Any] | None = None


tracing = _Tracing()


def is_symbolic(inputs: Any) -> bool:
    """Whether there is a symbolic tensor in these lists and dicts."""
    if isinstance(inputs, list | tuple):
        return any(isinstance(entry, KerasTensor) for entry in inputs)
    if isinstance(inputs, dict):
        return any(is_symbolic(entry) for entry in inputs.values())
    return isinstance(inputs, KerasTensor)


class Node(NamedTuple):
    """One call of an operation on symbolic tensors.

    It holds its inputs only, not its outputs, so that a model which nobody uses any more is freed at once.
    """

    arguments: Any
    shapes: list[Shape]
    names: list[str]
    structure: Any
    training: bool | None = None
    """False: as when predicting, in training too; True: as in training, when predicting too."""

    @property
    def inputs(self) -> list[KerasTensor]:
        """The tensors it was called on."""
        return flatten(self.arguments) if self.arguments is not None else []


_UNSET: Any = Unset()


class Operation(Trained, Configurable):
    """What can be called on symbolic tensors: a layer, or a model.

    Attributes:
        name: unique in a model.
        nodes: its calls on symbolic tensors, in order.
    """

    name: str = _UNSET
    nodes: list[Node] = _UNSET
    built: Any = _UNSET
    given_input_shape: Any = _UNSET
    _weights: Any = _UNSET

    _set_later = ("name", "trainable", "dtype")
    dtype = compute_dtype = variable_dtype = input_dtype = "float32"
    supports_masking = False
    input_spec = None

    @property
    def path(self) -> str:
        """The name, as Keras's path of a layer that stands in no other."""
        return self.name

    @property
    def losses(self) -> list[Any]:
        """The penalties of the weights in training; those on outputs come with the data."""
        return [rule(weight.numpy()) for weight, rule in self.penalties]

    @property
    def penalties(self) -> list[tuple[Weight, Any]]:
        """(weight, regularizer) of the weights in training."""
        return self._of_trained([pair for leaf in self.leaves() for pair in leaf._regularized])

    @property
    def limits(self) -> list[tuple[Weight, Any]]:
        """(weight, constraint) of the weights in training."""
        return self._of_trained([pair for leaf in self.leaves() for pair in leaf._constrained])

    def _of_trained(self, pairs: list[tuple[Weight, Any]]) -> list[tuple[Weight, Any]]:
        trained = {id(weight) for weight in self.trainable_weights} if pairs else ()
        return [(weight, rule) for weight, rule in pairs if id(weight) in trained]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """What `get_config` described; a name that a person's own constructor does not take is set afterwards."""
        known = constructor_keywords(cls) if is_own(cls) else None
        later = {} if known is None else {k: config[k] for k in cls._set_later if k in config and k not in known}
        made = super().from_config({key: value for key, value in config.items() if key not in later})
        made.name = name_of(cls, later.get("name", made.name))
        if later.get("trainable") is False:
            made.trainable = False
        return made

    def _beside(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What no constructor knows, for it was set since: which weights train; of a person's class whether it does
        itself, which layers and models inside do, and its name, where its config has none."""
        own, weights = is_own(type(self)), self._made_weights()
        beside: dict[str, Any] = {}
        if weights and (own or any(w.trainable is not (w.made_trainable and self._trainable) for w in weights)):
            beside["trainable_variables"] = [weight.trainable for weight in weights]
        if own:
            beside |= {"trainable": self._trainable} | ({} if "name" in config else {"name": self.name})
            if inside := self.reached()[1:]:
                beside["trainable_inside"] = [part._trainable for part in inside]
        return beside | dict(self._told)  # of what is not made yet

    def _take_beside(self, described: Mapping[str, Any]) -> None:
        told = {key: described[key] for key in ("trainable_inside", "trainable_variables") if key in described}
        if is_own(type(self)):
            if isinstance(described.get("trainable"), bool):
                self.flag(described["trainable"])  # of itself: those inside are told
            if "name" in described and "name" not in described.get("config", {}):
                self.name = name_of(type(self), described["name"])
        self._told = told
        if self._all_there("trainable_inside"):  # by `__init__`
            self._set_flags("trainable_inside")
        if self.built and is_model(self):
            self._heed()

    def _told_of(self, key: str) -> Sequence[Any]:
        """What a description tells this of."""
        if key == "trainable_variables":
            return self._made_weights()
        return self.reached()[1:] if is_own(type(self)) else []

    def _all_there(self, *keys: str) -> bool:
        """Whether all that a description tells of is there."""
        told = [(self._told.get(key), self._told_of(key)) for key in keys if key in self._told]
        return all(not isinstance(flags, list) or len(flags) == len(parts) for flags, parts in told)

    def _made_weights(self) -> list[Weight]:
        """The weights of a layer and of those inside, in the order in which each made them."""
        described = is_model(self) and not is_own(type(self))  # each layer for itself
        return [] if described else [weight for leaf in self.leaves() for weight in leaf._weights]

    def _heed(self) -> None:
        """Do as a description told, once all is made. Raises ValueError where it is of others."""
        for key in sorted(self._told):  # layers, then weights
            self._set_flags(key)

    def _set_flags(self, key: str) -> None:
        told, parts = self._told.get(key), self._told_of(key)
        self._told = {other: value for other, value in self._told.items() if other != key}
        if told is None:
            return
        if not isinstance(told, list) or len(told) != len(parts) or not all(isinstance(flag, bool) for flag in told):
            raise ValueError(
                f"{self.name}: {key}: expected True or False for each of {len(parts)}, received {str(told)[:100]}"
            )
        for part, flag in zip(parts, told, strict=True):
            part.flag(flag)
        Trained.version += 1

    # --- what a subclass defines --------------------------------------------------------------------------------

    def build_for(self, shapes: Sequence[Shape]) -> None:
        """Make the weights for inputs of these shapes, or check that they fit. Raises ValueError where not."""
        raise NotImplementedError

    def shapes_for(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Shapes of the outputs for inputs of these shapes."""
        raise NotImplementedError

    def write_all(self, builder: Builder, values: Sequence[int]) -> list[int]:
        """Write the operations on values of the graph; returns the values of the outputs."""
        raise NotImplementedError

    def run_calls(self, values: Sequence[Any], training: bool) -> list[Any]:
        """What a model makes of arrays, its operations called one after the other."""
        raise NotImplementedError

    def leaves(self) -> list[Any]:
        """The layers that this consists of, each once: itself, or those of a model; those inside them."""
        return [part for part in self.reached() if not is_model(part)]

    def _structure(self) -> Any:
        """The lists or dicts that a call returns its outputs in; None for one output."""
        return None

    @property
    def weights(self) -> list[Weight]:
        """All weights."""
        raise NotImplementedError

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes."""
        raise NotImplementedError

    # --- symbolic calls -----------------------------------------------------------------------------------------

    def call_on(self, inputs: Any, training: bool | None = None) -> Any:
        """The outputs for symbolic tensors, in the structure of the outputs.

        training=False: always as when predicting; True: dropout and noise are on when predicting too.

        Raises:
            TypeError: something else among them. ValueError: shapes that do not fit.
            NotImplementedError: training=True for layers that take statistics of the batch.
        """
        if training is not None and not isinstance(training, bool | int):
            training = None  # a model's own, while its call is traced
        if training is None and tracing.predicting:
            training = False
        if training and any(leaf.in_training == "statistics" for leaf in self.leaves()):
            raise NotImplementedError(
                f"{self.name}: training=True would take statistics of the batch when predicting too, which is not "
                "supported; leave it out, or call model(x, training=True)"
            )
        tensors = flatten(inputs)
        for tensor in tensors:
            if not isinstance(tensor, KerasTensor):
                raise TypeError(
                    f"{self.name}: called on symbolic tensors and a {type(tensor).__name__} together; give all of them "
                    "as Input(...) or what layers make of it"
                )
            if tensor.dtype in ("string", "str", "object") and self.input_dtype != "string" and not is_model(self):
                raise TypeError(
                    f"{self.name}: expected numbers, received the text of {tensor}; StringLookup makes ids of an Input"
                )
        shapes = [tensor.shape for tensor in tensors]
        self.build_for(shapes)
        found = self.shapes_for(shapes)
        names = [automatic_name("keras_tensor") for _ in found]
        self.nodes.append(Node(inputs, found, names, self._structure(), training))
        return self._results(len(self.nodes) - 1)

    def tensors_of(self, index: int) -> list[KerasTensor]:
        """The outputs of call `index`."""
        return [self.tensor_of(index, i) for i in range(len(self.nodes[index].shapes))]

    def tensor_of(self, index: int, i: int) -> KerasTensor:
        """Output `i` of call `index`."""
        node = self.nodes[index]
        return KerasTensor(node.shapes[i], self._output_dtype(), node.names[i], KerasHistory(self, index, i))

    def _output_dtype(self) -> str:
        return "float32"

    def _results(self, index: int) -> Any:
        structure, tensors = self.nodes[index].structure, self.tensors_of(index)
        return tensors[0] if structure is None else pack(structure, tensors)

    def _first_node(self, what: str) -> Node:
        if not self.nodes:
            raise AttributeError(
                f"{what}: {self.name!r} was not called on a symbolic tensor yet and stands in no built model"
            )
        return self.nodes[0]

    @property
    def input(self) -> Any:
        """The symbolic tensor (or list of them) of the first call. Raises AttributeError without one."""
        node = self._first_node("input")
        return self.tensors_of(0)[0] if node.arguments is None else node.arguments

    @property
    def output(self) -> Any:
        """The symbolic tensor (or list of them) that the first call gave. Raises AttributeError without one."""
        self._first_node("output")
        return self._results(0)
