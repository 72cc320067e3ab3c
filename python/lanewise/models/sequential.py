"""Sequential: a chain of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Self, cast

from .._arrays import as_array, sample_shape
from .._engine import AnyArray, Builder, Program
from .._given import has_layers, is_own
from .._names import from_description, serialize
from .._structure import Trained
from ..layers import InputLayer, Layer
from ..layers.base import match_rank
from ..layers.operation import KerasTensor, Operation, Shape
from .model import Model


class Sequential(Model):
    """Layers one after the other.

    The shape of one sample is taken from the first layer's `input_shape=`/`input_dim=`, from an `Input`, or from the
    first data that the model sees.

    Args:
        layers: list of layers; models and an `Input` in front are layers too.
        trainable: False keeps all weights out of training.
        name: by default `sequential`, `sequential_1`, ...

    Raises:
        TypeError: an entry that is no layer. ValueError: two layers of one name, or shapes that do not fit.
    """

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name)
        self._layers: list[Any] = []
        self._input: InputLayer | None = None
        self._tensors: list[KerasTensor] = []  # where the shape is known: the input, then each layer's output
        self._sample_shape: tuple[int, ...] | None = None
        if isinstance(layers, Operation):
            raise TypeError(f"layers: expected a list of layers, received the layer {layers!r}; write [layer]")
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    # --- the list of layers -------------------------------------------------------------------------------------

    def add(self, layer: Any) -> None:
        """Append a layer or a model; where the input's shape is known its weights are made at once.

        Raises:
            TypeError: no layer. ValueError: a second layer of this name, an Input that is not first, shapes that do
            not fit; the model stays as it was.
        """
        if isinstance(layer, KerasTensor):
            if not isinstance(layer._keras_history.operation, InputLayer):
                raise TypeError(
                    f"layer: expected a layer, received {layer!r}; add the layer itself, not what it returns"
                )
            layer = layer._keras_history.operation
        if not isinstance(layer, Operation):
            hint = f"; an activation stands there as Activation({layer!r})" if isinstance(layer, str) else ""
            raise TypeError(f"layer: expected a layer, received {layer!r} of type {type(layer).__name__}{hint}")
        if isinstance(layer, InputLayer):
            if self._layers or self._input is not None:
                raise ValueError(f"layer: {layer.name!r} is an Input, which can only be the first entry")
            self._input, self._sample_shape = layer, layer.shape
            return
        if any(other.name == layer.name for other in self._layers):
            raise ValueError(f"layer: the model has a layer called {layer.name!r} already; give this one another name=")
        shape = self._sample_shape
        if not self._layers and shape is None:
            shape = layer.given_input_shape
        if shape is not None:
            self._connect(layer, shape)
        self._layers.append(layer)
        self._changed()

    def _changed(self) -> None:
        self._made = self._few = None
        if self.nodes:
            Trained.layouts += 1

    def _connect(self, layer: Any, shape: tuple[int, ...]) -> None:
        """Call the layer on what the layers before it give for samples of this shape."""
        tensors = self._tensors or [(self._input or InputLayer(shape)).tensors_of(0)[0]]
        output = layer.call_on(tensors[-1])
        if not isinstance(output, KerasTensor):
            raise ValueError(
                f"layer: {layer.name!r} has several outputs; a Sequential is a chain, use Model(inputs, outputs)"
            )
        self._tensors = [*tensors, output]
        self._sample_shape = shape

    def pop(self, rebuild: bool = True) -> Any:
        """Remove the last layer and return it. Raises ValueError where there is none."""
        if not self._layers:
            raise ValueError("pop: the model has no layers")
        layer = self._layers.pop()
        self._changed()
        del self._tensors[len(self._layers) + 1 :]
        if not self._layers and self._input is None:
            self._sample_shape = None
            self._tensors = []
        return layer

    @property
    def operations(self) -> list[Any]:
        """The layers, inputs not counted."""
        return list(self._layers)

    # --- shapes and building ------------------------------------------------------------------------------------

    def _shape_after(self, shape: Shape) -> Shape:
        for layer in self._layers:
            (shape,) = layer.shapes_for([shape])
        return shape

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output, rows first. Raises ValueError where a layer cannot take its input."""
        return self._shape_after(tuple(input_shape))

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Make the weights for inputs of this shape, rows first: (None, 4).

        Raises:
            ValueError: no layers, no shape, or another one than the model was built for.
        """
        if input_shape is not None:
            given = sample_shape("input_shape", tuple(input_shape)[1:])
            if self._sample_shape not in (None, given):
                raise ValueError(f"input_shape: the model takes {self.input_shape}, received {tuple(input_shape)}")
        elif self._sample_shape is None:
            raise ValueError("build: give the first layer input_shape=, or call build((None, ...))")
        else:
            given = self._sample_shape
        if not self._layers:
            raise ValueError("build: the model has no layers; add() some first")
        self._shape_after((None, *given))
        for layer in self._layers[max(len(self._tensors) - 1, 0) :]:
            self._connect(layer, given)

    @property
    def built(self) -> bool:
        """Whether all weights are made."""
        return bool(self._layers) and len(self._tensors) == len(self._layers) + 1

    @property
    def input_shape(self) -> Shape:
        """(None, ...). Raises ValueError before it is known."""
        if self._sample_shape is None:
            raise ValueError("input_shape: not known yet; give the first layer input_shape=, or show the model data")
        return (None, *self._sample_shape)

    @property
    def output_shape(self) -> Shape:
        """(None, ...). Raises ValueError before it is known."""
        return self._shape_after(self.input_shape)

    @property
    def output_names(self) -> list[str]:
        """The name of the last layer."""
        return [self._layers[-1].name if self._layers else self.name]

    def _hosts(self) -> list[Layer]:
        """The layers that look at the data before the engine: the first ones."""
        layers = takewhile(lambda layer: isinstance(layer, Layer) and layer.host, self._layers)
        return cast(list[Layer], list(layers))

    def _fit_inputs(self, argument: str, x: Any) -> tuple[list[AnyArray], list[tuple[int, ...]]]:
        if not self._layers:
            raise ValueError("the model has no layers; add() some first")
        if isinstance(x, dict) and self._sample_shape is not None and self.input_names[0] in x:
            x = x[self.input_names[0]]  # as Keras takes it; the name is that of an Input
        for layer in self._hosts():
            x = layer.prepare(argument, x)
        array = match_rank(as_array(argument, x), self._sample_shape)
        sample = self._sample_shape
        if sample is None:
            sample = sample_shape(f"{argument}.shape[1:]", array.shape[1:])
        if array.shape[1:] != sample:
            hint = "; a single row goes in as x[None]" if array.shape == sample else ""
            wanted = ", ".join(map(str, ("n", *sample)))
            raise ValueError(f"{argument}: expected an array of shape ({wanted}), received {array.shape}{hint}")
        program = self._program
        if program is not None:
            return [array], program.output_shapes
        out = self._shape_after((None, *sample))
        return [array], [tuple(axis for axis in out if axis is not None)]

    def _ready(self, shapes: Sequence[tuple[int, ...]]) -> Program:
        def make() -> Program:
            self.build((None, *shapes[0]))
            return Program(shapes, self.write_all, [0] if self._hosts() else [])

        return self._programmed(make)

    # --- as an operation of a graph -----------------------------------------------------------------------------

    def _one(self, shapes: Sequence[Shape]) -> Shape:
        if len(shapes) != 1:
            raise ValueError(f"{self.name}: a Sequential takes one input, received {len(shapes)}")
        return shapes[0]

    def build_for(self, shapes: Sequence[Shape]) -> None:
        self.build(self._one(shapes))

    def shapes_for(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [self._shape_after(self._one(shapes))]

    def write_all(self, builder: Builder, values: Sequence[int]) -> list[int]:
        found = list(values)
        for layer in self._layers:
            found = layer.write_all(builder, found)
        return found

    def run_calls(self, values: Sequence[Any], training: bool) -> list[Any]:
        (value,) = values
        for layer in self._layers:
            value = layer(value, training=training)
        return [value]

    @property
    def given_input_shape(self) -> tuple[int, ...] | None:
        """Shape of one sample, where it is known."""
        return self._sample_shape

    @property
    def calls(self) -> int:
        """Calls of layers, those of nested models counted."""
        return sum(getattr(layer, "calls", 1) for layer in self._layers)

    def _built_tensors(self, what: str) -> list[KerasTensor]:
        if not self.built:
            raise ValueError(f"{what}: the model is not built; give the first layer input_shape=, or call build()")
        return self._tensors

    @property
    def input(self) -> KerasTensor:
        """The symbolic input. Raises ValueError before the model is built."""
        return self._built_tensors("input")[0]

    @property
    def output(self) -> KerasTensor:
        """The symbolic output. Raises ValueError before the model is built."""
        return self._built_tensors("output")[-1]

    @property
    def inputs(self) -> list[KerasTensor]:
        """[input]."""
        return [self.input]

    @property
    def outputs(self) -> list[KerasTensor]:
        """[output]."""
        return [self.output]

    @property
    def input_names(self) -> list[str]:
        """The name of the input."""
        return [self.input.name]

    def _built_program(self, method: str) -> Program:
        if self._sample_shape is None or not self.built:
            raise ValueError(f"{method}: the model is not built; call build((None, ...)) or show it data first")
        return self._ready([self._sample_shape])

    def _build_on(self, inputs: Any) -> None:
        self.build(inputs.shape)

    # --- describing ---------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Name, layers and input shape as plain JSON values."""
        described = [serialize(layer) for layer in self._layers]
        if self._input is not None:
            described.insert(0, serialize(self._input))
        shape = None if self._sample_shape is None else [None, *self._sample_shape]
        config = {"name": self.name, "layers": described, "build_input_shape": shape}
        return config if self._trainable else {**config, "trainable": False}

    @classmethod
    @from_description
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """A new model, with new weights, from what `get_config` returned, here or in Keras."""
        if is_own(cls) and not has_layers(config):
            return super().from_config(config)
        from ..saving.keras_read import own_form
        from .config import deserialize_operation

        config = own_form({"class_name": "Sequential", "config": config})["config"]
        model = cls([deserialize_operation(entry) for entry in config["layers"]], name=config.get("name"))
        if config.get("build_input_shape") is not None and model._layers:
            model.build(config["build_input_shape"])
        if config.get("trainable") is False:
            model._trainable = False
        return model
