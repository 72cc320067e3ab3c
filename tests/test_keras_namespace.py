"""Where Keras scripts look: the same objects under every spelling, and missing names that say what exists instead."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import lanewise as lw


def python(code):
    """Output of a fresh interpreter; the import path is this one's."""
    code = f"import sys; sys.path[:] = {sys.path!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_spellings_are_the_same_objects():
    import lanewise as tf
    from lanewise import keras
    from lanewise.keras import Input, Sequential, layers
    from lanewise.keras.callbacks import EarlyStopping
    from lanewise.keras.layers import Dense
    from lanewise.keras.models import load_model

    assert tf.keras.layers.Dense is keras.layers.Dense is layers.Dense is Dense is lw.layers.Dense
    assert tf.keras.Sequential is keras.models.Sequential is Sequential is lw.models.Sequential is lw.Sequential
    assert tf.keras.Input is Input is lw.layers.Input is lw.Input
    assert tf.keras.callbacks.EarlyStopping is EarlyStopping is lw.callbacks.EarlyStopping
    assert tf.keras.models.load_model is load_model is lw.load_model is lw.saving.load_model
    assert tf.keras.optimizers.Adam is lw.optimizers.Adam
    assert tf.keras.losses.MeanSquaredError is lw.losses.MeanSquaredError
    assert tf.keras.metrics.MeanSquaredError is lw.metrics.MeanSquaredError
    assert tf.keras.initializers.HeNormal is lw.initializers.HeNormal
    assert tf.keras.regularizers.l2 is lw.regularizers.l2
    assert tf.keras.activations.relu is lw.activations.relu is tf.nn.relu
    assert tf.keras.utils.to_categorical is lw.utils.to_categorical
    assert tf.random.set_seed is tf.keras.random.set_seed is lw.random.set_seed
    assert tf.__version__ == tf.keras.__version__ == lw.build_info()["version"]


NAMES = [
    "activations", "callbacks", "initializers", "layers", "losses", "metrics", "optimizers", "regularizers", "saving",
    "utils",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_keras_submodule_has_every_public_name(name):
    ours, theirs = importlib.import_module(f"lanewise.{name}"), importlib.import_module(f"lanewise.keras.{name}")
    assert ours.__all__ and set(ours.__all__) <= set(theirs.__all__)
    for entry in ours.__all__:
        if (name, entry) != ("losses", "get"):  # Keras's gives functions for their names
            assert getattr(theirs, entry) is getattr(ours, entry)


def test_every_public_name_resolves_and_is_listed():
    modules = (
        lw, lw.keras, lw.nn, lw.config, lw.utils, lw.random, lw.keras.backend, lw.keras.config, lw.keras.datasets,
        lw.keras.models, lw.keras.ops, lw.keras.preprocessing, lw.keras.preprocessing.sequence, lw.keras.random,
    )  # fmt: skip
    for module in modules:
        for name in module.__all__:
            assert getattr(module, name) is not None
            assert name in dir(module)


def test_import_is_lazy():
    out = python("import numpy, lanewise; print(sorted(m for m in sys.modules if m.partition('.')[0] == 'lanewise'))")
    assert out.strip() == "['lanewise']"


def test_import_and_first_model_load_nothing_heavy():
    out = python(
        "import numpy; before = set(sys.modules); import lanewise as lw\n"
        "lw.Sequential([lw.layers.Dense(1, input_shape=(2,))]).compile('adam', 'mse')\n"
        "print(sorted((set(sys.modules) - before) & {'json', 'zipfile', 'hashlib', 'difflib', 'tempfile', 'argparse',"
        " 'importlib.metadata', 'multiprocessing', 'asyncio', 'safetensors', 'pandas'}))"
    )
    assert out.strip() == "[]"


@pytest.mark.long  # asserts a time: CI never does
def test_import_takes_at_most_15_ms_more_than_numpy():
    code = (
        "import numpy; from time import perf_counter; begun = perf_counter(); import lanewise; lanewise.ops\n"
        "print(perf_counter() - begun)"
    )
    assert min(float(python(code)) for _ in range(5)) < 0.015


# --- what is not there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("lanewise.GradientTape", "value_and_grad"),
        ("lanewise.data", "fit takes arrays"),
        ("lanewise.function", "remove @tf.function"),
        ("lanewise.Variable", "NumPy"),
        ("lanewise.keras.preprocessing.text", "Normalization"),
        ("lanewise.keras.preprocessing.image", "Normalization"),
        ("lanewise.keras.layers.Conv2D", "Dense, Activation"),
        ("lanewise.keras.layers.LSTM", "Dense, Activation"),
        ("lanewise.keras.layers.LSTM", "Dense, Activation"),
        ("lanewise.keras.callbacks.RemoteMonitor", "History"),
        ("lanewise.keras.optimizers.Lamb", "Adam, AdamW, SGD"),
        ("lanewise.keras.utils.model_to_dot", "plot_model"),
        ("lanewise.nn.conv2d", "relu"),
    ],
)
def test_missing_names_say_what_exists_instead(path, text):
    module_name, _, name = path.rpartition(".")
    module = importlib.import_module(module_name)
    with pytest.raises(AttributeError) as by_attribute:
        getattr(module, name)
    assert text in str(by_attribute.value) and repr(name) in str(by_attribute.value)
    with pytest.raises(ImportError) as by_import:
        exec(f"from {module_name} import {name}", {})
    assert text in str(by_import.value) and repr(name) in str(by_import.value)
    assert not hasattr(module, name)
    assert getattr(module, name, None) is None


def test_missing_submodules_say_so_when_imported():
    for code in (
        "import lanewise.keras.wrappers",
        "from lanewise.keras.wrappers.scikit_learn import KerasRegressor",
    ):
        with pytest.raises(ImportError, match=r"module 'lanewise.keras' has no '\w+': "):
            exec(code, {})


def test_misspelt_names_get_the_near_match():
    with pytest.raises(AttributeError, match=r"has no 'Sequental'. Did you mean 'Sequential'"):
        lw.Sequental  # noqa: B018
    with pytest.raises(ImportError, match=r"has no 'dense'. Did you mean 'Dense'"):
        from lanewise.keras.layers import dense  # noqa: F401
    with pytest.raises(AttributeError, match=r"has no '_nothing'$"):
        lw._nothing  # noqa: B018


# --- backend, config, utils -------------------------------------------------------------------------------------


def test_clear_session_begins_names_again():
    lw.keras.backend.clear_session()
    assert [lw.layers.Dense(1).name for _ in range(2)] == ["dense", "dense_1"]
    lw.keras.backend.clear_session()
    assert lw.layers.Dense(1).name == "dense"
    assert lw.keras.backend.floatx() == "float32"
    with pytest.raises(NotImplementedError, match="float64"):
        lw.keras.backend.set_floatx("float64")


def test_config():
    assert lw.config.list_physical_devices("GPU") == []
    assert lw.config.list_physical_devices() == ["CPU:0"]
    before = lw.get_num_threads()
    try:
        lw.config.threading.set_intra_op_parallelism_threads(1)
        assert lw.get_num_threads() == lw.config.threading.get_intra_op_parallelism_threads() == 1
    finally:
        lw.set_num_threads(before)


def test_set_random_seed_seeds_everything():
    import random

    def draw():
        lw.utils.set_random_seed(7)
        model = lw.Sequential([lw.layers.Dense(3, input_shape=(2,))])
        return random.random(), np.random.random(), lw.fingerprint(model)

    assert draw() == draw()
    for bad in (-1, 2**32, 1.5, "1"):
        with pytest.raises((ValueError, TypeError), match="seed: expected"):
            lw.utils.set_random_seed(bad)


def test_to_categorical():
    one_hot = lw.utils.to_categorical
    assert one_hot([0, 2, 1]).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert one_hot(np.array([[1], [0]]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert one_hot([[0, 1], [1, 0]]).shape == (2, 2, 2)
    assert one_hot([1.0]).tolist() == [[0, 1]]
    assert one_hot([True, False]).tolist() == [[0, 1], [1, 0]]
    for bad, error in (([-1], ValueError), ([3], ValueError), ([0.5], TypeError), (["a"], TypeError), ([], ValueError)):
        with pytest.raises(error, match="x: expected"):
            one_hot(bad, 3)


def test_normalize():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert lw.utils.normalize(x).tolist() == [[0.6, 0.8], [0.0, 0.0]]
    assert lw.utils.normalize(x, axis=0, order=1).tolist() == [[1.0, 1.0], [0.0, 0.0]]


# --- fingerprint ------------------------------------------------------------------------------------------------


def test_fingerprint_is_what_it_says():
    import hashlib

    model = lw.Sequential([lw.layers.Dense(2, input_shape=(3,))])
    kernel, bias = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1.0, -0.0], np.float32)
    model.set_weights([kernel, bias])
    text = b"kernel 3x2\n" + kernel.astype("<f4").tobytes() + b"bias 2\n" + bias.astype("<f4").tobytes()
    assert lw.fingerprint(model) == hashlib.sha256(text).hexdigest()[:16]
    predictions = np.array([[1.0, 2.0]])
    more = hashlib.sha256(b"predictions 1x2\n" + predictions.astype("<f4").tobytes()).hexdigest()[:16]
    assert lw.fingerprint(model, predictions) == f"{lw.fingerprint(model)} {more}"
    assert lw.fingerprint(model, predictions.T) != lw.fingerprint(model, predictions)


def test_fingerprint_does_not_see_automatic_names_or_kinds_of_nan():
    def model(value):
        made = lw.Sequential([lw.layers.Dense(1, input_shape=(1,))])
        made.set_weights([[[value]], [0.0]])
        return made

    other_nan = np.array([0xFFC00001], np.uint32).view(np.float32)[0]
    assert lw.fingerprint(model(np.nan)) == lw.fingerprint(model(other_nan))
    assert lw.fingerprint(model(0.0)) != lw.fingerprint(model(-0.0))
    with pytest.raises(ValueError, match="not built"):
        lw.fingerprint(lw.Sequential([lw.layers.Dense(1)]))


def test_table_of_missing_names_lists_none_that_exists():
    from lanewise import _missing

    for name in (*NAMES, "_tensorflow", "keras", "keras.preprocessing", "random"):
        public = importlib.import_module(f"lanewise.{name}").__all__
        assert not [entry for entry in public if _missing.instead(entry)]
