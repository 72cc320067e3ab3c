"""matmul on every ISA and at 1, 2 and 7 threads: derived bounds, exact integers, order of sums, strides, outputs."""

import itertools

import numpy as np
import pytest

from bounds import ALIKE, FMA_ISAS, ISAS, floats, gamma, running, same_bits, unaligned
from lanewise import ops

EDGES = [1, 2, 3, 5, 6, 7, 8, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33]
SHAPES = [
    (32, 1000, 128), (1000, 32, 128), (64, 64, 64), (7, 513, 5), (3, 1025, 65), (200, 100, 300), (1, 300, 300),
    (1, 1000, 128), (1, 513, 256),
    # by their ways on Intel's cores: short sums by a copy of B, few rows of a B copied or not, a tall A in strips,
    # columns that do not fill a vector
    (65, 24, 300), (131, 33, 130), (26, 520, 2048), (12, 1030, 4096), (1301, 513, 70), (525, 1001, 24), (300, 401, 19),
]  # fmt: skip


def within(c, a, b):
    """abs(C^ - C) <= gamma_k (|A||B|) + k 2^-149, elementwise."""
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    k = a.shape[1]
    bound = gamma(k) * (np.abs(a64) @ np.abs(b64)) + k * 2.0**-149
    return bool(np.all(np.abs(c - a64 @ b64) <= bound))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_within_the_derived_bound(isa, threads):
    rng = np.random.default_rng(0)
    with running(isa, threads):
        for m, k, n in SHAPES:
            a, b = floats(rng, m, k), floats(rng, k, n)
            assert within(ops.matmul(a, b), a, b), (m, k, n)


@pytest.mark.parametrize("isa", ISAS)
def test_integers_are_exact(isa):
    rng = np.random.default_rng(1)
    with running(isa, 1):
        for m, k, n in [*itertools.product(EDGES, [1, 4, 16, 33], EDGES), (9, 511, 40), (9, 512, 33), (9, 513, 1)]:
            a = rng.integers(-8, 9, (m, k)).astype(np.float32)
            b = rng.integers(-8, 9, (k, n)).astype(np.float32)
            np.testing.assert_array_equal(ops.matmul(a, b), (a.astype(np.int64) @ b.astype(np.int64)), str((m, k, n)))


@pytest.mark.long
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_integers_are_exact_for_every_size_up_to_33(isa, threads):
    rng = np.random.default_rng(2)
    with running(isa, threads):
        for m, k, n in itertools.product(range(1, 34), repeat=3):
            a = rng.integers(-8, 9, (m, k)).astype(np.float32)
            b = rng.integers(-8, 9, (k, n)).astype(np.float32)
            want = a.astype(np.int64) @ b.astype(np.int64)
            np.testing.assert_array_equal(ops.matmul(a, b), want)
            np.testing.assert_array_equal(ops.matmul(np.asfortranarray(a), np.asfortranarray(b)), want)


def fma(a, b, c):
    """a*b + c rounded once to float32: exact product in float64, error-free addition, rounded to odd."""
    p = a.astype(np.float64) * b.astype(np.float64)
    c = c.astype(np.float64)
    s = p + c
    t = s - p
    error = (p - (s - t)) + (c - t)
    # Round to odd in float64, so that the second rounding to float32 cannot go wrong.
    bits = s.view(np.int64)
    odd = (error != 0) & (bits & 1 == 0)
    bits = np.where(odd, np.where((error > 0) == (s > 0), bits + 1, bits - 1), bits)
    return bits.view(np.float64).astype(np.float32)


def in_order(a, b):
    """The product by the rule: blocks of 512 along k, one ascending fma chain in each (n == 1: 16 lanes and a tree)."""
    m, k = a.shape
    n = b.shape[1]
    total = np.zeros((m, n), np.float32)
    for start in range(0, k, 512):
        stop = min(k, start + 512)
        if n > 1:
            block = np.zeros((m, n), np.float32)
            for p in range(start, stop):
                block = fma(np.broadcast_to(a[:, p, None], (m, n)), np.broadcast_to(b[p], (m, n)), block)
        else:
            lanes = np.zeros((m, 16), np.float32)
            for p in range(start, stop):
                lane = (p - start) % 16
                lanes[:, lane] = fma(a[:, p], np.broadcast_to(b[p], (m,)), lanes[:, lane])
            for half in (8, 4, 2, 1):
                lanes = lanes[:, :half] + lanes[:, half : 2 * half]
            block = lanes
        total = block if start == 0 else total + block
    return total


@pytest.mark.parametrize("isa", FMA_ISAS)
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        *[(5, 40, 9), (3, 520, 33), (17, 1030, 2), (6, 40, 1), (20, 1100, 1), (18, 4700, 1)],
        *[(50, 600, 3), (40, 5, 70), (40, 16, 70), (4, 530, 70), (180, 70, 800)],  # few columns, terms, rows; strips
        *[(4, 15, 1), (90, 530, 7), (7, 530, 70)],  # up to eight columns or rows
        *[(50, 600, 33), (70, 20, 132), (40, 530, 17)],  # a few columns more than vectors hold
    ],
)
def test_the_order_of_sums(isa, m, k, n):
    rng = np.random.default_rng(k)
    a, b = floats(rng, m, k), floats(rng, k, n)
    want = in_order(a, b)
    for threads in (1, 2, 7):
        with running(isa, threads):
            assert same_bits(ops.matmul(a, b), want)
            assert same_bits(ops.matmul(np.asfortranarray(a), np.asfortranarray(b)), want)
            assert same_bits(ops.matmul(a, np.asfortranarray(b)), want)


@pytest.mark.parametrize("n", [1, 5, 33, 300])
def test_a_row_does_not_depend_on_the_others(n):
    rng = np.random.default_rng(3)
    a, b = floats(rng, 150, 700), floats(rng, 700, n)
    whole = ops.matmul(a, b)
    for i in (0, 1, 77, 149):
        assert same_bits(ops.matmul(a[i : i + 1], b), whole[i : i + 1])
    assert same_bits(ops.matmul(a[40:90], b), whole[40:90])


def beginning(array, floats_past, width):
    """A copy that begins this many floats after a cache line, in rows of `width` floats; the rest is NaN."""
    rows, columns = array.shape
    whole = np.full(rows * width + 32, np.nan, np.float32)
    first = -(whole.ctypes.data // 4) % 16 + floats_past
    copy = whole[first : first + rows * width].reshape(rows, width)[:, :columns]
    copy[:] = array
    return copy, whole


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(2, 512, 512), (4, 270, 1600), (300, 9, 1010), (260, 24, 1024), (270, 64, 1000), (16, 1030, 4200)],
)
def test_where_arrays_begin_in_their_cache_lines_does_not_matter(m, k, n, isa):
    """Columns before a line go by themselves; (16, 1030, 4200) has a B that comes from memory, read ahead."""
    rng = np.random.default_rng(5)
    a, b = floats(rng, m, k), floats(rng, k, n)
    with running(isa, 1):
        want = np.vstack([ops.matmul(a[i : i + 20], np.asfortranarray(b)) for i in range(0, m, 20)])
    for threads, past, width in [
        (1, 0, n),
        (1, 4, n),
        (2, 4, n),
        (3, 15, n + 16),
        (2, 2, n + 24),
        (1, 1, n),
        (2, 4, n + 5),
    ]:
        other, _ = beginning(b, past, width)
        c, whole = beginning(np.zeros((m, n), np.float32), past, width)
        with running(isa, threads):
            assert same_bits(ops.matmul(a, other, out=c), want), (threads, past, width)
        assert np.isnan(whole).sum() == whole.size - m * n, (threads, past, width)  # nothing else was written


@pytest.mark.parametrize("isa", ISAS)
def test_any_strides(isa):
    rng = np.random.default_rng(4)
    base_a, base_b = floats(rng, 60, 90), floats(rng, 90, 80)
    views = {
        "plain": lambda x: x,
        "transposed": lambda x: np.asfortranarray(x),
        "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
        "every third column": lambda x: np.repeat(x, 3, axis=1)[:, ::3],
        "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
        "part of a wider one": lambda x: np.pad(x, ((1, 2), (3, 4)), constant_values=np.nan)[1:-2, 3:-4],
        "unaligned": unaligned,
    }
    with running(isa, 2):
        want = ops.matmul(base_a, base_b)
        for (name_a, fa), (name_b, fb) in itertools.product(views.items(), views.items()):
            assert same_bits(ops.matmul(fa(base_a), fb(base_b)), want), (name_a, name_b)
        row = np.broadcast_to(base_a[0], (60, 90))
        assert same_bits(ops.matmul(row, base_b), np.repeat(ops.matmul(base_a[:1], base_b), 60, axis=0))


@pytest.mark.parametrize("isa", ISAS)
def test_out_is_overwritten_and_nothing_else(isa):
    rng = np.random.default_rng(5)
    with running(isa, 2):
        for m, k, n in [(5, 9, 17), (33, 600, 40), (6, 20, 1), (1, 3, 100), (40, 100, 19), (70, 100, 7)]:
            a, b = floats(rng, m, k), floats(rng, k, n)
            wide = np.full((m + 2, n + 5), np.nan, np.float32)
            got = ops.matmul(a, b, out=wide[1:-1, 2 : 2 + n])
            assert got.base is wide or np.shares_memory(got, wide)
            assert same_bits(got, ops.matmul(a, b))
            wide[1:-1, 2 : 2 + n] = np.nan
            assert np.isnan(wide).all()


def test_empty():
    for m, k, n in itertools.product([0, 3], repeat=3):
        got = ops.matmul(np.ones((m, k), np.float32), np.ones((k, n), np.float32))
        np.testing.assert_array_equal(got, np.full((m, n), k, np.float32))


@pytest.mark.parametrize("isa", ISAS)
def test_nan_and_infinity_stand_where_they_must(isa):
    rng = np.random.default_rng(6)
    a, b = floats(rng, 20, 50), floats(rng, 50, 40)
    a[3, 7], b[11, 5], a[9, 2] = np.nan, np.nan, np.inf
    with running(isa), np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(np.isnan(ops.matmul(a, b)), np.isnan(a.astype(np.float64) @ b))
        assert np.isinf(ops.matmul(a, b)[9]).sum() >= 30


def test_subnormal_products_keep_their_digits():
    a, b = np.full((4, 3), 1e-30, np.float32), np.full((3, 20), 1e-10, np.float32)
    for isa in ISAS:
        with running(isa):
            np.testing.assert_allclose(ops.matmul(a, b), 3e-40, atol=4 * 2.0**-149, rtol=0)


def test_same_bits_on_every_fma_isa_and_thread_count():
    rng = np.random.default_rng(7)
    for m, k, n in SHAPES:
        a, b = floats(rng, m, k), floats(rng, k, n)
        results = []
        for isa, threads in itertools.product(ALIKE, [1, 2, 3, 7]):
            with running(isa, threads):
                results.append(ops.matmul(a, b).tobytes())
        assert len(set(results)) == 1, (m, k, n)


@pytest.mark.parametrize("form", ["", "a", "b", "ab"])
def test_threads_that_take_from_each_other_s_shares_change_no_bit(form):
    """Products large enough for tails (cpp/engine/tails.h), by rows and by panels, on more threads than there are
    cores, so that some come late."""
    rng = np.random.default_rng(8)
    for m, k, n in [(300, 300, 300), (90, 700, 1600), (1000, 128, 517), (700, 600, 333)]:
        a = floats(rng, k, m).T if "a" in form else floats(rng, m, k)
        b = floats(rng, n, k).T if "b" in form else floats(rng, k, n)
        with running(ALIKE[0], 1):
            alone = ops.matmul(a, b)
        for isa, threads, _ in itertools.product(ALIKE, [2, 3, 7], range(3)):
            with running(isa, threads):
                np.testing.assert_array_equal(ops.matmul(a, b).view(np.int32), alone.view(np.int32))
