"""Layers that a person wrote in Python: a subclass of `Layer`, or of one of its kinds, with a `call` of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, ClassVar

from .. import constraints, initializers, random, regularizers
from .._arrays import sample_shape
from .._engine import Builder, Weight
from .._given import own_method, refuse_methods
from .._names import warn
from .._structure import flatten, instances
from .operation import Operation, Shape, tracing


class Arguments(tuple[Any, ...]):
    """Several inputs that `call` takes as arguments of their own."""


def flatten_shapes(structure: Any) -> list[Shape]:
    """The shapes in lists and dicts of them."""
    if isinstance(structure, dict):
        return [shape for key in sorted(structure) for shape in flatten_shapes(structure[key])]
    if structure and isinstance(structure[0], list | tuple | dict):
        return [shape for entry in structure for shape in flatten_shapes(entry)]
    return [tuple(structure)]


class OwnCall(Operation):
    """What `Layer` needs for `call`s in Python; they run once a batch, at Python's speed."""

    own: ClassVar[bool] = False
    reads_ids: ClassVar[bool] = False
    moves_ids: ClassVar[bool] = False
    _regularized: list[Any]
    _constrained: list[Any]
    _sample_shape: tuple[int, ...] | None
    _samples: list[tuple[int, ...]] | None = None
    _taken: Any = None
    """The lists or dicts that a call takes its several inputs in; None for one input."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_methods(cls, ("__call__",), "define call(self, inputs)")
        refuse_methods(
            cls, ("save_own_variables", "load_own_variables"), "what else a layer keeps goes into get_config()",
            "files hold the weights that add_weight made",
        )  # fmt: skip
        refuse_methods(
            cls, ("compute_mask",), "supports_masking = True passes a mask on, call(self, x, mask) is given it"
        )
        if own_method(cls, "call"):
            from ..custom import layer  # noqa: F401  not in `fit`, as `compile` says

            cls.own = True
        builder = own_method(cls, "build")
        if builder is not None and (builder is cls or not issubclass(builder, OwnCall)):  # else it was wrapped there
            cls.build = _made_once(cls.build)  # type: ignore[method-assign]

    def lower(self, builder: Builder, value: int) -> int:
        """Write the operations on a value of the graph; returns the output's value."""
        raise NotImplementedError(f"{type(self).__name__} has no operations")

    def merge(self, builder: Builder, values: Sequence[int]) -> int:
        """`lower`, for layers of several inputs on all of them."""
        (value,) = values
        return self.lower(builder, value)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The output for an array of rows: what a subclass in Python defines, in the operations of `keras.ops`.

        The `call` of a layer of this package may be used inside such a subclass: gradients flow through it.
        """
        from ..custom.layer import engine_call

        if not self.own:
            self.warn_of_mask()
        entries = flatten(inputs)
        self.build_for([(None, *entry.shape[1:]) for entry in entries])
        return engine_call(self.merge, entries, self._weights, training, self.frozen, self.reads_ids)

    def own_call(self, inputs: Any, training: bool, mask: Any = None) -> Any:
        """`call`, with `training` and `mask` where it takes them; the calls inside go by training too, as in Keras."""
        from ..custom.layer import arguments_of

        given = inputs if isinstance(inputs, Arguments) else (inputs,)
        names = arguments_of(self.call)  # looked up once a batch
        named = {name: value for name, value in (("training", training), ("mask", mask)) if name in names}
        before, tracing.training = tracing.training, training
        try:
            return self.call(*given, **named)
        finally:
            tracing.training = before

    @property
    def takes_mask(self) -> bool:
        """Whether a call in Python has an argument `mask`: which steps count, (n, time) booleans, or None."""
        from ..custom.layer import arguments_of

        return self.own and "mask" in arguments_of(self.call)

    @property
    def makes_mask(self) -> bool:
        """Whether layers behind it are told which steps do not count."""
        return False

    def warn_of_mask(self) -> None:
        """The result of a call on an array, or inside a layer in Python, carries no mask."""
        if self.makes_mask:
            warn(
                f"{self.name}: only the layers of a model see the mask of {type(self).__name__}; called on an array, "
                "or inside a layer written in Python, what comes behind counts every step"
            )

    @property
    def frozen(self) -> list[Weight]:
        """Moving means that training must leave alone: of a BatchNormalization with trainable=False."""
        return []

    def _parts(self) -> list[Operation]:
        """The layers and models that this one keeps as attributes, or in lists or dicts, if it is written in Python."""
        return instances([value for key, value in vars(self).items() if key != "nodes"], Operation) if self.own else []

    def inner_layers(self) -> list[Any]:
        """Those and the layers inside them, each once; this one not, should one of them keep it or its model."""
        return self.leaves()[1:]

    def _host(self, mode: bool | None = None) -> tuple[Any, list[Weight]]:
        from ..custom.layer import LayerHost

        layers = (self, *self.inner_layers())
        weights = [w for layer in layers for w in layer._weights]

        def call(inputs: Any, training: bool, mask: Any = None) -> Any:
            return self.own_call(inputs, training if mode is None else mode, mask)

        backward = getattr(self, "backward", None)
        return LayerHost(call, self.name, weights, backward, random.generators_of(layers)), weights

    def write_own(self, builder: Builder, values: Sequence[int]) -> int:
        """The call as an operation of the graph."""
        samples = [builder.shape(value) for value in values]
        (shape,) = self.shapes_for([(None, *sample) for sample in samples])
        host, weights = self._host(builder.mode)
        masks = [builder.masks[value] for value in values if value in builder.masks] if self.takes_mask else []
        if masks and len(values) > 1:
            raise NotImplementedError(f"{self.name}: call() in Python takes a mask beside one input, not {len(values)}")
        host.takes(samples, self._taken, builder.shape(masks[0]) if masks else None)
        return builder.call_python([*values, *masks], weights, [int(n) for n in shape[1:] if n is not None], host)

    def found_output_shape(self, input_shape: Any) -> Shape:
        """Shape of the output, found by a call on two rows of ones."""
        shapes = [input_shape] if self._taken is None else flatten_shapes(input_shape)
        self.build_for(shapes)
        host = self._host()[0]
        samples = [sample_shape("input_shape", shape[1:]) for shape in shapes]
        masked = self.takes_mask and len(samples) == 1 and len(samples[0]) > 1
        host.takes(samples, self._taken, (*samples[0][:-1], 1) if masked else None)
        return (None, *host.output_shape())

    def _making(self, make: Callable[..., None], *args: Any) -> None:
        """make(*args), which makes all weights, or (out of memory, Ctrl-C) leaves the layer as it was, to be built."""
        weights, regularized, constrained = len(self._weights), len(self._regularized), len(self._constrained)
        built = self.built
        try:
            make(*args)
            self.built = True
            if tracing.made is not None:
                tracing.made += [(weight, weight.numpy()) for weight in self._weights[weights:]]
        except BaseException:
            self.built = built
            del self._weights[weights:], self._regularized[regularized:], self._constrained[constrained:]
            raise

    def build_own(self, shape: Any) -> None:
        """`build` as a person wrote it, once."""
        shapes = [shape] if self._taken is None else flatten_shapes(shape)
        samples = [sample_shape("input_shape", entry[1:]) for entry in shapes]
        if not self.built or self._samples is None:
            if not self.built:  # else the layer around it has called `build`
                self.build(*(shape if isinstance(shape, Arguments) else (shape,)))
            self.built, self._samples, self._sample_shape = True, samples, samples[0]
            there = self._all_there("trainable_inside", "trainable_variables")
            if not there or not all(layer.built for layer in self.inner_layers()):  # a call makes the rest
                self.found_output_shape(shape)
            self._heed()
        elif self._samples != samples:
            built = ", ".join(str((None, *sample)) for sample in self._samples)
            raise ValueError(f"{self.name}: built for {built}, received {shape}")

    def build(self, *shapes: Any) -> None:
        """Make the weights for inputs of this shape."""
        raise NotImplementedError


def refuse_more(layer: OwnCall, named: dict[str, Any]) -> None:
    """Raises for what a call was given beside inputs and training, but for mask=None."""
    if named.pop("mask", None) is not None:
        raise NotImplementedError(
            f"{layer.name}: mask= cannot be given; Embedding(mask_zero=True) and Masking make masks, in a model"
        )
    if named:
        raise TypeError(
            f"{layer.name}: a call takes inputs, by position, and training=; received {', '.join(named)}=. What else a "
            f"{type(layer).__name__} needs goes into its __init__"
        )


def _made_once(build: Callable[..., None]) -> Callable[..., None]:
    """`build` as a person wrote it: a layer is built after it, whoever calls it, and as before where it raises."""

    @wraps(build)
    def made(self: OwnCall, *shapes: Any, **named: Any) -> None:
        self._making(partial(build, self, **named), *shapes)

    return made


def weight_arguments(
    count: int, given: tuple[Any, ...], name: Any, shape: Any, initializer: Any, regularizer: Any, constraint: Any
) -> tuple[str, tuple[int, ...], Any, Any, Any]:
    """The arguments of `add_weight`, some of them by position: perhaps a name, then shape, initializer, regularizer."""
    if given and isinstance(given[0], str):
        name, *rest = given
    else:
        rest = list(given)
    places = [*rest, None, None, None]
    shape = places[0] if shape is None else shape
    initializer, regularizer = initializer or places[1], regularizer or places[2]
    shape = (shape,) if isinstance(shape, int) else tuple(shape or ())
    if name is None:
        name = f"variable_{count}" if count else "variable"  # as Keras 3
    if name in (".", "..") or "\0" in str(name) or "/" in str(name):
        raise ValueError(f"name: no file could have it, expected none of '.', '..', '/' and '\\0', received {name!r}")
    initializer = initializers.get(initializer or ("glorot_uniform" if len(shape) > 1 else "zeros"))
    regularizer = regularizers.get(regularizer, "regularizer")
    return name, shape, initializer, regularizer, constraints.get(constraint)
