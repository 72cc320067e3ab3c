"""What files seldom hold and objects seldom ask of them: the last corners of what is in `lanewise.saving`."""

import io
import json
import zipfile

import numpy as np
import pytest

import keras_files as made
import lanewise as lw
from fuzz import targets
from lanewise import _registry, keras
from lanewise.saving import archive, hdf5, keras_read
from lanewise.tabular import TabularRegressor
from saving_files import refused, rewritten, saved

h5py = pytest.importorskip("h5py")
X = np.random.default_rng(3).normal(size=(64, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True) > 0


def network(*layers):
    lw.random.set_seed(2)
    return lw.Sequential([lw.Input((3,)), *(layers or (lw.layers.Dense(4, "relu"), lw.layers.Dense(1)))])


def resumed(model, path):
    """A model saved in the middle of training goes on as if it had not been."""
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(path)
    loaded = lw.load_model(path)
    for one in (model, loaded):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    assert lw.fingerprint(loaded) == lw.fingerprint(model)


# --- containers -------------------------------------------------------------------------------------------------


def test_an_empty_zip(tmp_path):
    path = tmp_path / "m.lanewise"
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    refused(path, "it has no entry 'lanewise.json'")


def test_a_table_is_not_looked_for_in_hdf5(tmp_path):
    path = made.h5_file(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"this is an HDF5 file; give it the suffix '.h5'"):
        TabularRegressor.load(path)


def test_a_state_of_no_arrays(tmp_path):
    """A file whose optimizer has none starts anew."""

    def change(manifest):
        for i in range(len(manifest["optimizer"])):
            del manifest["arrays"][f"optimizer/{i}.npy"]
        manifest["optimizer"] = []

    path = saved(tmp_path)
    with zipfile.ZipFile(path) as file:
        gone = dict.fromkeys(name for name in file.namelist() if name.startswith("optimizer/"))
    model = lw.load_model(rewritten(path, change, gone))
    assert gone and model.compiled and model.optimizer.iterations == 0


def test_texts_are_no_numbers():
    with h5py.File("x", "w", driver="core", backing_store=False) as root:
        root["x"] = np.array([b"abc"])
        root.flush()
        file = hdf5.File(root.id.get_file_image())
    with pytest.raises(archive.FormatError, match="holds no plain numbers"):
        file.node(file.root.links["x"]).array().read()


def test_memory_that_runs_out_is_a_memory_error(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    safetensors = pytest.importorskip("safetensors.numpy")
    model = network()
    model.save_weights(tmp_path / "w.safetensors")
    model.save(tmp_path / "m.lanewise")
    before = lw.fingerprint(model)
    monkeypatch.setattr(safetensors, "load", full)
    with pytest.raises(MemoryError):
        model.load_weights(tmp_path / "w.safetensors")
    monkeypatch.setattr(archive.Archive, "read", full)
    with pytest.raises(MemoryError, match=r"m.lanewise' holds more than there is memory for"):
        lw.load_model(tmp_path / "m.lanewise")
    assert lw.fingerprint(model) == before


def test_a_table_with_an_argument_that_no_file_holds(tmp_path):
    (tmp_path / "t.lanewise").write_bytes(targets.seeds("tabular")["TabularRegressor"])
    table = TabularRegressor.load(tmp_path / "t.lanewise")
    table.set_params(random_state=np.int64(3))
    with pytest.raises(TypeError, match=r"random_state=.*3.* cannot be written to a file"):
        table.save(tmp_path / "u.lanewise")
    assert not (tmp_path / "u.lanewise").exists()


# --- optimizers -------------------------------------------------------------------------------------------------


def test_the_product_of_momenta_of_nadam(tmp_path):
    """Keras's Nadam keeps the product of beta_1*(1 - 0.5*0.96**t) over its steps, after the slots."""
    model = network()
    model.compile(lw.optimizers.Nadam(beta_1=0.8), "mse")
    resumed(model, tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        weights = io.BytesIO(file.read("model.weights.h5"))
    with h5py.File(weights) as root:
        variables = root["optimizer/vars"]
        assert len(variables) == 2 + 2 * len(model.weights) + 1 and variables["0"][()] == 4
        product = np.prod([0.8 * (1 - 0.5 * 0.96**t) for t in range(1, 5)])
        assert variables[str(len(variables) - 1)][()] == pytest.approx(product, rel=1e-6)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_an_optimizer_that_follows_a_schedule(tmp_path, name):
    """Keras keeps no rate there."""
    model = network()
    model.compile(lw.optimizers.SGD(lw.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), momentum=0.9), "mse")
    resumed(model, tmp_path / name)


def test_a_legacy_file_without_a_state(tmp_path):
    model = lw.load_model(made.h5_file(tmp_path / "m.h5", style=None))
    assert model.compiled and model.optimizer.iterations == 0
    np.testing.assert_allclose(model.predict(made.X, verbose=0), made.GOLDEN, rtol=1e-6)


def test_a_legacy_layer_without_its_bias(tmp_path):
    path = made.h5_file(tmp_path / "m.h5")
    with h5py.File(path, "r+") as root:
        root["model_weights/out"].attrs["weight_names"] = [b"out/kernel:0"]
    with pytest.raises(ValueError, match="has 1 weights for layer 'out', 'out' of the model 2"):
        lw.load_model(path)


# --- descriptions -----------------------------------------------------------------------------------------------


def test_calls_of_layers_as_the_first_keras_2_wrote_them(tmp_path):
    """One tensor without a list around it; no arguments behind it."""
    whole = made.graph2()
    hidden, inner = whole["config"]["layers"][1:]
    hidden["inbound_nodes"], inner["inbound_nodes"] = [["input_1", 0, 0]], [[["hidden", 0, 0]]]
    path = made.graph_file(tmp_path / "m.h5")
    with h5py.File(path, "r+") as root:
        root.attrs["model_config"] = json.dumps(whole).encode()
    model = lw.load_model(path, compile=False)
    np.testing.assert_allclose(model.predict(made.X, verbose=0), made.GOLDEN, rtol=1e-6)
    del whole["config"]["output_layers"]
    with pytest.raises(ValueError, match="output_layers is absent"):
        lw.saving.model_from_config(whole)


def test_what_a_model_of_several_outputs_was_compiled_with():
    """Keras 2 writes the name of the output before that of its metric."""

    def metric(name):
        return {"class_name": "MeanMetricWrapper", "config": {"name": name, "fn": "mae"}}

    adam = {"class_name": "Adam", "config": {"lr": 0.5, "use_ema": True, "ema_momentum": 0.9}}
    form = keras_read.compile_form(
        {"optimizer_config": adam, "loss": "mse", "metrics": [[metric("price_mae")], [metric("mae")], None]},
        ("price", "size", "place"),
    )
    assert form["metrics"][0] == [{"class_name": "mae", "config": {"name": "mae"}}]
    assert form["metrics"][1:] == [form["metrics"][0], None]
    assert form["optimizer"]["config"] == {"learning_rate": 0.5, "use_ema": True, "ema_momentum": 0.9}


def test_arithmetic_on_tensors_keeps_its_module():
    """`Add` of keras.ops is no layer."""
    form = {"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}}
    assert keras_read.own_form(form)["module"] == "keras.src.ops.numpy"
    assert "module" not in keras_read.own_form({**form, "module": "keras.layers"})


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.lanewise"])
def test_a_layer_that_two_models_share(tmp_path, name):
    shared, x = lw.layers.Dense(3, "tanh", name="shared"), lw.Input((3,))
    one = lw.Sequential([lw.Input((3,)), shared], name="one")
    two = lw.Sequential([lw.Input((3,)), shared], name="two")
    model = lw.Model(x, two(one(x)))
    assert len(model.weights) == 2
    expected = model.predict(X, verbose=0)
    kept = [weight.numpy() for weight in model.weights]
    model.save_weights(tmp_path / name)
    model.set_weights([value * 0 for value in kept])
    model.load_weights(tmp_path / name)
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)


def test_a_vocabulary_that_ends_in_empty_lines(tmp_path):
    config = made.config3()
    lookup = made.keras3("keras.layers", "IntegerLookup", {"name": "l", "vocabulary": None, "mask_token": None})
    entry = made.keras3("keras.layers", "InputLayer", {"batch_shape": [None, 1], "dtype": "int64", "name": "i"})
    config["config"].update(layers=[entry, lookup], build_input_shape=[None, 1])
    del config["compile_config"], config["build_config"]
    path = made.keras_file(tmp_path / "m.keras", config)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("assets/layers/integer_lookup/vocabulary.txt", "-1\n50\n70\n\n\n")
    model = lw.load_model(path)
    assert model.layers[0].get_vocabulary() == [-1, 50, 70]
    assert model.predict(np.array([[70], [50], [9]]), verbose=0).tolist() == [[2], [1], [0]]


def test_models_functions_and_ones_own_classes_as_objects():
    class Twice(lw.layers.Layer):
        def call(self, inputs):
            return keras.ops.multiply(inputs, 2.0)

    model = network()
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert twin.get_config() == model.get_config() and twin is not model
    kept = dict(_registry._names), dict(keras.saving.get_custom_objects())
    try:
        keras.saving.register_keras_serializable("corners")(Twice)
        described = keras.saving.serialize_keras_object(Twice(name="t"))
        assert described["registered_name"] == "corners>Twice"
        assert type(keras.saving.deserialize_keras_object(described)) is Twice

        @keras.saving.register_keras_serializable("corners")
        def half(x):
            return x / 2

        described = keras.saving.serialize_keras_object(half)
        assert described["class_name"] == "function" and described["config"] == "corners>half"
        assert keras.saving.deserialize_keras_object(described) is half
    finally:
        for table, before in zip((_registry._names, keras.saving.get_custom_objects()), kept, strict=True):
            table.clear()
            table.update(before)


class Steep(lw.layers.Layer):
    """A layer of one's own that nobody registered, with a dict among its arguments and an initializer of one's own."""

    def __init__(self, table=None, start=None, **kwargs):
        super().__init__(**kwargs)
        self.table = table or {"slope": 3.0}
        self.start = start or Third()

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer=self.start, name="scale")

    def call(self, inputs):
        return keras.ops.multiply(inputs, self.scale) * self.table["slope"]

    def get_config(self):
        return {**super().get_config(), "table": self.table, "start": lw.initializers.serialize(self.start)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "start": lw.initializers.deserialize(config["start"])})


class Third(lw.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return np.full(shape, 1 / 3, np.float32)


@pytest.mark.parametrize("name", ["m.keras", "m.lanewise"])
def test_classes_that_nobody_registered(tmp_path, name):
    """They are written by their names, and a reader gives them."""
    table = {"slope": 6.0, "like an object": {"class_name": "x", "config": 3}}
    model = network(Steep(table, name="s"), lw.layers.Dense(1))
    model.compile("sgd", lw.losses.Quantile(0.3))
    model.fit(X, X[:, :1], verbose=0)
    model.save(tmp_path / name)
    with pytest.raises(ValueError, match=r"needs a class or function that is not known here .* unknown name"):
        lw.load_model(tmp_path / name)
    loaded = lw.load_model(tmp_path / name, custom_objects={"Steep": Steep, "Third": Third})
    assert lw.fingerprint(loaded) == lw.fingerprint(model) and loaded.layers[0].table == table
    assert loaded.get_compile_config() == model.get_compile_config()


def test_losses_and_metrics_of_outputs_by_name(tmp_path):
    x = lw.Input((3,))
    model = lw.Model(x, {"a": lw.layers.Dense(1, name="a")(x), "b": lw.layers.Dense(2, name="b")(x)})
    model.compile(
        "sgd", {"a": "mse", "b": lw.losses.Huber(0.5)}, metrics={"a": ["mae"], "b": [lw.metrics.CosineSimilarity()]}
    )
    model.fit(X, {"a": X[:, :1], "b": X[:, :2]}, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = lw.load_model(tmp_path / "m.keras")
    expected = model.evaluate(X, {"a": X[:, :1], "b": X[:, :2]}, verbose=0, return_dict=True)
    assert loaded.evaluate(X, {"a": X[:, :1], "b": X[:, :2]}, verbose=0, return_dict=True) == expected
    assert len(expected) == 5


def test_a_model_that_has_no_shape_yet():
    model = lw.Sequential([lw.layers.Dense(2, name="d")])
    text = model.to_json()
    assert "build_config" not in json.loads(text)
    twin = lw.saving.model_from_json(text)
    assert not twin.built and twin.get_config() == model.get_config()
