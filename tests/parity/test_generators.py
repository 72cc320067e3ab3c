"""Generators that end too early, raise, or give nothing: what happens in both libraries, event by event."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lanewise import keras as ours

theirs = pytest.importorskip("keras")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

X = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
Y = X[:, :1]


class Raised(Exception):
    pass


def batches(count: int, error: type[Exception] | None = None) -> Iterator[Any]:
    for i in range(count):
        start = 8 * (i % 5)
        yield X[start : start + 8], Y[start : start + 8]
    if error is not None:
        raise error


def fit(**options: Any) -> Callable[[Any, Any, list[Any]], Any]:
    return lambda library, model, callbacks: model.fit(
        verbose=0, shuffle=False, callbacks=callbacks, **made(library, options)
    )


def evaluate(**options: Any) -> Callable[[Any, Any, list[Any]], Any]:
    return lambda library, model, callbacks: model.evaluate(verbose=0, callbacks=callbacks, **made(library, options))


def made(library: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Generators and data sets are made for each run."""
    return {key: value(library) if callable(value) else value for key, value in options.items()}


def of(count: int, error: type[Exception] | None = None) -> Callable[[Any], Any]:
    return lambda library: batches(count, error)


def listed(count: int) -> Callable[[Any], Any]:
    def dataset(library: Any) -> Any:
        class Listed(library.utils.PyDataset):
            def __len__(self) -> int:
                return count

            def __getitem__(self, i: int) -> Any:
                return X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]

        return Listed()

    return dataset


VALIDATED = {"x": X, "y": Y, "batch_size": 20, "epochs": 2}
CASES = {
    "one epoch of too few": fit(x=of(3), steps_per_epoch=5),
    "raises": fit(x=of(3, Raised), epochs=2),
    "raises at once": fit(x=of(0, Raised)),
    "raises in the second epoch": fit(x=of(3, Raised), epochs=2, steps_per_epoch=2),
    "raises ValueError": fit(x=of(3, ValueError)),
    "raises StopIteration": fit(x=of(3, StopIteration)),
    "empty": fit(x=of(0)),
    "empty, with steps": fit(x=of(0), steps_per_epoch=2),
    "data set of too few": fit(x=listed(4), steps_per_epoch=6, epochs=2),
    "data set of other epochs": fit(x=listed(4), steps_per_epoch=3, epochs=3),
    "array of too few": fit(x=X, y=Y, batch_size=8, steps_per_epoch=10, epochs=2),
    "array of other epochs": fit(x=X, y=Y, batch_size=8, steps_per_epoch=3, epochs=3),
    "validation": fit(validation_data=of(3), **VALIDATED),
    "validation by steps": fit(validation_data=of(5), validation_steps=2, **VALIDATED),
    "validation of too few": fit(validation_data=of(3), validation_steps=5, **VALIDATED),
    "validation empty": fit(validation_data=of(0), **VALIDATED),
    "validation raises": fit(validation_data=of(2, Raised), **VALIDATED),
    "evaluate": evaluate(x=of(3)),
    "evaluate too few": evaluate(x=of(3), steps=5),
    "evaluate empty": evaluate(x=of(0)),
    "evaluate raises": evaluate(x=of(2, Raised)),
    # lanewise ends the training, with a warning; Keras goes on with the first two batches, again and again
    "runs out": fit(x=of(3), epochs=3),
    "runs out of steps": fit(x=of(5), epochs=4, steps_per_epoch=2),
}
RUN_OUT = {"runs out": (1, 3), "runs out of steps": (3, 5)}


def run(library: Any, case: Callable[[Any, Any, list[Any]], Any]) -> dict[str, Any]:
    class Events(library.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def on_train_begin(self, logs: Any = None) -> None:
            self.seen.append("begin")

        def on_train_end(self, logs: Any = None) -> None:
            self.seen.append("end")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.seen.append(f"epoch {epoch}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen.append(f"epoch {epoch} ends: {sorted(logs)}")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen.append(f"batch {batch}")

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen.append(f"test batch {batch}")

    model = library.Sequential([library.Input((3,)), library.layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    events = Events()
    try:
        result = case(library, model, [events])
    except Exception as error:
        ended: Any = type(error).__name__
    else:
        ended = None if hasattr(result, "history") else round(float(result), 5)
    history = model.history.history if getattr(model, "history", None) is not None else {}
    return {
        "ended": ended, "history": {key: np.round(values, 5).tolist() for key, values in history.items()},
        "steps": int(model.optimizer.iterations), "events": events.seen,
    }  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_same_events(name: str) -> None:
    mine, other = (run(library, CASES[name]) for library in (ours, theirs))
    if name in RUN_OUT:
        epochs, steps = RUN_OUT[name]
        assert (len(mine["history"]["loss"]), mine["steps"]) == (epochs, steps)
        assert other["events"][: len(mine["events"]) - 1] == mine["events"][:-1]
        assert mine["history"]["loss"] == other["history"]["loss"][:epochs] != other["history"]["loss"]
    else:
        assert mine == other
