"""Models that a person wrote as a class: layers made in `__init__`, put together in `call`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .._arrays import as_array, sample_shape
from .._engine import AnyArray, Program
from .._given import refuse_methods
from .._structure import flatten, instances, map_leaves
from ..layers.base import match_rank
from ..layers.core import Input
from ..layers.operation import _UNSET, KerasTensor, Operation, Shape, tracing
from .functional import Functional
from .model import Model


class _Training:
    """What `training` is while `call` is traced: as the model is run, later. Asked for its truth it is `answer`."""

    def __init__(self, answer: bool) -> None:
        self.answer, self.asked = answer, False

    def __bool__(self) -> bool:
        self.asked = True
        return self.answer


class Subclassed(Functional):
    """Base of a person's own subclasses of `Model`.

    `call` runs once, on symbolic tensors, when the shapes of the inputs are known: what it does becomes a graph, which
    then runs like that of any `Model(inputs, outputs)`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "inputs" in kwargs or "outputs" in kwargs or len(args) > 1:
            refuse_methods(type(self), ("call",), "give inputs and outputs, or define call(), not both")
            super().__init__(*args, **kwargs)
            self._traced = self._of_tensors = True
            return
        Model.__init__(self, kwargs.pop("name", None))
        self._trainable = bool(kwargs.pop("trainable", True))
        self._traced = False
        kwargs.pop("dtype", None)
        if args or kwargs:
            raise TypeError(f"{type(self).__name__}: super().__init__() takes name= and trainable=, received {kwargs}")

    _traced: bool = _UNSET
    _of_tensors = False
    """Whether it was made as `Model(inputs, outputs)`."""

    # --- layers ---------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_closed") and instances(value, Operation):
            raise ValueError(
                f"{self.name}: the model was made of its layers already, {name} would stand outside of it; set layers "
                "in __init__() or build()"
            )
        super().__setattr__(name, value)

    @property
    def layers(self) -> list[Any]:
        """The layers that the model keeps as attributes, or in lists and dicts, in the order in which it got them.

        Of one that was made as `Model(inputs, outputs)` those of its graph come first, in its order.
        """
        return list(((self._in_graph() if self._of_tensors else {}) | self._kept()).values())

    def _kept(self) -> dict[int, Operation]:
        """The same, in the order in which the weights of all go."""
        found: dict[int, Operation] = {}
        for key, value in vars(self).items():
            if key == "_of_tensors":  # set when the graph was made: before what was kept later
                found |= self._in_graph()
            elif key not in GRAPH:
                found |= {id(leaf): leaf for leaf in instances(value, Operation)}
        return found

    def _in_graph(self) -> dict[int, Operation]:
        return {id(operation): operation for operation in self.graph.operations}

    @property
    def operations(self) -> list[Any]:
        if not self.__dict__.get("_traced"):
            return self.layers
        return list((self._kept() | self._in_graph()).values())

    @property
    def built(self) -> bool:
        """Whether the shapes of the inputs are known."""
        return self._traced

    # --- tracing --------------------------------------------------------------------------------------------------

    def _trace(self, inputs: Any) -> None:
        """Make the graph of what `call` does with inputs in these lists and dicts.

        Raises:
            TypeError: a `call` that asks for values. ValueError: one that does different things when training.
        """
        if type(self).call in (Model.call, Functional.call):
            raise NotImplementedError(f"{type(self).__name__}: expected a method call(self, inputs)")
        if type(self).build is not Subclassed.build and not self.__dict__.get("_building"):
            self._building = True
            try:
                self.build(map_leaves(lambda tensor: tensor.shape, inputs))
            finally:
                self._building = False
            if self._traced:  # by its super().build(...)
                return
        training = _Training(True)
        outputs = self._called(inputs, training)
        if training.asked:
            other = self._called(inputs, _Training(False))
            if _form(outputs) != _form(other):
                raise NotImplementedError(
                    f"{self.name}: call() does something else when training than when predicting, beyond dropout and "
                    "noise; give training= to the layers instead of asking for it"
                )
        self._connect(inputs, outputs)
        self._traced = self._closed = True
        self._heed()
        if self._compiled is not None and (len(self.outputs) > 1 or self._outputs_by_key):
            raise ValueError(
                f"{self.name}: the model has {len(self.outputs)} outputs, which was not known when it was compiled; "
                "call build(), or call it on data, before compile()"
            )

    def _called(self, inputs: Any, training: _Training) -> Any:
        from ..custom.layer import arguments_of

        call: Callable[..., Any] = self.call
        told, before = "training" in arguments_of(call), tracing.predicting
        tracing.predicting = not told  # as in Keras, whose fit tells only those that ask that they train
        try:
            outputs = call(inputs, training=training) if told else call(inputs)
        except TypeError as error:
            if "is symbolic" not in str(error):
                raise
            raise TypeError(
                f"{self.name}: call() runs once on tensors without values, to make the model of it; it cannot ask for "
                f"values (in an if, a loop, NumPy): use lanewise.keras.ops, or a layer of your own. {error}"
            ) from error
        finally:
            tracing.predicting = before
        if not all(isinstance(leaf, KerasTensor) for leaf in flatten(outputs)):
            raise TypeError(
                f"{self.name}: expected call() to return what layers made of its inputs, received {outputs!r}"
            )
        return outputs

    def _trace_data(self, argument: str, x: Any) -> None:
        def stand_in(value: Any) -> KerasTensor:
            array = match_rank(as_array(argument, value), None)
            dtype = array.dtype.name if array.dtype.kind in "iu" else None
            return Input(sample_shape(f"{argument}.shape[1:]", array.shape[1:]), dtype=dtype)

        several = isinstance(x, dict) or (isinstance(x, list | tuple) and any(hasattr(e, "shape") for e in x))
        self._trace(map_leaves(stand_in, x) if several else stand_in(x))

    def build(self, input_shape: Any = None) -> None:
        """Make the model for inputs of this shape, rows first: (None, 4); or a list or dict of shapes."""
        if self._traced or input_shape is None:
            return
        if isinstance(input_shape, dict):
            self._trace({key: Input(tuple(shape)[1:]) for key, shape in input_shape.items()})
        elif isinstance(input_shape[0], list | tuple):
            self._trace([Input(tuple(shape)[1:]) for shape in input_shape])
        else:
            self._trace(Input(tuple(input_shape)[1:]))

    def call_on(self, inputs: Any, training: bool | None = None) -> Any:
        if not self._traced:
            self._trace(map_leaves(lambda tensor: Input(tensor.shape[1:], dtype=tensor.dtype), inputs))
        return super().call_on(inputs, training)

    def build_for(self, shapes: Sequence[Shape]) -> None:
        if not self._traced:
            self.build(shapes[0] if len(shapes) == 1 else list(shapes))
        super().build_for(shapes)

    def _fit_inputs(self, argument: str, x: Any) -> tuple[list[AnyArray], list[tuple[int, ...]]]:
        if not self._traced:
            self._trace_data(argument, x)
        return super()._fit_inputs(argument, x)

    # --- what is known only then ----------------------------------------------------------------------------------

    def _built_program(self, method: str) -> Program:
        if not self._traced:
            raise ValueError(f"{method}: the model is not built; call build((None, ...)) or show it data first")
        return super()._built_program(method)

    @property
    def _outputs_known(self) -> bool:
        return self._traced

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs; one, `output_1`, before the model is built."""
        return super().output_names if self._traced else ["output_1"]

    def get_config(self) -> dict[str, Any]:
        """Name and whether it trains, and the plain arguments of its class; of one made of tensors, the layers."""
        if self._of_tensors:
            return super().get_config()
        return {"name": self.name, "trainable": self._trainable}

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> NoReturn:
        """Not for a class of your own: raises NotImplementedError."""
        raise NotImplementedError(
            f"{self.name}: files hold no code, and a model with a call() of its own is code. save_weights and "
            "load_weights keep its weights; lanewise.Model(model.inputs, model.outputs).save(path) keeps its layers"
        )

    def _build_on(self, inputs: Any) -> None:
        self._trace(inputs)

    def to_json(self, **kwargs: Any) -> NoReturn:
        """Not for a class of your own: raises NotImplementedError."""
        self.save("")


GRAPH = frozenset({"nodes", "inputs", "outputs", "graph"})
"""Attributes that hold calls, not what a person keeps."""


def _form(outputs: Any) -> Any:
    """What was computed, dropout and noise left out: equal for equal graphs."""
    known: dict[Any, Any] = {}

    def of(tensor: KerasTensor) -> Any:
        if tensor.key not in known:
            operation, number, index = tensor._keras_history
            node = operation.nodes[number]
            if getattr(operation, "in_training", None) == "noise" and node.training is not True:
                known[tensor.key] = of(node.inputs[0])
            else:
                config = repr(operation.get_config() | {"name": ""}) if not operation.weights else id(operation)
                own = id(operation) if not node.inputs else config
                known[tensor.key] = (type(operation), own, node.training, tuple(map(of, node.inputs)), index)
        return known[tensor.key]

    return map_leaves(of, outputs)
