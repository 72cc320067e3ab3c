"""Sequential: a chain of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import layers as layer_classes, optimizers, random
from .._arrays import as_array, sample_shape
from .._engine import AnyArray, Builder, Float32, Program, Weight
from .._names import automatic_name, near_match, serialize, snake_case
from ..layers import InputLayer, Layer
from ..layers.base import Shape, assign_all, match_rank
from .compiled import Compiled
from .trainer import Trainer


class Sequential(Trainer):
    """Layers one after the other.

    The shape of one sample is taken from the first layer's `input_shape=`/`input_dim=`, from an `Input`, or from the
    first data that the model sees.

    Args:
        layers: list of layers.
        trainable: False keeps all weights out of training.
        name: by default `sequential`, `sequential_1`, ...

    Raises:
        TypeError: an entry that is no layer. ValueError: two layers of one name, or shapes that do not fit.
    """

    def __init__(self, layers: Sequence[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__()
        self.name: str = automatic_name(snake_case(type(self).__name__)) if name is None else name
        self._layers: list[Layer] = []
        self._input: InputLayer | None = None
        self._sample_shape: tuple[int, ...] | None = None
        self._program: Program | None = None
        if isinstance(layers, Layer):
            raise TypeError(f"layers: expected a list of layers, received the layer {layers!r}; write [layer]")
        for layer in layers or ():
            self.add(layer)
        if not trainable:
            self.trainable = False

    # --- the list of layers -------------------------------------------------------------------------------------

    def add(self, layer: Layer) -> None:
        """Append a layer; where the input's shape is known its weights are made at once.

        Raises:
            TypeError: no layer. ValueError: a second layer of this name, an Input that is not first, shapes that do
            not fit; the model stays as it was.
        """
        if isinstance(layer, Sequential):
            raise NotImplementedError("layer: a model inside a model is not supported; add its layers one by one")
        if not isinstance(layer, Layer):
            raise TypeError(f"layer: expected a layer, received {layer!r} of type {type(layer).__name__}")
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
            layer.build(self._shape_after((None, *shape)))
            self._sample_shape = shape
        self._layers.append(layer)
        self._program = None

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it. Raises ValueError where there is none."""
        if not self._layers:
            raise ValueError("pop: the model has no layers")
        self._program = None
        layer = self._layers.pop()
        if not self._layers and self._input is None:
            self._sample_shape = None
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs not counted."""
        return list(self._layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of this name or at this index. Raises ValueError where there is none."""
        if (name is None) == (index is None):
            raise ValueError(f"get_layer: give either name= or index=, received name={name!r}, index={index!r}")
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(f"index: the model has {len(self._layers)} layers, received {index}")
            return self._layers[index]
        names = [layer.name for layer in self._layers]
        if name not in names:
            raise ValueError(f"name: no layer is called {name!r}.{near_match(str(name), names)} Layers: {names}")
        return self._layers[names.index(name)]

    # --- shapes and building ------------------------------------------------------------------------------------

    def _shape_after(self, shape: Shape) -> Shape:
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

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
        shape: Shape = (None, *given)
        for layer in self._layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self._sample_shape = given

    @property
    def built(self) -> bool:
        """Whether all weights are made."""
        return bool(self._layers) and self._sample_shape is not None and all(layer.built for layer in self._layers)

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

    def _fit_inputs(self, argument: str, x: Any) -> tuple[list[AnyArray], list[tuple[int, ...]]]:
        if not self._layers:
            raise ValueError("the model has no layers; add() some first")
        array = match_rank(as_array(argument, x), self._sample_shape)
        sample = self._sample_shape
        if sample is None:
            sample = sample_shape(f"{argument}.shape[1:]", array.shape[1:])
        if array.shape[1:] != sample:
            hint = "; a single row goes in as x[None]" if array.shape == sample else ""
            wanted = ", ".join(map(str, ("n", *sample)))
            raise ValueError(f"{argument}: expected an array of shape ({wanted}), received {array.shape}{hint}")
        out = self._shape_after((None, *sample))
        return [array], [tuple(axis for axis in out if axis is not None)]

    def _ready(self, shapes: Sequence[tuple[int, ...]]) -> Program:
        def make() -> Program:
            if self._program is None:
                self.build((None, *shapes[0]))
                self._program = Program(shapes, self._write)
            return self._program

        return self._program or self._weights_lock.write(make)

    def _write(self, builder: Builder, values: Sequence[int]) -> list[int]:
        (value,) = values
        for layer in self._layers:
            value = layer.write(builder, value)
        return [value]

    def _made_program(self) -> Program | None:
        return self._program

    def _built_program(self, method: str) -> Program:
        if self._sample_shape is None or not self.built:
            raise ValueError(f"{method}: the model is not built; call build((None, ...)) or show it data first")
        return self._ready([self._sample_shape])

    # --- weights ------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[Weight]:
        """All weights, layer by layer."""
        return [weight for layer in self._layers for weight in layer.weights]

    variables = weights

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The weights that training leaves alone."""
        return [weight for layer in self._layers for weight in layer.non_trainable_weights]

    @property
    def trainable(self) -> bool:
        """Whether any layer trains; setting it sets all layers."""
        return not self._layers or any(layer.trainable for layer in self._layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._layers:
            layer.trainable = bool(value)

    def get_weights(self) -> list[Float32]:
        """Copies of all weights."""
        return self._weights_lock.read(lambda: [weight.numpy() for weight in self.weights])

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Overwrite all weights; nothing changes if one does not fit. Raises ValueError then, or before build."""
        if not self.built:
            raise ValueError("set_weights: the model is not built; give the first layer input_shape=, or call build()")
        self._weights_lock.write(assign_all, f"model {self.name!r}", self.weights, weights)

    def count_params(self) -> int:
        """Number of parameters. Raises ValueError before the model is built."""
        if not self.built:
            raise ValueError("count_params: the model is not built; give the first layer input_shape=, or call build()")
        return sum(weight.size for weight in self.weights)

    # --- describing ---------------------------------------------------------------------------------------------

    def summary(
        self, line_length: int | None = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None,
    ) -> None:  # fmt: skip
        """Print layers, output shapes and numbers of parameters (the other arguments mean nothing here)."""
        from .summary import print_summary

        print_summary(self, line_length, print_fn, show_trainable)

    def get_config(self) -> dict[str, Any]:
        """Name, layers and input shape as plain JSON values."""
        described = [serialize(layer) for layer in self._layers]
        if self._input is not None:
            described.insert(0, serialize(self._input))
        shape = None if self._sample_shape is None else [None, *self._sample_shape]
        return {"name": self.name, "layers": described, "build_input_shape": shape}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new model, with new weights, from what `get_config` returned, here or in Keras."""
        from ..saving.keras_read import own_form

        config = own_form({"class_name": "Sequential", "config": config})["config"]
        model = cls([layer_classes.deserialize(entry) for entry in config["layers"]], name=config.get("name"))
        if config.get("build_input_shape") is not None and model._layers:
            model.build(config["build_input_shape"])
        return model

    def get_compile_config(self) -> dict[str, Any] | None:
        """Arguments of `compile` as plain JSON values; None before it."""
        return None if self._compiled is None else self._compiled.get_config()

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """`compile` with what `get_compile_config` returned."""
        self.compile(
            optimizer=optimizers.deserialize(config["optimizer"]),
            loss=config.get("loss"),
            loss_weights=config.get("loss_weights"),
            metrics=config.get("metrics"),
            weighted_metrics=config.get("weighted_metrics"),
        )

    # --- state beside the weights -------------------------------------------------------------------------------

    def _slots(self, compiled: Compiled) -> dict[str, Float32]:
        native = compiled.optimizer.native
        names = native.slot_names()
        return {
            f"{weight.path}/{name}": slot
            for weight in self.weights
            if weight.trainable
            for name, slot in zip(names, native.get_slots(weight.variable), strict=True)
        }

    def optimizer_parameters(self) -> int:
        """Number of elements in the optimizer's slots; 0 before `compile`."""
        if self._compiled is None:
            return 0
        return len(self._compiled.optimizer.native.slot_names()) * sum(w.size for w in self.trainable_weights)

    def optimizer_state(self) -> dict[str, AnyArray]:
        """Step count, learning rate, slots (`dense/kernel/m`) and position in the random streams, to resume exactly.

        Empty before `compile`.
        """
        if self._compiled is None:
            return {}
        optimizer = self._compiled.optimizer
        state: dict[str, AnyArray] = {
            "iterations": np.asarray(optimizer.iterations, np.int64),
            "learning_rate": np.asarray(float(optimizer.learning_rate), np.float64),
        }
        if self._seed is not None and self._seed_generation == random.generation():
            state["seed"] = np.asarray(self._seed, np.uint64)
            state["epoch"] = np.asarray(self._epochs_shuffled, np.int64)
        if optimizer.iterations:
            state.update(self._slots(self._compiled))
        return state

    def load_optimizer_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from what `optimizer_state` returned.

        Raises:
            ValueError: not compiled, not built, or slots that do not fit; nothing has changed then.
        """
        compiled = self._get_compiled("load_optimizer_state")
        if not self.built:
            raise ValueError("load_optimizer_state: the model is not built")
        native, names = compiled.optimizer.native, compiled.optimizer.native.slot_names()
        iterations = int(np.asarray(state["iterations"]))
        slots: list[tuple[Weight, list[Float32]]] = []
        for weight in self.weights if iterations else ():
            paths = [f"{weight.path}/{name}" for name in names]
            if weight.trainable and all(path in state for path in paths):
                slots.append((weight, [weight.checked(state[path]) for path in paths]))
        if iterations and names and not slots:
            raise ValueError(f"state: no slots for the weights of this model, received {sorted(state)}")
        compiled.optimizer.learning_rate = float(np.asarray(state["learning_rate"]))
        for weight, values in slots:
            native.set_slots(weight.variable, values)
        native.iterations = iterations
        if "seed" in state:
            self._seed, self._seed_generation = int(np.asarray(state["seed"])), random.generation()
            self._epochs_shuffled = int(np.asarray(state["epoch"]))

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write layers, weights and optimizer to a file; see `lanewise.saving.save_model`."""
        from ..saving import save_model

        save_model(self, filepath, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the weights to a file; see `lanewise.saving.save_weights`."""
        from ..saving import save_weights

        save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, **kwargs: Any) -> None:
        """Read the weights from a file; see `lanewise.saving.load_weights`."""
        from ..saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, by_name=by_name, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The layers as JSON, which `model_from_json` here and in Keras reads; no weights."""
        from ..saving.describe import to_json

        return to_json(self, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.get_config(), self.get_weights(), self.get_compile_config(),
                          self.optimizer_state())  # fmt: skip

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _rebuilt(cls: type[Sequential], config: Any, weights: Any, compile_config: Any, state: Any) -> Sequential:
    """The model that pickle or copy.deepcopy took apart."""
    model = cls.from_config(config)
    if model.built:
        model.set_weights(weights)
    if compile_config is not None:
        model.compile_from_config(compile_config)
        if model.built and state:
            model.load_optimizer_state(state)
    return model
