"""lanewise.sklearn: scikit-learn's own checks, its own perceptrons beside ours, its tools around them."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")  # where its perceptrons take sample weights

from scipy import sparse
from sklearn import config_context, datasets
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier as TheirClassifier, MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import parametrize_with_checks

import lanewise as lw
from lanewise.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def cancer():
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return scale(x), y


@pytest.fixture(scope="module")
def digits():
    x, y = datasets.load_digits(return_X_y=True)
    return x[:600] / 16.0, y[:600]


@pytest.fixture(scope="module")
def diabetes():
    x, y = datasets.load_diabetes(return_X_y=True)
    return scale(x), (y - y.mean()) / y.std()


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


# --- what scikit-learn's do not have ----------------------------------------------------------------------------


def test_any_optimizer(cancer):
    x, y = cancer
    named = MLPClassifier(solver="adamw", learning_rate_init=0.01, random_state=0, max_iter=20).fit(x, y)
    given = lw.optimizers.AdamW(0.01)
    made = MLPClassifier(solver=given, random_state=0, max_iter=20).fit(x, y)
    assert named.loss_curve_ == made.loss_curve_ and given.iterations == 0
    assert clone(made).fit(x, y).loss_curve_ == made.loss_curve_
    assert pickle.loads(pickle.dumps(made)).predict(x).tolist() == made.predict(x).tolist()
    assert named.score(x, y) > 0.97
    schedule = lw.optimizers.schedules.CosineDecay(0.05, 200)
    assert (
        MLPClassifier(solver=lw.optimizers.SGD(schedule, 0.9), max_iter=40, random_state=0).fit(x, y).score(x, y) > 0.97
    )
    with pytest.raises(ValueError, match="adam"):
        MLPClassifier(solver="adamm").fit(x, y)


def test_dropout_batch_norm_and_other_activations(cancer):
    x, y = cancer
    made = MLPClassifier((32, 16), "gelu", dropout=0.2, batch_norm=True, random_state=0, max_iter=40).fit(x, y)
    assert made.score(x, y) > 0.97
    again = pickle.loads(pickle.dumps(made))
    assert (again.predict_proba(x) == made.predict_proba(x)).all()
    assert clone(made).fit(x, y).loss_curve_ == made.loss_curve_
    plain = clone(made).set_params(dropout=0.0).fit(x, y)
    assert plain.loss_ < made.loss_  # without noise it fits closer


def test_losses_of_lanewise(diabetes):
    x, y = diabetes
    made = MLPRegressor(lw.losses.Quantile(0.9), random_state=0, max_iter=300, learning_rate_init=0.01).fit(x, y)
    assert 0.85 < (y < made.predict(x)).mean() < 0.95
    assert clone(MLPRegressor("huber", max_iter=5)).fit(x, y).loss_ > 0


def test_class_weight(cancer):
    x, y = cancer
    made = {"random_state": 0, "max_iter": 10, "batch_size": len(y)}
    by_class = MLPClassifier(class_weight={0: 5.0, 1: 1.0}, **made).fit(x, y)
    by_row = MLPClassifier(**made).fit(x, y, sample_weight=np.where(y == 0, 5.0, 1.0))
    assert by_class.loss_curve_ == by_row.loss_curve_
    assert (by_class.predict(x) == 0).sum() > (MLPClassifier(**made).fit(x, y).predict(x) == 0).sum()
    balanced = MLPClassifier(class_weight="balanced", **made).fit(x, y, sample_weight=np.ones(len(y)))
    assert balanced.loss_ != by_class.loss_


def test_validation_data_and_callbacks(cancer):
    x, y = cancer
    seen = []
    log = lw.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, dict(logs))))
    made = MLPClassifier(callbacks=[log, lw.callbacks.EarlyStopping("val_loss", patience=2)], random_state=0)
    made.set_params(learning_rate_init=0.02).fit(x[:400], y[:400], validation_data=(x[400:], y[400:]))
    assert made.n_iter_ == len(seen) < 200 and [epoch for epoch, _ in seen] == list(range(len(seen)))
    assert [logs["loss"] for _, logs in seen] == made.loss_curve_
    assert [logs["val_score"] for _, logs in seen] == made.validation_scores_
    assert made.validation_scores_[-1] == made.score(x[400:], y[400:])
    proba = made.predict_proba(x[400:])[np.arange(169), y[400:]]
    penalty = 0.5 * 1e-4 / 200 * sum((w**2).sum() for w in made.coefs_)
    np.testing.assert_allclose(seen[-1][1]["val_loss"], -np.log(proba).mean() + penalty, rtol=1e-4)
    stopped = MLPClassifier(early_stopping=True, random_state=0, n_iter_no_change=3)
    stopped.fit(x[:400], y[:400], validation_data=(x[400:], y[400:]))
    assert stopped.best_validation_score_ == max(stopped.validation_scores_) == stopped.score(x[400:], y[400:])
    with pytest.raises(ValueError, match=r"expected \(X, y\)"):
        stopped.fit(x, y, validation_data=x)


def test_ensembles(cancer, diabetes):
    x, y = diabetes
    made = MLPRegressor(n_ensemble=3, random_state=0, max_iter=30).fit(x, y)
    each = np.stack([member.predict(x) for member in made.members_])
    mean, spread = made.predict(x, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(spread, each.std(axis=0), rtol=1e-5, atol=1e-7)
    assert (made.predict(x) == mean).all() and spread.min() > 0
    assert (clone(made).fit(x, y).predict(x) == mean).all()
    assert (pickle.loads(pickle.dumps(made)).predict(x) == mean).all()
    with pytest.raises(ValueError, match="n_ensemble > 1"):
        MLPRegressor(max_iter=1).fit(x, y).predict(x, return_std=True)
    x, y = cancer
    many = MLPClassifier(n_ensemble=2, random_state=0, class_weight="balanced").partial_fit(x, y, classes=[0, 1])
    many.partial_fit(x, y)
    assert [m.t_ for m in many.members_] == [2 * len(y)] * 2
    np.testing.assert_allclose(many.predict_proba(x), np.mean([m.predict_proba(x) for m in many.members_], axis=0))
    assert many.coefs_ is many.members_[0].coefs_


def test_a_member_that_fails_ends_the_others(cancer):
    x, y = cancer

    def fail(epoch, logs):
        raise ArithmeticError("of mine")

    made = MLPClassifier(n_ensemble=4, max_iter=10_000, tol=0, n_iter_no_change=10_000)
    with pytest.raises(ArithmeticError, match="of mine"):
        made.set_params(callbacks=lw.callbacks.LambdaCallback(on_epoch_end=fail)).fit(x, y)
    assert made.members_ is None


def test_weights_that_are_overwritten_count(diabetes):
    x, y = diabetes
    made = MLPRegressor(hidden_layer_sizes=(5,), random_state=0, max_iter=3).fit(x, y)
    made.coefs_[1][:] = 0
    made.intercepts_[1] = np.array([2.5])
    assert (made.predict(x) == 2.5).all()


# --- scikit-learn's tools ---------------------------------------------------------------------------------------


def test_tools_around_them(cancer, digits):
    x, y = cancer
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=15))
    assert cross_val_score(pipeline, x, y, cv=3).mean() > 0.94
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__solver": ["adam", lw.optimizers.Lion(1e-3)]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(x, y)
    assert search.best_score_ > 0.94 and len(search.cv_results_["params"]) == 4
    halving = HalvingGridSearchCV(
        MLPClassifier(random_state=0), {"hidden_layer_sizes": [(5,), (10,), (20,)]}, resource="max_iter",
        max_resources=27, random_state=0, cv=3,
    ).fit(x, y)  # fmt: skip
    assert halving.best_score_ > 0.9
    calibrated = CalibratedClassifierCV(MLPClassifier(random_state=0, max_iter=15), cv=3).fit(x, y)
    assert calibrated.score(x, y) > 0.95
    np.testing.assert_allclose(calibrated.predict_proba(x).sum(axis=1), 1, rtol=1e-6)


def test_a_search_in_two_processes(diabetes):
    x, y = diabetes
    search = GridSearchCV(MLPRegressor(random_state=0, max_iter=20), {"alpha": [0.1, 1.0]}, cv=2)
    alone = search.fit(x, y).cv_results_["mean_test_score"]
    assert clone(search).set_params(n_jobs=2).fit(x, y).cv_results_["mean_test_score"].tolist() == alone.tolist()


def test_frames_routing_and_set_output(cancer):
    pd = pytest.importorskip("pandas")
    x, y = cancer
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
    made = MLPClassifier(random_state=0, max_iter=5).fit(frame, y)
    assert list(made.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        made.predict(frame[frame.columns[::-1]])
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=5)).set_output(transform="pandas")
    assert list(pipeline.fit(frame, y)[-1].feature_names_in_) == list(frame.columns)
    with config_context(enable_metadata_routing=True):
        routed = (
            MLPClassifier(random_state=0, max_iter=5)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=False)
        )
        search = GridSearchCV(routed, {"alpha": [1.0]}, cv=2).fit(x, y, sample_weight=np.where(y == 0, 50.0, 0.02))
    assert (search.predict(x) == 0).mean() > (made.predict(frame) == 0).mean()


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_rows(digits, kind, monkeypatch):
    x, y = digits
    dense = MLPClassifier(random_state=0, max_iter=8, batch_size=64, alpha=0.1).fit(x, y, sample_weight=y + 1.0)
    for limit in (1 << 26, 1 << 16):  # at once, and some batches at a time
        monkeypatch.setattr("lanewise.sklearn.network._DENSE_BYTES", limit)
        made = clone(dense).fit(kind(x), y, sample_weight=y + 1.0)
        assert made.loss_curve_ == dense.loss_curve_
        assert (made.predict_proba(kind(x)) == dense.predict_proba(x)).all()
    bits = (y[:, None] >> np.arange(4)) & 1
    labels = MLPClassifier(random_state=0, max_iter=3)
    assert labels.fit(kind(x), kind(bits)).loss_curve_ == clone(labels).fit(x, bits).loss_curve_


# --- state and errors -------------------------------------------------------------------------------------------


def test_a_pickle_holds_arrays_and_plain_values(cancer):
    x, y = cancer
    state = MLPClassifier(random_state=0, max_iter=3, batch_norm=True).fit(x, y).__getstate__()

    def walk(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return all(map(walk, value))
        return value is None or isinstance(value, np.ndarray | np.generic | int | float | str)

    assert all(walk(value) for value in state.values())
    made = MLPClassifier()
    made.__setstate__(state)
    assert (made.predict(x) == MLPClassifier(random_state=0, max_iter=3, batch_norm=True).fit(x, y).predict(x)).all()
    for name, value in (
        ("coefs_", [np.zeros((3, 3))]), ("coefs_", print), ("intercepts_", "text"), ("classes_", np.array([print])),
        ("n_features_in_", 7), ("n_layers_", 2), ("_norms", [[np.zeros(3)] * 4]), ("members_", [made, print]),
        ("coefs_", [np.full_like(w, np.nan) for w in state["coefs_"]]), ("_slots", {"seed": print}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"state: .*this is no MLPClassifier"):
            MLPClassifier().__setstate__({**state, name: value})
    with pytest.raises(ValueError, match="no parameter 'alpha'"):
        MLPClassifier().__setstate__({k: v for k, v in state.items() if k != "alpha"})
    with pytest.raises(ValueError, match="expected a dict, received list"):
        MLPClassifier().__setstate__([])


@pytest.mark.parametrize(
    "name, value",
    [
        ("alpha", -1), ("learning_rate_init", 0), ("momentum", 2), ("validation_fraction", 1.0), ("max_iter", 0),
        ("hidden_layer_sizes", (5, 0)), ("hidden_layer_sizes", 1.5), ("batch_size", "big"), ("dropout", 1.0),
        ("learning_rate", "warm"), ("n_iter_no_change", 0), ("n_iter_no_change", 2.5), ("tol", "small"),
        ("epsilon", 0), ("beta_1", 1), ("n_ensemble", 0), ("max_fun", 0), ("power_t", -1),
    ],
)  # fmt: skip
def test_parameters_out_of_range(cancer, name, value):
    with pytest.raises((ValueError, TypeError), match=f"^{name}: expected"):
        MLPClassifier(**{name: value}).fit(*cancer)


def test_data_that_do_not_fit(cancer):
    x, y = cancer
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(x)
    with pytest.raises(ValueError, match="several labels a row"):
        MLPClassifier().fit(x, np.stack([y, 2 * y], axis=1))
    with pytest.raises(ValueError, match=r"above 0|non-zero"):
        MLPClassifier().fit(x, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match="validation set is too small"):
        MLPRegressor(early_stopping=True, validation_fraction=0.001).fit(x[:50], y[:50])
    with pytest.raises(ValueError, match="does not support early_stopping"):
        MLPRegressor(early_stopping=True).partial_fit(x, y)
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        MLPRegressor(solver="sgd", learning_rate_init=1e30, max_iter=5).fit(x, y)
    with pytest.warns(UserWarning, match="larger than the number of rows"):
        MLPClassifier(batch_size=10_000, max_iter=1).fit(x, y)
    with pytest.warns(DataConversionWarning):
        MLPClassifier(max_iter=1).fit(x, y[:, None])
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(1\)"):
        MLPClassifier(max_iter=1).fit(x, y)


def test_interrupted(cancer):
    x, y = cancer

    def stop(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    made = MLPClassifier(callbacks=lw.callbacks.LambdaCallback(on_epoch_end=stop), random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        made.fit(x, y)
    assert made.n_iter_ == 3 and made.predict(x).shape == y.shape


def test_lines_of_progress(cancer, capsys):
    MLPClassifier(verbose=True, max_iter=2, early_stopping=True, random_state=0).fit(*cancer)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Iteration 1, loss = 0.") and lines[1].startswith("Validation score: 0.")
    assert len(lines) == 4


def test_scikit_learn_is_imported_by_this_package_alone():
    code = "import sys, lanewise as lw; lw.Sequential; assert 'sklearn' not in sys.modules; lw.sklearn.MLPRegressor()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
