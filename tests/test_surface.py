"""Small things a person sees: what is printed, which file names are taken, what a file keeps exactly."""

import copy
import json
import zipfile

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras

X = np.random.RandomState(0).rand(70, 3).astype("f")
Y = np.random.RandomState(1).rand(70, 2).astype("f")


def network(rate=0.001):
    model = lw.Sequential([lw.layers.Dense(2, input_shape=(3,))], name="net")
    model.compile(lw.optimizers.Adam(rate), "mse")
    return model


def totals(model):
    lines = []
    model.summary(print_fn=lines.append)
    return [line.strip() for line in lines if "params:" in line]


def test_totals_of_a_summary_are_keras_s():
    """Keras 3.15: 8 parameters; after a fit Adam's 16 moments, iterations and learning rate count too."""
    model = network()
    assert totals(model) == [
        "Total params: 8 (32.00 B)", "Trainable params: 8 (32.00 B)", "Non-trainable params: 0 (0.00 B)"
    ]  # fmt: skip
    model.fit(X, Y, verbose=0)
    assert totals(model) == [
        "Total params: 26 (104.00 B)", "Trainable params: 8 (32.00 B)", "Non-trainable params: 0 (0.00 B)",
        "Optimizer params: 18 (72.00 B)",
    ]  # fmt: skip
    assert model.optimizer_parameters() == sum(v.size for v in model.optimizer.variables)


def test_a_checkpoint_says_what_keras_says(tmp_path, capsys):
    path = str(tmp_path / "m.lanewise")
    checkpoint = keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True, verbose=1)
    losses = network(0.01).fit(X, Y, epochs=2, verbose=0, callbacks=[checkpoint]).history["loss"]
    first, second = (f"{loss:.5f}" for loss in losses)
    assert capsys.readouterr().out == (
        f"\nEpoch 1: loss improved from None to {first}, saving model to {path}\n"
        f"\nEpoch 1: finished saving model to {path}\n"
        f"\nEpoch 2: loss improved from {first} to {second}, saving model to {path}\n"
        f"\nEpoch 2: finished saving model to {path}\n"
    )
    network(100.0).fit(X, Y, epochs=1, verbose=0, callbacks=[checkpoint])
    checkpoint.best = 0.0
    network().fit(X, Y, epochs=1, verbose=0, callbacks=[checkpoint])
    assert capsys.readouterr().out.endswith("\nEpoch 1: loss did not improve from 0.00000\n")


@pytest.mark.parametrize("name", ["folder", "model.h6", "model.lw", "model.keras.zip"])
def test_a_model_goes_into_no_file_of_another_name(tmp_path, name):
    with pytest.raises(ValueError, match=r"expected a file called \*.keras, \*.h5 or \*.lanewise, received"):
        network().save(tmp_path / name)
    with pytest.raises(ValueError, match=r"expected a file called \*.weights.h5, \*.h5, \*.lanewise or \*.safetensors"):
        network().save_weights(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_to_be_read_may_be_called_as_it_likes(tmp_path):
    model = network()
    model.save(tmp_path / "m.lanewise")
    (tmp_path / "m.lanewise").rename(tmp_path / "other.name")
    again = lw.load_model(tmp_path / "other.name")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("rate", [0.001, 1e-4, 0.1])
@pytest.mark.parametrize("suffix", ["keras", "lanewise"])
def test_a_learning_rate_comes_back_as_it_was(tmp_path, rate, suffix):
    """Keras itself writes 0.0010000000474974513: its variable is float32. Here the number stays."""
    pytest.importorskip("h5py")
    model = network(rate)
    model.fit(X, Y, verbose=0)
    path = tmp_path / f"m.{suffix}"
    model.save(path)
    if suffix == "keras":
        config = json.loads(zipfile.ZipFile(path).read("config.json"))
        assert config["compile_config"]["optimizer"]["config"]["learning_rate"] == rate
    assert lw.load_model(path).optimizer.learning_rate == rate


def test_a_history_without_epochs_says_so():
    with pytest.raises(ValueError, match=r"history.plot: nothing was recorded; fit has not run an epoch"):
        keras.callbacks.History().plot()


def own_loss(y_true, y_pred):
    return (y_true - y_pred) ** 2


HUBER, MSE = keras.losses.Huber(0.5), keras.losses.MeanSquaredError()


@pytest.mark.parametrize(("loss", "found", "in_h5"), [
    ("mse", "mse", MSE), ("logcosh", "log_cosh", keras.losses.LogCosh()), (HUBER, HUBER, HUBER),
    (["MSE", HUBER], ["MSE", HUBER], [MSE, HUBER]),
    ({"b": "mse", "a": HUBER}, {"b": "mse", "a": HUBER}, {"b": MSE, "a": HUBER}),
])  # fmt: skip
@pytest.mark.parametrize("suffix", ["keras", "h5", "lanewise"])
def test_the_loss_of_a_loaded_model_is_what_was_given(tmp_path, loss, found, in_h5, suffix):
    """As in Keras 3.15; names that it does not know are written as those that it does, in .h5 files as objects."""
    pytest.importorskip("h5py")
    inputs = lw.Input((3,))
    outputs = [lw.layers.Dense(1, name=name)(inputs) for name in "ab"]
    model = lw.Model(inputs, outputs if isinstance(loss, list | dict) else outputs[0])
    model.compile("adam", loss)
    model.save(tmp_path / f"m.{suffix}")
    assert model.loss is loss or repr(model.loss) == repr(loss)
    assert repr(lw.load_model(tmp_path / f"m.{suffix}").loss) == repr(in_h5 if suffix == "h5" else found)
    assert repr(copy.deepcopy(model).loss) == repr(found)


def test_the_loss_of_a_copy_is_the_function_that_was_given():
    model = lw.Sequential([lw.layers.Dense(2, input_shape=(3,))])
    model.compile("adam", own_loss)
    assert copy.deepcopy(model).loss is own_loss
