"""fit_many: the bits of as many single fits, on any number of cores; data, folds, clones, losses of one's own."""

import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise.layers import Dense
from lanewise.many.jobs import folds_of
from many_cases import LABELS, ROWS, WEIGHTS, X, Y, build, build_classifier, build_with_numpy, digest, many, single

STOP = {"monitor": "val_loss", "patience": 1, "restore_best_weights": True}
CASES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "dropout": (build, {"epochs": 3}),
    "batch size, split": (build, {"epochs": 3, "batch_size": 50, "validation_split": 0.2}),
    "weights": (build, {"epochs": 2, "sample_weight": WEIGHTS, "shuffle": False}),
    "generators of NumPy and Python": (build_with_numpy, {"epochs": 2}),
    "steps": (build, {"epochs": 9, "steps_per_epoch": 1}),
    "early stopping": (build, {"epochs": 60, "validation_data": (X[:50], Y[:50]), "callbacks": STOP}),
}


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
    sparse, pd = pytest.importorskip("scipy.sparse"), pytest.importorskip("pandas")
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


def test_each_network_has_a_loss_of_its_own():
    """One that counts its calls was shared by all networks and threads."""

    class Counting(lw.losses.Loss):
        def __init__(self):
            super().__init__(name="counting")
            self.calls = 0

        def call(self, y_true, y_pred):
            self.calls += 1
            return lw.keras.ops.mean((y_true - y_pred) ** 2, axis=-1) * (1 + 0.1 * self.calls)

    x = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
    loss, ends = Counting(), []
    model = lw.Sequential([lw.Input((3,)), lw.layers.Dense(1)])
    model.compile("sgd", loss)
    for jobs in (1, 2):
        found = lw.fit_many(model, x, x[:, :1], seeds=3, epochs=2, n_jobs=jobs, verbose=0)
        ends.append([lw.fingerprint(entry.model) for entry in found])
    assert ends[0] == ends[1] and loss.calls == 0
