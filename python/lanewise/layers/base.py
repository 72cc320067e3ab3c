"""What every layer is: a name, weights, shapes, and the operations it writes into a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike

from .. import _engine, activations, random, regularizers
from .._arrays import as_array, sample_shape
from .._engine import AnyArray, Array, Builder, Float32, Weight
from .._given import is_own
from .._names import _shown, name_of, serialize, warn
from .._operators import TracedBase
from .._structure import Trained, flatten, map_leaves, pack
from ..constraints import Constraint
from ..regularizers import Regularizer
from .operation import KerasTensor, Node, Shape, is_symbolic, tracing
from .own import Arguments, OwnCall, flatten_shapes, refuse_more, weight_arguments

_NO_NUMBERS = frozenset({"built", "name", "nodes", "trainable"})
_SHAPING = frozenset({"units", "use_bias", "input_dim", "output_dim", "axis", "center", "scale", "shared_axes"})


class Layer(OwnCall):
    """Base of all layers.

    A layer describes itself by `compute_output_shape`, makes its weights in `make_weights` and writes its operations
    in `lower`. It may stand in several models, which then share its weights.

    Args:
        name: name in the model; by default `dense`, `dense_1`, ... by kind.
        trainable: False keeps the weights out of training.
        dtype: float32.
        input_shape: shape of one sample, for the first layer of a model.
        input_dim: the same for a sample of one axis.
        batch_input_shape: the same with the rows (None) in front.
        activity_regularizer: penalty on the output, divided by the rows of the batch.
    """

    several_inputs: ClassVar[bool] = False
    in_training: ClassVar[str | None] = None
    """What training changes: "noise" (else the layer passes its input on), "statistics" of the batch, or nothing."""

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        batch_input_shape: Any = None,
        activity_regularizer: Any = None,
    ) -> None:
        self.activity_regularizer = regularizers.get(activity_regularizer, "activity_regularizer")
        check_float32("dtype", dtype)
        if input_dim is not None and input_shape is None:
            input_shape = (input_dim,)
        if batch_input_shape is not None and input_shape is None:
            input_shape = tuple(batch_input_shape)[1:]
        self.given_input_shape = None if input_shape is None else sample_shape("input_shape", input_shape)
        self.name = name_of(type(self), name)
        self.built = False
        self.nodes: list[Node] = []
        self._weights: list[Weight] = []
        self.trainable = bool(trainable)
        self._regularized: list[tuple[Weight, Regularizer]] = []
        self._constrained: list[tuple[Weight, Constraint]] = []
        self._sample_shape: tuple[int, ...] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if self.own or name.startswith("_") or name in _NO_NUMBERS or not self.__dict__.get("built"):
            return super().__setattr__(name, value)
        if name in _SHAPING and (self._weights or name != "axis") and value != getattr(self, name, value):
            raise ValueError(f"{self.name}: {name}: it was built for {getattr(self, name)}; make another layer")
        before = self.__dict__.get(name, Trained)
        super().__setattr__(name, activations.get(value) if name == "activation" else value)
        if not isinstance(value, int | float | str) or value != before:
            Trained.layouts += 1  # a rate, a slope, ...: it stands in programs that were made

    # --- what a kind of layer defines ---------------------------------------------------------------------------

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output, rows first, for a shape of the input.

        Raises:
            ValueError: the layer cannot take this input.
        """
        return self.found_output_shape(input_shape) if self.own else input_shape

    def make_weights(self, shape: tuple[int, ...]) -> None:
        """Make the weights for samples of this shape."""

    mask_use: ClassVar[str] = "passes"
    """What becomes of the mask that Embedding(mask_zero=True) or Masking makes: 'passes', 'drops' (with a warning, as
    in Keras), 'used', or 'refused' (its result would be another one; not supported)."""

    @property
    def _mask_use(self) -> str:
        """The same, of a layer written in Python too: as in Keras, but that one whose `call` takes a mask drops it
        without a warning."""
        if next(cls for cls in type(self).__mro__ if not is_own(cls)) is not Layer or self.supports_masking:
            return self.mask_use
        return "used" if self.takes_mask else "drops"

    host = False
    """Whether `prepare` must see the data before the engine: such a layer stands before all others."""

    def prepare(self, argument: str, data: Any) -> AnyArray:
        """What the layer makes of the data in NumPy, rows first, for layers with `host`."""
        raise NotImplementedError(f"{type(self).__name__} prepares nothing")

    def write_all(self, builder: Builder, values: Sequence[int]) -> list[int]:
        masks = [builder.masks.get(value) for value in values]
        masked = any(mask is not None for mask in masks)
        if masked and self._mask_use == "refused":
            raise NotImplementedError(
                f"{self.name}: a {type(self).__name__} behind an Embedding with mask_zero=True, or a Masking, would "
                "leave out the masked steps, which is not supported; use mask_zero=False"
            )
        if masked and self._mask_use == "drops":
            warn(
                f"Layer {self.name!r} (of type {type(self).__name__}) was passed an input with a mask attached to it. "
                "However, this layer does not support masking and will therefore destroy the mask information. "
                "Downstream layers will not see the mask."
            )
        if self.host and values[0] not in builder.prepared:
            raise NotImplementedError(
                f"{self.name}: a {type(self).__name__} reads the data itself: it stands behind an input of the model, "
                "which nothing else reads, before all other layers"
            )
        value = values[0]
        if not (builder.mode is False and self.in_training == "noise"):
            value = (self.write_own if self.own else self.merge)(builder, values)
        mask = self.mask_of(builder, values, masks)
        if mask is None and value in builder.masks and not builder.for_ids and value not in builder.ids:
            # what came in came out: without its mask it is another value
            value = builder.add("scale", value, factor=1.0)
        value = self.penalised(builder, value)
        if mask is not None:
            builder.masks[value] = mask
        return [value]

    def mask_of(self, builder: Builder, values: Sequence[int], masks: Sequence[int | None]) -> int | None:
        """The mask of the output: what counts in one of the inputs counts, where all have a mask."""
        if self._mask_use != "passes" or None in masks:
            return None
        return reduce(lambda a, b: builder.add("maximum", [a, b]), cast(Sequence[int], masks))

    def penalised(self, builder: Builder, value: int) -> int:
        """The value with the penalty on the output, where there is one."""
        penalty = self.activity_regularizer
        if penalty is None:
            return value
        return builder.add("activity_penalty", value, l1=penalty.l1, l2=penalty.l2)

    # --- as an operation of a graph -----------------------------------------------------------------------------

    def _argument(self, shapes: Sequence[Shape]) -> Any:
        """The shapes of the inputs as `build` and `compute_output_shape` take them: one shape, for one input."""
        if self._taken is not None:
            return pack(self._taken, shapes)
        if len(shapes) != 1:
            raise ValueError(
                f"{self.name}: {type(self).__name__} takes one input, received {len(shapes)}; join them first, with "
                "Concatenate()([...]) or Add()([...])"
            )
        return shapes[0]

    def build_for(self, shapes: Sequence[Shape]) -> None:
        shape = self._argument(shapes)
        (self.build_own if self.own else self.build)(shape)

    def shapes_for(self, shapes: Sequence[Shape]) -> list[Shape]:
        return [self.compute_output_shape(self._argument(shapes))]

    # --- building -----------------------------------------------------------------------------------------------

    def build(self, input_shape: Sequence[int | None], *more: Any) -> None:
        """Make the weights for inputs of this shape (rows first, None); a built layer checks that it fits.

        Raises:
            ValueError: the layer cannot take this input.
        """
        shape: Shape = flatten_shapes(input_shape)[0] if self.own else tuple(input_shape)
        if not self.own:
            self.compute_output_shape(shape)
        sample = sample_shape("input_shape", shape[1:]) if len(shape) > 1 else ()
        if not self.built:
            self._making(self.make_weights, sample)
            if not self.own:  # whose layers inside come later
                self._heed()
        self._sample_shape = sample

    def add_weight(
        self,
        *given: Any,
        name: str | None = None,
        shape: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool = True,
        constraint: Any = None,
        flat: bool = False,
        dtype: Any = None,
    ) -> Weight:
        """Make a weight of this layer: `add_weight(shape, initializer)`, or with its name in front.

        Args:
            name: its name in the layer; by default `variable`, `variable_1`, ... as in Keras 3.
            shape: of any number of axes.
            initializer: name or instance; by default glorot_uniform, for one axis zeros.
            regularizer, constraint: name or instance.
            trainable: False keeps it out of training.
            flat: one run of memory for the engine, as for more than two axes.
            dtype: float32.
        """
        check_float32("dtype", dtype)
        name, shape, initializer, regularizer, constraint = weight_arguments(
            len(self._weights), given, name, shape, initializer, regularizer, constraint
        )
        flat = flat or len(shape) not in (1, 2)
        value = np.asarray(initializer(shape), np.float32)
        if value.size != math.prod(shape):
            raise ValueError(
                f"{self.name}/{name}: expected values of shape {shape} of {type(initializer).__name__}, received "
                f"{value.shape}"
            )
        weight = Weight(name, f"{self.name}/{name}", value.reshape(shape), trainable, flat)
        weight.flag(trainable and self._trainable)
        self._weights.append(weight)
        if regularizer is not None:
            self._regularized.append((weight, regularizer))
        if constraint is not None:
            self._constrained.append((weight, constraint))
        return weight

    # --- weights ------------------------------------------------------------------------------------------------

    def _made_to_train(self) -> list[Weight]:
        return [weight for weight in self._weights if weight.made_trainable]

    @property
    def weights(self) -> list[Weight]:
        """All weights: of each layer those that were made to be trained, then the others, as in Keras."""
        layers = (self, *self.inner_layers())
        return [weight for layer in layers for weight in trained_first(layer._weights)]

    variables = weights

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes; none where `trainable` is False."""
        if not self.trainable:
            return []
        return [weight for weight in self.weights if weight.trainable]

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The other weights."""
        trained = {id(w) for w in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trained]

    non_trainable_variables = non_trainable_weights

    def get_weights(self) -> list[Float32]:
        """Copies of the weights."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Overwrite all weights; nothing changes if one does not fit.

        Raises:
            ValueError: another number of arrays, or another shape.
        """
        assign_all(f"layer {self.name!r}", self.weights, weights)

    def count_params(self) -> int:
        """Number of parameters.

        Raises:
            ValueError: the layer is not built.
        """
        self._check_built("count_params()")
        return sum(w.size for w in self.weights)

    # --- shapes -------------------------------------------------------------------------------------------------

    @property
    def input_shape(self) -> Shape:
        """(None, ...): what the layer was built for. Raises ValueError before that."""
        self._check_built("input_shape")
        return (None, *(self._sample_shape or ()))

    @property
    def output_shape(self) -> Shape:
        """(None, ...): what comes out. Raises ValueError before the layer is built."""
        return self.compute_output_shape(self.input_shape)

    def _check_built(self, what: str) -> None:
        if not self.built:
            raise ValueError(
                f"{what}: layer {self.name!r} is not built yet; give the first layer input_shape=, "
                "or call the model on data first"
            )

    # --- describing, calling ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": "float32"}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize(self.activity_regularizer)
        return config

    def call_on(self, inputs: Any, training: bool | None = None) -> Any:
        if self.own and not isinstance(inputs, KerasTensor):
            given = map_leaves(lambda _: 0, inputs)
            if self._taken is not None and self._taken != given:
                raise ValueError(f"{self.name}: called on inputs in other lists or dicts than before")
            self._taken = given
        return super().call_on(inputs, training)

    def __call__(self, inputs: Any, *more: Any, training: bool | None = None, **other: Any) -> Any:
        """The layer alone on an array of rows, or on symbolic tensors; builds it if needed.

        With training=True dropout is on; on symbolic tensors training=False keeps it off in `fit` too. What `Input` and
        other layers return gives such a symbolic tensor again, for `Model(inputs, outputs)`.
        """
        refuse_more(self, other)
        if more and not self.own:
            if len(more) > 1 or not isinstance(more[0], bool | None):
                raise TypeError(
                    f"{self.name}: {type(self).__name__} takes one argument; several inputs go in as a list"
                )
            training = more[0]  # as Keras has it, by position
        elif more:
            inputs = Arguments((inputs, *more))
        if is_symbolic(inputs):
            return self.call_on(inputs, training)
        training = tracing.training if training is None else training
        if any(isinstance(entry, TracedBase) for entry in flatten(inputs)):  # inside a layer written in Python
            if not self.own:
                return self.call(inputs, bool(training))
            self._taken = None if isinstance(inputs, TracedBase) else map_leaves(lambda _: 0, inputs)
            self.build_for([(None, *entry.shape[1:]) for entry in flatten(inputs)])
            return self.own_call(inputs, bool(training))
        if isinstance(inputs, Layer):
            raise TypeError(f"{self.name}: called on a layer; call it on what the layer returns: {self.name}(layer(x))")
        several = self.several_inputs or (self.own and (more or _has_arrays(inputs)))
        if several and self.own:
            self._taken = map_leaves(lambda _: 0, inputs)
        self.warn_of_mask()
        given = flatten(inputs) if several else [inputs]
        arrays = [as_array("inputs", array) for array in given]
        if tracing.training is None:  # else inside a call in Python, whose shapes are settled
            arrays = [match_rank(array, None) for array in arrays]
        shapes: list[Shape] = [(None, *array.shape[1:]) for array in arrays]
        self.build_for(shapes)
        program = _engine.Program([array.shape[1:] for array in arrays], self.write_all)
        if training:
            network = program.network(frozen=[w.variable for w in self.frozen])
            return network.call(arrays, True, random.next_run_seed(), 0)[0].view(Array)
        return _engine.run_rows(program, arrays)[0].view(Array)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def trained_first(weights: Sequence[Weight]) -> list[Weight]:
    """Those that were made to be trained, then the others: Keras's order of a layer's weights."""
    return sorted(weights, key=lambda weight: not weight.made_trainable)


def _has_arrays(inputs: Any) -> bool:
    return isinstance(inputs, dict | list | tuple) and any(hasattr(entry, "shape") for entry in flatten(inputs))


def match_rank(x: AnyArray, shape: tuple[int, ...] | None) -> AnyArray:
    """(n,) as (n, 1) where samples have one axis of one element, or where nothing is known yet.

    A last axis of one element more than samples have is left out, as in Keras.
    """
    if shape is not None and x.shape[1:] == (*shape, 1):
        return x[..., 0]
    return x[:, None] if x.ndim == 1 and shape in (None, (1,)) else x


def assign_all(owner: str, weights: Sequence[Weight], values: Sequence[ArrayLike]) -> None:
    """Check every value against its weight, then assign all."""
    if not hasattr(values, "__len__"):
        raise TypeError(f"weights: {owner} has {len(weights)} weights, expected a list, received {_shown(values)}")
    if len(values) != len(weights):
        shapes = ", ".join(str(w.shape) for w in weights)
        raise ValueError(f"weights: {owner} has {len(weights)} weights ({shapes}), received {len(values)} arrays")
    checked = [w.checked(v) for w, v in zip(weights, values, strict=True)]
    for weight, value in zip(weights, checked, strict=True):
        weight.assign(value)


def check_float32(argument: str, dtype: Any) -> None:
    """Raises NotImplementedError for a dtype (or a Keras dtype policy) other than float32."""
    if isinstance(dtype, Mapping):
        dtype = dtype.get("config", {}).get("name")
    name = getattr(dtype, "name", dtype)
    if name is None or name == "float32" or (isinstance(name, type) and np.dtype(name) == np.float32):
        return
    raise NotImplementedError(f"{argument}: layers compute in float32, received {dtype!r}")
