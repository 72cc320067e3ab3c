"""What is settled when `fit`, or an epoch, begins, and holds whatever callbacks do meanwhile; `OneCycle` cut in two."""

import numpy as np
import pytest

import lanewise as lw
from lanewise.callbacks import Callback, LambdaCallback
from test_callbacks import X, Y, small_model


def test_training_that_is_stopped_before_an_epoch_ends_after_one_batch():
    """As in Keras; how many batches still ran was a matter of the clock."""

    class Stop(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.stop_training = epoch == 2

    x = np.linspace(-1, 1, 640, dtype=np.float32).reshape(320, 2)
    runs = []
    for rows, each in ((20, False), (320, False), (320, True)):
        model = small_model()
        hooks = [Stop(), *([LambdaCallback(on_train_batch_end=lambda batch, logs: None)] if each else [])]
        model.fit(x[:rows], x[:rows].sum(1), batch_size=10, epochs=9, verbose=0, callbacks=hooks)
        assert model.optimizer.iterations == 2 * rows // 10 + 1
        runs.append(lw.fingerprint(model))
    assert runs[1] == runs[2]


def test_what_trains_is_settled_when_fit_begins():
    """A layer that is frozen in the midst is frozen from the next fit on, whatever the data comes in."""

    def freeze(epoch, logs=None):
        if epoch == 0:
            model.layers[0].trainable = False

    class Batches(lw.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return X[10 * i : 10 * i + 10], Y[10 * i : 10 * i + 10]

    ends = []
    for data in ((X, Y), (Batches(),)):
        lw.random.set_seed(3)
        model = lw.Sequential([lw.layers.Dense(4, "relu", input_shape=(2,)), lw.layers.Dense(1)])
        model.compile(lw.optimizers.Adam(use_ema=True), "mse")
        options = {"batch_size": 10} if len(data) == 2 else {}
        model.fit(*data, epochs=4, verbose=0, shuffle=False, callbacks=[LambdaCallback(on_epoch_end=freeze)], **options)
        ends.append(lw.fingerprint(model))
        kernel = model.layers[0].get_weights()[0]
        model.fit(*data, epochs=1, verbose=0, shuffle=False, **options)
        np.testing.assert_array_equal(model.layers[0].get_weights()[0], kernel)
    assert ends[0] == ends[1]


class Seen(lw.metrics.Metric):
    """Rows, with weights that it writes to."""

    def __init__(self, name="seen", **kwargs):
        super().__init__(name=name, **kwargs)
        self.rows = self.add_weight(name="rows")
        self.batches = 0

    def reset_state(self):
        super().reset_state()
        self.batches = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            sample_weight /= sample_weight.max()
        self.rows.assign_add(len(y_true))
        self.batches += 1

    def result(self):
        return self.rows + 1000 * self.batches


def test_an_evaluation_in_a_callback_leaves_the_metrics_of_the_epoch_alone():
    model = small_model(metrics=[Seen()])
    looks = []

    def look(batch, logs):
        if batch == 1:
            looks.append(model.evaluate(X[:3], Y[:3], verbose=0)[1])

    history = model.fit(
        X, Y, batch_size=5, epochs=2, verbose=0,
        callbacks=[LambdaCallback(on_train_batch_end=look, on_train_batch_begin=look)],
    )  # fmt: skip
    assert history.history["seen"] == [4020, 4020] and looks == [1003] * 4


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_metric_that_writes_to_its_weights_writes_to_a_copy(shuffle):
    model = small_model()
    model.compile("sgd", "mse", weighted_metrics=[Seen()])
    weights = np.full(20, 4, np.float32)
    for kept in (weights, weights.copy()):
        kept.setflags(write=kept is weights)
        model.fit(X, Y, sample_weight=kept, batch_size=5, shuffle=shuffle, verbose=0)
        model.evaluate(X, Y, sample_weight=kept, verbose=0)
        assert (kept == 4).all()


@pytest.mark.parametrize("first", [True, False])
def test_one_cycle_goes_on_after_an_interruption(tmp_path, first):
    def callbacks(*more):
        both = [lw.callbacks.OneCycle(peak=0.05), lw.callbacks.BackupAndRestore(tmp_path)]
        return [*(both if first else both[::-1]), *more]

    def stop(epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt

    whole = small_model()
    rates = whole.fit(X, Y, batch_size=5, epochs=6, verbose=0, callbacks=callbacks()).history["learning_rate"]
    cut, again = small_model(), small_model()
    with pytest.raises(KeyboardInterrupt):
        cut.fit(X, Y, batch_size=5, epochs=6, verbose=0, callbacks=callbacks(LambdaCallback(on_epoch_begin=stop)))
    found = again.fit(X, Y, batch_size=5, epochs=6, verbose=0, callbacks=callbacks()).history["learning_rate"]
    assert found == rates[3:] and lw.fingerprint(again) == lw.fingerprint(whole)


def test_one_cycle_is_that_of_the_epochs_that_run():
    rates = small_model().fit(
        X, Y, batch_size=5, epochs=6, initial_epoch=3, verbose=0, callbacks=[lw.callbacks.OneCycle(peak=0.05)]
    ).history["learning_rate"]  # fmt: skip
    whole = small_model().fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=[lw.callbacks.OneCycle(peak=0.05)])
    assert rates == whole.history["learning_rate"]


def test_one_cycle_of_the_last_epochs_goes_on_after_an_interruption(tmp_path):
    def callbacks(*more):
        return [lw.callbacks.OneCycle(peak=0.05), lw.callbacks.BackupAndRestore(tmp_path), *more]

    def stop(epoch, logs=None):
        if epoch == 6:
            raise KeyboardInterrupt

    options = {"batch_size": 5, "epochs": 8, "initial_epoch": 4, "verbose": 0}
    whole = small_model()
    rates = whole.fit(X, Y, callbacks=callbacks(), **options).history["learning_rate"]
    with pytest.raises(KeyboardInterrupt):
        small_model().fit(X, Y, callbacks=callbacks(LambdaCallback(on_epoch_begin=stop)), **options)
    again = small_model()
    assert again.fit(X, Y, callbacks=callbacks(), **options).history["learning_rate"] == rates[2:]
    assert lw.fingerprint(again) == lw.fingerprint(whole)


def test_a_callback_may_change_a_metric():
    metric = Seen()
    metric.scale = 1.0
    model = small_model(metrics=[metric])
    model.fit(
        X,
        Y,
        verbose=0,
        callbacks=[LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(metric, "scale", 2.0))],
    )
    assert metric.scale == 2.0


def test_an_evaluation_leaves_lists_and_metrics_inside_alone():
    class Listed(lw.metrics.Metric):
        def __init__(self, name="listed", **kwargs):
            super().__init__(name=name, **kwargs)
            self.seen, self.inner = [], lw.metrics.MeanSquaredError()

        def reset_state(self):
            self.seen.clear()
            self.inner.reset_state()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.seen.append(len(y_true))
            self.inner.update_state(y_true, y_pred)

        def result(self):
            return sum(self.seen) + 0 * float(self.inner.result())

    model = small_model(metrics=[Listed()])
    look = LambdaCallback(on_train_batch_end=lambda batch, logs: model.evaluate(X[:3], Y[:3], verbose=0))
    assert model.fit(X, Y, batch_size=5, verbose=0, callbacks=[look]).history["listed"] == [20]
