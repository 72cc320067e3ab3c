"""The kernels as NumPy functions, and the switches of the library (ISA, threads).

Every function takes float32 arrays and nothing else: another dtype is a ``TypeError`` that says how to convert.
Functions that make an array take ``out=``: float32, C-contiguous, writeable, of the result's shape, sharing no memory
with an input (elementwise functions may write into the very array they read). The bits of every result are the same at
any number of threads and on every CPU with fused multiply-add; a row's result does not depend on the rows around it.

``matmul``, ``dense_forward`` and the other plain names are the compiled functions themselves: no Python stands between.
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING

from ._core import (
    active_isa,
    adam_step as _adam_step,
    available_isas,
    build_info,
    column_sum,
    compiled_isas,
    dense_backward,
    dense_forward,
    get_num_threads,
    loss_backward as _loss_backward,
    loss_forward as _loss_forward,
    matmul,
    permutation,
    random_normal,
    random_uniform,
    relu_backward,
    relu_forward,
    rmsprop_step as _rmsprop_step,
    row_sum,
    set_forked as _set_forked,
    set_num_threads,
    sgd_step as _sgd_step,
    sigmoid_backward,
    sigmoid_forward,
    softmax_backward,
    softmax_forward,
    tanh_backward,
    tanh_forward,
    use_isa,
)

if TYPE_CHECKING:
    from ._core import AnyArray, Float32

__all__ = [
    "active_isa",
    "adam_step",
    "available_isas",
    "binary_crossentropy_backward",
    "binary_crossentropy_forward",
    "build_info",
    "categorical_crossentropy_backward",
    "categorical_crossentropy_forward",
    "column_sum",
    "compiled_isas",
    "dense_backward",
    "dense_forward",
    "get_num_threads",
    "huber_backward",
    "huber_forward",
    "mae_backward",
    "mae_forward",
    "matmul",
    "mse_backward",
    "mse_forward",
    "permutation",
    "random_normal",
    "random_uniform",
    "relu_backward",
    "relu_forward",
    "rmsprop_step",
    "row_sum",
    "set_num_threads",
    "sgd_step",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_backward",
    "softmax_forward",
    "sparse_categorical_crossentropy_backward",
    "sparse_categorical_crossentropy_forward",
    "tanh_backward",
    "tanh_forward",
    "use_isa",
]

# The threads of the runtime do not live on in a forked child: it runs everything on its own one.
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_set_forked)


def mse_forward(y_true: Float32, y_pred: Float32, out: Float32 | None = None) -> Float32:
    """Mean squared error of each row.

    Args:
        y_true: targets, shape (n, outputs) or (n,).
        y_pred: predictions, the same shape.
        out: where to write, shape (n,).

    Returns:
        (n,): the mean over outputs of (y_pred - y_true)**2.
    """
    return _loss_forward("mse", y_true, y_pred, 0.0, out)


def mse_backward(y_true: Float32, y_pred: Float32, out: Float32 | None = None) -> Float32:
    """Gradient of the mean over rows of :func:`mse_forward` with respect to ``y_pred``, in its shape."""
    return _loss_backward("mse", y_true, y_pred, 0.0, out)


def mae_forward(y_true: Float32, y_pred: Float32, out: Float32 | None = None) -> Float32:
    """Mean absolute error of each row: shapes as :func:`mse_forward`."""
    return _loss_forward("mae", y_true, y_pred, 0.0, out)


def mae_backward(y_true: Float32, y_pred: Float32, out: Float32 | None = None) -> Float32:
    """Gradient of the mean over rows of :func:`mae_forward`; 0 where prediction and target are equal."""
    return _loss_backward("mae", y_true, y_pred, 0.0, out)


def huber_forward(y_true: Float32, y_pred: Float32, out: Float32 | None = None, *, delta: float = 1.0) -> Float32:
    """Huber loss of each row: the mean of e**2 / 2 where abs(e) <= delta, else of delta * (abs(e) - delta / 2)."""
    return _loss_forward("huber", y_true, y_pred, delta, out)


def huber_backward(y_true: Float32, y_pred: Float32, out: Float32 | None = None, *, delta: float = 1.0) -> Float32:
    """Gradient of the mean over rows of :func:`huber_forward`."""
    return _loss_backward("huber", y_true, y_pred, delta, out)


def _crossentropy(name: str, from_logits: bool) -> str:
    return name if from_logits else name + "_probs"


def binary_crossentropy_forward(
    y_true: Float32,
    y_pred: Float32,
    out: Float32 | None = None,
    *,
    from_logits: bool = True,
    label_smoothing: float = 0.0,
) -> Float32:
    """Binary cross-entropy of each row, averaged over outputs.

    Args:
        y_true: targets in [0, 1], shape (n, outputs) or (n,).
        y_pred: logits, or probabilities with ``from_logits=False``, the same shape.
        out: where to write, shape (n,).
        from_logits: what ``y_pred`` is. Probabilities are clipped to [1e-7, 1 - 1e-7], as Keras does.
        label_smoothing: in [0, 1): targets become y * (1 - s) + s / 2.
    """
    return _loss_forward(_crossentropy("binary_crossentropy", from_logits), y_true, y_pred, label_smoothing, out)


def binary_crossentropy_backward(
    y_true: Float32,
    y_pred: Float32,
    out: Float32 | None = None,
    *,
    from_logits: bool = True,
    label_smoothing: float = 0.0,
) -> Float32:
    """Gradient of the mean over rows of :func:`binary_crossentropy_forward`."""
    return _loss_backward(_crossentropy("binary_crossentropy", from_logits), y_true, y_pred, label_smoothing, out)


def categorical_crossentropy_forward(
    y_true: Float32,
    y_pred: Float32,
    out: Float32 | None = None,
    *,
    from_logits: bool = True,
    label_smoothing: float = 0.0,
) -> Float32:
    """Categorical cross-entropy of each row.

    Args:
        y_true: one-hot rows or distributions, shape (n, classes).
        y_pred: logits, or probabilities with ``from_logits=False`` (rows are normalised and clipped to
            [1e-7, 1 - 1e-7], as Keras does), the same shape.
        out: where to write, shape (n,).
        from_logits: what ``y_pred`` is.
        label_smoothing: in [0, 1): targets become y * (1 - s) + s / classes.
    """
    return _loss_forward(_crossentropy("categorical_crossentropy", from_logits), y_true, y_pred, label_smoothing, out)


def categorical_crossentropy_backward(
    y_true: Float32,
    y_pred: Float32,
    out: Float32 | None = None,
    *,
    from_logits: bool = True,
    label_smoothing: float = 0.0,
) -> Float32:
    """Gradient of the mean over rows of :func:`categorical_crossentropy_forward`."""
    return _loss_backward(_crossentropy("categorical_crossentropy", from_logits), y_true, y_pred, label_smoothing, out)


def sparse_categorical_crossentropy_forward(
    y_true: AnyArray, y_pred: Float32, out: Float32 | None = None, *, from_logits: bool = True
) -> Float32:
    """Categorical cross-entropy of each row where ``y_true`` (n,) holds integer labels from 0 to classes - 1.

    Raises:
        TypeError: labels that are not integers.
        ValueError: a label outside the classes.
    """
    return _loss_forward(_crossentropy("sparse_categorical_crossentropy", from_logits), y_true, y_pred, 0.0, out)


def sparse_categorical_crossentropy_backward(
    y_true: AnyArray, y_pred: Float32, out: Float32 | None = None, *, from_logits: bool = True
) -> Float32:
    """Gradient of the mean over rows of :func:`sparse_categorical_crossentropy_forward`."""
    return _loss_backward(_crossentropy("sparse_categorical_crossentropy", from_logits), y_true, y_pred, 0.0, out)


def sgd_step(
    w: Float32,
    g: Float32,
    velocity: Float32 | None = None,
    *,
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> None:
    """One step of stochastic gradient descent on ``w`` in place: w -= learning_rate * g.

    With momentum (then ``velocity``, of w's shape, changes too): velocity = momentum * velocity - learning_rate * g;
    w += velocity, or with Nesterov w += momentum * velocity - learning_rate * g (Keras's form).
    """
    _sgd_step(w, g, velocity, learning_rate, momentum, nesterov)


def adam_step(
    w: Float32,
    g: Float32,
    m: Float32,
    v: Float32,
    *,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> None:
    """Adam's step number ``step`` (1, 2, ...) on ``w`` and its moments ``m`` and ``v``, in place.

    m += (g - m) * (1 - beta_1); v += (g * g - v) * (1 - beta_2);
    w -= learning_rate * sqrt(1 - beta_2**step) / (1 - beta_1**step) * m / (sqrt(v) + epsilon).
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, with epsilon where Keras has it.
    """
    _adam_step(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon)


def rmsprop_step(
    w: Float32, g: Float32, v: Float32, *, learning_rate: float = 0.001, rho: float = 0.9, epsilon: float = 1e-7
) -> None:
    """One step of RMSprop on ``w`` and its mean square ``v``, in place.

    v = rho * v + (1 - rho) * g * g; w -= learning_rate * g / sqrt(v + epsilon), as Keras.
    """
    _rmsprop_step(w, g, v, learning_rate, rho, epsilon)
