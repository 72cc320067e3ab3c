"""lr_find, OneCycle, OptunaPruning, halving."""

import sys
import threading
import types
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from ctrl_c import assert_no_thread_is_left, interrupted_when
from lanewise.callbacks import EarlyStopping, LambdaCallback, OneCycle, OptunaPruning, ReduceLROnPlateau
from lanewise.layers import Dense, Dropout
from lanewise.optimizers import SGD, Adam, schedules

RNG = np.random.default_rng(6)
X = RNG.standard_normal((200, 12)).astype(np.float32)
Y = (X[:, :3].sum(axis=1) + 0.3 * RNG.standard_normal(200)).astype(np.float32)
GRID = {"units": [4, 8, 16], "rate": [1e-4, 1e-3, 1e-2]}


def build(units: int = 8, rate: float = 1e-3, ema: bool = False) -> lw.Sequential:
    model = lw.Sequential([lw.Input((12,)), Dense(units, activation="relu"), Dropout(0.2), Dense(1)])
    model.compile(Adam(rate, use_ema=ema), "mse", metrics=["mae"])
    return model


def state(model: Any) -> list[bytes]:
    """Weights and all that the optimizer and the random streams remember."""
    found = [value.tobytes() for value in model.get_weights()]
    return found + [np.asarray(value).tobytes() for value in model.optimizer_state().values()]


# --- lr_find ----------------------------------------------------------------------------------------------------


def test_the_losses_of_each_batch_and_their_running_mean() -> None:
    given = build()
    found = lw.lr_find(given, X, Y, low=1e-5, high=1e-1, steps=20, smoothing=0.5, batch_size=32, shuffle=False)
    np.testing.assert_allclose(found.rates, 10.0 ** np.linspace(-5, -1, 20), rtol=1e-12)
    assert not found.diverged
    plain = lw.Sequential([lw.Input((12,))] + [layer for layer in given.layers if not isinstance(layer, Dropout)])
    plain.compile(Adam(1.0), "mse")
    dropless = lw.lr_find(plain, X, Y, low=1e-5, high=1e-1, steps=20, smoothing=0.5, batch_size=32, shuffle=False)
    mean = 0.0
    for i, rate in enumerate(found.rates):
        plain.optimizer.learning_rate = rate
        rows = slice(i % 7 * 32, i % 7 * 32 + 32)  # 200 rows: six whole batches, and one of 8
        loss = plain.train_on_batch(X[rows], Y[rows])
        assert dropless.losses[i] == pytest.approx(loss, rel=1e-6)
        mean = 0.5 * mean + 0.5 * loss
        assert dropless.smoothed[i] == pytest.approx(mean / (1.0 - 0.5 ** (i + 1)), rel=1e-5)


def test_the_model_and_the_random_streams_stay_as_they_are() -> None:
    lw.utils.set_random_seed(3)
    model = build()
    model.fit(X, Y, epochs=2, verbose=0)
    before, config = state(model), model.optimizer.get_config()
    first = lw.lr_find(model, X, Y, steps=30)
    drawn = np.random.random(), lw.random.next_run_seed()
    assert state(model) == before
    assert model.optimizer.get_config() == config
    lw.utils.set_random_seed(3)
    other = build()
    other.fit(X, Y, epochs=2, verbose=0)
    assert (np.random.random(), lw.random.next_run_seed()) == drawn
    again = lw.lr_find(other, X, Y, steps=30)
    assert np.array_equal(first.losses, again.losses)
    assert not np.array_equal(first.losses, lw.lr_find(other, X, Y, steps=30, seed=1).losses)
    with_function = [lw.lr_find(build, X, Y, steps=30) for _ in range(2)]
    assert np.array_equal(with_function[0].losses, with_function[1].losses)


def test_it_ends_where_the_loss_runs_away() -> None:
    model = build()
    model.compile(SGD(), "mse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.showwarning", lambda *args, **kwargs: pytest.fail(f"warned: {args}"))
        found = lw.lr_find(model, X, Y, low=1e-4, high=1e4, steps=100)
    assert found.diverged
    assert 20 < len(found.rates) < 90
    assert np.isfinite(found.smoothed).all()
    assert found.suggestion == found.minimum / 10
    assert found.minimum == found.rates[np.argmin(found.smoothed)]
    assert 1e-3 < found.suggestion < 1e-1


def test_a_schedule_and_an_unbuilt_model() -> None:
    model = lw.Sequential([Dense(3), Dense(1)])
    model.compile(Adam(schedules.CosineDecay(1e-3, 100)), "mse")
    assert len(lw.lr_find(model, X, Y, steps=5, high=1e-3).losses) == 5
    assert not model.built
    assert isinstance(model.optimizer.learning_rate, float)
    assert model.optimizer.follows_schedule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0.0}, "low: expected a finite number > 0"),
        ({"low": 1.0, "high": 0.5}, "high: expected a finite number > low=1.0"),
        ({"steps": 1}, "steps: expected"),
        ({"smoothing": 1.0}, "smoothing: expected"),
        ({"limit": 1.0}, "limit: expected"),
        ({"epochs": 3}, "lr_find.*epochs"),
        ({"batch_siz": 3}, "batch_size"),
        ({"model": 7}, "model: expected a model or a function"),
        ({"model": lambda: 7}, "model: expected the function to return a model"),
        ({"model": lw.Sequential([Dense(1)])}, "not compiled"),
        ({"y": 1e30 * Y}, "loss of the first batch is inf"),
    ],
)
def test_lr_find_says_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        lw.lr_find(**{"model": build(), "x": X, "y": Y, **arguments})


def test_lr_find_plots() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    found = lw.lr_find(build, X, Y, steps=50)
    ax = found.plot()
    assert ax.get_xscale() == "log"
    assert list(ax.lines[1].get_ydata()) == found.smoothed.tolist()
    assert ax.lines[2].get_xdata()[0] == found.suggestion
    matplotlib.pyplot.close("all")


# --- OneCycle ---------------------------------------------------------------------------------------------------


def test_one_cycle_goes_up_and_down() -> None:
    cycle = schedules.OneCycle(2.0, 101)
    expected = {0: 0.08, 15: 1.04, 30: 2.0, 65: 1.00001, 100: 2e-5, 10**6: 2e-5}
    for step, rate in expected.items():
        assert cycle(step) == pytest.approx(rate, rel=1e-12)
    rates = cycle.rates(0, 101)
    assert np.all(np.diff(rates[:31]) > 0)
    assert np.all(np.diff(rates[30:]) < 0)
    later = schedules.OneCycle(2.0, 101, first_step=50)
    assert np.array_equal(later.rates(50, 101), rates)
    assert later(3) == rates[0]
    again = schedules.deserialize(schedules.serialize(later))
    assert isinstance(again, schedules.OneCycle)
    assert again.get_config() == later.get_config()


def test_one_cycle_over_a_whole_fit_and_over_the_next() -> None:
    model, single = build(), build()
    single.set_weights(model.get_weights())
    for epochs in (5, 3):
        lw.utils.set_random_seed(9)
        first = int(model.optimizer.iterations)
        history = model.fit(X, Y, epochs=epochs, verbose=0, callbacks=OneCycle(0.01, warmup=0.4))
        lw.utils.set_random_seed(9)
        cycle = schedules.OneCycle(0.01, 7 * epochs, 0.4, first_step=first)
        single.optimizer.learning_rate = cycle
        single.fit(X, Y, epochs=epochs, verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), single.get_weights(), strict=True))
        assert history.history["learning_rate"] == [float(cycle(first + 7 * (e + 1) - 1)) for e in range(epochs)]
        assert not model.optimizer.follows_schedule
        assert float(model.optimizer.learning_rate) == pytest.approx(1e-7)


def test_one_cycle_and_the_plateau_log_the_rate_of_the_last_step() -> None:
    def rates(*callbacks: Any) -> Any:
        return build().fit(X, Y, epochs=3, verbose=0, callbacks=list(callbacks)).history["learning_rate"]

    alone = rates(OneCycle(0.01))
    assert alone == rates(OneCycle(0.01), ReduceLROnPlateau("loss")) == rates(ReduceLROnPlateau("loss"), OneCycle(0.01))


def test_one_cycle_leaves_the_schedule_of_an_optimizer_alone() -> None:
    model = build()
    model.optimizer.learning_rate = schedules.CosineDecay(0.1, 10)
    with pytest.raises(TypeError, match=r"learning_rate: <?CosineDecay.* gives it"):
        model.fit(X, Y, verbose=0, callbacks=OneCycle(0.1))
    model.optimizer.learning_rate = schedules.OneCycle(0.1, 10)  # as a fit that was interrupted leaves it
    model.fit(X, Y, verbose=0, callbacks=OneCycle(0.1))
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-6)


def test_one_cycle_says_what_is_wrong() -> None:
    for arguments in ({"peak": 0.0}, {"peak": 1.0, "warmup": 1.0}, {"peak": 1.0, "end_factor": 0.0}):
        with pytest.raises(ValueError, match=f"{list(arguments)[-1]}: expected"):
            OneCycle(**arguments)
    model = build()
    with pytest.raises(ValueError, match="steps_per_epoch: fit does not know"):
        model.fit(((X, Y) for _ in range(3)), verbose=0, callbacks=OneCycle(0.1))
    model.fit(((X, Y) for _ in range(3)), verbose=0, callbacks=OneCycle(0.1, steps_per_epoch=3))
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-6)


@pytest.mark.parametrize("schedule", [schedules.CosineDecay(0.0, 20, 0.1, warmup_target=0.1, warmup_steps=10)])
def test_cosine_with_warmup_in_training(schedule: schedules.CosineDecay) -> None:
    """A straight line to the target, then the cosine: a training sees both."""
    weight = lw.Sequential([lw.Input((1,)), Dense(1, use_bias=False, kernel_initializer="zeros")])
    weight.compile(SGD(schedule), lambda y, p: -p)  # a gradient of -x
    one = np.ones((40, 1), np.float32)
    weight.fit(one, one, batch_size=1, verbose=0, shuffle=False)
    rates = [0.01 * t for t in range(10)]
    rates += [0.1 * (0.9 * 0.5 * (1 + np.cos(np.pi * min(t, 20) / 20)) + 0.1) for t in range(30)]
    assert float(weight.get_weights()[0][0, 0]) == pytest.approx(sum(rates), rel=1e-5)


# --- OptunaPruning ----------------------------------------------------------------------------------------------


class Trial:
    def __init__(self, until: int) -> None:
        self.until = until
        self.seen: list[tuple[float, int]] = []

    def report(self, value: float, step: int) -> None:
        self.seen.append((value, step))

    def should_prune(self) -> bool:
        return len(self.seen) >= self.until


def test_optuna_prunes(monkeypatch: pytest.MonkeyPatch) -> None:
    class TrialPruned(Exception):
        pass

    fake = types.ModuleType("optuna")
    fake.TrialPruned = TrialPruned  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "optuna", fake)
    model, trial = build(), Trial(3)
    with pytest.raises(TrialPruned, match=r"val_loss .* after epoch 3"):
        model.fit(X, Y, epochs=9, validation_split=0.2, verbose=0, callbacks=OptunaPruning(trial))
    assert model.history is not None
    values = [value for value, _ in trial.seen]
    assert [step for _, step in trial.seen] == [0, 1, 2]
    assert all(np.isfinite(values))
    history = model.fit(X, Y, epochs=4, verbose=0, callbacks=OptunaPruning(trial := Trial(99), "mae"))
    assert [value for value, _ in trial.seen] == history.history["mae"]
    with pytest.raises(TypeError, match="trial: expected a trial of Optuna, received 7 without report"):
        OptunaPruning(7)


def test_real_optuna_prunes() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        model = build(rate=trial.suggest_float("rate", 1e-5, 1e-1, log=True))
        history = model.fit(X, Y, epochs=6, verbose=0, callbacks=OptunaPruning(trial, "loss"))
        return float(history.history["loss"][-1])

    pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1), pruner=pruner)
    study.optimize(objective, n_trials=12)
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert study.best_params["rate"] > 1e-3


# --- halving ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
def test_the_bits_of_single_fits_and_the_right_ones_train_on(n_jobs: int) -> None:
    """Averages that become the weights, and callbacks that wait for epochs, see nothing of the rungs."""
    arguments: dict[str, Any] = {"validation_split": 0.25}
    plateau = ReduceLROnPlateau(patience=2, min_delta=0.5)
    found = lw.halving(
        lambda units, rate: build(units, rate, ema=True), X, Y, GRID, epochs=(2, 7), factor=2, seeds=[4, 2],
        n_jobs=n_jobs, verbose=0, callbacks=plateau, **arguments,
    )  # fmt: skip
    assert found.stages == [2, 4, 7]
    assert len(found) == 18
    assert not found.interrupted
    curves: dict[int, list[list[float]]] = {}
    states = [state(fit.model) for fit in found]  # before another seed is set, which ends the random streams
    for fit, left in zip(found, states, strict=True):
        lw.utils.set_random_seed(fit.seed)
        model = build(**fit.params, ema=True)
        again = ReduceLROnPlateau(patience=2, min_delta=0.5)
        history = model.fit(X, Y, epochs=fit.epochs, verbose=0, callbacks=again, **arguments)
        assert history.history == fit.history.history
        assert state(model) == left
        curves.setdefault(fit.index // 2, []).append(history.history["val_loss"])
    alive = list(range(9))
    for rung, epochs in enumerate(found.stages):
        means = {n: float(np.mean([curve[epochs - 1] for curve in curves[n]])) for n in alive}
        alive = sorted(alive, key=lambda n: means[n])
        rows = [row for row in found.rungs if row["rung"] == rung]
        assert [row["candidate"] for row in rows] == alive
        assert [row["mean"] for row in rows] == pytest.approx([means[n] for n in alive])
        assert {row["epochs"] for row in rows} == {epochs}
        alive = alive[: (4, 2, 1)[rung]]
        assert [row["candidate"] for row in rows if row["kept"]] == alive
    assert found.best.index // 2 == alive[0]
    assert found.candidates()[0]["params"] == found.best.params
    assert [fit.epochs for fit in found].count(7) == 4
    found.best.model.fit(X, Y, verbose=0)


def test_folds_frames_and_pictures() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    found = lw.halving(build, X, Y, GRID, epochs=(1, 9), folds=3, seeds=1, verbose=0, monitor="val_mae")
    frame = found.frame()
    assert list(frame.columns) == ["rung", "epochs", "candidate", "units", "rate", "mean", "std", "kept"]
    assert frame.groupby("epochs").size().to_dict() == {1: 9, 3: 3, 9: 1}
    assert sum(row["epochs"] for row in found.results) == 3 * (6 * 1 + 2 * 3 + 1 * 9)
    assert found.rungs[-1]["mean"] == pytest.approx(np.mean([f.logs["val_mae"] for f in found if f.epochs == 9]))
    ax = found.plot()
    assert len(ax.lines) == 27 + 2
    assert "27 of 27" in repr(found)
    matplotlib.pyplot.close("all")


def test_more_accuracy_is_better() -> None:
    def classifier(rate: float) -> Any:
        model = lw.Sequential([lw.Input((12,)), Dense(1, activation="sigmoid")])
        model.compile(Adam(rate), "binary_crossentropy", metrics=["accuracy"])
        return model

    found = lw.halving(
        classifier, X, Y > 0, {"rate": [1e-6, 1e-1]}, epochs=(3, 6), seeds=1, monitor="accuracy", verbose=0
    )
    assert found.best.params == {"rate": 1e-1}
    assert [row["kept"] for row in found.rungs] == [True, False, True]


def test_one_that_fails_drops_out() -> None:
    def fails(labels: dict[str, Any]) -> list[Any]:
        def end(epoch: int, logs: Any) -> None:
            if labels["units"] == 8 and labels["seed"] == 1 and epoch == 1:
                raise RuntimeError("on purpose")

        return [LambdaCallback(on_epoch_end=end)]

    def builder(units: int) -> Any:
        if units == 0:
            raise ValueError("no units")
        return build(units, rate=1e-2)

    with pytest.warns(RuntimeWarning, match="3 of 10 networks failed; number 0 with ValueError: no units") as caught:
        found = lw.halving(
            builder, X, Y, {"units": [0, 2, 4, 8, 16]}, epochs=(2, 8), factor=2, seeds=2, verbose=0, callbacks=fails
        )
    assert caught[0].filename == __file__
    assert set(map(str, found.errors.values())) == {"no units", "on purpose"}
    assert sorted(found.errors) == [0, 1, 7]
    assert not found.interrupted
    assert 0 not in {row["candidate"] for row in found.rungs}
    assert found.best.params["units"] not in (0, 8)
    assert found.best.epochs == 8
    with pytest.raises(ValueError, match="no units"):
        lw.halving(builder, X, Y, {"units": [0]}, epochs=(1, 2), verbose=0)


def test_one_that_stops_by_itself_competes_with_what_it_has() -> None:
    """The best candidate stops in epoch 2 of 8, its weights of the best epoch come back, and it wins."""

    def stops(labels: dict[str, Any]) -> list[Any]:
        good = labels["rate"] == 3e-2
        return [EarlyStopping("loss", patience=1, min_delta=1e9, restore_best_weights=True)] if good else []

    found = lw.halving(
        build, X, Y, [{"rate": 1e-6}, {"rate": 3e-2}, {"rate": 1e-7}], epochs=(1, 8), factor=2, seeds=1, verbose=0,
        callbacks=stops,
    )  # fmt: skip
    assert found.best.params == {"rate": 3e-2}
    assert found.best.epochs == 2
    assert found.stages == [1, 2, 4, 8]
    assert not found.interrupted
    assert [(row["rung"], row["kept"]) for row in found.rungs if row["candidate"] == 1] == [(i, True) for i in range(4)]


def test_ctrl_c_returns_those_that_wait() -> None:
    begun = threading.Event()

    def watch(labels: dict[str, Any]) -> list[Any]:
        def begin(epoch: int, logs: Any) -> None:
            if epoch == 50:
                begun.set()

        return [LambdaCallback(on_epoch_begin=begin)]

    with interrupted_when(begun):
        found = lw.halving(
            build, X, Y, GRID, epochs=(2, 10**6), factor=10**5, seeds=1, n_jobs=2, callbacks=watch, verbose=0
        )
    assert found.interrupted
    assert len(found) == 8
    assert {fit.epochs for fit in found} == {2}
    assert [row["rung"] for row in found.rungs] == [0] * 9
    assert found.best.index == found.rungs[1]["candidate"]  # the winner was on its way
    assert_no_thread_is_left()


def test_halving_shows_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lw.halving(build, X, Y, GRID, epochs=(1, 4), seeds=1, verbose=1)
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert "9/9" in shown
    assert "best loss" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 5}, r"epochs: expected \(those of the first rung"),
        ({"epochs": (0, 5)}, r"epochs\[0\]: expected"),
        ({"epochs": (6, 5)}, r"epochs\[1\]: expected"),
        ({"factor": 1}, "factor: expected"),
        ({"grid": None}, "models, grid: expected"),
        ({"grid": {}, "models": []}, "models, grid: expected"),
        ({"grid": {"epochs": [3]}}, "epochs: the rungs say"),
        ({"initial_epoch": 3}, "initial_epoch: the rungs say"),
        ({"grid": {"unit": [3]}}, "units"),
        ({"n_job": 3}, "n_jobs"),
        ({"folds": 300}, "folds: 200 rows"),
    ],
)
def test_halving_says_what_is_wrong(arguments: dict[str, Any], message: str) -> None:
    def builder(units: int = 8) -> Any:
        pytest.fail("trained")

    with pytest.raises((TypeError, ValueError), match=message):
        lw.halving(**{"models": builder, "x": X, "y": Y, "grid": {"units": [3]}, "epochs": (1, 2), **arguments})
