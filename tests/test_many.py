"""fit_many: the bits of as many single fits, on any number of cores; grids, folds, failures, Ctrl-C."""

import hashlib
import random
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lanewise as lw
from ctrl_c import assert_no_thread_is_left, interrupted_when
from lanewise.callbacks import Callback, CSVLogger, EarlyStopping, LambdaCallback
from lanewise.layers import BatchNormalization, Dense, Dropout
from lanewise.many.jobs import folds_of

ROWS = 203
RNG = np.random.default_rng(5)
X = RNG.standard_normal((ROWS, 12)).astype(np.float32)
Y = (X[:, :3].sum(axis=1) + 0.3 * RNG.standard_normal(ROWS)).astype(np.float32)
LABELS = (Y > 0).astype(np.int64) + (Y > 1)
WEIGHTS = RNG.uniform(0.5, 2.0, ROWS).astype(np.float32)


def build(units: int = 8, rate: float = 0.2, optimizer: Any = "adam") -> lw.Sequential:
    model = lw.Sequential([lw.Input((12,)), Dense(units, activation="relu"), Dropout(rate), Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def build_classifier() -> lw.Sequential:
    model = lw.Sequential([Dense(9, activation="tanh"), BatchNormalization(), Dense(3, activation="softmax")])  # lazily
    model.compile(lw.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_with_numpy() -> lw.Sequential:
    """First weights from the global generators of NumPy and Python."""
    model = build()
    model.set_weights([np.random.standard_normal(w.shape) + random.random() for w in model.get_weights()])
    return model


def digest(model: Any, history: Any) -> str:
    """SHA-256 over weights, optimizer state and history."""
    total = hashlib.sha256()
    state = model.optimizer_state()
    slots = [value for key, value in state.items() if "/" in key or key in ("seed", "epoch", "iterations")]
    curves = [np.array(history.history[key], np.float64) for key in sorted(history.history)]
    for array in (*model.get_weights(), *slots, *curves):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


STOP = {"monitor": "val_loss", "patience": 1, "restore_best_weights": True}
CASES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "dropout": (build, {"epochs": 3}),
    "batch size, split": (build, {"epochs": 3, "batch_size": 50, "validation_split": 0.2}),
    "weights": (build, {"epochs": 2, "sample_weight": WEIGHTS, "shuffle": False}),
    "generators of NumPy and Python": (build_with_numpy, {"epochs": 2}),
    "steps": (build, {"epochs": 9, "steps_per_epoch": 1}),
    "early stopping": (build, {"epochs": 60, "validation_data": (X[:50], Y[:50]), "callbacks": STOP}),
}


def single(builder: Callable[[], Any], seed: int, x: Any, y: Any, arguments: dict[str, Any]) -> str:
    arguments = dict(arguments)
    callbacks = arguments.pop("callbacks", None)
    lw.utils.set_random_seed(seed)
    model = builder()
    history = model.fit(x, y, verbose=0, callbacks=callbacks and [EarlyStopping(**callbacks)], **arguments)
    return digest(model, history)


def many(builder: Any, x: Any, y: Any, n_jobs: int, arguments: dict[str, Any], **more: Any) -> Any:
    arguments = dict(arguments)
    callbacks = arguments.pop("callbacks", None)
    given = callbacks and EarlyStopping(**callbacks)
    return lw.fit_many(builder, x, y, n_jobs=n_jobs, verbose=0, callbacks=given, **arguments, **more)


# --- the same bits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
@pytest.mark.parametrize("name", CASES)
def test_the_bits_of_single_fits(name: str, n_jobs: int) -> None:
    builder, arguments = CASES[name]
    seeds = [3, 1, 4, 15]
    fits = many(builder, X, Y, n_jobs, arguments, seeds=seeds)
    found = [digest(fit.model, fit.history) for fit in fits]
    assert found == [single(builder, seed, X, Y, arguments) for seed in seeds]
    assert len(set(found)) == 4
    assert [fit.seed for fit in fits] == seeds


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_the_bits_of_single_fits_on_picked_rows(n_jobs: int) -> None:
    arguments = {"epochs": 40, "callbacks": STOP}
    folds = folds_of(3, X, Y, ROWS)
    fits = many(build, X, Y, n_jobs, arguments, seeds=2, folds=3, sample_weight=WEIGHTS)
    found = [digest(fit.model, fit.history) for fit in fits]
    for fit, bits in zip(fits, found, strict=True):
        train, test = folds[fit.fold]
        own = {"sample_weight": WEIGHTS[train], "validation_data": (X[test], Y[test], WEIGHTS[test]), **arguments}
        assert bits == single(build, fit.seed, X[train], Y[train], own)
    assert [(fit.seed, fit.fold) for fit in fits] == [(s, f) for s in range(2) for f in range(3)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_bits_of_a_classifier_on_bootstrapped_rows(n_jobs: int) -> None:
    """Built in fit, rows more than once, class weights, no validation for one of them."""
    rng = np.random.default_rng(1)
    picks = [rng.integers(0, ROWS, 90) for _ in range(3)]
    mask = np.arange(ROWS) % 3 == 0
    folds = [(picks[0], mask), (picks[1], None), (picks[2], [])]
    arguments: dict[str, Any] = {"epochs": 3, "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}
    fits = many(
        build_classifier, X.astype(np.float64), LABELS, n_jobs, arguments, seeds=[7], folds=folds, monitor="loss"
    )
    found = [digest(fit.model, fit.history) for fit in fits]
    for fit, rows, bits in zip(fits, picks, found, strict=True):
        validation = {"validation_data": (X[mask], LABELS[mask])} if fit.fold == 0 else {}
        assert bits == single(build_classifier, 7, X[rows].astype(np.float64), LABELS[rows], arguments | validation)


def test_training_goes_on_as_after_a_single_fit() -> None:
    fits = many(build, X, Y, 2, {"epochs": 2}, seeds=2)
    more = digest(fits[1].model, fits[1].model.fit(X, Y, epochs=2, verbose=0))
    lw.utils.set_random_seed(1)
    model = build()
    model.fit(X, Y, epochs=2, verbose=0)
    history = model.fit(X, Y, epochs=2, verbose=0)
    assert more == digest(model, history)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_list_of_models_as_one_after_the_other(n_jobs: int) -> None:
    lw.utils.set_random_seed(9)
    models = [build(), build_classifier_like(), build()]
    fits = lw.fit_many(models, X, Y, epochs=2, n_jobs=n_jobs, verbose=0)
    found = [digest(f.model, f.history) for f in fits]
    lw.utils.set_random_seed(9)
    again = [build(), build_classifier_like(), build()]
    histories = [model.fit(X, Y, epochs=2, verbose=0) for model in again]
    assert [fit.model for fit in fits] == models
    assert found == [digest(*p) for p in zip(again, histories, strict=True)]

    lw.fit_many(models, X, Y, epochs=2, seeds=[1, 2, 3], n_jobs=n_jobs, verbose=0)
    for seed, model in enumerate(again, 1):
        lw.utils.set_random_seed(seed)
        model.fit(X, Y, epochs=2, verbose=0)
    assert list(map(lw.fingerprint, models)) == list(map(lw.fingerprint, again))


def build_classifier_like() -> lw.Sequential:
    """Not built before it sees data."""
    model = lw.Sequential([Dense(4, activation="relu"), Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_clones_of_a_model() -> None:
    model = build()
    before = lw.fingerprint(model)
    fits = lw.fit_many(model, X, Y, seeds=[5], grid={"learning_rate": [0.05]}, epochs=2, verbose=0)
    assert lw.fingerprint(model) == before
    lw.utils.set_random_seed(5)
    clone = lw.saving.clone_model(model)
    clone.compile(lw.optimizers.Adam(0.05), "mse", metrics=["mae"])
    clone.fit(X, Y, epochs=2, verbose=0)
    assert lw.fingerprint(fits.best.model) == lw.fingerprint(clone)


def test_the_global_seed_and_generators_are_left_alone() -> None:
    lw.utils.set_random_seed(4)
    expected = random.random(), np.random.random(), lw.random.uniform((1,))
    lw.utils.set_random_seed(4)
    many(build_with_numpy, X, Y, 2, {}, seeds=3)
    assert (random.random(), np.random.random(), lw.random.uniform((1,))) == expected


def test_one_seed_is_drawn_where_none_is_given() -> None:
    found = []
    for _ in range(2):
        lw.utils.set_random_seed(11)
        found.append(lw.fit_many(build, X, Y, grid={"units": [4, 8]}, verbose=0))
    assert found[0][0].seed == found[0][1].seed == found[1][0].seed
    assert lw.fit_many(build, X, Y, verbose=0)[0].seed != found[0][0].seed


# --- data -------------------------------------------------------------------------------------------------------


def test_the_rows_are_not_copied() -> None:
    x = np.random.default_rng(0).standard_normal((40_000, 40))  # 12.8 MB, converted batch by batch
    y = x[:, 0]

    def wide() -> lw.Sequential:
        model = lw.Sequential([lw.Input((40,)), Dense(2), Dense(1)])
        model.compile("sgd", "mse")
        return model

    lw.fit_many(wide, x[:100], y[:100], folds=2, verbose=0)  # imports
    tracemalloc.start()
    lw.fit_many(wide, x, y, folds=4, n_jobs=2, batch_size=500, verbose=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 4


def test_data_frames_lists_and_sparse_rows() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    arguments = {"epochs": 2}
    expected = [digest(f.model, f.history) for f in many(build, X, Y, 2, arguments, seeds=2, folds=2)]
    columns = [f"c{i}" for i in range(12)]
    for x, y in (
        (pd.DataFrame(X, columns=columns), pd.Series(Y)),
        (X.tolist(), Y.tolist()),
        (sparse.coo_matrix(X), Y),
    ):
        fits = many(build, x, y, 2, arguments, seeds=2, folds=2)
        assert [digest(f.model, f.history) for f in fits] == expected


def test_several_inputs_and_outputs() -> None:
    def two() -> Any:
        a, b = lw.Input((12,), name="a"), lw.Input((3,), name="b")
        joined = lw.layers.concatenate([Dense(4, activation="relu")(a), b])
        model = lw.Model([a, b], [Dense(1, name="p")(joined), Dense(1, name="q")(joined)])
        model.compile("adam", {"p": "mse", "q": "mae"})
        return model

    x, y = {"a": X, "b": X[:, :3]}, {"p": Y, "q": -Y}
    fits = lw.fit_many(two, x, y, seeds=2, folds=[(np.arange(100), np.arange(100, ROWS))], epochs=2, verbose=0)
    found = digest(fits[1].model, fits[1].history)
    lw.utils.set_random_seed(1)
    model = two()
    cut = {k: v[:100] for k, v in x.items()}, {k: v[:100] for k, v in y.items()}
    rest = {k: v[100:] for k, v in x.items()}, {k: v[100:] for k, v in y.items()}
    history = model.fit(*cut, epochs=2, verbose=0, validation_data=rest)
    assert found == digest(model, history)


@pytest.mark.parametrize("folds", [4, "splitter", [(np.arange(10), np.arange(10, 20)), (np.arange(5), None)]])
def test_folds(folds: Any) -> None:
    if folds == "splitter":
        folds = pytest.importorskip("sklearn.model_selection").KFold(4, shuffle=True, random_state=0)
    found = folds_of(folds, X, Y, ROWS)
    for train, test in found:
        assert train.dtype == np.uint32
        assert test is None or not np.isin(train, test).any()
    if not isinstance(folds, list):
        assert sorted(np.concatenate([test for _, test in found])) == list(range(ROWS))  # type: ignore[misc]
        assert all(len(train) + len(test) == ROWS for train, test in found)  # type: ignore[arg-type]


# --- grids, results ---------------------------------------------------------------------------------------------


def test_where_the_names_of_a_grid_go() -> None:
    seen: list[Any] = []

    def builder(units: int, seed: int, batch_size: str = "mine", **rest: Any) -> Any:
        seen.append((units, seed, batch_size, rest))
        return build(units)

    grid = {
        "units": [3, 4],
        "batch_size": ["own"],
        "epochs": [2],
        "learning_rate": [0.5],
        "loss": ["mae"],
        "other": [1],
    }
    fits = lw.fit_many(builder, X, Y, grid=grid, seeds=[8], verbose=0)
    assert seen == [(3, 8, "own", {"other": 1}), (4, 8, "own", {"other": 1})]
    for fit in fits:
        assert fit.epochs == 2
        assert fit.model.optimizer.learning_rate == 0.5
        assert fit.model.loss == "mae"
        assert fit.row()["param_loss"] == "mae"
        assert fit.params == {**{k: v[0] for k, v in grid.items()}, "units": fit.params["units"]}

    listed = lw.fit_many(build, X, Y, grid=[{"units": 2}, {"rate": 0.5, "batch_size": 64}], verbose=0)
    assert [fit.params for fit in listed] == [{"units": 2}, {"rate": 0.5, "batch_size": 64}]


def test_one_optimizer_in_compile_is_one_for_each() -> None:
    optimizer = lw.optimizers.SGD(0.1, momentum=0.5)
    fits = lw.fit_many(build, X, Y, seeds=2, compile={"optimizer": optimizer}, verbose=0)
    assert fits[0].model.optimizer is not fits[1].model.optimizer
    assert all(model.optimizer.get_config() == optimizer.get_config() for model in fits.models)
    lw.utils.set_random_seed(1)
    model = build(optimizer=lw.optimizers.SGD(0.1, momentum=0.5))
    model.fit(X, Y, verbose=0)
    assert lw.fingerprint(model) == lw.fingerprint(fits[1].model)


def test_results() -> None:
    fits = lw.fit_many(
        build, X, Y, grid={"units": [2, 16], "learning_rate": [0.001, 0.02]}, seeds=2, folds=2, epochs=6, verbose=0
    )
    assert len(fits) == fits.total == 16
    assert fits.monitor == "val_loss"
    assert not fits.interrupted
    assert not fits.errors
    means: dict[Any, Any] = {}
    for fit in fits:
        assert fit.logs == {name: values[-1] for name, values in fit.history.history.items()}
        means.setdefault(tuple(fit.params.items()), []).append(fit.logs["val_loss"])
    ranked = sorted(means, key=lambda key: np.mean(means[key]))
    found = fits.candidates()
    assert [tuple(entry["params"].items()) for entry in found] == ranked
    assert found[0]["mean"] == pytest.approx(np.mean(means[ranked[0]]))
    assert found[0]["std"] == pytest.approx(np.std(means[ranked[0]], ddof=1))
    assert tuple(fits.best.params.items()) == ranked[0]
    assert fits.best.logs["val_loss"] == min(means[ranked[0]])
    assert fits.models[3] is fits[3].model
    assert fits.histories[3] is fits[3].history

    frame = fits.frame()
    assert list(frame.columns) == [
        "index", "units", "learning_rate", "seed", "fold", "loss", "mae", "val_loss", "val_mae", "epochs", "seconds",
    ]  # fmt: skip
    assert len(frame) == 16
    assert "16 of 16" in repr(fits)


def test_larger_may_be_better() -> None:
    fits = lw.fit_many(
        build_classifier, X, LABELS, seeds=6, epochs=3, validation_split=0.3, monitor="val_accuracy", verbose=0
    )
    assert fits.best.logs["val_accuracy"] == max(fit.logs["val_accuracy"] for fit in fits)


def test_the_logs_are_those_of_the_weights() -> None:
    stop = EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    fits = lw.fit_many(
        build, X, Y, seeds=3, epochs=200, compile={"optimizer": lw.optimizers.Adam(0.05)}, callbacks=[stop],
        validation_data=(X[:60], Y[:60] + 1), verbose=0,
    )  # fmt: skip
    for fit in fits:
        values = fit.history.history["val_loss"]
        assert fit.logs["val_loss"] == min(values)
        assert fit.logs["loss"] == fit.history.history["loss"][values.index(min(values))]
        assert fit.logs["val_loss"] == fit.model.evaluate(X[:60], Y[:60] + 1, verbose=0)[0]
    assert stop.best is None
    assert len({fit.epochs for fit in fits}) > 1


def test_plot() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    fits = lw.fit_many(build, X, Y, seeds=3, epochs=4, validation_split=0.2, validation_freq=2, verbose=0)
    ax = fits.plot()
    assert len(ax.lines) == 3
    best = ax.lines[-1]
    assert list(best.get_xdata()) == [2, 4]
    assert list(best.get_ydata()) == fits.best.history.history["val_loss"]
    assert list(fits.plot("mae").lines[0].get_xdata()) == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="recorded are"):
        fits.plot("accuracy")
    matplotlib.pyplot.close("all")


# --- callbacks, threads, progress -------------------------------------------------------------------------------


class Counts(Callback):
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)


def test_each_network_has_its_own_callbacks() -> None:
    given = Counts()
    lw.fit_many(build, X, Y, seeds=3, epochs=2, callbacks=[given], verbose=0)
    assert given.epochs == []
    made: dict[int, Any] = {}

    def make(labels: dict[str, Any]) -> list[Any]:
        made[labels["index"]] = Counts(), labels
        return [made[labels["index"]][0]]

    lw.fit_many(build, X, Y, seeds=[4, 5], grid={"units": [2, 3]}, epochs=2, callbacks=make, verbose=0)
    assert {i: (c.epochs, labels["units"], labels["seed"]) for i, (c, labels) in made.items()} == {
        0: ([0, 1], 2, 4), 1: ([0, 1], 2, 5), 2: ([0, 1], 3, 4), 3: ([0, 1], 3, 5),
    }  # fmt: skip


@pytest.mark.parametrize(("n_jobs", "seeds", "expected"), [(4, 2, 2), (3, 2, 1), (2, 5, 1), (3, 1, 3)])
def test_each_training_has_its_share_of_the_threads(n_jobs: int, seeds: int, expected: int) -> None:
    seen = []
    lw.set_num_threads(4)
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(lw.get_num_threads()))
    lw.fit_many(build, X, Y, seeds=seeds, n_jobs=n_jobs, callbacks=look, verbose=0)
    assert seen == [expected] * seeds
    assert lw.get_num_threads() == 4


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    lw.fit_many(build, X, Y, seeds=3)
    assert "3/3" in (out := capsys.readouterr().out)
    assert "best loss: " in out
    assert out.count("\n") == 1
    lw.fit_many(build, X, Y, seeds=3, verbose=2)
    assert capsys.readouterr().out.count("seed: ") == 3
    lw.fit_many(build, X, Y, seeds=3, verbose=0)
    assert capsys.readouterr().out == ""


# --- failures ---------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "grid name": ({"grid": {"unit": [1]}}, TypeError, "grid: unknown argument 'unit'. Did you mean 'units'"),
    "grid values": ({"grid": {"units": 3}}, TypeError, r"grid\['units'\]: expected a list"),
    "grid text": ({"grid": {"optimizer": "sgd"}}, TypeError, r"grid\['optimizer'\]: expected a list"),
    "grid": ({"grid": 3}, TypeError, "grid: expected a dict of lists"),
    "no candidate": ({"grid": {"units": []}}, ValueError, "at least one candidate"),
    "seeds": ({"seeds": 0}, ValueError, "seeds: expected a positive integer"),
    "seed": ({"seeds": [1, -1]}, ValueError, r"seeds\[1\]"),
    "no seed": ({"seeds": []}, ValueError, "seeds: expected at least one"),
    "jobs": ({"n_jobs": 0}, ValueError, "n_jobs: expected a positive integer"),
    "epochs": ({"epochs": 0}, ValueError, "epochs: expected a positive integer"),
    "fit argument": ({"epoch": 3}, TypeError, "fit_many: unknown argument 'epoch'. Did you mean 'epochs'"),
    "compile argument": ({"compile": {"optimiser": "sgd"}}, TypeError, "compile: unknown argument 'optimiser'"),
    "folds": ({"folds": "five"}, TypeError, "folds: expected a number, a splitter"),
    "one fold": ({"folds": 1}, ValueError, "folds: expected an integer >= 2"),
    "fold's rows": ({"folds": [([0, 500], [1])]}, ValueError, "from 0 to 202, received 500"),
    "fold's mask": ({"folds": [(np.ones(5, bool), None)]}, ValueError, r"folds\[0\]: expected 203 rows"),
    "fold's type": ({"folds": [(np.array([0.5]), None)]}, TypeError, r"folds\[0\]: expected row numbers"),
    "empty fold": ({"folds": [([], [1])]}, ValueError, r"folds\[0\]: expected rows to train on"),
    "folds and split": ({"folds": 3, "validation_split": 0.1}, ValueError, "folds, validation_split: give one"),
    "callbacks": ({"callbacks": [EarlyStopping]}, TypeError, "callbacks: expected instances"),
    "files": ({"callbacks": [CSVLogger("log.csv")]}, ValueError, "CSVLogger would write one file"),
    "mode": ({"mode": "best"}, ValueError, "mode: expected"),
    "monitor": ({"monitor": "val_los"}, ValueError, "mode: 'auto' works for"),
    "verbose": ({"verbose": 7}, ValueError, "verbose"),
    "class_weight": ({"class_weight": {0: -1.0}}, ValueError, "class_weight"),
    "weights": ({"sample_weight": WEIGHTS[:5]}, ValueError, "sample_weight: expected 203 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_before_anything_is_trained(name: str) -> None:
    trained = []
    arguments, error, words = BAD[name]
    watch = LambdaCallback(on_epoch_begin=lambda epoch, logs: trained.append(epoch))
    with pytest.raises(error, match=words):
        lw.fit_many(build, X, Y, **{"verbose": 0, "callbacks": watch, **arguments})
    assert not trained


def test_bad_data_and_models() -> None:
    fit = lw.fit_many
    with pytest.raises(ValueError, match="y: expected 203 rows"):
        fit(build, X, Y[:-1], seeds=3, verbose=0)
    with pytest.raises(TypeError, match="arrays that all networks can read"):
        fit(build, ((X, Y) for _ in range(3)), None, verbose=0)
    with pytest.raises(TypeError, match="models: expected a function"):
        fit("adam", X, Y, verbose=0)
    with pytest.raises(TypeError, match="expected the builder to return a model, received None"):
        fit(lambda: None, X, Y, seeds=2, verbose=0)
    with pytest.raises(TypeError, match="the builder needs 'units'"):
        fit(lambda units: build(units), X, Y, verbose=0)
    with pytest.raises(ValueError, match="without grid, folds and compile"):
        fit([build()], X, Y, folds=3, verbose=0)
    with pytest.raises(ValueError, match="seeds: expected one for each of 1 models, received 2"):
        fit([build()], X, Y, seeds=2, verbose=0)
    with pytest.raises(TypeError, match=r"models\[1\]: expected a model"):
        fit([build(), build], X, Y, verbose=0)
    with pytest.raises(ValueError, match=r"models\[0\]: the model is not compiled"):
        fit([lw.Sequential([Dense(1)])], X, Y, verbose=0)


def test_what_networks_must_not_share() -> None:
    model, optimizer, layer = build(), lw.optimizers.Adam(), Dense(1)

    def with_layer() -> Any:
        made = lw.Sequential([lw.Input((12,)), layer])
        made.compile("sgd", "mse")
        return made

    builders: dict[str, Callable[[], Any]] = {
        "model": lambda: model, "optimizer": lambda: build(optimizer=optimizer), "weight": with_layer,
    }  # fmt: skip
    for what, builder in builders.items():
        with pytest.warns(RuntimeWarning, match="1 of 2 networks failed"):
            fits = lw.fit_many(builder, X, Y, seeds=2, verbose=0)
        assert f"share one {what}" in str(fits.errors[1])


def test_one_that_fails_takes_no_other_along() -> None:
    def fails(labels: dict[str, Any]) -> list[Any]:
        def end(epoch: int, logs: Any) -> None:
            raise OSError("the disk is full")

        return [LambdaCallback(on_epoch_end=end)] if labels["seed"] == 1 else []

    with pytest.warns(
        RuntimeWarning, match="4 of 6 networks failed; number 1 with OSError: the disk is full"
    ) as caught:
        fits = lw.fit_many(build, X, Y, grid={"units": [3, -1]}, seeds=3, n_jobs=2, callbacks=fails, verbose=0)
    assert caught[0].filename == __file__
    assert [fit.index for fit in fits] == [0, 2]
    assert set(fits.errors) == {1, 3, 4, 5}
    assert isinstance(fits.errors[1], OSError)
    assert "units" in str(fits.errors[3])
    lw.utils.set_random_seed(2)
    model = build(3)
    model.fit(X, Y, verbose=0)
    assert lw.fingerprint(fits[1].model) == lw.fingerprint(model)


@pytest.mark.filterwarnings("ignore:loss:RuntimeWarning")
def test_a_loss_that_is_not_finite() -> None:
    grid = {"learning_rate": [0.01, 1e30]}
    arguments: dict[str, Any] = {"grid": grid, "epochs": 4, "compile": {"optimizer": "sgd"}, "verbose": 0}
    with pytest.warns(RuntimeWarning, match="1 of 2 networks failed"):
        fits = lw.fit_many(build, X, Y, fail_on_nan=True, **arguments)
    assert isinstance(fits.errors[1], FloatingPointError)
    fits = lw.fit_many(build, X, Y, **arguments)
    assert not fits.errors
    assert fits.best.params == {"learning_rate": 0.01}


def test_all_fail() -> None:
    with pytest.raises(ValueError, match="units") as caught:
        lw.fit_many(build, X, Y, grid={"units": [-1, 0]}, verbose=0)
    assert any("all 2 networks failed" in note for note in caught.value.__notes__)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------


def test_ctrl_c_returns_what_is_finished() -> None:
    begun = threading.Event()

    def watch(labels: dict[str, Any]) -> list[Any]:
        def begin(epoch: int, logs: Any) -> None:
            if labels["index"] == 3 and epoch == 2:
                begun.set()

        return [LambdaCallback(on_epoch_begin=begin)]

    grid = [{"epochs": 2}, {"epochs": 2}, {"epochs": 10**6}, {"epochs": 10**6}, {"epochs": 2}]
    began = time.perf_counter()
    with interrupted_when(begun):
        fits = lw.fit_many(build, X, Y, grid=grid, seeds=[1], n_jobs=2, callbacks=watch, verbose=0)
    assert time.perf_counter() - began < 10
    assert fits.interrupted
    assert [fit.index for fit in fits] == [0, 1]
    assert not fits.errors
    assert_no_thread_is_left()
    lw.utils.set_random_seed(1)
    model = build()
    model.fit(X, Y, epochs=2, verbose=0)
    assert lw.fingerprint(fits[1].model) == lw.fingerprint(model)


def test_nothing_finished() -> None:
    def stop(epoch: int, logs: Any) -> None:
        raise KeyboardInterrupt

    fits = lw.fit_many(build, X, Y, seeds=4, n_jobs=1, callbacks=LambdaCallback(on_epoch_end=stop), verbose=0)
    assert fits.interrupted
    assert len(fits) == 0
    with pytest.raises(ValueError, match="no network was finished"):
        _ = fits.best


# --- metrics and losses of a person's own -----------------------------------------------------------------------


class Largest(lw.metrics.Metric):
    """The largest weighted error."""

    def __init__(self, name: str = "largest") -> None:
        super().__init__(name=name)
        self.value = 0.0

    def reset_state(self) -> None:
        self.value = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        error = np.abs(np.asarray(y_true) - np.asarray(y_pred)).reshape(-1)
        weights = np.ones(1) if sample_weight is None else np.asarray(sample_weight).reshape(-1)
        self.value = max(self.value, float((error * weights).max()))

    def result(self) -> float:
        return self.value


def build_own() -> lw.Sequential:
    model = build()
    model.compile("adam", lw.losses.MeanSquaredError(reduction="mean_with_sample_weight"), weighted_metrics=[Largest()])
    return model


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_own_metrics_and_weighted_means_on_picked_rows(n_jobs: int) -> None:
    folds = folds_of(2, X, Y, ROWS)
    arguments = {"epochs": 2}
    fits = many(build_own, X, Y, n_jobs, arguments, seeds=2, folds=2, sample_weight=WEIGHTS)
    found = [digest(fit.model, fit.history) for fit in fits]
    for fit, bits in zip(fits, found, strict=True):
        train, test = folds[fit.fold]
        own = {"sample_weight": WEIGHTS[train], "validation_data": (X[test], Y[test], WEIGHTS[test]), **arguments}
        assert bits == single(build_own, fit.seed, X[train], Y[train], own)


def test_one_metric_in_compile_is_one_for_each() -> None:
    compiling = {"optimizer": "sgd", "loss": lambda t, p: (t - p) ** 2, "metrics": [Largest()]}
    fits = lw.fit_many(build, X, Y, seeds=4, n_jobs=2, epochs=2, compile=compiling, verbose=0)
    found = [fit.history.history["largest"] for fit in fits]
    for seed in range(4):
        lw.utils.set_random_seed(seed)
        model = build()
        model.compile(**compiling)
        assert model.fit(X, Y, epochs=2, verbose=0).history["largest"] == found[seed]
