"""The twin: what lanewise computes, written again in float64 NumPy, for reading.

This is the reference that a reader checks lanewise against. It has the same operations and the same order of events
as the engine (forward, loss, backward, penalties, clipping, update), one line of NumPy for each equation, and none of
the engine's speed. It takes initial weights, the order of the rows and dropout masks as given, so that nothing in it is
random. Where lanewise differs from the twin, it differs by the rounding of float32 alone.

    layers = [Dense(kernel, bias, "relu"), Dense(kernel2, bias2)]
    losses = train(layers, "mse", SGD(0.1), x, y, batch_size=32, epochs=2)

Shapes: x is (rows, inputs), a kernel is (inputs, units), a bias is (units,). `dy` is the gradient of the loss with
respect to the output of an operation, `dx` that with respect to its input.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def float64(value: ArrayLike) -> Array:
    """A float64 copy."""
    return np.array(value, np.float64)


# --- activations: forward in terms of x, backward in terms of the output y -------------------------------------------


def linear(x: Array) -> Array:
    return x


def relu(x: Array) -> Array:
    return np.where(x > 0, x, 0.0)


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def tanh(x: Array) -> Array:
    return np.tanh(x)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def linear_backward(dy: Array, y: Array) -> Array:
    return dy


def relu_backward(dy: Array, y: Array) -> Array:
    return np.where(y > 0, dy, 0.0)


def sigmoid_backward(dy: Array, y: Array) -> Array:
    return dy * y * (1.0 - y)


def tanh_backward(dy: Array, y: Array) -> Array:
    return dy * (1.0 - y * y)


def softmax_backward(dy: Array, y: Array) -> Array:
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


ACTIVATIONS = {
    "linear": (linear, linear_backward),
    "relu": (relu, relu_backward),
    "sigmoid": (sigmoid, sigmoid_backward),
    "tanh": (tanh, tanh_backward),
    "softmax": (softmax, softmax_backward),
}


# --- layers: forward keeps what backward needs -----------------------------------------------------------------------


class Layer:
    """An operation on rows. `weights` are changed in place by training; `gradients` stand beside them."""

    def __init__(self, weights: Sequence[Array] = (), l1: float = 0.0, l2: float = 0.0) -> None:
        self.weights = list(weights)
        self.gradients: list[Array] = []
        self.l1, self.l2 = l1, l2  # penalty on the kernel (the first weight) alone

    def forward(self, x: Array, training: bool = False) -> Array:
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        raise NotImplementedError

    def penalty(self) -> float:
        """l1 * sum |w| + l2 * sum w**2."""
        w = self.weights[0] if self.weights else np.zeros(1)
        return float(self.l1 * np.abs(w).sum() + self.l2 * (w * w).sum())


class Dense(Layer):
    """y = f(x @ kernel + bias); on x of more axes it acts along the last one."""

    def __init__(
        self, kernel: ArrayLike, bias: ArrayLike, activation: str = "linear", l1: float = 0.0, l2: float = 0.0
    ) -> None:
        super().__init__([float64(kernel), float64(bias)], l1, l2)
        self.activate, self.activate_backward = ACTIVATIONS[activation]

    def forward(self, x: Array, training: bool = False) -> Array:
        kernel, bias = self.weights
        self.x, self.y = x, self.activate(x @ kernel + bias)
        return self.y

    def backward(self, dy: Array) -> Array:
        kernel, bias = self.weights
        dz = self.activate_backward(dy, self.y)
        rows, dz_rows = self.x.reshape(-1, len(kernel)), dz.reshape(-1, len(bias))
        dkernel = rows.T @ dz_rows + self.l1 * np.sign(kernel) + 2 * self.l2 * kernel
        self.gradients = [dkernel, dz_rows.sum(axis=0)]
        return dz @ kernel.T


class Dropout(Layer):
    """In training y = x * mask / (1 - rate), mask 0 or 1, one (rows, columns) mask a batch; otherwise y = x."""

    def __init__(self, rate: float, masks: Iterable[ArrayLike]) -> None:
        super().__init__()
        self.rate, self.masks = rate, iter(masks)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.factor = float64(next(self.masks)) / (1.0 - self.rate) if training else np.ones(1)
        return x * self.factor

    def backward(self, dy: Array) -> Array:
        return dy * self.factor


class Flatten(Layer):
    """(rows, a, b) -> (rows, a * b)."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.shape)


class Normalize(Layer):
    """y = (x - mean) / std by column; not trained."""

    def __init__(self, mean: ArrayLike, std: ArrayLike) -> None:
        super().__init__()
        self.mean, self.std = float64(mean), float64(std)

    def forward(self, x: Array, training: bool = False) -> Array:
        return (x - self.mean) / self.std

    def backward(self, dy: Array) -> Array:
        return dy / self.std


# --- losses: one value a row, and its gradient with respect to the prediction ----------------------------------------


def mse(p: Array, t: Array) -> Array:
    return ((p - t) ** 2).mean(axis=-1)


def mse_gradient(p: Array, t: Array) -> Array:
    return 2.0 * (p - t) / p.shape[-1]


def mae(p: Array, t: Array) -> Array:
    return np.abs(p - t).mean(axis=-1)


def mae_gradient(p: Array, t: Array) -> Array:
    return np.sign(p - t) / p.shape[-1]


def huber(p: Array, t: Array) -> Array:  # delta = 1
    e = np.abs(p - t)
    return np.where(e <= 1, e * e / 2, e - 0.5).mean(axis=-1)


def huber_gradient(p: Array, t: Array) -> Array:
    return np.clip(p - t, -1.0, 1.0) / p.shape[-1]


def binary_crossentropy(z: Array, t: Array) -> Array:
    """From logits z: -(t log s(z) + (1 - t) log(1 - s(z))), s the sigmoid."""
    return (np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))).mean(axis=-1)


def binary_crossentropy_gradient(z: Array, t: Array) -> Array:
    return (sigmoid(z) - t) / z.shape[-1]


def categorical_crossentropy(z: Array, t: Array) -> Array:
    """From logits z: -sum t log softmax(z)."""
    shifted = z - z.max(axis=-1, keepdims=True)
    return -(t * (shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))).sum(axis=-1)


def categorical_crossentropy_gradient(z: Array, t: Array) -> Array:
    return softmax(z) * t.sum(axis=-1, keepdims=True) - t


def sparse_categorical_crossentropy(z: Array, label: Array) -> Array:
    return categorical_crossentropy(z, np.eye(z.shape[-1])[label.astype(int)])


def sparse_categorical_crossentropy_gradient(z: Array, label: Array) -> Array:
    return categorical_crossentropy_gradient(z, np.eye(z.shape[-1])[label.astype(int)])


LOSSES = {
    "mse": (mse, mse_gradient),
    "mae": (mae, mae_gradient),
    "huber": (huber, huber_gradient),
    "binary_crossentropy": (binary_crossentropy, binary_crossentropy_gradient),
    "categorical_crossentropy": (categorical_crossentropy, categorical_crossentropy_gradient),
    "sparse_categorical_crossentropy": (sparse_categorical_crossentropy, sparse_categorical_crossentropy_gradient),
}


# --- optimizers ------------------------------------------------------------------------------------------------------


class Optimizer:
    """Clipping, decoupled weight decay, then the step that a subclass writes down for one weight."""

    def __init__(
        self, learning_rate: float, clipnorm: float = 0.0, clipvalue: float = 0.0, global_clipnorm: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.t = 0  # number of steps made
        self.slots: dict[int, list[Array]] = {}

    def apply(self, weights: Sequence[Array], gradients: Sequence[Array]) -> None:
        """One step on all weights, in place."""
        self.t += 1
        for i, (w, g) in enumerate(zip(weights, self.clipped(gradients), strict=True)):
            slots = self.slots.setdefault(i, [np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)])
            w -= self.weight_decay * self.learning_rate * w
            self.step(w, g, slots)

    def clipped(self, gradients: Sequence[Array]) -> list[Array]:
        """A norm above its limit is scaled down to it; a value is cut at ±clipvalue."""
        if self.clipnorm:
            return [g * min(1.0, self.clipnorm / max(np.sqrt((g * g).sum()), 1e-300)) for g in gradients]
        if self.global_clipnorm:
            norm = np.sqrt(sum((g * g).sum() for g in gradients))
            return [g * min(1.0, self.global_clipnorm / max(norm, 1e-300)) for g in gradients]
        if self.clipvalue:
            return [np.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        return list(gradients)

    def step(self, w: Array, g: Array, slots: list[Array]) -> None:
        raise NotImplementedError


class SGD(Optimizer):
    """w -= lr*g; with momentum v = momentum*v - lr*g, then w += v, or w += momentum*v - lr*g (Nesterov)."""

    def __init__(
        self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False, **shared: float
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.momentum, self.nesterov = momentum, nesterov

    def step(self, w: Array, g: Array, slots: list[Array]) -> None:
        v = slots[0]
        v[...] = self.momentum * v - self.learning_rate * g
        w += self.momentum * v - self.learning_rate * g if self.nesterov else v


class Adam(Optimizer):
    """Moving means m of g and v of g*g; w -= lr * sqrt(1 - b2**t) / (1 - b1**t) * m / (sqrt(v) + epsilon)."""

    def __init__(
        self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        **shared: float,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **shared)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def step(self, w: Array, g: Array, slots: list[Array]) -> None:
        m, v = slots[:2]
        m += (g - m) * (1.0 - self.beta_1)
        v += (g * g - v) * (1.0 - self.beta_2)
        rate = self.learning_rate * np.sqrt(1.0 - self.beta_2**self.t) / (1.0 - self.beta_1**self.t)
        w -= rate * m / (np.sqrt(v) + self.epsilon)


class RMSprop(Optimizer):
    """Moving mean v of g*g (centered: less the square of the moving mean of g); u = lr * g / sqrt(v + epsilon).

    w -= u; with momentum the steps add up: s = momentum*s + u, w -= s.
    """

    def __init__(
        self, learning_rate: float = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
        centered: bool = False, **shared: float,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **shared)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def step(self, w: Array, g: Array, slots: list[Array]) -> None:
        v, mean, s = slots
        v[...] = self.rho * v + (1.0 - self.rho) * g * g
        variance = v
        if self.centered:
            mean[...] = self.rho * mean + (1.0 - self.rho) * g
            variance = v - mean * mean
        s[...] = self.momentum * s + self.learning_rate * g / np.sqrt(variance + self.epsilon)
        w -= s


# --- the loop --------------------------------------------------------------------------------------------------------


def predict(layers: Sequence[Layer], x: ArrayLike, training: bool = False) -> Array:
    """The output of the last layer; for a cross-entropy that is the logits."""
    y = float64(x)
    for layer in layers:
        y = layer.forward(y, training)
    return y


def weights_of(layers: Sequence[Layer]) -> list[Array]:
    """The arrays that training changes, layer by layer."""
    return [w for layer in layers for w in layer.weights]


def value_and_grad(
    layers: Sequence[Layer], loss: str, x: ArrayLike, y: ArrayLike, row_weights: ArrayLike | None = None,
    training: bool = True,
) -> tuple[float, list[Array]]:  # fmt: skip
    """(loss of these rows as one batch, its gradient for each weight).

    The loss is sum(row_weight * row_loss) / rows, plus the penalties.
    """
    of_rows, gradient = LOSSES[loss]
    prediction, target = predict(layers, x, training), float64(y)
    rows = len(prediction)
    factor = np.ones(rows) if row_weights is None else float64(row_weights)
    value = float((factor * of_rows(prediction, target)).sum() / rows + sum(layer.penalty() for layer in layers))
    dy = gradient(prediction, target) * factor[:, None] / rows
    for layer in reversed(layers):
        dy = layer.backward(dy)
    return value, [g for layer in layers for g in layer.gradients]


def batches(rows: int, batch_size: int, order: ArrayLike | None = None) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each batch; the last one may be partial."""
    numbers = np.arange(rows) if order is None else np.asarray(order, np.int64)
    for start in range(0, len(numbers), batch_size):
        yield numbers[start : start + batch_size]


def train(
    layers: Sequence[Layer], loss: str, optimizer: Optimizer, x: ArrayLike, y: ArrayLike, batch_size: int = 32,
    epochs: int = 1, orders: Sequence[ArrayLike] | None = None, row_weights: ArrayLike | None = None,
) -> list[float]:  # fmt: skip
    """Mini-batch training in place; returns the loss of each epoch.

    An epoch's loss is sum(batch loss * rows of the batch) / rows, each batch's taken before its update.
    """
    x, y, history = float64(x), float64(y), []
    weights = None if row_weights is None else float64(row_weights)
    for epoch in range(epochs):
        total = 0.0
        for rows in batches(len(x), batch_size, None if orders is None else orders[epoch]):
            value, gradients = value_and_grad(
                layers, loss, x[rows], y[rows], None if weights is None else weights[rows]
            )
            optimizer.apply(weights_of(layers), gradients)
            total += value * len(rows)
        history.append(total / len(x))
    return history
