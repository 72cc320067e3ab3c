"""lanewise.sklearn: what scikit-learn's perceptrons do not have: optimizers, losses, layers, callbacks, ensembles."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")  # where its perceptrons take sample weights

from sklearn.base import clone

import lanewise as lw
from lanewise.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    with pytest.raises(ValueError, match="solver: unknown name 'adamm'"):
        MLPClassifier(solver="adamm").fit(x, y)
    with pytest.raises(ValueError, match=r"Did you mean 'lbfgs'.* Available: .*lbfgs"):
        MLPClassifier(solver="lbgfs").fit(x, y)


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
