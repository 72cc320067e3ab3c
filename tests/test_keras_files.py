"""Keras's files: those that Keras 2 and 3 wrote are read, and what is written has Keras 3's layout."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest

import keras_files as made
import lanewise as lw
from keras_files import GOLDEN, WEIGHTS, X

h5py = pytest.importorskip("h5py")

Y = np.array([0, 1, 0])


def predicts_golden(model):
    np.testing.assert_allclose(model.predict(X, verbose=0), GOLDEN, rtol=1e-6)
    assert [w.tolist() for w in model.get_weights()] == [w.tolist() for layer in WEIGHTS.values() for w in layer]


def has_the_state(model):
    """Adam's state as `made.state_of_adam` has it, slot by slot."""
    assert model.optimizer.iterations == 7
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002, rel=1e-6)
    for weight, slot in zip(model.weights, made.SLOTS, strict=True):
        m, v = model.optimizer.native.get_slots(weight.variable)
        assert (m == slot / 16).all() and (v == slot).all()


def network():
    """The network of `keras_files` with other weights, compiled."""
    model = lw.Sequential(
        [lw.layers.Dense(4, "relu", input_shape=(3,), name="hidden"), lw.layers.Dropout(0.25, name="dropout"),
         lw.layers.Dense(2, "softmax", name="out")], name="net",
    )  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def trained():
    model = network()
    model.fit(X, Y, epochs=3, verbose=0)
    return model


def listed(source):
    """path -> (shape, dtype) of the arrays of an HDF5 file, and the names of its layers."""
    arrays, names = {}, {}
    with h5py.File(source) as root:

        def visit(path, item):
            if isinstance(item, h5py.Dataset):
                arrays[path] = (item.shape, item.dtype.str)
            elif "name" in item.attrs:
                names[path] = item.attrs["name"]

        root.visititems(visit)
    return arrays, names


# --- read: Keras 3 ----------------------------------------------------------------------------------------------


def test_keras_3_model(tmp_path):
    model = lw.load_model(made.keras_file(tmp_path / "m.keras"))
    predicts_golden(model)
    has_the_state(model)
    assert [layer.name for layer in model.layers] == ["hidden", "dropout", "out"]
    assert model.name == "net" and model.layers[1].rate == 0.25
    assert model.layers[0].kernel_regularizer.l2 == 0.01
    assert set(model.fit(X, Y, verbose=0).history) == {"accuracy", "loss"}
    assert model.optimizer.iterations == 8


def test_keras_3_model_without_its_training(tmp_path):
    path = made.keras_file(tmp_path / "m.keras")
    assert not lw.load_model(path, compile=False).compiled
    config = made.config3()
    del config["compile_config"]
    model = lw.load_model(made.keras_file(path, config))
    predicts_golden(model)
    assert not model.compiled


def test_zip_made_again_with_compression(tmp_path):
    predicts_golden(lw.load_model(made.keras_file(tmp_path / "m.keras", compression=zipfile.ZIP_DEFLATED)))


@pytest.mark.parametrize("dtype", ["<f8", "<f2", ">f4", "<f4"])
def test_other_types_of_numbers_are_converted_exactly(tmp_path, dtype):
    weights = io.BytesIO()
    made.weights3(weights, change=lambda array: array.astype(dtype))
    predicts_golden(lw.load_model(made.keras_file(tmp_path / "m.keras", weights=weights.getvalue())))
    predicts_golden(lw.load_model(made.h5_file(tmp_path / "m.h5", change=lambda array: array.astype(dtype))))


def test_layers_are_found_by_name_where_the_file_was_made_of_the_model(tmp_path):
    """Another order of counting does no harm as long as the names stand in the file."""
    weights = io.BytesIO()
    made.weights3(weights)
    with h5py.File(weights, "r+") as root:
        root.move("layers/dense", "layers/x")
        root.move("layers/dense_1", "layers/dense")
        root.move("layers/x", "layers/dense_1")
    predicts_golden(lw.load_model(made.keras_file(tmp_path / "m.keras", weights=weights.getvalue())))


def test_weights_of_keras_3(tmp_path):
    path = tmp_path / "w.weights.h5"
    made.weights3(path, named=False)
    model = lw.Sequential([lw.layers.Dense(4, "relu", input_shape=(3,)), lw.layers.Dense(2, "softmax")])
    model.load_weights(path)
    predicts_golden(model)
    model = network()
    model.load_weights(path)
    has_the_state(model)
    other = lw.Sequential([lw.layers.Dense(4, "relu", input_shape=(3,)), lw.layers.Dense(2, "softmax")])
    other.load_weights(made.keras_file(tmp_path / "m.keras"))
    predicts_golden(other)


def test_keras_2_12_called_its_groups_otherwise(tmp_path):
    path = tmp_path / "w.weights.h5"
    made.weights3(path, named=False)
    with h5py.File(path, "r+") as root:
        root.move("layers", "_layer_checkpoint_dependencies")
    model = network()
    model.load_weights(path)
    predicts_golden(model)


def test_mismatches(tmp_path):
    path = tmp_path / "w.weights.h5"
    made.weights3(path)
    model = lw.Sequential([lw.layers.Dense(4, input_shape=(3,)), lw.layers.Dense(5)])
    before = lw.fingerprint(model)
    with pytest.raises(
        ValueError, match=r"w.weights.h5. has shape \(4, 2\) at layers/dense_1/vars/0, .*/kernel of the"
    ):
        model.load_weights(path)
    assert lw.fingerprint(model) == before
    kept = model.get_weights()[2:]
    with pytest.warns(UserWarning, match="skipped"):
        model.load_weights(path, skip_mismatch=True)
    assert (model.get_weights()[0] == WEIGHTS["hidden"][0]).all()
    assert all((a == b).all() for a, b in zip(kept, model.get_weights()[2:], strict=True))
    with pytest.raises(ValueError, match="has 0 weights in 'layers/dense_2'"):
        lw.Sequential([lw.layers.Dense(4, input_shape=(3,)), lw.layers.Dense(2), lw.layers.Dense(2)]).load_weights(path)
    with pytest.raises(ValueError, match="by_name: only legacy"):
        network().load_weights(path, by_name=True)


def test_another_optimizers_state_is_left_alone(tmp_path):
    path = tmp_path / "w.weights.h5"
    made.weights3(path)
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="10 variables, which are not those of this SGD"):
        model.load_weights(path)
    predicts_golden(model)
    assert model.optimizer.iterations == 0


# --- read: Keras 2 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["2.11", "2.4", "2.2"])
@pytest.mark.parametrize("chunked", [False, True])
def test_keras_2_model(tmp_path, style, chunked):
    model = lw.load_model(made.h5_file(tmp_path / "m.h5", style=style, chunked=chunked))
    predicts_golden(model)
    has_the_state(model)
    assert model.layers[0].kernel_initializer.get_config()["mode"] == "fan_avg"
    assert set(model.fit(X, Y, verbose=0).history) == {"accuracy", "loss"}


def test_functional_model_of_keras_2(tmp_path):
    model = lw.load_model(made.graph_file(tmp_path / "m.h5"))
    predicts_golden(model)
    has_the_state(model)
    assert [layer.name for layer in model.layers] == ["input_1", "hidden", "inner"]
    assert [layer.name for layer in model.get_layer("inner").layers] == ["out"]
    for name in ("n.h5", "n.keras", "n.lanewise"):
        model.save(tmp_path / name)
        predicts_golden(lw.load_model(tmp_path / name))
    twin = lw.saving.model_from_json(json.dumps(made.graph2()))
    assert twin.output_shape == (None, 2)


def test_the_suffix_does_not_matter(tmp_path):
    for name in ("m.hdf5", "m.model", "m"):
        predicts_golden(lw.load_model(made.h5_file(tmp_path / name)))


def test_what_keras_2_wrote_otherwise(tmp_path):
    """A bare list of layers, an array as {"type", "value"}, float64 layers, a wrapped metric, `Custom>Adam`."""
    config = made.config2()
    config["config"] = config["config"]["layers"]
    config["config"][1]["config"]["rate"] = {"type": "ndarray", "value": 0.25}
    for layer in config["config"]:
        layer["config"]["dtype"] = "float64"
    training = made.training2()
    wrapped = {"name": "right", "dtype": "float32", "fn": "sparse_categorical_accuracy"}
    training["metrics"] = [[{"class_name": "MeanMetricWrapper", "config": wrapped}]]
    training["loss"] = {"class_name": "SparseCategoricalCrossentropy", "config": {
        "reduction": "auto", "name": "sparse_categorical_crossentropy", "from_logits": False,
    }}  # fmt: skip
    training["optimizer_config"] = {"class_name": "Custom>Adam", "config": {
        "name": "Adam", "weight_decay": None, "clipnorm": None, "global_clipnorm": None, "clipvalue": None,
        "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": 100, "jit_compile": True,
        "is_legacy_optimizer": False, "learning_rate": 0.002, "beta_1": 0.9, "beta_2": 0.999, "epsilon": None,
    }}  # fmt: skip
    model = lw.load_model(made.h5_file(tmp_path / "m.h5", config, training))
    predicts_golden(model)
    has_the_state(model)
    assert set(model.fit(X, Y, verbose=0).history) == {"right", "loss"}


def test_decay_of_keras_2_becomes_a_schedule(tmp_path):
    """lr/(1 + decay*steps), after 7 steps."""
    model = lw.load_model(made.h5_file(tmp_path / "m.h5", training=made.training2(decay=0.01)))
    assert model.optimizer.iterations == 7
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002 / 1.07, rel=1e-6)


def test_axes_and_slopes_of_keras_2():
    """`axis: [1]` of a normalisation, `alpha` of LeakyReLU, `input_length` of Embedding, `fused`."""
    entries = [
        {"class_name": "Embedding", "config": {"name": "e", "batch_input_shape": [None, 5], "dtype": "float32",
                                               "input_dim": 7, "output_dim": 2, "input_length": 5}},
        {"class_name": "Flatten", "config": {"name": "f", "data_format": "channels_last"}},
        {"class_name": "BatchNormalization", "config": {"name": "b", "axis": [1], "momentum": 0.9, "fused": None,
                                                        "renorm": False, "renorm_momentum": 0.99}},
        {"class_name": "LeakyReLU", "config": {"name": "l", "alpha": 0.25, "dtype": "float32"}},
    ]  # fmt: skip
    model = lw.saving.model_from_config({"class_name": "Sequential", "config": {"name": "net", "layers": entries}})
    assert model.output_shape == (None, 10)
    assert model.layers[3].negative_slope == 0.25
    assert [w.name for w in model.layers[2].weights] == ["gamma", "beta", "moving_mean", "moving_variance"]


def test_vocabulary_beside_the_description(tmp_path):
    """What IntegerLookup has learnt is a text of its own in Keras's zip, special tokens in front."""
    policy = {"name": "lookup", "vocabulary": None, "vocabulary_dtype": "int64", "vocabulary_size": 4, "dtype": "int64",
              "max_tokens": None, "num_oov_indices": 1, "mask_token": None, "oov_token": -1, "output_mode": "int",
              "invert": False, "sparse": False, "pad_to_max_tokens": False, "idf_weights": None,
              "oov_method": "floormod", "salt": None, "trainable": True}  # fmt: skip
    first = made.keras3("keras.layers", "InputLayer", {"batch_shape": [None, 2], "dtype": "int64", "name": "i"})
    layers = [first, made.keras3("keras.layers", "IntegerLookup", policy), made.dense3("out", 1, "linear", 2)]
    config = {"name": "net", "layers": layers, "build_input_shape": [None, 2]}
    weights = io.BytesIO()
    with h5py.File(weights, "w") as root:
        root["layers/dense/vars/0"], root["layers/dense/vars/1"] = np.ones((2, 1), "f4"), np.zeros(1, "f4")
    path = made.keras_file(tmp_path / "m.keras", made.keras3("keras", "Sequential", config), weights.getvalue())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/layers/integer_lookup/vocabulary.txt", "-1\n50\n70\n90")
    model = lw.load_model(path)
    assert model.layers[0].get_vocabulary() == [-1, 50, 70, 90]
    assert model.predict(np.array([[50, 90], [70, 12]]), verbose=0).tolist() == [[4.0], [2.0]]


def test_policies(tmp_path):
    config = made.config2()
    policy = config["config"]["layers"][0]["config"]
    policy["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}
    predicts_golden(lw.load_model(made.h5_file(tmp_path / "m.h5", config)))
    for name in ("mixed_float16", "mixed_bfloat16", "bfloat16"):
        policy["dtype"] = {"class_name": "Policy", "config": {"name": name}}
        with pytest.raises(ValueError, match=f"policy '{name}'; lanewise computes in float32"):
            lw.load_model(made.h5_file(tmp_path / "m.h5", config))


def test_weights_of_keras_2(tmp_path):
    path = made.h5_file(tmp_path / "w.h5", config=False)
    model = lw.Sequential([lw.layers.Dense(4, "relu", input_shape=(3,)), lw.layers.Dense(2, "softmax")])
    model.load_weights(path)
    predicts_golden(model)
    other = network()
    other.load_weights(made.h5_file(tmp_path / "m.h5"))
    predicts_golden(other)
    with pytest.raises(ValueError, match=r"w.h5. has 2 layers with weights, the model 1"):
        lw.Sequential([lw.layers.Dense(4, input_shape=(3,))]).load_weights(path)
    with pytest.raises(ValueError, match="weights only: build the model"):
        lw.load_model(path)


def test_weights_by_name(tmp_path):
    path = made.h5_file(tmp_path / "w.h5", config=False)
    model = lw.Sequential(
        [lw.layers.Dense(4, input_shape=(3,), name="hidden"), lw.layers.Dense(7, name="new"),
         lw.layers.Dense(2, name="out")]
    )  # fmt: skip
    kept = model.layers[1].get_weights()[0]
    with pytest.raises(ValueError, match=r"has 'out/kernel:0' of shape \(4, 2\), out/kernel of the model has \(7, 2\)"):
        model.load_weights(path, by_name=True)
    assert not (model.get_weights()[0] == WEIGHTS["hidden"][0]).all()
    with pytest.warns(UserWarning, match="skipped"):
        model.load_weights(path, by_name=True, skip_mismatch=True)
    assert (model.get_weights()[0] == WEIGHTS["hidden"][0]).all()
    assert (model.layers[1].get_weights()[0] == kept).all()


# --- written ----------------------------------------------------------------------------------------------------


def test_layout_of_keras_files(tmp_path):
    model = trained()
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert archive.testzip() is None
        config = json.loads(archive.read("config.json"))
        arrays, names = listed(io.BytesIO(archive.read("model.weights.h5")))
    weights = io.BytesIO()
    made.weights3(weights)
    assert (arrays, names) == listed(weights)
    like = made.config3()
    del like["config"]["layers"][1]["config"]["kernel_regularizer"]  # of the hand-made file alone
    assert covers(config, like) == []


FREE = {"shared_object_id", "jit_compile", "learning_rate", "loss", "use_ema", "ema_momentum", "amsgrad", "sparse"}
"""Keys whose value is another, or that stand for what is off."""


def covers(value, like, path=""):
    """Where a description lacks, or says otherwise, what Keras writes; what is None or False there may be absent."""
    if isinstance(like, dict) and isinstance(value, dict):
        keys = [key for key in like if key not in FREE and (like[key] or key in value)]
        absent = [f"{path}/{key}" for key in keys if key not in value]
        return absent + [
            text for key in keys if key in value for text in covers(value[key], like[key], f"{path}/{key}")
        ]
    if isinstance(like, list) and isinstance(value, list) and len(like) == len(value):
        return [text for i, pair in enumerate(zip(value, like, strict=True)) for text in covers(*pair, f"{path}/{i}")]
    return [] if value == like else [f"{path}: {value!r}, Keras writes {like!r}"]


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5"])
def test_saved_model_goes_on_as_the_first(tmp_path, name):
    model = trained()
    model.optimizer.learning_rate = 0.0123
    model.save(tmp_path / name)
    loaded = lw.load_model(tmp_path / name)
    assert lw.fingerprint(loaded) == lw.fingerprint(model)
    assert loaded.optimizer.iterations == 3
    x, y = np.repeat(X, 5, 0), np.repeat(Y, 5)
    for each in (model, loaded):
        each.layers[1].rate = 0.0
        each._program = None
    history = [each.fit(x, y, epochs=3, verbose=0, shuffle=False, batch_size=4).history for each in (model, loaded)]
    np.testing.assert_allclose(history[0]["loss"], history[1]["loss"], rtol=1e-6)  # 0.0123 as float32
    assert history[0]["accuracy"] == history[1]["accuracy"]


def test_same_model_gives_the_same_bytes(tmp_path):
    model = trained()
    for name in ("m.keras", "m.h5", "w.weights.h5"):
        contents = []
        for _ in range(2):
            (model.save_weights if name[0] == "w" else model.save)(tmp_path / name)
            contents.append((tmp_path / name).read_bytes())
        assert contents[0] == contents[1]


def test_layout_of_weights(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "w.weights.h5")
    made.weights3(tmp_path / "k.weights.h5")
    assert listed(tmp_path / "w.weights.h5") == listed(tmp_path / "k.weights.h5")
    other = network()
    other.load_weights(tmp_path / "w.weights.h5")
    assert lw.fingerprint(other) == lw.fingerprint(model)
    assert other.optimizer.iterations == 3


def test_layout_of_legacy_files(tmp_path):
    model = trained()
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as root:
        assert set(root.attrs) == {"keras_version", "backend", "model_config", "training_config"}
        assert set(root) == {"model_weights", "optimizer_weights"}
        group = root["model_weights"]
        assert list(group.attrs["layer_names"].astype(str)) == ["hidden", "dropout", "out"]
        assert list(group["hidden"].attrs["weight_names"].astype(str)) == ["net/hidden/kernel", "net/hidden/bias"]
        assert (group["out/net/out/kernel"][()] == model.get_weights()[2]).all()
        names = list(root["optimizer_weights"].attrs["weight_names"].astype(str))
        assert names[:3] == ["adam/iteration", "adam/learning_rate", "adam/net_hidden_kernel_momentum"]
        assert names[3] == "adam/net_hidden_kernel_velocity" and len(names) == 10
        assert "module" not in json.loads(root.attrs["model_config"])["config"]["layers"][1]
    model.save_weights(tmp_path / "w.h5")
    other = network()
    other.load_weights(tmp_path / "w.h5", by_name=True)
    assert lw.fingerprint(other) == lw.fingerprint(model)


def test_long_lists_of_names_are_spread(tmp_path):
    layers = [lw.layers.Dense(1, input_shape=(1,), name=f"layer_{'x' * 200}_{i}") for i in range(400)]
    model = lw.Sequential(layers)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as root:
        assert "layer_names0" in root["model_weights"].attrs and "layer_names" not in root["model_weights"].attrs
    assert lw.fingerprint(lw.load_model(tmp_path / "m.h5")) == lw.fingerprint(model)


def test_normalization_goes_along(tmp_path):
    """Keras keeps a count beside mean and variance."""
    normalization = lw.layers.Normalization()
    normalization.adapt(X)
    model = lw.Sequential([lw.Input((3,)), normalization, lw.layers.Dense(2)])
    for name in ("m.keras", "m.h5"):
        model.save(tmp_path / name)
        loaded = lw.load_model(tmp_path / name)
        assert (loaded.predict(X, verbose=0) == model.predict(X, verbose=0)).all()
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        arrays, _ = listed(io.BytesIO(archive.read("model.weights.h5")))
    assert arrays["layers/normalization/vars/2"] == ((), "<i4")


def test_a_failing_save_leaves_the_old_file(tmp_path, monkeypatch):
    from lanewise.saving import keras_state

    model = trained()
    for name in ("m.keras", "m.h5", "w.weights.h5"):
        (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(keras_state, "own_weights", lambda layer: 1 / 0)
    monkeypatch.setattr(keras_state, "beside", lambda layer: 1 / 0)
    for name in ("m.keras", "m.h5", "w.weights.h5"):
        with pytest.raises(ZeroDivisionError):
            (model.save_weights if name[0] == "w" else model.save)(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 3


def test_without_h5py(tmp_path, monkeypatch):
    model = trained()
    made.keras_file(tmp_path / "m.keras")
    made.h5_file(tmp_path / "m.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    for call in (
        lambda: model.save(tmp_path / "n.keras"), lambda: model.save(tmp_path / "n.h5"),
        lambda: model.save_weights(tmp_path / "n.weights.h5"),
    ):  # fmt: skip
        with pytest.raises(ImportError, match="pip install h5py"):
            call()
    for name in ("m.keras", "m.h5"):  # reading needs NumPy alone
        np.testing.assert_allclose(lw.load_model(tmp_path / name).predict(made.X, verbose=0), made.GOLDEN, rtol=1e-6)
    assert len(list(tmp_path.iterdir())) == 2


def test_names_that_do_not_fit(tmp_path):
    model = trained()
    with pytest.raises(ValueError, match=r"'\.keras' holds whole models"):
        model.save_weights(tmp_path / "m.keras")
    with pytest.raises(IsADirectoryError, match="SavedModel"):
        lw.load_model(tmp_path)
    with pytest.raises(FileNotFoundError):
        lw.load_model(tmp_path / "none.keras")
    with pytest.raises(FileNotFoundError):
        lw.load_model(tmp_path / "none.h5")


def test_an_embedding_of_any_length_in_a_model_of_keras_2() -> None:
    """tf_keras 2.21 writes `batch_input_shape: [null, null]` for it; the input before it has the length."""
    layers = [
        {"class_name": "InputLayer", "name": "b", "inbound_nodes": [], "config": {
            "batch_input_shape": [None, 2], "dtype": "float32", "sparse": False, "ragged": False, "name": "b"}},
        {"class_name": "Embedding", "name": "e", "inbound_nodes": [[["b", 0, 0, {}]]], "config": {
            "name": "e", "trainable": True, "dtype": "float32", "batch_input_shape": [None, None], "input_dim": 7,
            "output_dim": 3, "mask_zero": False, "input_length": None}},
    ]  # fmt: skip
    config = {"name": "m", "trainable": True, "layers": layers, "input_layers": [["b", 0, 0]],
              "output_layers": [["e", 0, 0]]}  # fmt: skip
    model = lw.saving.model_from_json(json.dumps({"class_name": "Functional", "config": config}))
    assert model.predict(np.array([[1, 6]]), verbose=0).shape == (1, 2, 3)
