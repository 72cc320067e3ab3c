"""lanewise.sklearn in scikit-learn's tools: searches, frames, sparse rows; state, errors, Ctrl-C."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")  # where its perceptrons take sample weights

from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lanewise as lw
from lanewise.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
