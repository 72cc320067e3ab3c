"""The twin's normalisation, embedding, pooling and shapes: float64 NumPy, one line for each equation (see twin.py)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from twin import Array, Layer, float64


class Normalizing(Layer):
    """y = xhat * gamma + beta, xhat normalised along `axes` (of rows down, of columns along)."""

    def __init__(self, gamma: ArrayLike, beta: ArrayLike, epsilon: float = 1e-3) -> None:
        super().__init__([float64(gamma), float64(beta)])
        self.epsilon = epsilon

    def scaled(self, xhat: Array) -> Array:
        self.xhat = xhat
        return xhat * self.weights[0] + self.weights[1]

    def weight_gradients(self, dy: Array) -> Array:
        """Writes those of gamma and beta; returns that of xhat."""
        down = tuple(range(dy.ndim - 1))
        self.gradients = [(dy * self.xhat).sum(axis=down), dy.sum(axis=down)]
        return dy * self.weights[0]


class BatchNorm(Normalizing):
    """By the mean and the variance of the columns: the batch's in training, which then move, else the moving ones."""

    def __init__(self, gamma: ArrayLike, beta: ArrayLike, mean: ArrayLike, variance: ArrayLike, momentum: float = 0.99,
                 epsilon: float = 1e-3, moves: bool = True) -> None:  # fmt: skip
        super().__init__(gamma, beta, epsilon)
        self.mean, self.variance, self.momentum, self.moves = float64(mean), float64(variance), momentum, moves

    def forward(self, x: Array, training: bool = False) -> Array:
        self.own = training and self.moves
        mean, variance = self.mean, self.variance
        if self.own:
            down = tuple(range(x.ndim - 1))
            mean, variance = x.mean(axis=down), x.var(axis=down)
            self.mean = self.momentum * self.mean + (1 - self.momentum) * mean
            self.variance = self.momentum * self.variance + (1 - self.momentum) * variance
        self.std = np.sqrt(variance + self.epsilon)
        return self.scaled((x - mean) / self.std)

    def backward(self, dy: Array) -> Array:
        g = self.weight_gradients(dy)
        if not self.own:
            return g / self.std
        down = tuple(range(dy.ndim - 1))
        return (g - g.mean(axis=down) - self.xhat * (g * self.xhat).mean(axis=down)) / self.std


class LayerNorm(Normalizing):
    """By the mean and the variance of each row; without `center` by its mean square."""

    def __init__(self, gamma: ArrayLike, beta: ArrayLike, epsilon: float = 1e-3, center: bool = True) -> None:
        super().__init__(gamma, beta, epsilon)
        self.center = center

    def forward(self, x: Array, training: bool = False) -> Array:
        c = x - x.mean(axis=-1, keepdims=True) if self.center else x
        self.std = np.sqrt((c * c).mean(axis=-1, keepdims=True) + self.epsilon)
        return self.scaled(c / self.std)

    def backward(self, dy: Array) -> Array:
        g = self.weight_gradients(dy)
        mean = g.mean(axis=-1, keepdims=True) if self.center else 0.0
        return (g - mean - self.xhat * (g * self.xhat).mean(axis=-1, keepdims=True)) / self.std


class UnitNorm(Layer):
    """y = x / |x|."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.norm = np.maximum(np.sqrt((x * x).sum(axis=-1, keepdims=True)), 1e-12)
        self.y = x / self.norm
        return self.y

    def backward(self, dy: Array) -> Array:
        return (dy - self.y * (dy * self.y).sum(axis=-1, keepdims=True)) / self.norm


class Embed(Layer):
    """Rows of a table by ids."""

    def __init__(self, table: ArrayLike) -> None:
        super().__init__([float64(table)])

    def forward(self, x: Array, training: bool = False) -> Array:
        self.ids = x.astype(int)
        return self.weights[0][self.ids]

    def backward(self, dy: Array) -> Array:
        self.gradients = [np.zeros_like(self.weights[0])]
        np.add.at(self.gradients[0], self.ids, dy)
        return np.zeros(self.ids.shape)


class AveragePool(Layer):
    """(rows, time, k) -> (rows, k): the mean."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.shape = x.shape
        return x.mean(axis=1)

    def backward(self, dy: Array) -> Array:
        return np.broadcast_to(dy[:, None] / self.shape[1], self.shape)


class MaxPool(Layer):
    """(rows, time, k) -> (rows, k): the largest; equal ones share the gradient."""

    def forward(self, x: Array, training: bool = False) -> Array:
        y = x.max(axis=1)
        best = x == y[:, None]
        self.part = best / best.sum(axis=1, keepdims=True)
        return y

    def backward(self, dy: Array) -> Array:
        return dy[:, None] * self.part


class Repeat(Layer):
    """(rows, k) -> (rows, times, k)."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Array, training: bool = False) -> Array:
        return np.repeat(x[:, None], self.times, axis=1)

    def backward(self, dy: Array) -> Array:
        return dy.sum(axis=1)


class Shape(Layer):
    """Another order of the axes (counted from 1), then another shape."""

    def __init__(self, dims: Sequence[int], target: Sequence[int] | None = None) -> None:
        super().__init__()
        self.dims, self.target = (0, *dims), target

    def forward(self, x: Array, training: bool = False) -> Array:
        y = x.transpose(self.dims)
        self.before = y.shape
        return y if self.target is None else y.reshape(len(x), *self.target)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.before).transpose(np.argsort(self.dims))


class Scale(Layer):
    """y = x * scale + offset."""

    def __init__(self, scale: ArrayLike, offset: ArrayLike) -> None:
        super().__init__()
        self.scale, self.offset = float64(scale), float64(offset)

    def forward(self, x: Array, training: bool = False) -> Array:
        return x * self.scale + self.offset

    def backward(self, dy: Array) -> Array:
        return dy * self.scale
