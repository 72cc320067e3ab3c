"""Learning rates by callback, logs in files, backups, averaged weights, event files."""

import csv
import struct

import numpy as np
import pytest

import lanewise as lw
from lanewise import optimizers
from lanewise.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TensorBoard,
    TerminateOnNaN,
)
from lanewise.callbacks.tensorboard import masked_crc32c

X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
Y = X.sum(1)


def small_model(optimizer=None):
    lw.random.set_seed(3)
    model = lw.Sequential([lw.layers.Dense(4, "tanh", input_shape=(2,)), lw.layers.Dense(1)])
    model.compile(optimizers.SGD(0.01) if optimizer is None else optimizer, "mse")
    return model


class FakeModel:
    """An optimizer alone."""

    def __init__(self, rate):
        self.optimizer = optimizers.SGD(rate)

    def get_compile_config(self):
        return {}


def rates(callback, values, rate=0.1):
    """Learning rate in the logs of each epoch, with these values of val_loss."""
    callback.set_model(FakeModel(rate))
    callback.on_train_begin()
    seen = []
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch, {})
        logs = {"val_loss": value}
        callback.on_epoch_end(epoch, logs)
        seen.append(logs["learning_rate"])
    return seen


# Learning rates that keras.callbacks.ReduceLROnPlateau of Keras 3.15 puts into the logs for these values of val_loss.
VALUES = [5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"patience": 2, "factor": 0.5},
         [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125]),
        ({"patience": 1, "factor": 0.5, "cooldown": 2},
         [0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.00625, 0.00625, 0.003125]),
        ({"patience": 1, "factor": 0.1, "min_lr": 0.01},
         [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]),
        ({"patience": 1, "factor": 0.5, "min_delta": 2.0},
         [0.1, 0.1, 0.05, 0.025, 0.0125, 0.00625, 0.003125, 0.0015625, 0.00078125, 0.000390625, 0.000195313,
          9.76563e-05]),
        ({"patience": 3, "mode": "max"},
         [0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.0001, 0.0001]),
    ],
)  # fmt: skip
def test_reduce_lr_on_plateau(arguments, wanted):
    np.testing.assert_allclose(rates(ReduceLROnPlateau(**arguments), VALUES), wanted, rtol=1e-5)


def test_learning_rate_scheduler():
    halves = LearningRateScheduler(lambda epoch, lr: lr * 0.5)
    assert rates(halves, [1] * 3, 0.5) == [0.25, 0.125, 0.0625]
    assert rates(LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1)), [1] * 2) == [0.5, 0.25]
    with pytest.raises(ValueError, match="schedule: expected a float, received None"):
        rates(LearningRateScheduler(lambda epoch, lr: None), [1])
    history = small_model().fit(X, Y, epochs=2, verbose=0, callbacks=[LearningRateScheduler(lambda e, lr: 0.25)])
    assert history.history["learning_rate"] == [0.25, 0.25]
    scheduled = small_model(optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 10)))
    with pytest.raises(TypeError, match=r"learning_rate: .*CosineDecay"):
        scheduled.fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(lambda e, lr: 0.25)])


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"factor: expected a number in \[0, 1\), received 1.0"):
        ReduceLROnPlateau(factor=1.0)
    with pytest.raises(ValueError, match="save_freq"):
        ModelCheckpoint("m.lanewise", save_freq="batch")
    with pytest.raises(ValueError, match="backup_dir"):
        BackupAndRestore("")
    with pytest.raises(TypeError, match="schedule"):
        LearningRateScheduler(0.1)
    ProgbarLogger()


# --- files ----------------------------------------------------------------------------------------------------------


def test_csv_logger(tmp_path):
    path = tmp_path / "new" / "log.csv"
    model = small_model()
    history = model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[CSVLogger(path)])
    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows[0] == ["epoch", "loss", "val_loss"]
    assert [float(v) for v in rows[1]] == [0, history.history["loss"][0], history.history["val_loss"][0]]
    model.fit(X, Y, epochs=1, verbose=0, validation_data=(X, Y), callbacks=[CSVLogger(path, append=True)])
    assert [row[0] for row in csv.reader(path.read_text().splitlines())] == ["epoch", "0", "1", "0"]
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[CSVLogger(path, separator=";")])
    assert path.read_text().splitlines()[0] == "epoch;loss;val_loss"
    assert path.read_text().splitlines()[1].endswith(";NA")


def test_checkpoint_after_batches(tmp_path):
    keep = ModelCheckpoint(tmp_path / "m-{epoch}-{batch}.lanewise", save_freq=3)
    small_model().fit(X, Y, batch_size=5, epochs=2, verbose=0, callbacks=[keep])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m-1-3.lanewise", "m-2-2.lanewise"]


class Interrupt(Callback):
    """Ends the process, as it were, in the middle of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_backup_goes_on_to_the_same_bits(tmp_path):
    folder = tmp_path / "backup"
    whole = small_model(optimizers.Adam(0.01))
    whole.fit(X, Y, batch_size=6, epochs=5, verbose=0)
    model = small_model(optimizers.Adam(0.01))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=6, epochs=5, verbose=0, callbacks=[BackupAndRestore(folder), Interrupt()])
    assert folder.exists()
    lw.random.set_seed(99)
    again = lw.Sequential([lw.layers.Dense(4, "tanh", input_shape=(2,)), lw.layers.Dense(1)])
    again.compile(optimizers.Adam(0.01), "mse")
    history = again.fit(X, Y, batch_size=6, epochs=5, verbose=0, callbacks=[BackupAndRestore(folder)])
    assert history.epoch == [2, 3, 4]
    assert lw.fingerprint(again) == lw.fingerprint(whole)
    assert not folder.exists()


def test_a_damaged_backup_falls_back_to_the_one_before(tmp_path):
    folder = tmp_path / "backup"
    backup = BackupAndRestore(folder, double_checkpoint=True, delete_checkpoint=False)
    small_model().fit(X, Y, epochs=2, verbose=0, callbacks=[backup])
    (folder / "latest.npz").write_bytes(b"damaged")
    history = small_model().fit(X, Y, epochs=3, verbose=0, callbacks=[backup])
    assert history.epoch == [1, 2]


def test_terminate_on_nan_can_raise():
    model = small_model()
    with pytest.raises(RuntimeError, match="loss: nan after batch 0"):
        model.fit(X * np.nan, Y, verbose=0, callbacks=[TerminateOnNaN(raise_error=True)])


# --- averaged weights -------------------------------------------------------------------------------------------------


def test_averaged_weights_are_evaluated_and_trained_weights_come_back():
    def ema():
        return optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)

    inside, outside = [], []
    model = small_model(ema())
    first, last = model.layers[0].weights[0], []
    look = LambdaCallback(
        on_epoch_begin=lambda e, logs: outside.append(first.numpy()),
        on_test_begin=lambda logs: inside.append(first.numpy()),
        on_epoch_end=lambda e, logs: last.append(model.optimizer.averages(model.trainable_weights)[0]),
    )
    model.fit(X, Y, epochs=3, verbose=0, validation_data=(X, Y), callbacks=[SwapEMAWeights(), look])
    plain = small_model(optimizers.SGD(0.1))
    plain.fit(X, Y, epochs=2, verbose=0)
    np.testing.assert_array_equal(outside[2], plain.layers[0].weights[0].numpy())
    np.testing.assert_array_equal(inside[2], last[2])
    np.testing.assert_array_equal(first.numpy(), last[2])  # at the end of fit
    with pytest.raises(ValueError, match="use_ema"):
        small_model().fit(X, Y, verbose=0, callbacks=[SwapEMAWeights()])


def test_averaged_weights_between_epochs():
    model = small_model(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8))
    saved = []
    keep = LambdaCallback(on_epoch_end=lambda e, logs: saved.append(model.get_weights()))
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[SwapEMAWeights(swap_on_epoch=True), keep])
    plain = small_model(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8))
    plain.fit(X, Y, epochs=2, verbose=0)
    for kept, final, wanted in zip(saved[1], model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, wanted)
        np.testing.assert_array_equal(final, wanted)


# --- TensorBoard ----------------------------------------------------------------------------------------------------


def fields(data):
    """(number, value) of a message in protocol buffers' encoding."""

    def varint(at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at

    at = 0
    while at < len(data):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        else:
            length = {1: 8, 5: 4}.get(key & 7)
            if length is None:
                length, at = varint(at)
            value, at = data[at : at + length], at + length
        yield key >> 3, value


def scalars(folder):
    """{(tag, step): value} of the one event file in a folder; checks every checksum."""
    (path,) = folder.iterdir()
    data, found, first = path.read_bytes(), {}, True
    while data:
        length, check = struct.unpack("<QI", data[:12])
        body = data[12 : 12 + length]
        assert check == masked_crc32c(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc32c(body)
        data = data[16 + length :]
        event = dict(fields(body))
        assert struct.unpack("<d", event[1])[0] > 1.6e9
        assert (event.get(3) == b"brain.Event:2") == first
        first = False
        if 5 in event:
            entry = dict(fields(dict(fields(event[5]))[1]))
            found[entry[1].decode(), event.get(2, 0)] = struct.unpack("<f", entry[2])[0]
    return found


def test_checksum():
    """RFC 3720, B.4: 32 zeros have the CRC 8a9136aa; "123456789" has e3069283."""
    for data, crc in [(bytes(32), 0x8A9136AA), (b"123456789", 0xE3069283)]:
        assert masked_crc32c(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_tensorboard(tmp_path):
    board = TensorBoard(tmp_path / "logs", update_freq=2, write_steps_per_second=True)
    history = small_model().fit(X, Y, epochs=2, batch_size=5, verbose=0, validation_data=(X, Y), callbacks=[board])
    train, validation = scalars(tmp_path / "logs" / "train"), scalars(tmp_path / "logs" / "validation")
    for epoch in range(2):
        assert train["epoch_loss", epoch] == np.float32(history.history["loss"][epoch])
        assert train["epoch_learning_rate", epoch] == np.float32(0.01)
        assert train["epoch_steps_per_second", epoch] > 0
        assert validation["epoch_loss", epoch] == np.float32(history.history["val_loss"][epoch])
        assert validation["evaluation_loss_vs_iterations", 4 * (epoch + 1)] == validation["epoch_loss", epoch]
    assert [step for tag, step in train if tag == "batch_loss"] == [2, 4, 6, 8]
    with pytest.warns(UserWarning, match="histogram_freq=1 is ignored"):
        TensorBoard(tmp_path, histogram_freq=1)


def test_only_callbacks_that_need_batches_get_them():
    from lanewise.callbacks import CallbackList

    plain = [TensorBoard(), ModelCheckpoint("m.lanewise"), BackupAndRestore("b"), CSVLogger("c"), ReduceLROnPlateau()]
    assert not CallbackList(plain).needs_batches
    for callback in (TensorBoard(update_freq="batch"), BackupAndRestore("b", save_freq=3)):
        assert CallbackList([callback]).needs_batches


# --- which way is better ----------------------------------------------------------------------------------------


def test_more_accuracy_is_better_where_compile_was_given_its_name():
    for name in ("accuracy", "acc"):
        model = lw.Sequential([lw.Input((2,)), lw.layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[name])
        watch = EarlyStopping(f"val_{model.metrics_names[1]}")
        watch.set_model(model)
        assert watch.direction()


def test_metrics_of_one_of_several_outputs_have_their_direction():
    x = lw.Input((2,))
    model = lw.Model(x, [lw.layers.Dense(1, name="p")(x), lw.layers.Dense(1, "sigmoid", name="q")(x)])
    model.compile("sgd", ["mse", "binary_crossentropy"], metrics={"p": ["mae"], "q": ["accuracy"]})
    found = {}
    for name in ("p_mae", "val_q_accuracy", "loss"):
        watch = ModelCheckpoint("m.lanewise", monitor=name)
        watch.set_model(model)
        found[name] = watch.direction()
    assert found == {"p_mae": False, "val_q_accuracy": True, "loss": False}
