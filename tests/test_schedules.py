"""Learning-rate schedules: Keras's numbers, bits, what an optimizer does with them.

GOLDEN was made with Keras 3.15 on JAX: `keras.optimizers.schedules.<text>` called with each of STEPS.
"""

import hashlib

import numpy as np
import pytest

import lanewise as lw
from lanewise.optimizers import SGD, Adam, exact, schedules

STEPS = [0, 1, 2, 3, 4, 5, 7, 10, 11, 12, 13, 15, 19, 20, 28, 40]
GOLDEN = [
    ("ExponentialDecay(0.1, 7, 0.6)",
     [0.1, 0.0929624, 0.08642008, 0.08033817, 0.0746843, 0.06942832, 0.06, 0.04820291, 0.04481058,
      0.04165699, 0.03872534, 0.03346647, 0.0249942, 0.0232352, 0.01296, 0.005398747]),
    ("ExponentialDecay(0.1, 7, 0.6, staircase=True)",
     [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.06, 0.06, 0.06, 0.06, 0.06, 0.036, 0.036, 0.036, 0.01296, 0.007776002]),
    ("InverseTimeDecay(0.1, 7, 0.5)",
     [0.1, 0.09333334, 0.0875, 0.08235294, 0.07777778, 0.07368421, 0.06666667, 0.05833333, 0.056,
      0.05384615, 0.05185185, 0.04827586, 0.04242424, 0.04117647, 0.03333334, 0.02592593]),
    ("InverseTimeDecay(0.1, 7, 0.5, staircase=True)",
     [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.06666667, 0.06666667, 0.06666667, 0.06666667, 0.06666667, 0.05, 0.05,
      0.05, 0.03333334, 0.02857143]),
    ("PiecewiseConstantDecay([3, 10], [0.1, 0.05, 0.01])",
     [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]),
    ("PolynomialDecay(0.1, 12, 0.01)",
     [0.1, 0.0925, 0.085, 0.0775, 0.07, 0.06250001, 0.0475, 0.025, 0.0175, 0.01, 0.01, 0.01, 0.01, 0.01,
      0.01, 0.01]),
    ("PolynomialDecay(0.1, 12, 0.01, power=0.5)",
     [0.1, 0.09616844, 0.09215838, 0.08794229, 0.08348469, 0.07873864, 0.06809475, 0.04674235, 0.03598076,
      0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]),
    ("PolynomialDecay(0.1, 6, 0.01, power=2.0, cycle=True)",
     [0.1, 0.0725, 0.05, 0.0325, 0.02, 0.0125, 0.025625, 0.0125, 0.010625, 0.01, 0.01694445, 0.0125,
      0.01390625, 0.0125, 0.0104, 0.01020408]),
    ("CosineDecay(0.1, 15)",
     [0.1, 0.09890738, 0.09567727, 0.09045085, 0.08345653, 0.075, 0.05522642, 0.025, 0.01654347,
      0.009549147, 0.004322726, 0.0, 0.0, 0.0, 0.0, 0.0]),
    ("CosineDecay(0.1, 15, alpha=0.2)",
     [0.1, 0.09912591, 0.09654181, 0.09236068, 0.08676522, 0.08000001, 0.06418114, 0.04, 0.03323478,
      0.02763932, 0.02345818, 0.02, 0.02, 0.02, 0.02, 0.02]),
    ("CosineDecay(0.01, 10, warmup_target=0.1, warmup_steps=5)",
     [0.01, 0.028, 0.046, 0.064, 0.082, 0.1, 0.09045085, 0.05, 0.03454914, 0.02061074, 0.009549147, 0.0,
      0.0, 0.0, 0.0, 0.0]),
    ("CosineDecayRestarts(0.1, 4)",
     [0.1, 0.08535534, 0.05, 0.01464466, 0.1, 0.09619398, 0.06913417, 0.01464466, 0.003806019, 0.1,
      0.09903926, 0.09157348, 0.05975452, 0.05, 0.1, 0.06913417]),
    ("CosineDecayRestarts(0.1, 4, t_mul=1.0, m_mul=0.8, alpha=0.1)",
     [0.1, 0.08681981, 0.055, 0.0231802, 0.082, 0.07145585, 0.02054416, 0.0388, 0.01843533, 0.05608,
      0.04933174, 0.01674826, 0.01539861, 0.0394912, 0.02887437, 0.01966368]),
    ("CosineDecayRestarts(0.1, 4, t_mul=1.5, m_mul=0.5)",
     [0.1, 0.08535534, 0.05, 0.01464466, 0.05, 0.04665064, 0.025, 0.025, 0.02424616, 0.02207555, 0.01875,
      0.0103294, 0.0125, 0.01233153, 0.003125, 0.004362749]),
]  # fmt: skip


def made(text):
    return eval(f"schedules.{text}")


@pytest.mark.parametrize(("text", "wanted"), GOLDEN)
def test_numbers_of_keras(text, wanted):
    schedule = made(text)
    np.testing.assert_allclose([schedule(step) for step in STEPS], wanted, rtol=2e-6, atol=2e-8)
    np.testing.assert_array_equal(schedule.rates(0, 41)[STEPS], [float(schedule(step)) for step in STEPS])
    np.testing.assert_array_equal(schedule.rates(7, 20), schedule.rates(0, 27)[7:])
    again = schedules.deserialize(schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()
    np.testing.assert_array_equal(again.rates(0, 50), schedule.rates(0, 50))


def test_functions_are_exact_to_a_few_units():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(0, 3, 2000), 2.0 ** rng.uniform(-300, 300, 2000), [1.0, 0.5, 2.0]])
    np.testing.assert_allclose(exact.log(x), np.log(x), rtol=1e-15, atol=3e-17)
    y = rng.uniform(-40, 40, 2000)
    np.testing.assert_allclose(exact.exp(y), np.exp(y), rtol=2e-15)
    z = np.concatenate([rng.uniform(-5, 5, 2000), np.arange(-4, 4.25, 0.25)])
    np.testing.assert_allclose(exact.cos_pi(z), np.cos(np.pi * z), rtol=0, atol=3e-15)
    base, exponent = rng.uniform(0, 2, 2000), rng.uniform(0, 5, 2000)
    np.testing.assert_allclose(exact.power(base, exponent), base**exponent, rtol=2e-14)
    assert exact.power(0.0, [0.0, 1.0, 0.5]).tolist() == [1.0, 0.0, 0.0]
    assert exact.cos_pi([0.0, 0.5, 1.0]).tolist() == [1.0, 0.0, -1.0]


def test_bits_are_the_same_on_every_machine():
    rates = np.concatenate([made(text).rates(0, 500) for text, _ in GOLDEN])
    assert hashlib.sha256(rates.tobytes()).hexdigest()[:16] == "a8bbf0fe17d28c40"


def fitted(rate, epochs=3, callbacks=None, **kwargs):
    x = np.linspace(-1, 1, 60, dtype=np.float32).reshape(30, 2)
    lw.random.set_seed(1)
    model = lw.Sequential([lw.layers.Dense(3, "relu", input_shape=(2,)), lw.layers.Dense(1)])
    model.compile(Adam(rate), "mse")
    model.fit(x, x.sum(1), epochs=epochs, batch_size=7, verbose=0, callbacks=callbacks, **kwargs)
    return model


def test_a_schedule_gives_each_batch_its_rate():
    schedule = schedules.InverseTimeDecay(0.1, 4, 0.5)
    model = fitted(schedule)
    by_hand = lw.callbacks.LambdaCallback(on_train_batch_begin=lambda *_: set_rate())
    step = iter(range(100))

    def set_rate():
        by_hand.model.optimizer.learning_rate = float(schedule(next(step)))

    assert lw.fingerprint(fitted(0.5, callbacks=by_hand)) == lw.fingerprint(model)
    assert float(model.optimizer.learning_rate) == float(schedule(15))
    assert model.optimizer.learning_rate.numpy() == np.float32(schedule(15))


def test_a_schedule_of_ones_own_and_a_function():
    seen = []

    class Mine(schedules.LearningRateSchedule):
        def __call__(self, step):
            seen.append(int(step))
            return 0.1 / (step + 1) ** 0.5

    model = fitted(Mine())
    assert seen == list(range(15))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 / 4)
    assert lw.fingerprint(fitted(lambda: 0.1)) == lw.fingerprint(fitted(0.1))

    class Bad(schedules.LearningRateSchedule):
        def __call__(self, step):
            return -1.0 if step == 9 else 0.1

    with pytest.raises(
        ValueError, match=r"learning_rate: expected finite numbers >= 0 from .*received -1.0 for step 9"
    ):
        fitted(Bad())
    with pytest.raises(ValueError, match=r"expected finite numbers >= 0 from .*received 1e\+39 for step 0"):
        fitted(lambda: 1e39)
    config = {"class_name": "Mine", "config": {}}
    assert isinstance(schedules.deserialize(config, {"Mine": Mine}), Mine)
    with pytest.raises(ValueError, match="schedule: unknown name 'Mine'"):
        schedules.deserialize(config)


def test_setting_the_rate():
    optimizer = SGD(schedules.CosineDecay(0.1, 10))
    with pytest.raises(TypeError, match=r"learning_rate: .*CosineDecay.* gives it, so it cannot be set to 0.5"):
        optimizer.learning_rate = 0.5
    optimizer.learning_rate = schedules.ExponentialDecay(0.25, 10, 0.5)
    assert float(optimizer.learning_rate) == 0.25
    plain = SGD(0.1)
    plain.learning_rate = schedules.CosineDecay(0.3, 10)
    assert float(plain.learning_rate) == 0.3
    plain = SGD(0.1)
    plain.learning_rate.assign(0.2)
    assert float(plain.learning_rate) == 0.2
    with pytest.raises(ValueError, match="learning_rate"):
        plain.learning_rate = -1.0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps: expected a finite number > 0, received 0"),
        (lambda: schedules.PiecewiseConstantDecay([1], [0.1]), "values: expected one more than boundaries"),
        (lambda: schedules.PiecewiseConstantDecay([3, 1], [1, 2, 3]), "boundaries: expected ascending"),
        (lambda: schedules.CosineDecay(-0.1, 5), "initial_learning_rate"),
        (lambda: schedules.CosineDecayRestarts(0.1, 5, t_mul=0), "t_mul"),
        (lambda: schedules.CosineDecayRestarts(0.1, 1e-9, t_mul=1.0001)(1), "less than 10,000 periods"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()
