"""`lanewise check`: many small scripts, each with the lines that will not work."""

import json
import subprocess
import sys
import textwrap

import pytest

from lanewise import _cli
from lanewise._check import check

GOOD = {
    "the classic listing": """
        import tensorflow as tf
        model = tf.keras.Sequential([
            tf.keras.layers.Dense(128, activation='relu', input_shape=(1000,)),
            tf.keras.layers.Dense(1)
        ])
        metrics = ['mae', tf.keras.metrics.MeanAbsoluteError(name='x')]
        model.compile(optimizer='adam', loss='mean_squared_error', metrics=metrics)
        model.fit(x_train, y_train, epochs=10, batch_size=32, verbose=0, validation_split=0.1)
        print(model.evaluate(x_test, y_test)[0], tf.__version__)
        """,
    "imports of every kind": """
        import keras, numpy as np
        import tensorflow.keras.backend as K
        from tensorflow import keras as k
        from tensorflow.keras.layers import *
        from keras.utils import np_utils
        from tensorflow.python.keras.layers import Dense as D
        from sklearn.preprocessing import StandardScaler
        x = k.Sequential(); x.add(Dense(3)); K.clear_session(); np_utils.to_categorical(y); keras.layers.Dropout(0.5)
        """,
    "names of other things": """
        import torch as tf
        from mine import Sequential, layers
        model = Sequential(1, 2, banana=3)
        tf.nn.Conv2d(3)
        layers.Nothing()
        """,
    "a name that is taken by something else": """
        from tensorflow.keras import layers
        layers = make_layers()
        layers.Nothing()
        for layers in range(3):
            layers.real
        def f(layers, keras=None):
            return layers.Conv2D
        """,
    "arguments that are not known before it runs": """
        from keras.layers import Dense
        Dense(units, **options)
        Dense(*sizes)
        Dense(n, activation=chosen, kernel_regularizer=some())
        """,
    "functions and scopes": """
        from tensorflow import keras
        def build(n):
            model = keras.models.Sequential()
            model.add(keras.layers.Dense(n, kernel_regularizer=keras.regularizers.l2(0.01)))
            model.compile('rmsprop', 'binary_crossentropy', ['acc'])
            return model
        model = build(3)
        model.anything_goes()
        class Stop(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = True
        """,
    "what a class or a mixin has itself": """
        import keras
        class Board(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.add_metric(logs)
        class Own(keras.layers.Layer):
            def add_loss(self, x):
                self.sums.append(x)
            def call(self, x):
                self.add_loss(x)
        class Mixed(Mixin, keras.layers.Layer):
            def call(self, x):
                self.add_loss(x)
        """,
    "functional models and pieces of one's own": """
        from tensorflow import keras
        from tensorflow.keras import layers, ops
        inputs = keras.Input((3,))
        outputs = layers.Dense(1, activation=lambda x: ops.exp(x))(layers.Dropout(0.5)(inputs))
        model = keras.Model(inputs=inputs, outputs=outputs, name='m')
        model.compile(loss=lambda t, p: ops.mean(t - p), optimizer='adam', metrics=[mine, 'mae'])
        model.fit(generator(), steps_per_epoch=3, validation_data=Data())
        class Mine(layers.Layer):
            def build(self, input_shape):
                self.w = self.add_weight(shape=(input_shape[-1],), initializer='ones')
            def call(self, inputs, training=False):
                return inputs * self.w
        class MyLoss(keras.losses.Loss):
            def call(self, y_true, y_pred):
                return ops.square(y_true - y_pred)
        """,
    "no Keras at all": "print(1)",
    "nothing": "",
}  # fmt: skip

BAD = {
    "missing layers, at the import": (
        "from tensorflow.keras.layers import Dense, LSTM\nDense(1)\nLSTM(3)",
        [(1, "has no 'LSTM': lanewise computes dense networks")],
    ),
    "missing layers, by attribute": (
        "import keras\nkeras.layers.Conv2D(3, 3)\n",
        [(2, "module 'lanewise.keras.layers' has no 'Conv2D': lanewise computes dense networks")],
    ),
    "each line once": (
        "import tensorflow as tf\nlayers = tf.keras.layers\nlayers.GRU(1)\nlayers.GRU(2)",
        [(3, "GRU"), (4, "GRU")],
    ),
    "a missing module": (
        "from tensorflow.keras.applications import VGG16\nimport keras.applications.vgg16",
        [(1, "no pretrained models"), (2, "no pretrained models")],
    ),
    "tape, function, data": (
        """
        import tensorflow as tf
        @tf.function
        def step(x):
            with tf.GradientTape() as tape:
                return tape
        tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
        """,
        [(3, "remove @tf.function"), (5, "value_and_grad"), (7, "fit takes arrays")],
    ),
    "misspelt names": ("import keras\nkeras.Sequental()", [(2, "Did you mean 'Sequential'")]),
    "unknown arguments": (
        "from keras.layers import Dense\nDense(n, activaton='relu')\nDense(10, init='uniform')",
        [(2, "Dense: unknown argument 'activaton'. Did you mean 'activation'"), (3, "'kernel_initializer'")],
    ),
    "arguments with values that are refused": (
        """
        import keras
        keras.layers.Dense(-3)
        keras.layers.Dropout(1.5)
        keras.layers.Dense(3, activation='rleu')
        keras.layers.Dense(n, activation='rleu')
        keras.layers.Dense(n, kernel_initializer='he_norml')
        keras.layers.Activation('rleu')
        keras.optimizers.Adam(learning_rate=-1.0)
        """,
        [(3, "units"), (4, "rate"), (5, "rleu"), (6, "Dense: activation: unknown name 'rleu'"),
         (7, "Did you mean 'he_normal'"), (8, "rleu"), (9, "learning_rate")],
    ),
    "compile": (
        """
        from keras.models import Sequential
        model = Sequential()
        model.compile(optimizer='adm', loss='mean_sqared_error', metrics=['accurcy', ['mae']])
        """,
        [(4, "mean_sqared_error"), (4, "accurcy"), (4, "adm")],
    ),
    "methods and their arguments": (
        """
        from keras.models import Sequential
        model = Sequential()
        model.fit(x, y, nb_epoch=3)
        model.fitt(x)
        model.predict(x, bach_size=3)
        """,
        [(4, "Did you mean 'epochs'"), (5, "Sequential has no method 'fitt'"), (6, "Did you mean 'batch_size'")],
    ),
    "paths, lengths and penalties": (
        """
        import keras
        model = keras.Sequential([keras.Input((None,)), keras.layers.Dense(1)])
        model.save('m')
        model.save_weights('m.keras')
        model.save('m.keras')
        class Penalty(keras.layers.Layer):
            def call(self, x):
                self.add_loss(x)
                return x
        model.save(filepath='m')
        model.save('m.keras', save_format='tf')
        """,
        [(3, "give its length"), (4, "*.keras"), (5, "whole models"), (9, "activity_regularizer"), (11, "*.keras"),
         (12, "save_format: 'tf'")],
    ),
    "types of numbers": (
        "import tensorflow as tf\ntf.keras.backend.set_floatx('float64')\ntf.keras.backend.set_floatx('float32')",
        [(2, "set_floatx: value: layers compute in float32, received 'float64'")],
    ),
    "packages around it": (
        "import tensorflow_datasets as tfds\nfrom keras_tuner import Hyperband",
        [(1, "tensorflow_datasets: works with TensorFlow"), (2, "keras_tuner")],
    ),
    "star imports": ("from keras.layers import *\nDense(1, bananas=2)", [(2, "bananas")]),
    "nested in calls": (
        "import keras\nkeras.Sequential([keras.layers.Dense(3, activation=keras.activations.rellu)])",
        [(2, "rellu")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_said_about_what_works(name):
    assert check(textwrap.dedent(GOOD[name])) == []


@pytest.mark.parametrize("name", BAD)
def test_lines_that_will_not_work(name):
    source, expected = BAD[name]
    found = check(textwrap.dedent(source))
    assert [line for line, _ in found] == [line for line, _ in expected], found
    for (_, text), (_, part) in zip(found, expected, strict=True):
        assert part in text


def test_nothing_of_the_script_runs(tmp_path):
    witness = tmp_path / "witness"
    check(
        f"import keras\nopen({str(witness)!r}, 'w')\nkeras.datasets.mnist.load_data()\nkeras.utils.get_file('a', 'b')"
    )
    assert not witness.exists()


def notebook(*cells):
    made = [{"cell_type": kind, "source": source, "metadata": {}} for kind, source in cells]
    return json.dumps({"cells": made, "nbformat": 4, "nbformat_minor": 5, "metadata": {}})


def test_notebooks(tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_text(
        notebook(
            ("markdown", "# import keras; keras.layers.Conv2D"),
            ("code", ["%matplotlib inline\n", "!pip install keras\n", "import keras\n", "keras.Model?"]),
            ("code", "%%bash\nthis is no Python"),
            ("code", "if True:\n    !ls\nkeras.layers.Conv3D()\n"),
        )
    )
    assert _cli.main(["check", str(path)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}: cell 3 line 3: module 'lanewise.keras.layers' has no 'Conv3D'")


def test_exit_codes(tmp_path, capsys):
    good, bad, broken = (tmp_path / name for name in ("good.py", "bad.py", "broken.py"))
    good.write_text("import keras")
    bad.write_text("import keras\nkeras.layers.LSTM(1)")
    broken.write_text("import (")
    assert _cli.main(["check", str(good)]) == 0
    fine = f"{good}: nothing found that will not work\n"
    assert capsys.readouterr().out == fine
    assert _cli.main(["check", str(good), str(bad)]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"{fine}{bad}:2: ") and out.count("\n") == 2
    assert _cli.main(["check", str(broken), str(bad)]) == 2
    captured = capsys.readouterr()
    assert f"{broken}:1: " in captured.err and f"{bad}:2: " in captured.out
    assert _cli.main(["check", str(tmp_path / "none.py")]) == 2
    (tmp_path / "a.ipynb").write_text("[]")
    assert _cli.main(["check", str(tmp_path / "a.ipynb")]) == 2


def test_as_a_command(tmp_path):
    script = tmp_path / "a.py"
    script.write_text("import keras\nkeras.layers.LSTM()")
    run = f"from lanewise import _cli; sys.exit(_cli.main(['check', {str(script)!r}]))"
    code = f"import sys; sys.path[:] = {sys.path!r}; {run}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "LSTM" in done.stdout and done.stderr == ""


def test_what_cannot_be_read_is_one_line(tmp_path, capsys):
    files = {
        "deep.py": "x = " + "-" * 200_000 + "1",
        "wide.py": "x = " + "+".join(["1"] * 100_000),
        "nul.py": "x = 1\0",
        "cookie.py": "# coding: nothing-known\nx = 1",
        "deep.ipynb": "[" * 200_000,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert _cli.main(["check", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and name in said, said[:300]
    (tmp_path / "latin.py").write_bytes("# coding: latin-1\nname = 'é'\n".encode("latin-1"))
    assert _cli.main(["check", str(tmp_path / "latin.py")]) == 0
