"""What Keras's objects have works here, or the error says what to use instead; errors name what exists."""

import errno
import os

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras

X = np.ones((6, 3), np.float32)
Y = np.ones((6, 1), np.float32)


def trained():
    model = keras.Sequential([
        keras.layers.Dense(2, kernel_regularizer="l2", input_shape=(3,), name="a"), keras.layers.Dense(1)
    ])  # fmt: skip
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    return model


def test_what_scripts_read_of_a_model():
    model = trained()
    kernel = model.get_layer("a").kernel
    assert model.loss == "mse" and keras.Sequential().loss is None
    np.testing.assert_allclose(model.losses, [0.01 * np.square(kernel.numpy()).sum()], rtol=1e-6)
    assert model.layers[0].losses == model.losses and model.layers[1].losses == []
    assert model.dtype == model.layers[0].compute_dtype == "float32"
    assert model.layers[0].path == "a" and kernel.ndim == 2
    assert (model.run_eagerly, model.supports_masking) == (False, False)
    np.testing.assert_array_equal(kernel.value, kernel.numpy())
    kernel.assign_add(np.ones((3, 2)))
    kernel.assign_sub(np.ones((3, 2)))


def test_what_scripts_read_of_an_optimizer():
    model = trained()
    optimizer = model.optimizer
    assert optimizer.iterations == 1 and int(optimizer.iterations.numpy()) == 1
    assert (optimizer.beta_1, optimizer.epsilon, optimizer.clipnorm) == (0.9, 1e-7, None)
    assert optimizer.built and not keras.optimizers.SGD().built
    names = [v.shape for v in optimizer.variables]  # as Keras: iterations, learning rate, two moments of each weight
    assert names == [(), (), (3, 2), (3, 2), (2,), (2,), (2, 1), (2, 1), (1,), (1,)]
    with pytest.raises(AttributeError, match=r"beta_1: fixed when the optimizer is made, Adam\(beta_1=0.5, ...\)"):
        optimizer.beta_1 = 0.5


def test_copies_of_initializers():
    initializer = keras.initializers.HeNormal(seed=3)
    np.testing.assert_array_equal(initializer.clone()((3, 2)), initializer((3, 2)))


@pytest.mark.parametrize(("name", "text"), [
    ("train_step", "model.value_and_grad"), ("export", r"model.save\(path\)"), ("add_loss", "activity_regularizer"),
    ("predict_classes", "np.argmax"), ("fit_generator", "take generators"), ("quantize", "float32"),
])  # fmt: skip
def test_what_a_model_lacks_says_what_to_use(name, text):
    with pytest.raises(AttributeError, match=f"'Sequential' object has no attribute '{name}': .*{text}"):
        getattr(trained(), name)


def test_other_objects():
    for obj, name, text in (
        (keras.layers.Dense(1), "enable_lora", "float32"),
        (keras.metrics.MeanSquaredError(), "total", "result"),
        (keras.optimizers.Adam(), "apply_gradients", "apply_gradients"),
        (keras.callbacks.EarlyStopping(), "monitor_op", "improves"),
    ):
        with pytest.raises(AttributeError, match=f"{type(obj).__name__}.*{name}.*{text}"):
            getattr(obj, name)
    assert not hasattr(keras.layers.Dense(1), "unheard_of")


def test_an_error_inside_a_property_is_not_hidden():
    class Mine(keras.layers.Layer):
        @property
        def size(self):
            return self.not_there

    with pytest.raises(AttributeError, match="has no attribute 'not_there'"):
        _ = Mine().size


@pytest.mark.parametrize(("module", "name", "text"), [
    (keras.layers, "GroupNormalization", "LayerNormalization"), (keras.utils, "split_dataset", "validation_split"),
    (keras.utils, "FeatureSpace", "Normalization in the model"), (keras.layers, "AveragePooling1D", "dense networks"),
    (keras.layers, "RandomFlip", "prepare arrays"), (keras.ops, "cross", "use numpy.cross"),
    (lw.ops, "relu", "use relu_forward and relu_backward"), (lw.ops, "matmull", "Did you mean .matmul"),
    (keras.ops, "cond", "use where"), (keras.ops, "slice", "start:stop"),
    (keras.layers, "BatchNorm", "Did you mean 'BatchNormalization'"), (keras.layers, "Dence", "Did you mean 'Dense'"),
])  # fmt: skip
def test_hints_are_about_what_was_meant(module, name, text):
    with pytest.raises(AttributeError, match=text):
        getattr(module, name)


@pytest.mark.parametrize("name", ["InputSpec", "GlobalMaxPooling3D", "JaxLayer"])
def test_another_name_is_no_hint(name):
    with pytest.raises(AttributeError) as caught:
        getattr(keras.layers, name)
    assert "Did you mean" not in str(caught.value) and len(str(caught.value)) > 60


def test_check_finds_attributes_and_pictures(tmp_path, capsys):
    from lanewise import _cli

    script = tmp_path / "script.py"
    script.write_text(
        "import keras\nm = keras.Sequential([keras.layers.Dense(1)])\nprint(m.metrics, m.losses)\nm.add_loss(3)\n"
        "keras.utils.plot_model(m, to_file='a.png')\nkeras.utils.plot_model(m, 'a.svg')\nm.train_function\n"
    )
    assert _cli.main(["check", str(script)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1] for line in lines] == ["4", "5", "7"] and "expected *.svg" in lines[1]

    script.write_text("import keras\nkeras.layers.Dense(3)\n")
    assert _cli.main(["check", str(script)]) == 0
    assert capsys.readouterr().out == f"{script}: nothing found that will not work\n"

    script.write_text("import keras\nprint 'x'\n")
    assert _cli.main(["check", str(script), str(tmp_path / "none.py")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith(f"{script}:2: not Python 3: ") and errors[0].endswith(": print 'x'")
    assert errors[1] == f"{tmp_path / 'none.py'}: {os.strerror(errno.ENOENT)}"


def test_dtypes_in_a_diagram():
    words = lw.Input((1,), dtype="string")
    model = lw.Model(words, lw.layers.StringLookup(vocabulary=["a"], output_mode="multi_hot")(words))
    svg = keras.utils.plot_model(model, None, show_dtype=True).svg
    assert svg.count(">string<") == 2 and "float32" not in svg


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (lambda: keras.layers.Dense(2), "units", 5),
        (lambda: keras.layers.Dense(2), "use_bias", False),
        (lambda: keras.layers.Embedding(5, 2), "output_dim", 3),
        (lambda: keras.layers.BatchNormalization(), "scale", False),
        (lambda: keras.layers.LayerNormalization(), "center", False),
        (lambda: keras.layers.LayerNormalization(center=False, scale=False), "scale", True),
    ],
)
def test_what_the_weights_were_made_for_cannot_be_set_later(make, name, value):
    """It stood in files, which could not be loaded then."""
    layer = make()
    setattr(layer, name, getattr(layer, name))
    layer.build((None, 3))
    with pytest.raises(ValueError, match=f"{layer.name}: {name}: it was built for {getattr(layer, name)}"):
        setattr(layer, name, value)
    setattr(layer, name, getattr(layer, name))


def test_an_axis_that_shaped_no_weights_can_be_set_later():
    layer = keras.layers.Softmax()
    x = np.arange(12, dtype="f").reshape(2, 3, 2)
    layer(x)
    layer.axis = 2
    np.testing.assert_array_equal(layer(x), keras.layers.Softmax()(x))


def test_an_activation_that_is_set_later_may_be_a_name(tmp_path):
    model = trained()
    layer = model.layers[0]
    layer.activation = "relu"
    path = tmp_path / "a.keras"
    model.save(path)
    copy = lw.load_model(path)
    assert copy.layers[0].activation is keras.activations.relu
    np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match="activation: unknown name 'nope'"):
        layer.activation = "nope"
    assert layer.activation is keras.activations.relu
