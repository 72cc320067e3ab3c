"""The networks whose bits are promised: their data, their training, and the hashes of what comes out.

The data are made by integer arithmetic and divisions by powers of two, so that they are the same on every machine.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import lanewise as lw
from lanewise.layers import Activation, Dense, Dropout, Flatten, Normalization

ROWS = 203  # no multiple of a batch, of a lane or of a chunk of rows


def grid(*shape: int, salt: int = 0) -> NDArray[np.float32]:
    """Multiples of 2**-10 in [-2, 2), by a multiplicative hash of the element's number."""
    numbers = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(1 + 7919 * salt)
    words = (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(52)
    return ((words.astype(np.float64) - 2048) / 1024).astype(np.float32).reshape(shape)


class Case(NamedTuple):
    """How a network is made and trained."""

    layers: Callable[[], list[Any]]
    loss: str
    optimizer: Callable[[], Any]
    metrics: list[str]
    shape: tuple[int, ...]
    classes: int = 0  # 0: regression


class Outcome(NamedTuple):
    """Everything that must not depend on threads or ISA."""

    weights: list[NDArray[np.float32]]
    slots: list[NDArray[np.float32]]
    history: dict[str, list[float]]
    evaluation: list[float]
    predictions: NDArray[np.float32]
    dropped: NDArray[np.float32]  # the output with dropout on

    def hashes(self) -> dict[str, str]:
        """The first 16 hexadecimal digits of SHA-256 over the bytes of each field."""
        arrays = {
            "weights": self.weights,
            "slots": self.slots,
            "history": [np.array(self.history[key], np.float64) for key in sorted(self.history)],
            "evaluation": [np.array(self.evaluation, np.float64)],
            "predictions": [self.predictions],
            "dropped": [self.dropped],
        }
        return {
            name: hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in parts)).hexdigest()[:16]
            for name, parts in arrays.items()
        }


CASES = {
    "classes": Case(
        lambda: [
            Dense(67, "relu", kernel_regularizer=lw.regularizers.L2(1e-3)),
            Dropout(0.25),
            Dense(33, "tanh", kernel_initializer="he_normal", kernel_constraint=lw.constraints.MaxNorm(1.2)),
            Dense(5, "softmax"),
        ],
        "sparse_categorical_crossentropy", lambda: lw.optimizers.Adam(0.01), ["accuracy"], (45,), 5,
    ),
    "wide": Case(  # k = 1,100 crosses the blocks of the sums; one output
        lambda: [Dense(64, "relu"), Dense(1)],
        "mse", lambda: lw.optimizers.Adam(), ["mae"], (1100,),
    ),
    "momentum": Case(
        lambda: [Normalization(mean=0.5, variance=2.0), Dense(130, "sigmoid"), Dense(17, "relu"), Dense(2)],
        "huber", lambda: lw.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.5), ["mse", "mae"], (19,),
    ),
    "images": Case(
        lambda: [Dense(9, "tanh"), Flatten(), Activation("relu"), Dense(1, "sigmoid", kernel_initializer="orthogonal")],
        "binary_crossentropy",
        lambda: lw.optimizers.RMSprop(0.01, momentum=0.5, centered=True, global_clipnorm=1.0), ["accuracy"], (3, 7), 2,
    ),
}  # fmt: skip


def data(case: Case) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """x (rows, ...) and targets."""
    x = grid(ROWS, *case.shape)
    flat = x.reshape(ROWS, -1)
    if case.classes:
        return x, (np.floor(4 * np.abs(flat[:, 0] + flat[:, 1])).astype(np.int64)) % case.classes
    outputs = case.layers()[-1].units
    return x, flat[:, :outputs] * flat[:, 1 : 1 + outputs] + flat[:, 2:3]


def model_of(case: Case) -> lw.Sequential:
    """The compiled network with its initial weights."""
    lw.random.set_seed(20)
    model = lw.Sequential([lw.Input(case.shape), *case.layers()])
    model.compile(case.optimizer(), case.loss, metrics=case.metrics)
    return model


def run(name: str) -> Outcome:
    """Train the network `name` for three epochs; evaluate and predict."""
    case = CASES[name]
    x, y = data(case)
    model = model_of(case)
    history = model.fit(x, y, epochs=3, batch_size=32, validation_split=0.2, verbose=0).history
    slots = [value for key, value in model.optimizer_state().items() if "/" in key]
    return Outcome(
        model.get_weights(),
        slots,
        history,
        model.evaluate(x, y, batch_size=50, verbose=0),
        model.predict(x, verbose=0),
        model(x, training=True).numpy(),
    )
