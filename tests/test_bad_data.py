"""Data that cannot be right (labels, NaN, numbers beyond float32, logits for probabilities) is refused or told once."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from lanewise import keras
from lanewise.keras import layers
from refused import LABELS, NAN_Y, Model, X, Y, model, refused, sparse

# --- labels and targets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "shown"), [(3, "3"), (-1, "-1"), (0.5, "0.5"), (float("nan"), "nan"), (2**40, "1099")]
)
def test_labels_out_of_range(label: float, shown: str) -> None:
    y = LABELS.astype(np.float64 if isinstance(label, float) else np.int64)
    y[7] = label
    for method in ("fit", "evaluate", "train_on_batch", "value_and_grad"):
        call = lambda m, f=method: getattr(m, f)(X, y)  # noqa: E731
        refused(sparse(), call, ValueError, "y: ", "labels from 0 to 2", shown, "row 7")


def test_targets_of_the_wrong_kind_say_what_goes() -> None:
    one_hot = np.eye(3)[LABELS]
    refused(sparse(), lambda m: m.fit(X, one_hot, verbose=0), ValueError, "(n,)", "(10, 3)", "categorical_crossentropy")
    dense = model("categorical_crossentropy", 3, "softmax")
    refused(
        dense, lambda m: m.fit(X, LABELS, verbose=0), ValueError, "(n, 3)", "(10,)", "sparse_categorical", "to_categ"
    )
    binary = model("binary_crossentropy", 1, "sigmoid")
    refused(binary, lambda m: m.fit(X, LABELS, verbose=0), ValueError, "targets in [0, 1]", "received 2")
    refused(model(), lambda m: m.fit(X, verbose=0), ValueError, "y: expected targets", "None")


def test_targets_that_point_to_another_loss_or_layer() -> None:
    """The usual mix-ups of losses, layers and labels: what came, and what goes with it."""
    for network, y, texts in [
        (model("binary_crossentropy", 3, "sigmoid"), LABELS, ["(n, 3), received (10,)", "a label with 'sparse_categ"]),
        (model("mse", 3), Y, ["(n, 3), received (10,)", "one number a row goes with a last layer of one unit"]),
        (model("binary_crossentropy", 1, "sigmoid"), LABELS, ["received 2", "more than two classes", "sparse_categ"]),
        (model("binary_crossentropy", 1, "sigmoid"), np.sign(Y), ["received -1", "hinge", "(y + 1) / 2"]),
        (sparse(), LABELS + 1, ["received 3 in row 2", "count from 1: train on y - 1"]),
        (sparse(), LABELS * 4, ["labels from 0 to 2", "received 4", "labels up to 8 need a last layer of 9 units"]),
    ]:
        refused(network, lambda m, y=y: m.fit(X, y, verbose=0), ValueError, "y: ", *texts)
    network = Model([layers.Dense(1, "sigmoid", input_shape=(4,))])
    network.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="two classes and a last layer of one unit go with 'binary_crossentropy'"):
        network.fit(X, LABELS % 2, verbose=0)


# --- NaN -------------------------------------------------------------------------------------------------------------


def test_nan_in_targets_is_refused() -> None:
    for method in ("fit", "evaluate", "train_on_batch"):
        refused(model(), lambda m, f=method: getattr(m, f)(X, NAN_Y), ValueError, "y: ", "NaN in row 4")


def test_targets_beyond_float32_are_refused() -> None:
    for value, said in ((np.inf, "inf"), (-np.inf, "-inf"), (1e39, "1e+39")):
        y = np.where(np.arange(10) == 4, value, Y.astype(np.float64))
        for method in ("fit", "evaluate", "train_on_batch"):
            refused(
                model(), lambda m, f=method, y=y: getattr(m, f)(X, y), ValueError, "y: ", f"received {said} in row 4"
            )
    with np.errstate(over="ignore"):
        half = np.where(np.arange(10) == 7, np.inf, Y).astype(np.float16)
    refused(model(), lambda m: m.fit(X, half), ValueError, "y: ", "received inf in row 7")
    two = np.where(np.arange(10) == 4, np.inf, np.where(np.arange(10) == 7, -np.inf, Y))
    refused(model(), lambda m: m.fit(X, two), ValueError, "received inf in row 4")
    assert keras.losses.MeanSquaredError()([[np.inf]], [[1.0]]) == np.inf  # on arrays, by its formula
    assert keras.metrics.MeanAbsoluteError()([[np.inf]], [[1.0]]) == np.inf


def test_weights_beyond_float32_are_refused() -> None:
    weights = np.where(np.arange(10) == 3, 1e39, 1.0)
    refused(model(), lambda m: m.fit(X, Y, sample_weight=weights), ValueError, "sample_weight: ", "received 1e+39")
    refused(model(), lambda m: m.fit(X, Y, class_weight={0: 1e39}), ValueError, "class_weight[0]", "received 1e+39")


def test_infinite_targets_of_a_loss_of_ones_own_are_said() -> None:
    network = model()
    network.compile("sgd", lambda y_true, y_pred: keras.ops.square(y_true - y_pred))
    with pytest.warns(RuntimeWarning, match="y has inf in row 4"):
        network.fit(X, np.where(np.arange(10) == 4, np.inf, Y), verbose=0)


def test_nan_in_x_is_allowed_and_said_once() -> None:
    x = X.copy()
    x[6, 2] = np.nan
    network = model()
    with pytest.warns(RuntimeWarning, match="loss: NaN in epoch 1; x has NaN in row 6") as caught:
        history = network.fit(x, Y, epochs=3, batch_size=4, verbose=0).history
    assert len(caught) == 1
    assert np.isnan(history["loss"]).all()
    network = model()
    assert np.isnan(network.predict(x, verbose=0)).ravel().tolist() == [i == 6 for i in range(10)]
    assert np.isnan(network.evaluate(x, Y, verbose=0)).all()


def test_a_diverging_training_is_told_from_bad_data() -> None:
    network = model()
    network.compile(keras.optimizers.SGD(1e30), "mse")
    with pytest.warns(RuntimeWarning, match=r"loss: (NaN|inf) in epoch .* \|x\| is at most 1 .* smaller learning_rate"):
        network.fit(X, Y, epochs=20, verbose=0)


def test_infinite_and_too_large_numbers_are_named() -> None:
    for x, y, text in [
        (np.where(X[7, 1] == X, -np.inf, X), Y, "x has -inf in row 7"),
        (X * np.float64(1e39), Y, r"x has -1e\+39 \(beyond the range of float32\) in row 0"),
    ]:
        with pytest.warns(RuntimeWarning, match=text):
            model().fit(x, y, verbose=0)


def test_predictions_of_numbers_beyond_float32_are_told() -> None:
    """Where a result shows it; NaN and infinity that were given, and float32 arithmetic that overflows, are silent."""
    network = Model([layers.Dense(1, kernel_initializer="ones", input_shape=(4,))])
    x = np.where(X[7, 1] == X, 1e300, X.astype(np.float64))
    with pytest.warns(
        RuntimeWarning, match=r"predict: x has 1e\+300 \(beyond the range of float32\) in row 7"
    ) as caught:
        assert np.isinf(network.predict(x, verbose=0)).ravel().tolist() == [i == 7 for i in range(10)]
    assert caught[0].filename == __file__
    for silent in (np.where(x == 1e300, np.inf, x), np.where(x == 1e300, np.nan, x), np.full((3, 4), 3e38, np.float32)):
        assert not np.isfinite(network.predict(silent, verbose=0)).all()


@pytest.mark.parametrize(
    ("rate", "text"),
    [(1e-2, r"loss: (NaN|inf) in epoch \d+; "), (4e-9, r"loss: grew from 7.8\de\+07 to \S+ in epoch 10; ")],
)
def test_unscaled_inputs_that_explode_are_told_with_the_column(rate: float, text: str) -> None:
    network = Model([layers.Dense(1, input_shape=(4,))])
    network.compile(keras.optimizers.SGD(rate), "mse")
    network.set_weights([np.full((4, 1), 0.5), np.zeros(1)])
    with pytest.warns(RuntimeWarning, match=text) as caught:
        network.fit(X * [1, 1, 3e4, 1], Y, epochs=12, batch_size=1 if rate == 1e-2 else 10, verbose=0)
    (message,) = (str(w.message) for w in caught)
    assert "|x| is at most 2.85e+04 (column 2) and |y| is at most 3.69: try a smaller learning_rate" in message
    assert "layers.Normalization() as the first layer" in message
    assert caught[0].filename == __file__


# --- probabilities and logits ----------------------------------------------------------------------------------------


def logits_model(activation: str | None, loss: Any, units: int = 3) -> Model:
    keras.utils.set_random_seed(1)
    network = Model([layers.Dense(units, activation, input_shape=(4,))])
    network.compile("adam", loss)
    return network


@pytest.mark.parametrize(
    ("activation", "units", "loss", "texts"),
    [
        (
            "softmax", 3, keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            ["sparse_categorical_crossentropy has from_logits=True, but the model ends with softmax", "leave out one"],
        ),
        (
            "sigmoid", 1, keras.losses.BinaryCrossentropy(from_logits=True),
            ["binary_crossentropy has from_logits=True, but the model ends with sigmoid"],
        ),
        (
            None, 3, "sparse_categorical_crossentropy",
            ["expects probabilities, but the model gives numbers from -", "activation='softmax'", "from_logits=True"],
        ),
        (None, 1, "binary_crossentropy", ["expects probabilities, but the model gives", "activation='sigmoid'"]),
        ("tanh", 1, "binary_crossentropy", ["expects probabilities, but the model gives numbers from -"]),
        ("softmax", 1, "categorical_crossentropy", ["softmax over one column, which is always 1", "'sigmoid'"]),
    ],
)  # fmt: skip
def test_logits_for_probabilities_and_the_reverse(
    activation: str | None, units: int, loss: Any, texts: list[str]
) -> None:
    network = logits_model(activation, loss, units)
    y = LABELS if "parse" in str(loss) else (LABELS > 0).astype(int)
    with pytest.warns(UserWarning) as caught:
        network.fit(np.tile(X, (9, 1)), np.tile(y, 9), epochs=2, verbose=0)
        network.fit(X, y, verbose=0)  # said once
    (message,) = (str(w.message) for w in caught)
    for text in texts:
        assert text in message, message
    assert caught[0].filename == __file__


def test_right_pairs_of_output_and_loss_are_silent() -> None:
    sparse_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for activation, units, loss, y in [
        ("softmax", 3, "sparse_categorical_crossentropy", LABELS), (None, 3, sparse_logits, LABELS),
        ("sigmoid", 1, "binary_crossentropy", LABELS > 0), ("linear", 1, "mse", Y), ("sigmoid", 1, "mse", LABELS > 0),
        (None, 1, keras.losses.BinaryCrossentropy(from_logits=True), LABELS > 0),
    ]:  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            logits_model(activation, loss, units).fit(X, y, epochs=2, verbose=0)
