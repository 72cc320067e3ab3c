"""Files as Keras 2 and 3 lay them out, written by hand: nothing of Keras or lanewise is used to make them.

The network is 3-4-2: relu, then softmax, with weights that are fractions of small integers. `GOLDEN` is what Keras
predicts from these files (Keras 3.15 from the `.keras` file, tf_keras 2.21 from the `.h5` file) for the rows of `X`.
"""

import copy
import io
import json
import zipfile

import h5py
import numpy as np

import lanewise as lw

Y = np.array([0, 1, 0])
X = np.array([[1, -2, 0.5], [0, 0, 0], [-1.5, 3, 2]], np.float32)
GOLDEN = np.array([[0.16238004, 0.83761996], [0.26588047, 0.73411953], [0.01757688, 0.98242307]], np.float32)


def values(*shape, start=0):
    """Eighths from -1 up, in an order that no transposition keeps."""
    n = int(np.prod(shape))
    return (((np.arange(n) * 5 + start) % 17 - 8) / 8).reshape(shape).astype(np.float32)


WEIGHTS = {
    "hidden": [values(3, 4), values(4, start=3)],
    "out": [values(4, 2, start=7), values(2, start=1)],
}
SLOTS = [values(*w.shape, start=i) ** 2 for i, w in enumerate(w for layer in WEIGHTS.values() for w in layer)]


def state_of_adam():
    """Iteration, learning rate, then m and v of each weight, as Keras 3 numbers them."""
    pairs = [array for slot in SLOTS for array in (slot / 16, slot)]
    return [np.array(7, np.int32), np.array(0.002, np.float32), *pairs]


# --- Keras 3 ----------------------------------------------------------------------------------------------------


def keras3(module, name, config, **more):
    return {"module": module, "class_name": name, "config": config, "registered_name": None, **more}


POLICY = keras3("keras", "DTypePolicy", {"name": "float32"}, shared_object_id=1234)


def dense3(name, units, activation, width, **more):
    config = {
        "name": name, "trainable": True, "dtype": POLICY, "units": units, "activation": activation, "use_bias": True,
        "kernel_initializer": keras3(
            "keras.initializers", "GlorotUniform", {"seed": None, "input_axes": None, "output_axes": None}
        ),
        "bias_initializer": keras3("keras.initializers", "Zeros", {}),
        "kernel_regularizer": None, "bias_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
        "quantization_config": None, **more,
    }  # fmt: skip
    return keras3("keras.layers", "Dense", config, build_config={"input_shape": [None, width]})


def config3():
    """config.json, a new one at each call."""
    entry = {"batch_shape": [None, 3], "dtype": "float32", "sparse": False, "ragged": False, "name": "input_layer",
             "optional": False}  # fmt: skip
    layers = [
        keras3("keras.layers", "InputLayer", entry),
        dense3("hidden", 4, "relu", 3, kernel_regularizer=keras3("keras.regularizers", "L2", {"l2": 0.01})),
        keras3(
            "keras.layers",
            "Dropout",
            {"name": "dropout", "trainable": True, "dtype": POLICY, "rate": 0.25, "seed": None, "noise_shape": None},
        ),
        dense3("out", 2, "softmax", 4),
    ]
    adam = {
        "name": "adam", "learning_rate": 0.0020000000949949026, "weight_decay": None, "clipnorm": None,
        "global_clipnorm": None, "clipvalue": None, "use_ema": False, "ema_momentum": 0.99,
        "ema_overwrite_frequency": None, "loss_scale_factor": None, "gradient_accumulation_steps": None,
        "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-07, "amsgrad": False,
    }  # fmt: skip
    return copy.deepcopy(keras3(
        "keras", "Sequential",
        {"name": "net", "trainable": True, "dtype": POLICY, "layers": layers, "build_input_shape": [None, 3]},
        build_config={"input_shape": [None, 3]},
        compile_config={
            "optimizer": keras3("keras.optimizers", "Adam", adam), "loss": "sparse_categorical_crossentropy",
            "loss_weights": None, "metrics": ["accuracy"], "weighted_metrics": None, "run_eagerly": False,
            "steps_per_execution": 1, "jit_compile": True,
        },
    ))  # fmt: skip


def weights3(target, optimizer=True, change=lambda array: array, named=True):
    """model.weights.h5 into a path or a file object."""
    with h5py.File(target, "w") as root:

        def group(path, name, arrays):
            made = root.create_group(path)
            if named:
                made.attrs["name"] = name
            for i, array in enumerate(arrays):
                made[str(i)] = array

        group("vars", "net", [])
        group("layers/dense/vars", "hidden", map(change, WEIGHTS["hidden"]))
        group("layers/dense_1/vars", "out", map(change, WEIGHTS["out"]))
        group("layers/dropout/vars", "dropout", [])
        if optimizer:
            group("optimizer/vars", "adam", state_of_adam())


def changed_weights3(path, change):
    """A `.weights.h5` file that is like that of `weights3` except for what `change(root)` does. Returns its path."""
    weights3(path)
    with h5py.File(path, "r+") as root:
        change(root)
    return path


def keras_file(path, config=None, weights=None, **options):
    """A `.keras` file; `options` go to ZipFile."""
    if weights is None:
        made = io.BytesIO()
        weights3(made)
        weights = made.getvalue()
    text = config if isinstance(config, bytes) else json.dumps(config3() if config is None else config).encode()
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}')
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", weights)
    return path


# --- Keras 2 ----------------------------------------------------------------------------------------------------


def dense2(name, units, activation, **more):
    def entry(cls, config):
        return {"class_name": cls, "config": config}

    return entry("Dense", {
        "name": name, "trainable": True, "dtype": "float32", "units": units, "activation": activation,
        "use_bias": True, "kernel_initializer": entry("VarianceScaling", {
            "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None, "dtype": "float32",
        }),
        "bias_initializer": entry("Zeros", {"dtype": "float32"}), "kernel_regularizer": None,
        "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
        **more,
    })  # fmt: skip


def config2():
    """Keras 2.2 and tf.keras 1.x: no InputLayer, the shape at the first layer."""
    layers = [
        dense2("hidden", 4, "relu", batch_input_shape=[None, 3]),
        {"class_name": "Dropout", "config": {"name": "dropout", "trainable": True, "dtype": "float32", "rate": 0.25,
                                             "noise_shape": None, "seed": None}},
        dense2("out", 2, "softmax"),
    ]  # fmt: skip
    return {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}


def training2(**adam):
    config = {"lr": 0.0020000000949949026, "beta_1": 0.9, "beta_2": 0.999, "decay": 0.0, "epsilon": 1e-07,
              "amsgrad": False, **adam}  # fmt: skip
    return {
        "optimizer_config": {"class_name": "Adam", "config": config}, "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"], "weighted_metrics": None, "sample_weight_mode": None, "loss_weights": None,
    }  # fmt: skip


def slot_names(style):
    """(names, arrays) of Adam's state as the Kerases before 3 wrote them."""
    weights = ["hidden/kernel", "hidden/bias", "out/kernel", "out/bias"]
    m, v = [slot / 16 for slot in SLOTS], SLOTS
    if style == "2.11":  # alternating, the kind in front
        names = [f"Adam/{kind}/{weight}:0" for weight in weights for kind in "mv"]
        return ["iteration:0", *names], [np.array(7), *(array for pair in zip(m, v, strict=True) for array in pair)]
    if style == "2.4":  # kind by kind, the kind at the end
        return ["Adam/iter:0", *(f"Adam/{w}/{kind}:0" for kind in "mv" for w in weights)], [np.array(7), *m, *v]
    unnamed = [f"training/Adam/Variable{f'_{i}' if i else ''}:0" for i in range(8)]  # multi-backend Keras 2.2
    return ["Adam/iterations:0", *unnamed], [np.array(7), *m, *v]


def h5_file(path, config=None, training=None, style="2.11", change=lambda array: array, chunked=False):
    """A whole model as `model.save("m.h5")` of Keras 2."""

    def arrays(group, names, contents):
        data = np.array([name.encode() for name in names])
        if chunked and len(data):
            for i, part in enumerate(np.array_split(data, 2)):
                group.attrs[f"weight_names{i}"] = part
        else:
            group.attrs["weight_names"] = data if len(data) else np.zeros(0)
        for name, content in zip(names, contents, strict=True):
            group.create_dataset(name, data=content)

    with h5py.File(path, "w") as root:
        root.attrs["keras_version"] = b"2.2.4"
        root.attrs["backend"] = b"tensorflow"
        if config is not False:
            root.attrs["model_config"] = json.dumps(config2() if config is None else config).encode()
            root.attrs["training_config"] = json.dumps(training2() if training is None else training).encode()
        group = root.create_group("model_weights") if config is not False else root
        group.attrs["layer_names"] = [b"hidden", b"dropout", b"out"]
        group.attrs["keras_version"] = b"2.2.4"
        arrays(group.create_group("dropout"), [], [])
        for name, weights in WEIGHTS.items():
            names = [f"{name}/kernel:0", f"{name}/bias:0"]
            arrays(group.create_group(name), names, [change(weight) for weight in weights])
        if config is not False and style is not None:
            arrays(root.create_group("optimizer_weights"), *slot_names(style))
    return path


def graph2():
    """The same network as a functional model of tf.keras 2: `out` stands in a Sequential `inner`, whose call is 1."""
    entry = {"dtype": "float32", "sparse": False, "ragged": False}
    outer = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "input_1", **entry}}
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "out_input", **entry}}
    inner = {"name": "inner", "layers": [first, dense2("out", 2, "softmax", batch_input_shape=[None, 4])]}
    layers = [
        {**outer, "name": "input_1", "inbound_nodes": []},
        {**dense2("hidden", 4, "relu"), "name": "hidden", "inbound_nodes": [[["input_1", 0, 0, {}]]]},
        {"class_name": "Sequential", "config": inner, "name": "inner", "inbound_nodes": [[["hidden", 0, 0, {}]]]},
    ]
    config = {"name": "net", "trainable": True, "layers": layers, "input_layers": [["input_1", 0, 0]],
              "output_layers": [["inner", 1, 0]]}  # fmt: skip
    return {"class_name": "Functional", "config": config}


def graph_file(path):
    """A functional model as `model.save("m.h5")` of tf.keras 2 wrote it."""
    h5_file(path, graph2(), style="2.4")
    with h5py.File(path, "r+") as root:
        group = root["model_weights"]
        group.attrs["layer_names"] = [b"input_1", b"hidden", b"inner"]
        group.move("dropout", "input_1")
        group.move("out", "inner")
    return path


# --- the network of these files, made here -------------------------------------------------------------------------


def network():
    """The network of these files with other weights, compiled."""
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
