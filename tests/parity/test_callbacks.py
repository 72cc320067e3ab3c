"""Decisions of callbacks against Keras's own, on the same logs; event files read by TensorBoard."""

import numpy as np
import pytest

import keras
import lanewise as lw

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras's own


class Fake:
    """What the callbacks of both libraries ask of a model."""

    metrics = ()
    stop_training = False

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def get_weights(self):
        return [self.epoch]

    def set_weights(self, weights):
        self.restored = weights[0]

    def get_compile_config(self):
        return {}


def run(library, name, arguments, values):
    callback = getattr(library.callbacks, name)(**arguments)
    model = Fake(library.optimizers.SGD(0.1))
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(values):
        model.epoch = epoch
        logs = {"val_loss": value}
        callback.on_epoch_end(epoch, logs)
        rates.append(logs.get("learning_rate"))
        if model.stop_training:
            break
    callback.on_train_end()
    return rates, model.epoch, getattr(model, "restored", None), callback.best, callback.wait


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau"])
def test_decisions(name):
    rng = np.random.default_rng(4)
    for _ in range(150):
        values = rng.integers(0, 7, 14).astype(float).tolist()
        arguments = {"patience": int(rng.integers(0, 4)), "min_delta": float(rng.integers(0, 2)),
                     "mode": ["auto", "min", "max"][rng.integers(3)]}  # fmt: skip
        if name == "EarlyStopping":
            arguments["baseline"] = [None, 3.0][rng.integers(2)]
            arguments["restore_best_weights"] = bool(rng.integers(2))
            arguments["start_from_epoch"] = int(rng.integers(0, 4))
        else:
            arguments["factor"] = [0.5, 0.1][rng.integers(2)]
            arguments["cooldown"] = int(rng.integers(0, 3))
            arguments["min_lr"] = [0.0, 0.01][rng.integers(2)]
        assert run(lw, name, arguments, values) == run(keras, name, arguments, values), arguments


def test_tensorboard_reads_the_files(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    history = model.fit(x, x.sum(1), epochs=3, verbose=0, callbacks=[lw.callbacks.TensorBoard(tmp_path)])
    events = reader.EventAccumulator(str(tmp_path / "train")).Reload()
    assert [event.step for event in events.Scalars("epoch_loss")] == [0, 1, 2]
    np.testing.assert_allclose([event.value for event in events.Scalars("epoch_loss")], history.history["loss"])
