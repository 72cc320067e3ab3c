"""What is seldom asked for: small functions, and what models and tables say of mistakes."""

import os

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise.tabular import TabularRegressor
from lanewise.tabular.read import read, values_of
from lanewise.utils import get_file

RNG = np.random.default_rng(8)
Y, P = RNG.uniform(0.1, 0.9, (2, 5, 3))


# --- losses as functions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "equation"),
    [
        ("mean_absolute_error", np.abs(Y - P).mean(1)),
        ("mean_absolute_percentage_error", 100 * np.abs((Y - P) / Y).mean(1)),
        ("mean_squared_logarithmic_error", ((np.log1p(Y) - np.log1p(P)) ** 2).mean(1)),
        ("huber", ((Y - P) ** 2 / 2).mean(1)),
        ("log_cosh", np.log(np.cosh(P - Y)).mean(1)),
        ("poisson", (P - Y * np.log(P)).mean(1)),
        ("cosine_similarity", -(Y * P).sum(1) / np.linalg.norm(Y, axis=1) / np.linalg.norm(P, axis=1)),
        ("quantile", (np.abs(Y - P) / 2).mean(1)),
        ("binary_crossentropy", -(Y * np.log(P) + (1 - Y) * np.log(1 - P)).mean(1)),
        ("kl_divergence", (Y * np.log(Y / P)).sum(1)),
    ],
)
def test_losses_of_each_row(name, equation):
    found = getattr(lw.losses, name)(Y.astype(np.float32), P.astype(np.float32))
    assert found.shape == (5,)
    np.testing.assert_allclose(found, equation, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "cls", "y"),
    [
        ("tweedie", "Tweedie", Y), ("gamma", "Gamma", Y), ("gaussian_nll", "GaussianNLL", Y[:, :1]),
        ("binary_focal_crossentropy", "BinaryFocalCrossentropy", Y > 0.5),
        ("categorical_crossentropy", "CategoricalCrossentropy", np.eye(3)[[0, 1, 2, 0, 1]]),
        ("categorical_focal_crossentropy", "CategoricalFocalCrossentropy", np.eye(3)[[0, 1, 2, 0, 1]]),
        ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", np.array([0, 1, 2, 0, 1])),
        ("hinge", "Hinge", np.sign(Y - 0.5)), ("squared_hinge", "SquaredHinge", np.sign(Y - 0.5)),
        ("categorical_hinge", "CategoricalHinge", np.eye(3)[[0, 1, 2, 0, 1]]),
    ],
)  # fmt: skip
def test_losses_of_each_row_are_those_of_the_class(name, cls, y):
    p = (P[:, :2] if name == "gaussian_nll" else P / P.sum(1, keepdims=True)).astype(np.float32)
    rows = getattr(lw.losses, name)(y.astype(np.float32), p)
    assert rows.shape == (5,)
    assert np.mean(rows) == pytest.approx(float(getattr(lw.losses, cls)()(y.astype(np.float32), p)), rel=1e-5)


def test_keras_backend_of_old():
    from lanewise.keras import backend

    assert (backend.backend(), backend.image_data_format()) == ("lanewise", "channels_last")
    backend.set_image_data_format("channels_last")
    with pytest.raises(NotImplementedError, match="only 'channels_last', received 'channels_first'"):
        backend.set_image_data_format("channels_first")
    backend.set_floatx("float32")
    with pytest.raises(NotImplementedError, match="layers compute in float32, received 'float64'"):
        backend.set_floatx("float64")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(backend.flatten(x), np.arange(6))
    np.testing.assert_array_equal(backend.gather(x, [1, 0]), x[::-1])
    np.testing.assert_allclose(backend.l2_normalize(x, 1)[1], x[1] / np.linalg.norm(x[1]), rtol=1e-6)
    from lanewise.keras.optimizers import schedules

    assert schedules.CosineDecay is lw.optimizers.schedules.CosineDecay


# --- models -----------------------------------------------------------------------------------------------------


class Net(lw.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = lw.layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


class Both(Net):
    """Of two inputs, in a list or by name."""

    def call(self, inputs):
        one, two = inputs.values() if isinstance(inputs, dict) else inputs
        return self.dense(lw.layers.Concatenate()([one, two]))


class Numbers(Net):
    def call(self, inputs):
        return 3


class Fails(Net):
    def call(self, inputs):
        return self.dense(inputs, 5, 6, 7, 8)


def test_mistakes_in_a_class_of_ones_own():
    with pytest.raises(TypeError, match=r"super\(\).__init__\(\) takes name= and trainable=, received .*'units'"):
        Net(units=3)
    with pytest.raises(NotImplementedError, match=r"expected a method call\(self, inputs\)"):
        type("Empty", (lw.Model,), {})().build((None, 3))
    with pytest.raises(TypeError, match=r"expected call\(\) to return what layers made of its inputs, received 3"):
        Numbers().build((None, 3))
    with pytest.raises(TypeError, match="argument"):
        Fails().build((None, 3))
    assert Net(name="n").get_config() == {"name": "n"}
    for give in (Net().to_json, lambda: Net().save("m.lanewise")):
        with pytest.raises(NotImplementedError, match="files hold no code"):
            give()


def test_a_class_of_ones_own_is_built_for_several_inputs():
    for shape in ([(None, 3), (None, 1)], {"a": (None, 3), "b": (None, 1)}):
        model = Both()
        model.build(shape)
        assert model.built and model.dense.kernel.shape == (4, 2)
        model.build(shape)  # nothing more to do


def test_mistakes_with_a_sequential():
    with pytest.raises(ValueError, match="pop: the model has no layers"):
        lw.Sequential().pop()
    with pytest.raises(ValueError, match=r"build: the model has no layers; add\(\) some first"):
        lw.Sequential([lw.Input((3,))]).build()
    with pytest.raises(TypeError, match="add the layer itself, not what it returns"):
        lw.Sequential([lw.layers.Dense(2)(lw.Input((3,)))])
    model = lw.Sequential([lw.layers.Dense(2, name="d")], trainable=False)
    with pytest.raises(ValueError, match="the model is not built; give the first layer input_shape="):
        _ = model.outputs
    assert model.compute_output_shape((None, 3)) == (None, 2)
    model.build((None, 3))
    assert not model.trainable_weights and len(model.outputs) == 1 and model.input_names == [model.input.name]
    twin = lw.Sequential.from_config(model.get_config())
    assert not twin.trainable and twin.output_shape == (None, 2)
    model.pop()
    assert not model.layers


# --- tables and files -------------------------------------------------------------------------------------------


def test_what_tables_say_of_what_they_cannot_read():
    pl, sparse = pytest.importorskip("polars"), pytest.importorskip("scipy.sparse")
    for x, text in (
        (pl.LazyFrame({"a": [1]}), "received a lazy one; call collect"),
        (sparse.csr_matrix(np.eye(3)), "received a sparse matrix; call toarray"),
        ({}, "expected at least one column, received none"),
        ({"a": [1, 2], "b": [1]}, "column 'b' has 1 rows, 'a' has 2"),
        ({"a": np.ones((2, 3))}, "column 'a': expected one value a row"),
        ({"a": [1, object()]}, "expected numbers, text, booleans or dates, received <object"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            TabularRegressor(members=2, epochs=1, verbose=0).fit(x, [1.0, 2.0])


def test_columns_of_other_kinds():
    names, columns, rows, _ = read(np.array([(1.5, b"x"), (2.5, b"y")], dtype=[("size", "f8"), ("name", "S1")]))
    assert (names, rows) == (["size", "name"], 2) and columns[0].tolist() == [1.5, 2.5]
    spans = values_of("span", np.array([1, "NaT", 3], "timedelta64[D]"))
    assert spans.kind == "number" and np.array_equal(spans.array, [1, np.nan, 3], equal_nan=True)
    assert values_of("span", np.array(["NaT"], "timedelta64[D]")).kind is None
    infinite = values_of("x", np.array([1, float("inf"), None], object))
    assert infinite.kind == "number" and np.array_equal(infinite.array, [1, np.nan, np.nan], equal_nan=True)


def test_a_cache_folder_that_cannot_be_made(tmp_path, monkeypatch):
    """Downloads go to the temporary folder, as in Keras."""
    import tempfile

    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "source.txt").write_text("text")
    path = get_file("copy.txt", (tmp_path / "source.txt").as_uri(), cache_dir=str(blocked / "below"))
    assert os.path.dirname(path) == str(tmp_path / ".keras" / "datasets")
    with open(path, encoding="utf-8") as file:
        assert file.read() == "text"


def test_a_cache_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    import tempfile

    (tmp_path / "source.txt").write_text("text")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    path = get_file("copy.txt", (tmp_path / "source.txt").as_uri(), cache_dir=str(tmp_path / "home"))
    assert os.path.dirname(path) == str(tmp_path / ".keras" / "datasets")


def trained(*callbacks, epochs=1):
    lw.random.set_seed(1)
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(2,))])
    model.compile(lw.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(np.ones((8, 2)), np.ones(8), batch_size=2, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model


def test_a_log_whose_last_row_was_cut_off_goes_on_in_a_new_one(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"epoch,loss\r\n0,0.5\r\n1,0.")
    trained(keras.callbacks.CSVLogger(path, append=True))
    rows = path.read_text().splitlines()
    assert rows[:3] == ["epoch,loss", "0,0.5", "1,0."] and len(rows) == 4 and rows[3].startswith("0,")


def test_a_log_begins_in_an_empty_file_and_holds_lists(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"")
    log = keras.callbacks.CSVLogger(path, append=True)
    log.on_train_begin()
    log.on_epoch_end(0, {"loss": 0.5, "parts": np.array([1, 2])})
    log.on_train_end()
    header, row = path.read_text().splitlines()
    assert header.startswith("epoch,loss,parts") and row.startswith('0,0.5,"""[1, 2]""",')


def test_a_backup_of_another_optimizer_changes_nothing(tmp_path):
    def stopped(epoch, logs):
        raise KeyboardInterrupt

    keep = keras.callbacks.BackupAndRestore(tmp_path / "b", save_freq=3)
    with pytest.raises(KeyboardInterrupt):
        trained(keep, keras.callbacks.LambdaCallback(on_epoch_end=stopped))
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(2,))])
    model.compile("adam", "mse")
    before = lw.fingerprint(model)
    with pytest.raises(ValueError, match="is no intact backup of this training"):
        model.fit(np.ones((8, 2)), np.ones(8), batch_size=2, verbose=0, callbacks=[keep])
    assert lw.fingerprint(model) == before
    keep.set_model(lw.Sequential([lw.layers.Dense(1)]))
    with pytest.raises(ValueError, match="BackupAndRestore: the model is not built"):
        keep.on_train_begin()
    assert lw.fingerprint(trained(keep, epochs=2)) == lw.fingerprint(trained(epochs=2))


def test_a_pipe_in_the_place_of_a_backup(tmp_path):
    """It is neither read, which would wait for somebody who writes, nor replaced."""

    def stopped(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    keep = keras.callbacks.BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        trained(keep, keras.callbacks.LambdaCallback(on_epoch_begin=stopped), epochs=2)
    (tmp_path / "latest.npz").rename(tmp_path / "latest.npz.bkp")
    os.mkfifo(tmp_path / "latest.npz")
    with pytest.raises(ValueError, match="filepath: expected a file, received the pipe"):
        trained(keep, epochs=2)  # goes on from the one before, and does not put a file in the pipe's place
    (tmp_path / "latest.npz.bkp").unlink()
    with pytest.raises(ValueError, match="no intact backup of this training: expected a file, received the pipe"):
        trained(keep, epochs=2)
