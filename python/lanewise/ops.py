"""The kernels as NumPy functions, and the switches of the library (ISA, threads).

Every function takes float32 arrays and nothing else: another dtype is a ``TypeError`` that says how to convert.
Functions that make an array take ``out=``: float32, C-contiguous, writeable, of the result's shape, sharing no memory
with an input (elementwise functions may write into the very array they read). The bits of every result are the same at
any number of threads and on every CPU with fused multiply-add; a row's result does not depend on the rows around it.

``matmul``, ``dense_forward`` and the other plain names are the compiled functions themselves: no Python stands between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core import (
    activation_backward as _activation_backward,
    activation_forward as _activation_forward,
    active_isa,
    available_isas,
    build_info,
    column_sum,
    compiled_isas,
    dense_backward,
    dense_forward,
    get_num_threads,
    log_softmax_backward,
    log_softmax_forward,
    loss_backward as _loss_backward,
    loss_forward as _loss_forward,
    matmul,
    optimizer_step as _optimizer_step,
    permutation,
    prelu_backward,
    prelu_forward,
    random_normal,
    random_uniform,
    relu_backward,
    relu_forward,
    row_sum,
    set_num_threads as _set_num_threads,
    sigmoid_backward,
    sigmoid_forward,
    softmax_backward,
    softmax_forward,
    tanh_backward,
    tanh_forward,
    use_isa,
)
from ._missing import getter, lister

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._core import AnyArray, Float32

    _Kernel = Callable[..., Float32]

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
    "elu_backward",
    "elu_forward",
    "exponential_backward",
    "exponential_forward",
    "gelu_backward",
    "gelu_forward",
    "gelu_tanh_backward",
    "gelu_tanh_forward",
    "get_num_threads",
    "hard_sigmoid_backward",
    "hard_sigmoid_forward",
    "hard_silu_backward",
    "hard_silu_forward",
    "huber_backward",
    "huber_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "mae_backward",
    "mae_forward",
    "matmul",
    "mish_backward",
    "mish_forward",
    "mse_backward",
    "mse_forward",
    "optimizer_step",
    "permutation",
    "prelu_backward",
    "prelu_forward",
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
    "silu_backward",
    "silu_forward",
    "softmax_backward",
    "softmax_forward",
    "softplus_backward",
    "softplus_forward",
    "softsign_backward",
    "softsign_forward",
    "sparse_categorical_crossentropy_backward",
    "sparse_categorical_crossentropy_forward",
    "tanh_backward",
    "tanh_forward",
    "use_isa",
]

__getattr__ = getter(__name__, __all__)
__dir__ = lister({}, __all__)


def set_num_threads(n: int) -> None:
    """How many threads the engine uses from now on, 1 to 1024."""
    try:
        if n is True:
            raise TypeError
        _set_num_threads(n)
    except TypeError:
        raise TypeError(f"n: expected 1 to 1024 threads, received {n!r}") from None


def _elementwise(name: str, forward: str, of: str, gradient: str) -> tuple[_Kernel, _Kernel]:
    """Forward and backward of an elementwise activation without numbers."""

    def activation_forward(x: Float32, out: Float32 | None = None) -> Float32:
        return _activation_forward(name, x, out=out)

    def activation_backward(dy: Float32, of: Float32, out: Float32 | None = None) -> Float32:
        return _activation_backward(name, dy, of, out=out)

    for function, kind in ((activation_forward, "forward"), (activation_backward, "backward")):
        function.__name__ = function.__qualname__ = f"{name}_{kind}"
    activation_forward.__doc__ = f"{forward}, element by element; any shape."
    activation_backward.__doc__ = f"dy * ({gradient}), ``of`` being the {of} of :func:`{name}_forward`; any shape."
    return activation_forward, activation_backward


exponential_forward, exponential_backward = _elementwise("exponential", "exp(x)", "output y", "y")
softsign_forward, softsign_backward = _elementwise("softsign", "x / (1 + |x|)", "output y", "(1 - |y|)**2")
gelu_forward, gelu_backward = _elementwise(
    "gelu", "x * F(x), F the standard normal distribution", "input x", "F(x) + x * F'(x)"
)
gelu_tanh_forward, gelu_tanh_backward = _elementwise(
    "gelu_tanh", "x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3)))", "input x", "its derivative"
)
silu_forward, silu_backward = _elementwise("silu", "x * s, s = sigmoid(x)", "input x", "s + x * s * (1 - s)")
mish_forward, mish_backward = _elementwise("mish", "x * tanh(log(1 + exp(x)))", "input x", "its derivative")
hard_silu_forward, hard_silu_backward = _elementwise(
    "hard_silu", "x * min(max((x + 3) / 6, 0), 1)", "input x", "0, x/3 + 1/2 or 1"
)


def leaky_relu_forward(
    x: Float32, out: Float32 | None = None, *, negative_slope: float = 0.2, threshold: float = 0.0,
    max_value: float = float("inf"),
) -> Float32:  # fmt: skip
    """x above `threshold` but at most `max_value`, else negative_slope * (x - threshold); any shape."""
    return _activation_forward("leaky_relu", x, negative_slope, threshold, max_value, out)


def leaky_relu_backward(
    dy: Float32, x: Float32, out: Float32 | None = None, *, negative_slope: float = 0.2, threshold: float = 0.0,
    max_value: float = float("inf"),
) -> Float32:  # fmt: skip
    """dy above `threshold`, 0 above `max_value`, else negative_slope * dy; x is the input."""
    return _activation_backward("leaky_relu", dy, x, negative_slope, threshold, max_value, out)


def elu_forward(
    x: Float32, out: Float32 | None = None, *, alpha: float = 1.0, rate: float = 1.0, scale: float = 1.0
) -> Float32:
    """x > 0: scale * x, else alpha * (exp(rate * x) - 1), for rate > 0; any shape."""
    return _activation_forward("elu", x, alpha, rate, scale, out)


def elu_backward(
    dy: Float32, x: Float32, out: Float32 | None = None, *, alpha: float = 1.0, rate: float = 1.0, scale: float = 1.0
) -> Float32:
    """x > 0: dy * scale, else dy * alpha * rate * exp(rate * x); x is the input."""
    return _activation_backward("elu", dy, x, alpha, rate, scale, out)


def softplus_forward(x: Float32, out: Float32 | None = None, *, sign: float = 1.0) -> Float32:
    """sign * log(1 + exp(sign * x)); -1 makes it the logarithm of sigmoid(x); any shape."""
    return _activation_forward("softplus", x, sign, 0.0, 0.0, out)


def softplus_backward(dy: Float32, y: Float32, out: Float32 | None = None, *, sign: float = 1.0) -> Float32:
    """dy * (1 - exp(-abs(y))); y is the output."""
    return _activation_backward("softplus", dy, y, sign, 0.0, 0.0, out)


def hard_sigmoid_forward(
    x: Float32, out: Float32 | None = None, *, width: float = 6.0, shift: float = 3.0, least: float = 0.0
) -> Float32:
    """(x + shift) / width, cut to [least, 1]; any shape."""
    return _activation_forward("hard_sigmoid", x, width, shift, least, out)


def hard_sigmoid_backward(
    dy: Float32, y: Float32, out: Float32 | None = None, *, width: float = 6.0, shift: float = 3.0, least: float = 0.0
) -> Float32:
    """dy / width where least < y < 1, else 0; y is the output."""
    return _activation_backward("hard_sigmoid", dy, y, width, shift, least, out)


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
    slots = {"velocity": velocity}
    _optimizer_step("sgd", 1, w, g, slots, learning_rate=learning_rate, momentum=momentum, nesterov=nesterov)


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
    hyper = {"learning_rate": learning_rate, "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    _optimizer_step("adam", step, w, g, {"m": m, "v": v}, **hyper)


def rmsprop_step(
    w: Float32, g: Float32, v: Float32, *, learning_rate: float = 0.001, rho: float = 0.9, epsilon: float = 1e-7
) -> None:
    """One step of RMSprop on ``w`` and its mean square ``v``, in place.

    v = rho * v + (1 - rho) * g * g; w -= learning_rate * g / sqrt(v + epsilon), as Keras.
    """
    _optimizer_step("rmsprop", 1, w, g, {"v": v}, learning_rate=learning_rate, rho=rho, epsilon=epsilon)


def optimizer_step(
    name: str, w: Float32, g: Float32, slots: Mapping[str, Float32], *, step: int = 1, **hyper: float
) -> None:
    """Step number ``step`` (1, 2, ...) of any optimizer on ``w`` and its slots, in place.

    Args:
        name: sgd (slots: velocity, with momentum), rmsprop (v, mean_gradient where centered, momentum), adam (m, v),
            amsgrad (m, v, v_max), adamax (m, u), nadam (m, v), adagrad (accumulator), adadelta
            (accumulated_gradient, accumulated_step), ftrl (accumulator, linear) or lion (m).
        w: weights, float32.
        g: their gradient, of the same shape.
        slots: name -> array of w's shape, zero before the first step (an accumulator: 0.1).
        step: counts from 1.
        **hyper: as in `lanewise.optimizers`, by the same names; weight_decay too. ftrl has power (minus Keras's
            learning_rate_power), l1, l2, shrinkage and beta.

    The equations are those of Keras; `lanewise.optimizers` writes them down.
    """
    _optimizer_step(name, step, w, g, {**slots}, **hyper)
