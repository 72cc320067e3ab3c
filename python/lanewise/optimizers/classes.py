"""SGD, Adam, RMSprop. w a weight, g its gradient, lr the learning rate, t the step."""

from __future__ import annotations

from typing import Any

from .._names import check_below_one, check_default, check_number
from .base import Optimizer, positive


class SGD(Optimizer):
    """w -= lr*g; with momentum m: v = m*v - lr*g, w += v, and with nesterov w += m*v - lr*g.

    Args:
        learning_rate: 0.01.
        momentum: in [0, 1].
        nesterov: Nesterov's form of momentum (Sutskever et al. 2013).
        **kwargs: see `Optimizer`.
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any) -> None:
        momentum = check_number("momentum", momentum, "a number in [0, 1]", lambda v: 0.0 <= v <= 1.0)
        super().__init__("sgd", {"momentum": momentum, "nesterov": bool(nesterov)}, learning_rate, **kwargs)


class Adam(Optimizer):
    """m = b1*m + (1-b1)*g, v = b2*v + (1-b2)*g*g, w -= lr*sqrt(1 - b2**t)/(1 - b1**t) * m/(sqrt(v) + epsilon).

    Args:
        learning_rate: 0.001.
        beta_1, beta_2: in [0, 1).
        epsilon: outside the root.
        amsgrad: not supported; False.
        **kwargs: see `Optimizer`.

    Source: Kingma & Ba 2014, the form before section 2.1; defaults as Keras.
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        amsgrad: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_default("amsgrad", amsgrad, False, "AMSGrad is not there yet")
        hyper = {
            "beta_1": check_below_one("beta_1", beta_1),
            "beta_2": check_below_one("beta_2", beta_2),
            "epsilon": positive("epsilon", epsilon),
        }
        super().__init__("adam", hyper, learning_rate, **kwargs)


class RMSprop(Optimizer):
    """v = rho*v + (1-rho)*g*g, w -= lr*g/sqrt(v + epsilon).

    With momentum p: u = p*u + lr*g/sqrt(v + epsilon), w -= u. Centered: the square of
    the mean gradient is taken off v.

    Args:
        learning_rate: 0.001.
        rho: in [0, 1).
        momentum: in [0, 1].
        epsilon: inside the root.
        centered: whether v is centred.
        **kwargs: see `Optimizer`.

    Source: Hinton, Neural Networks for Machine Learning, lecture 6e (2012); defaults as Keras.
    """

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
        centered: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        hyper = {
            "rho": check_below_one("rho", rho),
            "momentum": check_number("momentum", momentum, "a number in [0, 1]", lambda v: 0.0 <= v <= 1.0),
            "epsilon": positive("epsilon", epsilon),
            "centered": bool(centered),
        }
        super().__init__("rmsprop", hyper, learning_rate, **kwargs)
