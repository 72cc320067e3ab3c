"""The losses: kernels against float64 on every ISA, gradients against differences, special values, the Python face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
import loss_equations
from bounds import ALIKE, SIZES, floats, running, same_bits
from lanewise import _core, keras, losses
from loss_equations import CASES, EPSILON, EQUATIONS, data
from reference import Float32

LARGE = (1 << 18) + 77  # elements; from 2**18 on, threads share the work


def forward(name: str, t: Any, p: Any, params: Any) -> Float32:
    return _core.loss_forward(name, t, p, params)


# --- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "params"), CASES)
def test_values_are_within_the_bound_of_their_equation(isa: str, name: str, params: tuple[float, ...]) -> None:
    for rows, cols in [*((5, n) for n in SIZES), (33, 1), (600, 3), (2, 513), (2, 1030)]:
        if name == "categorical_focal_crossentropy_probs" and cols == 1:
            continue  # a single probability is clipped
        t, p = data(name, params, rows, cols)
        EQUATIONS[name](t, p, params).assert_holds(forward(name, t, p, params), (rows, cols))


@pytest.mark.parametrize(("name", "params"), CASES)
def test_gradients_are_the_differences_of_the_values(isa: str, name: str, params: tuple[float, ...]) -> None:
    for rows, cols in [(7, 1), (40, 3), (5, 17), (3, 33)]:
        if cols == 1 and name.startswith(("categorical_focal", "cosine")):
            continue  # constants
        t, p = data(name, params, rows, cols)
        want = loss_equations.differences(name, t, p, params)
        got = _core.loss_backward(name, t, p, params)
        # the second differences of these losses are at most some hundreds where predictions are
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6 / rows)
        assert np.abs(want).max() > 1e-4


@pytest.mark.parametrize(("name", "params"), CASES)
def test_gradients_with_row_weights(name: str, params: tuple[float, ...]) -> None:
    """In the engine each row's gradient is that of the row alone, times its weight."""
    for cols in (1, 5):
        if cols == 1 and name == "categorical_focal_crossentropy_probs":
            continue
        t, p = data(name, params, 20, cols)
        weights = np.random.default_rng(3).uniform(0, 3, 20).astype(np.float32)
        width = p.shape[1]
        graph, bias = _core.Graph(), _core.Variable((width,))
        out = graph.add("bias_add", [graph.input((width,))], [bias])
        network = _core.Network(graph, [out], [(name, out, params, 1.0)], trainable=[bias])
        sums, (gradient,) = network.value_and_grad([p], [t], weights, True, 0, 0)
        rows = _core.loss_backward(name, t, p, params).astype(np.float64) * weights[:, None]
        np.testing.assert_allclose(gradient, rows.sum(axis=0), rtol=1e-5, atol=1e-6 * np.abs(rows).sum() / len(rows))
        assert sums[1] == pytest.approx((forward(name, t, p, params) * weights).sum(), rel=1e-5)


def test_threads_and_isas_give_the_same_bits() -> None:
    results = set()
    for isa in ALIKE:
        for threads in (1, 2, 7):
            with running(isa, threads):
                out = []
                for name, params in CASES:
                    t, p = data(name, params, LARGE // 5, 5)
                    out += [forward(name, t, p, params), _core.loss_backward(name, t, p, params)]
                results.add(b"".join(a.tobytes() for a in out))
    assert len(results) == 1


@pytest.mark.parametrize(("name", "params"), CASES)
def test_a_row_does_not_depend_on_its_neighbours(isa: str, name: str, params: tuple[float, ...]) -> None:
    for cols in (1, 3, 20, 700):
        t, p = data(name, params, 37, cols)
        whole = forward(name, t, p, params)
        assert same_bits(whole, np.concatenate([forward(name, t[i : i + 1], p[i : i + 1], params) for i in range(37)]))


# --- special values --------------------------------------------------------------------------------------------------


def one(name: str, t: Any, p: Any, params: Any = 0.0) -> tuple[list[float], list[float]]:
    """Value and gradient of the row value."""
    t, p = np.array([t], np.float32), np.array([p], np.float32)
    return forward(name, t, p, params).tolist(), _core.loss_backward(name, t, p, params)[0].tolist()


def test_edges(isa: str) -> None:
    assert one("mape", [0.0], [1.0])[0] == [pytest.approx(1e9)]  # a target of 0 counts as 1e-7
    assert one("mape", [2.0], [2.0]) == ([0.0], [0.0])
    assert one("msle", [0.0], [-3.0]) == ([0.0], [0.0])
    assert one("log_cosh", [1.0], [1.0]) == ([0.0], [0.0])
    assert one("log_cosh", [0.0], [1e-4])[0] == [pytest.approx(0.5e-8, rel=1e-6)]
    assert one("log_cosh", [0.0], [300.0]) == ([pytest.approx(300 - np.log(2))], [1.0])
    assert one("hinge", [1.0], [1.0]) == ([0.0], [0.0])
    assert one("hinge", [0.0], [0.5]) == ([1.5], [1.0])
    assert one("hinge", [-1.0], [0.5]) == ([1.5], [1.0])
    assert one("squared_hinge", [1.0], [0.5]) == ([0.25], [-1.0])
    assert one("quantile", [3.0], [3.0], 0.25) == ([0.0], [0.0])
    assert one("quantile", [4.0], [3.0], 0.25) == ([0.25], [-0.25])
    assert one("quantile", [2.0], [3.0], 0.25) == ([0.75], [0.75])
    assert one("kl_divergence", [0.0, 1.0], [0.0, 1.0]) == ([0.0], [0.0, -1.0])
    assert one("kl_divergence", [1.0], [0.0])[1] == [0.0]  # clipped
    assert one("cosine_similarity", [0.0, 0.0], [1.0, 2.0]) == ([0.0], [0.0, 0.0])
    value, gradient = one("cosine_similarity", [3.0, 4.0], [0.0, 0.0])
    assert value == [0.0]
    np.testing.assert_allclose(gradient, [-0.6e7, -0.8e7], rtol=1e-6)
    assert one("categorical_hinge", [0.0, 1.0, 0.0], [0.0, 3.0, 1.0]) == ([0.0], [0.0, 0.0, 0.0])
    assert one("categorical_hinge", [0.0, 1.0, 0.0], [2.0, 1.0, 2.0]) == ([2.0], [1.0, -1.0, 0.0])  # the first
    assert one("binary_focal_crossentropy", [1.0], [200.0], (0, 2, 1, 1)) == ([0.0], [0.0])
    assert one("binary_focal_crossentropy", [0.0], [200.0], (0, 2, 1, 1)) == ([200.0], [1.0])
    assert one("binary_focal_crossentropy", [1.0], [200.0], (0, 0, 1, 1)) == ([0.0], [0.0])
    assert one("binary_focal_crossentropy_probs", [1.0], [1.0], (0, 2, 1, 1))[0] == [pytest.approx(0.0, abs=1e-12)]
    assert one("binary_focal_crossentropy_probs", [1.0], [0.0], (0, 2, 1, 1))[0] == [pytest.approx(-np.log(EPSILON))]
    value, gradient = one("categorical_focal_crossentropy", [1.0, 0.0], [-100.0, 100.0], (0, 2, 1, 1))
    assert (value, gradient) == ([200.0], [-1.0, 1.0])
    assert one("gaussian_nll", [0.0], [0.0, -50.0])[0] == [pytest.approx(0.5 * np.log(1e-6))]
    assert one("gaussian_nll", [0.0], [0.0, -50.0])[1] == [0.0, 0.5]  # pushed up
    assert one("tweedie", [0.0], [0.0], (1.5, 0))[1] == [0.0]


@pytest.mark.parametrize(("name", "params"), CASES)
def test_nan_stays_in_its_row(isa: str, name: str, params: tuple[float, ...]) -> None:
    t, p = data(name, params, 9, 5)
    p[4, 2] = np.nan
    bad = np.isnan(forward(name, t, p, params))
    assert bad.tolist() == [i == 4 for i in range(9)]
    clean = np.delete(_core.loss_backward(name, t, p, params), 4, axis=0)
    assert np.isfinite(clean).all()


def test_a_power_of_nothing_is_no_nan(isa: str) -> None:
    for gamma in (0.0, 0.5, 1.0, 2.0):
        for name in ("binary_focal_crossentropy", "binary_focal_crossentropy_probs"):
            for t in (0.0, 1.0):
                value, gradient = one(
                    name, [t], [t if name.endswith("probs") else 1000 * (2 * t - 1)], (0, gamma, 1, 1)
                )
                assert np.isfinite(value).all()
                assert np.isfinite(gradient).all()


# --- the Python face -------------------------------------------------------------------------------------------------

# keras 3.15.0 on jax, float32: {name: float(getattr(keras.losses, name)(**arguments)(T, P))} for the arrays below
T = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], np.float32)
P = np.array([[0.05, 0.9, 0.05], [0.1, 0.3, 0.6], [0.5, 0.2, 0.3]], np.float32)
GOLDEN = [
    ("MeanSquaredError", {}, 0.072777778),
    ("MeanAbsoluteError", {}, 0.22222221),
    ("MeanAbsolutePercentageError", {}, 1.1111113e+08),
    ("MeanSquaredLogarithmicError", {}, 0.035548996),
    ("Huber", {}, 0.036388889),
    ("LogCosh", {}, 0.035455585),
    ("Poisson", {}, 0.47881475),
    ("CosineSimilarity", {}, -0.89756221),
    ("KLDivergence", {}, 0.43644166),
    ("Hinge", {}, 0.8888889),
    ("SquaredHinge", {}, 0.96166658),
    ("CategoricalHinge", {}, 0.55000001),
    ("BinaryCrossentropy", {}, 0.27264154),
    ("BinaryFocalCrossentropy", {}, 0.036723312),
    ("CategoricalCrossentropy", {}, 0.43644443),
    ("CategoricalFocalCrossentropy", {}, 0.021339374),
    ("SparseCategoricalCrossentropy", {}, 0.43644443),
    ("Huber", {"delta": 0.25}, 0.03138889),
    ("BinaryCrossentropy", {"from_logits": True}, 0.66009825),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, 0.42563805),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, 0.83697027),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, 0.80363685),
    ("BinaryFocalCrossentropy", {"gamma": 1.0, "alpha": 0.4, "apply_class_balancing": True}, 0.043239493),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, 0.16959526),
    ("CategoricalFocalCrossentropy", {"gamma": 3.0, "alpha": [0.2, 0.3, 0.5]}, 0.011235568),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, 0.070809878),
    ("MeanSquaredError", {"reduction": "sum"}, 0.21833333),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "want"), GOLDEN)
def test_keras_gives_the_same_numbers(name: str, arguments: dict[str, Any], want: float) -> None:
    loss = getattr(keras.losses, name)(**arguments)
    truth = T.argmax(axis=1) if loss.sparse else T
    assert float(loss(truth, P)) == pytest.approx(want, rel=2e-6)
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert float(again(truth, P).numpy()) == float(loss(truth, P))


@pytest.mark.parametrize(
    ("alias", "cls"),
    [
        ("mse", "MeanSquaredError"), ("MSE", "MeanSquaredError"), ("mae", "MeanAbsoluteError"),
        ("mape", "MeanAbsolutePercentageError"), ("MAPE", "MeanAbsolutePercentageError"),
        ("msle", "MeanSquaredLogarithmicError"), ("kld", "KLDivergence"), ("KLD", "KLDivergence"),
        ("kl_divergence", "KLDivergence"), ("kullback_leibler_divergence", "KLDivergence"),
        ("bce", "BinaryCrossentropy"),
        ("logcosh", "LogCosh"), ("log_cosh", "LogCosh"), ("huber", "Huber"), ("huber_loss", "Huber"),
        ("cosine_similarity", "CosineSimilarity"), ("poisson", "Poisson"), ("hinge", "Hinge"),
        ("squared_hinge", "SquaredHinge"), ("categorical_hinge", "CategoricalHinge"), ("pinball", "Quantile"),
        ("binary_focal_crossentropy", "BinaryFocalCrossentropy"), ("tweedie", "Tweedie"), ("gamma", "Gamma"),
        ("categorical_focal_crossentropy", "CategoricalFocalCrossentropy"), ("gaussian_nll", "GaussianNLL"),
    ],
)  # fmt: skip
def test_names_and_functions(alias: str, cls: str) -> None:
    assert type(losses.get(alias)).__name__ == cls
    function = losses.function_name(getattr(losses, alias)) if hasattr(losses, alias) else None
    if function is not None:
        assert type(losses.get(getattr(losses, alias))).__name__ == cls
        assert losses.serialize(getattr(losses, alias)) == function


def test_reductions_and_weights() -> None:
    rows = losses.mean_squared_error(T, P)
    assert rows.shape == (3,)
    assert rows.numpy().dtype == np.float32
    weights = np.array([1.0, 0.0, 3.0], np.float32)
    for reduction, plain, weighted in [
        ("sum_over_batch_size", rows.mean(), (rows * weights).mean()),
        ("mean", rows.mean(), (rows * weights).mean()),
        ("sum", rows.sum(), (rows * weights).sum()),
        ("mean_with_sample_weight", rows.mean(), (rows * weights).sum() / 4),
    ]:
        loss = losses.MeanSquaredError(reduction=reduction)
        assert float(loss(T, P)) == pytest.approx(float(plain), rel=1e-6)
        for shape in ((3,), (3, 1)):
            assert float(loss(T, P, weights.reshape(shape))) == pytest.approx(float(weighted), rel=1e-6)
        assert loss.get_config()["reduction"] == reduction
    for none in (None, "none"):
        np.testing.assert_array_equal(losses.MeanSquaredError(reduction=none)(T, P, weights), rows * weights)
    assert float(losses.MeanSquaredError(reduction="mean_with_sample_weight")(T, P, np.zeros(3))) == 0
    with pytest.raises(ValueError, match=r"reduction: expected one of .*'mean_of_all'"):
        losses.MeanSquaredError(reduction="mean_of_all")
    with pytest.raises(ValueError, match=r"sample_weight: expected shape \(3,\), received \(2,\)"):
        losses.MeanSquaredError()(T, P, [1, 2])


def test_arrays_of_one_axis_and_of_three() -> None:
    assert losses.mean_absolute_error([1.0, 2.0, 4.0], [1.0, 1.0, 1.0]).numpy() == pytest.approx(4 / 3)
    assert losses.cosine_similarity([0.0, 1.0], [1.0, 1.0]) == pytest.approx(-(0.5**0.5))
    assert losses.CosineSimilarity()([0.0, 1.0], [1.0, 1.0]) == pytest.approx(-(0.5**0.5))
    assert losses.kl_divergence([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    cube_t, cube_p = np.stack([T, P]), np.stack([P, T])
    want = np.stack([losses.mean_squared_error(T, P), losses.mean_squared_error(P, T)])
    np.testing.assert_array_equal(losses.mean_squared_error(cube_t, cube_p), want)
    deep = losses.categorical_crossentropy(cube_t, np.stack([P, P]))
    assert deep.shape == (2, 3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: losses.Quantile(1.0), "q: expected a number in"),
        (lambda: losses.Tweedie(2.0), r"power: expected a number in \(1, 2\), received 2"),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-1), "gamma: expected a finite number >= 0"),
        (lambda: losses.Tweedie()([-1.0], [1.0]), "y_true: tweedie expects targets >= 0, received -1"),
        (lambda: losses.Gamma()([0.0], [1.0]), "y_true: gamma expects targets > 0, received 0"),
        (lambda: losses.GaussianNLL()(np.ones((4, 1)), np.ones((4, 3))), "expected 2 outputs for each target"),
        (lambda: losses.GaussianNLL()(np.ones((4, 2)), np.ones((4, 2))), r"1/2 of the model's output, \(n, 1\)"),
        (lambda: losses.CategoricalFocalCrossentropy([1, 2])(T, P), "alpha: expected a number for each of 3 classes"),
        (lambda: _core.loss_forward("categorical_focal_crossentropy", T, P, (0, 2, 3, 1)), "alpha: expected one"),
        (lambda: _core.loss_forward("quantile", T, P, 0.0), "q: expected"),
        (lambda: _core.loss_forward("gaussian_nll", T, P, 0.0), "expected a mean and a log variance"),
        (lambda: _core.loss_backward("accuracy", T, P, 0.0), "expected a loss"),
        (lambda: losses.get("kldivergenc"), "Did you mean 'KLDivergence'|Did you mean 'kl_divergence'"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


# --- training --------------------------------------------------------------------------------------------------------


def fitted(loss: Any, y: Any, activation: str | None = None, units: int = 1, epochs: int = 400) -> Any:
    lw.utils.set_random_seed(3)
    model = lw.Sequential([lw.layers.Dense(units, activation, input_shape=(1,))])
    model.compile(lw.optimizers.Adam(0.1), loss)
    model.fit(np.zeros((len(y), 1)), y, batch_size=len(y), epochs=epochs, verbose=0)
    return model.predict(np.zeros((1, 1)), verbose=0)[0]


def test_constants_that_the_losses_are_least_at() -> None:
    """Without an input, the best prediction is a statistic of the targets."""
    y = np.random.default_rng(5).gamma(2.0, 1.5, 501).astype(np.float32)
    assert fitted(losses.Quantile(0.8), y)[0] == pytest.approx(np.quantile(y, 0.8), abs=0.1)
    mean = y.mean()
    assert np.exp(fitted(losses.Gamma(log_input=True), y)[0]) == pytest.approx(mean, rel=1e-2)
    assert np.exp(fitted(losses.Tweedie(1.3, log_input=True), y)[0]) == pytest.approx(mean, rel=1e-2)
    mu, log_variance = fitted("gaussian_nll", y, units=2)
    assert (mu, np.exp(log_variance)) == (pytest.approx(mean, rel=2e-2), pytest.approx(y.var(), rel=5e-2))


def test_every_loss_trains_under_its_name() -> None:
    for name in sorted(losses._TABLE):
        loss = losses.get(name)
        rng = np.random.default_rng(1)
        x = floats(rng, 40, 4)
        y: Any = rng.uniform(0.1, 0.9, (40, 3)).astype(np.float32)
        y = y.argmax(axis=1) if loss.sparse else y
        units = 6 if loss.outputs == 2 else 3
        model = lw.Sequential([lw.layers.Dense(units, "softmax" if loss.joint else "sigmoid", input_shape=(4,))])
        model.compile("adam", name)
        history = model.fit(x, y, epochs=5, verbose=0).history["loss"]
        assert history[-1] < history[0], name
        assert model.evaluate(x, y, verbose=0) == pytest.approx(float(loss(y, model.predict(x, verbose=0))), rel=1e-4)
