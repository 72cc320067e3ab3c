"""Kernels and bad arrays: the right exception, naming the argument and what was received, before a byte is written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import lanewise as lw
from bounds import same_bits, unaligned
from lanewise import ops

X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(10, 4)


def unary() -> dict[str, Callable[..., np.ndarray]]:
    names = ("relu_forward", "sigmoid_forward", "tanh_forward", "softmax_forward", "column_sum", "row_sum")
    return {name: getattr(ops, name) for name in names}


@pytest.mark.parametrize("name", unary())
def test_kernels_take_float32_and_nothing_else(name: str) -> None:
    for array in (
        X.astype(np.float64),
        X.astype(np.float16),
        X.astype(np.int32),
        X.astype(">f4"),
        X + 1j,
        X.astype(object),
    ):
        with pytest.raises(TypeError, match=r"x: expected float32\. Received: .*x\.astype\(numpy\.float32\)"):
            unary()[name](array)
    with pytest.raises(TypeError, match=r"x: expected a NumPy array\. Received: list"):
        unary()[name](X.tolist())


@pytest.mark.parametrize("name", unary())
def test_kernels_read_unaligned_arrays_through_a_copy(name: str) -> None:
    """Of a subclass too. That no float is read where none may stand is for the sanitizers to see."""
    for array in (unaligned(X), unaligned(X).view(type("Mine", (np.ndarray,), {}))):
        assert same_bits(unary()[name](array), unary()[name](X))


@pytest.mark.parametrize("name", unary())
def test_outputs_that_cannot_be_written(name: str) -> None:
    x = X.copy()
    shape = unary()[name](x).shape
    read_only = np.full(shape, 7, np.float32)
    read_only.setflags(write=False)
    strided = np.full((*shape[:-1], 2 * shape[-1]), 7, np.float32)
    wrong: list[tuple[np.ndarray, type[Exception], str]] = [
        (read_only, ValueError, "writeable"),
        (np.full((*shape, 1), 7, np.float32), ValueError, "shape"),
        (np.full(shape, 7, np.float64), TypeError, "float32"),
        (strided[..., ::2], ValueError, "contiguous"),
        (unaligned(np.full(shape, 7, np.float32)), ValueError, "aligned"),
    ]
    for out, error, text in wrong:
        with pytest.raises(error, match=rf"out: expected .*{text}"):
            unary()[name](x, out=out)
        assert (out == 7).all()
    shared = np.concatenate([x.ravel(), x.ravel()])
    before = shared.copy()
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        unary()[name](shared[:40].reshape(10, 4), out=shared[3 : 3 + int(np.prod(shape))].reshape(shape))
    assert same_bits(shared, before)


def test_matmul_refuses_before_it_writes() -> None:
    a, b = X.copy(), X.T.copy()
    out = np.full((10, 10), 7, np.float32)
    read_only = out.copy()
    read_only.setflags(write=False)
    for call, error, text in [
        (lambda: ops.matmul(a, a, out=out), ValueError, r"a, b: .*\(10, 4\) and \(10, 4\)"),
        (lambda: ops.matmul(a[0], b, out=out), ValueError, "a: expected 2 axes"),
        (lambda: ops.matmul(a, b.astype(np.float64), out=out), TypeError, "b: expected float32"),
        (lambda: ops.matmul(a, b, out=read_only), ValueError, "writeable"),
        (lambda: ops.matmul(a, b, out=out[:9]), ValueError, "out: expected shape"),
        (lambda: ops.matmul(a, b, out=out.T), ValueError, "row-major"),
        (lambda: ops.matmul(a, b, out=np.lib.stride_tricks.as_strided(out, (10, 10), (0, 4))), ValueError, "overlap"),
        (lambda: ops.matmul(a, b, out=unaligned(out)), ValueError, "aligned"),
        (lambda: ops.matmul(out, out, out=out), ValueError, "memory of its own"),
        (
            lambda: ops.dense_forward(a, b, np.zeros(9, np.float32), out=out),
            ValueError,
            r"bias: expected shape \(10,\)",
        ),
        (lambda: ops.dense_forward(a, b, None, "rleu", out=out), ValueError, "activation: expected .*rleu"),
    ]:
        with pytest.raises(error, match=text):
            call()
        assert (out == 7).all()


def test_optimizer_steps_refuse_before_they_write() -> None:
    w, g, m, v = (np.full(10, value, np.float32) for value in (1, 2, 3, 4))
    twice = np.zeros(20, np.float32)
    for call, text in [
        (lambda: ops.adam_step(w, g, m, m, step=1), "overlap"),
        (lambda: ops.adam_step(w, w, m, v, step=1), "overlap"),
        (lambda: ops.adam_step(w, g, m, v[:9], step=1), r"v: expected shape \(10,\)"),
        (lambda: ops.adam_step(w, g, m, v, step=0), "step: expected at least 1"),
        (lambda: ops.adam_step(twice[::2], g, m, v, step=1), "contiguous"),
        (lambda: ops.adam_step(unaligned(w), g, m, v, step=1), "aligned"),
        (lambda: ops.sgd_step(w, g, momentum=0.9), "velocity"),
        (lambda: ops.rmsprop_step(w, g, g), "overlap"),
        (lambda: ops.sgd_step(w, g[:9]), "g"),
        (lambda: ops.sgd_step(w, g, learning_rate=float("nan")), "learning_rate: expected a finite number"),
        (lambda: ops.sgd_step(w, g, learning_rate=1e39), "learning_rate: expected a finite number"),
    ]:
        with pytest.raises(ValueError, match=text):
            call()
        assert [a[0] for a in (w, g, m, v)] == [1, 2, 3, 4]
    frozen = w.copy()
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="w: expected a writeable array"):
        ops.sgd_step(frozen, g)


def test_losses_check_their_targets() -> None:
    p = np.zeros((10, 3), np.float32)
    with pytest.raises(ValueError, match=r"y_true: expected labels from 0 to 2.*Received: 3"):
        ops.sparse_categorical_crossentropy_forward(np.arange(10), p)
    with pytest.raises(TypeError, match="y_true: expected integer labels"):
        ops.sparse_categorical_crossentropy_forward(np.zeros(10, np.float32), p)
    with pytest.raises(ValueError, match="y_true: expected 3 value"):
        ops.mse_forward(np.zeros((10, 2), np.float32), p)
    with pytest.raises(TypeError, match="y_true: expected float32"):
        ops.mse_forward(np.zeros((10, 3)), p)


def test_labels_are_not_cut_down_to_ones_that_exist() -> None:
    p = np.zeros((1, 3), np.float32)
    signed, unsigned = (2**32 + 1, -(2**32)), (2**32, 2**63 + 2)
    for label in (*map(np.int64, signed), *map(np.uint64, unsigned), np.uint32(2**32 - 1)):
        with pytest.raises(ValueError, match=r"y_true: expected labels from 0 to 2 .*Received: -?\d{10,}"):
            ops.sparse_categorical_crossentropy_forward(np.array([label]), p)


def test_an_output_over_half_of_a_label_is_refused() -> None:
    memory = np.zeros(8 + 4, np.int32)
    labels, out = memory[:8].view(np.int64), memory[7:11].view(np.float32)
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        ops.sparse_categorical_crossentropy_forward(labels, np.zeros((4, 3), np.float32), out=out)
    assert not memory.any()


def test_parameters_out_of_range() -> None:
    p, ones = np.zeros((2, 3), np.float32), np.ones(3, np.float32)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: ops.huber_forward(p, p, delta=-1), "delta: expected a finite number > 0"),
        (lambda: ops.huber_backward(p, p, delta=np.nan), "delta: expected a finite number > 0"),
        (lambda: ops.binary_crossentropy_forward(p, p, label_smoothing=7), r"label_smoothing: .* \[0, 1\]"),
        (lambda: ops.adam_step(ones, ones.copy(), ones.copy(), ones.copy(), step=1, beta_1=1.0), "beta_1: .* < 1"),
        (lambda: ops.adam_step(ones, ones.copy(), ones.copy(), ones.copy(), step=1, beta_2=1.5), "beta_2: .* < 1"),
        (lambda: ops.random_uniform(1, 1 << 16, 0, 0, 3), "stream: expected less than 32768"),
        (lambda: ops.random_uniform(1, 0, 0, 1 << 16, 3), "node: expected less than 65536"),
        (lambda: ops.random_normal(1, 0, 0, 0, 3, lower=0, upper=1e-7), "lower, upper"),
        (lambda: ops.random_normal(1, 0, 0, 0, 3, lower=5), "lower, upper"),
    ]
    for call, text in calls:
        with pytest.raises(ValueError, match=text):
            call()
    assert (ones == 1).all()


def test_adam_at_any_step() -> None:
    """The powers of beta are multiplied out until they stand still: in no time at a step that nobody reaches."""
    weights = []
    for step in (10**7, 10**12, 2**62):
        w, g = np.ones(3, np.float32), np.full(3, 0.5, np.float32)
        ops.adam_step(w, g, np.zeros(3, np.float32), np.zeros(3, np.float32), step=step)
        weights.append(w)
    assert (weights[0] < 1).all()
    assert all(same_bits(w, weights[0]) for w in weights)


def test_masked_arrays_are_refused() -> None:
    masked = np.ma.masked_array(X, mask=X > 0)
    with pytest.raises(TypeError, match=r"x: expected an array without a mask.*x\.filled"):
        ops.row_sum(masked)
    model = lw.Sequential([lw.layers.Dense(1, input_shape=(4,))])
    with pytest.raises(TypeError, match="x: expected an array without a mask"):
        model.predict(masked, verbose=0)
    weights = model.get_weights()
    masked_weights = [np.ma.masked_array(weight + 1, mask=True) for weight in weights]
    for call in (
        lambda: model.set_weights(masked_weights),
        lambda: lw.layers.Discretization(num_bins=2).adapt(masked),
        lambda: lw.layers.IntegerLookup().adapt(np.ma.masked_array([1, 2], mask=True)),
    ):
        with pytest.raises(TypeError, match="expected an array without a mask"):
            call()
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), weights, strict=True))


def test_sizes_beyond_memory_are_an_error() -> None:
    """Arrays of zero strides can be as long as they like; the scratch for them cannot."""
    long = np.broadcast_to(np.float32(0), (1, 2**60))
    with pytest.raises((MemoryError, ValueError)):
        ops.matmul(long, long.T)
