"""What a person meets on the first day: the time of the import, what a slip of the hand is told, what shows itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise._check import check


def make(loss="mse"):
    model = lw.Sequential([lw.layers.Dense(4, input_shape=(3,)), lw.layers.Dense(1)])
    model.compile("adam", loss)
    return model


X = np.random.default_rng(0).random((40, 3), np.float32)
Y = X.sum(axis=1)


def test_the_import_alone_loads_next_to_nothing():
    root = str(Path(lw.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {root!r}); before = set(sys.modules); import lanewise; lanewise.__all__\n"
    code += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    found = {name for name in done.stdout.split() if not name.startswith("importlib")}
    assert found == {"lanewise", "warnings"} or found == {"lanewise"}, found


def test_dir_lists_what_there_is():
    assert {"sklearn", "tabular", "keras", "fit_many"} <= set(dir(lw))
    assert not {"TYPE_CHECKING", "Any"} & set(dir(lw))


# --- names that are not there -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("linalg.inv", "module 'lanewise.linalg' has no 'inv': use numpy.linalg.inv"),
        ("math.erfinv", "module 'lanewise.math' has no 'erfinv': .* NumPy or SciPy"),
        ("math.sqare", "module 'lanewise.math' has no 'sqare'. Did you mean 'square'"),
        ("einsum", "use numpy.einsum"),
        ("keras.ops.svd", "NumPy or SciPy"),
        ("nn.max_pool2d", "dense networks"),
        ("keras.tree", "lists and dicts"),
        ("Module", "subclass of Layer"),
        ("strings", "prepare arrays"),
        ("random_normal_initializer", "lanewise.initializers"),
    ],
)
def test_names_of_tensorflow_say_what_exists_instead_and_check_finds_them(name, text):
    with pytest.raises(AttributeError, match=text):
        eval(f"lw.{name}")
    found = check(f"import tensorflow as tf\ntf.{name}\n")
    assert [finding.line for finding in found] == [2]
    assert not check("import tensorflow as tf\ntf.math.erf, tf.linalg.norm, tf.test.is_gpu_available()\n")[1:]


def test_clone_model_is_where_models_are():
    assert lw.models.clone_model is keras.models.clone_model is lw.saving.clone_model
    assert "clone_model" in lw.models.__all__ and keras.models.Sequential is lw.Sequential
    from lanewise.keras.models import Model, load_model

    assert Model is lw.Model and load_model is lw.load_model
