"""Layers with several inputs: Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar

from .._engine import Builder
from .base import Layer
from .operation import Shape


class Merge(Layer):
    """Base of the layers that are called on a list of inputs, of one shape unless a subclass says otherwise."""

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
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise ValueError(
                    f"{self.name}: {type(self).__name__} takes inputs of one shape, received {_shown(shapes)}; "
                    f"input {i} differs from input 0. Bring them to one width with a Dense layer, or join them with "
                    "Concatenate"
                )
        return shapes[0]

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

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        if not isinstance(inputs, list | tuple):
            raise ValueError(f"{self.name}: {type(self).__name__} is called on a list of inputs, received {inputs!r}")
        return super().__call__(inputs, training)

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

    def write_all(self, builder: Builder, values: Sequence[int]) -> list[int]:
        return [self.penalised(builder, self.merge(builder, list(values)))]

    def merge(self, builder: Builder, values: list[int]) -> int:
        """Write the operations on the values; returns the output's value."""
        return reduce(lambda a, b: builder.add(self.operation, [a, b]), values)


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

    def merge(self, builder: Builder, values: list[int]) -> int:
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

    def merge(self, builder: Builder, values: list[int]) -> int:
        return builder.add("concatenate", values, axis=self._along(len(builder.shape(values[0])) + 1) - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """sum_k x1[k] * x2[k] of two inputs (n, k), as (n, 1).

    Args:
        axes: 1 or -1 (or two of these): the only axis of the samples.
        normalize: not supported; False.
    """

    operation = "dot"
    least = most = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        from .._names import check_default

        given = list(axes) if isinstance(axes, list | tuple) else [axes, axes]
        if len(given) != 2 or not all(isinstance(axis, int) for axis in given):
            raise TypeError(f"axes: expected an integer or two of them, received {axes!r}")
        check_default("normalize", normalize, False, "put UnitNormalization() before it")
        super().__init__(**kwargs)
        self.axes = axes
        self._axes = given

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self._checked(input_shape)
        if any(len(shape) != 2 for shape in shapes) or any(axis not in (1, -1) for axis in self._axes):
            raise NotImplementedError(
                f"{self.name}: Dot multiplies inputs of two axes (n, k) along the last one, received "
                f"{_shown(shapes)} with axes={self.axes!r}"
            )
        return (*super().compute_output_shape(shapes)[:-1], 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": False}


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
