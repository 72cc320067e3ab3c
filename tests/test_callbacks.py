"""Callbacks: which hooks run when, and what EarlyStopping, ModelCheckpoint and the others do."""

import numpy as np
import pytest

import lanewise as lw
from lanewise.callbacks import (
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    TerminateOnNaN,
)

X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
Y = X.sum(1)


def small_model(learning_rate=0.01, metrics=None):
    lw.random.set_seed(3)
    model = lw.Sequential([lw.layers.Dense(4, "relu", input_shape=(2,)), lw.layers.Dense(1)])
    model.compile(lw.optimizers.SGD(learning_rate), "mse", metrics=metrics)
    return model


class FakeModel:
    """Weights that count epochs, so that what was restored can be seen."""

    def __init__(self):
        self.epoch = 0
        self.stop_training = False

    def get_weights(self):
        return [self.epoch]

    def set_weights(self, weights):
        self.epoch = weights[0]

    metrics_names = ("loss", "hits", "mae")

    def metric_called(self, name):
        return {"hits": lw.metrics.BinaryAccuracy(), "mae": lw.metrics.MeanAbsoluteError()}.get(name)


def run(callback, values, key="val_loss"):
    """The model after training with these values in the logs, one an epoch."""
    model = FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.epoch = epoch
        callback.on_epoch_end(epoch, {key: value})
        if model.stop_training:
            break
    model.trained = model.epoch
    callback.on_train_end()
    return model


class Recorder(Callback):
    def __init__(self):
        self.calls = []


for _hook in [name for name in dir(Callback) if name.startswith("on_")]:
    setattr(Recorder, _hook, lambda self, *args, _hook=_hook: self.calls.append((_hook, *args[:-1])))


def test_hooks_run_in_keras_order():
    recorder = Recorder()
    model = small_model()
    model.fit(X, Y, batch_size=10, epochs=2, validation_data=(X, Y), validation_batch_size=20, verbose=0,
              callbacks=[recorder])  # fmt: skip

    def epoch(i):
        return [
            ("on_epoch_begin", i),
            ("on_train_batch_begin", 0), ("on_train_batch_end", 0),
            ("on_train_batch_begin", 1), ("on_train_batch_end", 1),
            ("on_test_begin",), ("on_test_batch_begin", 0), ("on_test_batch_end", 0), ("on_test_end",),
            ("on_epoch_end", i),
        ]  # fmt: skip

    assert recorder.calls == [("on_train_begin",), *epoch(0), *epoch(1), ("on_train_end",)]
    assert recorder.params == {"verbose": 0, "epochs": 2, "steps": 2}
    assert recorder.model is model


def test_old_batch_hooks_are_called_and_logs_are_dicts():
    seen = []

    class Old(Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append((batch, sorted(logs)))

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(logs)

    small_model().fit(X, Y, batch_size=10, verbose=0, callbacks=[Old()])
    assert seen == [{}, (0, ["loss"]), (1, ["loss"])]


def test_batch_logs_are_means_so_far():
    losses = []
    keep = LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    history = small_model().fit(X, Y, batch_size=7, verbose=0, callbacks=keep)
    assert len(losses) == 3
    assert losses[-1] == history.history["loss"][0]


@pytest.mark.parametrize(
    ("hook", "train", "test", "predict"),
    [
        ("on_batch_begin", True, False, False),
        ("on_batch_end", True, False, False),
        ("on_train_batch_begin", True, False, False),
        ("on_train_batch_end", True, False, False),
        ("on_test_batch_end", False, True, False),
        ("on_predict_batch_begin", False, False, True),
        ("on_epoch_end", False, False, False),
        ("on_train_end", False, False, False),
    ],
)
def test_needs_batches_only_where_a_hook_is_overridden(hook, train, test, predict):
    by_class = type("Mine", (Callback,), {hook: lambda self, *args: None})()
    by_function = LambdaCallback(**{hook: lambda *args: None})
    for callback in (by_class, by_function):
        hooks = CallbackList([History(), callback], None, {})
        assert (hooks.needs_batches, hooks.needs_test_batches, hooks.needs_predict_batches) == (train, test, predict)


def test_batch_hooks_leave_the_training_as_it_is():
    plain = small_model()
    plain.fit(X, Y, batch_size=3, epochs=3, verbose=0)
    watched = small_model()
    each = LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    watched.fit(X, Y, batch_size=3, epochs=3, verbose=0, callbacks=[each])
    assert lw.fingerprint(plain) == lw.fingerprint(watched)


def test_callback_list_flattens_and_refuses_what_is_no_callback():
    a, b = History(), History()
    assert CallbackList([a, [b]], None, {}).callbacks == [a, b]
    assert CallbackList(None, None, {}).callbacks == []
    with pytest.raises(TypeError, match=r"callbacks: .*received .*write EarlyStopping\(\)"):
        CallbackList([EarlyStopping], None, {})
    model = small_model()
    before = lw.fingerprint(model)
    with pytest.raises(TypeError, match="callbacks: expected instances"):
        model.fit(X, Y, verbose=0, callbacks=[print])
    assert lw.fingerprint(model) == before


def test_history_and_logs_added_by_a_callback():
    add = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=10 * epoch))
    history = small_model(metrics=["mae"]).fit(X, Y, epochs=4, initial_epoch=1, verbose=0, callbacks=[add])
    assert history.epoch == [1, 2, 3]
    assert history.history["extra"] == [10, 20, 30]
    assert list(history.history) == ["loss", "mae", "extra"]
    assert history.model.history is history


def test_learning_rate_set_by_a_callback_is_used():
    model, frozen = small_model(), small_model()

    def stop_moving(epoch, logs):
        frozen.optimizer.learning_rate = 0.0

    start = frozen.get_weights()
    frozen.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_begin=stop_moving)])
    model.fit(X, Y, verbose=0)
    assert all((a == b).all() for a, b in zip(start, frozen.get_weights(), strict=True))
    assert lw.fingerprint(model) != lw.fingerprint(frozen)


def test_a_callback_can_use_the_model_and_stop_it():
    seen = []

    class Use(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((float(self.model.predict(X, verbose=0)[0, 0]), self.model.evaluate(X, Y, verbose=0)))
            self.model.stop_training = epoch == 1

    history = small_model().fit(X, Y, epochs=9, verbose=0, callbacks=[Use()])
    assert len(seen) == len(history.epoch) == 2


def test_exceptions_of_a_callback_come_through_and_the_model_stays_usable():
    def fail(epoch, logs):
        raise KeyError("mine")

    model = small_model()
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_end=fail)])
    model.fit(X, Y, verbose=0)


def test_lambda_callback_checks_its_arguments():
    with pytest.raises(TypeError, match="on_epoch_ends: there is no such hook"):
        LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match="on_epoch_end: expected a function, received 3"):
        LambdaCallback(on_epoch_end=3)


# --- EarlyStopping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "values", "trained"),
    [
        ({"patience": 0}, [3, 2, 2, 1], 2),  # equal is no improvement
        ({"patience": 0}, [3, 4], 1),
        ({"patience": 2}, [3, 2, 2.5, 2.5, 0], 3),
        ({"patience": 2}, [3, 2, 2.5, 1, 4, 4, 0], 5),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.5, 0], 1),  # better by just 0.5 does not count
        ({"patience": 1, "min_delta": -0.5}, [3, 2.4, 2.0], 2),
        ({"patience": 1, "baseline": 1.0}, [3, 2, 1.5, 0], 3),
        ({"patience": 0, "start_from_epoch": 3}, [1, 2, 3, 4, 5, 0], 4),
        ({"patience": 0, "mode": "max"}, [1, 2, 3, 3, 9], 3),
        ({"patience": 0}, [float("nan"), float("nan"), 1], 1),
        ({"patience": 1}, [float("nan"), 5, 4, 5, 0], 3),
    ],
)
def test_early_stopping_stops_after_the_right_epoch(arguments, values, trained):
    assert run(EarlyStopping(**arguments), values).trained == trained


def test_early_stopping_agrees_with_a_plain_reading_of_its_rules():
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = rng.integers(0, 6, 12).tolist()
        patience, delta = int(rng.integers(0, 4)), float(rng.integers(0, 2))
        best, wait, expected = np.inf, 0, 11
        for epoch, value in enumerate(values):
            wait += 1
            if value < best - delta:
                best, wait = value, 0
            elif wait >= patience and epoch > 0:
                expected = epoch
                break
        callback = EarlyStopping(patience=patience, min_delta=delta)
        assert run(callback, values).trained == expected
        assert callback.best == best


def test_best_weights_come_back_with_and_without_an_early_stop():
    assert run(EarlyStopping(patience=1, restore_best_weights=True), [3, 1, 2, 2, 0]).epoch == 1
    assert run(EarlyStopping(patience=9, restore_best_weights=True), [3, 1, 2, 2]).epoch == 1
    assert run(EarlyStopping(patience=9), [3, 1, 2, 2]).epoch == 3
    assert run(EarlyStopping(patience=9, restore_best_weights=True), [float("nan"), float("nan")]).epoch == 0


def test_restored_model_predicts_as_it_did_in_its_best_epoch():
    model = small_model(learning_rate=0.9)
    after = {}
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: after.update({epoch: lw.fingerprint(model)}))
    stop = EarlyStopping("loss", patience=20, restore_best_weights=True)
    history = model.fit(X, Y, epochs=8, batch_size=4, verbose=0, callbacks=[keep, stop])
    assert stop.best_epoch == int(np.argmin(history.history["loss"]))
    assert lw.fingerprint(model) == after[stop.best_epoch]


def test_auto_mode_goes_by_the_metric():
    assert run(EarlyStopping("val_hits"), [0.1, 0.2, 0.3, 0.2], "val_hits").trained == 3
    assert run(EarlyStopping("mae"), [3, 2, 2.5], "mae").trained == 2
    with pytest.raises(ValueError, match=r"mode: 'auto' works for .*received monitor='score'"):
        run(EarlyStopping("score"), [1, 2], "score")
    assert run(EarlyStopping("score", mode="max"), [1, 2, 1], "score").trained == 2


def test_monitor_that_is_not_there_warns_with_a_near_match():
    with pytest.warns(UserWarning, match=r"monitor='val_acc' is not in the logs. Did you mean 'val_accuracy'"):
        run(EarlyStopping("val_acc"), [0.5], "val_accuracy")


def test_validation_left_out_in_an_epoch_is_no_surprise():
    model = small_model()
    stop = EarlyStopping(patience=5)
    stop.on_train_begin()
    stop.set_model(model)
    stop.on_epoch_end(0, {"val_loss": 1.0})
    stop.on_epoch_end(1, {"loss": 1.0})
    assert stop.wait == 0


def test_early_stopping_can_be_used_again(capsys):
    stop = EarlyStopping(patience=0, restore_best_weights=True, verbose=1)
    assert run(stop, [1, 2]).trained == 1
    assert run(stop, [9, 8, 7, 8]).trained == 3
    assert stop.best == 7
    out = capsys.readouterr().out
    assert "Epoch 4: early stopping\nRestoring model weights from the end of the best epoch: 3.\n" in out


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"patience": -1}, ValueError, "patience: expected an integer >= 0, received -1"),
        ({"patience": 1.5}, TypeError, "patience"),
        ({"mode": "maximum"}, ValueError, "mode: expected 'auto', 'min' or 'max', received 'maximum'"),
        ({"monitor": 3}, TypeError, "monitor: expected a text"),
        ({"min_delta": float("nan")}, ValueError, "min_delta"),
        ({"start_from_epoch": -2}, ValueError, "start_from_epoch"),
        ({"baseline": "low"}, TypeError, "baseline"),
    ],
)
def test_early_stopping_refuses_bad_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        EarlyStopping(**arguments)


# --- TerminateOnNaN, ModelCheckpoint ----------------------------------------------------------------------------


def test_terminate_on_nan_stops_within_the_epoch(capsys):
    batches = []
    count = LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    x = X.copy()
    x[9] = np.nan
    model = small_model()
    with pytest.warns(RuntimeWarning, match="NaN"):
        history = model.fit(x, Y, batch_size=4, epochs=5, shuffle=False, verbose=0, callbacks=[TerminateOnNaN(), count])
    assert batches == [0, 1, 2]
    assert len(history.epoch) == 1
    assert "Batch 2: Invalid loss, terminating training" in capsys.readouterr().out


def test_checkpoint_each_epoch_and_only_the_best(tmp_path):
    model = small_model()
    model.fit(X, Y, epochs=3, verbose=0,
              callbacks=[ModelCheckpoint(tmp_path / "runs" / "m{epoch:02d}-{loss:.3f}.lanewise")])  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert [name[:4] for name in names] == ["m01-", "m02-", "m03-"]
    assert lw.fingerprint(lw.load_model(tmp_path / "runs" / names[-1])) == lw.fingerprint(model)

    best = ModelCheckpoint(tmp_path / "best.lanewise", save_best_only=True)
    saved = []
    fake = FakeModel()
    fake.save = lambda path, overwrite: saved.append(fake.epoch)
    best.set_model(fake)
    best.on_train_begin()
    for epoch, value in enumerate([3, 2, 2, float("nan"), 1, 4]):
        fake.epoch = epoch
        best.on_epoch_end(epoch, {"val_loss": value})
    assert saved == [0, 1, 4]


def test_checkpoint_of_weights(tmp_path):
    model = small_model()
    path = tmp_path / "w.lanewise"
    model.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(path, save_weights_only=True)])
    other = small_model()
    other.load_weights(path)
    assert lw.fingerprint(other) == lw.fingerprint(model)


def test_checkpoint_refuses_what_it_cannot_write(tmp_path):
    with pytest.raises(ValueError, match="filepath: expected a file called"):
        ModelCheckpoint("model.pt")
    with pytest.raises(ValueError, match="save_freq"):
        ModelCheckpoint("model.lanewise", save_freq=0)
    with pytest.raises(KeyError, match="val_loss"):
        small_model().fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "{val_loss}.lanewise")])
