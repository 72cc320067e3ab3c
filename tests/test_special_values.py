"""NaN, infinities, signed zeros, subnormals, guarded and poisoned memory, and the state of the floating-point unit."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bounds import SIZES, floats, running
from float_control import FLUSH, REACHABLE, UPWARD, control, mxcsr
from lanewise import _core, keras, ops
from reference import same_bits

ELEMENTWISE = ("relu", "sigmoid", "tanh")
LONGER = (
    "exponential", "softplus", "softsign", "hard_sigmoid", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "mish",
    "hard_silu",
)  # fmt: skip
INF, NAN = np.inf, np.nan
TINY = np.float32(1e-45)  # the smallest subnormal


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


# --- activations, value by value -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "x", "want"),
    [
        ("relu", [NAN, INF, -INF, 0.0, -0.0, TINY, -TINY], [NAN, INF, 0.0, 0.0, 0.0, TINY, 0.0]),
        ("sigmoid", [NAN, INF, -INF, 0.0, -0.0, 100.0, -200.0], [NAN, 1.0, 0.0, 0.5, 0.5, 1.0, 0.0]),
        ("tanh", [NAN, INF, -INF, 0.0, -0.0, TINY, -TINY], [NAN, 1.0, -1.0, 0.0, -0.0, TINY, -TINY]),
    ],
)
def test_activations(isa: str, name: str, x: list[float], want: list[float]) -> None:
    for shift in range(33):  # in every lane, and in every tail
        padded = np.concatenate([np.full(shift, 0.25), x]).astype(np.float32)
        assert same_bits(getattr(ops, name + "_forward")(padded)[shift:], f32(*want))


def test_gradients_of_activations(isa: str) -> None:
    # relu: 0 at 0 (Keras), exactly +0 for a dead unit whatever dy is; a NaN output has slope 0, as y > 0 is false
    dy, y = f32(2, NAN, INF, -3, 5, 7), f32(1, 1, 0, -0.0, TINY, NAN)
    assert same_bits(ops.relu_backward(dy, y), f32(2, NAN, 0, 0, 5, 0))
    assert same_bits(ops.sigmoid_backward(f32(1, 1, 4, NAN), f32(0, 1, 0.5, 0.5)), f32(0, 0, 1, NAN))
    assert same_bits(ops.tanh_backward(f32(1, 1, 4, NAN), f32(1, -1, 0.5, 0.5)), f32(0, 0, 3, NAN))


def test_softmax_of_extremes(isa: str) -> None:
    rows = np.array([[1000, 0, -1000], [-1e38, -1e38, -1e38], [3e38, -3e38, 0], [0, -INF, 0], [NAN, 0, 0]], np.float32)
    third = np.float32(1) / np.float32(3)
    want = [[1, 0, 0], [third] * 3, [1, 0, 0], [0.5, 0, 0.5], [NAN] * 3]
    assert same_bits(ops.softmax_forward(rows), np.array(want, np.float32))
    one = np.array([[7.0], [-1e30]], np.float32)  # one column: always 1
    assert same_bits(ops.softmax_forward(one), np.ones((2, 1), np.float32))


def test_subnormals_are_kept(isa: str) -> None:
    steps = np.arange(1, 40, dtype=np.float32) * TINY
    assert same_bits(ops.relu_forward(steps), steps)
    assert same_bits(ops.column_sum(np.stack([steps, steps])), 2 * steps)
    assert same_bits(ops.row_sum(np.stack([steps, steps])), f32(*[steps.sum()] * 2))
    eye = np.eye(39, dtype=np.float32)
    assert same_bits(ops.matmul(steps[None], eye), steps[None])
    assert same_bits(ops.mae_forward(steps, np.zeros_like(steps)), steps)


# --- losses ----------------------------------------------------------------------------------------------------------


def test_crossentropies_of_extreme_logits(isa: str) -> None:
    logits, target = f32(1000, -1000, 1000, -1000, 0), f32(1, 0, 0, 1, 1)
    loss = ops.binary_crossentropy_forward(target, logits)
    np.testing.assert_allclose(loss, [0, 0, 1000, 1000, np.log(2)], rtol=2e-7)
    gradient = ops.binary_crossentropy_backward(target, logits)
    np.testing.assert_allclose(gradient * 5, [0, 0, 1, -1, -0.5], rtol=3e-7)
    rows = np.array([[1000, 0, -1000]] * 3, np.float32)
    labels = np.arange(3)
    np.testing.assert_array_equal(ops.sparse_categorical_crossentropy_forward(labels, rows), [0, 1000, 2000])
    slope = ops.sparse_categorical_crossentropy_backward(labels, rows) * 3
    np.testing.assert_allclose(slope, [[0, 0, 0], [1, -1, 0], [1, 0, -1]], atol=2e-7)


def test_probabilities_are_clipped_as_in_keras(isa: str) -> None:
    """Keras clips to [1e-7, 1 - 1e-7] in float32, where the upper end is 1 - 2**-23."""
    p, t = f32(0, 1, 0, 1), f32(1, 0, 0, 1)
    low, high = float(np.float32(1e-7)), float(np.float32(1) - np.float32(1e-7))
    want = [-np.log(low), -np.log(1 - high), -np.log1p(-low), -np.log(high)]
    got = ops.binary_crossentropy_forward(t, p, from_logits=False)
    np.testing.assert_allclose(got[:2], want[:2], rtol=5e-7)
    np.testing.assert_allclose(got[2:], want[2:], atol=2.0**-23)
    assert not ops.binary_crossentropy_backward(t, p, from_logits=False).any()


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_crossentropy", "categorical_crossentropy"])
def test_nan_stays_in_its_row(isa: str, name: str) -> None:
    rng = np.random.default_rng(0)
    for cols in (1, 3, 17, 33):
        t, p = rng.random((9, cols)).astype(np.float32), floats(rng, 9, cols)
        p[4, cols // 2] = NAN
        loss = getattr(ops, name + "_forward")(t, p)
        np.testing.assert_array_equal(np.isnan(loss), np.arange(9) == 4)
        gradient = np.isnan(getattr(ops, name + "_backward")(t, p))
        assert gradient[4, cols // 2]
        assert not np.delete(gradient, 4, axis=0).any()


def test_gradient_of_an_absolute_error_of_zero_is_positive_zero(isa: str) -> None:
    same = f32(1, -1, 0, -0.0)
    gradient = ops.mae_backward(same, same)
    assert same_bits(gradient, np.zeros(4, np.float32))


# --- optimizers ------------------------------------------------------------------------------------------------------


def test_moments_below_the_normal_range_become_zero(isa: str) -> None:
    for n in (1, 5, 16, 33):
        w, g = np.ones(n, np.float32), np.zeros(n, np.float32)
        small = [np.full(n, -1e-38, np.float32), np.full(n, 1e-38, np.float32)]  # subnormal after the decay by 0.9
        ops.adam_step(w, g, *small, step=3, beta_2=0.9)
        assert same_bits(small[0], g)
        assert same_bits(small[1], g)
        velocity = np.full(n, 1.2e-38, np.float32)
        ops.sgd_step(w, g, velocity, momentum=0.9)
        assert same_bits(velocity, g)
        square = np.full(n, 1.2e-38, np.float32)
        ops.rmsprop_step(w, g, square)
        assert same_bits(square, g)


def test_a_gradient_of_zero_leaves_the_weight(isa: str) -> None:
    w, zero = f32(1, -2, 0, -0.0, 1e-40), np.zeros(5, np.float32)
    for step in (
        lambda w: ops.adam_step(w, zero, zero.copy(), zero.copy(), step=1),
        lambda w: ops.rmsprop_step(w, zero, zero.copy()),
        lambda w: ops.sgd_step(w, zero, zero.copy(), momentum=0.9),
    ):
        changed = w.copy()
        step(changed)
        np.testing.assert_array_equal(changed, w)


# --- memory: nothing stale is read, nothing outside is touched -------------------------------------------------------


def calls(
    rng: np.random.Generator, rows: int, cols: int
) -> dict[str, tuple[Callable[..., np.ndarray], list[np.ndarray]]]:
    """Kernels that take out=, with inputs of this size."""
    x, dy = floats(rng, rows, cols), floats(rng, rows, cols)
    table: dict[str, tuple[Callable[..., np.ndarray], list[np.ndarray]]] = {}
    for name in (*ELEMENTWISE, *LONGER, "softmax", "log_softmax"):
        table[name + "_forward"] = getattr(ops, name + "_forward"), [x]
        table[name + "_backward"] = getattr(ops, name + "_backward"), [dy, x]
    for name in ("mse", "huber", "binary_crossentropy", "categorical_crossentropy"):
        table[name + "_forward"] = getattr(ops, name + "_forward"), [np.abs(dy), x]
        table[name + "_backward"] = getattr(ops, name + "_backward"), [np.abs(dy), x]
    table["prelu_forward"] = ops.prelu_forward, [x, dy[0].copy()]
    table["prelu_backward"] = ops.prelu_backward, [dy, x, dy[0].copy()]
    table["column_sum"], table["row_sum"] = (ops.column_sum, [x]), (ops.row_sum, [x])
    table["matmul"] = ops.matmul, [x, np.ascontiguousarray(dy.T)]
    table["matmul_column"] = ops.matmul, [x, np.ascontiguousarray(dy.T[:, :1])]
    table["dense_forward"] = (lambda a, b, c, out=None: ops.dense_forward(a, b, c, "tanh", out)), [
        x, np.ascontiguousarray(dy.T), dy[:, 0].copy(),
    ]  # fmt: skip
    return table


@contextmanager
def guarded(array: np.ndarray, at_end: bool) -> Iterator[np.ndarray]:
    """A copy whose last (or first) byte is the last (first) one of its pages; the page beyond cannot be touched."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, size + 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for edge in (start, start + page + size):
        assert libc.mprotect(ctypes.c_void_p(edge), ctypes.c_size_t(page), 0) == 0
    offset = page + (size - array.nbytes if at_end else 0)
    view = np.frombuffer(memory, np.float32, array.size, offset).reshape(array.shape)
    view[...] = array
    try:
        yield view
    finally:
        for edge in (start, start + page + size):
            libc.mprotect(ctypes.c_void_p(edge), ctypes.c_size_t(page), 3)


@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_outside_an_array_is_read_or_written(isa: str, at_end: bool) -> None:
    """Every tail from 1 to 33 columns between two pages that cannot be touched (a stray access ends the process)."""
    rng = np.random.default_rng(1)
    for cols in range(1, 34):
        for function, inputs in calls(rng, 3, cols).values():
            want = function(*inputs)
            views = []
            contexts = [guarded(array, at_end) for array in (*inputs, np.full_like(want, NAN))]
            for context in contexts:
                views.append(context.__enter__())
            assert same_bits(function(*views[:-1], out=views[-1]), want)
            for context in contexts:
                context.__exit__(None, None, None)


def test_a_poisoned_output_leaves_no_trace(isa: str, threads: int) -> None:
    rng = np.random.default_rng(2)
    for cols in (*SIZES, 1030):
        for name, (function, inputs) in calls(rng, 5, cols).items():
            want = function(*inputs)
            out = np.full_like(want, NAN)
            assert function(*inputs, out=out) is out
            assert same_bits(out, want), name
            assert not np.isnan(out).any(), name


def test_a_nan_of_an_earlier_call_is_gone(isa: str) -> None:
    """Scratch that keeps a stale NaN would leak it through 0 * NaN."""
    rng = np.random.default_rng(3)
    for m, k, n in [(40, 600, 70), (64, 1030, 33), (5, 513, 1), (130, 300, 300)]:
        a, b = floats(rng, m, k), floats(rng, k, n)
        want = ops.matmul(a, b)
        for x, y in ((np.full((200, 1100), NAN, np.float32), np.full((1100, 400), NAN, np.float32)),):
            assert np.isnan(ops.matmul(x, y)).all()
            assert np.isnan(ops.matmul(x.T[:1100], x)).all()
        assert same_bits(ops.matmul(a, b), want)
        assert same_bits(ops.matmul(np.asfortranarray(a), np.asfortranarray(b)), want)


def test_a_nan_batch_leaves_no_trace_in_a_prediction() -> None:
    rng = np.random.default_rng(4)
    model = keras.Sequential([
        keras.layers.Dense(70, "relu", input_shape=(50,)), keras.layers.Dense(5, "softmax"),
    ])  # fmt: skip
    x = floats(rng, 300, 50)
    want = model.predict(x, verbose=0)
    assert np.isnan(model.predict(np.full((300, 50), NAN), verbose=0)).all()
    assert same_bits(model.predict(x, verbose=0), want)


# --- the floating-point unit -----------------------------------------------------------------------------------------

needs_mxcsr = pytest.mark.skipif(not REACHABLE, reason="reads MXCSR through glibc's fenv_t of x86-64")


def scaled(rng: np.random.Generator, scale: float, *shape: int) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def inputs() -> dict[str, np.ndarray]:
    """Numbers whose products, sums and moments are subnormal; made before the control word changes."""
    rng = np.random.default_rng(5)
    return {
        "a": scaled(rng, 1e-20, 60, 700), "b": scaled(rng, 1e-20, 700, 90), "tiny": scaled(rng, 1e-39, 60, 700),
        "wide": scaled(rng, 60, 60, 70), "w": scaled(rng, 1, 50), "g": scaled(rng, 1e-19, 50),
        "v": np.abs(scaled(rng, 1e-38, 50)), "x": scaled(rng, 1e-3, 100, 20), "small": scaled(rng, 1e-38, 10, 20),
    }  # fmt: skip


def work(given: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Bits of kernels, a training and a prediction, with subnormals on the way."""
    a, b, tiny = given["a"], given["b"], given["tiny"]
    w, m, v = given["w"].copy(), given["w"].copy(), given["v"].copy()
    ops.adam_step(w, given["g"], m, v, step=2)
    keras.utils.set_random_seed(6)
    model = keras.Sequential([keras.layers.Dense(40, "tanh", input_shape=(20,)), keras.layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(given["x"], np.arange(100) % 3, epochs=2, verbose=0).history["loss"]
    results = {
        "matmul": ops.matmul(a, b), "matmul to a column": ops.matmul(a, b[:, :1]), "column_sum": ops.column_sum(tiny),
        "row_sum": ops.row_sum(tiny), "tanh": ops.tanh_forward(tiny), "relu": ops.relu_forward(tiny),
        "sigmoid": ops.sigmoid_forward(given["wide"]), "softmax": ops.softmax_forward(given["wide"]),
        "mae": ops.mae_forward(tiny, tiny[::-1]), "w": w, "m": m, "v": v, "history": np.array(history),
        "normal": ops.random_normal(1, 2, 3, 4, 1000), "prediction": model.predict(given["small"], verbose=0),
        **{f"weight {i}": weight for i, weight in enumerate(model.get_weights())},
    }  # fmt: skip
    return {name: result.tobytes() for name, result in results.items()}


def different(got: dict[str, bytes], want: dict[str, bytes]) -> list[str]:
    return [name for name in want if got[name] != want[name]]


@needs_mxcsr
@pytest.mark.parametrize("threads", [1, 2])
def test_flush_to_zero_set_by_another_library_changes_no_bit(threads: int) -> None:
    given = inputs()
    with running(threads=threads):
        want = work(given)
        with control(FLUSH):
            before = mxcsr()
            got = work(given)
            assert mxcsr() == before  # and it is still set afterwards
    assert different(got, want) == []
    subnormal = np.frombuffer(want["matmul"], np.float32)
    assert (np.abs(subnormal) < 1.1e-38).any()  # so the test would see the difference


@needs_mxcsr
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_the_rounding_mode_of_the_caller_changes_no_bit_of_a_call(optimizer: str) -> None:
    """Only what our calls compute: Python's and NumPy's own arithmetic follows the caller's mode."""
    given = inputs()

    def results() -> dict[str, bytes]:
        bits = work(given)
        model = keras.Sequential([keras.layers.Dense(40, "tanh", input_shape=(20,)), keras.layers.Dense(3, "softmax")])
        model.set_weights([given["a"][:20, :40] * 2.0**60, given["w"][:40], given["b"][:40, :3] * 2.0**60, np.zeros(3)])
        model.compile(optimizer, "sparse_categorical_crossentropy")
        for _ in range(20):
            model.fit(given["x"], np.arange(100) % 3, shuffle=False, verbose=0)
        kept = {
            name: bits[name] for name in ("matmul", "column_sum", "sigmoid", "softmax", "mae", "w", "m", "v", "normal")
        }
        moments = _core.column_moments(given["wide"])
        return kept | {f"array {i}": a.tobytes() for i, a in enumerate([*model.get_weights(), *moments])}

    want = results()
    with control(UPWARD):
        got = results()
    assert different(got, want) == []


@needs_mxcsr
def test_the_rounding_mode_of_the_caller_changes_no_parameter() -> None:
    """1/rows, delta and label_smoothing are rounded to float32 in every call."""
    p, t = np.linspace(0.1, 0.9, 11, dtype=np.float32), np.zeros(11, np.float32)

    def results() -> dict[str, bytes]:
        return {
            "mse": b"".join(ops.mse_backward(t[:n], p[:n]).tobytes() for n in (3, 7, 11)),
            "huber": b"".join(ops.huber_forward(t, p, delta=d).tobytes() for d in (0.3, 0.6, 0.7)),
            "smoothing": b"".join(
                ops.binary_crossentropy_forward(t, p, label_smoothing=s).tobytes() for s in (0.1, 0.3, 0.7)
            ),
        }

    want = results()
    with control(UPWARD):
        got = results()
    assert different(got, want) == []


@needs_mxcsr
def test_import_and_calls_leave_the_control_word_as_it_is() -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from float_control import mxcsr
import numpy as np
before = mxcsr()
import lanewise.keras as keras, lanewise.ops as ops
assert mxcsr() == before, "import"
x = np.ones((600, 600), np.float32)
ops.matmul(x, x)
model = keras.Sequential([keras.layers.Dense(64, input_shape=(600,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x[:, 0], epochs=2, verbose=0)
model.predict(x, verbose=0)
assert mxcsr() == before, "calls"
assert np.float32(1e-38) * np.float32(0.1) > 0, "subnormals in NumPy"
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
