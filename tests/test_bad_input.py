"""Bad input: the right exception, which names the argument and what was received, before anything has changed.

Models here, kernels in `test_bad_arrays.py`, what stands in the data in `test_bad_data.py`. The sections: shapes,
sizes, names, order of calls, dtypes, and names that are not there.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise.keras import layers
from refused import Model, X, Y, model, refused

# --- shapes: rank, width, rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch", "value_and_grad"])
@pytest.mark.parametrize(
    ("x", "y", "texts"),
    [
        (X[0], Y, ["x: expected", "(n, 4)", "(4,)", "x[None]"]),
        (X[None], Y, ["x: expected", "(n, 4)", "(1, 10, 4)"]),
        (X[:, :3], Y, ["x: expected", "(n, 4)", "(10, 3)"]),
        (X, Y[:9], ["y: expected 10 rows", "received 9"]),
        (X, np.stack([Y, Y], axis=1), ["y: ", "(n, 1)", "(10, 2)"]),
        (X[:0], Y[:0], ["x: expected at least one row", "(0, 4)"]),
    ],
)
def test_shapes(method: str, x: np.ndarray, y: np.ndarray, texts: list[str]) -> None:
    keywords = {"verbose": 0} if method in ("fit", "evaluate") else {}
    refused(model(), lambda m: getattr(m, method)(x, y, **keywords), ValueError, *texts)


@pytest.mark.parametrize("x", [X[0], X[None], X[:, :3], X[:0]])
def test_shapes_in_predict(x: np.ndarray) -> None:
    for call in (
        lambda m: m.predict(x),
        lambda m: m.predict_on_batch(x),
        lambda m: m(x),
        lambda m: m(x, training=True),
    ):
        refused(model(), call, ValueError, "x: expected", str(x.shape))


def test_shapes_of_validation_data_and_weights() -> None:
    def fit(**keywords: Any) -> Callable[[Model], Any]:
        return lambda m: m.fit(X, Y, verbose=0, **keywords)

    refused(model(), fit(validation_data=X), ValueError, "validation_data: expected (x, y)", "ndarray")
    refused(model(), fit(validation_data=(X, Y[:3])), ValueError, "validation y: expected 10 rows", "received 3")
    refused(model(), fit(validation_data=(X[:, :3], Y)), ValueError, "validation x: expected", "(10, 3)")
    refused(model(), fit(sample_weight=np.ones(9)), ValueError, "sample_weight: expected 10 rows", "received 9")
    refused(model(), fit(sample_weight=np.ones((10, 2))), ValueError, "sample_weight: expected", "(10, 2)")
    refused(model(), fit(sample_weight=np.full(10, np.nan)), ValueError, "sample_weight: expected finite", "nan")
    refused(model(), fit(class_weight=[1, 2]), TypeError, "class_weight: expected a dict", "list")
    refused(model(), fit(class_weight={0: -1.0}), ValueError, "class_weight[0]", "-1.0")
    both = fit(class_weight={0: 1.0}, sample_weight=np.ones(10))
    refused(model(), both, ValueError, "class_weight, sample_weight: give one")


def test_weights_and_gradients_of_another_shape() -> None:
    right = model().get_weights()
    refused(model(), lambda m: m.set_weights(right[:3]), ValueError, "4 weights", "received 3")
    for place in range(4):  # the last one is wrong: the first ones are not assigned either
        wrong = [w + 1 for w in right]
        wrong[place] = wrong[place][..., :0]
        refused(model(), lambda m, w=wrong: m.set_weights(w), ValueError, "expected shape", "0")
        refused(model(), lambda m, w=wrong: m.apply_gradients(w), ValueError, "expected shape")
    refused(model(), lambda m: m.apply_gradients(right[:1]), ValueError, "gradients: expected one for each of 4", "1")
    refused(model(), lambda m: m.layers[0].set_weights([right[0]]), ValueError, "2 weights", "received 1")


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-3, ValueError), (2.5, TypeError), ("4", TypeError)])
def test_units_batch_and_epochs_are_positive_integers(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"units: expected a positive integer, received .*{value}"):
        layers.Dense(value)
    with pytest.raises(error, match=f"shape: expected .*received .*{value}"):
        keras.Input((4, value))
    for argument in ("batch_size", "epochs", "validation_batch_size", "validation_freq"):
        if argument == "epochs" and value == 0:
            continue  # as in Keras: none is run
        refused(model(), lambda m, a=argument: m.fit(X, Y, verbose=0, **{a: value}), error, f"{argument}: ", str(value))
    for method in ("evaluate", "predict"):
        call = lambda m, f=method: getattr(m, f)(*([X, Y] if f == "evaluate" else [X]), batch_size=value)  # noqa: E731
        refused(model(), call, error, "batch_size: expected a positive integer", str(value))


@pytest.mark.parametrize("value", [1.0, -0.1, 1.5, float("nan")])
def test_shares_are_below_one(value: float) -> None:
    fit = lambda m: m.fit(X, Y, verbose=0, validation_split=value)  # noqa: E731
    refused(model(), fit, ValueError, "validation_split: expected", str(value))
    for kind in (layers.AlphaDropout, layers.GaussianDropout, layers.Dropout):
        if kind is not layers.Dropout or value != 1.0:  # which drops all
            with pytest.raises(ValueError, match=r"rate: expected a number in .0, 1., received"):
                kind(value)
    for argument in ("beta_1", "beta_2"):
        with pytest.raises(ValueError, match=f"{argument}: expected a number in .0, 1., received"):
            keras.optimizers.Adam(**{argument: value})
    with pytest.raises(ValueError, match="rho: expected"):
        keras.optimizers.RMSprop(rho=value)


@pytest.mark.parametrize("value", [10**400, 2.0**128])
def test_numbers_beyond_float32(value: float) -> None:
    for argument, make in [
        ("learning_rate", keras.optimizers.Adam),
        ("alpha", layers.ELU),
        ("l2", keras.regularizers.L2),
        ("delta", keras.losses.Huber),
        ("loss_weights", lambda v: model().compile("sgd", "mse", loss_weights=v)),
        (r"class_weight\[0\]", lambda v: model().fit(X, np.zeros(10), class_weight={0: v})),
    ]:
        with pytest.raises(ValueError, match=f"{argument}: expected a finite number.*, received (10000|.*in float32)"):
            make(value)
    with pytest.raises(ValueError, match="axis: expected a whole number"):
        layers.Softmax(axis=float("inf"))


def test_a_split_that_leaves_a_part_empty() -> None:
    one = (X[:1], Y[:1])
    refused(model(), lambda m: m.fit(*one, validation_split=0.5, verbose=0), ValueError, "validation_split", "empty")


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e39])
def test_rates_are_finite_and_not_negative(value: float) -> None:
    for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.RMSprop):
        with pytest.raises(
            ValueError, match=rf"learning_rate: expected a finite number >= 0, received {re.escape(str(value))}"
        ):
            optimizer(value)
        for argument in ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay"):
            with pytest.raises(ValueError, match=f"{argument}: expected"):
                optimizer(**{argument: value})
    network = model()
    optimizer = network.optimizer
    assert optimizer is not None
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.learning_rate = value
    assert optimizer.learning_rate == pytest.approx(0.001)


def test_other_arguments_of_fit() -> None:
    for keywords, error in [
        ({"verbose": 3}, ValueError), ({"shuffle": "batch"}, TypeError), ({"initial_epoch": -1}, ValueError),
        ({"callbacks": [3]}, TypeError), ({"steps_per_epoch": 0}, ValueError),
    ]:  # fmt: skip
        (argument,) = keywords
        refused(model(), lambda m, k=keywords: m.fit(X, Y, **k), error, argument)
    with pytest.raises(ValueError, match="clipnorm, clipvalue, global_clipnorm: give at most one"):
        keras.optimizers.SGD(clipnorm=1.0, clipvalue=1.0)


# --- names, with the near match --------------------------------------------------------------------------------------


def test_unknown_names_suggest_the_near_one() -> None:
    for call, kind, given, near in [
        (lambda: layers.Dense(1, activation="rleu"), "activation", "rleu", "relu"),
        (
            lambda: layers.Dense(1, kernel_initializer="glorot_unifrom"),
            "kernel_initializer",
            "unifrom",
            "glorot_uniform",
        ),
        (lambda: layers.Dense(1, bias_initializer="zeross"), "bias_initializer", "zeross", "zeros"),
        (lambda: layers.Dense(1, kernel_regularizer="l1_l22"), "kernel_regularizer", "l1_l22", "l1_l2"),
        (lambda: layers.Dense(1, kernel_constraint="non_negg"), "kernel_constraint", "non_negg", "non_neg"),
    ]:
        with pytest.raises(ValueError) as caught:
            call()
        for text in (kind, given, f"Did you mean {near!r}?"):
            assert text in str(caught.value)
    for arguments, given, near in [
        (("adm", "mse"), "adm", "adam"),
        (("adam", "mean_square_error"), "mean_square_error", "mean_squared_error"),
        (("adam", "mse", None, ["acuracy"]), "acuracy", "accuracy"),
    ]:
        refused(model(), lambda m, a=arguments: m.compile(*a), ValueError, given, f"Did you mean {near!r}?")
    refused(model(), lambda m: m.compile(3, "mse"), TypeError, "optimizer: expected a name", "3")
    refused(model(), lambda m: m.get_layer("dens"), ValueError, "dens", "Did you mean")


def test_names_that_keras_has_say_what_there_is_instead() -> None:
    for call, text in [
        (lambda: layers.Dense(1, "glu"), "activation: no 'glu' here: activations are relu, elu, gelu"),
        (lambda: model().compile("lamb", "mse"), "optimizer: no 'lamb' here: see lanewise.optimizers for those that"),
        (lambda: model().compile("adam", "tversky"), "loss: no 'tversky' here"),
    ]:
        with pytest.raises(ValueError, match=text):
            call()


@pytest.mark.parametrize(
    ("call", "owner", "given", "near"),
    [
        (lambda: layers.Dense(1, activaton="relu"), "Dense", "activaton", "activation"),  # type: ignore[call-arg]
        (lambda: layers.Dense(1, nmae="a"), "Dense", "nmae", "name"),  # of the base class
        (lambda: layers.Dense(1, output_dim=3), "Dense", "output_dim", "units"),
        (lambda: lw.optimizers.Adam(lr=0.1), "Adam", "lr", "learning_rate"),
        (lambda: lw.optimizers.SGD(momentun=0.1), "SGD", "momentun", "momentum"),
        (lambda: keras.callbacks.EarlyStopping(patince=3), "EarlyStopping", "patince", "patience"),
        (lambda: keras.losses.Huber(dleta=3.0), "Huber", "dleta", "delta"),
        (lambda: model().fit(X, Y, epoch=3), "fit", "epoch", "epochs"),
        (lambda: model().fit(X, Y, batchsize=3), "fit", "batchsize", "batch_size"),
        (lambda: model().compile(metric=["mae"]), "compile", "metric", "metrics"),
        (lambda: model().evaluate(X, Y, verbos=0), "evaluate", "verbos", "verbose"),
        (lambda: model().predict(X, batch=3), "predict", "batch", "batch_size"),
    ],
)  # fmt: skip
def test_misspelt_arguments_suggest_the_near_one(call: Any, owner: str, given: str, near: str) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value).startswith(f"{owner}: unknown argument {given!r}. Did you mean {near!r}? Accepted: ")
    assert "self" not in str(caught.value).split()


def test_a_subclass_may_take_arguments_of_its_own() -> None:
    class Quiet(keras.callbacks.Callback):
        def __init__(self, **kwargs: Any) -> None:
            self.level = kwargs.pop("level")

    assert Quiet(level=3).level == 3


def test_layers_that_do_not_go_together() -> None:
    with pytest.raises(TypeError, match="layer: expected a layer, received 3"):
        Model([3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="layers: expected a list"):
        Model(layers.Dense(1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="called 'a' already"):
        Model([layers.Dense(1, name="a"), layers.Dense(1, name="a")])
    with pytest.raises(ValueError, match="Input, which can only be the first"):
        Model([layers.Dense(1), keras.Input((3,))])
    network = Model([layers.Dense(3, input_shape=(4,))])
    built = layers.Dense(2)
    built.build((None, 5))
    with pytest.raises(ValueError, match="last axis of the input must be 5"):
        network.add(built)
    assert len(network.layers) == 1


# --- use before compile, before build --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch", "value_and_grad"])
def test_use_before_compile(method: str) -> None:
    network = Model([layers.Dense(1)])
    with pytest.raises(ValueError, match=rf"{method}: the model is not compiled; call compile"):
        getattr(network, method)(X, Y)
    assert not network.built
    network.compile("adam")
    with pytest.raises(ValueError, match="loss: the model was compiled without a loss"):
        getattr(network, method)(X, Y)


def test_use_before_build(tmp_path: Any) -> None:
    network = Model([layers.Dense(1)])
    network.compile("adam", "mse")
    calls: list[Callable[[], Any]] = [
        lambda: network.set_weights([]), network.count_params, lambda: network.output_shape,
        lambda: network.input_shape,
        lambda: network.save(tmp_path / "m.lanewise"), lambda: network.save_weights(tmp_path / "m.safetensors"),
        lambda: network.apply_gradients([]), lambda: lw.fingerprint(network), network.build,
        lambda: network.layers[0].kernel, network.layers[0].count_params,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ValueError, match=r"not built|not known yet|give the first layer input_shape="):
            call()
    assert list(tmp_path.iterdir()) == []
    for method in ("predict", "__call__"):
        with pytest.raises(ValueError, match="the model has no layers"):
            getattr(Model(), method)(X)


# --- dtypes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (lambda a: a.astype(object), ["dtype object", "numeric"]),
        (lambda a: a + 1j, ["complex", "imaginary"]),
        (lambda a: a.astype(str), ["dtype <U", "encode text"]),
        (lambda a: a.astype("M8[s]"), ["datetime64", "convert dates"]),
        (lambda a: {"a": a}, ["received dict"]),
        (lambda a: None, ["received None"]),
        (lambda a: "text", ["received str"]),
    ],
)
def test_what_is_no_array_of_real_numbers(change: Callable[[np.ndarray], Any], texts: list[str]) -> None:
    refused(model(), lambda m: m.fit(change(X), Y, verbose=0), TypeError, "x: expected", *texts)
    refused(model(), lambda m: m.predict(change(X)), TypeError, "x: expected", *texts)
    if change(X) is not None:
        refused(model(), lambda m: m.fit(X, change(Y), verbose=0), TypeError, "y: expected", *texts)


def test_ragged_lists() -> None:
    refused(model(), lambda m: m.fit([[1, 2, 3, 4], [1]], [1, 2], verbose=0), ValueError, "x: expected", "ragged")


# --- names that Keras or TensorFlow has ------------------------------------------------------------------------------


def test_names_that_are_not_there_say_what_is() -> None:
    with pytest.raises(AttributeError, match=r"Conv2D.*Dense, Activation"):
        _ = layers.Conv2D
    with pytest.raises(AttributeError, match=r"GradientTape.*value_and_grad"):
        _ = lw.GradientTape
    with pytest.raises(TypeError, match="called on a layer"):
        layers.Dense(1)(layers.InputLayer((4,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not hasattr(layers, "Conv2D")


@pytest.mark.parametrize("name", ["..", ".", "a\0b", "\ud800", "a/b", ""])
def test_names_that_no_file_could_have(name: str) -> None:
    with pytest.raises(ValueError, match="name: "):
        lw.layers.Dense(1, name=name)
    with pytest.raises(ValueError, match="name: "):
        lw.Sequential(name=name)


def test_a_name_with_a_meaning_in_h5_files(tmp_path: Any) -> None:
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(2,), name="top_level_model_weights")])
    with pytest.raises(ValueError, match="'top_level_model_weights'"):
        model.save(tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


def test_a_view_of_memory_is_an_array() -> None:
    x = np.ones((3, 2))
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(2,))])
    np.testing.assert_array_equal(model.predict(memoryview(x), verbose=0), model.predict(x, verbose=0))
