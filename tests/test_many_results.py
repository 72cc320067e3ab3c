"""fit_many: where the names of a grid go, results, callbacks, threads, progress."""

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise.callbacks import Callback, EarlyStopping, LambdaCallback
from many_cases import LABELS, X, Y, build, build_classifier

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


def test_candidates_that_look_alike_are_two() -> None:
    weights = [np.ones(2000), np.ones(2000)]
    weights[1][1000] = 2.0
    assert repr(weights[0]) == repr(weights[1])
    fits = lw.fit_many(lambda noted: build(2), X, Y, grid={"noted": weights}, seeds=2, epochs=1, verbose=0)
    assert sorted(entry["fits"][0].index for entry in fits.candidates()) == [0, 2]
    models = lw.fit_many([build(2), build(2)], X, Y, epochs=1, verbose=0)
    assert [entry["count"] for entry in models.candidates()] == [2]


def test_folds_that_do_not_validate_are_trained_and_not_ranked() -> None:
    half, rest = np.arange(100), np.arange(100, len(X))
    fits = lw.fit_many(build, X, Y, folds=[(half, rest), (half, None), (rest, half)], verbose=0)
    assert not fits.errors and [fit.fold for fit in fits] == [0, 1, 2] and "val_loss" not in fits[1].logs
    (entry,) = fits.candidates()
    assert [fit.fold for fit in entry["fits"]] == [0, 2] and fits.best in entry["fits"]
    assert entry["mean"] == np.mean([fits[0].logs["val_loss"], fits[2].logs["val_loss"]])
    assert "best val_loss" in repr(fits)
    fits.fits = [fits[1]]
    assert "best" not in repr(fits)
    with pytest.raises(ValueError, match="monitor: 'val_loss' was not recorded"):
        lw.fit_many(build, X, Y, folds=[(half, None)], monitor="val_loss", verbose=0)


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
    assert "16 of 16" in repr(fits) and "trained on" not in repr(fits)
    assert "best loss (of the rows that they are trained on) " in repr(lw.fit_many(build, X, Y, seeds=2, verbose=0))


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
