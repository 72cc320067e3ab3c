"""Ensemble: means, spread and members with the bits of the single models; one file for all of them."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lanewise as lw
from lanewise.layers import Activation, BatchNormalization, Dense, Embedding, Flatten

RNG = np.random.default_rng(3)
ROWS = 1301
X = RNG.standard_normal((ROWS, 12)).astype(np.float32)
Y = X[:, :3].sum(axis=1)
LABELS = (Y > 0).astype(np.int64) + (Y > 1)


def regression(units: int = 8) -> lw.Sequential:
    model = lw.Sequential([lw.Input((12,)), Dense(units, "relu"), BatchNormalization(), Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def classifier() -> lw.Sequential:
    model = lw.Sequential([lw.Input((12,)), Dense(8, "tanh"), Dense(3), Activation("softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def two_heads() -> Any:
    a, b = lw.Input((12,), name="a"), lw.Input((12,), name="b")
    h = lw.layers.concatenate([Dense(4, "relu")(a), b])
    model = lw.Model({"a": a, "b": b}, {"p": Dense(1, name="p")(h), "q": Dense(2, "sigmoid", name="q")(h)})
    model.compile("adam", {"p": "mse", "q": "binary_crossentropy"}, metrics={"q": ["mae"]}, loss_weights={"p": 0.5})
    return model


def ensemble(build: Any = regression, y: Any = Y, size: int = 5, **more: Any) -> lw.Ensemble:
    return lw.fit_many(build, X, y, seeds=size, epochs=2, batch_size=100, verbose=0, **more).ensemble()


def moments(parts: list[Any]) -> tuple[Any, Any]:
    """Mean and deviation by the plain sums, in float64."""
    total = parts[0].astype(np.float64)
    for part in parts[1:]:
        total = total + part
    mean = total / len(parts)
    squares = (parts[0] - mean) ** 2
    for part in parts[1:]:
        squares = squares + (part - mean) ** 2
    return mean.astype(np.float32), np.sqrt(squares / (len(parts) - 1)).astype(np.float32)


def test_sparse_rows_go_in_by_slices() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    both, x = ensemble(size=2), np.tile(X * (X > 0.5), (30, 1))
    for rows in (sparse.csr_matrix(x), sparse.coo_matrix(x)):
        for method in (both.predict, both.predict_std, both.predict_all):
            assert np.array_equal(method(rows), method(x))
        assert both.evaluate(rows, np.tile(Y, 30), verbose=0) == both.evaluate(x, np.tile(Y, 30), verbose=0)
    with pytest.raises(ValueError, match="at least one row"):
        both.predict(sparse.csr_matrix((0, 12)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [2, 11])
def test_the_bits_of_the_models(threads: int, size: int) -> None:
    both = ensemble(size=size, grid=[{"units": 4}, {"units": 9}])  # of different sizes inside
    assert len(both) == 2 * size
    lw.set_num_threads(threads)
    for x in (X, X.astype(np.float64), X[::-1], np.asfortranarray(X), X.astype(np.float16), (X * 9).astype(np.int64)):
        parts = [model.predict(x, verbose=0) for model in both]
        mean, deviation = moments(parts)
        assert np.array_equal(both.predict_all(x), np.stack(parts))
        assert np.array_equal(both.predict(x), mean)
        assert np.array_equal(both(x), mean)
        assert np.array_equal(both.predict_std(x), deviation)
        for rows in (1, 2, 300):  # in whatever company a row is predicted
            assert np.array_equal(both.predict(x[:rows]), mean[:rows])
            assert np.array_equal(both.predict_std(x[:rows]), deviation[:rows])
    assert deviation.dtype == mean.dtype == np.float32
    assert np.array_equal(both.predict(pd.DataFrame(X)), both.predict(X))


def test_one_model() -> None:
    one = lw.Ensemble([classifier()])
    assert np.array_equal(one.predict(X), one[0].predict(X, verbose=0))
    assert not one.predict_std(X).any()
    assert one.predict_std(X).shape == (ROWS, 3)


def test_the_mean_of_probabilities() -> None:
    found = ensemble(classifier, LABELS)
    mean = found.predict(X)
    assert mean.shape == (ROWS, 3)
    np.testing.assert_allclose(mean.sum(axis=1), 1, atol=1e-6)
    loss, accuracy = found.evaluate(X, LABELS, verbose=0)
    assert accuracy == pytest.approx((mean.argmax(axis=1) == LABELS).mean())
    assert loss == pytest.approx(-np.log(mean[np.arange(ROWS), LABELS].astype(np.float64)).mean(), rel=1e-5)
    assert found.evaluate(X, LABELS, verbose=0, return_dict=True) == {"accuracy": accuracy, "loss": loss}


def test_evaluate_with_weights() -> None:
    found = ensemble()
    weights = RNG.uniform(0.5, 2, ROWS)
    results = found.evaluate(X, Y, batch_size=64, sample_weight=weights, verbose=0, return_dict=True)
    error = found.predict(X)[:, 0].astype(np.float64) - Y
    assert results["loss"] == pytest.approx((weights * error**2).mean(), rel=1e-5)
    assert results["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="y: expected"):
        found.evaluate(X, Y[:-1], verbose=0)
    with pytest.raises(ValueError, match="not compiled"):
        lw.Ensemble([lw.Sequential([lw.Input((2,)), Dense(1)])]).evaluate(X[:, :2], Y, verbose=0)


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    x = {"a": X, "b": X[:, ::-1]}
    y = {"p": Y, "q": np.stack([Y > 0, Y > 1], axis=1)}
    found = lw.fit_many(two_heads, x, y, seeds=3, epochs=1, verbose=0).ensemble()
    parts = [model.predict(x, verbose=0) for model in found]
    for name in ("p", "q"):
        mean, deviation = moments([part[name] for part in parts])
        assert np.array_equal(found.predict(x)[name], mean)
        assert np.array_equal(found.predict_std(x)[name], deviation)
        assert np.array_equal(found.predict_all(x)[name], np.stack([part[name] for part in parts]))
    results = found.evaluate(x, y, verbose=0, return_dict=True)
    assert results["p_loss"] == pytest.approx(((found.predict(x)["p"][:, 0] - Y) ** 2).mean(), rel=1e-5)
    assert results["loss"] == pytest.approx(0.5 * results["p_loss"] + results["q_loss"], rel=1e-5)
    found.save(tmp_path / "e.lanewise")
    assert np.array_equal(lw.Ensemble.load(tmp_path / "e.lanewise").predict(x)["q"], found.predict(x)["q"])


def test_ids_stay_integers() -> None:
    def build() -> lw.Sequential:
        model = lw.Sequential([lw.Input((2,)), Embedding(50, 3), Flatten(), Dense(1)])
        model.compile("adam", "mse")
        return model

    ids = RNG.integers(0, 50, (ROWS, 2))
    found = lw.fit_many(build, ids, Y, seeds=2, verbose=0).ensemble()
    assert np.array_equal(found.predict_all(ids)[1], found[1].predict(ids, verbose=0))


# --- files ------------------------------------------------------------------------------------------------------


def test_one_file(tmp_path: Path) -> None:
    path = tmp_path / "all.lanewise"
    found = ensemble(grid=[{"units": 4}, {"units": 9}], size=2)
    found.save(path)
    for loaded in (lw.Ensemble.load(path), lw.load_model(path)):
        assert isinstance(loaded, lw.Ensemble)
        assert list(map(lw.fingerprint, loaded)) == list(map(lw.fingerprint, found))
        assert np.array_equal(loaded.predict(X), found.predict(X))
        assert loaded.evaluate(X, Y, verbose=0) == found.evaluate(X, Y, verbose=0)
    assert not any(model.compiled for model in lw.Ensemble.load(path, compile=False))
    before = path.read_bytes()
    found.save(path)
    assert path.read_bytes() == before
    with np.load(path, allow_pickle=False) as arrays:  # as docs/format.md says
        assert np.array_equal(arrays["weights/0"], found[0].get_weights()[0])
        weights = sum(len(model.get_weights()) for model in found)
        assert sorted(arrays.files) == sorted(["lanewise.json", *(f"weights/{i}" for i in range(weights))])  # no states
    with pytest.raises(FileExistsError):
        found.save(path, overwrite=False)
    with pytest.raises(ValueError, match=r"an ensemble goes into a '\*.lanewise' file"):
        found.save(tmp_path / "all.keras")
    found[0].save(path)
    with pytest.raises(ValueError, match="holds one model"):
        lw.Ensemble.load(path)


@pytest.mark.parametrize("change", ["fewer models", "other weights", "no lists", "state", "prefix", "none", "shapes"])
def test_damaged_files(tmp_path: Path, change: str) -> None:
    path, damaged = tmp_path / "all.lanewise", tmp_path / "damaged.lanewise"
    ensemble(size=2).save(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(damaged, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "lanewise.json":
                manifest = json.loads(data)
                if change == "fewer models":
                    manifest["model"].pop()
                elif change == "other weights":
                    manifest["weights"][0] = "0/dense/bias_2"
                elif change == "no lists":
                    manifest["model"] = manifest["model"][0]
                elif change == "state":
                    manifest["optimizer"] = ["iterations"]
                elif change == "prefix":
                    manifest["weights"] = [f"2/{name[2:]}" if name[0] == "1" else name for name in manifest["weights"]]
                elif change == "none":
                    manifest.update(model=[], compile=[])
                else:
                    manifest["model"][1]["layers"][0]["config"]["units"] = 10**9
                data = json.dumps(manifest).encode()
            new.writestr(zipfile.ZipInfo(info.filename), data)
    with pytest.raises(ValueError, match="is no intact lanewise file"):
        lw.load_model(damaged)


# --- bad input --------------------------------------------------------------------------------------------------


def test_what_is_no_ensemble() -> None:
    with pytest.raises(ValueError, match="at least one"):
        lw.Ensemble([])
    with pytest.raises(TypeError, match=r"models\[1\]: expected a model"):
        lw.Ensemble([regression(), 3])
    with pytest.raises(ValueError, match=r"models\[0\]: the model is not built"):
        lw.Ensemble([lw.Sequential([Dense(1)])])
    with pytest.raises(ValueError, match=r"models\[1\]: expected shapes"):
        lw.Ensemble([regression(), classifier()])
    with pytest.raises(ValueError, match="x: expected an array of shape"):
        lw.Ensemble([regression()]).predict(X[:, :3])
