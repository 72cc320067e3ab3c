"""lr_find: the learning-rate range test."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import random
from .._engine import Float64
from .._names import LARGEST, check_integer, check_keywords, check_number, check_positive
from ..callbacks import Callback, CallbackList
from ..callbacks.base import Logs
from ..models import Model
from ..optimizers.schedules import ExponentialDecay
from ..progress import subplots
from .jobs import FIT, _own
from .run import generators_seeded


@dataclass(eq=False)
class Rates:
    """What `lr_find` has seen, one entry for each step that was made.

    Attributes:
        rates: learning rates, growing.
        losses: the loss of each step's batch, before the step.
        smoothed: their running mean, with less weight for what is longer ago.
        diverged: whether it ended because the loss ran away.
    """

    rates: Float64
    losses: Float64
    smoothed: Float64
    diverged: bool

    def __repr__(self) -> str:
        return f"<Rates of {len(self.rates)} steps, suggestion {self.suggestion:.3g}>"

    @property
    def minimum(self) -> float:
        """The rate at which the smoothed loss was least."""
        return float(self.rates[int(np.argmin(self.smoothed))])

    @property
    def suggestion(self) -> float:
        """A tenth of `minimum`: the loss still falls well there, and a whole training stays clear of the edge."""
        return self.minimum / 10.0

    def plot(self) -> Any:
        """Draw the losses over the rates with matplotlib, the suggestion marked.

        Returns:
            matplotlib's Axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        _, ax = subplots("plot")
        ax.plot(self.rates, self.losses, color="0.75", linewidth=0.8, label="each batch")
        ax.plot(self.rates, self.smoothed, linewidth=2, label="smoothed")
        ax.axvline(self.suggestion, color="C1", label=f"suggestion {self.suggestion:.2g}")
        spread = float(np.ptp(self.smoothed[: int(np.argmin(self.smoothed)) + 1])) or 1.0
        low = float(self.smoothed.min())
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(low - 0.1 * spread, low + 2.0 * spread))
        ax.legend()
        return ax


class _Test(Callback):
    """Records the loss of each batch; ends after `steps`, or where the loss runs away."""

    def __init__(self, steps: int, smoothing: float, limit: float) -> None:
        self._steps, self._smoothing, self._limit = steps, smoothing, limit
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.diverged = False
        self._mean = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._before = [0.0, 0.0]

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        sums = self.model._compiled.latest[:2].tolist()  # of the epoch: rows, and their losses
        (rows, total), (rows_before, total_before) = sums, self._before
        self._before = sums
        self.losses.append(loss := (total - total_before) / (rows - rows_before))
        self._mean = self._smoothing * self._mean + (1.0 - self._smoothing) * loss
        self.smoothed.append(smooth := self._mean / (1.0 - self._smoothing ** len(self.losses)))
        best = min(self.smoothed)
        self.diverged = not smooth <= max(self.smoothed[0], best + (self._limit - 1.0) * abs(best))
        if self.diverged or len(self.losses) == self._steps:
            self.model.stop_training = True


def lr_find(
    model: Any, x: Any, y: Any = None, *, low: float = 1e-6, high: float = 10.0, steps: int = 200,
    smoothing: float = 0.9, limit: float = 4.0, seed: int = 0, **fit_arguments: Any,
) -> Rates:  # fmt: skip
    """The learning-rate range test: a short training whose rate grows exponentially from step to step.

    It runs on a copy with a fresh optimizer of the same kind: the model, its weights, its optimizer and all random
    streams stay as they are. As many epochs are run as the steps need.

    Args:
        model: compiled; or a function that returns a compiled model.
        x, y: as `Model.fit` takes them.
        low, high: the first and the last rate.
        steps: how many batches.
        smoothing: in [0, 1): of the running mean of the losses.
        limit: > 1: it ends where the running mean is not finite, or more than `limit` times its least value and above
            where it began.
        seed: of order, dropout and, with a function, first weights.
        **fit_arguments: of `Model.fit`: batch_size, sample_weight, class_weight, shuffle, steps_per_epoch, callbacks.

    Returns:
        Rates: `.rates`, `.losses`, `.smoothed`, `.suggestion`, `.plot()`.

    Raises:
        ValueError / TypeError: bad arguments, a model that is not compiled; and the loss is not finite at once.

    Source: Smith 2017, Cyclical learning rates for training neural networks.
    """
    low = check_positive("low", low)
    high = check_number("high", high, f"a finite number > low={low}", lambda v: low < v <= LARGEST)
    steps = check_integer("steps", steps, 2)
    smoothing = check_number("smoothing", smoothing, "a number in [0, 1)", lambda v: 0.0 <= v < 1.0)
    limit = check_number("limit", limit, "a number > 1", lambda v: v > 1.0)
    fit = tuple(name for name in FIT if name not in ("epochs", "initial_epoch") and not name.startswith("validation"))
    check_keywords("lr_find", fit_arguments, fit)
    if not callable(model):
        raise TypeError(f"model: expected a model or a function that returns one, received {model!r}")
    test = _Test(steps, smoothing, limit)
    with random.seeded(random.check_seed("seed", seed)), generators_seeded(seed):
        tested = copy.deepcopy(model) if isinstance(model, Model) else model()
        if not isinstance(tested, Model):
            raise TypeError(f"model: expected the function to return a model, received {tested!r}")
        if tested.optimizer is None:
            raise ValueError("lr_find: the model is not compiled; call compile(optimizer=..., loss=...) first")
        rising = ExponentialDecay(low, steps - 1, high / low)
        config = {**tested.optimizer.get_config(), "learning_rate": rising}
        given = _own((model if isinstance(model, Model) else tested).compiled_with)
        tested.compile(**{**given, "optimizer": type(tested.optimizer).from_config(config)})
        callbacks = [*CallbackList(fit_arguments.pop("callbacks", None)).callbacks, test]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loss: ", RuntimeWarning)  # that it runs away is what is looked for
            tested.fit(x, y, epochs=steps, verbose=0, callbacks=callbacks, **fit_arguments)
    count = len(test.losses)
    losses, smoothed = np.array(test.losses), np.array(test.smoothed)
    if not np.isfinite(smoothed[0]):
        raise ValueError(f"lr_find: the loss of the first batch is {losses[0]}; look for NaN in x and y")
    kept = np.isfinite(smoothed)  # where it ran away the last may not be
    return Rates(rising.rates(0, count)[kept], losses[kept], smoothed[kept], test.diverged)
