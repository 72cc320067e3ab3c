"""Optimizers and schedules against Keras's own, step by step on random gradients."""

import numpy as np
import pytest

import keras
import lanewise as lw

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras's own

CASES = [
    ("SGD", {"momentum": 0.9, "nesterov": True, "clipnorm": 1.0}),
    ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5}),
    ("Adam", {"learning_rate": 0.01, "amsgrad": True, "global_clipnorm": 1.0}),
    ("AdamW", {"learning_rate": 0.01}),
    ("Adamax", {"learning_rate": 0.01, "clipvalue": 0.5}),
    ("Nadam", {"learning_rate": 0.01, "weight_decay": 0.01}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Ftrl", {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "beta": 0.1}),
    ("Lion", {"learning_rate": 0.01}),
    ("Adam", {"learning_rate": 0.01, "use_ema": True, "ema_overwrite_frequency": 4}),
    ("SGD", {"learning_rate": 0.1, "gradient_accumulation_steps": 3}),
]


@pytest.mark.parametrize(("name", "hyper"), CASES)
def test_thirty_steps(name, hyper):
    rng = np.random.default_rng(7)
    start = [rng.standard_normal(shape).astype(np.float32) for shape in ((6, 4), (4,))]
    variables = [keras.Variable(value, name=n) for value, n in zip(start, ("kernel", "bias"), strict=True)]
    theirs = getattr(keras.optimizers, name)(**hyper)
    model = lw.Sequential([lw.layers.Dense(4, input_shape=(6,))])
    model.set_weights(start)
    model.compile(getattr(lw.optimizers, name)(**hyper), "mse")
    for _ in range(30):
        gradients = [rng.standard_normal(v.shape).astype(np.float32) for v in start]
        theirs.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        model.apply_gradients(gradients)
    for mine, variable in zip(model.get_weights(), variables, strict=True):
        np.testing.assert_allclose(mine, keras.ops.convert_to_numpy(variable), rtol=2e-5, atol=2e-5)
    ours, kept = model.optimizer.get_config(), theirs.get_config()
    assert {key: ours[key] for key in kept if key in ours and key not in ("name", "learning_rate")} == {
        key: value for key, value in kept.items() if key in ours and key not in ("name", "learning_rate")
    }


@pytest.mark.parametrize(
    "name", ["SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta", "Ftrl", "Lion"]
)
def test_defaults(name):
    theirs = getattr(keras.optimizers, name)().get_config()
    ours = getattr(lw.optimizers, name)().get_config()
    for key in theirs.keys() - {"name", "loss_scale_factor"}:
        assert ours[key] == pytest.approx(theirs[key]), key


@pytest.mark.parametrize(
    "text",
    [
        "ExponentialDecay(0.1, 100, 0.9)", "InverseTimeDecay(0.1, 30, 0.5, staircase=True)",
        "PolynomialDecay(0.1, 300, power=0.7, cycle=True)",
        "CosineDecay(0.01, 200, 0.1, warmup_target=0.1, warmup_steps=50)",
        "CosineDecayRestarts(0.1, 50, 2.0, 0.9, 0.1)", "PiecewiseConstantDecay([100, 300], [0.1, 0.05, 0.01])",
    ],
)  # fmt: skip
def test_schedules(text):
    theirs = eval("keras.optimizers.schedules." + text)
    ours = eval("lw.optimizers.schedules." + text)
    steps = range(0, 600, 7)
    np.testing.assert_allclose([float(ours(s)) for s in steps], [float(theirs(s)) for s in steps], rtol=2e-4, atol=1e-7)
    assert ours.get_config() == theirs.get_config()
