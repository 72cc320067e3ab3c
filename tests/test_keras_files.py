"""Keras's files: those that Keras 2 and 3 wrote are read; what is written is in `test_keras_written.py`."""

import io
import json
import zipfile

import numpy as np
import pytest

import keras_files as made
import lanewise as lw
from keras_files import GOLDEN, WEIGHTS, X, Y, network

h5py = pytest.importorskip("h5py")


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
