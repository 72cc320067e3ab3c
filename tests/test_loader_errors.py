"""What loaders and writers say about files that are intact but not what they should be."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

import keras_files as made
import lanewise as lw
from fuzz import targets
from lanewise.saving import archive, h5, hdf5, shapes
from lanewise.tabular import TabularClassifier, TabularRegressor
from saving_files import refused, rewritten, saved, trained

h5py = pytest.importorskip("h5py")


def dense(**config):
    return {"class_name": "Dense", "config": {"units": 1, **config}}


GRAPH = {"name": "a", "trainable": True, "layers": [], "input_layers": [], "output_layers": []}


# --- lanewise's own format ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"made_by": 3}, "made_by: expected a text"),
        ({"weights": "abc"}, "weights: expected a list of names"),
        ({"optimizer": [1]}, "optimizer: expected a list of names"),
        ({"model": {"input_layers": []}}, "expected name, trainable, layers, input_layers and output_layers"),
        ({"model": {**GRAPH, "name": 3}}, "whether it trains"),
        ({"model": {**GRAPH, "layers": 3}}, "list of up to 1000"),
        ({"model": {"name": "a", "layers": []}}, "expected name, layers and build_input_shape"),
        ({"model": {"name": 3, "layers": [], "build_input_shape": [None, 3]}}, "3 is no name"),
        ({"model": {"name": "a", "layers": [dense()], "build_input_shape": [None, 2**30, 2**30]}}, "a sample of shape"),
        ({"model": {"name": "a", "layers": [dense()] * 5001, "build_input_shape": [None, 3]}}, "than 5000 of them"),
        ({"model": {**GRAPH, "layers": [{**dense(), "inbound_nodes": [0] * 5001}]}}, "or of their calls"),
    ],
)  # fmt: skip
def test_descriptions(tmp_path, change, text):
    refused(rewritten(saved(tmp_path), lambda manifest: {**manifest, **change}), text)


def test_a_weight_of_another_type(tmp_path):
    path = saved(tmp_path)
    array = np.zeros((3, 5), np.float64)

    def change(manifest):
        manifest["arrays"]["weights/2.npy"] = archive.describe(array)

    data = archive.npy_header("<f8", (3, 5)) + array.tobytes()
    assert "a weight is not float32" in refused(rewritten(path, change, {"weights/2.npy": data}))


def test_descriptions_that_no_reader_would_take_are_not_written(tmp_path):
    path = tmp_path / "m.lanewise"
    with pytest.raises(TypeError, match=r"arrays of a model file are float32, .* received complex128"):
        archive.describe(np.zeros(3, complex))
    with pytest.raises(ValueError, match="no reader would take a description of"):
        archive.write(str(path), {"a": " " * archive.MAX_MANIFEST}, {})
    with pytest.raises(ValueError, match="no reader would take a description of"):
        archive.write(str(path), {"a": [[]] * 100_001}, {})
    many = lw.Sequential([lw.Input((2,)), *(lw.layers.Activation("relu") for _ in range(1001))])
    with pytest.raises(ValueError, match="up to 1000 layers, the model has 1001"):
        many.save(path)
    models = [lw.Sequential([lw.Input((2,)), *(lw.layers.Flatten() for _ in range(900))]) for _ in range(6)]
    with pytest.raises(ValueError, match="more than 5000 of them"):
        lw.Ensemble(models).save(path)
    wordy = lw.Sequential([lw.Input((2,)), lw.layers.Discretization(np.arange(600_000.0).tolist())])
    with pytest.raises(ValueError, match=r"a description of 5\d+ bytes, allowed are 4194304"):
        wordy.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_a_model_of_a_class_of_ones_own_cannot_be_named(tmp_path):
    class Own(lw.Sequential):
        pass

    with pytest.raises(ValueError, match="received a Own, which no file can name"):
        Own([lw.layers.Dense(1, input_shape=(2,))]).save(tmp_path / "m.lanewise")


def test_suffixes_and_arguments(tmp_path):
    model = trained()
    for name, call in (
        ("m.pkl", model.save),
        ("m.pt", model.save_weights),
        ("m.onnx", lw.load_model),
        ("w.npz", model.load_weights),
    ):
        with pytest.raises(ValueError, match="expected a file called"):
            call(tmp_path / name)
    with pytest.raises(TypeError, match="save_weights: unknown arguments"):
        model.save_weights(tmp_path / "w.lanewise", overwite=True)
    folder = tmp_path / "folder.lanewise"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match="expected a file, received the directory"):
        archive.write(str(folder), {}, {})
    assert not list(folder.iterdir())


def test_archives_are_without_gaps(tmp_path):
    """Bytes between two entries, or before the list of entries, that no reader looks at."""
    whole = saved(tmp_path).read_bytes()
    start = struct.unpack("<L", whole[-6:-2])[0]
    path = tmp_path / "m.lanewise"
    path.write_bytes(whole[:start] + bytes(8) + whole[start:-6] + struct.pack("<LH", start + 8, 0))
    refused(path, "gap behind them")
    path.write_bytes(b"#!/bin/sh\n" + whole)
    refused(path, "or there is a gap before it")
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
    path.write_bytes(out.getvalue())
    lw.load_model(path)  # written anew by another program


# --- tables -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables():
    return targets.seeds("tabular")


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("TabularRegressor", {"members": 10**9}, "1000000000 networks of"),
        ("TabularRegressor", {"members": True}, "True networks of"),
        ("TabularRegressor", {"members": 1}, "the arrays are not those that the networks ask for"),
        ("TabularRegressor", {"flat": 1}, "flat, made_by"),
        ("TabularRegressor", {"made_by": None}, "flat, made_by"),
        ("TabularRegressor", {"scaling": {}}, "scaling: other entries"),
        ("TabularRegressor", {"scaling": "x"}, "scaling: other entries"),
        ("TabularClassifier", {"scaling": {"sharpness": float("1e400")}}, "which is no JSON"),
        ("TabularClassifier", {"scaling": {"sharpness": "x"}}, "no finite numbers"),
        ("TabularClassifier", {"classes": {"dtype": "U500000000", "values": ["x", "y"]}}, "is no type of labels"),
        ("TabularClassifier", {"classes": {"dtype": "V8", "values": ["x", "y"]}}, "is no type of labels"),
        ("TabularClassifier", {"classes": {"dtype": "i4,i4", "values": ["x", "y"]}}, "is no type of labels"),
        ("TabularClassifier", {"classes": {"dtype": 5, "values": ["x", "y"]}}, "classes: 5 is no type"),
        ("TabularClassifier", {"classes": {"dtype": "O", "values": [["x"], ["y"]]}}, "the classes are no labels"),
        ("TabularClassifier", {"classes": {"dtype": "<U1", "values": ["x", "y", "z"]}}, "as many classes"),
    ],
)  # fmt: skip
def test_tables(tmp_path, tables, name, change, text):
    path = tmp_path / "t.lanewise"
    path.write_bytes(tables[name])
    kind = {"TabularRegressor": TabularRegressor, "TabularClassifier": TabularClassifier}[name]
    kind.load(path)
    rewritten(path, lambda manifest: {**manifest, **change})
    with pytest.raises(ValueError, match=text):
        kind.load(path)


def test_numbers_of_a_table_that_are_not_finite(tmp_path, tables):
    path = tmp_path / "t.lanewise"
    for key, value in (("mean", [1]), ("noise", [1.0, 2.0]), ("ends", [[0.0]]), ("deviation", "x")):
        path.write_bytes(tables["TabularRegressor"])
        rewritten(path, lambda m, k=key, v=value: {**m, "scaling": {**m["scaling"], k: v}})
        with pytest.raises(ValueError, match="no finite numbers for each target"):
            TabularRegressor.load(path)


def test_scores_and_weights_of_another_shape(tmp_path, tables):
    path = tmp_path / "t.lanewise"
    for entry, shape, text in (
        ("scores.npy", (4, 2), "scores have another shape"),
        ("members/0/0.npy", (2, 2), "do not have the shapes"),
    ):
        path.write_bytes(tables["TabularRegressor"])
        dtype = "<f8" if entry == "scores.npy" else "<f4"
        data = archive.npy_header(dtype, shape) + bytes(int(np.prod(shape)) * int(dtype[2]))

        def change(manifest, entry=entry, shape=shape):
            manifest["arrays"][entry]["shape"] = list(shape)

        rewritten(path, change, {entry: data})
        with pytest.raises(ValueError, match=text):
            TabularRegressor.load(path)


# --- Keras's formats ----------------------------------------------------------------------------------------------


def keras_refused(path, text):
    with pytest.raises(ValueError, match=text):
        lw.load_model(path)


def test_keras_archives(tmp_path):
    path = tmp_path / "m.keras"
    config = made.config3()
    del config["config"]["build_input_shape"], config["config"]["layers"][0]
    config["config"]["layers"][0].pop("build_config", None)
    made.keras_file(path, config)
    keras_refused(path, "saved before it was built")
    made.keras_file(path)
    with zipfile.ZipFile(path, "a") as more:
        for i in range(1001):
            more.writestr(f"assets/{i}", b"")
    keras_refused(path, r"it has 1004 entries, 1004 names")
    made.keras_file(path, json.dumps({"class_name": "Sequential", "config": {"layers": [[]] * 100_001}}).encode())
    keras_refused(path, "more than 100000 lists and objects")


def small():
    model = lw.Sequential([lw.layers.Dense(4, "relu", input_shape=(3,)), lw.layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_states_of_optimizers(tmp_path):
    path = tmp_path / "w.weights.h5"
    model = small()
    made.changed_weights3(path, lambda root: root["optimizer/vars"].move("3", "x"))
    with pytest.raises(ValueError, match="not numbered from 0"):
        model.load_weights(path)
    made.changed_weights3(path, lambda root: root.__delitem__("optimizer"))
    model.load_weights(path)  # without a state the optimizer stays as it is
    assert model.optimizer.iterations == 0
    made.changed_weights3(
        path, lambda root: (root.__delitem__("optimizer/vars/0"), root.__setitem__("optimizer/vars/0", np.zeros(2)))
    )
    with pytest.warns(UserWarning, match="not those of this Adam"):
        model.load_weights(path)
    made.changed_weights3(path, lambda root: root.__delitem__("layers"))
    with pytest.raises(ValueError, match="no group 'layers'"):
        model.load_weights(path)


def test_groups_that_are_nested_without_end(tmp_path):
    path = tmp_path / "w.weights.h5"
    made.changed_weights3(path, lambda root: root.create_group("/".join(["layers/x"] * 60)))
    made.keras_file(tmp_path / "m.keras", weights=path.read_bytes())
    keras_refused(tmp_path / "m.keras", "nested too deeply")


def test_one_file_cannot_ask_for_more_memory_than_its_size_twice(tmp_path):
    """Each array is small enough, all together are not."""
    budget = h5._Budget(100)
    budget.take("a", 60)
    with pytest.raises(archive.FormatError, match="b takes 60 bytes, more than a file of this size holds"):
        budget.take("b", 60)


def hdf5_array(make):
    out = io.BytesIO()
    with h5py.File(out, "w") as root:
        make(root)
    return bytearray(out.getvalue())


def test_arrays_that_are_cut_off(tmp_path):
    def compact(root):
        rules = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        rules.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((5,))
        h5py.h5d.create(root.id, b"x", h5py.h5t.NATIVE_FLOAT, space, rules).write(
            space, space, np.arange(5, dtype="f4")
        )

    data = hdf5_array(compact)
    at = data.find(np.arange(5, dtype="f4").tobytes())
    data[at - 2 : at] = (4).to_bytes(2, "little")  # bytes of the array itself
    root = h5.root(bytes(data))
    with pytest.raises(archive.FormatError, match="x is cut off"):
        root.array("x")
    chunked = hdf5_array(lambda root: root.create_dataset("x", data=np.zeros((4, 4), "f4"), chunks=(3, 2)))
    place = chunked.find(struct.pack("<3L", 3, 2, 4))
    chunked[place : place + 4] = bytes(4)
    root = h5.root(bytes(chunked))
    with pytest.raises(archive.FormatError, match="chunks of no length"):
        root.array("x")
    empty = hdf5_array(lambda root: root.create_dataset("x", (0, 4), "f4", chunks=(3, 2), maxshape=(None, 4)))
    root = h5.root(bytes(empty))
    assert root.array("x").shape == (0, 4)


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(hdf5_array(lambda root: root.create_dataset("x", data=np.zeros(50_000))))
    with open(path, "rb") as file:
        opened = hdf5.File(file)
        path.write_bytes(path.read_bytes()[:200_000])
        with pytest.raises(archive.FormatError, match="cut off while it was read"):
            opened.read(199_000, 8000)  # beyond what Python reads ahead


def test_older_spellings_of_descriptions():
    """Arrays and functions as objects; optimizers as texts; functions of one's own by their registered names."""
    from lanewise.saving import keras_read

    assert keras_read.own_form({"class_name": "__numpy__", "config": {"value": [1, 2]}}) == [1, 2]
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["a", 0, 0]}}
    assert keras_read.own_form(tensor) == tensor
    assert keras_read.compile_form({"optimizer": "adam", "loss": "mse"})["optimizer"] == {
        "class_name": "adam",
        "config": {},
    }
    form = keras_read.compile_form(
        {"optimizer": "sgd", "loss": {"a": "mse"}, "loss_weights": {"a": 2.0}, "metrics": {"a": ["mae"]}}
    )
    assert form["loss_weights"] == {"a": 2.0} and form["metrics"] == {"a": ["mae"]}
    wrapped = {"class_name": "LossFunctionWrapper", "config": {"fn": "mse"}}
    assert keras_read.compile_form({"optimizer": "sgd", "loss": wrapped})["loss"] == "mse"

    @lw.saving.register_keras_serializable("test_loader_errors")
    def twice(x):
        return 2 * x

    described = {"class_name": "function", "config": "twice", "registered_name": "test_loader_errors>twice"}
    assert keras_read.own_form(described) == "test_loader_errors>twice"


def test_sizes_of_descriptions():
    shapes.check_size({"layers": [dense()] * 5000}, None, "x", {"layers": 3})
    with pytest.raises(archive.FormatError, match="more than 5000"):
        shapes.check_size(*[{"layers": [dense()] * 100}] * 51)
    nested = {"layers": [{"class_name": "Sequential", "config": {"layers": [dense()] * 2600}}] * 2}
    with pytest.raises(archive.FormatError, match="more than 5000"):
        shapes.check_size(nested)
