"""lanewise.sklearn: scikit-learn's own checks, and its own perceptrons beside ours."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")  # where its perceptrons take sample weights

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as TheirClassifier, MLPRegressor as TheirRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from lanewise.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_all_of_scikit_learns_checks(estimator, check):
    check(estimator)


# --- the same way as scikit-learn's -----------------------------------------------------------------------------

BOTH = [
    {},
    {"early_stopping": True, "hidden_layer_sizes": (20, 10), "activation": "tanh"},
    {"solver": "sgd", "learning_rate": "invscaling", "batch_size": 32, "alpha": 0.1, "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "adaptive", "batch_size": 50, "tol": 1e-2, "n_iter_no_change": 3},
    {"activation": "logistic", "shuffle": False, "alpha": 1.0, "beta_1": 0.8, "epsilon": 1e-3},
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": 7, "activation": "identity", "batch_size": 64, "learning_rate_init": 0.01},
]


def beside(ours, theirs, x, y, loss_rtol=1e-5, weight=None, **parameters):
    """Both fitted alike: the losses of all epochs and the weights agree to float32, decisions exactly."""
    parameters = {"random_state": 3, "max_iter": 15, **parameters}
    a, b = ours(**parameters), theirs(**parameters)
    a.fit(x, y, sample_weight=weight)
    b.fit(x, y, sample_weight=weight)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=loss_rtol)
    for mine, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert mine.shape == other.shape and mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=0, atol=2e-4 * max(1, abs(other).max()))
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(a, name) == getattr(b, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_", "validation_scores_"):
        one, two = getattr(a, name), getattr(b, name)
        assert (one is None) == (two is None), name
        if two is not None:
            np.testing.assert_allclose(one, two, rtol=1e-4, err_msg=name)
    return a, b


@pytest.mark.parametrize("parameters", BOTH, ids=str)
def test_two_classes_go_the_way_of_scikit_learns(cancer, parameters):
    a, b = beside(MLPClassifier, TheirClassifier, *cancer, **parameters)
    np.testing.assert_allclose(a.predict_proba(cancer[0]), b.predict_proba(cancer[0]), atol=1e-4)
    assert (a.predict(cancer[0]) == b.predict(cancer[0])).mean() > 0.998


@pytest.mark.parametrize("parameters", BOTH[:4], ids=str)
def test_many_classes_and_labels(digits, parameters):
    x, y = digits
    a, b = beside(MLPClassifier, TheirClassifier, x, np.array(list("abcdefghij"))[y], **parameters)
    assert list(a.classes_) == list("abcdefghij")
    assert (a.predict(x) == b.predict(x)).mean() > 0.998
    bits = (y[:, None] >> np.arange(4)) & 1
    a, b = beside(MLPClassifier, TheirClassifier, x, bits, **parameters)
    assert a.predict(x).shape == bits.shape and (a.predict(x) == b.predict(x)).mean() > 0.998


@pytest.mark.parametrize("parameters", BOTH, ids=str)
def test_numbers(diabetes, parameters):
    x, y = diabetes
    a, b = beside(MLPRegressor, TheirRegressor, x, y, **parameters)
    np.testing.assert_allclose(a.predict(x), b.predict(x), atol=1e-3)
    a, b = beside(MLPRegressor, TheirRegressor, x, np.stack([y, y**2, -y], axis=1), **parameters)
    np.testing.assert_allclose(a.predict(x), b.predict(x), atol=1e-3)


def test_poisson(diabetes):
    x, y = diabetes
    a, b = beside(MLPRegressor, TheirRegressor, x, np.round(np.exp(y)), loss_rtol=1e-5, loss="poisson")
    np.testing.assert_allclose(a.predict(x), b.predict(x), rtol=1e-3)
    with pytest.raises(ValueError, match="needs numbers >= 0"):
        a.fit(x, -np.abs(y))


def test_weights_of_rows_in_batches_of_all_rows(cancer):
    x, y = cancer
    beside(MLPClassifier, TheirClassifier, x, y, weight=3 * np.random.default_rng(0).random(len(y)), batch_size=len(y))


def test_weights_of_rows_in_small_batches(cancer):
    """The penalty is divided by the mean weight here, by the batch's own sum there: close, not equal."""
    x, y = cancer
    weight = 3 * np.random.default_rng(0).random(len(y))
    curves = [
        kind(random_state=3, max_iter=15, batch_size=64, alpha=0.01).fit(x, y, sample_weight=weight).loss_curve_
        for kind in (MLPClassifier, TheirClassifier)
    ]
    np.testing.assert_allclose(*curves, rtol=1e-3)


def test_weights_and_repeated_rows_give_the_same_bits(diabetes):
    x, y = diabetes
    count = np.random.default_rng(1).integers(0, 4, len(y))
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(len(y)), count))
    made = {"random_state": 0, "batch_size": 4000, "max_iter": 20, "alpha": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        once = MLPRegressor(**made).fit(x, y, sample_weight=count)
        often = MLPRegressor(**made).fit(x[rows], y[rows])
    assert all((a == b).all() for a, b in zip(once.coefs_, often.coefs_, strict=True))


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_lbfgs_reaches_as_low_a_loss(cancer, diabetes, activation):
    made = {"solver": "lbfgs", "random_state": 0, "alpha": 0.1, "hidden_layer_sizes": (10,), "activation": activation}
    for ours, theirs, (x, y) in (
        (MLPClassifier, TheirClassifier, cancer),
        (MLPRegressor, TheirRegressor, diabetes),
    ):
        a, b = ours(**made).fit(x, y), theirs(**made).fit(x, y)
        assert a.loss_ < 1.15 * b.loss_
        assert 1 <= a.n_iter_ <= 200
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'"):
        a.partial_fit(x, y)
    with pytest.raises(ValueError, match="takes no dropout"):
        clone(a).set_params(dropout=0.5).fit(x, y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        clone(a).set_params(max_iter=3).fit(x, y)


def test_partial_fit_and_warm_start_go_on_as_scikit_learns_do(cancer):
    x, y = cancer
    pair = [kind(random_state=1, batch_size=50) for kind in (MLPClassifier, TheirClassifier)]
    for _ in range(4):
        for estimator in pair:
            estimator.partial_fit(x, y, classes=[0, 1])
    np.testing.assert_allclose(pair[0].loss_curve_, pair[1].loss_curve_, rtol=1e-5)
    again = pickle.loads(pickle.dumps(pair[0]))
    for estimator in (*pair, again):
        estimator.partial_fit(x, y)
    assert len(again.loss_curve_) == 5 and again.loss_curve_ == pair[0].loss_curve_
    assert all((a == b).all() for a, b in zip(again.coefs_, pair[0].coefs_, strict=True))
    np.testing.assert_allclose(pair[0].coefs_[0], pair[1].coefs_[0], atol=1e-5)

    pair = [kind(random_state=1, max_iter=4, warm_start=True) for kind in (MLPClassifier, TheirClassifier)]
    for estimator in pair:
        estimator.fit(x, y).fit(x, y)
    assert len(pair[0].loss_curve_) == 8
    np.testing.assert_allclose(pair[0].loss_curve_, pair[1].loss_curve_, rtol=1e-5)
    with pytest.raises(ValueError, match="same classes"):
        pair[0].fit(x, y + 1)
    with pytest.raises(ValueError, match="classes must be passed"):
        MLPClassifier().partial_fit(x, y)
    with pytest.raises(ValueError, match="not the same as on last call"):
        again.partial_fit(x, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes that are not in"):
        again.partial_fit(x, y + 1)
