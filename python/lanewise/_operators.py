"""Arithmetic for what stands for an array: each operator is the NumPy function of its name."""

from __future__ import annotations

from typing import Any

import numpy

np: Any = numpy  # whose stubs know no classes that stand for arrays


class Operators:
    """`a + b`, `2 * a`, `a @ b`, ... by NumPy's functions, which ask `__array_ufunc__`."""

    __slots__ = ()
    __array_priority__ = 1000.0

    def __add__(self, other: Any) -> Any:
        return np.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return np.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return np.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return np.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return np.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return np.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return np.true_divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return np.true_divide(other, self)

    def __pow__(self, other: Any) -> Any:
        return np.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return np.power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return np.matmul(other, self)

    def __mod__(self, other: Any) -> Any:
        return np.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return np.remainder(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return np.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __neg__(self) -> Any:
        return np.negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return np.absolute(self)

    def __lt__(self, other: Any) -> Any:
        return np.less(self, other)

    def __le__(self, other: Any) -> Any:
        return np.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return np.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(self, other)

    @property
    def value(self) -> Any:
        """The plain array."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(self.value.ndim)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)


class TracedBase(Operators):
    """Base of `lanewise.custom.tape.Traced`, for those who only ask whether something is one."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def numpy(self) -> Any:
        """The values alone."""
        raise NotImplementedError


def unmasked(value: Any) -> Any:
    """value. Raises TypeError: a masked array, which hides what `asarray` would take for data."""
    if isinstance(value, np.ndarray) and hasattr(value, "_mask"):
        raise TypeError("expected an array without a mask, received MaskedArray; fill it first: .filled(0)")
    return value
