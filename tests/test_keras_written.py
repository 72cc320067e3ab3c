"""What is written for Keras has Keras 3's layout, comes back whole, and is written whole or not at all."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest

import keras_files as made
import lanewise as lw
from keras_files import X, Y, network, trained

h5py = pytest.importorskip("h5py")


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
        each._made = None
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
