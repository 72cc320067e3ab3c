"""fit_many: bad arguments, networks that fail, Ctrl-C."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from ctrl_c import assert_no_thread_is_left, interrupted_when
from lanewise.callbacks import CSVLogger, EarlyStopping, LambdaCallback
from lanewise.layers import Dense
from lanewise.many.run import Run
from many_cases import WEIGHTS, X, Y, build

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


# --- lists of models --------------------------------------------------------------------------------------------


def test_lists_of_models_that_share_something() -> None:
    model, other, optimizer, layer = build(), build(), lw.optimizers.Adam(), Dense(1)
    before = [lw.fingerprint(model), lw.fingerprint(other)]

    def with_layer() -> Any:
        made = lw.Sequential([lw.Input((12,)), layer])
        made.compile("sgd", "mse")
        return made

    lists: dict[str, list[Any]] = {
        "model": [model, other, model],
        "optimizer": [build(optimizer=optimizer), other, build(optimizer=optimizer)],
        "weight": [model, with_layer(), with_layer()],
    }
    for what, models in lists.items():
        with pytest.raises(ValueError, match=f"models: two networks share one {what}"):
            lw.fit_many(models, X, Y, verbose=0)
    assert [lw.fingerprint(model), lw.fingerprint(other)] == before
    with pytest.raises(ValueError, match="models: expected at least one"):
        lw.fit_many([], X, Y, verbose=0)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_of_a_list_fails(n_jobs: int) -> None:
    wide = lw.Sequential([lw.Input((12,)), Dense(2)])  # two columns, y has one
    wide.compile("sgd", "mse")
    models = [build(), wide, build()]
    with pytest.warns(RuntimeWarning, match="1 of 3 networks failed; number 1 with ValueError: y"):
        fits = lw.fit_many(models, X, Y, seeds=3, n_jobs=n_jobs, verbose=0)
    assert fits.models == [models[0], models[2]]
    assert list(fits.errors) == [1]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_one_fold_and_one_candidate_fail(n_jobs: int) -> None:
    """Unequal candidates, one with a bad argument of fit; a fold whose labels the network does not have."""
    folds = [(np.arange(100), np.arange(100, 203)), (np.arange(50, 203), np.arange(50))]
    grid = [{"units": 3}, {"batch_size": 0}, {"rate": 0.5, "epochs": 2}, {"optimizer": "adamm"}]
    with pytest.warns(RuntimeWarning, match="8 of 16 networks failed"):
        fits = lw.fit_many(build, X, Y, grid=grid, folds=folds, seeds=2, n_jobs=n_jobs, verbose=0)
    assert [fit.params for fit in fits] == [grid[0]] * 4 + [grid[2]] * 4
    assert sorted(fits.errors) == [*range(4, 8), *range(12, 16)]
    assert "batch_size: expected a positive integer" in str(fits.errors[4])
    assert "adamm" in str(fits.errors[12])
    assert fits.best.params in (grid[0], grid[2])
    assert [entry["count"] for entry in fits.candidates()] == [4, 4]


def test_more_bad_arguments() -> None:
    with pytest.raises(ValueError, match="folds: 203 rows cannot be parted in 300"):
        lw.fit_many(build, X, Y, folds=300, verbose=0)
    with pytest.raises(TypeError, match="batch_size"):
        lw.fit_many(build, X, Y, batch_size="many", seeds=2, verbose=0)
    for jobs, error in ((-2, ValueError), (1.5, TypeError), ("all", TypeError)):
        with pytest.raises(error, match="n_jobs"):
            lw.fit_many(build, X, Y, n_jobs=jobs, verbose=0)
    with pytest.raises(ValueError, match="folds, validation_data: give one of them"):
        lw.fit_many(build, X, Y, folds=2, grid={"validation_data": [(X, Y)]}, verbose=0)
    assert len(lw.fit_many(build, X, Y, seeds=2, n_jobs=9, verbose=0)) == 2


@pytest.mark.parametrize("given", ["folds", "grid", "models"])
def test_ctrl_c_with(given: str) -> None:
    begun = threading.Event()

    def watch(labels: dict[str, Any]) -> list[Any]:
        def begin(epoch: int, logs: Any) -> None:
            if labels["index"] == 2:
                begun.set()
                if epoch > 10**5:
                    raise AssertionError("nobody ended it")

        return [LambdaCallback(on_epoch_begin=begin)]

    long = 10**6
    arguments: dict[str, Any] = {
        "folds": {"grid": [{"epochs": 2}, {"epochs": long}], "folds": 2, "seeds": 1},
        "grid": {"grid": [{"epochs": 2, "units": 3}, {"epochs": 2}, {"epochs": long}, {"epochs": 2}], "seeds": 1},
        "models": {"epochs": 2},
    }[given]
    models: Any = build
    if given == "models":
        models = [build() for _ in range(4)]

        def forever(labels: dict[str, Any]) -> list[Any]:
            def wait(epoch: int, logs: Any) -> None:
                if labels["index"] == 2:
                    begun.set()
                    end = time.perf_counter() + 10
                    while not models[2].stop_training and time.perf_counter() < end:
                        time.sleep(0.01)

            return [LambdaCallback(on_epoch_begin=wait)]

        arguments["callbacks"] = forever
    with interrupted_when(begun):
        fits = lw.fit_many(models, X, Y, n_jobs=1, **{"callbacks": watch, "verbose": 0, **arguments})
    assert fits.interrupted
    assert [fit.index for fit in fits] == [0, 1]
    assert not fits.errors
    assert_no_thread_is_left()


def test_threads_that_end_at_once_ring_one_bell() -> None:
    """Between a look at the bell and the ring another thread can have rung it."""

    class Bell:
        rung = 0

        def locked(self) -> bool:
            return True

        def release(self) -> None:
            Bell.rung += 1
            if Bell.rung > 1:
                raise RuntimeError("release unlocked lock")

    run: Any = object.__new__(Run)
    run._begun, run._ended, run._bell, run._train_in_turn = [], [], Bell(), lambda: None
    for _ in range(2):
        threading.Thread(target=run._work, args=(1, sys._getframe())).start()  # its errors fail a test
    while len(run._ended) < 2 or Bell.rung < 2:
        time.sleep(0.001)
