"""What Keras takes and a newcomer tries: lists of one array, dicts by the input's name; and what mistakes are told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise.keras import layers, ops

RNG = np.random.default_rng(12)
X = RNG.standard_normal((40, 3)).astype(np.float32)
Y = X @ np.float32([1, 2, 3])
LABELS = np.arange(40) % 3


def make(loss: Any = "mse", units: int = 1, activation: Any = None, **options: Any) -> Any:
    lw.utils.set_random_seed(1)
    model = lw.Sequential([lw.Input((3,), name="table"), layers.Dense(units, activation=activation)])
    model.compile("sgd", loss, **options)
    return model


def test_lists_of_one_array_and_dicts_by_name_are_what_they_hold() -> None:
    weights = RNG.uniform(0.5, 2, 40)
    wanted = make().fit(X, Y, sample_weight=weights, verbose=0, validation_data=(X, Y)).history
    given: list[tuple[Any, Any, Any]] = [
        ([X], [Y], [weights]), ((X,), (Y,), (weights,)), ({"table": X}, Y, weights), ([X], [Y[:, None]], weights),
    ]  # fmt: skip
    for x, y, w in given:
        assert make().fit(x, y, sample_weight=w, verbose=0, validation_data=(x, y)).history == wanted
    model = make()
    np.testing.assert_array_equal(model.predict({"table": X}, verbose=0), model.predict(X, verbose=0))
    assert model.evaluate(({"table": X[i : i + 20]}, Y[i : i + 20]) for i in (0, 20)) == pytest.approx(
        model.evaluate(X, Y, verbose=0), rel=1e-6
    )
    with pytest.raises(TypeError, match=r"x: expected an array.*received dict"):
        model.predict({"other": X})


def test_a_last_axis_of_one_element_too_many_is_left_out() -> None:
    wanted = make().fit(X, Y, verbose=0).history
    assert make().fit(X[:, :, None], Y, verbose=0).history == wanted
    inputs = lw.Input((3,))
    model = lw.Model(inputs, layers.Dense(1)(inputs))
    np.testing.assert_array_equal(model.predict(X[:, :, None], verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match=r"x: expected an array of shape \(n, 3\), received \(40, 1, 3\)"):
        make().predict(X[:, None])


def test_losses_by_name_of_a_function_are_functions_in_keras() -> None:
    assert keras.losses.get("mse") is keras.losses.get(keras.losses.mse) is lw.losses.mean_squared_error
    assert type(keras.losses.get("MeanSquaredError")) is type(keras.losses.get(keras.losses.MeanSquaredError()))
    assert keras.losses.get("MeanSquaredError")(X, X + 1).shape == () and keras.losses.get(None) is None
    assert keras.losses.get("huber")(X, X).shape == (40,) and keras.losses.get(make) is make
    with pytest.raises(ValueError, match="unknown name 'msee'"):
        keras.losses.get("msee")
    for name in ("get", "serialize"):
        with pytest.raises(ValueError, match=f"unknown name '{name}'"):
            keras.losses.get(name)


def test_initializers_of_ones_own_may_give_float64() -> None:
    class Tenths(keras.initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return np.full(shape, 0.1)

    layer = layers.Dense(2, kernel_initializer=Tenths(), bias_initializer=lambda shape, dtype: np.arange(2))
    layer(X)
    np.testing.assert_array_equal(layer.kernel.numpy(), np.full((3, 2), np.float32(0.1)))

    class Odd(keras.initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return np.zeros(5)

    with pytest.raises(ValueError, match=r"^odd/kernel: expected values of shape \(3, 2\) of Odd, received \(5,\)"):
        layers.Dense(2, kernel_initializer=Odd(), name="odd")(X)


CASES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: make("sparse_categorical_crossentropy", 3, "softmax", metrics=["auc"]).fit(X, LABELS, verbose=0),
     ValueError, r"auc takes one-hot rows.*to_categorical\(y\) with 'categorical_crossentropy'"),
    (lambda: make(metrics=["sparse_categorical_accuracy"]).fit(X, Y, verbose=0),
     ValueError, r"takes integer labels.*take 'accuracy'"),
    (lambda: make().fit(X, Y, class_weight="balanced"),
     TypeError, r"class_weight: .*received 'balanced'; of k classes that is dict\(enumerate\(len\(y\) / k / numpy.b"),
    (lambda: make().fit(X, Y, class_weight=[1, 2]), TypeError, r"class_weight: .*list; .*dict\(enumerate\("),
    (lambda: make().fit(X, np.where(Y > 0, "yes", "no")), TypeError, r"y: .*numpy.unique\(y, return_inverse=True\)"),
    (lambda: make().predict(X.astype(str)), TypeError, "x: .*encode text as numbers first$"),
    (lambda: make().fit(batches), TypeError, r"x: .*received function; a generator is .*: batches\(\)"),
    (lambda: lw.Input((3,)) ** lw.Input((4,)), ValueError, r"^power: called on \(None, 3\), \(None, 4\), rows first: "),
    (lambda: layers.Dense(2, kernel_initializer=3), TypeError, "expected a name or an Initializer"),
    (lambda: make(metrics=["f1"]), ValueError, "unknown name 'f1'. Did you mean 'f1_score'"),
    (lambda: layers.Dense(2, activation=layers.LeakyReLU), TypeError, r"received a class; write LeakyReLU\(\)"),
    (lambda: layers.Dense(2, kernel_initializer="he"), ValueError, "unknown name 'he'. Did you mean 'he_normal'"),
]  # fmt: skip


def batches() -> Any:
    yield X, Y


@pytest.mark.parametrize(("act", "kind", "text"), CASES)
def test_messages_say_what_to_do(act: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        act()


def test_a_monitor_of_validation_without_validation_says_how_to_get_one() -> None:
    with pytest.warns(UserWarning, match="'val_loss' is not in the logs. Give fit validation_data= or validation_spl"):
        make().fit(X, Y, verbose=0, callbacks=[keras.callbacks.EarlyStopping()])


def test_tables_of_the_other_kind_are_pointed_to() -> None:
    from lanewise.tabular import TabularClassifier, TabularRegressor

    with pytest.raises(TypeError, match="y: expected numbers, received text; for labels there is TabularClassifier"):
        TabularRegressor().fit(X, np.where(Y > 0, "yes", "no"))
    with pytest.warns(UserWarning, match="y: 40 classes in 40 rows; for numbers there is TabularRegressor"):
        TabularClassifier(members=2, epochs=1, verbose=0).fit(X, np.arange(40))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TabularClassifier(members=2, epochs=1, verbose=0).fit(X, LABELS)


def test_build_fn_is_called_model() -> None:
    pytest.importorskip("sklearn")
    from lanewise.sklearn import KerasRegressor

    with pytest.raises(ValueError, match="received None; build_fn= is called model="):
        KerasRegressor(build_fn=make).fit(X, Y)


def test_dropout_in_a_layer_of_ones_own() -> None:
    x = RNG.standard_normal((2000, 3)).astype(np.float32)
    dropped = keras.random.dropout(x, 0.25, seed=3)
    assert dropped.dtype == np.float32 and abs((dropped == 0).mean() - 0.25) < 0.02
    np.testing.assert_allclose(dropped[dropped != 0], x[dropped != 0] / np.float32(0.75), rtol=1e-6)
    np.testing.assert_array_equal(dropped, keras.random.dropout(x, 0.25, seed=3))
    rows = keras.random.dropout(x, 0.5, noise_shape=(None, 1), seed=1) != 0
    assert (rows.all(axis=1) | ~rows.any(axis=1)).all() and 0.45 < rows.mean() < 0.55
    assert not keras.random.dropout(x, 1.0).any() and (keras.random.dropout([1.0, 2.0], 0) == [1, 2]).all()
    with pytest.raises(ValueError, match=r"rate: expected a number in \[0, 1\]"):
        keras.random.dropout(x, 2)

    assert lw.nn.dropout is keras.random.dropout

    class Drop(layers.Layer):
        def call(self, inputs: Any, training: bool = False) -> Any:
            return keras.random.dropout(inputs, 0.5) if training else inputs

    lw.utils.set_random_seed(2)
    model = lw.Sequential([lw.Input((3,)), Drop(), layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    y = x.sum(axis=1)
    assert model.evaluate(x, y, verbose=0) < 1e-10 and model.fit(x, y, verbose=0).history["loss"][0] > 1


def test_a_layer_that_gives_no_array_is_told_so() -> None:
    class Two(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs, ops.sum(inputs, axis=-1, keepdims=True)

    class Nothing(layers.Layer):
        def call(self, inputs: Any) -> Any:
            inputs * 2.0

    with pytest.raises(ValueError, match=r"^two: call\(\) in Python gives one array, received 2; join them"):
        Two(name="two")(lw.Input((3,)))
    with pytest.raises(ValueError, match=r"^none: call\(\) .* received nothing; return what it computes"):
        lw.Sequential([lw.Input((3,)), Nothing(name="none")])


def test_arithmetic_of_tensors_still_broadcasts() -> None:
    a, b = lw.Input((3,)), lw.Input((1,))
    model = lw.Model([a, b], ops.sqrt(ops.abs(a - b)) * 2.0)
    np.testing.assert_allclose(model.predict([X, X[:, :1]], verbose=0), 2 * np.sqrt(np.abs(X - X[:, :1])), rtol=1e-6)
