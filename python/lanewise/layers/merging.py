"""Layers with several inputs: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any, ClassVar

import numpy as np

from .._engine import Builder
from .base import Layer
from .operation import Shape


class Merge(Layer):
    """Base of the layers that are called on a list of inputs, of one shape unless a subclass says otherwise.

    Axes of one element are repeated, and (n, k) counts as (n, 1, k) beside (n, t, k), as in Keras.
    """

    several_inputs = True
    operation: ClassVar[str]
    least: ClassVar[int] = 1
    most: ClassVar[int | None] = None

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Shape of the output, rows first, for a list of shapes of the inputs.

        Raises:
            ValueError: not such a list, too few or too many, or shapes that do not fit each other.
        """
        shapes = self._checked(input_shape)
        rank = max(len(shape) for shape in shapes)
        samples = [self._filled(shape[1:], rank - 1) for shape in shapes]
        axes = [max(axis) for axis in zip(*samples, strict=True)]
        for i, sample in enumerate(samples):
            if any(axis not in (1, most) for axis, most in zip(sample, axes, strict=True)):
                raise ValueError(
                    f"{self.name}: {type(self).__name__} takes inputs of one shape, or with axes of 1 in it, received "
                    f"{_shown(shapes)}; input {i} differs. Bring them to one width with a Dense layer, or join them "
                    "with Concatenate"
                )
        return (None, *axes)

    def _checked(self, input_shape: Any) -> list[Shape]:
        if not isinstance(input_shape, list | tuple) or not all(isinstance(s, list | tuple) for s in input_shape):
            raise ValueError(
                f"{self.name}: {type(self).__name__} is called on a list of inputs, received one of shape {input_shape}"
            )
        shapes: list[Shape] = [tuple(shape) for shape in input_shape]
        if len(shapes) < self.least or (self.most is not None and len(shapes) > self.most):
            wanted = f"{self.most}" if self.most == self.least else f"at least {self.least}"
            raise ValueError(f"{self.name}: {type(self).__name__} takes {wanted} inputs, received {len(shapes)}")
        return shapes

    def __call__(self, inputs: Any, *more: Any, training: bool | None = None, **other: Any) -> Any:
        if not isinstance(inputs, list | tuple):
            raise ValueError(f"{self.name}: {type(self).__name__} is called on a list of inputs, received {inputs!r}")
        return super().__call__(inputs, *more, training=training, **other)

    def build(self, input_shape: Any) -> None:
        """Check the shapes; there are no weights."""
        self.compute_output_shape(input_shape)
        self.built = True
        self._input_shapes = [tuple(shape) for shape in input_shape]

    @property
    def input_shape(self) -> Any:
        """[(None, ...), ...]: what the layer was called on. Raises ValueError before that."""
        self._check_built("input_shape")
        return list(self._input_shapes)

    def _argument(self, shapes: Sequence[Shape]) -> Any:
        return list(shapes)

    def lower(self, builder: Builder, value: int) -> int:
        return self.merge(builder, [value])

    def merge(self, builder: Builder, values: Sequence[int]) -> int:
        shape = [int(axis or 0) for axis in self.compute_output_shape([(None, *builder.shape(v)) for v in values])[1:]]
        same = [builder.broadcast(value, shape) for value in values]
        return reduce(lambda a, b: builder.add(self.operation, [a, b]), same)

    @staticmethod
    def _filled(shape: Sequence[Any], rank: int) -> list[Any]:
        """The axes of a sample, those that it has fewer of than others as 1 in front."""
        return [*(1,) * (rank - len(shape)), *shape]


class Add(Merge):
    """x1 + x2 + ..., from the left."""

    operation = "add"


class Subtract(Merge):
    """x1 - x2."""

    operation = "subtract"
    least = most = 2


class Multiply(Merge):
    """x1 * x2 * ..., element by element, from the left."""

    operation = "multiply"


class Average(Merge):
    """(x1 + ... + xn) * (1/n)."""

    operation = "add"

    def merge(self, builder: Builder, values: Sequence[int]) -> int:
        return builder.add("scale", super().merge(builder, values), factor=1.0 / len(values))


class Maximum(Merge):
    """The largest of each element; NaN where one is NaN. Equal ones share the gradient."""

    operation = "maximum"


class Minimum(Merge):
    """The smallest of each element; NaN where one is NaN. Equal ones share the gradient."""

    operation = "minimum"


class Concatenate(Merge):
    """The inputs one after the other along an axis.

    Args:
        axis: counted with the rows as axis 0, or from the end; not the rows.
    """

    operation = "concatenate"

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        from .._names import check_integer

        self.axis = check_integer("axis", axis, -8)
        super().__init__(**kwargs)
        if self.axis == 0:
            raise ValueError("axis: rows cannot be joined to rows (axis 0); give an axis of the samples, such as -1")

    def _along(self, rank: int) -> int:
        axis = self.axis + rank if self.axis < 0 else self.axis
        if not 0 < axis < rank:
            raise ValueError(f"{self.name}: axis={self.axis} is no axis of samples in inputs of {rank} axes")
        return axis

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self._checked(input_shape)
        axis = self._along(len(shapes[0]))
        total = 0
        for i, shape in enumerate(shapes):
            rest = [*shape[:axis], *shape[axis + 1 :]]
            if len(shape) != len(shapes[0]) or rest != [*shapes[0][:axis], *shapes[0][axis + 1 :]]:
                raise ValueError(
                    f"{self.name}: Concatenate(axis={self.axis}) takes inputs that differ in that axis only, received "
                    f"{_shown(shapes)}; input {i} differs from input 0 in another one"
                )
            total += shape[axis] or 0
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def merge(self, builder: Builder, values: Sequence[int]) -> int:
        return builder.add("concatenate", values, axis=self._along(len(builder.shape(values[0])) + 1) - 1)

    def mask_of(self, builder: Builder, values: Sequence[int], masks: Sequence[int | None]) -> int | None:
        if all(mask is None for mask in masks):
            return None
        # nothing equals NaN: ones for inputs without a mask
        pairs = zip(values, masks, strict=True)
        known = [builder.add("differs", v, other=math.nan) if mask is None else mask for v, mask in pairs]
        rank = len(builder.shape(values[0]))
        along = self._along(rank + 1) - 1
        if along < rank - 1:
            return builder.add("concatenate", known, axis=along)
        return super().mask_of(builder, values, known)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """Sums of products along an axis of each: (n, k), (n, k) -> (n, 1); (n, t, k), (n, s, k) -> (n, t, s).

    Args:
        axes: an axis of both, or one for each, counted with the rows as axis 0; not the rows.
        normalize: whether to divide by the norms along it: cosine similarity.
    """

    operation = "dot"
    least = most = 2
    mask_use = "used"

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        given = list(axes) if isinstance(axes, list | tuple) else [axes, axes]
        if len(given) != 2 or not all(isinstance(axis, int) for axis in given):
            raise TypeError(f"axes: expected an integer or two of them, received {axes!r}")
        super().__init__(**kwargs)
        self.axes = axes
        self.normalize = bool(normalize)
        self._axes = given

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self._checked(input_shape)
        along = [axis % len(shape) for axis, shape in zip(self._axes, shapes, strict=True)]
        if 0 in along or any(len(shape) not in (2, 3) for shape in shapes):
            raise ValueError(
                f"{self.name}: Dot multiplies inputs of two or three axes along one of a sample, received "
                f"{_shown(shapes)} with axes={self.axes!r}"
            )
        if shapes[0][along[0]] != shapes[1][along[1]]:
            raise ValueError(f"{self.name}: axes={self.axes!r} of {_shown(shapes)} are of different lengths")
        rest = [axis for shape, at in zip(shapes, along, strict=True) for axis in (*shape[1:at], *shape[at + 1 :])]
        return (None, *(rest or [1]))

    def merge(self, builder: Builder, values: Sequence[int]) -> int:
        shapes = [builder.shape(value) for value in values]
        last = [
            builder.moved(value, partial(np.moveaxis, source=axis, destination=-1))
            for value, axis in zip(values, self._axes, strict=True)
        ]
        if self.normalize:
            last = [builder.add("unit_norm", value, epsilon=_LEAST_NORM) for value in last]
        if all(len(shape) == 1 for shape in shapes):
            return builder.add("dot", last)
        *lead, k = builder.shape(last[0])
        other = builder.shape(last[1])[:-1]
        first = builder.reshaped(last[0], (*lead, *(1 for _ in other), k))
        a, b = (builder.broadcast(value, (*lead, *other, k)) for value in (first, last[1]))
        return builder.reshaped(builder.add("dot", [a, b]), (*lead, *other))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


_LEAST_NORM = 1e-6  # sqrt of Keras's 1e-12


def _shown(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes[:6])) + (f", ... ({len(shapes)} in all)" if len(shapes) > 6 else "")


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add()(inputs)`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract()(inputs)`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply()(inputs)`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average()(inputs)`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum()(inputs)`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum()(inputs)`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis)(inputs)`."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot(axes)(inputs)`."""
    return Dot(axes, **kwargs)(inputs)
