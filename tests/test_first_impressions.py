"""What a person meets on the first day: the time of the import, what a slip of the hand is told, what shows itself."""

import subprocess
import sys
import warnings
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
        ("kron", "use numpy.kron"),
        ("keras.ops.svd", "NumPy or SciPy"),
        ("nn.max_pool2d", "dense networks"),
        ("keras.tree", "lists and dicts"),
        ("Module", "subclass of Layer"),
        ("strings", "prepare arrays"),
        ("random_normal_initializer", "lanewise.initializers"),
        ("random.gamma", r"use numpy.random.default_rng\(seed\).gamma"),
        ("random.stateless_uniform", "NumPy or SciPy"),
        ("keras.backend.cumprod", "use numpy.cumprod"),
        ("keras.backend.update_add", "NumPy or SciPy"),
        ("tensor_scatter_nd_update", "NumPy or SciPy"),
        ("keras.config.set_backend", "CPU's cores"),
        ("keras.layers.ThresholdedReLU", r"ReLU\(threshold=theta\)"),
        ("keras.losses.Reduction", "'sum_over_batch_size'"),
        ("keras.utils.unpack_x_y_sample_weight", "batches are tuples"),
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


# --- warnings ---------------------------------------------------------------------------------------------------


def warned(function):
    """(text, file) of every warning of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [(str(w.message), w.filename) for w in caught]


def test_a_misspelt_monitor_warns_once_at_the_persons_line():
    stop = lw.callbacks.EarlyStopping(monitor="los")
    found = warned(lambda: make().fit(X, Y, epochs=3, verbose=0, callbacks=[stop]))
    assert len(found) == 1 and found[0][1] == __file__
    assert "monitor='los' is not in the logs. Did you mean 'loss'?" in found[0][0]


def test_threads_warn_at_the_line_that_set_them_to_work():
    x = np.where(X > 0.9, np.nan, X)
    found = warned(
        lambda: lw.fit_many(make, x, Y, seeds=2, n_jobs=2, callbacks=[lw.callbacks.TerminateOnNaN()], verbose=0)
    )
    assert found and {file for _, file in found} == {__file__}


@pytest.mark.parametrize("members", [1, 4])
def test_an_ensemble_warns_once_at_the_persons_line(members):
    pytest.importorskip("sklearn")
    found = warned(lambda: lw.sklearn.MLPRegressor(max_iter=2, n_ensemble=members, batch_size=99).fit(X, Y))
    assert [file for _, file in found] == [__file__] * 2
    assert sorted(text[:10] for text, _ in found) == ["Stochastic", "batch_size"]


# --- errors -----------------------------------------------------------------------------------------------------


def test_frames_with_words_name_the_column_its_type_and_the_way_on():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    words, category = ["x", "y"], "take the numbers of the category: .cat.codes"
    text = "encode text as numbers first, or give the table to lanewise.tabular"
    frames = [
        (pandas.DataFrame({"a": [1.0, 2.0], "b": words}), text),
        (pandas.DataFrame({"b": words}, dtype="string"), "dtype string; " + text),
        (pandas.DataFrame({"a": [1.0, 2.0], "b": pandas.Categorical(words)}), "dtype category; " + category),
        (polars.DataFrame({"a": [1.0, 2.0], "b": words}), "dtype String; " + text),
        (polars.DataFrame({"a": [1.0], "b": polars.Series(["x"], dtype=polars.Categorical)}), category),
        (polars.DataFrame({"a": [1.0], "b": polars.Series(["x"], dtype=polars.Enum(["x"]))}), category),
    ]
    for frame, wanted in frames:
        with pytest.raises(TypeError) as caught:
            make().predict(frame)
        assert str(caught.value).startswith("x: column 'b' has dtype ") and wanted in str(caught.value)
    with pytest.raises(TypeError, match=r"dtype category; take the numbers of the category"):
        make().fit(X[:2], pandas.Series(words, dtype="category"))


def slips():
    def build(units=3):
        return make()

    def own(value):
        return make(lambda y_true, y_pred: value).fit(X, Y, verbose=0)

    class Tensor:
        def __array__(self, *_):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    return [
        (lambda: make("cce"), ValueError, r"Did you mean 'categorical_crossentropy'\?"),
        (lambda: make("SCCE"), ValueError, r"Did you mean 'sparse_categorical_crossentropy'\?"),
        (lambda: lw.layers.Dense(1, init="zeros"), TypeError, r"Did you mean 'kernel_initializer'\?"),
        (lambda: lw.sklearn.KerasRegressor(build, optimizr="adam").fit(X, Y), TypeError,
         r"KerasRegressor: unknown argument 'optimizr'. Did you mean 'optimizer'\?"),
        (lambda: lw.sklearn.KerasRegressor(build, unit=3).fit(X, Y), TypeError, r"Did you mean 'units'\?"),
        (lambda: lw.sklearn.KerasRegressor(build, model__unit=3).fit(X, Y), TypeError, "model: build: .* mean 'units'"),
        (lambda: lw.tabular.TabularRegressor(colums={}), TypeError,
         r"TabularRegressor: unknown argument 'colums'. Did you mean 'columns'\?"),
        (lambda: make().predict(3), TypeError, "x: expected an array, a list or a data frame, received int$"),
        (lambda: make().train_on_batch(iter([X]), Y), TypeError, "batches come as x="),
        (lambda: lw.fingerprint("x"), TypeError, "model: expected a model or an Ensemble, received 'x' of type str"),
        (lambda: lw.set_num_threads("2"), TypeError, "n: expected 1 to 1024 threads, received '2'"),
        (lambda: lw.set_num_threads(True), TypeError, "n: expected 1 to 1024 threads, received True"),
        (lambda: make().fit(Tensor(), Y), TypeError, "x: Can't call numpy"),
        (lambda: make(lambda y_true, y_pred: len(y_pred[0, 0])).fit(X, Y), TypeError, "use operators, keras.ops"),
        (lambda: make().compile(metrics=[lw.keras.metrics.Mean()]), ValueError, "metrics: Mean takes numbers"),
        (lambda: make().apply_gradients(None), TypeError, "gradients: expected one for each of 4 weights"),
        (lambda: make().set_weights(None), TypeError, "has 4 weights, expected a list, received None"),
        (lambda: make().layers[0].set_weights(3), TypeError, "has 2 weights, expected a list, received 3"),
        (lambda: own("s"), TypeError, "a value for each row, or one number, received 's' of type str"),
        (lambda: own(None), TypeError, "a value for each row, or one number, received None"),
        (lambda: make().fit((X, Y)), ValueError, r"targets come as an argument of their own: fit\(x, y\)"),
        (lambda: make().predict([[1, 2, 3], [1, 2]]), ValueError, "a ragged list"),
        (lambda: make().fit(X, Y, epochs=-1), ValueError, "epochs: expected an integer >= 0, received -1"),
        (lambda: lw.nn.softmax(1.0), ValueError, "softmax expects rank 1 or more"),
    ]  # fmt: skip


@pytest.mark.parametrize("at", range(len(slips())))
def test_slips_of_the_hand(at):
    function, error, text = slips()[at]
    with pytest.raises(error, match=text):
        function()


def test_frame_without_pandas(monkeypatch):
    fits = lw.fit_many(make, X, Y, seeds=2, verbose=0)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"frame needs pandas, .* pip install pandas"):
        fits.frame()


def test_the_demo_does_not_say_that_the_cpu_has_no_fma(capsys, monkeypatch):
    from lanewise import demo

    info = {**lw.build_info(), "isa": "generic"}
    monkeypatch.setattr(lw.ops, "build_info", lambda: info)
    monkeypatch.setattr(demo, "EXPECTED", "another")
    monkeypatch.setattr(demo, "_STAGES", ((1e-3, 1),))
    assert not demo.run()
    assert "DIFFERENT BITS (without FMA the bits are not promised)" in capsys.readouterr().out


# --- as in Keras ------------------------------------------------------------------------------------------------


def test_no_epochs_is_an_empty_history():
    model = make()
    before, told = model.get_weights(), []
    calls = lw.callbacks.LambdaCallback(on_train_begin=lambda logs: told.append(1), on_train_end=told.append)
    history = model.fit(X, Y, epochs=0, callbacks=[calls], validation_split=0.5)
    assert history.history == {} and history.epoch == [] and told == [1, {}]
    assert all(map(np.array_equal, before, model.get_weights())) and model.optimizer.iterations == 0


def test_softmax_of_one_row_without_a_batch():
    assert np.allclose(lw.nn.softmax([1.0, 2.0]), [0.26894142, 0.73105858])
    assert np.allclose(lw.nn.log_softmax([1.0, 2.0], axis=0), [-1.3132617, -0.3132617])
    with pytest.raises(ValueError, match="axis"):
        lw.nn.softmax([1.0, 2.0], axis=1)
    gradients = []
    for softmax in (lw.nn.softmax, keras.ops.softmax):  # of all rows of a batch, inside a loss
        model = lw.Sequential([lw.layers.Dense(1, kernel_initializer="ones", input_shape=(3,))])
        model.compile("sgd", lambda t, p, f=softmax: keras.ops.sum(f(p[:, 0]) * t[:, 0]))
        gradients.append(model.value_and_grad(X, Y[:, None])[1][0])
    assert np.abs(gradients[0]).max() > 1e-3
    assert np.allclose(*gradients, rtol=1e-4, atol=1e-6)


# --- what shows itself ------------------------------------------------------------------------------------------


def test_objects_show_how_they_were_made():
    assert repr(lw.losses.Huber(2.0, name="h")) == "Huber(name='h', reduction='sum_over_batch_size', delta=2.0)"
    assert repr(lw.callbacks.EarlyStopping(patience=3)).startswith(
        "EarlyStopping(monitor='val_loss', min_delta=0.0, pat"
    )
    assert repr(lw.initializers.Constant([1.0, 2.0])) == "Constant(value=[1.0, 2.0])"
    assert repr(lw.regularizers.L2(0.5)) == "L2(l2=0.5)"
    assert repr(lw.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)).startswith("ExponentialDecay(name='Exp")

    class Mine(lw.losses.Loss):
        def get_config(self):
            raise NotImplementedError

    assert "Mine object at" in repr(Mine()) and "CSVLogger object at" in repr(lw.callbacks.CSVLogger("x"))


def test_results_are_shown_in_a_line():
    history = make().fit(X, Y, epochs=2, verbose=0)
    assert repr(history) == f"<History of 2 epochs, loss={history.history['loss'][-1]:.4g}>"
    rates = lw.lr_find(make, X, Y, steps=20)
    assert repr(rates) == f"<Rates of {len(rates.rates)} steps, suggestion {rates.suggestion:.3g}>"
    candidate = lw.fit_many(make, X, Y, seeds=3, verbose=0).candidates()[0]
    assert "'fits': <3 Fit>" in repr(candidate) and [fit.seed for fit in candidate["fits"]] == [0, 1, 2]


def test_a_summary_fits_a_narrow_terminal(capsys, monkeypatch):
    for columns, width in ((50, 49), (200, 79)):
        monkeypatch.setenv("COLUMNS", str(columns))
        make().summary()
        lines = capsys.readouterr().out.splitlines()
        assert width - 3 < max(map(len, lines)) <= width + 1


def test_the_command_says_its_version(capsys):
    from lanewise import _cli

    with pytest.raises(SystemExit) as ended:
        _cli.main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"lanewise {lw.__version__}\n"


def test_older_places_are_the_same_module():
    code = "import lanewise.keras.layers.experimental.preprocessing as p, lanewise.keras.utils.np_utils as u\n"
    code += "import lanewise as lw; print(p.Dense is lw.layers.Dense, u.to_categorical is lw.utils.to_categorical)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(lw.__file__).parents[1]
    )
    assert done.stdout == "True True\n"


def test_names_whose_defaults_numpy_has_otherwise_mean_what_they_mean_there():
    """The values are TensorFlow 2.21's, of `tf.` and of the `keras.backend` of Keras 2."""
    x = np.array([[4, 3, 2, 1], [9, 8, 7, 6], [1, 5, 5, 2]], np.float32)
    np.testing.assert_array_equal(lw.argmax(x), [1, 1, 1, 1])
    np.testing.assert_array_equal(lw.math.argmax(x, 1), [0, 0, 1])
    np.testing.assert_array_equal(lw.argmin(x), [2, 0, 0, 0])
    np.testing.assert_array_equal(lw.cumsum(x)[2], [14, 16, 14, 9])
    np.testing.assert_array_equal(lw.math.cumsum(x, axis=1)[1], [9, 17, 24, 30])
    np.testing.assert_array_equal(lw.where(x > 6), [[1, 0], [1, 1], [1, 2]])
    np.testing.assert_array_equal(lw.where(x > 6, x, 0.0)[1], [9, 8, 7, 0])
    assert lw.norm(x, ord=1) == 53 and lw.norm(x) == pytest.approx(17.74824, rel=1e-6)
    np.testing.assert_array_equal(lw.identity(x), x)
    np.testing.assert_array_equal(lw.einsum("ij,ij->i", x, x), [30, 230, 55])
    np.testing.assert_array_equal(lw.nn.top_k(x, 2)[1], [[0, 1], [0, 1], [1, 2]])
    K = keras.backend
    np.testing.assert_array_equal(K.argmax(x), [0, 0, 1])
    np.testing.assert_array_equal(K.argmin(x), [3, 3, 0])
    np.testing.assert_array_equal(K.cumsum(x)[1], [13, 11, 9, 7])
    assert K.expand_dims(x).shape == (3, 4, 1) and K.repeat(x, 2).shape == (3, 2, 4)
    np.testing.assert_array_equal(K.repeat(x, 2)[1], [x[1], x[1]])
    assert K.repeat_elements(x, 2, axis=1).shape == (3, 8)
    assert keras.ops.argmax(x) == 4  # Keras 3's own: of all elements


def test_variables_and_functions_are_told_what_stands_for_them():
    for name, text in (
        ("Variable", "add_weight; other values are NumPy arrays"), ("Tensor", "np.ndarray"),
        ("py_function", "a Python function is called as it is"), ("keras.backend.variable", "add_weight"),
    ):  # fmt: skip
        with pytest.raises(AttributeError, match=text):
            eval(f"lw.{name}")
