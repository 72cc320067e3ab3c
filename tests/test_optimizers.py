"""Optimizers: Keras's numbers, float64 equations, every ISA, any team, fused or not; averages, accumulation, schedules.

GOLDEN was made with Keras 3.15 on JAX in float64 (`keras.config.set_floatx`): `opt = keras.optimizers.<name>(**hyper)`,
two variables KERNEL and BIAS, and `opt.apply(gradients(t), variables)` for t = 1 to 10; beside use_ema, what
finalize_variable_values then left.
"""

import copy
import pickle

import numpy as np
import pytest

import lanewise as lw
import lanewise._core as core
from bounds import ALIKE, SIZES, floats, running
from lanewise import ops, optimizers
from lanewise.optimizers import schedules
from optimizer_equations import EQUATIONS
from optimizer_golden import EXCLUDED, GOLDEN
from test_engine import NETWORKS, chain, trained

KERNEL = np.arange(-3, 3, dtype=np.float32).reshape(2, 3) / 4
BIAS = np.array([0.5, -0.25, 0.0], np.float32)


def gradients(t):
    values = np.array([((7 * t + 3 * i) % 11 - 5) / 8 for i in range(9)], np.float32)
    return [values[:6].reshape(2, 3), values[6:]]


def stepped(optimizer, steps=10):
    model = lw.Sequential([lw.layers.Dense(3, input_shape=(2,))])
    model.set_weights([KERNEL, BIAS])
    model.compile(optimizer, "mse")
    for t in range(1, steps + 1):
        model.apply_gradients(gradients(t))
    return model


def flat(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize(("name", "hyper", "wanted", "averages"), GOLDEN)
def test_ten_steps_of_keras(isa, name, hyper, wanted, averages):
    model = stepped(getattr(optimizers, name)(**hyper))
    np.testing.assert_allclose(flat(model), wanted, rtol=2e-6, atol=4e-7)
    if averages is not None:
        model.optimizer.finalize_variable_values(model.trainable_weights)
        np.testing.assert_allclose(flat(model), averages, rtol=2e-6, atol=4e-7)


def test_weights_excluded_from_decay(isa):
    by_name, by_weight = (optimizers.AdamW(0.05, 0.1) for _ in range(2))
    by_name.exclude_from_weight_decay(var_names=["bias"])
    np.testing.assert_allclose(flat(stepped(by_name)), EXCLUDED, rtol=2e-6, atol=4e-7)
    model = lw.Sequential([lw.layers.Dense(3, input_shape=(2,))])
    by_weight.exclude_from_weight_decay(var_list=[model.layers[0].weights[1]])
    model.set_weights([KERNEL, BIAS])
    model.compile(by_weight, "mse")
    for t in range(1, 11):
        model.apply_gradients(gradients(t))
    np.testing.assert_allclose(flat(model), EXCLUDED, rtol=2e-6, atol=4e-7)


# --- kernels against float64 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EQUATIONS)
def test_steps_of_a_kernel_against_float64(isa, name):
    rng = np.random.default_rng(3)
    equation, hyper, slot_names = EQUATIONS[name]
    for n in SIZES:
        w = floats(rng, n)
        slots = {s: np.full(n, 0.1 if s == "accumulator" else 0, np.float32) for s in slot_names}
        w64, slots64 = w.astype(np.float64), [slots[s].astype(np.float64) for s in slot_names]
        for t in range(1, 5):
            g = floats(rng, n)
            ops.optimizer_step(name, w, g, slots, step=t, **hyper)
            equation(w64, g.astype(np.float64), slots64, t, **hyper)
            np.testing.assert_allclose(w, w64, rtol=1e-6, atol=1e-6)
            for s, exact in zip(slot_names, slots64, strict=True):
                np.testing.assert_allclose(slots[s], exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", EQUATIONS)
def test_nan_stays_where_it_is(isa, name):
    slot_names = EQUATIONS[name][2]
    w, g = np.ones(37, np.float32), np.ones(37, np.float32)
    g[5] = np.nan
    slots = {s: np.zeros(37, np.float32) for s in slot_names}
    ops.optimizer_step(name, w, g, slots)
    g[5] = 1
    ops.optimizer_step(name, w, g, slots, step=2)
    assert np.flatnonzero(np.isnan(w)).tolist() == [5]


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_dead_unit_leaves_no_subnormal_slots(isa, name):
    slot_names = EQUATIONS[name][2]
    slots = {s: np.full(20, 1e-39, np.float32) for s in slot_names}
    ops.optimizer_step(name, np.zeros(20, np.float32), np.zeros(20, np.float32), slots, step=3)
    assert all(((values == 0) | (np.abs(values) >= 2.0**-126)).all() for values in slots.values())


def test_optimizer_step_refuses_bad_arguments():
    w, g = np.ones(4, np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match=r"accumulator: expected an array of w's shape. Received: None"):
        ops.optimizer_step("adagrad", w, g, {})
    with pytest.raises(ValueError, match=r"Unknown optimizer. Expected one of: sgd, .*lion. Received: 'adan'"):
        ops.optimizer_step("adan", w, g, {})
    with pytest.raises(ValueError, match="no hyper-parameter 'rho'"):
        ops.optimizer_step("lion", w, g, {"m": g.copy()}, rho=0.5)
    with pytest.raises(ValueError, match="overlap"):
        ops.optimizer_step("nadam", w, g, {"m": g, "v": g.copy()})


# --- in the engine --------------------------------------------------------------------------------------------------

IN_ENGINE = [
    ("nadam", {}), ("lion", {"weight_decay": 0.1}), ("amsgrad", {"clipnorm": 0.5}), ("adadelta", {"learning_rate": 1}),
    ("adamax", {"use_ema": 1, "ema_overwrite_frequency": 3}), ("adagrad", {"gradient_accumulation_steps": 3}),
    ("ftrl", {"power": 0.7, "l1": 1e-3, "learning_rate": 0.05}),
    ("adam", {"gradient_accumulation_steps": 2, "global_clipnorm": 0.5, "use_ema": 1, "ema_momentum": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize("name", ["deep", "narrow"])
@pytest.mark.parametrize(("optimizer", "hyper"), IN_ENGINE)
def test_fused_and_unfused_at_any_team_give_the_same_bits(name, optimizer, hyper):
    widths, activations, loss, dropout = NETWORKS[name]
    rng = np.random.default_rng(1)
    x = floats(rng, 150, widths[0])
    y = rng.integers(0, widths[-1], 150) if loss.startswith("sparse") else floats(rng, 150, widths[-1])
    results = set()
    for isa in ALIKE[:2]:
        for threads in (1, 2, 7):
            for fuse in (True, False):
                with running(isa, threads):
                    network, variables = chain(widths, activations, loss, fuse, True, dropout)
                    native = core.Optimizer(optimizer, **hyper)
                    native.set_undecayed(variables[1::2])
                    native.set_rates(0, np.linspace(0.01, 0.001, 15))
                    bits = trained(network, variables, native, x, y)
                    results.add(bits + b"".join(s.tobytes() for v in variables for s in native.get_slots(v)))
    assert len(results) == 1


def model_and_data(optimizer, seed=4):
    rng = np.random.default_rng(2)
    x = floats(rng, 70, 5)
    lw.random.set_seed(seed)
    model = lw.Sequential([lw.layers.Dense(9, "tanh", input_shape=(5,)), lw.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model, x, x.sum(1)


def test_batches_whose_gradients_are_accumulated_are_one_large_batch():
    small, x, y = model_and_data(optimizers.Adam(0.01, gradient_accumulation_steps=2))
    large, *_ = model_and_data(optimizers.Adam(0.01))
    small.fit(x[:64], y[:64], batch_size=16, epochs=3, shuffle=False, verbose=0)
    large.fit(x[:64], y[:64], batch_size=32, epochs=3, shuffle=False, verbose=0)
    assert small.optimizer.iterations == large.optimizer.iterations == 6
    np.testing.assert_allclose(flat(small), flat(large), rtol=1e-5, atol=1e-6)


def test_averages_become_the_weights_at_the_end_of_fit():
    model, x, y = model_and_data(optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9))
    raw, *_ = model_and_data(optimizers.SGD(0.05))
    average = None
    for _ in range(4):
        before = flat(raw)
        raw.fit(x, y, batch_size=70, shuffle=False, verbose=0)
        average = flat(raw).astype(np.float64) if average is None else 0.9 * average + 0.1 * flat(raw)
        assert not np.array_equal(flat(raw), before)
    model.fit(x, y, batch_size=70, epochs=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(flat(model), average, rtol=1e-5, atol=1e-7)


def test_training_goes_on_from_a_saved_state(tmp_path):
    """Cut in the middle of an accumulation, with averages: the same bits."""
    hyper = {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 5}
    schedule = {"learning_rate": schedules.CosineDecay(0.01, 20)}
    first, x, y = model_and_data(optimizers.Nadam(**schedule, **hyper))
    for at in range(0, 15, 5):
        first.train_on_batch(x[at : at + 5], y[at : at + 5])
    first.save(tmp_path / "m.lanewise")
    again = lw.load_model(tmp_path / "m.lanewise")
    assert isinstance(again.optimizer, optimizers.Nadam)
    assert again.optimizer.get_config() == first.optimizer.get_config()
    for model in (first, again):
        for at in range(15, 60, 5):
            model.train_on_batch(x[at : at + 5], y[at : at + 5])
    assert lw.fingerprint(first) == lw.fingerprint(again)
    assert first.optimizer.iterations == 6


# --- what a person sees ---------------------------------------------------------------------------------------------
def test_what_is_left_out_of_decay_stays_so_in_copies(tmp_path):
    def excluded(by):
        model, x, y = model_and_data(optimizers.AdamW(0.01, weight_decay=0.5))
        which = (
            {"var_names": ["bias"]} if by == "name" else {"var_list": [w for w in model.weights if w.name == "bias"]}
        )
        model.optimizer.exclude_from_weight_decay(**which)
        return model, x, y

    for by in ("name", "weight"):
        model, x, y = excluded(by)
        model.train_on_batch(x, y)
        model.save(tmp_path / "m.lanewise")
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), lw.load_model(tmp_path / "m.lanewise")]
        for one in (model, *copies):
            one.train_on_batch(x, y)
        assert {lw.fingerprint(one) for one in copies} == {lw.fingerprint(model)}
        many = lw.fit_many(model, x, y, seeds=1, epochs=2, verbose=0)[0].model
        assert [w.name for w in many.weights] == [w.name for w in model.weights]
        assert many.optimizer.excluded(many.weights) == model.optimizer.excluded(model.weights) != []
    state = model.optimizer_state()
    for places in ([9], [-1], [[0]], [0.5]):
        with pytest.raises(ValueError, match="undecayed: expected places of"):
            model.load_optimizer_state({**state, "undecayed": np.asarray(places)})


@pytest.mark.parametrize("cls", optimizers._CLASSES)
def test_names_and_configs(cls):
    name = cls.__name__
    for spelling in (name, name.lower(), name.upper()):
        assert type(optimizers.get(spelling)) is cls
    made = cls(learning_rate=0.02, clipnorm=1.0, name="mine", use_ema=True, ema_overwrite_frequency=7)
    again = optimizers.deserialize(optimizers.serialize(made))
    assert type(again) is cls
    assert again.get_config() == made.get_config()
    assert made.get_config()["learning_rate"] == 0.02
    assert getattr(optimizers.legacy, name, cls) is cls
    assert float(cls(schedules.ExponentialDecay(0.5, 10, 0.5)).learning_rate) == 0.5


def test_defaults_are_those_of_keras():
    rates = {cls.__name__: float(cls().learning_rate) for cls in optimizers._CLASSES}
    assert rates.pop("SGD") == 0.01
    assert set(rates.values()) == {0.001}
    assert optimizers.AdamW().get_config()["weight_decay"] == 0.004
    assert optimizers.Adadelta().get_config()["rho"] == 0.95
    assert optimizers.Lion().get_config()["beta_2"] == 0.99
    assert optimizers.Adagrad().get_config()["initial_accumulator_value"] == 0.1
    assert optimizers.Ftrl().get_config()["learning_rate_power"] == -0.5


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: optimizers.SGD(clipnorm=1, clipvalue=1), ValueError, "give at most one"),
        (lambda: optimizers.SGD(use_ema=True, ema_momentum=1.5), ValueError, r"ema_momentum: .*\[0, 1\]"),
        (lambda: optimizers.SGD(ema_overwrite_frequency=-1), ValueError, "ema_overwrite_frequency: .*received -1"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), ValueError, "gradient_accumulation_steps: .*>= 2"),
        (lambda: optimizers.SGD(loss_scale_factor=2.0), NotImplementedError, "loss_scale_factor"),
        (lambda: optimizers.Lion(beta_1=0.0), ValueError, r"beta_1: expected a number in \(0, 1\]"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), ValueError, "learning_rate_power: .*<= 0"),
        (lambda: optimizers.AdamW(weight_decay=None), TypeError, "weight_decay"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value"),
        (lambda: optimizers.SGD().averages([]), ValueError, "use_ema"),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_decay_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="decay: ignored"):
        optimizers.SGD(0.1, decay=1e-6)


def test_one_optimizer_trains_one_model() -> None:
    """As in Keras: it keeps moments for the weights that it was built with."""
    optimizer = lw.optimizers.Adam()
    first, second = (lw.Sequential([lw.Input((3,)), lw.layers.Dense(1)]) for _ in range(2))
    first.compile(optimizer, "mse")
    second.compile(optimizer, "mse")
    x, y = np.ones((4, 3), np.float32), np.ones(4, np.float32)
    first.fit(x, y, verbose=0)
    before = lw.fingerprint(second)
    for train in (second.fit, second.train_on_batch):
        with pytest.raises(ValueError, match="optimizer: this Adam trains another model already"):
            train(x, y)
    assert lw.fingerprint(second) == before and optimizer.iterations == 1
    both = lw.Sequential([lw.Input((3,)), first.layers[-1]])  # the same weights
    both.compile(optimizer, "mse")
    both.fit(x, y, verbose=0)
    assert optimizer.iterations == 2


def test_weights_that_thaw_keep_the_optimizer() -> None:
    optimizer = lw.optimizers.Adam()
    model = lw.Sequential([lw.Input((3,)), lw.layers.Dense(2), lw.layers.Dense(1)])
    model.layers[0].trainable = False
    x, y = np.ones((4, 3), np.float32), np.ones(4, np.float32)
    for _ in range(2):
        model.compile(optimizer, "mse")
        model.fit(x, y, verbose=0)
        model.layers[0].trainable = True
    assert optimizer.iterations == 2 and len(optimizer.variables) == 2 + 2 * 4


def test_a_step_within_a_step_changes_nothing_of_the_outer_one():
    """An array's class may bring Python code that runs in the middle of a step."""

    class Meddler(np.ndarray):
        def __getattr__(self, name):
            if name == "_mask":
                one = np.ones(5, np.float32)
                ops.optimizer_step("lion", one, one.copy(), {"m": one.copy()}, learning_rate=0.5)
            raise AttributeError(name)

    def stepped(w):
        m, v = np.zeros(37, np.float32), np.zeros(37, np.float32)
        for step in range(1, 51):
            ops.optimizer_step("adam", w, np.ones(37, np.float32), {"m": m, "v": v}, step=step, learning_rate=0.001)
        return np.asarray(w).view(np.ndarray)

    np.testing.assert_array_equal(stepped(np.ones(37, np.float32).view(Meddler)), stepped(np.ones(37, np.float32)))


def test_states_that_are_none_change_nothing():
    model, x, y = model_and_data(optimizers.Adam(0.01))
    model.fit(x, y, verbose=0)
    state = model.optimizer_state()
    before = model.optimizer_state()
    for key, values in {
        "iterations": [-1, 2**62, 1.5, [1], None], "seed": [-1, 2**64, 0.5, np.zeros(2, int)],
        "epoch": [-1, 2**48, "1"],
        "learning_rate": [-1.0, np.nan, np.inf, [0.1], "0.1"], "undecayed": [np.zeros(10**6, int), [0, 1, 99]],
    }.items():  # fmt: skip
        for value in values:
            with pytest.raises(ValueError, match=f"state: {key}"):
                model.load_optimizer_state({**state, key: value})
    for key in ("iterations", "learning_rate", "seed", "epoch"):
        with pytest.raises(ValueError, match=f"state: expected {key!r}"):
            model.load_optimizer_state({k: v for k, v in state.items() if k != key})
    after = model.optimizer_state()
    assert all(np.array_equal(before[key], after[key]) for key in before)
