"""Files and models in memory, from Keras to lanewise and back: the same predictions, and training that goes on."""

import os

import numpy as np
import pytest

import lanewise as lw

keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own

rng = np.random.default_rng(7)
X = rng.normal(size=(96, 6)).astype(np.float32)
Y = np.tanh(X.sum(1, keepdims=True)).astype(np.float32)

OPTIMIZERS = {
    "adam": ("Adam", {"learning_rate": 0.01}),
    "sgd": ("SGD", {"learning_rate": 0.05}),
    "momentum": ("SGD", {"learning_rate": 0.02, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01}),
    "centred": ("RMSprop", {"learning_rate": 0.005, "momentum": 0.5, "centered": True}),
}


def built(library, optimizer="adam"):
    """The same network in either library: layers, regularizers, constraints, activations."""
    layers = library.layers
    model = library.keras.Sequential if hasattr(library, "keras") else library.Sequential
    model = model(
        [
            library.Input((6,)),
            layers.Dense(8, activation="relu", kernel_regularizer=library.regularizers.L2(1e-3), name="one"),
            layers.Dropout(0.0, name="drop"),
            layers.Dense(7, activation="sigmoid", kernel_constraint=library.constraints.MaxNorm(2.0), name="two"),
            layers.Activation("tanh", name="act"),
            layers.Dense(5, activation="softmax", use_bias=False, name="three"),
            layers.Dense(1, name="four"),
        ],
        name="net",
    )
    name, arguments = OPTIMIZERS[optimizer]
    model.compile(getattr(library.optimizers, name)(**arguments), loss="mse", metrics=["mae"])
    return model


def trained(library, optimizer="adam", epochs=2):
    model = built(library, optimizer)
    fit(model, epochs)
    return model


def fit(model, epochs=3):
    return model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0).history


def predict_alike(a, b):
    np.testing.assert_allclose(a.predict(X, verbose=0), b.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def go_on_alike(a, b):
    """Three more epochs in each: losses and metrics within 1e-5."""
    first, second = fit(a), fit(b)
    for key in ("loss", "mae"):
        np.testing.assert_allclose(first[key], second[key], rtol=1e-5)
    assert int(a.optimizer.iterations) == int(b.optimizer.iterations)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_model_saved_by_keras(tmp_path, optimizer):
    theirs = trained(keras, optimizer)
    theirs.save(tmp_path / "m.keras")
    ours = lw.load_model(tmp_path / "m.keras")
    predict_alike(ours, theirs)
    go_on_alike(ours, theirs)


@pytest.mark.parametrize("optimizer", ["adam", "nesterov", "centred"])
def test_model_saved_here(tmp_path, optimizer):
    ours = trained(lw, optimizer)
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    predict_alike(ours, theirs)
    go_on_alike(ours, theirs)


@pytest.mark.parametrize("optimizer", ["momentum", "centred"])
def test_legacy_model_saved_by_keras(tmp_path, optimizer):
    theirs = trained(keras, optimizer)
    theirs.save(tmp_path / "m.h5")
    ours = lw.load_model(tmp_path / "m.h5")
    predict_alike(ours, theirs)
    go_on_alike(ours, theirs)


def test_legacy_model_saved_here(tmp_path):
    """Keras 3 builds the optimizer of an .h5 file for no weights: the state is compared as it lies in the file."""
    ours = trained(lw)
    ours.save(tmp_path / "m.h5")
    theirs = keras.models.load_model(tmp_path / "m.h5")
    predict_alike(ours, theirs)
    assert isinstance(theirs.optimizer, keras.optimizers.Adam)
    assert isinstance(theirs.loss, keras.losses.MeanSquaredError)
    again = lw.load_model(tmp_path / "m.h5")
    go_on_alike(again, ours)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights(tmp_path, suffix):
    theirs, ours = trained(keras), trained(lw)
    if suffix == ".weights.h5":
        theirs.save_weights(tmp_path / f"w{suffix}")
        fresh = built(lw)
        fresh.load_weights(tmp_path / f"w{suffix}")
        predict_alike(fresh, theirs)
        go_on_alike(fresh, theirs)
    ours.save_weights(tmp_path / f"o{suffix}")
    fresh = built(keras)
    if suffix == ".weights.h5":
        fresh.optimizer.build(fresh.trainable_variables)
    fresh.load_weights(tmp_path / f"o{suffix}")
    predict_alike(fresh, ours)
    if suffix == ".weights.h5":
        go_on_alike(fresh, ours)


def test_keras_finds_every_variable_it_looks_for(tmp_path):
    """Loading gives no warning about skipped variables, before training too."""
    import warnings

    for ours in (built(lw), trained(lw)):
        ours.save(tmp_path / "m.keras")
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            theirs = keras.models.load_model(tmp_path / "m.keras")
        assert len(theirs.optimizer.variables) == 2 + 2 * len(theirs.trainable_variables)
        go_on_alike(ours, theirs)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_models_in_memory(optimizer):
    theirs = trained(keras, optimizer)
    ours = lw.from_keras(theirs)
    predict_alike(ours, theirs)
    back = lw.to_keras(ours)
    predict_alike(back, theirs)
    go_on_alike(ours, back)
    go_on_alike(ours, lw.from_keras(back))


def test_models_that_are_not_compiled():
    theirs = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="tanh")])
    ours = lw.from_keras(theirs)
    predict_alike(ours, theirs)
    assert not ours.compiled
    assert not lw.to_keras(ours).compiled


def test_json():
    for text in (built(keras).to_json(), built(lw).to_json()):
        ours, theirs = lw.saving.model_from_json(text), keras.models.model_from_json(text)
        assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
        theirs.set_weights(ours.get_weights())
        predict_alike(ours, theirs)


def test_normalization(tmp_path):
    def model(library):
        normalization = library.layers.Normalization()
        normalization.adapt(X * 3 + 1)
        return library.Sequential([library.Input((6,)), normalization, library.layers.Dense(2)])

    model(keras).save(tmp_path / "k.keras")
    predict_alike(lw.load_model(tmp_path / "k.keras"), keras.models.load_model(tmp_path / "k.keras"))
    for suffix in ("keras", "h5"):
        ours = model(lw)
        ours.save(tmp_path / f"o.{suffix}")
        predict_alike(ours, keras.models.load_model(tmp_path / f"o.{suffix}"))


def test_backend_is_one_that_runs_here():
    assert os.environ["KERAS_BACKEND"] == keras.backend.backend()
