"""lanewise.sklearn's KerasRegressor and KerasClassifier: checks of scikit-learn, routing, targets, state."""

import pickle
from functools import update_wrapper

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")

from scipy import sparse
from sklearn import datasets
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import parametrize_with_checks

import lanewise as lw
from lanewise.sklearn import KerasClassifier, KerasRegressor


def regressor(meta, compile_kwargs, units=32):
    columns, outputs = meta["n_features_in_"], meta["n_outputs_"]
    layers = [lw.layers.Dense(units, "relu"), lw.layers.Dense(outputs)]
    model = lw.Sequential([lw.Input((columns,)), *layers])
    model.compile(**{**compile_kwargs, "loss": "mse"})
    return model


def classifier(meta, units=32, dropout=0.0):
    x = lw.Input((meta["n_features_in_"],))
    h = lw.layers.Dense(units, "relu")(x)
    h = lw.layers.Dropout(dropout)(h) if dropout else h
    if meta["target_type_"] == "multiclass":
        return lw.Model(x, lw.layers.Dense(meta["n_classes_"], "softmax")(h))
    return lw.Model(x, lw.layers.Dense(meta["n_outputs_"], "sigmoid")(h))


class Named:
    """A function whose repr has no address: names of tests are the same in every process."""

    def __init__(self, function):
        update_wrapper(self, function)

    def __call__(self, *args, **kwargs):
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self):
        return self.__name__


@pytest.fixture(scope="module")
def wine():
    x, y = datasets.load_wine(return_X_y=True)
    return scale(x), np.array(["red", "rose", "white"])[y]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        KerasClassifier(Named(classifier), optimizer=lw.optimizers.Adam(0.01), epochs=60, verbose=0),
        KerasRegressor(Named(regressor), optimizer="adam", epochs=100, verbose=0),
    ]
)
def test_all_of_scikit_learns_checks(estimator, check):
    check(estimator)


def test_a_weight_is_how_often_a_row_counts(diabetes):
    x, y = diabetes
    made = KerasRegressor(regressor, optimizer="adam", epochs=5, verbose=0, random_state=1)
    count = np.random.default_rng(1).integers(0, 4, len(y))
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(len(y)), count))
    whole = clone(made).set_params(batch_size=4000)
    once, often = clone(whole).fit(x, y, count), clone(whole).fit(x[rows], y[rows])
    assert once.history_ == often.history_ and (once.predict(x) == often.predict(x)).all()
    np.testing.assert_allclose(clone(whole).fit(x, y, 3 * count).history_["loss"], once.history_["loss"], rtol=1e-6)
    plain = clone(made).fit(x, y)
    np.testing.assert_array_equal(clone(made).fit(x, y, np.full(len(y), 2.0)).predict(x), plain.predict(x))
    some = np.where(np.arange(len(y)) % 3, 1.0, 0.0)  # in small batches, and beside metrics
    beside = clone(made).set_params(metrics=["mae"])
    left = beside.fit(x, y, some).history_
    assert left == clone(beside).fit(x[some > 0], y[some > 0]).history_
    with pytest.raises(ValueError, match=r"sample_weight|non-zero"):
        clone(made).fit(x, y, np.zeros(len(y)))


def test_routing(wine):
    x, y = wine
    made = KerasClassifier(
        classifier, units=20, model__dropout=0.1, optimizer="adam", optimizer__learning_rate=0.02, verbose=0,
        metrics=["accuracy"], fit__epochs=12, fit__batch_size=16, random_state=0,
    )  # fmt: skip
    assert made.get_params()["model__dropout"] == 0.1 and made.get_params()["units"] == 20
    made.fit(x, y)
    assert made.model_.layers[1].units == 20 and made.model_.layers[2].rate == 0.1
    assert float(made.model_.optimizer.learning_rate) == pytest.approx(0.02)
    assert set(made.history_) == {"accuracy", "loss"} and len(made.history_["loss"]) == 12
    assert made.score(x, y) > 0.95
    assert clone(made).fit(x, y).history_ == made.history_
    search = GridSearchCV(made, {"model__dropout": [0.0, 0.5], "optimizer__learning_rate": [0.01, 0.02]}, cv=2).fit(
        x, y
    )
    assert search.best_score_ > 0.9
    pipeline = make_pipeline(StandardScaler(), made)
    assert cross_val_score(pipeline.set_params(kerasclassifier__units=12), x, y, cv=3).mean() > 0.9
    votes = VotingClassifier([("a", made), ("b", clone(made).set_params(random_state=1))], voting="soft").fit(x, y)
    assert votes.score(x, y) > 0.95
    with pytest.raises(TypeError, match="unknown argument 'unit'"):
        clone(made).set_params(model__unit=3).fit(x, y)
    with pytest.raises(TypeError, match=r"set_params: unknown argument 'epoch'. Did you mean 'epochs'"):
        made.set_params(epoch=3)
    with pytest.raises(TypeError, match="optimizer__momentum: needs optimizer= to be a name"):
        KerasClassifier(classifier, optimizer=lw.optimizers.SGD(), optimizer__momentum=0.5, verbose=0).fit(x, y)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy", None])
def test_classes_by_loss(wine, loss):
    x, y = wine
    made = KerasClassifier(classifier, loss=loss, optimizer="adam", epochs=40, verbose=0, random_state=0).fit(x, y)
    assert list(made.classes_) == ["red", "rose", "white"] and made.score(x, y) > 0.95
    np.testing.assert_allclose(made.predict_proba(x).sum(axis=1), 1, rtol=1e-5)


def test_two_classes_several_labels_and_logits(wine):
    x, y = wine
    made = {"optimizer": "adam", "epochs": 40, "verbose": 0, "random_state": 0}
    two = KerasClassifier(classifier, **made).fit(x, y == "red")
    assert two.score(x, y == "red") > 0.95 and two.predict_proba(x).shape == (len(x), 2)
    labels = np.stack([y == "red", y != "white"], axis=1).astype(int)
    several = KerasClassifier(classifier, **made).fit(x, labels)
    assert several.predict(x).shape == labels.shape and several.score(x, labels) > 0.9

    def logits(columns, loss):
        model = lw.Sequential([lw.layers.Dense(16, "relu", input_shape=(x.shape[1],)), lw.layers.Dense(columns)])
        model.compile("adam", loss(from_logits=True))
        return model

    one = KerasClassifier(logits, columns=1, loss=None, model__loss=lw.losses.BinaryCrossentropy, epochs=40, verbose=0)
    one.fit(x, y == "red")
    assert (one.predict(x) == (one.predict_proba(x)[:, 1] > 0.5)).all() and one.score(x, y == "red") > 0.95
    many = KerasClassifier(logits, columns=3, model__loss=lw.losses.CategoricalCrossentropy, epochs=40, verbose=0)
    np.testing.assert_allclose(many.fit(x, y).predict_proba(x).sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="2 output columns are too few for 3 classes"):
        clone(many).set_params(columns=2).fit(x, y)


def test_a_model_instead_of_a_function(diabetes):
    x, y = diabetes
    model = lw.Sequential([lw.Input((10,)), lw.layers.Dense(1)])
    model.compile(lw.optimizers.SGD(0.05), "mse")
    before = model.get_weights()
    made = KerasRegressor(model, epochs=10, verbose=0).fit(x, y)
    assert made.score(x, y) > 0.3
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_seed_warm_start_partial_fit_and_validation(diabetes):
    x, y = diabetes
    lw.random.set_seed(7)
    drawn = lw.random.uniform((3,))
    lw.random.set_seed(7)
    made = KerasRegressor(regressor, optimizer="adam", epochs=3, verbose=0, random_state=5)
    first = made.fit(x, y).history_["loss"]
    np.testing.assert_array_equal(lw.random.uniform((3,)), drawn)  # the seed of the process is left alone
    assert clone(made).fit(x, y).history_["loss"] == first
    assert clone(made).set_params(random_state=6).fit(x, y).history_["loss"] != first
    warm = clone(made).set_params(warm_start=True).fit(x, y).fit(x, y)
    assert len(warm.history_["loss"]) == 6 and warm.history_["loss"][:3] == first
    again = pickle.loads(pickle.dumps(warm))
    for estimator in (warm, again):
        estimator.partial_fit(x, y)
    assert again.history_ == warm.history_ and len(warm.history_["loss"]) == 7
    made.fit(x[:300], y[:300], validation_data=(x[300:], y[300:]), epochs=2)
    assert len(made.history_["val_loss"]) == 2
    split = clone(made).set_params(validation_split=0.2, callbacks=[lw.callbacks.EarlyStopping(patience=0)])
    assert "val_loss" in split.fit(x, y).history_


def test_class_weight_and_sparse_rows(wine):
    x, y = wine
    made = KerasClassifier(
        classifier, optimizer="adam", epochs=3, verbose=0, random_state=0, class_weight={"red": 50.0}
    )
    assert (made.fit(x, y).predict(x) == "red").mean() > 0.5
    plain = clone(made).set_params(class_weight=None)
    weights = np.where(y == "red", 50.0, 1.0)
    assert (plain.fit(x, y, sample_weight=weights).predict_proba(x) == made.predict_proba(x)).all()
    thin = plain.fit(sparse.csr_matrix(x), y)
    assert (thin.predict(sparse.csr_matrix(x)) == thin.predict(x)).all()


def test_state(wine):
    x, y = wine
    made = KerasClassifier(classifier, epochs=2, verbose=0, random_state=0).fit(x, y)
    again = pickle.loads(pickle.dumps(made))
    assert (again.predict_proba(x) == made.predict_proba(x)).all()
    state = made.__getstate__()
    assert state["model_"]["kind"] == "Functional" and all(
        isinstance(w, np.ndarray) for w in state["model_"]["weights"]
    )
    assert state["model_"]["own"] == {}
    for broken in (
        [], {**state, "model_": print}, {**state, "model_": {**state["model_"], "kind": "os"}},
        {**state, "model_": {**state["model_"], "weights": [np.zeros(3)]}},
        {**state, "model_": {**state["model_"], "config": {"layers": 3}}},
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError, KeyError)):
            KerasClassifier().__setstate__(broken)


def test_models_that_are_none(wine):
    x, y = wine
    with pytest.raises(ValueError, match="model: expected a function that returns a model"):
        KerasClassifier().fit(x, y)
    with pytest.raises(TypeError, match="model: expected a function"):
        KerasClassifier(3).fit(x, y)
    with pytest.raises(TypeError, match="return a lanewise model, received 3"):
        KerasClassifier(lambda: 3).fit(x, y)


def test_parameters_that_do_not_reach_the_model_are_told_of():
    def own():
        model = lw.Sequential([lw.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    x, y = np.ones((8, 3), np.float32), np.ones(8, np.float32)
    given = {"loss": "mae", "optimizer": "adam", "optimizer__learning_rate": 0.1}
    with pytest.warns(UserWarning, match="optimizer, loss, optimizer__learning_rate do not reach the model"):
        KerasRegressor(own, verbose=0, **given).fit(x, y)
    KerasRegressor(own, verbose=0).fit(x, y)
    with pytest.warns(UserWarning, match="metrics do not reach the model"):
        KerasRegressor(own(), verbose=0, metrics=np.array(["mae"])).fit(x, y)
    plain = KerasRegressor(lambda: lw.Sequential([lw.layers.Dense(1)]), loss="mae", warm_start=True, verbose=0)
    assert plain.fit(x, y).fit(x, y).partial_fit(x, y).model_.loss == "mae"

    def taking(compile_kwargs):
        model = lw.Sequential([lw.layers.Dense(1)])
        model.compile(compile_kwargs["optimizer"], compile_kwargs["loss"])
        return model

    assert KerasRegressor(taking, verbose=0, **given).fit(x, y).model_.loss == "mae"


def test_one_hot_rows_are_classes_for_a_softmax_and_labels_for_sigmoids(wine):
    x, y = wine
    rows = (y[:, None] == np.unique(y)).astype(int)

    def build(meta, activation="softmax"):
        assert meta["target_type_"] == "multiclass-onehot"
        return lw.Sequential([lw.layers.Dense(3, activation)])

    made = KerasClassifier(build, optimizer="adam", epochs=2, verbose=0, random_state=0).fit(x, rows)
    logits = lw.losses.CategoricalCrossentropy(from_logits=True)
    for one in (made, clone(made).set_params(model__activation=None, loss=logits).fit(x, rows)):
        found = one.predict(x)
        assert found.dtype == int and (found == np.eye(3)[one.predict_proba(x).argmax(1)]).all()
        np.testing.assert_allclose(one.predict_proba(x).sum(1), 1, rtol=1e-6)
        assert one.score(x, rows) == (found == rows).all(1).mean()
    assert made.model_.loss == "categorical_crossentropy"
    labels = clone(made).set_params(model__activation="sigmoid").fit(x, rows)
    assert labels.model_.loss == "binary_crossentropy"
    assert (labels.predict(x) == (labels.predict_proba(x) > 0.5)).all()
