"""Layers that are random while training and pass their input on otherwise."""

from __future__ import annotations

from typing import Any

from .._engine import Builder
from .._names import check_below_one, check_default, check_share
from .base import Layer


class GaussianNoise(Layer):
    """In training: x plus a normal number of mean 0 for each element; otherwise x.

    Args:
        stddev: its standard deviation, in [0, 1].
        seed: kept in the config; the noise follows from `lanewise.random.set_seed` like all else that is random.

    Raises:
        ValueError: stddev outside [0, 1].
    """

    in_training = "noise"

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        self.stddev = check_share("stddev", stddev)
        self.seed = seed
        super().__init__(**kwargs)

    def lower(self, builder: Builder, value: int) -> int:
        return value if self.stddev == 0.0 else builder.add("gaussian_noise", value, stddev=self.stddev)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(Layer):
    """In training: x times a normal number of mean 1 and variance rate / (1 - rate); otherwise x.

    Srivastava et al. 2014, section 10.

    Args:
        rate: in [0, 1).
        seed: kept in the config, as in `GaussianNoise`.

    Raises:
        ValueError: rate outside [0, 1).
    """

    in_training = "noise"

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        self.rate = check_below_one("rate", rate)
        self.seed = seed
        super().__init__(**kwargs)

    def lower(self, builder: Builder, value: int) -> int:
        return value if self.rate == 0.0 else builder.add("gaussian_dropout", value, rate=self.rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class AlphaDropout(Layer):
    """In training: elements become selu's saturation value with probability `rate`; otherwise x.

    All are then scaled and shifted so that mean 0 and variance 1 stay what they are (Klambauer et al. 2017).

    Args:
        rate: in [0, 1).
        noise_shape: not supported; None.
        seed: kept in the config, as in `GaussianNoise`.

    Raises:
        ValueError: rate outside [0, 1).
    """

    in_training = "noise"

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        self.rate = check_below_one("rate", rate)
        check_default("noise_shape", noise_shape, None, "every element is dropped on its own")
        self.seed = seed
        super().__init__(**kwargs)

    def lower(self, builder: Builder, value: int) -> int:
        return value if self.rate == 0.0 else builder.add("alpha_dropout", value, rate=self.rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": None}
