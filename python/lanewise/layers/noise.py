"""Layers that are random while training and pass their input on otherwise."""

from __future__ import annotations

from typing import Any, ClassVar

from .._engine import Builder
from .._names import check_below_one, check_default, check_number, check_share
from .base import Layer


class Noise(Layer):
    """Base: a kind says which operation of the engine it is, and which attribute is that operation's number.

    Args:
        seed: kept in the config; what is random follows from `lanewise.random.set_seed`, like all else that is.
    """

    in_training = "noise"
    _engine_name: ClassVar[str]
    _number: ClassVar[str] = "rate"

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        self.seed = seed
        super().__init__(**kwargs)

    def lower(self, builder: Builder, value: int) -> int:
        number = vars(self)[self._number]
        return value if number == 0.0 else builder.add(self._engine_name, value, **{self._number: number})

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), self._number: vars(self)[self._number], "seed": self.seed}


class _Dropping(Noise):
    def __init__(self, noise_shape: Any, seed: int | None, **kwargs: Any) -> None:
        check_default("noise_shape", noise_shape, None, "every element is dropped on its own")
        super().__init__(seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "noise_shape": None}


class Dropout(_Dropping):
    """In training: an element is zero with probability `rate`, else x/(1 - rate); otherwise x (Srivastava et al. 2014).

    Args:
        rate: in [0, 1]; 1: all are zero.
        noise_shape: not supported; None.
        seed: as in `Noise`.
    """

    _engine_name = "dropout"

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        self.rate = check_number("rate", rate, "a number in [0, 1]", lambda v: 0.0 <= v <= 1.0 - 2.0**-24 or v == 1.0)
        super().__init__(noise_shape, seed, **kwargs)


class AlphaDropout(_Dropping):
    """In training: elements become selu's saturation value with probability `rate`; otherwise x.

    All are then scaled and shifted so that mean 0 and variance 1 stay what they are (Klambauer et al. 2017).

    Args:
        rate: in [0, 1).
        noise_shape: not supported; None.
        seed: as in `Noise`.

    Raises:
        ValueError: rate outside [0, 1).
    """

    _engine_name = "alpha_dropout"

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        self.rate = check_below_one("rate", rate)
        super().__init__(noise_shape, seed, **kwargs)


class GaussianDropout(Noise):
    """In training: x times a normal number of mean 1 and variance rate / (1 - rate); otherwise x.

    Srivastava et al. 2014, section 10.

    Args:
        rate: in [0, 1).
        seed: as in `Noise`.

    Raises:
        ValueError: rate outside [0, 1).
    """

    _engine_name = "gaussian_dropout"

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        self.rate = check_below_one("rate", rate)
        super().__init__(seed, **kwargs)


class GaussianNoise(Noise):
    """In training: x plus a normal number of mean 0 for each element; otherwise x.

    Args:
        stddev: its standard deviation, in [0, 1].
        seed: as in `Noise`.

    Raises:
        ValueError: stddev outside [0, 1].
    """

    _engine_name, _number = "gaussian_noise", "stddev"

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        self.stddev = check_share("stddev", stddev)
        super().__init__(seed, **kwargs)
