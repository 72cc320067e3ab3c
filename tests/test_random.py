"""Random words, distributions, permutations, dropout, initial weights: known answers, moments, order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lanewise as lw
from bounds import floats, running
from lanewise import _core, keras, ops
from reference import dropout_mask, philox, random_words, same_bits

# --- Philox ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers_of_the_reference(counter: list[int], key: list[int], words: list[int]) -> None:
    """The vectors that the authors publish with their code (Random123, kat_vectors, philox4x32 10)."""
    assert philox(counter, key).tolist() == words


def uniform(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Two words, high and low, make 53 bits."""
    high, low = words[::2].astype(np.uint64), words[1::2].astype(np.uint64)
    return (high << np.uint64(21) | low >> np.uint64(11)).astype(np.float64) / 2.0**53


@pytest.mark.parametrize(
    ("seed", "stream", "step", "node"),
    [(0, 0, 0, 0), (1, 2, 3, 4), (2**64 - 1, 32767, 2**63, 65535), (0xA409382229 << 24, 1, 2**32 + 5, 7)],
)
def test_the_core_makes_the_words_of_the_reference(seed: int, stream: int, step: int, node: int) -> None:
    for n in (0, 1, 2, 3, 4, 5, 1000, 1001):
        got = ops.random_uniform(seed, stream, step, node, n)
        want = uniform(random_words(seed, stream, step, node, 2 * n + 2))[:n]
        np.testing.assert_array_equal(got, want)


def test_keys_do_not_share_words() -> None:
    keys = [
        (seed, stream, step, node)
        for seed in (1, 2, 2**32)
        for stream in (0, 1, 2)
        for step in (0, 1, 2**32)
        for node in (0, 1)
    ]
    streams = {key: ops.random_uniform(*key, 50) for key in keys}
    assert len({value for stream in streams.values() for value in stream}) == 50 * len(keys)


# --- distributions ---------------------------------------------------------------------------------------------------

N = 200_000


def test_uniform_moments() -> None:
    u = ops.random_uniform(1, 0, 0, 0, N)
    assert u.min() >= 0
    assert u.max() < 1
    for power in (1, 2, 3, 4):  # the mean of u**p is 1/(p+1); 5 standard errors
        error = math.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / N)
        assert abs((u**power).mean() - 1 / (power + 1)) < 5 * error
    counts = np.histogram(u, 100, (0, 1))[0]
    assert (
        (counts - N / 100) ** 2 / (N / 100)
    ).sum() < 160  # chi squared, 99 degrees of freedom: mean 99, deviation 14
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 5 / math.sqrt(N)


def test_normal_moments() -> None:
    z = ops.random_normal(1, 0, 0, 0, N)
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((z**power).mean() - moment) < 5 * math.sqrt(variance / N)
    edges = np.linspace(-3, 3, 25)
    share = np.diff([0.5 * math.erfc(-e / math.sqrt(2)) for e in edges])
    counts = np.histogram(z, edges)[0]
    assert np.all(np.abs(counts - N * share) < 5 * np.sqrt(N * share))


def test_normal_is_the_inverse_of_the_distribution_function() -> None:
    u, z = ops.random_uniform(9, 8, 7, 6, 20_000), ops.random_normal(9, 8, 7, 6, 20_000)
    back = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
    np.testing.assert_allclose(back, u, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("lower", "upper"), [(-2.0, 2.0), (0.0, math.inf), (-math.inf, -1.0), (1.5, 2.0)])
def test_truncated_normal(lower: float, upper: float) -> None:
    free, cut = ops.random_normal(3, 0, 0, 0, 50_000), ops.random_normal(3, 0, 0, 0, 50_000, lower, upper)
    assert cut.min() >= lower
    assert cut.max() <= upper
    inside = (free >= lower) & (free <= upper)
    np.testing.assert_array_equal(cut[inside], free[inside])  # the others are drawn again, each from its own words
    ends = [0.5 * math.erfc(-e / math.sqrt(2)) for e in (lower, upper)]
    density = [math.exp(-e * e / 2) / math.sqrt(2 * math.pi) for e in (lower, upper)]
    mean = (density[0] - density[1]) / (ends[1] - ends[0])
    assert abs(cut.mean() - mean) < 5 * cut.std() / math.sqrt(len(cut))
    redrawn = cut[~inside]
    assert abs(redrawn.mean() - mean) < 6 * cut.std() / math.sqrt(len(redrawn))
    assert len(np.unique(cut)) == len(cut)


def test_a_prefix_does_not_depend_on_the_length() -> None:
    for draw in (ops.random_uniform, ops.random_normal, lambda *key: ops.random_normal(*key, -0.1, 0.1)):
        long = draw(5, 4, 3, 2, 1001)
        for n in (1, 2, 7, 500):
            np.testing.assert_array_equal(draw(5, 4, 3, 2, n), long[:n])


# --- permutations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 31, 1000, 65_537])
def test_a_permutation_has_every_row_once(n: int) -> None:
    p = ops.permutation(1, 2, n)
    assert p.dtype == np.uint32
    np.testing.assert_array_equal(np.sort(p), np.arange(n))
    np.testing.assert_array_equal(p, ops.permutation(1, 2, n))
    if n > 30:
        for other in (ops.permutation(1, 3, n), ops.permutation(2, 2, n)):
            assert np.mean(other == p) < 20 / n  # as rare as for two shuffles of their own


def test_every_permutation_is_as_frequent() -> None:
    draws = 12_000
    counts: dict[tuple[int, ...], int] = {}
    for step in range(draws):
        order = tuple(ops.permutation(7, step, 4).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    expected = draws / 24
    assert sum((c - expected) ** 2 / expected for c in counts.values()) < 60  # 23 degrees of freedom: 23 +- 6.8


def test_every_row_is_as_often_in_every_place() -> None:
    n, draws = 10, 4000
    places = np.zeros((n, n))
    for step in range(draws):
        places[np.arange(n), ops.permutation(8, step, n)] += 1
    expected = draws / n
    assert ((places - expected) ** 2 / expected).sum() < 150  # 81 degrees of freedom: 81 +- 12.7


# --- dropout ---------------------------------------------------------------------------------------------------------


def dropped(
    rate: float, rows: int, columns: int, seed: int, step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """(x, what dropout makes of it in training, the node that keys its words)."""
    graph = _core.Graph()
    node = graph.add("dropout", [graph.input([columns])], rate=rate)
    x = floats(np.random.default_rng(rows), rows, columns)
    return x, _core.Network(graph, [node]).call([x], True, seed, step)[0], node


@pytest.mark.parametrize("columns", [1, 3, 4, 7, 16, 33, 64, 65, 257])
def test_dropout_drops_what_its_words_say(isa: str, columns: int) -> None:
    for rate, seed, step in [(0.5, 1, 0), (0.1, 2**40 + 3, 2**33), (0.9, 5, 12)]:
        x, y, node = dropped(rate, 13, columns, seed, step)
        mask = dropout_mask(seed, step, node, x.shape, rate).astype(np.float32)
        assert same_bits(y, np.where(mask > 0, x * mask, np.float32(0)))


@pytest.mark.parametrize("threads", [1, 3])
def test_dropping_all_leaves_zeros(isa: str, threads: int) -> None:
    """As Keras 3.15 does, also of numbers that are none: +0, no gradient, and the input as it is in inference."""
    x = np.float32([[-1, 0, 2, np.nan], [np.inf, -np.inf, -0.0, 1]])
    layer = keras.layers.Dropout(1.0)
    assert same_bits(layer(x, training=True), np.zeros_like(x)) and same_bits(layer(x), x)
    assert keras.layers.Dropout.from_config(layer.get_config()).rate == 1
    x = np.arange(-6, 6, dtype=np.float32).reshape(3, 4)
    y = x[:, :1]
    model = lw.Sequential([lw.Input((4,)), keras.layers.Dense(70), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with running(threads=threads):
        history = model.fit(x, y, epochs=2, verbose=0)
    after = model.get_weights()
    assert all(same_bits(a, b) for a, b in zip(after[:3], before[:3], strict=True))
    # loss and bias of Keras 3.15 on JAX and on PyTorch, which no other weight enters into
    np.testing.assert_allclose(history.history["loss"], [14.666666984558105, 14.50826644897461], rtol=2e-7)
    np.testing.assert_allclose(after[3], [-0.0792], rtol=1e-6)
    want = (x.astype(np.float64) @ after[0] + after[1]) @ after[2] + after[3]
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-4, atol=1e-5)
    loss, gradients = model.value_and_grad(x, y)
    assert loss > 0 and [np.abs(g).max() > 0 for g in gradients] == [False, False, False, True]


def test_share_and_independence_of_what_is_dropped() -> None:
    for rate in (0.1, 0.5, 0.8):
        x, y, _ = dropped(rate, 400, 250, 3, 4)
        zero = y == 0
        n = zero.size
        assert abs(zero.mean() - rate) < 5 * math.sqrt(rate * (1 - rate) / n)
        np.testing.assert_allclose(y[~zero], x[~zero] / np.float32(1 - rate), rtol=3e-7)
        assert np.abs(zero.mean(axis=0) - rate).max() < 6 * math.sqrt(rate * (1 - rate) / 400)
        assert abs(np.corrcoef(zero[:, :-1].ravel(), zero[:, 1:].ravel())[0, 1]) < 5 / math.sqrt(n)
        again = dropped(rate, 400, 250, 3, 5)[1] == 0  # another step: another choice
        assert abs(np.corrcoef(zero.ravel(), again.ravel())[0, 1]) < 5 / math.sqrt(n)


def test_dropout_is_off_outside_training() -> None:
    model = lw.Sequential([keras.layers.Dropout(0.7, input_shape=(9,))])
    x = floats(np.random.default_rng(0), 20, 9)
    assert same_bits(model.predict(x, verbose=0), x)
    assert same_bits(model(x), x)
    on = [model(x, training=True) for _ in range(2)]
    assert (on[0] == 0).any()
    assert not same_bits(on[0], on[1])  # each call draws anew


# --- initial weights -------------------------------------------------------------------------------------------------

SCALED: dict[str, tuple[str, float]] = {  # what the deviation or limit is for a kernel (300, 500)
    "glorot_uniform": ("uniform", math.sqrt(6 / 800)),
    "he_uniform": ("uniform", math.sqrt(6 / 300)),
    "lecun_uniform": ("uniform", math.sqrt(3 / 300)),
    "glorot_normal": ("normal", math.sqrt(2 / 800)),
    "he_normal": ("normal", math.sqrt(2 / 300)),
    "lecun_normal": ("normal", math.sqrt(1 / 300)),
}


@pytest.mark.parametrize("name", SCALED)
def test_scaled_initializers(name: str) -> None:
    kind, scale = SCALED[name]
    keras.utils.set_random_seed(1)
    w = keras.initializers.get(name)((300, 500)).astype(np.float64)
    deviation = scale / math.sqrt(3) if kind == "uniform" else scale
    limit = scale if kind == "uniform" else 2 * scale / 0.87962566103423978
    assert abs(w.mean()) < 5 * deviation / math.sqrt(w.size)
    assert w.std() == pytest.approx(deviation, rel=0.01)
    assert 0.999 * limit < np.abs(w).max() <= limit * (1 + 1e-7)


@pytest.mark.parametrize(("name", "mean", "deviation"), [
    ("random_uniform", 0.0, 0.05 / math.sqrt(3)), ("random_normal", 0.0, 0.05),
    ("truncated_normal", 0.0, 0.05 * 0.8796),
    ("zeros", 0.0, 0.0), ("ones", 1.0, 0.0), ("constant", 0.0, 0.0),
])  # fmt: skip
def test_plain_initializers(name: str, mean: float, deviation: float) -> None:
    keras.utils.set_random_seed(1)
    w = keras.initializers.get(name)((300, 500)).astype(np.float64)
    assert w.mean() == pytest.approx(mean, abs=5 * deviation / math.sqrt(w.size))
    assert w.std() == pytest.approx(deviation, rel=0.01)


@pytest.mark.parametrize("shape", [(40, 40), (60, 25), (25, 60)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    q = keras.initializers.Orthogonal(gain=2.0, seed=3)(shape).astype(np.float64) / 2
    square = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(square, np.eye(min(shape)), atol=1e-6)


def layer_weights() -> list[NDArray[np.float32]]:
    layers = [
        keras.layers.Dense(7, kernel_initializer=k, input_shape=(5,))
        for k in ("glorot_uniform", "he_normal", "orthogonal")
    ]
    for layer in layers:
        layer.build((None, 5))
    return [layer.get_weights()[0] for layer in layers]


def test_seeds() -> None:
    keras.utils.set_random_seed(4)
    first, second = layer_weights(), layer_weights()
    assert not any(same_bits(a, b) for a, b in zip(first, second, strict=True))  # every layer draws its own
    keras.utils.set_random_seed(4)
    assert all(same_bits(a, b) for a, b in zip(first, layer_weights(), strict=True))
    lw.random.set_seed(5)
    assert not any(same_bits(a, b) for a, b in zip(first, layer_weights(), strict=True))
    fixed: Any = keras.initializers.GlorotUniform(seed=1)
    assert same_bits(fixed((3, 4)), fixed((3, 4)))  # a seed of its own: always the same, as in Keras


def test_random_numbers_do_not_depend_on_isa_or_threads() -> None:
    results = set()
    for isa in ops.available_isas():
        for threads in (1, 7):
            with running(isa, threads):
                keras.utils.set_random_seed(6)
                drawn = [*layer_weights(), ops.random_normal(1, 2, 3, 4, 99), ops.permutation(1, 2, 99)]
                drawn.append(dropped(0.3, 40, 55, 1, 2)[1])
                results.add(b"".join(array.tobytes() for array in drawn))
    assert len(results) == 1
