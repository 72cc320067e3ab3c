"""Losses and metrics that a person wrote in Python, inside the engine."""

import threading

import numpy as np
import pytest

import lanewise as lw
from bounds import running
from lanewise import keras
from lanewise.keras import ops

RNG = np.random.default_rng(8)
X = RNG.standard_normal((300, 6)).astype(np.float32)
Y = (X @ RNG.standard_normal((6, 1)) + 0.1).astype(np.float32)
WEIGHTS = RNG.uniform(0, 2, 300)


def mse_of_ops(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mse_of_numpy(y_true, y_pred):
    return np.mean((y_true - y_pred) ** 2, axis=-1)


def mse_of_tf(y_true, y_pred):
    return lw.reduce_mean(lw.math.squared_difference(y_true, y_pred), axis=-1)


def mse_of_elements(y_true, y_pred):
    return (y_true - y_pred) ** 2


def mse_of_batch(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred))


class MSEOfClass(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1)


def network(loss, metrics=None, units=1, **options):
    lw.utils.set_random_seed(3)
    model = lw.Sequential([lw.layers.Dense(40, "tanh", input_shape=(6,)), lw.layers.Dense(units)])
    model.compile(lw.optimizers.Adam(0.01), loss, metrics=metrics, **options)
    return model


def trained(loss, metrics=None, y=Y, units=1, compile_options=None, **options):
    model = network(loss, metrics, units, **(compile_options or {}))
    history = model.fit(X, y, epochs=3, batch_size=32, verbose=0, **options).history
    return history, model.get_weights()


EQUAL = [mse_of_ops, mse_of_numpy, mse_of_tf, mse_of_elements, MSEOfClass(), MSEOfClass]


@pytest.mark.parametrize("loss", EQUAL, ids=lambda f: getattr(f, "__name__", "instance"))
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
def test_the_same_loss_in_python_trains_the_same_network(loss, weights):
    kernel_history, kernel_weights = trained("mse", ["mae"], sample_weight=weights)
    history, own_weights = trained(loss, ["mae"], sample_weight=weights)
    np.testing.assert_allclose(history["loss"], kernel_history["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["mae"], kernel_history["mae"], rtol=1e-5)
    for own, kernel in zip(own_weights, kernel_weights, strict=True):
        np.testing.assert_allclose(own, kernel, rtol=1e-3, atol=1e-5)


def test_one_number_for_a_batch():
    history, _ = trained(mse_of_batch)
    np.testing.assert_allclose(history["loss"], trained("mse")[0]["loss"], rtol=1e-5)


def test_bits_do_not_depend_on_threads():
    results = []
    for threads in (1, 2, 7):
        with running(threads=threads):
            results.append(trained(mse_of_ops, [mse_of_numpy])[1])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_gradients_are_those_of_differences():
    def loss(y_true, y_pred):
        return ops.log(1 + ops.exp(ops.abs(y_true - y_pred))) * ops.sigmoid(y_pred)

    model = network(loss)
    _, gradients = model.value_and_grad(X[:16], Y[:16])
    weights = [w.astype(np.float64) for w in model.get_weights()]

    def total(*w):
        hidden = np.tanh(X[:16].astype(np.float64) @ w[0] + w[1])
        return loss(Y[:16].astype(np.float64), hidden @ w[2] + w[3]).mean()

    lw.utils.check_gradients(total, *weights, gradients=gradients, tolerance=2e-4)


def test_a_metric_is_the_mean_over_all_rows():
    def largest(y_true, y_pred):
        return np.max(np.abs(y_true - y_pred), axis=1)

    def constant(y_true, y_pred):
        return 3.0

    model = network("mse", [largest, constant, "mae"])
    results = model.evaluate(X, Y, batch_size=32, verbose=0, return_dict=True)
    expected = np.abs(model.predict(X, verbose=0) - Y).max(axis=1).mean()
    np.testing.assert_allclose(results["largest"], expected, rtol=1e-5)
    assert results["constant"] == 3.0 and model.metrics_names == ["loss", "largest", "constant", "mae"]


def test_weighted_metrics_and_several_names():
    model = network("mse", [mse_of_numpy], weighted_metrics=[mse_of_numpy])
    found = model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    errors = ((model.predict(X, verbose=0) - Y) ** 2)[:, 0]
    np.testing.assert_allclose(found["mse_of_numpy"], errors.mean(), rtol=1e-5)
    weighted = np.average(errors, weights=WEIGHTS)
    np.testing.assert_allclose(found["weighted_mse_of_numpy"], weighted, rtol=1e-5)


def test_targets_of_another_shape_than_the_output():
    """y holds a value and a limit; one output."""

    def one_sided(y_true, y_pred):
        value, limit = y_true[:, :1], y_true[:, 1:]
        return ops.square(ops.minimum(y_pred, limit) - value)

    y = np.concatenate([Y, np.ones_like(Y)], axis=1)
    history, _ = trained(one_sided, y=y)
    assert history["loss"][-1] < history["loss"][0]


def test_integer_labels():
    def crossentropy(y_true, y_pred):
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

    labels = RNG.integers(0, 4, 300)
    ours = trained(crossentropy, ["accuracy"], labels, 4)
    kernel = trained(lw.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"], labels, 4)
    np.testing.assert_allclose(ours[0]["loss"], kernel[0]["loss"], rtol=1e-5)
    assert ours[0]["accuracy"] == kernel[0]["accuracy"]


def test_a_loss_that_fails_at_once_changes_nothing():
    def broken(y_true, y_pred):
        raise RuntimeError("not ready")

    model = network(broken)
    before = model.get_weights()
    with pytest.raises(RuntimeError, match="not ready"):
        model.fit(X, Y, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_loss_that_fails_later_leaves_the_model_usable(threads):
    calls = []

    def fails(y_true, y_pred):
        calls.append(1)
        if len(calls) == 5:
            raise KeyError("fifth")
        return ops.square(y_true - y_pred)

    with running(threads=threads):
        model = network(fails)
        with pytest.raises(KeyError, match="fifth"):
            model.fit(X, Y, batch_size=32, verbose=0)
        assert np.isfinite(model.predict(X, verbose=0)).all()
        model.fit(X, Y, verbose=0)
        assert np.isfinite(model.evaluate(X, Y, verbose=0))


def test_what_a_loss_must_give():
    with pytest.raises(ValueError, match="rows: expected a value for each of the 2 rows"):
        network(rows).fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="does not depend on y_pred in a way that can be differentiated"):
        network(lambda t, p: np.float32(1.0)).fit(X, Y, verbose=0)
    with pytest.raises(TypeError, match=r"numpy\.fft"):
        network(lambda t, p: np.abs(np.fft.fft(p))).fit(X, Y, verbose=0)
    with pytest.raises(TypeError, match=r"x\.numpy\(\)"):
        network(lambda t, p: np.asarray(p)).fit(X, Y, verbose=0)


def rows(y_true, y_pred):
    return ops.concatenate([y_true - y_pred, y_pred], axis=0)


def test_arrays_of_a_batch_may_be_kept():
    kept = []

    def keeping(y_true, y_pred):
        kept.append((y_true, y_pred))
        return np.abs(y_true - y_pred)

    model = network("mse", [keeping])
    model.evaluate(X, Y, batch_size=100, verbose=0)
    assert np.array_equal(np.concatenate([t for t, _ in kept[1:]]), Y)
    np.testing.assert_allclose(np.concatenate([p for _, p in kept[1:]]), model.predict(X, verbose=0), rtol=1e-6)
    assert type(kept[1][1].numpy()) is np.ndarray


def test_train_on_batch_and_evaluate():
    model = network(mse_of_ops)
    first = model.train_on_batch(X, Y)
    np.testing.assert_allclose(first, network("mse").train_on_batch(X, Y), rtol=1e-6)
    model.reset_metrics()
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), model.test_on_batch(X, Y), rtol=1e-5)


def test_two_models_train_in_two_threads():
    def run(out):
        out.append(trained(mse_of_ops)[0]["loss"])

    lw.utils.set_random_seed(3)
    results = [[], []]
    threads = [threading.Thread(target=run, args=(out,)) for out in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(len(out) == 1 and out[0][-1] < out[0][0] for out in results)


def test_a_loss_alone():
    loss = lw.losses.get(mse_of_ops)
    assert loss.name == "mse_of_ops"
    np.testing.assert_allclose(loss([1.0, 2.0], [0.0, 4.0]), 2.5)
    metric = lw.metrics.get(mse_of_numpy)
    metric.update_state([1.0, 2.0], [0.0, 4.0])
    assert metric.result() == 2.5
    assert lw.losses.get(lw.losses.mean_squared_error).kernel == "mse"
    assert MSEOfClass(reduction="sum")(Y[:2], Y[:2] + 1) == 2


# --- losses of the package, asked inside ------------------------------------------------------------------------


KINDS = sorted(
    name
    for name, kind in vars(lw.losses).items()
    if isinstance(kind, type) and issubclass(kind, lw.losses.Loss) and name not in ("Loss", "Gamma", "GaussianNLL")
)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", None])
@pytest.mark.parametrize("kind", KINDS)
def test_losses_of_the_package_are_differentiated_inside_ones_own(kind, reduction):
    inner = getattr(lw.losses, kind)(reduction=reduction)
    y = RNG.integers(0, 4, 300) if inner.sparse else RNG.uniform(0.1, 0.9, (300, 4)).astype(np.float32)

    def trained(loss):
        lw.utils.set_random_seed(7)
        last = lw.layers.Dense(4, activation="hard_sigmoid")  # no logits that a loss of its own could not see
        model = lw.Sequential([lw.Input((6,)), lw.layers.Dense(8, activation="tanh"), last])
        model.compile(lw.optimizers.SGD(0.05), loss)
        history = model.fit(X, y, epochs=3, batch_size=50, verbose=0, sample_weight=WEIGHTS).history["loss"]
        return np.array(history), np.concatenate([w.ravel() for w in model.get_weights()])

    expected = trained(getattr(lw.losses, kind)())
    if reduction:  # one number: weights of rows multiply that of the batch, so they are left out
        return check_unweighted(inner, y)
    for found, wanted in zip(trained(lambda y_true, y_pred: inner(y_true, y_pred)), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-6)


def check_unweighted(inner, y):
    gradients = []
    for loss in (inner, lambda y_true, y_pred: 2.0 * inner(y_true, y_pred) - inner(y_true, y_pred)):
        lw.utils.set_random_seed(7)
        model = lw.Sequential([lw.Input((6,)), lw.layers.Dense(4, activation="hard_sigmoid")])
        model.compile("sgd", loss)
        value, slopes = model.value_and_grad(X, y)
        gradients.append(np.concatenate([np.ravel(value), *(g.ravel() for g in slopes)]))
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=2e-4, atol=2e-6)


def test_functions_and_subclasses_of_losses_are_differentiated_inside_ones_own():
    class Mixed(keras.losses.Loss):
        def __init__(self):
            super().__init__()
            self.huber = keras.losses.Huber(delta=0.5)

        def call(self, y_true, y_pred):
            return self.huber(y_true, y_pred) + 0.1 * keras.losses.mae(y_true, y_pred)

    mixed = Mixed()

    def outer(y_true, y_pred):
        return mixed(y_true, y_pred) + keras.losses.mean_squared_error(y_true, y_pred)

    def formula(y_true, y_pred):
        e = y_true - y_pred
        huber = ops.mean(ops.where(ops.abs(e) <= 0.5, 0.5 * e**2, 0.5 * ops.abs(e) - 0.125))
        return huber + ops.mean(0.1 * ops.abs(e) + e**2, axis=-1)

    found = []
    for loss in (outer, formula):
        lw.utils.set_random_seed(7)
        model = lw.Sequential([lw.Input((6,)), lw.layers.Dense(1)])
        model.compile("sgd", loss)
        value, slopes = model.value_and_grad(X, Y[:, 0])
        found.append(np.concatenate([np.ravel(value), *(g.ravel() for g in slopes)]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match=r"^y_true: mean_squared_error has a gradient in y_pred alone.*keras.ops"):
        model.compile("sgd", lambda y_true, y_pred: keras.losses.mse(y_pred, y_true))
        model.fit(X, Y, verbose=0)
