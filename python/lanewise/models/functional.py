"""Functional: a model made of the calls between symbolic tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

from .._arrays import as_array
from .._engine import AnyArray, Builder, Program
from .._given import has_layers, is_own
from .._names import from_description
from .._structure import flatten, map_leaves, pack
from ..layers import InputLayer, Layer
from ..layers.base import match_rank
from ..layers.core import Input
from ..layers.operation import KerasTensor, Operation, Shape
from .data import check_rows
from .graph import call_of, run, trace, write
from .model import Model

_MOST_CALLS = 100_000  # a model called by models that are called by models soon has more than any machine can run


class Functional(Model):
    """Everything between inputs and outputs, as `Model(inputs, outputs)` makes it.

    Args:
        inputs: what `Input` returned, or any other symbolic tensor; one, or a list or dict of them.
        outputs: what layers made of them; one, or a list or dict.
        trainable: False keeps all weights out of training.
        name: by default `functional`, `functional_1`, ...

    Raises:
        TypeError: something else than symbolic tensors.
        ValueError: outputs that need another Input, or two layers of one name.
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True
    ) -> None:
        _check_tensors("inputs", inputs)
        _check_tensors("outputs", outputs)
        super().__init__(name)
        self._connect(inputs, outputs)
        if not trainable:
            self.trainable = False

    def _connect(self, inputs: Any, outputs: Any) -> None:
        """Take what lies between these tensors as the model."""
        if not all(isinstance(tensor._keras_history.operation, InputLayer) for tensor in flatten(inputs)):
            inputs, outputs = _with_inputs(inputs, outputs)
        self._inputs_structure, self._outputs_structure = inputs, outputs
        self._outputs_by_key = isinstance(outputs, dict)
        self.inputs: list[KerasTensor] = flatten(inputs)
        self.outputs: list[KerasTensor] = flatten(outputs)
        keys = [tensor.key for tensor in self.inputs]
        if len(set(keys)) != len(keys):
            raise ValueError(f"inputs: one Input is given twice: {[tensor.name for tensor in self.inputs]}")
        self.graph = trace(self.inputs, self.outputs)
        self.calls = sum(getattr(call.operation, "calls", 1) for call in self.graph.calls)  # nested ones counted
        if self.calls > _MOST_CALLS:
            raise ValueError(
                f"outputs: {self.calls} calls of layers, counted through nested models, allowed are {_MOST_CALLS}"
            )
        self.input_names = self._names_of(inputs, self.inputs)
        self._output_names = self._names_of(outputs, self.outputs)

    @staticmethod
    def _names_of(structure: Any, tensors: Sequence[KerasTensor]) -> list[str]:
        """Keys of a dict, else the names of the layers that the tensors come from."""
        if isinstance(structure, dict) and len(structure) == len(tensors):
            return [str(key) for key in sorted(structure)]
        names: dict[str, None] = {}
        counts: Counter[str] = Counter()
        for tensor in tensors:
            name = base = tensor._keras_history.operation.name
            while name in names:
                counts[base] += 1
                name = f"{base}_{counts[base]}"
            names[name] = None
        return list(names)

    # --- layers, shapes -----------------------------------------------------------------------------------------

    @property
    def operations(self) -> list[Operation]:
        """Layers and nested models, inputs counted, in Keras's order: the farthest from the outputs first."""
        return list(self.graph.operations)

    @property
    def output_names(self) -> list[str]:
        """Keys of the dict of outputs, else the names of the layers that they come from."""
        return list(self._output_names)

    @property
    def input(self) -> Any:
        """The inputs as they were given."""
        return self._inputs_structure

    @property
    def output(self) -> Any:
        """The outputs as they were given."""
        return self._outputs_structure

    @property
    def built(self) -> bool:
        """True: every layer was called."""
        return True

    def build(self, input_shape: Any = None) -> None:
        """Nothing is left to be done: every layer was called."""

    @property
    def input_shape(self) -> Any:
        """(None, ...), or a list or dict of shapes."""
        return self._shapes(self._inputs_structure)

    @property
    def output_shape(self) -> Any:
        """(None, ...), or a list or dict of shapes."""
        return self._shapes(self._outputs_structure)

    @staticmethod
    def _shapes(structure: Any) -> Any:
        if isinstance(structure, list | tuple) and len(structure) == 1:
            structure = structure[0]
        return map_leaves(lambda tensor: tensor.shape, structure)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shapes of the outputs for such inputs. Raises ValueError where the model takes others."""
        return self.output_shape

    # --- as an operation of another graph -----------------------------------------------------------------------

    def build_for(self, shapes: Sequence[Shape]) -> None:
        wanted = [tensor.shape for tensor in self.inputs]
        if list(shapes) != wanted:
            raise ValueError(
                f"{self.name}: the model takes inputs of shapes {', '.join(map(str, wanted))}, received "
                f"{', '.join(map(str, shapes))}"
            )

    def shapes_for(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [tensor.shape for tensor in self.outputs]

    def call_on(self, inputs: Any, training: bool | None = None) -> Any:
        return super().call_on(self._spread("inputs", inputs) if isinstance(inputs, dict) else inputs, training)

    @property
    def given_input_shape(self) -> tuple[int, ...] | None:
        """Shape of one sample, where there is one input."""
        return _sample(self.inputs[0]) if len(self.inputs) == 1 else None

    def write_all(self, builder: Builder, values: Sequence[int]) -> list[int]:
        return write(self.graph, self.inputs, self.outputs, builder, values)

    def run_calls(self, values: Sequence[Any], training: bool) -> list[Any]:
        return run(self.graph, self.inputs, self.outputs, values, training)

    def _structure(self) -> Any:
        structure = self._outputs_structure
        return (
            None if len(self.outputs) == 1 and not isinstance(structure, dict) else map_leaves(lambda _: 0, structure)
        )

    # --- data ---------------------------------------------------------------------------------------------------

    def _spread(self, argument: str, x: Any) -> list[Any]:
        """One thing for each input."""
        names, layers = self.input_names, [tensor._keras_history.operation.name for tensor in self.inputs]
        shown = ", ".join(map(repr, names))
        if isinstance(x, dict):
            for keys in (names, layers):
                if set(keys) <= set(x):
                    return [x[key] for key in keys]
            absent = next(name for name in names if name not in x)
            raise ValueError(
                f"{argument}: no array for the input {absent!r}; the inputs are {shown}, received {sorted(map(str, x))}"
            )
        if len(self.inputs) == 1:
            one = isinstance(x, list | tuple) and len(x) == 1 and getattr(x[0], "ndim", 0) >= 1
            return [x[0] if one else x]
        if not isinstance(x, list | tuple):
            what = f"{type(x).__name__}" + (f" of shape {x.shape}" if hasattr(x, "shape") else "")
            raise ValueError(
                f"{argument}: the model has {len(names)} inputs ({shown}), give a list or a dict of arrays; "
                f"received {what}"
            )
        given = flatten(x) if any(isinstance(entry, dict | tuple) for entry in x) else list(x)
        if len(given) != len(names):
            raise ValueError(f"{argument}: the model has {len(names)} inputs ({shown}), received {len(given)} arrays")
        return given

    def _hosts(self, tensor: KerasTensor) -> list[Layer]:
        """The layers behind an input that look at the data before the engine: each the only one that reads it."""
        found: list[Layer] = []
        key = tensor.key
        while True:
            readers = [call for call in self.graph.calls if any(t.key == key for t in call.node.inputs)]
            layer = readers[0].operation if len(readers) == 1 else None
            if not isinstance(layer, Layer) or not layer.host:
                return found
            found.append(layer)
            key = (*readers[0].key, 0)

    def _fit_inputs(self, argument: str, x: Any) -> tuple[list[AnyArray], list[tuple[int, ...]]]:
        arrays: list[AnyArray] = []
        for tensor, name, given in zip(self.inputs, self.input_names, self._spread(argument, x), strict=True):
            which = argument if len(self.inputs) == 1 else f"{argument}[{name!r}]"
            sample = _sample(tensor)
            for layer in self._hosts(tensor):
                given = layer.prepare(which, given)
            array = match_rank(as_array(which, given), sample)
            if array.shape[1:] != sample:
                hint = "; a single row goes in as x[None]" if array.shape == sample else ""
                wanted = ", ".join(map(str, ("n", *sample)))
                raise ValueError(f"{which}: expected an array of shape ({wanted}), received {array.shape}{hint}")
            if arrays:
                check_rows(which, len(array), len(arrays[0]), f"{argument}[{self.input_names[0]!r}]")
            arrays.append(array)
        return arrays, [_sample(tensor) for tensor in self.outputs]

    def _ready(self, shapes: Sequence[tuple[int, ...]]) -> Program:
        def make() -> Program:
            prepared = [i for i, tensor in enumerate(self.inputs) if self._hosts(tensor)]
            return Program([_sample(tensor) for tensor in self.inputs], self.write_all, prepared)

        return self._programmed(make)

    def _built_program(self, method: str) -> Program:
        return self._ready([])

    def _packed(self, outputs: Sequence[Any]) -> Any:
        structure = self._structure()
        return outputs[0] if structure is None else pack(structure, outputs)

    # --- description --------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Name, layers with their calls, inputs and outputs as plain JSON values, laid out as in Keras 3."""
        from .config import functional_config

        return functional_config(self)

    @classmethod
    @from_description
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """A new model, with new weights, from what `get_config` returned, here or in Keras."""
        if is_own(cls) and not has_layers(config):
            return super().from_config(config)
        from ..saving.keras_read import own_form
        from .config import functional_from_config

        return functional_from_config(cls, own_form({"class_name": "Functional", "config": config})["config"])


def _sample(tensor: KerasTensor) -> tuple[int, ...]:
    return tuple(axis for axis in tensor.shape if axis is not None)


def _check_tensors(argument: str, given: Any) -> None:
    if given is None:
        raise TypeError(f"{argument}: expected symbolic tensors: Input(...), or what layers called on it return")
    for tensor in flatten(given):
        if not isinstance(tensor, KerasTensor):
            hint = " (call it on a tensor: layer(x))" if isinstance(tensor, Layer) else ""
            raise TypeError(
                f"{argument}: expected symbolic tensors, Input(...) or what layers called on it return; received "
                f"{type(tensor).__name__}{hint}"
            )
    if not flatten(given):
        raise ValueError(f"{argument}: expected at least one tensor, received {given!r}")


def _with_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """(Inputs in the place of tensors from the middle of a graph, outputs that the same layers compute from them)."""
    old: list[KerasTensor] = flatten(inputs)
    graph = trace(old, flatten(outputs))
    new = [
        tensor
        if isinstance(tensor._keras_history.operation, InputLayer)
        else Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name)
        for tensor in old
    ]
    known = dict(zip((tensor.key for tensor in old), new, strict=True))
    starts = {call_of(tensor).key for tensor in old}
    for call in graph.calls:
        if call.key not in starts and call.node.inputs:
            arguments = map_leaves(lambda tensor: known[tensor.key], call.node.arguments)
            replayed = call.operation.call_on(arguments, call.node.training)
            known.update({(*call.key, i): tensor for i, tensor in enumerate(flatten(replayed))})
    return pack(inputs, new), map_leaves(lambda tensor: known[tensor.key], outputs)
