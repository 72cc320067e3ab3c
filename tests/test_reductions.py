"""Losses that are no mean over the batch, in training. Golden numbers: Keras 3.15.1, backend jax, same data."""

import numpy as np
import pytest

import lanewise as lw
from bounds import running
from lanewise import keras

X = np.random.RandomState(0).rand(70, 3).astype("f")
Y = np.random.RandomState(1).rand(70, 2).astype("f")
SAMPLE_WEIGHT = np.random.RandomState(2).rand(70).astype("f")
KERNEL = np.random.RandomState(3).rand(3, 2).astype("f")

GOLDEN = {  # reduction, weighted, l2: loss of evaluate, losses of two epochs, bias after them
    ("sum", False, False): (13.116077423, [173.387954712, 582.241271973], [-0.55614054, -0.5826092]),
    ("sum", False, True): (13.143589973, [173.773620605, 570.424926758], [-0.5482697, -0.573595]),
    ("sum", True, False): (6.107795238, [5.527443886, 10.293675423], [0.5257466, 0.23992425]),
    ("sum", True, True): (6.135306358, [5.564046860, 10.345892906], [0.5308704, 0.24581224]),
    ("mean_with_sample_weight", False, False): (0.428692013, [0.379011184, 0.240383640], [-0.11659306, -0.19291091]),
    ("mean_with_sample_weight", True, False): (0.420477182, [0.373802304, 0.245836288], [-0.1104608, -0.17457105]),
    ("mean_with_sample_weight", True, True): (0.447988361, [0.398856282, 0.263917983], [-0.10859802, -0.17237021]),
    ("mean", True, False): (0.196898431, [0.186547920, 0.147544235], [-0.06948796, -0.1049445]),
}


def network(reduction, l2=False, weighted_metrics=("mse",), loss="MeanSquaredError", **options):
    model = lw.Sequential([lw.layers.Dense(2, kernel_regularizer="l2" if l2 else None, input_shape=(3,))])
    model.set_weights([KERNEL, np.zeros(2)])
    made = getattr(keras.losses, loss)(reduction=reduction)
    model.compile(lw.optimizers.SGD(0.1), made, metrics=["mae"], weighted_metrics=list(weighted_metrics), **options)
    return model


@pytest.mark.parametrize(("reduction", "weighted", "l2"), GOLDEN)
def test_reductions_train_as_in_keras(reduction, weighted, l2):
    evaluated, losses, bias = GOLDEN[reduction, weighted, l2]
    model = network(reduction, l2)
    weights = SAMPLE_WEIGHT if weighted else None
    found = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(found, [evaluated, 0.526350081, 0.427992523 if weighted else 0.428692013], rtol=1e-6)
    history = model.fit(X, Y, sample_weight=weights, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], losses, rtol=5e-6)
    np.testing.assert_allclose(model.get_weights()[1], bias, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("threads", [1, 2])
def test_shuffled_rows_keep_their_weights(reduction, threads):
    """An epoch by steps of its own, each batch as it was drawn, gives the same bits."""
    batches = []

    class Seen(keras.metrics.Metric):
        def update_state(self, y_true, y_pred, sample_weight):
            batches.append((np.array(y_true), np.array(sample_weight)))

        def result(self):
            return 0.0

    with running(threads=threads):
        lw.utils.set_random_seed(4)
        model = network(reduction, weighted_metrics=["mse", Seen()])
        history = model.fit(X, Y, sample_weight=SAMPLE_WEIGHT, epochs=2, verbose=0, batch_size=32).history
        single = network(reduction)
        rows = {tuple(y): (x, w) for x, y, w in zip(X, Y, SAMPLE_WEIGHT, strict=True)}
        losses = []
        for y, weights in batches:
            x = np.array([rows[tuple(row)][0] for row in y])
            np.testing.assert_array_equal(weights, [rows[tuple(row)][1] for row in y])
            losses.append(single.train_on_batch(x, y, sample_weight=weights)[0])
    sizes = np.array([32, 32, 6])
    np.testing.assert_allclose(history["loss"], np.reshape(losses, (2, 3)) @ sizes / 70, rtol=1e-6)
    for a, b in zip(model.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_are_those_of_the_sum():
    mean, total = network("mean"), network("sum")
    loss, slopes = mean.value_and_grad(X[:8], Y[:8])
    whole, sums = total.value_and_grad(X[:8], Y[:8])
    assert whole == pytest.approx(8 * loss)
    np.testing.assert_allclose(sums[0], 8 * slopes[0], rtol=1e-6)


def test_all_weights_zero():
    model = network("mean_with_sample_weight")
    assert model.train_on_batch(X, Y, sample_weight=np.zeros(70))[0] == 0
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)


@pytest.mark.parametrize("reduction", ["none", None])
def test_one_value_a_row_is_evaluated_and_not_trained(reduction):
    """Keras: evaluate gives the mean, fit raises TypeError on jax."""
    model = network(reduction)
    assert model.evaluate(X, Y, verbose=0) == network("mean").evaluate(X, Y, verbose=0)
    for train in (model.fit, model.train_on_batch, model.value_and_grad):
        with pytest.raises(ValueError, match=r"mean_squared_error has reduction=.*training needs one number"):
            train(X, Y)


def test_samples_of_several_rows():
    x, y = np.ones((5, 4, 3), np.float32), np.zeros((5, 4, 2), np.float32)
    model = lw.Sequential([lw.layers.Dense(2, input_shape=(4, 3))])
    model.compile("sgd", keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    whole = model.evaluate(x, y, verbose=0)
    model.compile("sgd", "mse")
    assert whole == model.evaluate(x, y, verbose=0)
    model.compile("sgd", keras.losses.MeanSquaredError(reduction="sum"))
    with pytest.raises(NotImplementedError, match=r"one row a sample, received \(None, 4, 2\)"):
        model.fit(x, y, verbose=0)


def test_two_outputs_with_two_reductions():
    given = lw.Input((3,))
    model = lw.Model(given, [lw.layers.Dense(2, name="a")(given), lw.layers.Dense(2, name="b")(given)])
    sum_of = keras.losses.MeanSquaredError(reduction="sum")
    model.compile("sgd", {"a": sum_of, "b": "mse"}, loss_weights={"a": 0.5, "b": 2.0}, weighted_metrics={"a": ["mse"]})
    found = model.evaluate(X[:32], {"a": Y[:32], "b": Y[:32]}, verbose=0, return_dict=True)
    assert found["a_loss"] == pytest.approx(32 * found["a_mse"], rel=1e-6)
    assert found["loss"] == pytest.approx(0.5 * found["a_loss"] + 2 * found["b_loss"], rel=1e-6)


def test_labels():
    labels = np.arange(70) % 2
    for loss, y in (("SparseCategoricalCrossentropy", labels), ("CategoricalCrossentropy", np.eye(2)[labels])):
        model = lw.Sequential([lw.layers.Dense(2, "softmax", input_shape=(3,))])
        model.compile("sgd", getattr(keras.losses, loss)(reduction="sum"), weighted_metrics=["accuracy"])
        found = model.evaluate(X, y, sample_weight=SAMPLE_WEIGHT, batch_size=70, verbose=0)
        p = model.predict(X, verbose=0)
        wanted = -(np.log(p[np.arange(70), labels]) * SAMPLE_WEIGHT).sum(), (p.argmax(1) == labels) @ SAMPLE_WEIGHT
        np.testing.assert_allclose(found, [wanted[0], wanted[1] / SAMPLE_WEIGHT.sum()], rtol=1e-5)


@pytest.mark.parametrize(("kind", "weighted", "evaluated", "losses", "bias"), [
    ("row", False, 26.232154846, [24.377147675, 18.401653290], [-0.0917163342, -0.1201081797]),
    ("row", True, 12.215590477, [11.830139160, 10.299010277], [-0.0483998917, -0.0612002984]),
    ("elements", False, 26.232154846, [24.377147675, 18.401653290], [-0.0917163342, -0.1201081797]),
    ("one", False, 26.232154846, [24.377147675, 18.401653290], [-0.0917163342, -0.1201081797]),
    ("one", True, 383.139495850, [264.665924072, 169.694107056], [-0.0207489282, -0.1629249603]),
])  # fmt: skip
def test_sums_of_a_persons_own_loss(kind, weighted, evaluated, losses, bias):
    """The sum of whatever `call` returns: a value a row, each element, or one number for the batch."""

    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            squares = (y_true - y_pred) ** 2
            return {"elements": squares, "row": squares.sum(axis=-1), "one": squares.sum()}[kind]

    model = network("sum")
    model.compile(lw.optimizers.SGD(1e-3), Own(reduction="sum"))
    weights = SAMPLE_WEIGHT if weighted else None
    assert model.evaluate(X, Y, sample_weight=weights, verbose=0) == pytest.approx(evaluated, rel=1e-6)
    history = model.fit(X, Y, sample_weight=weights, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], losses, rtol=5e-6)
    np.testing.assert_allclose(model.get_weights()[1], bias, rtol=2e-5)
