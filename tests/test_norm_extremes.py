"""Normalisation of huge, tiny, constant and far-off rows: the values of float64, or NaN; no wrong finite number."""

import numpy as np
import pytest

import lanewise as lw
import twin
import twin_layers as t
from bounds import FMA_ISAS, U, running
from lanewise.layers import BatchNormalization, Dense, LayerNormalization, RMSNormalization, UnitNormalization

WIDTHS = [2, 7, 16, 33, 530]
NORMS = {
    "layer": (lambda e: LayerNormalization(epsilon=e), lambda n, e: t.LayerNorm(np.ones(n), np.zeros(n), e)),
    "root mean square": (
        lambda e: RMSNormalization(epsilon=e),
        lambda n, e: t.LayerNorm(np.ones(n), np.zeros(n), e, center=False),
    ),
    "unit": (lambda e: UnitNormalization(), lambda n, e: t.UnitNorm()),
}


def rows(width, size, offset=0.0, count=6):
    x = np.random.default_rng(width).standard_normal((count, width)) + offset
    return (x * size).astype(np.float32)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("size", [1e15, 1e19, 1e20, 1e30, 5e37, 1e-10, 1e-19, 1e-30, 1e-38])
@pytest.mark.parametrize("epsilon", [0.0, 1e-38, 1e-20, 1e-3])
def test_rows_of_any_size(name, size, epsilon, isa):
    """A few roundings of a sum of up to 530 terms; at 1e-38 the numbers themselves are subnormal."""
    make, exact = NORMS[name]
    for width in WIDTHS:
        x = rows(width, size)
        got = np.asarray(make(epsilon)(x))
        want = exact(width, float(np.float32(epsilon))).forward(x.astype(np.float64))
        largest = np.abs(want).max(axis=1, keepdims=True)
        assert np.all(np.abs(got - want) <= 60 * U * largest + 2.0**-148), (width, size)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("size", [1e20, 1e30, 1e36, 1e-15, 1e-30])
def test_gradients_at_any_size(name, size, isa):
    """Of a kernel in front: the input's size times what is left of the gradient, its inverse."""
    if name == "unit" and size < 1e-12:
        pytest.skip("up to 1e-12 a row is not brought to length 1")
    make, exact = NORMS[name]
    lw.utils.set_random_seed(1)
    model = lw.Sequential([lw.Input((5,)), Dense(33), make(0.0), Dense(3)])
    model.compile("sgd", "mse")
    x, y = rows(5, size, count=20), rows(3, 1.0, count=20)
    w = model.get_weights()
    layers = [twin.Dense(w[0], w[1]), exact(33, 0.0), twin.Dense(w[-2], w[-1])]
    value, gradients = twin.value_and_grad(layers, "mse", x, y)
    got, own = model.value_and_grad(x, y)
    assert got == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(own[0], gradients[0], rtol=0, atol=2e-5 * np.abs(gradients[0]).max())
    np.testing.assert_allclose(own[1], gradients[1], rtol=0, atol=2e-5 * np.abs(gradients[1]).max() + 2.0**-130)


@pytest.mark.parametrize("value", [3.0, 1e6 + 3, -123457.0, 1.1e-3, 1e30, -3e38, 1e-30])
def test_a_constant_row_or_column_is_beta(value, isa):
    """Exactly: what is left of x - mean is 0, whatever the sum has rounded. (Keras on JAX gives -1 at 1000003.)"""
    for width in WIDTHS:
        x = np.full((37, width), value, np.float32)
        assert np.all(np.asarray(LayerNormalization()(x)) == 0)
        layer = BatchNormalization(momentum=0.0)
        if abs(value) < 1e30:  # beyond, the sum of the column overflows
            assert np.all(np.asarray(layer(x, training=True)) == 0)
            assert np.all(layer.moving_mean.numpy() == np.float32(value))
            assert np.all(layer.moving_variance.numpy() == 0)


@pytest.mark.parametrize("offset", [30.0, 1e3, 1e5])
def test_rows_and_columns_far_from_zero(offset, isa):
    """To rounding of the result: x - mean is nearly exact where they are close, and the mean counts no more than x."""
    for width in WIDTHS:
        x = rows(width, 1.0, offset, count=64)
        want = t.LayerNorm(np.ones(width), np.zeros(width)).forward(x.astype(np.float64))
        largest = np.abs(want).max(axis=1, keepdims=True)
        assert np.all(np.abs(np.asarray(LayerNormalization()(x)) - want) <= 60 * U * largest), (width, offset)
        want = t.BatchNorm(np.ones(width), np.zeros(width), 0, 1).forward(x.astype(np.float64), training=True)
        got = np.asarray(BatchNormalization()(x, training=True))
        assert np.all(np.abs(got - want) <= (60 + 2 * offset) * U * np.abs(want).max()), (width, offset)


def test_a_batch_norm_beyond_float32_says_so(isa):
    """Its variance is a weight, and 1e40 is no float32: NaN, where x * 0 would be a silent 0 (as in Keras)."""
    x = rows(33, 1e20, count=64)
    layer = BatchNormalization()
    assert np.isnan(np.asarray(layer(x, training=True))).all()
    assert np.isinf(layer.moving_variance.numpy()).all()
    assert np.isnan(np.asarray(layer(x))).all()
    x = rows(33, 1e18, count=64)
    want = t.BatchNorm(np.ones(33), np.zeros(33), 0, 1).forward(x.astype(np.float64), training=True)
    np.testing.assert_allclose(np.asarray(BatchNormalization()(x, training=True)), want, atol=1e-5)


@pytest.mark.parametrize("name", NORMS)
def test_what_is_not_finite_stays_so(name, isa):
    make, _ = NORMS[name]
    for bad in (np.nan, np.inf, -np.inf):
        x = rows(33, 1.0)
        x[2, 20] = bad
        got = np.asarray(make(1e-3)(x))
        assert np.isnan(got[2, 20])
        assert np.array_equal(np.delete(got, 2, axis=0), np.asarray(make(1e-3)(np.delete(x, 2, axis=0))))


@pytest.mark.skipif(len(FMA_ISAS) < 2, reason="this CPU has one ISA with FMA")
def test_same_bits_on_every_fma_isa_and_alone():
    results = set()
    for isa in FMA_ISAS:
        for threads in (1, 3):
            with running(isa, threads):
                parts = []
                for width in WIDTHS:
                    mixed = np.concatenate([rows(width, s, o) for s, o in [(1e30, 0), (1, 1e5), (1, 0), (1e-30, 9)]])
                    parts += [np.asarray(make(1e-20)(mixed)) for make, _ in NORMS.values()]
                    alone = np.asarray(LayerNormalization(epsilon=1e-20)(mixed[7:8]))
                    assert np.array_equal(alone[0], parts[-3][7])
                    columns = np.concatenate([rows(70, 1.0, o, 40) for o in (0.0, 1e5)], axis=1)
                    parts.append(np.asarray(BatchNormalization()(np.roll(columns, width, axis=1), training=True)))
                results.add(b"".join(part.tobytes() for part in parts))
    assert len(results) == 1
