"""Metrics that a person wrote as a subclass of `Metric`, as Keras's guide has it."""

import numpy as np
import pytest

import lanewise as lw
from bounds import running
from lanewise import keras
from lanewise.keras import ops

RNG = np.random.default_rng(5)
X = RNG.standard_normal((70, 3)).astype(np.float32)
Y = RNG.standard_normal(70).astype(np.float32)
LABELS = RNG.integers(0, 4, 70)
WEIGHTS = RNG.uniform(0, 2, 70)


class Distance(keras.metrics.Metric):
    """The mean absolute error, by hand."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(shape=(), initializer="zeros", dtype="int32")

    def update_state(self, y_true, y_pred, sample_weight=None):
        error = ops.mean(ops.abs(y_true - y_pred), axis=-1)
        weights = ops.ones_like(error) if sample_weight is None else sample_weight
        self.total.assign_add(ops.sum(error * weights))
        self.count.assign(self.count + ops.sum(weights) if sample_weight is not None else self.count + len(error))

    def result(self):
        return self.total / self.count


class WeightedDistance(Distance):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.count = self.add_weight(name="weights")


class Both(Distance):
    def result(self):
        return {"distance": self.total / self.count, "rows": self.count}


class Rows(keras.metrics.Metric):
    """Keeps plain Python state, and says what it saw."""

    def __init__(self, name="rows"):
        super().__init__(name=name)
        self.reset_state()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.batches.append((y_true.shape, y_true.dtype, y_pred.shape, sample_weight))

    def result(self):
        return sum(shape[0] for shape, *_ in self.batches)

    def reset_state(self):
        self.batches = []


class Half(keras.metrics.BinaryAccuracy):
    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_true, y_pred / 2, sample_weight)


class Classes(keras.metrics.MeanIoU):
    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_true, ops.argmax(y_pred, axis=-1), sample_weight)


class Root(keras.metrics.MeanSquaredError):
    def result(self):
        return ops.sqrt(super().result())


class Gap(keras.metrics.Metric):
    """Made of others."""

    def __init__(self, name="gap", **kwargs):
        super().__init__(name=name, **kwargs)
        self.squares, self.errors = keras.metrics.MeanSquaredError(), keras.metrics.MeanAbsoluteError()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.squares.update_state(y_true, y_pred)
        self.errors.update_state(y_true, y_pred)

    def result(self):
        return self.squares.result() - self.errors.result()


def compiled(metrics, loss="mse", units=1, **options):
    lw.utils.set_random_seed(1)
    model = lw.Sequential([lw.layers.Dense(units, "softmax" if units > 1 else None, input_shape=(3,))])
    model.compile("sgd", loss, metrics=metrics, **options)
    return model


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_subclass_gives_what_the_kernel_gives():
    model = compiled([Distance(name="by_hand"), "mae"])
    history = model.fit(X, Y, epochs=3, verbose=0, validation_data=(X[:40], Y[:40])).history
    assert sorted(history) == ["by_hand", "loss", "mae", "val_by_hand", "val_loss", "val_mae"]
    close(history["by_hand"], history["mae"])
    close(history["val_by_hand"], history["val_mae"])
    _, by_hand, mae = model.evaluate(X, Y, verbose=0)
    close(by_hand, mae)
    found = model.train_on_batch(X[:9], Y[:9], return_dict=True)
    close(found["by_hand"], found["mae"])
    close(*model.test_on_batch(X[:9], Y[:9])[1:])


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("with_weights", [True, False])
def test_weighted_metrics_get_the_weights_of_their_rows(shuffle, with_weights):
    model = compiled(None, weighted_metrics=[WeightedDistance(name="by_hand"), WeightedDistance(name="again"), "mae"])
    weights = WEIGHTS if with_weights else None
    fitted = model.fit(
        X, Y, sample_weight=weights, batch_size=16, epochs=2, shuffle=shuffle, verbose=0, validation_split=0.3
    )
    history = fitted.history
    for key in ("by_hand", "again"):
        close(history[key], history["mae"])
        close(history[f"val_{key}"], history["val_mae"])
    _, *found = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    close(found, found[-1])
    _, *found = model.train_on_batch(X, Y, sample_weight=weights)
    close(found, found[-1])


def test_metrics_do_not_see_weights_and_weighted_ones_do():
    plain, weighted = Rows(), Rows("weighted")
    model = compiled([plain], weighted_metrics=[weighted])
    model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0)
    assert [b[:3] for b in plain.batches] == [((n, 1), np.float32, (n, 1)) for n in (32, 32, 6)]
    assert [b[3] for b in plain.batches] == [None] * 3
    np.testing.assert_array_equal(np.concatenate([b[3] for b in weighted.batches]), WEIGHTS.astype(np.float32))
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["rows"] == 70.0
    assert [b[3] for b in weighted.batches] == [None] * 3


def test_labels_stay_integers():
    rows = Rows()
    model = compiled([rows], "sparse_categorical_crossentropy", 4)
    model.fit(X, LABELS, verbose=0)
    assert rows.batches[-1][:3] == ((6,), np.int32, (6, 4))


def test_subclasses_of_metrics_that_exist():
    y = (Y > 0).astype(int)
    model = compiled([Half(name="half"), "binary_accuracy", Root()], "mse")
    weights = model.get_weights()
    _, half, whole, root = model.evaluate(X, y, verbose=0)
    p = X @ weights[0]
    close(half, np.mean((p[:, 0] / 2 > 0.5) == y))
    close(whole, np.mean((p[:, 0] > 0.5) == y))
    close(root, np.sqrt(np.mean((p[:, 0] - y) ** 2)))
    assert model.metrics_names == ["loss", "half", "binary_accuracy", "mean_squared_error"]

    model = compiled([Classes(4), keras.metrics.SparseCategoricalAccuracy()], "sparse_categorical_crossentropy", 4)
    _, found, accuracy = model.evaluate(X, LABELS, verbose=0)
    chosen = model.predict(X, verbose=0).argmax(1)
    each = [(c == LABELS, c == chosen) for c in range(4)]
    both = [(true & pred).sum() / (true | pred).sum() for true, pred in each]
    close(found, np.mean(both))
    close(accuracy, np.mean(chosen == LABELS))


def test_a_dict_of_results_comes_by_its_own_keys():
    model = compiled([Both(), "mae"])
    history = model.fit(X, Y, verbose=0, validation_data=(X, Y)).history
    assert list(history) == ["distance", "loss", "mae", "rows", "val_distance", "val_loss", "val_mae", "val_rows"]
    assert model.evaluate(X, Y, verbose=0)[1:] == pytest.approx([history["val_mae"][0], history["val_mae"][0], 70])


def test_a_metric_made_of_others():
    model = compiled([Gap(), "mse", "mae"])
    history = model.fit(X, Y, epochs=2, verbose=0).history
    close(history["gap"], np.subtract(history["mse"], history["mae"]))


def test_on_its_own():
    metric = Distance()
    close(metric(np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]])), 1.5)
    assert metric.name.startswith("distance")
    assert [v.path.split("/")[1] for v in metric.variables] == ["total", "variable_1"]
    assert [v.dtype for v in metric.variables] == ["float32", "int32"]
    assert metric.count > 1 and float(metric.total) == 3.0
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0.0, 0.0]
    gap = Gap()
    gap.update_state(np.ones((2, 1)), np.zeros((2, 1)))
    gap.reset_state()
    assert gap.result() == 0


def test_what_is_wrong_is_said():
    class Empty(keras.metrics.Metric):
        pass

    class Broken(Distance):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign(np.zeros(3))

    with pytest.raises(NotImplementedError, match=r"Empty: a metric needs update_state\(...\) and result\(\)"):
        compiled([Empty()])
    with pytest.raises(NotImplementedError, match="Empty: a metric needs"):
        Empty().update_state([1.0], [1.0])
    model = compiled([Broken()])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"broken.*/total: expected shape \(\), received \(3,\)"):
        model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_nothing(threads):
    with running(threads=threads):
        model = compiled([Distance(name="d")])
        model.fit(X, Y, epochs=3, verbose=0)
        assert model.get_metrics_result()["d"] == pytest.approx(float(model.metrics[1].result()))
        weights = model.get_weights()
    plain = compiled(None)
    plain.fit(X, Y, epochs=3, verbose=0)
    np.testing.assert_array_equal(weights[0], plain.get_weights()[0])


def test_files_name_the_class(tmp_path):
    model = compiled([Gap()])
    model.fit(X, Y, verbose=0)
    for suffix in (".lanewise", ".keras"):
        model.save(tmp_path / f"m{suffix}")
        again = lw.load_model(tmp_path / f"m{suffix}", custom_objects={"Gap": Gap})
        assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_results_of_what_ran_last():
    accuracy = keras.metrics.MeanAbsoluteError(name="mae")
    model = compiled([accuracy])
    assert compiled(None).metrics_names == ["loss"] and lw.Sequential().metrics == []
    assert model.get_metrics_result() == {"loss": 0.0, "mae": 0.0}
    loss, mae = model.evaluate(X, Y, verbose=0)
    assert [m.name for m in model.metrics] == ["loss", "mae"] and model.metrics[1] is accuracy
    assert [float(m.result()) for m in model.metrics] == [loss, mae] == list(model.get_metrics_result().values())
    model.reset_metrics()
    assert model.get_metrics_result() == {"loss": 0.0, "mae": 0.0} and accuracy.result() == 0
    assert [m.result() for m in model.metrics] == [0, 0]


def test_dicts_are_sorted_as_keras_sorts_them():
    """Keras 3.15: {'accuracy', 'loss', 'mae'} from evaluate and ..._on_batch, lists in compile order."""
    model = compiled(["mae", "accuracy"])
    y = (Y > 0).astype(int)
    for found in (
        model.evaluate(X, y, verbose=0, return_dict=True),
        model.train_on_batch(X, y, return_dict=True),
        model.test_on_batch(X, y, return_dict=True),
    ):
        assert list(found) == ["accuracy", "loss", "mae"]
    assert model.metrics_names == ["loss", "mae", "accuracy"]


def test_callbacks_know_the_direction_of_what_is_known():
    stop = lambda monitor: [keras.callbacks.EarlyStopping(monitor)]  # noqa: E731
    y = (Y > 0).astype(int)
    model = compiled([Half(name="half"), Distance(name="d"), lambda t, p: ops.max(p - t)])
    model.fit(X, y, verbose=0, callbacks=stop("half"))
    for name in ("d", model.metrics_names[-1]):
        with pytest.raises(ValueError, match="mode: 'auto' works for the loss and for metrics of the package"):
            model.fit(X, y, verbose=0, callbacks=stop(name))
    given = lw.Input((3,))
    two = lw.Model(given, [lw.layers.Dense(1, "sigmoid", name="a")(given), lw.layers.Dense(1, name="b")(given)])
    two.compile("sgd", "mse", metrics={"a": ["accuracy"], "b": ["mae"]})
    two.fit(X, [y, y], verbose=0, callbacks=[*stop("a_accuracy"), *stop("b_mae"), *stop("b_loss")])
    assert [two.metric_called(name) is not None for name in ("a_accuracy", "b_mae", "none")] == [True, True, False]
