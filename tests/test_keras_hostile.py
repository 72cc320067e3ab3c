"""Damaged and hostile files in Keras's formats: one clear error each, quickly, without memory, without harm."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

import keras_files as made
import lanewise as lw
from limits import seconds

h5py = pytest.importorskip("h5py")


def refused(path, text, load=lw.load_model):
    begun = seconds()
    with pytest.raises(ValueError, match=text) as caught:
        load(path)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(f"filepath: {str(path)!r} ")
    assert seconds() - begun < 1.0
    return str(caught.value)


def model():
    return lw.Sequential([lw.layers.Dense(4, "relu", input_shape=(3,)), lw.layers.Dense(2, "softmax")])


# --- damaged ----------------------------------------------------------------------------------------------------


def test_bit_flips_of_a_zip_are_refused_or_harmless(tmp_path):
    """The checksums of the zip see them all."""
    path = made.keras_file(tmp_path / "m.keras")
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for place in range(0, len(whole), 41):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            loaded = lw.load_model(path)
        except ValueError as error:
            assert "no intact keras file" in str(error)
        else:
            np.testing.assert_allclose(loaded.predict(made.X, verbose=0), made.GOLDEN, rtol=1e-6)


# --- hostile descriptions ---------------------------------------------------------------------------------------


def layer(config, i=1):
    return config["config"]["layers"][i]


def changed(path, change):
    config = made.config3()
    config = change(config) or config
    return made.keras_file(path, config)


HOSTILE = {
    "a list": (lambda c: [c], "holds no object"),
    "no class": (lambda c: c.pop("class_name") and None, "describes no model"),
    "class path": (lambda c: layer(c).update(class_name="os.system"), "unknown name 'os.system'"),
    "module": (lambda c: layer(c).update(module="os", class_name="system"), "unknown name 'system'"),
    "registered": (lambda c: layer(c).update(registered_name="os>system", class_name="x"), "unknown name 'x'"),
    "lambda layer": (lambda c: layer(c).update(class_name="Lambda"), "Python code"),
    "lambda function": (
        lambda c: layer(c)["config"].update(activation={"class_name": "__lambda__", "config": {"value": "4wEA"}}),
        "Python code",
    ),
    "function of a module": (
        lambda c: layer(c)["config"].update(activation={
            "module": "os", "class_name": "function", "config": "system", "registered_name": "system",
        }),
        "unknown name 'system'",
    ),
    "keras function": (
        lambda c: layer(c)["config"].update(activation={
            "module": "keras.saving", "class_name": "function", "config": "load_model", "registered_name": "load_model",
        }),
        "unknown name 'load_model'",
    ),
    "loss": (
        lambda c: c["compile_config"].update(loss={
            "module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function",
        }),
        "unknown name 'eval'",
    ),
    "vocabulary": (lambda c: layer(c)["config"].update(vocabulary="/etc/passwd"), "which is not opened"),
    "huge units": (lambda c: layer(c)["config"].update(units=10**12), "too large"),
    "other units": (lambda c: layer(c)["config"].update(units=6), r"has shape \(3, 4\)"),
    "renormalised": (lambda c: layer(c)["config"].update(renorm=True), "unknown argument 'renorm'"),
    "input": (lambda c: c["config"].update(build_input_shape=[None, 10**30]), "no intact|too large"),
    "shape text": (lambda c: c["config"].update(build_input_shape="abc"), "no intact"),
    "layers": (lambda c: c["config"].update(layers={}), "no list of layers"),
    "layer": (lambda c: c["config"].update(layers=[3]), "no intact"),
    "policy": (lambda c: layer(c)["config"]["dtype"]["config"].update(name="mixed_float16"), "policy 'mixed_float16'"),
    "optimizer": (lambda c: c["compile_config"]["optimizer"].update(class_name="Evil"), "unknown name 'Evil'"),
    "optimizer's name": (lambda c: c["compile_config"]["optimizer"]["config"].update(name={"a": 1}), "expected a text"),
    "loss's name": (
        lambda c: c["compile_config"].update(loss={"class_name": "MeanSquaredError", "config": {"name": ["a"]}}),
        "name: expected a text",
    ),
    "optimizer text": (lambda c: c["compile_config"].update(optimizer=3), "is none"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_description(tmp_path, name):
    change, text = HOSTILE[name]
    refused(changed(tmp_path / "m.keras", change), text)


def entry(config, name):
    return next(layer for layer in config["config"]["layers"] if layer["name"] == name)


def set_node(name, node):
    return lambda c: entry(c, name).update(inbound_nodes=node)


def many_calls(config):
    """2**30 calls of nested models, were they written out."""
    nested = made.graph2()
    for i in range(30):
        first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3], "name": "i"}}
        twice = [[["i", 0, 0, {}]], [["i", 0, 0, {}]]]
        layers = [{**first, "name": "i", "inbound_nodes": []}, {**nested, "name": f"n{i}", "inbound_nodes": twice}]
        outputs = [[f"n{i}", 1, 0]]
        config = {"name": f"n{i}", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": outputs}
        nested = {"class_name": "Functional", "config": config}
    return nested


GRAPHS = {
    "loop": (set_node("hidden", [[["inner", 1, 0, {}]]]), "nothing makes"),
    "itself": (set_node("hidden", [[["hidden", 0, 0, {}]]]), "nothing makes"),
    "nobody": (set_node("hidden", [[["other", 0, 0, {}]]]), "no layer is called 'other'"),
    "negative": (set_node("hidden", [[["input_1", -1, 0, {}]]]), r"expected \[name, call, output\]"),
    "far": (set_node("hidden", [[["input_1", 10**9, 0, {}]]]), "nothing makes|no tensor"),
    "text": (set_node("hidden", "abc"), "inbound_nodes"),
    "number": (set_node("hidden", [3]), "inbound_nodes"),
    "empty call": (set_node("hidden", [[]]), "no intact"),
    "half a tensor": (set_node("hidden", [[["input_1", 0]]]), "no call of a layer"),
    "no outputs": (lambda c: c["config"].update(output_layers=[]), "output"),
    "outputs": (lambda c: c["config"].update(output_layers=[["inner", 9, 0]]), "no tensor"),
    "inputs": (lambda c: c["config"].update(input_layers=[["hidden", 0, 0]]), "has 2 layers"),
    "layers": (lambda c: c["config"].update(layers=3), "no list of layers"),
    "twice": (lambda c: c["config"]["layers"].append(entry(c, "hidden")), "two"),
    "nested": (many_calls, "has 2 layers"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_hostile_graph(tmp_path, name):
    change, text = GRAPHS[name]
    config = made.graph2()
    config = change(config) or config
    refused(made.h5_file(tmp_path / "m.h5", config), text)


@pytest.mark.parametrize(
    "data", [b"", b"[" * 100_000, b"\xff\xfe", b" " * (9 * 2**20), b'{"class_name": "Sequential"}']
)
def test_hostile_json(tmp_path, data):
    refused(made.keras_file(tmp_path / "m.keras", data), "no intact")


def test_deeply_nested_description(tmp_path):
    for depth in (100, 900, 50_000):
        nested = b'{"class_name": "Dense", "config": {"x": ' * depth + b"1" + b"}}" * depth
        refused(made.keras_file(tmp_path / "m.keras", nested), "no intact")


# --- hostile archives and HDF5 files ----------------------------------------------------------------------------


def test_zip_bombs(tmp_path):
    path = tmp_path / "m.keras"
    bomb = bytes(2**28)
    refused(made.keras_file(path, weights=bomb, compression=zipfile.ZIP_DEFLATED), "would unpack to 268435456 bytes")
    refused(made.keras_file(path, bomb, compression=zipfile.ZIP_DEFLATED), "would unpack to 268435456 bytes")
    assert path.stat().st_size < 2**20
    refused(made.keras_file(path, compression=zipfile.ZIP_BZIP2), "packed in another way")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    refused(path, "no entry 'model.weights.h5'")


def replace(name, make):
    def change(root):
        del root[name]
        make(root, name)

    return change


def soft(root, name):
    root[name] = h5py.SoftLink("/layers/dense_1/vars/0")


def external(root, name):
    root[name] = h5py.ExternalLink("other.h5", "/x")


def virtual(root, name):
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 4))
    root.create_virtual_dataset(name, layout)


def in_another_file(root, name):
    root.create_dataset(name, (3, 4), "f4", external=[("/etc/hostname", 0, 48)])


def texts(root, name):
    root.create_dataset(name, (3, 4), h5py.string_dtype())


def pairs(root, name):
    root.create_dataset(name, (3, 4), np.dtype([("a", "f4"), ("b", "f4")]))


def references(root, name):
    root.create_dataset(name, (3, 4), h5py.ref_dtype)


def long_double(root, name):
    root.create_dataset(name, (3, 4), np.longdouble)


def huge(root, name):
    root.create_dataset(name, (2**40,), "f4", chunks=(1024,), compression="gzip")


def huge_chunk(root, name):
    root.create_dataset(name, (3, 4), "f4", maxshape=(None, None), chunks=(2**14, 2**14), compression="gzip")


def many_axes(root, name):
    root.create_dataset(name, (1,) * 20, "f4")


def group(root, name):
    root.create_group(name)


BAD = {
    soft: "is a link", external: "is a link", virtual: "virtual array", in_another_file: "lies in another file",
    texts: "no plain numbers", pairs: "no plain numbers", references: "no plain numbers",
    long_double: "no plain numbers", huge: "more than a file of this size", huge_chunk: "more than a file of this size",
    many_axes: "20 axes", group: "is no array",
}  # fmt: skip


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_hostile_arrays(tmp_path, make):
    network = model()
    before = lw.fingerprint(network)
    path = made.changed_weights3(tmp_path / "w.weights.h5", replace("layers/dense/vars/0", make))
    refused(path, BAD[make], network.load_weights)
    assert lw.fingerprint(network) == before
    refused(made.keras_file(tmp_path / "m.keras", weights=path.read_bytes()), BAD[make])


@pytest.mark.parametrize("make", [soft, external, texts], ids=lambda make: make.__name__)
def test_hostile_groups(tmp_path, make):
    path = made.changed_weights3(tmp_path / "w.weights.h5", replace("layers/dense", make))
    refused(path, "is a link|is no group|has 0 weights", model().load_weights)


def test_many_arrays_that_share_their_bytes(tmp_path):
    """Each is small enough, all together are not."""

    width = 2**20

    def change(root):
        del root["layers"]
        kernel = root.create_dataset("kernel", (1, width), "f4", chunks=(1, width), compression="gzip")
        bias = root.create_dataset("bias", (width,), "f4", chunks=(width,), compression="gzip")
        kernel[:], bias[:] = 0, 0
        for i in range(40):
            path = f"layers/dense{f'_{i}' if i else ''}/vars"
            root[f"{path}/0"], root[f"{path}/1"] = kernel, bias

    path = made.changed_weights3(tmp_path / "w.weights.h5", change)
    entry = {"batch_shape": [None, 1], "name": "i"}
    layers = [made.keras3("keras.layers", "InputLayer", entry)]
    layers += [made.dense3(f"d{i}", width, "linear", 1) for i in range(40)]
    config = made.keras3("keras", "Sequential", {"name": "n", "layers": layers, "build_input_shape": [None, 1]})
    refused(made.keras_file(tmp_path / "m.keras", config, path.read_bytes()), "too large|more than a file of this size")


def test_a_damaged_state_of_the_optimizer_leaves_the_weights_alone(tmp_path):
    network = model()
    network.compile("adam", "sparse_categorical_crossentropy")
    before = lw.fingerprint(network)
    for name, value in (("0", np.array(-3)), ("1", np.array(np.nan, "f4")), ("2", None)):
        change = replace(
            f"optimizer/vars/{name}", texts if value is None else lambda r, n, v=value: r.__setitem__(n, v)
        )
        path = made.changed_weights3(tmp_path / "w.weights.h5", change)
        refused(path, "number of steps|learning rate is nan|no plain numbers", network.load_weights)
        assert lw.fingerprint(network) == before and network.optimizer.iterations == 0


def test_hostile_legacy_files(tmp_path):
    path = tmp_path / "m.h5"

    def broken(change, text):
        made.h5_file(path)
        with h5py.File(path, "r+") as root:
            change(root)
        refused(path, text)

    def attribute(name, value):
        return lambda root: root.attrs.__setitem__(name, value)

    broken(attribute("model_config", 3), "is no text")
    broken(attribute("model_config", "{"), "no intact")
    broken(attribute("model_config", np.zeros(0)), "is no text")
    broken(attribute("model_config", "[" * 50_000), "RecursionError|JSONDecodeError")
    broken(attribute("model_config", "x" * (17 * 2**20)), "too long")
    broken(attribute("training_config", "[]"), "holds no object")
    broken(lambda root: root["model_weights"].attrs.__setitem__("layer_names", [b"../../x", b"out"]), "is no path")
    broken(lambda root: root["model_weights"].attrs.__setitem__("layer_names", [b"other", b"out"]), "KeyError|other")
    broken(lambda root: root["model_weights/out"].attrs.__setitem__("weight_names", [b"out/kernel:0", b"no"]), "no")
    broken(replace("model_weights", external), "is a link")
    broken(replace("model_weights/out/out", soft), "is a link")
    broken(lambda root: root.__delitem__("model_weights"), "no group 'model_weights'")
    made.h5_file(path, made.config3()["config"])
    refused(path, "describes no model")
    config = made.config2()
    config["config"]["layers"][1] = {"class_name": "Lambda", "config": {"function": ["4wEAAAAB", None, None]}}
    made.h5_file(path, config)
    refused(path, "Python code")


def test_loading_takes_little_memory(tmp_path):
    """Peak of a load in a fresh process: at most twice the file and 64 MB above the imports."""
    network = lw.Sequential([lw.layers.Dense(3000, input_shape=(3000,), kernel_initializer="zeros")])
    for name in ("m.keras", "m.h5"):
        path = tmp_path / name
        network.save(path)
        code = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "import resource, numpy, json, zipfile, h5py, lanewise as lw; lw.Sequential, lw.saving.model\n"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
            "before = peak(); m = lw.load_model(sys.argv[1]); print(peak() - before)"
        )
        out = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        assert int(out.stdout) <= 2 * path.stat().st_size + 64 * 2**20


def test_nothing_of_a_file_is_imported_or_run(tmp_path, monkeypatch):
    """A module that would notice its import stands where an import by name would find it."""
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    refused(
        changed(tmp_path / "m.keras", lambda c: layer(c).update(module="trap", class_name="Dense2")), "unknown name"
    )
    path = changed(tmp_path / "m.keras", lambda c: layer(c).update(module="trap"))
    assert lw.load_model(path).layers[0].name == "hidden"  # the class name alone counts
    assert "trap" not in sys.modules
