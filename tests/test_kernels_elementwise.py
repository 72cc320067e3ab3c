"""Activations, losses, optimizers and sums on every ISA: ULPs, signs of zero, NaN, gradients, golden steps, orders."""

import numpy as np
import pytest

from bounds import FMA_ISAS, SIZES, floats, gamma, running, same_bits, ulps
from lanewise import ops

SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1e-39, -1e-39, 1e-20, 88.7, 88.8, -87.3, -87.4, -103.9, -104.1,
     3e38, -3e38, 0.5, -0.5, 0.6, -0.6, 9.0, -9.0, 1.0, -1.0],
    np.float32,
)  # fmt: skip


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


FUNCTIONS = {"relu": lambda x: np.where(x > 0, x, np.where(np.isnan(x), x, 0.0)), "sigmoid": sigmoid, "tanh": np.tanh}
SLOPES = {"relu": lambda y: (y > 0) * 1.0, "sigmoid": lambda y: y * (1 - y), "tanh": lambda y: 1 - y * y}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activation_forward(isa, name):
    rng = np.random.default_rng(0)
    forward = getattr(ops, name + "_forward")
    with np.errstate(all="ignore"):
        for x in [SPECIAL, *(floats(rng, n) * 5 for n in SIZES), floats(rng, 3, 5, 7) * 40, np.zeros(0, np.float32)]:
            assert ulps(forward(x), FUNCTIONS[name](x.astype(np.float64))) <= 2
        # every position of a vector treats special values alike
        for shift in range(20):
            x = np.full(40, 0.25, np.float32)
            x[shift : shift + len(SPECIAL[:20])] = SPECIAL[:20]
            assert same_bits(forward(x)[shift : shift + 20], forward(SPECIAL[:20]))


def test_signs_of_zero(isa):
    zeros = np.array([0.0, -0.0], np.float32)
    assert not np.signbit(ops.relu_forward(zeros)).any()
    assert not np.signbit(ops.relu_forward(np.array([-1.0, -1e-45], np.float32))).any()
    np.testing.assert_array_equal(np.signbit(ops.tanh_forward(zeros)), [False, True])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activation_backward(isa, name):
    rng = np.random.default_rng(1)
    for n in SIZES:
        dy, y = floats(rng, n), getattr(ops, name + "_forward")(floats(rng, n) * 3)
        got = getattr(ops, name + "_backward")(dy, y)
        want = dy.astype(np.float64) * SLOPES[name](y.astype(np.float64))
        assert np.all(np.abs(got - want) <= gamma(3) * (np.abs(want) + np.abs(dy)))


def test_in_place_is_allowed(isa):
    x = floats(np.random.default_rng(2), 33)
    want = ops.tanh_forward(x)
    assert ops.tanh_forward(x, out=x) is x
    assert same_bits(x, want)


def test_softmax(isa):
    rng = np.random.default_rng(3)
    for cols in [*SIZES, 513, 1025]:
        x, dy = floats(rng, 4, cols) * 8, floats(rng, 4, cols)
        e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
        want = e / e.sum(axis=1, keepdims=True)
        y = ops.softmax_forward(x)
        # x - max is rounded before exp: an error of u * |x - max| in the exponent
        assert np.all(
            np.abs(y - want) <= want * (gamma(cols / 16 + 12) + 2.0**-24 * (x.max(1, keepdims=True) - x)) + 1e-44
        )
        y64, dy64 = y.astype(np.float64), dy.astype(np.float64)
        slope = y64 * (dy64 - (dy64 * y64).sum(axis=1, keepdims=True))
        room = y64 * (np.abs(dy64) + (np.abs(dy64) * y64).sum(axis=1, keepdims=True)) * gamma(cols / 16 + 8)
        assert np.all(np.abs(ops.softmax_backward(dy, y) - slope) <= room + 1e-44)
    x = np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]], np.float32)
    np.testing.assert_array_equal(np.isnan(ops.softmax_forward(x)), [[True] * 3, [False] * 3])


# --- losses: values against float64, gradients against central differences ----


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def binary(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1)


LOSSES = {
    "mse": lambda y, p: ((p - y) ** 2).mean(axis=1),
    "mae": lambda y, p: np.abs(p - y).mean(axis=1),
    "huber": lambda y, p: np.where(np.abs(p - y) <= 1, (p - y) ** 2 / 2, np.abs(p - y) - 0.5).mean(axis=1),
    "binary_crossentropy": lambda y, p: binary(y, 1 / (1 + np.exp(-p))),
    "categorical_crossentropy": lambda y, p: -(y * log_softmax(p)).sum(axis=1),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("cols", [1, 2, 10, 17, 40])
def test_losses(isa, name, cols):
    rng = np.random.default_rng(cols)
    y, p = rng.random((6, cols)).astype(np.float32), floats(rng, 6, cols) * 2
    y64, p64 = y.astype(np.float64), p.astype(np.float64)
    loss = LOSSES[name]
    np.testing.assert_allclose(getattr(ops, name + "_forward")(y, p), loss(y64, p64), rtol=gamma(cols + 20), atol=2e-6)
    gradient = getattr(ops, name + "_backward")(y, p)
    for c in range(min(cols, 12)):
        step = np.zeros_like(p64)
        step[:, c] = 1e-6
        slope = (loss(y64, p64 + step) - loss(y64, p64 - step)) / 2e-6 / len(p)
        np.testing.assert_allclose(gradient[:, c], slope, rtol=1e-5, atol=2e-8 * cols)


def test_label_smoothing_and_probabilities(isa):
    rng = np.random.default_rng(8)
    y = np.eye(5, dtype=np.float32)[rng.integers(0, 5, 7)]
    p = rng.random((7, 5)).astype(np.float32) * 0.9 + 0.05
    y64, p64 = y.astype(np.float64), p.astype(np.float64)
    smooth = y64 * 0.8 + 0.2 / 5
    got = ops.categorical_crossentropy_forward(y, p, label_smoothing=0.2)
    np.testing.assert_allclose(got, -(smooth * log_softmax(p64)).sum(1), rtol=1e-5)
    q = p64 / p64.sum(axis=1, keepdims=True)
    got = ops.categorical_crossentropy_forward(y, p, from_logits=False)
    np.testing.assert_allclose(got, -(y64 * np.log(q)).sum(1), rtol=1e-5)
    got = ops.binary_crossentropy_forward(y, p, from_logits=False, label_smoothing=0.2)
    np.testing.assert_allclose(got, binary(y64 * 0.8 + 0.1, p64), rtol=1e-5)
    # certain and wrong: clipped at 1e-7, finite, no gradient
    sure, truth = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(ops.binary_crossentropy_forward(truth, sure, from_logits=False), 16.1, rtol=0.02)
    assert not ops.binary_crossentropy_backward(truth, sure, from_logits=False).any()


@pytest.mark.parametrize("from_logits", [True, False])
def test_sparse_equals_one_hot(isa, from_logits):
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 11, 40)
    p = rng.random((40, 11)).astype(np.float32) + 0.1
    one_hot = np.eye(11, dtype=np.float32)[labels]
    for kind in ("forward", "backward"):
        sparse = getattr(ops, "sparse_categorical_crossentropy_" + kind)(labels, p, from_logits=from_logits)
        dense = getattr(ops, "categorical_crossentropy_" + kind)(one_hot, p, from_logits=from_logits)
        np.testing.assert_allclose(sparse, dense, rtol=2e-6, atol=1e-8)


# --- optimizers: golden steps ----


def test_three_golden_steps_of_each(isa):
    rng = np.random.default_rng(10)
    for n in SIZES:
        start, grads = floats(rng, n), [floats(rng, n) for _ in range(3)]
        w, m, v = start.copy(), np.zeros(n, np.float32), np.zeros(n, np.float32)
        w64, m64, v64 = start.astype(np.float64), np.zeros(n), np.zeros(n)
        for t, g in enumerate(grads, 1):
            ops.adam_step(w, g, m, v, step=t)
            m64 = 0.9 * m64 + 0.1 * g
            v64 = 0.999 * v64 + 0.001 * np.square(g, dtype=np.float64)
            w64 -= 1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m64 / (np.sqrt(v64) + 1e-7)
            np.testing.assert_allclose(w, w64, rtol=4e-7, atol=4e-7)
        w, v = start.copy(), np.zeros(n, np.float32)
        w64, v64 = start.astype(np.float64), np.zeros(n)
        for g in grads:
            ops.rmsprop_step(w, g, v)
            v64 = 0.9 * v64 + 0.1 * np.square(g, dtype=np.float64)
            w64 -= 1e-3 * g / np.sqrt(v64 + 1e-7)
            np.testing.assert_allclose(w, w64, rtol=4e-7, atol=4e-7)
        for momentum, nesterov in [(0.0, False), (0.9, False), (0.9, True)]:
            w, velocity = start.copy(), np.zeros(n, np.float32)
            w64, v64 = start.astype(np.float64), np.zeros(n)
            for g in grads:
                ops.sgd_step(w, g, velocity, learning_rate=0.1, momentum=momentum, nesterov=nesterov)
                v64 = momentum * v64 - 0.1 * g
                w64 += momentum * v64 - 0.1 * g if nesterov else v64
                np.testing.assert_allclose(w, w64, rtol=4e-7, atol=4e-7)


def test_subnormal_moments_become_zero(isa):
    w, g = np.ones(20, np.float32), np.zeros(20, np.float32)
    m, v = np.full(20, 1e-39, np.float32), np.full(20, 1e-39, np.float32)
    ops.adam_step(w, g, m, v, step=5)
    assert not m.any()
    assert not v.any()


# --- sums: bounds and orders ----


def chains(x, chunk):
    """Sum down axis 0 by the rule, in float32: chunks, 16 chains in each, the tree 8-4-2-1, chunks in order."""
    total = None
    for start in range(0, len(x), chunk):
        part = x[start : start + chunk]
        lanes = np.zeros((16, *x.shape[1:]), np.float32)
        for r in range(len(part)):
            lanes[r % 16] = lanes[r % 16] + part[r]
        for half in (8, 4, 2, 1):
            lanes = lanes[:half] + lanes[half : 2 * half]
        total = lanes[0] if total is None else total + lanes[0]
    return np.zeros(x.shape[1:], np.float32) if total is None else total


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_sums_follow_their_order(isa, threads):
    rng = np.random.default_rng(11)
    with running(threads=threads):
        shapes = [(1, 1), (16, 1), (33, 5), (1024, 17), (1025, 1), (2100, 33), (5, 513), (40, 1100), (0, 3)]
        shapes += [(2100, 70), (130, 100), (79, 2055), (13, 800)]  # wide: sums of a strip of columns side by side
        for rows, cols in shapes:
            x = floats(rng, rows, cols)
            assert same_bits(ops.column_sum(x), chains(x, 1024))
            assert same_bits(ops.row_sum(x), chains(np.ascontiguousarray(x.T), 512))
            exact, mass = x.sum(axis=0, dtype=np.float64), np.abs(x).sum(axis=0, dtype=np.float64)
            assert np.all(np.abs(ops.column_sum(x) - exact) <= gamma(rows / 16 + 6) * mass)


# --- dense ----


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh", "softmax"])
def test_dense_is_the_composition_of_its_parts(isa, activation):
    rng = np.random.default_rng(12)
    for m, k, n in [(1, 5, 1), (7, 33, 40), (65, 600, 10), (3, 4, 1), (40, 70, 130)]:
        x, w, b, dy = floats(rng, m, k), floats(rng, k, n), floats(rng, n), floats(rng, m, n)
        z = ops.matmul(x, w) + b
        y = ops.dense_forward(x, w, b, activation)
        assert same_bits(y, z if activation == "linear" else getattr(ops, activation + "_forward")(z))
        dz = dy if activation == "linear" else getattr(ops, activation + "_backward")(dy, y)
        dx, dw, db = ops.dense_backward(dy, x, w, y, activation)
        assert same_bits(dx, ops.matmul(dz, w.T))
        assert same_bits(dw, ops.matmul(x.T, dz))
        assert same_bits(db, ops.column_sum(dz))


@pytest.mark.skipif(len(FMA_ISAS) < 2, reason="this CPU has one ISA with FMA")
def test_same_bits_on_every_fma_isa():
    rng = np.random.default_rng(13)
    x, dy, labels = floats(rng, 70, 45) * 4, floats(rng, 70, 45), rng.integers(0, 45, 70)
    results = []
    for name in FMA_ISAS:
        with running(name):
            out = [ops.softmax_forward(x), ops.sparse_categorical_crossentropy_backward(labels, x), ops.column_sum(x)]
            out += [getattr(ops, f + "_forward")(x) for f in FUNCTIONS]
            out += [getattr(ops, f + "_backward")(dy, x) for f in FUNCTIONS]
            out += [getattr(ops, f + "_forward")(np.abs(dy), x) for f in LOSSES]
            results.append(b"".join(a.tobytes() for a in out))
    assert len(set(results)) == 1
