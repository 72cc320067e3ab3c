"""Models and objects as JSON, the user's own classes by name, clones."""

import json

import numpy as np
import pytest

import keras_files as made
import lanewise as lw
from lanewise import _registry, keras

h5py = pytest.importorskip("h5py")


@pytest.fixture(autouse=True)
def _no_custom_objects():
    """Each test begins and ends without custom objects."""
    table, names = keras.saving.get_custom_objects(), _registry._names
    before = dict(table), dict(names)  # of other files of tests
    table.clear()
    yield
    for kept, now in zip(before, (table, names), strict=True):
        now.clear()
        now.update(kept)


def network():
    return lw.Sequential(
        [
            lw.Input((3,)),
            lw.layers.Dense(4, "relu", kernel_regularizer=lw.regularizers.L1L2(0.1, 0.2), name="a"),
            lw.layers.Dense(2, kernel_initializer=lw.initializers.HeNormal(3), bias_constraint="non_neg", name="b"),
        ],
        name="net",
    )


# --- JSON -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "3", '{"class_name": "Sequential"}', '{"class_name": "Sequential", "config": {}}',
     '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {}}]}}',
     '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}], "build_input_shape": [null, 3]}}',
     '{"class_name": "Functional", "config": {"layers": [], "input_layers": [], "output_layers": []}}',
     '{"class_name": "Functional", "config": {"layers": [{"class_name": "InputLayer", "name": "a"}]}}',
     '{"class_name": "Dense", "config": null}', '{"class_name": "Sequential", "config": "x"}'],
)  # fmt: skip
def test_malformed_descriptions_are_one_clear_error(text):
    with pytest.raises(ValueError) as caught:
        lw.saving.model_from_json(text)
    assert len(str(caught.value)) > 20 and not isinstance(caught.value, KeyError)


@pytest.mark.parametrize("cls", [lw.Sequential, lw.Model, lw.models.Functional])
@pytest.mark.parametrize(
    "config", [{}, {"layers": None}, {"layers": [3]}, {"layers": [{"class_name": "Dense"}]}, None, 3]
)
def test_malformed_configs_are_one_clear_error(cls, config):
    with pytest.raises(ValueError) as caught:
        cls.from_config(config)
    assert len(str(caught.value)) > 20


def test_json_goes_round():
    model = network()
    text = model.to_json(indent=1)
    assert json.loads(text)["config"]["layers"][1]["module"] == "keras.layers"
    twin = keras.models.model_from_json(text)
    assert twin.get_config() == model.get_config()
    assert twin.name == "net" and twin.layers[0].kernel_regularizer.l2 == 0.2
    assert lw.fingerprint(twin) != lw.fingerprint(model)  # new weights
    assert keras.models.model_from_json(twin.to_json()).to_json() == twin.to_json()


def test_json_of_keras_2_and_3():
    for config in (made.config2(), made.config3()):
        model = keras.models.model_from_json(json.dumps(config))
        assert [layer.name for layer in model.layers] == ["hidden", "dropout", "out"]
        assert model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert model.compiled  # Keras 3 writes what it was compiled with


def test_layers_take_descriptions_of_keras():
    layer = keras.layers.deserialize(made.config3()["config"]["layers"][1])
    assert layer.units == 4 and layer.kernel_regularizer.l2 == 0.01
    assert keras.layers.Dense.from_config(made.config3()["config"]["layers"][3]["config"]).name == "out"
    model = keras.Sequential.from_config(made.config3()["config"])
    assert model.built and model.name == "net"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"class_name": 3, "config": {}}', "[" * 100_000])
def test_bad_json(text):
    with pytest.raises(ValueError, match=r"json_string: expected JSON|config: expected"):
        keras.models.model_from_json(text)


def test_json_with_code_is_refused():
    config = made.config3()
    config["config"]["layers"][2] = {"class_name": "Lambda", "config": {"function": ["4wEAAAAB", None, None]}}
    with pytest.raises(ValueError, match="Python code"):
        keras.models.model_from_json(json.dumps(config))


# --- objects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "obj",
    [
        lw.optimizers.Adam(0.01, beta_1=0.8),
        lw.losses.Huber(0.7),
        lw.metrics.BinaryAccuracy(threshold=0.3),
        lw.metrics.BinaryCrossentropy(from_logits=True),
        lw.initializers.RandomNormal(stddev=0.1, seed=4),
        lw.regularizers.L2(0.3),
        lw.constraints.MaxNorm(1.5),
        lw.layers.Dense(3, "tanh", name="d"),
    ],
)
def test_objects_go_round(obj):
    described = keras.saving.serialize_keras_object(obj)
    assert set(described) == {"module", "class_name", "config", "registered_name"}
    twin = keras.saving.deserialize_keras_object(json.loads(json.dumps(described)))
    assert type(twin) is type(obj) and twin.get_config() == obj.get_config()


def test_plain_values_lists_and_functions():
    value = {"a": [1, "x", None, 2.5], "b": keras.regularizers.L1(0.5)}
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(value))
    assert twin["a"] == value["a"] and twin["b"].l1 == 0.5
    assert keras.saving.serialize_keras_object(np.arange(3)) == [0, 1, 2]
    with pytest.raises(TypeError, match="expected an object of lanewise"):
        keras.saving.serialize_keras_object(object())
    with pytest.raises(ValueError, match=r"unknown name|has no"):
        keras.saving.deserialize_keras_object({"module": "os", "class_name": "system", "config": {}})


# --- the user's own classes -------------------------------------------------------------------------------------


class Narrow(lw.layers.Dense):
    """A Dense whose weights begin small."""

    def __init__(self, units, spread=0.5, **kwargs):
        self.spread = spread
        kwargs["kernel_initializer"] = lw.initializers.RandomUniform(-spread, spread)
        super().__init__(units, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["kernel_initializer"]
        return {**config, "spread": self.spread}


@pytest.mark.parametrize("name", ["m.lanewise", "m.keras", "m.h5"])
def test_registered_class(tmp_path, name):
    keras.saving.register_keras_serializable("shop")(Narrow)
    assert keras.saving.get_registered_name(Narrow) == "shop>Narrow"
    assert keras.saving.get_registered_object("shop>Narrow") is Narrow
    model = lw.Sequential([Narrow(3, 0.25, input_shape=(2,)), lw.layers.Dense(1)])
    model.save(tmp_path / name)
    loaded = lw.load_model(tmp_path / name)
    assert type(loaded.layers[0]) is Narrow and loaded.layers[0].spread == 0.25
    assert lw.fingerprint(loaded) == lw.fingerprint(model)
    described = json.loads(model.to_json())["config"]["layers"][1]
    assert (described["module"], described["class_name"]) == (Narrow.__module__, "Narrow")
    assert described["registered_name"] == "shop>Narrow"
    keras.saving.get_custom_objects().clear()
    with pytest.raises(ValueError, match="unknown name"):
        lw.load_model(tmp_path / name)


def test_custom_objects(tmp_path):
    config = made.config3()
    config["config"]["layers"][1].update(class_name="Narrow", module="shop.layers", registered_name="Narrow")
    config["config"]["layers"][1]["config"].pop("kernel_initializer")
    path = made.keras_file(tmp_path / "m.keras", config)
    with pytest.raises(ValueError, match="unknown name 'Narrow'"):
        lw.load_model(path)
    loaded = lw.load_model(path, custom_objects={"Narrow": Narrow})
    assert type(loaded.layers[0]) is Narrow
    np.testing.assert_allclose(loaded.predict(made.X, verbose=0), made.GOLDEN, rtol=1e-6)
    with keras.saving.custom_object_scope({"Narrow": Narrow}):
        assert type(lw.load_model(path).layers[0]) is Narrow
        assert type(keras.models.model_from_json(json.dumps(config)).layers[0]) is Narrow
    with pytest.raises(ValueError, match="unknown name 'Narrow'"):
        lw.load_model(path)
    with pytest.raises(TypeError, match="custom_objects: expected a dict"):
        lw.load_model(path, custom_objects=[Narrow])


def cubic(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_pred - y_true) ** 3, axis=-1)


class Scaled(lw.losses.Loss):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        return keras.ops.mean((y_pred - y_true) ** 2, axis=-1) * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@pytest.mark.parametrize("name", ["m.lanewise", "m.keras", "m.h5"])
@pytest.mark.parametrize("loss", [cubic, Scaled(3.0)], ids=["function", "class"])
def test_losses_and_metrics_of_ones_own(tmp_path, name, loss):
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", loss, metrics=[cubic])
    x, y = made.X, np.array([1.0, 2.0, 3.0])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / name)
    with pytest.raises(ValueError, match="unknown name"):
        lw.load_model(tmp_path / name)
    assert not lw.load_model(tmp_path / name, compile=False).compiled
    loaded = lw.load_model(tmp_path / name, custom_objects={"cubic": cubic, "Scaled": Scaled})
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert loaded.fit(x, y, epochs=2, verbose=0, shuffle=False).history.keys() == {"loss", "cubic"}
    keras.saving.register_keras_serializable("shop")(cubic)
    keras.saving.register_keras_serializable("shop")(Scaled)
    model.save(tmp_path / name)
    assert lw.load_model(tmp_path / name).evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


class Linear(keras.layers.Layer):
    """A layer with operations of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="w")

    def call(self, x):
        return keras.ops.matmul(x, self.w)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def wave(x):
    return keras.ops.sin(x)


@pytest.mark.parametrize("name", ["m.lanewise", "m.keras", "m.h5"])
def test_layers_and_activations_of_ones_own(tmp_path, name):
    keras.saving.register_keras_serializable("shop")(Linear)
    keras.saving.register_keras_serializable("shop")(wave)
    model = keras.Sequential([keras.Input((3,)), Linear(4), keras.layers.Dense(2, activation=wave)])
    model.compile("adam", "mse")
    model.fit(made.X, made.GOLDEN, verbose=0)
    model.save(tmp_path / name)
    loaded = lw.load_model(tmp_path / name)
    assert type(loaded.layers[0]) is Linear and loaded.optimizer.iterations == 1
    assert (loaded.predict(made.X, verbose=0) == model.predict(made.X, verbose=0)).all()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert (clone.predict(made.X, verbose=0) == model.predict(made.X, verbose=0)).all()
    keras.saving.get_custom_objects().clear()
    with pytest.raises(ValueError, match=r"unknown name '(shop>)?Linear'"):
        lw.load_model(tmp_path / name)


def test_a_lambda_has_no_name(tmp_path):
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", lambda y_true, y_pred: keras.ops.mean((y_pred - y_true) ** 2, axis=-1))
    with pytest.raises(ValueError, match="a lambda has no name"):
        model.save(tmp_path / "m.keras")
    assert not (tmp_path / "m.keras").exists()
    model.save(tmp_path / "m.keras", include_optimizer=False)


def test_what_is_registered_must_be_of_the_right_kind(tmp_path):
    path = made.keras_file(tmp_path / "m.keras")
    for wrong in (dict, lw.losses.Huber, object):
        with pytest.raises(ValueError, match="no intact keras file"):
            lw.load_model(path, custom_objects={"Dense": wrong})
    with pytest.raises(ValueError, match="no get_config"):
        keras.saving.register_keras_serializable()(object)


# --- clones -----------------------------------------------------------------------------------------------------


def test_clones():
    model = network()
    model.compile("adam", "mse")
    clone = keras.models.clone_model(model)
    assert clone.get_config() == model.get_config() and not clone.compiled
    assert lw.fingerprint(clone) != lw.fingerprint(model)
    clone.set_weights(model.get_weights())
    assert lw.fingerprint(clone) == lw.fingerprint(model)

    def wider(layer):
        return type(layer).from_config({**layer.get_config(), "units": layer.units + 1})

    wide = keras.models.clone_model(model, clone_function=wider)
    assert [layer.units for layer in wide.layers] == [5, 3] and wide.built
    with pytest.raises(TypeError, match="model: expected a model"):
        keras.models.clone_model(3)
