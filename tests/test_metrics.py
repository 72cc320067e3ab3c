"""The metrics: Keras's numbers alone and inside the engine, the same bits everywhere, special values, names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bounds import ALIKE, running
from lanewise import _core, keras, metrics
from metric_data import DATA, GOLDEN, ONE_HOT, PARTS, PROBS, SCORES, WEIGHTS, YES

LOSS = {"labels": "sparse_categorical_crossentropy"}


def made(kind: str, arguments: dict[str, Any], **more: Any) -> metrics.Metric:
    metric = getattr(keras.metrics, kind)(**arguments, **more)
    assert isinstance(metric, metrics.Metric)
    return metric


def weights_for(name: str) -> Any:
    return 2 * WEIGHTS if "IoU" in name else WEIGHTS


def identity(width: int) -> lw.Sequential:
    return lw.Sequential([lw.layers.Dense(width, kernel_initializer="identity", use_bias=False, input_shape=(width,))])


@pytest.mark.parametrize(("name", "arguments", "rows", "plain", "weighted"), GOLDEN)
def test_keras_gives_the_same_numbers(
    name: str, arguments: dict[str, Any], rows: str, plain: Any, weighted: Any
) -> None:
    t, p = DATA[rows]
    for weights, want in ((None, plain), (weights_for(name), weighted)):
        if want is None:
            continue
        metric = made(name, arguments)
        for part in PARTS:
            metric.update_state(t[part], p[part], None if weights is None else weights[part])
        np.testing.assert_allclose(metric.result().numpy(), want, rtol=3e-6, atol=1e-7)
        metric.reset_state()
        assert not np.any(metric.result())
        again = metric(t, p, weights)  # at once
        np.testing.assert_allclose(again, want, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "arguments", "rows", "plain", "weighted"), GOLDEN)
def test_inside_the_engine_they_are_the_same(
    name: str, arguments: dict[str, Any], rows: str, plain: Any, weighted: Any
) -> None:
    t, p = DATA[rows]
    model = identity(p.shape[1])
    one, two = made(name, arguments, name="one"), made(name, arguments, name="two")
    model.compile("sgd", LOSS.get(rows, "mse"), metrics=[one], weighted_metrics=[two])
    for threads in (1, 3):
        with running(threads=threads):
            for batch in (5, 24, 100):
                got = model.evaluate(p, t, batch_size=batch, verbose=0, return_dict=True)
                np.testing.assert_allclose(got["one"], plain, rtol=3e-6, atol=1e-7)
                np.testing.assert_allclose(got["two"], plain, rtol=3e-6, atol=1e-7)
                got = model.evaluate(
                    p, t, batch_size=batch, sample_weight=weights_for(name), verbose=0, return_dict=True
                )
                np.testing.assert_allclose(got["one"], plain, rtol=3e-6, atol=1e-7)
                if weighted is not None:
                    np.testing.assert_allclose(got["two"], weighted, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "arguments", "rows", "plain", "weighted"), GOLDEN)
def test_configs_make_the_same_metric(
    name: str, arguments: dict[str, Any], rows: str, plain: Any, weighted: Any
) -> None:
    metric = made(name, arguments)
    config = metrics.serialize(metric)
    again = metrics.deserialize(config)
    assert metrics.serialize(again) == config
    np.testing.assert_array_equal(again(*DATA[rows]), metric(*DATA[rows]))
    assert "threshold" in str(arguments) or again.name == metric.name


# --- bits ------------------------------------------------------------------------------------------------------------


def test_the_same_bits_on_every_isa_at_any_number_of_threads() -> None:
    """Training with one metric of each kind: every epoch's values."""
    seen = set()
    for isa in ALIKE:
        for threads in (1, 2, 7):
            with running(isa, threads):
                lw.utils.set_random_seed(4)
                model = lw.Sequential([lw.layers.Dense(8, "relu", input_shape=(3,)), lw.layers.Dense(3, "softmax")])
                kinds = [
                    "accuracy", "mse", metrics.AUC(name="auc"), metrics.Precision(top_k=2, name="p"),
                    metrics.F1Score(average="macro"), metrics.R2Score(), metrics.TopKCategoricalAccuracy(2),
                    metrics.OneHotMeanIoU(3, name="iou"),
                ]  # fmt: skip
                again = [metrics.AUC(name="weighted"), metrics.KLDivergence()]
                model.compile("adam", "categorical_crossentropy", metrics=kinds, weighted_metrics=again)
                history = model.fit(SCORES, ONE_HOT, batch_size=7, epochs=3, sample_weight=WEIGHTS, verbose=0).history
                assert len(history) == 11
                seen.add(str(history))
    assert len(seen) == 1


def test_counts_do_not_depend_on_the_batches() -> None:
    rng = np.random.default_rng(3)
    t, p = rng.integers(0, 2, (5000, 2)).astype(np.float32), rng.random((5000, 2)).astype(np.float32)
    model = identity(2)
    model.compile("sgd", "mse", metrics=[metrics.AUC(name="auc"), metrics.Recall(name="recall"), metrics.F1Score()])
    seen = {str(model.evaluate(p, t, batch_size=size, verbose=0)) for size in (1, 7, 32, 5000)}
    losses = {text.split(",")[1:][0] for text in seen}
    assert len(losses) == 1
    auc = metrics.AUC()
    auc.update_state(t, p)
    assert float(auc.result()) == model.evaluate(p, t, verbose=0)[1]
    exact = np.mean(p[t == 1][:, None] > p[t == 0][None])
    assert float(auc.result()) == pytest.approx(exact, abs=2e-3)  # 200 thresholds


def test_counts_against_plain_numpy() -> None:
    rng = np.random.default_rng(7)
    t, p = rng.integers(0, 2, (400, 6)).astype(np.float32), rng.random((400, 6)).astype(np.float32)
    p[::7] = p[::7].round(1)  # ties, and values at thresholds
    w = rng.random(400).astype(np.float32)
    thresholds = [0.5, 0.0, 0.1, 1.0, 0.3]
    for k, only in ((None, None), (2, None), (3, 4), (6, 0), (None, 5)):
        chosen = p.astype(np.float64)
        if k is not None:
            order = np.argsort(-p, axis=1, kind="stable")[:, :k]
            mask = np.zeros(p.shape, bool)
            np.put_along_axis(mask, order, True, axis=1)
            chosen = np.where(mask, p, -1e10)
        columns = slice(None) if only is None else slice(only, only + 1)
        above = chosen[:, columns, None] > np.float32(thresholds)
        yes = (t[:, columns] != 0)[..., None]
        tp, fp = ((w[:, None, None] * x).sum(axis=(0, 1), dtype=np.float64) for x in (above & yes, above & ~yes))
        metric = metrics.Precision(thresholds, top_k=k, class_id=only)
        want = np.divide(tp, tp + fp, out=np.zeros(5), where=tp + fp > 0)
        np.testing.assert_allclose(metric(t, p, w), want, rtol=1e-6)


# --- special values --------------------------------------------------------------------------------------------------


def test_nothing_seen_and_one_kind_of_target() -> None:
    for name, arguments, rows, _, _ in GOLDEN:
        assert not np.any(made(name, arguments).result()), name
        assert made(name, arguments, name="mine").name == "mine"
        t, p = DATA[rows]
        if rows != "labels" and name not in ("R2Score", "MeanAbsolutePercentageError"):
            zero = made(name, arguments)(np.zeros_like(t), p)
            assert np.isfinite(zero).all(), name
    assert float(metrics.AUC()(np.ones(4), [0.1, 0.2, 0.3, 0.4])) == 0.0
    assert float(metrics.Precision()([0, 0], [0.1, 0.2])) == 0.0
    assert np.isnan(metrics.R2Score()([[1.0], [1.0]], [[1.0], [1.0]]))  # 0 / 0, as in Keras


def test_nan_predictions_are_never_positive() -> None:
    p = np.array([np.nan, 0.9, np.nan, 0.1], np.float32)
    assert float(metrics.TruePositives()([1, 1, 0, 0], p)) == 1
    assert float(metrics.FalseNegatives()([1, 1, 0, 0], p)) == 1
    assert float(metrics.TrueNegatives()([1, 1, 0, 0], p)) == 2
    assert float(metrics.SparseTopKCategoricalAccuracy(2)([0], [[np.nan, 1.0, 2.0]])) == 0
    assert np.isnan(metrics.MeanSquaredError()([1, 1, 0, 0], p))


def test_shapes_of_predictions_and_weights() -> None:
    one = metrics.Precision()([1, 0, 1], [0.9, 0.8, 0.2])
    assert float(one) == float(metrics.Precision()([[1], [0], [1]], [[0.9], [0.8], [0.2]])) == 0.5
    cube = metrics.MeanAbsoluteError()
    cube.update_state(np.stack([YES, YES]), np.stack([SCORES, SCORES]))
    assert float(cube.result()) == pytest.approx(np.abs(YES - SCORES).mean(), rel=1e-6)
    for weights in (WEIGHTS, WEIGHTS[:, None], WEIGHTS.tolist()):
        assert float(metrics.MeanAbsoluteError()(YES, SCORES, weights)) == pytest.approx(
            (np.abs(YES - SCORES).mean(axis=1) * WEIGHTS).sum() / WEIGHTS.sum(), rel=1e-6
        )
    assert float(metrics.MeanAbsoluteError()(YES, SCORES, 2.0)) == pytest.approx(np.abs(YES - SCORES).mean(), rel=1e-6)


def test_mean_and_sum_of_numbers() -> None:
    mean = metrics.Mean()
    mean.update_state([1, 3, 5, 7])
    assert float(mean.result()) == 4
    mean.reset_state()
    mean.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    assert float(mean.result().numpy()) == 2
    mean.update_state(8.0)
    assert float(mean.result()) == 4
    total = metrics.Sum()
    assert float(total([1, 3, 5, 7])) == 16
    assert float(total([1, 3], sample_weight=[1, 0])) == 17


# --- names -----------------------------------------------------------------------------------------------------------


def test_names() -> None:
    keras.backend.clear_session()
    assert [metrics.AUC().name, metrics.AUC().name, metrics.Precision().name] == ["auc", "auc_1", "precision"]
    assert metrics.MeanIoU(2).name == "mean_io_u"
    assert metrics.LogCoshError().name == "logcosh"
    for text, kind in [
        ("accuracy", "AutoAccuracy"), ("acc", "AutoAccuracy"), ("AUC", "AUC"), ("mape", "MeanAbsolutePercentageError"),
        ("MSLE", "MeanSquaredLogarithmicError"), ("kld", "KLDivergence"), ("logcosh", "LogCoshError"),
        ("cosine_similarity", "CosineSimilarity"), ("Recall", "Recall"), ("precision", "Precision"),
        ("top_k_categorical_accuracy", "TopKCategoricalAccuracy"), ("r2_score", "R2Score"), ("f1_score", "F1Score"),
        ("rmse", "RootMeanSquaredError"), ("poisson", "Poisson"), ("squared_hinge", "SquaredHinge"),
    ]:  # fmt: skip
        metric = metrics.get(text)
        assert (type(metric).__name__, metric.name) == (kind, text)
    for function in (metrics.top_k_categorical_accuracy, metrics.mape, keras.losses.kl_divergence):
        assert metrics.get(function).name == metrics.serialize(function)
    assert type(metrics.get(metrics.Accuracy)).__name__ == "Accuracy"


def test_names_in_the_logs_of_fit() -> None:
    model = identity(3)
    chosen = ["mape", "AUC", metrics.Recall(name="hit"), "cosine_similarity"]
    model.compile("sgd", "mse", metrics=chosen, weighted_metrics=["mae"])
    logs = model.fit(SCORES, YES, validation_data=(SCORES, YES), verbose=0).history
    assert sorted(logs) == sorted(
        f"{kind}{name}" for kind in ("", "val_") for name in ("loss", "mape", "AUC", "hit", "cosine_similarity", "mae")
    )


def test_functions() -> None:
    np.testing.assert_array_equal(metrics.binary_accuracy([[1, 0], [1, 1]], [[0.7, 0.7], [0.5, 0.6]]), [[1, 0], [0, 1]])
    rows = metrics.categorical_accuracy(ONE_HOT, PROBS)
    np.testing.assert_array_equal(rows, ONE_HOT.argmax(axis=1) == PROBS.argmax(axis=1))
    labels = ONE_HOT.argmax(axis=1)
    np.testing.assert_array_equal(metrics.sparse_categorical_accuracy(labels, PROBS), rows)
    best = np.argsort(-PROBS, axis=1)[:, :2]
    want = (best == labels[:, None]).any(axis=1)
    np.testing.assert_array_equal(metrics.top_k_categorical_accuracy(ONE_HOT, PROBS, k=2), want)
    np.testing.assert_array_equal(metrics.sparse_top_k_categorical_accuracy(labels, PROBS, k=2), want)


def test_arrays_in_logs(capsys: pytest.CaptureFixture[str]) -> None:
    model = identity(3)
    model.compile("sgd", "mse", metrics=[metrics.F1Score(), metrics.Precision([0.2, 0.8], name="p")])
    history = model.fit(SCORES, YES, epochs=2, verbose=2).history
    assert np.shape(history["f1_score"]) == (2, 3)
    assert np.shape(history["p"]) == (2, 2)
    assert "f1_score: 0." in capsys.readouterr().out
    assert model.evaluate(SCORES, YES, verbose=0)[1].shape == (3,)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: metrics.Precision(thresholds=[0.5, 2.0]), "thresholds: expected numbers in"),
        (lambda: metrics.Precision(thresholds=[]), "thresholds: expected at least one"),
        (lambda: metrics.AUC(curve="LIFT"), "curve: expected 'ROC'"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds: expected an integer >= 2"),
        (lambda: metrics.AUC(num_labels=2), "num_labels: goes with multi_label"),
        (lambda: metrics.AUC(multi_label=True, num_labels=2)(YES, SCORES), "num_labels: expected 3"),
        (lambda: metrics.AUC(label_weights=[1.0])(YES, SCORES), "label_weights: expected 3"),
        (lambda: metrics.F1Score("mean"), "average: expected None"),
        (lambda: metrics.F1Score(threshold=0.0), "threshold: expected a number in"),
        (lambda: metrics.R2Score("sum"), "class_aggregation: expected"),
        (lambda: metrics.RecallAtPrecision(1.5), "precision: expected a number in"),
        (lambda: metrics.IoU(2, [2]), "target_class_ids: expected classes below 2"),
        (lambda: metrics.Precision(class_id=3)(YES, SCORES), "class_id: expected a column below 3"),
        (lambda: metrics.Recall()(YES, SCORES[:, :2]), "y_true: recall.* expects targets shaped like"),
        (lambda: metrics.Recall()(YES, SCORES, WEIGHTS[:5]), r"sample_weight: expected shape \(24,\)"),
        (lambda: _core.loss_forward("moment_sums", YES, SCORES), "expected a kernel with a value for each row"),
        (lambda: _core.metric_sums("threshold_counts", YES, SCORES, (-1, 0, 0, 0, 0.5, 0.1)), "thresholds: expected"),
        (lambda: _core.metric_sums("confusion_counts", YES, SCORES, (1e6,)), "num_classes: expected"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_labels_and_rows_do_not_mix_in_one_model() -> None:
    model = identity(3)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metrics.AUC(name="auc")])
    with pytest.raises(ValueError, match="auc takes one-hot rows, the loss sparse_categorical_crossentropy takes"):
        model.evaluate(PROBS, ONE_HOT.argmax(axis=1), verbose=0)


def test_scores_of_classes_take_rows_of_them():
    for metric in (lw.metrics.F1Score(threshold=0.5), lw.metrics.FBetaScore()):
        with pytest.raises(ValueError, match=r"\(rows, classes\), received shape \(3,\)"):
            metric.update_state(np.zeros(3), np.zeros(3))


def test_results_round_to_float32_as_a_cast_does_without_its_warnings() -> None:
    largest, tie = 2.0**128 - 2.0**104, 2.0**128 - 2.0**103
    given = [0.1, -0.0, np.nan, np.inf, -np.inf, largest, np.nextafter(tie, 0), tie, -tie, 1e300, 1e-300]
    with np.errstate(over="ignore"):
        expected = np.array(given).astype(np.float32)
    metric = metrics.Mean()
    found = [metric.finished(np.array([value, 1.0])) for value in given]
    assert all(type(value) is float for value in found)
    assert np.array(found, np.float32).tobytes() == expected.tobytes()


def test_a_loss_beyond_float32_is_infinite_in_epochs_of_arrays_and_of_generators() -> None:
    x, y = np.full((8, 1), 3e30, np.float32), np.zeros(8, np.float32)
    losses = []
    for data in ({"x": x, "y": y}, {"x": (piece for piece in [(x, y)]), "steps_per_epoch": 1}):
        model = lw.Sequential([lw.Input((1,)), lw.layers.Dense(1, kernel_initializer="ones")])
        model.compile(lw.optimizers.SGD(0.0), "mse", metrics=["mse"])
        with pytest.warns(RuntimeWarning, match="loss: inf in epoch 1") as told:
            history = model.fit(**data, epochs=1, batch_size=8, verbose=0).history
        assert len(told) == 1
        losses.append((history["loss"], history["mse"]))
    assert losses[0] == losses[1] == ([np.inf], [np.inf])
