"""The error bars of the main job: examples/_error_bars.py, and the fingerprint of an ensemble."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import lanewise as lw

_spec = importlib.util.spec_from_file_location(
    "example_error_bars", Path(__file__).parents[1] / "examples" / "_error_bars.py"
)
assert _spec is not None
assert _spec.loader is not None
bars = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bars)


def test_only_networks_that_did_not_see_a_row_speak_of_it():
    rng = np.random.default_rng(0)
    each = rng.normal(size=(6, 50))
    left_out = np.argsort(rng.random((6, 50)), axis=0) < 3
    mean, spread = bars.left_out_mean_and_spread(each, left_out)
    for row in range(50):
        said = each[left_out[:, row], row]
        np.testing.assert_allclose(mean[row], said.mean(), rtol=1e-12)
        np.testing.assert_allclose(spread[row], said.std(ddof=1), rtol=1e-12)
    each[~left_out] = 1e30
    np.testing.assert_array_equal(bars.left_out_mean_and_spread(each, left_out)[0], mean)


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_new_rows_are_covered_as_often_as_asked(coverage):
    rng = np.random.default_rng(1)

    def draw(n):  # errors that grow with the spread, with heavy tails
        spread = rng.gamma(2.0, size=n)
        return rng.standard_t(4, size=n) * (spread + 0.3), spread

    made = bars.ErrorBars(*draw(4000), coverage)
    error, spread = draw(20000)
    inside = np.abs(error) <= made.half_width(spread)
    assert abs(inside.mean() - coverage) < 0.02
    for rows in np.array_split(np.argsort(spread), 3):
        assert abs(inside[rows].mean() - coverage) < 0.12


def test_the_factor_is_the_rank_of_conformal_prediction():
    residual = np.arange(1.0, 10.0)  # nine rows of equal spread 2: floor 1, scores residual / 3
    made = bars.ErrorBars(-residual, np.full(9, 2.0), 0.9)
    assert made.floor == 1.0
    assert made.factor == 3.0  # the ninth of nine
    np.testing.assert_array_equal(made.half_width(np.array([0.0, 1.0])), [3.0, 6.0])
    with pytest.raises(ValueError, match="too few"):
        bars.ErrorBars(residual[:8], np.full(8, 2.0), 0.9)


def test_thirds_of_the_spread():
    coverage = bars.Coverage()
    coverage.add(np.array([3.0, 1.0, -1.0]), np.array([9.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]))
    coverage.add(np.array([0.0, 2.0, 4.0]), np.array([5.0, 6.0, 8.0]), np.array([1.0, 1.0, 4.0]))
    expected = [(1.0, 1.0, 1.0), (np.sqrt(2.0), 1.0, 0.5), (np.sqrt(12.5), 3.0, 0.5), (np.sqrt(31 / 6), 10 / 6, 4 / 6)]
    np.testing.assert_allclose(coverage.thirds(), expected)


def test_fingerprint_of_an_ensemble():
    def network(seed):
        lw.utils.set_random_seed(seed)
        return lw.Sequential([lw.layers.Dense(3, input_shape=(4,)), lw.layers.Dense(1)])

    one, other = network(0), network(1)
    assert lw.fingerprint(lw.Ensemble([one])) == lw.fingerprint(one)
    pair = lw.fingerprint(lw.Ensemble([one, other]))
    assert pair not in (lw.fingerprint(one), lw.fingerprint(lw.Ensemble([other, one])))
    assert lw.fingerprint(lw.Ensemble([one, other]), np.ones(2)).startswith(f"{pair} ")
