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
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.01}),
    "amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    "nadam": ("Nadam", {"learning_rate": 0.01}),
    "adamax": ("Adamax", {"learning_rate": 0.01}),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "adadelta": ("Adadelta", {"learning_rate": 0.5}),
    "ftrl": ("Ftrl", {"learning_rate": 0.05, "l1_regularization_strength": 0.001}),
    "lion": ("Lion", {"learning_rate": 0.001}),
    "averaged": ("Adam", {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5}),
    "accumulated": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "gradient_accumulation_steps": 2}),
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
    history = model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0).history
    # Averaged weights and their averages are one buffer in Keras on JAX now: the next `predict` would give it away.
    model.set_weights(model.get_weights())
    return history


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


def test_schedules(tmp_path):
    """The learning rate goes on from the step at which it was saved; Keras has no variable for it then."""
    models = {}
    for library in (keras, lw):
        model = models[library] = built(library)
        rate = library.optimizers.schedules.ExponentialDecay(0.05, 10, 0.5, staircase=True)
        model.compile(library.optimizers.SGD(rate, momentum=0.9), loss="mse", metrics=["mae"])
        fit(model, 2)
    for suffix in ("keras", "h5"):
        models[keras].save(tmp_path / f"k.{suffix}")
        ours = lw.load_model(tmp_path / f"k.{suffix}")
        assert ours.optimizer.get_config()["learning_rate"]["class_name"] == "ExponentialDecay"
    go_on_alike(ours, models[keras])
    models[lw].save(tmp_path / "o.keras")
    go_on_alike(models[lw], keras.models.load_model(tmp_path / "o.keras"))


@pytest.mark.parametrize("optimizer", ["adam", "nesterov", "centred", "nadam", "averaged", "accumulated"])
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


# --- functional models ------------------------------------------------------------------------------------------

X2 = rng.normal(size=(96, 3)).astype(np.float32)
Y2 = np.eye(2, dtype=np.float32)[(X2.sum(1) > 0).astype(int)]


def graph(library):
    """Two inputs and outputs, a layer called twice, a Sequential and a functional model inside, a residual."""
    layers, models = library.layers, getattr(library, "keras", library)
    a, b = library.Input((6,), name="a"), library.Input((3,), name="b")
    shared = layers.Dense(5, activation="relu", name="shared")
    h = layers.Add(name="add")([shared(a), shared(layers.Dense(6, name="head")(b))])
    within = [library.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(5)]
    h = models.Sequential(within, name="inner")(h)
    q = library.Input((5,))
    h = models.Model(q, layers.Dense(5, name="q")(q), name="deep")(h)
    h = layers.Concatenate(name="cat")([h, a])
    outputs = [layers.Dense(1, name="o1")(h), layers.Dense(2, activation="softmax", name="o2")(h)]
    model = models.Model([a, b], outputs, name="net")
    model.compile(
        library.optimizers.RMSprop(0.005), loss=["mse", "categorical_crossentropy"], loss_weights=[1.0, 0.5],
        metrics=[["mae"], ["accuracy"]],
    )  # fmt: skip
    return model


def fit_graph(model, epochs=2):
    return model.fit([X, X2], [Y, Y2], batch_size=16, epochs=epochs, shuffle=False, verbose=0).history


def graphs_alike(a, b):
    for one, other in zip(a.predict([X, X2], verbose=0), b.predict([X, X2], verbose=0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def graphs_go_on_alike(a, b):
    first, second = fit_graph(a), fit_graph(b)
    assert set(first) == set(second)
    for key in first:
        np.testing.assert_allclose(first[key], second[key], rtol=1e-5)


def test_functional_model_saved_by_keras(tmp_path):
    theirs = graph(keras)
    fit_graph(theirs)
    for suffix in ("keras", "h5"):
        theirs.save(tmp_path / f"m.{suffix}")
        ours = lw.load_model(tmp_path / f"m.{suffix}")
        graphs_alike(ours, theirs)
        assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    theirs.save_weights(tmp_path / "w.weights.h5")
    fresh = graph(lw)
    fresh.load_weights(tmp_path / "w.weights.h5")
    graphs_alike(fresh, theirs)
    memory = lw.from_keras(theirs)
    graphs_alike(lw.to_keras(memory), theirs)
    again = lw.load_model(tmp_path / "m.h5")
    graphs_go_on_alike(ours, theirs)
    assert fit_graph(again) == fit_graph(memory)


def test_functional_model_saved_here(tmp_path):
    ours = graph(lw)
    fit_graph(ours)
    for suffix in ("h5", "keras"):
        ours.save(tmp_path / f"m.{suffix}")
        theirs = keras.models.load_model(tmp_path / f"m.{suffix}")
        graphs_alike(ours, theirs)
    graphs_go_on_alike(ours, theirs)
    ours.save_weights(tmp_path / "w.weights.h5")
    fresh = graph(keras)
    fresh.load_weights(tmp_path / "w.weights.h5")
    graphs_alike(fresh, ours)


# --- layers with weights or numbers of their own ------------------------------------------------------------------

CHAINS = {
    "batch normalisation": lambda lib: [lib.layers.Dense(8), lib.layers.BatchNormalization(), lib.layers.Dense(1)],
    "without centre": lambda lib: [lib.layers.BatchNormalization(center=False, momentum=0.9), lib.layers.Dense(1)],
    "layer normalisation": lambda lib: [lib.layers.Dense(8), lib.layers.LayerNormalization(), lib.layers.Dense(1)],
    "parametric": lambda lib: [lib.layers.Dense(8), lib.layers.PReLU(), lib.layers.Dense(1)],
    "leaky": lambda lib: [lib.layers.Dense(8), lib.layers.LeakyReLU(negative_slope=0.1), lib.layers.ELU(),
                          lib.layers.Dense(1)],
    "activations": lambda lib: [lib.layers.Dense(8, "gelu"), lib.layers.Dense(8, "selu"), lib.layers.Dense(8, "swish"),
                                lib.layers.Dense(8, "mish"), lib.layers.ReLU(6.0), lib.layers.Dense(1, "softplus")],
    "frozen": lambda lib: [lib.layers.Dense(8, trainable=False), lib.layers.BatchNormalization(), lib.layers.Dense(1)],
    "reshaped": lambda lib: [lib.layers.Rescaling(0.5, 1.0), lib.layers.Reshape((3, 2)), lib.layers.Flatten(),
                             lib.layers.Dense(1)],
}  # fmt: skip


def chain(library, name):
    model = getattr(library, "keras", library).Sequential([library.Input((6,)), *CHAINS[name](library)], name="net")
    model.compile(library.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    fit(model, 2)
    return model


@pytest.mark.parametrize("name", CHAINS)
def test_layers(tmp_path, name):
    theirs, ours = chain(keras, name), chain(lw, name)
    for suffix in ("keras", "h5"):  # Keras drops the optimizer from its description when it writes an .h5 file
        theirs.save(tmp_path / f"k.{suffix}")
        predict_alike(lw.load_model(tmp_path / f"k.{suffix}"), theirs)
        ours.save(tmp_path / f"o.{suffix}")
        predict_alike(keras.models.load_model(tmp_path / f"o.{suffix}"), ours)
        assert lw.fingerprint(lw.load_model(tmp_path / f"o.{suffix}")) == lw.fingerprint(ours)
    predict_alike(lw.from_keras(theirs), theirs)
    predict_alike(lw.to_keras(ours), ours)
    go_on_alike(lw.load_model(tmp_path / "k.keras"), theirs)
    go_on_alike(ours, keras.models.load_model(tmp_path / "o.keras"))


def test_embeddings(tmp_path):
    ids = rng.integers(0, 9, (40, 5))

    def model(library):
        layers = [library.Input((5,), dtype="int32"), library.layers.Embedding(9, 4), library.layers.Flatten()]
        made = getattr(library, "keras", library).Sequential([*layers, library.layers.Dense(1)])
        made.compile(library.optimizers.Adam(0.01), loss="mse")
        made.fit(ids, ids.sum(1, keepdims=True), verbose=0)
        return made

    for suffix in ("h5", "keras"):
        theirs, ours = model(keras), model(lw)
        theirs.save(tmp_path / f"k.{suffix}")
        ours.save(tmp_path / f"o.{suffix}")
        pairs = [
            (lw.load_model(tmp_path / f"k.{suffix}"), theirs),
            (keras.models.load_model(tmp_path / f"o.{suffix}"), ours),
        ]
        for a, b in pairs:
            np.testing.assert_allclose(a.predict(ids, verbose=0), b.predict(ids, verbose=0), rtol=1e-5, atol=1e-6)


# --- every class ------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "Dense": (3,), "Activation": ("tanh",), "Dropout": (0.2,), "GaussianNoise": (0.1,), "GaussianDropout": (0.1,),
    "AlphaDropout": (0.1,), "Embedding": (7, 3), "Reshape": ((2, 3),), "Rescaling": (0.5,), "RepeatVector": (3,),
    "Permute": ((1,),), "InputLayer": ((3,),), "CategoryEncoding": (5,), "SpatialDropout1D": (0.1,), "Dot": (1,),
    "IoU": (3, [0, 1]), "MeanIoU": (3,), "OneHotIoU": (3, [1]), "OneHotMeanIoU": (3,), "PrecisionAtRecall": (0.5,),
    "RecallAtPrecision": (0.5,), "SensitivityAtSpecificity": (0.5,), "SpecificityAtSensitivity": (0.5,),
    "Discretization": ([0.0, 1.5],),
}  # fmt: skip
MODULES = {
    "layers": lw.layers, "losses": lw.losses, "metrics": lw.metrics, "optimizers": lw.optimizers,
    "initializers": lw.initializers, "regularizers": lw.regularizers, "constraints": lw.constraints,
}  # fmt: skip
CLASSES = sorted(
    {
        (kind, cls.__name__)
        for kind, module in MODULES.items()
        for cls in module._TABLE.values()
        if isinstance(cls, type) and hasattr(getattr(keras, kind), cls.__name__)
    }
)


def plain(value):
    """A description as JSON gives it, without what a number's own rounding to float32 changes."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return pytest.approx(value, rel=1e-6) if isinstance(value, float) else value


@pytest.mark.parametrize(("kind", "name"), CLASSES)
def test_every_class_goes_to_keras_and_back(kind, name):
    """What lanewise describes, Keras makes, with the same arguments; what Keras describes, lanewise makes."""
    ours = getattr(MODULES[kind], name)(*ARGUMENTS.get(name, ()))
    theirs = keras.saving.deserialize_keras_object(lw.saving.serialize_keras_object(ours))
    assert type(theirs).__name__ == name and type(theirs).__module__.startswith("keras.")
    own, other = ours.get_config(), theirs.get_config()
    for key in set(own) & set(other) - {"dtype"}:
        if not isinstance(own[key], dict) and not isinstance(other[key], dict):
            value = list(other[key]) if isinstance(other[key], tuple) else other[key]
            assert plain(own[key]) == value or [own[key]] == value, key  # Keras has axes of normalization as (-1,)
    again = lw.saving.deserialize_keras_object(keras.saving.serialize_keras_object(theirs))
    assert type(again) is type(ours)
    assert plain(again.get_config()) == ours.get_config()
