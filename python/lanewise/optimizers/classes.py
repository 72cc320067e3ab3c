"""The optimizers. w is a weight, g its gradient, lr the learning rate, t = 1, 2, ... the step, b1, b2 the betas."""

from __future__ import annotations

from typing import Any

from .._names import LARGEST, check_below_one, check_not_negative, check_number, check_positive, check_share
from .base import Optimizer


class SGD(Optimizer):
    """w -= lr*g; with momentum m: v = m*v - lr*g, w += v, and with nesterov w += m*v - lr*g.

    Args:
        learning_rate: 0.01.
        momentum: in [0, 1].
        nesterov: Nesterov's form of momentum (Sutskever et al. 2013).
        **kwargs: see `Optimizer`.
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any) -> None:
        momentum = check_share("momentum", momentum)
        super().__init__("sgd", {"momentum": momentum, "nesterov": bool(nesterov)}, learning_rate, **kwargs)


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
            "momentum": check_share("momentum", momentum),
            "epsilon": check_positive("epsilon", epsilon),
            "centered": bool(centered),
        }
        super().__init__("rmsprop", hyper, learning_rate, **kwargs)


def _adam_hyper(beta_1: Any, beta_2: Any, epsilon: Any) -> dict[str, Any]:
    return {
        "beta_1": check_below_one("beta_1", beta_1),
        "beta_2": check_below_one("beta_2", beta_2),
        "epsilon": check_positive("epsilon", epsilon),
    }


class Adam(Optimizer):
    """m = b1*m + (1-b1)*g, v = b2*v + (1-b2)*g*g, w -= lr*sqrt(1 - b2**t)/(1 - b1**t) * m/(sqrt(v) + epsilon).

    Args:
        learning_rate: 0.001.
        beta_1, beta_2: in [0, 1).
        epsilon: outside the root.
        amsgrad: whether the largest v so far stands under the root (Reddi et al. 2018).
        **kwargs: see `Optimizer`.

    Source: Kingma & Ba 2014, the form before section 2.1; defaults as Keras.
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        amsgrad: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.amsgrad = bool(amsgrad)
        super().__init__(
            "amsgrad" if amsgrad else "adam", _adam_hyper(beta_1, beta_2, epsilon), learning_rate, **kwargs
        )

    def _own_config(self) -> dict[str, Any]:
        return {**self._hyper, "amsgrad": self.amsgrad}


class AdamW(Adam):
    """`Adam` with decoupled weight decay (Loshchilov & Hutter 2019).

    Args:
        learning_rate: 0.001.
        weight_decay: 0.004; w -= weight_decay * learning_rate * w before each step.
        beta_1, beta_2, epsilon, amsgrad, **kwargs: see `Adam`.
    """

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, amsgrad: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        weight_decay = check_not_negative("weight_decay", weight_decay)
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)


class Adamax(Optimizer):
    """m = b1*m + (1-b1)*g, u = max(b2*u, |g|), w -= lr/(1 - b1**t) * m/(u + epsilon).

    Args:
        learning_rate: 0.001.
        beta_1, beta_2: in [0, 1).
        epsilon: beside u.
        **kwargs: see `Optimizer`.

    Source: Kingma & Ba 2014, section 7.1; defaults as Keras.
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__("adamax", _adam_hyper(beta_1, beta_2, epsilon), learning_rate, **kwargs)


class Nadam(Optimizer):
    """Adam that looks a step ahead, as Nesterov's momentum does.

    With u_t = b1 * (1 - 0.96**t / 2) and P_t the product of u_1 to u_t, m and v as in `Adam`:
    w -= lr * (u_{t+1} * m/(1 - P_{t+1}) + (1 - u_t) * g/(1 - P_t)) / (sqrt(v/(1 - b2**t)) + epsilon).

    Args:
        learning_rate: 0.001.
        beta_1, beta_2: in [0, 1).
        epsilon: outside the root.
        **kwargs: see `Optimizer`.

    Source: Dozat 2015; defaults as Keras.
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__("nadam", _adam_hyper(beta_1, beta_2, epsilon), learning_rate, **kwargs)


class Adagrad(Optimizer):
    """s += g*g, w -= lr*g/sqrt(s + epsilon).

    Args:
        learning_rate: 0.001.
        initial_accumulator_value: s before the first step, >= 0.
        epsilon: inside the root.
        **kwargs: see `Optimizer`.

    Source: Duchi et al. 2011; defaults as Keras.
    """

    def __init__(
        self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, **kwargs: Any
    ) -> None:
        start = check_not_negative("initial_accumulator_value", initial_accumulator_value)
        hyper = {"initial_accumulator_value": start, "epsilon": check_positive("epsilon", epsilon)}
        super().__init__("adagrad", hyper, learning_rate, **kwargs)


class Adadelta(Optimizer):
    """v = rho*v + (1-rho)*g*g, d = sqrt(u + epsilon)*g/sqrt(v + epsilon), u = rho*u + (1-rho)*d*d, w -= lr*d.

    Args:
        learning_rate: 0.001 (1.0 in the paper).
        rho: in [0, 1).
        epsilon: inside the roots.
        **kwargs: see `Optimizer`.

    Source: Zeiler 2012; defaults as Keras.
    """

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any) -> None:
        hyper = {"rho": check_below_one("rho", rho), "epsilon": check_positive("epsilon", epsilon)}
        super().__init__("adadelta", hyper, learning_rate, **kwargs)


class Ftrl(Optimizer):
    """Follow the regularized leader: weights from the sum z of gradients, small ones exactly 0.

    s' = s + g*g, z += g + 2*l2_shrinkage*w - (s'**p - s**p)/lr * w, with p = -learning_rate_power;
    w = (clip(z, -l1, l1) - z) / (s'**p/lr + 2*l2 + beta/lr), then s = s'.

    Args:
        learning_rate: 0.001.
        learning_rate_power: <= 0.
        initial_accumulator_value: s before the first step, >= 0.
        l1_regularization_strength, l2_regularization_strength: l1, l2, >= 0.
        l2_shrinkage_regularization_strength: l2_shrinkage, >= 0.
        beta: >= 0.
        **kwargs: see `Optimizer`.

    Source: McMahan et al. 2013; defaults as Keras.
    """

    def __init__(
        self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5, initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0, beta: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        power = check_number(
            "learning_rate_power", learning_rate_power, "a finite number <= 0", lambda v: -LARGEST <= v <= 0.0
        )
        start = check_not_negative("initial_accumulator_value", initial_accumulator_value)
        l1 = check_not_negative("l1_regularization_strength", l1_regularization_strength)
        l2 = check_not_negative("l2_regularization_strength", l2_regularization_strength)
        shrinkage = check_not_negative("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength)
        beta = check_not_negative("beta", beta)
        self._config = {
            "learning_rate_power": power, "initial_accumulator_value": start, "l1_regularization_strength": l1,
            "l2_regularization_strength": l2, "l2_shrinkage_regularization_strength": shrinkage, "beta": beta,
        }  # fmt: skip
        hyper = {"initial_accumulator_value": start, "power": abs(power), "l1": l1, "l2": l2, "shrinkage": shrinkage}
        super().__init__("ftrl", {**hyper, "beta": beta}, learning_rate, **kwargs)

    def _own_config(self) -> dict[str, Any]:
        return self._config


class Lion(Optimizer):
    """w -= lr * sign(b1*m + (1-b1)*g), then m = b2*m + (1-b2)*g.

    Args:
        learning_rate: 0.001.
        beta_1: in (0, 1].
        beta_2: in [0, 1).
        **kwargs: see `Optimizer`.

    Source: Chen et al. 2023; defaults as Keras.
    """

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any) -> None:
        hyper = {
            "beta_1": check_number("beta_1", beta_1, "a number in (0, 1]", lambda v: 0.0 < v <= 1.0),
            "beta_2": check_below_one("beta_2", beta_2),
        }
        super().__init__("lion", hyper, learning_rate, **kwargs)
