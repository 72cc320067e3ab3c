"""Layers that a person wrote in Python: a subclass of `Layer`, or of one of its kinds, with a `call` of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .. import constraints, initializers, regularizers
from .._arrays import sample_shape
from .._engine import Builder, Weight
from .operation import Operation, Shape


class OwnCall(Operation):
    """What `Layer` needs for `call`s in Python; they run once a batch, at Python's speed."""

    own: ClassVar[bool] = False
    built: bool
    _weights: list[Weight]
    _sample_shape: tuple[int, ...] | None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "call" in cls.__dict__ and not cls.__module__.startswith("lanewise."):
            cls.own = True

    def lower(self, builder: Builder, value: int) -> int:
        """Write the operations on a value of the graph; returns the output's value."""
        raise NotImplementedError(f"{type(self).__name__} has no operations")

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The output for an array of rows: what a subclass in Python defines, in the operations of `keras.ops`.

        The `call` of a layer of this package may be used inside such a subclass: gradients flow through it.
        """
        from ..custom.layer import engine_call

        self.build_for([(None, *inputs.shape[1:])])
        return engine_call(self.lower, inputs, self._weights, training)

    def own_call(self, inputs: Any, training: bool) -> Any:
        """`call`, with `training` where it takes that."""
        from ..custom.layer import takes_training

        return self.call(inputs, training=training) if takes_training(self.call) else self.call(inputs)

    def inner_layers(self) -> list[Any]:
        """The layers that this one keeps as attributes, or in lists, where it is written in Python."""
        found: list[Any] = []
        for value in vars(self).values() if self.own else ():
            items = value if isinstance(value, list | tuple) else [value]
            found += [leaf for item in items if isinstance(item, OwnCall) for leaf in item.leaves()]
        return found

    def _host(self) -> tuple[Any, list[Weight]]:
        from ..custom.layer import LayerHost

        weights = [w for layer in (self, *self.inner_layers()) for w in layer._weights]
        return LayerHost(self.own_call, self.name, weights, getattr(self, "backward", None)), weights

    def write_own(self, builder: Builder, value: int) -> int:
        """The call as an operation of the graph."""
        (shape,) = self.shapes_for([(None, *builder.shape(value))])
        host, weights = self._host()
        return builder.call_python(value, weights, [int(n) for n in shape[1:] if n is not None], host)

    def found_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output, found by a call on two rows of ones."""
        self.build_for([input_shape])
        return (None, *self._host()[0].output_shape(sample_shape("input_shape", input_shape[1:])))

    def build_own(self, shape: Shape) -> None:
        """`build` as a person wrote it, once."""
        sample = sample_shape("input_shape", shape[1:])
        if not self.built or self._sample_shape is None:
            self.build(shape)
            self.built, self._sample_shape = True, sample
        elif self._sample_shape != sample:
            raise ValueError(f"{self.name}: built for {(None, *self._sample_shape)}, received {shape}")

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of this shape."""
        raise NotImplementedError


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
        name = f"weight_{count}" if count else "weight"
    initializer = initializers.get(initializer or ("glorot_uniform" if len(shape) > 1 else "zeros"))
    regularizer = regularizers.get(regularizer, "regularizer")
    return name, shape, initializer, regularizer, constraints.get(constraint)
