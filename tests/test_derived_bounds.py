"""Every kernel of lanewise.ops within the bound that its own equation gives, on every ISA and number of threads.

The bounds come from `reference.Rounded`; nothing here is a tolerance by taste. The last shape of each list is beyond
the size from which a call is shared among threads, with tails on every side.
"""

import numpy as np
import pytest

import equations
from bounds import SIZES, U, floats, gamma, same_bits, ulps
from lanewise import ops
from reference import CHUNK, TINY, Rounded

LARGE = (1 << 18) + 77  # elements; from 2**18 on, threads share the work


def grid(rng: np.random.Generator, rows: int, cols: int, low: float, high: float) -> np.ndarray:
    """Uniform float32 in [low, high)."""
    return (low + (high - low) * rng.random((rows, cols))).astype(np.float32)


# --- the tool itself -------------------------------------------------------------------------------------------------


def test_rounded_bounds_what_float32_does_and_not_much_more() -> None:
    rng = np.random.default_rng(0)
    a, b, c = (floats(rng, 100_000) for _ in range(3))
    want = (Rounded(a) * b + c) / (abs(Rounded(b)) + Rounded.constant(0.1)).sqrt()
    got = (a * b + c) / np.sqrt(np.abs(b) + np.float32(0.1))
    want.assert_holds(got)
    used = np.abs(got - want.value) / want.error
    assert 0.3 < used.max() <= 1  # a bound ten times too wide would hide a wrong kernel
    with pytest.raises(AssertionError, match="expected"):
        want.assert_holds(got * np.float32(1 + 8 * U))


def test_the_sum_bound_fails_for_another_order() -> None:
    x = np.full(1 << 16, 0.1, np.float32)
    Rounded(x[None]).sum(CHUNK).assert_holds(ops.column_sum(x[:, None]))
    one_chain = np.cumsum(x, dtype=np.float32)[-1:]
    with pytest.raises(AssertionError):
        Rounded(x[None]).sum(CHUNK).assert_holds(one_chain)


# --- activations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", equations.ACTIVATIONS)
def test_activations_over_their_whole_range(isa: str, name: str) -> None:
    bits = np.random.default_rng(1).integers(0, 1 << 32, 100_000, dtype=np.uint32)  # every exponent, NaN too
    x = bits.view(np.float32)
    with np.errstate(all="ignore"):
        want = equations.ACTIVATIONS[name](x.astype(np.float64))
        assert ulps(getattr(ops, name + "_forward")(x), want) <= (0 if name == "relu" else 2)


@pytest.mark.parametrize("name", equations.BACKWARD)
def test_activation_gradients(isa: str, threads: int, name: str) -> None:
    rng = np.random.default_rng(2)
    for rows, cols in [*((3, n) for n in SIZES), (2, 513), (2, 1030), (LARGE // 100, 100)]:
        y = getattr(ops, name + "_forward")(floats(rng, rows, cols) * 3)
        dy = floats(rng, rows, cols)
        equations.BACKWARD[name](dy, y).assert_holds(getattr(ops, name + "_backward")(dy, y), (rows, cols))


def test_softmax(isa: str, threads: int) -> None:
    rng = np.random.default_rng(3)
    for rows, cols in [*((3, n) for n in SIZES), (2, 513), (2, 1030), (LARGE // 100, 100)]:
        x = floats(rng, rows, cols) * 8
        y = ops.softmax_forward(x)
        equations.softmax(x).assert_holds(y, (rows, cols))
        assert np.all(np.abs(y.sum(axis=1, dtype=np.float64) - 1) <= gamma(cols / 16 + 20))


# --- losses ----------------------------------------------------------------------------------------------------------


def targets_and_predictions(name: str, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows * cols)
    if name.endswith("_probs"):  # inside the clipping; smoothed targets so that every term counts
        return grid(rng, rows, cols, 0, 1), grid(rng, rows, cols, 0.05, 0.95)
    if "crossentropy" in name:
        return grid(rng, rows, cols, 0, 1), floats(rng, rows, cols) * 5
    return floats(rng, rows, cols), floats(rng, rows, cols) * 2


@pytest.mark.parametrize(
    ("name", "param"),
    [("mse", 0.0), ("mae", 0.0), ("huber", 1.0), ("huber", 0.3)]
    + [(name, smoothing) for name in equations.LOSSES if "crossentropy" in name for smoothing in (0.0, 0.3)],
)
def test_losses_and_their_gradients(isa: str, name: str, param: float) -> None:
    public = name.removesuffix("_probs")
    forward, backward = getattr(ops, public + "_forward"), getattr(ops, public + "_backward")
    keywords: dict[str, float] = {"delta": param} if name == "huber" else {}
    if "crossentropy" in name:
        keywords = {"from_logits": name == public, "label_smoothing": param}
    loss, gradient = equations.LOSSES[name]
    for rows, cols in [*((5, n) for n in SIZES), (33, 1), (2, 513), (2, 1030), (LARGE // 10, 10)]:
        t, p = targets_and_predictions(name, rows, cols)
        if name == "huber":  # exactly at the kink both sides are right, next to it they are apart by their bounds
            far = np.abs(np.abs(p.astype(np.float64) - t) - param) > 1e-5
            p = np.where(far, p, p + np.float32(0.1)).astype(np.float32)
        loss(t, p, param).assert_holds(forward(t, p, **keywords), (rows, cols))
        gradient(t, p, param).assert_holds(backward(t, p, **keywords), (rows, cols))


@pytest.mark.parametrize("from_logits", [True, False])
def test_sparse_crossentropy(isa: str, threads: int, from_logits: bool) -> None:
    name = "categorical_crossentropy" + ("" if from_logits else "_probs")
    loss, gradient = equations.LOSSES[name]
    for rows, cols in [*((5, n) for n in SIZES), (2, 1030), (LARGE // 10, 10)]:
        labels = np.random.default_rng(cols).integers(0, cols, rows)
        t, p = equations.one_hot(labels, cols), targets_and_predictions(name, rows, cols)[1]
        for dtype in (np.int32, np.uint8 if cols < 256 else np.int64):
            got = ops.sparse_categorical_crossentropy_forward(labels.astype(dtype), p, from_logits=from_logits)
            loss(t, p, 0.0).assert_holds(got, (rows, cols))
        got = ops.sparse_categorical_crossentropy_backward(labels, p, from_logits=from_logits)
        gradient(t, p, 0.0).assert_holds(got, (rows, cols))


def test_large_losses_at_any_number_of_threads(isa: str, threads: int) -> None:
    for name in ("mse", "binary_crossentropy", "categorical_crossentropy"):
        t, p = targets_and_predictions(name, LARGE // 10, 10)
        equations.LOSSES[name][0](t, p, 0.0).assert_holds(getattr(ops, name + "_forward")(t, p))
        equations.LOSSES[name][1](t, p, 0.0).assert_holds(getattr(ops, name + "_backward")(t, p))


# --- optimizers: three steps from a start, errors carried along -------------------------------------------------------


@pytest.mark.parametrize("n", [*SIZES, LARGE])
def test_adam(isa: str, n: int) -> None:
    rng = np.random.default_rng(n)
    for lr, beta_1, beta_2, epsilon in [(0.001, 0.9, 0.999, 1e-7), (0.05, 0.5, 0.9, 1e-3)]:
        w, m, v = floats(rng, n), np.zeros(n, np.float32), np.zeros(n, np.float32)
        state = Rounded(w), Rounded(m), Rounded(v)
        for step in (1, 2, 3):
            g = floats(rng, n)
            ops.adam_step(w, g, m, v, step=step, learning_rate=lr, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
            state = equations.adam(state[0], g, state[1], state[2], step, lr, beta_1, beta_2, epsilon)
            for got, want in zip((w, m, v), state, strict=True):
                want.assert_holds(got, step)


@pytest.mark.parametrize("n", [*SIZES, LARGE])
def test_rmsprop(isa: str, n: int) -> None:
    rng = np.random.default_rng(n)
    for lr, rho, epsilon in [(0.001, 0.9, 1e-7), (0.05, 0.5, 1e-3)]:
        w, v = floats(rng, n), np.zeros(n, np.float32)
        state = Rounded(w), Rounded(v)
        for step in (1, 2, 3):
            g = floats(rng, n)
            ops.rmsprop_step(w, g, v, learning_rate=lr, rho=rho, epsilon=epsilon)
            state = equations.rmsprop(state[0], g, state[1], lr, rho, epsilon)
            for got, want in zip((w, v), state, strict=True):
                want.assert_holds(got, step)


@pytest.mark.parametrize("n", [*SIZES, LARGE])
def test_sgd(isa: str, n: int) -> None:
    rng = np.random.default_rng(n)
    for lr, momentum, nesterov in [(0.01, 0.0, False), (0.1, 0.9, False), (0.1, 0.9, True)]:
        w, velocity = floats(rng, n), np.zeros(n, np.float32)
        state = Rounded(w), Rounded(velocity)
        for step in (1, 2, 3):
            g = floats(rng, n)
            slot = velocity if momentum else None
            ops.sgd_step(w, g, slot, learning_rate=lr, momentum=momentum, nesterov=nesterov)
            state = equations.sgd(state[0], g, state[1], lr, momentum, nesterov)
            for got, want in zip((w, velocity), state, strict=True):
                want.assert_holds(got, step)


def test_optimizers_by_hand() -> None:
    """w = 1, g = 0.5: numbers that can be followed on paper."""
    one, half, zero = np.ones(1, np.float32), np.full(1, 0.5, np.float32), np.zeros(1, np.float32)
    w = one.copy()
    ops.sgd_step(w, half, learning_rate=0.5)
    assert w[0] == 0.75
    w, velocity = one.copy(), zero.copy()
    for want in (0.75, 0.375, -0.0625):  # velocities -0.25, -0.375, -0.4375
        ops.sgd_step(w, half, velocity, learning_rate=0.5, momentum=0.5)
        assert w[0] == want
    w, velocity = one.copy(), zero.copy()
    ops.sgd_step(w, half, velocity, learning_rate=0.5, momentum=0.5, nesterov=True)
    assert (w[0], velocity[0]) == (0.625, -0.25)
    w, m, v = one.copy(), zero.copy(), zero.copy()
    ops.adam_step(w, half, m, v, step=1, learning_rate=0.25, epsilon=1e-30)  # the first step is the learning rate
    assert abs(w[0] - 0.75) <= 4 * U
    w, v = one.copy(), zero.copy()
    ops.rmsprop_step(w, half, v, learning_rate=0.25, rho=0.75, epsilon=1e-30)  # v = 1/16, step = 0.25 * 0.5 * 4
    assert (w[0], v[0]) == (0.5, 0.0625)


# --- sums and dense layers -------------------------------------------------------------------------------------------


def test_sums(isa: str, threads: int) -> None:
    rng = np.random.default_rng(4)
    for rows, cols in [(1, 1), (17, 3), (1023, 5), (1025, 33), (4100, 65), (3, 511), (3, 1537), (CHUNK + 1, 257)]:
        x = floats(rng, rows, cols)
        equations.column_sum(x).assert_holds(ops.column_sum(x), (rows, cols))
        equations.row_sum(x).assert_holds(ops.row_sum(x), (rows, cols))
        whole = rng.integers(-1000, 1000, (rows, cols)).astype(np.float32)
        np.testing.assert_array_equal(ops.column_sum(whole), whole.sum(axis=0, dtype=np.int64))
        np.testing.assert_array_equal(ops.row_sum(whole), whole.sum(axis=1, dtype=np.int64))


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (7, 33, 17), (40, 513, 31), (33, 1030, 1), (256, 300, 130)])
def test_dense_forward(isa: str, threads: int, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(m)
    x, w, b = floats(rng, m, k), floats(rng, k, n), floats(rng, n)
    size = np.abs(x).astype(np.float64) @ np.abs(w) + np.abs(b)
    z = Rounded(x.astype(np.float64) @ w + b, gamma(k + 1) * size + k * TINY)
    z.assert_holds(ops.dense_forward(x, w, b))
    for name, f in equations.ACTIVATIONS.items():
        want = z if name == "relu" else z.function(f)
        want = Rounded(f(z.value), want.error)
        want.assert_holds(ops.dense_forward(x, w, b, name), name)
    whole = [rng.integers(-8, 9, shape).astype(np.float32) for shape in [(m, k), (k, n), (n,)]]
    exact = (whole[0].astype(np.int64) @ whole[1].astype(np.int64)) + whole[2].astype(np.int64)
    np.testing.assert_array_equal(ops.dense_forward(*whole), exact)
    assert same_bits(ops.dense_forward(whole[0], whole[1], whole[2], "relu"), np.maximum(exact, 0).astype(np.float32))


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (7, 33, 17), (600, 40, 31), (33, 70, 1), (256, 300, 130)])
def test_dense_backward(isa: str, threads: int, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(m)
    x, w, dy = (rng.integers(-8, 9, shape).astype(np.float32) for shape in [(m, k), (k, n), (m, n)])
    y = rng.integers(-1, 2, (m, n)).astype(np.float32)
    dz = np.where(y > 0, dy, 0).astype(np.int64)
    dx, dw, db = ops.dense_backward(dy, x, w, y, "relu")
    np.testing.assert_array_equal(dx, dz @ w.T.astype(np.int64))
    np.testing.assert_array_equal(dw, x.T.astype(np.int64) @ dz)
    np.testing.assert_array_equal(db, dz.sum(axis=0))
