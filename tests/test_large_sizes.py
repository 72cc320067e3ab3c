"""Products of sizes beyond 2**31 are computed right, beyond 2**63 they are an error, before anything is touched."""

from __future__ import annotations

import numpy as np
import pytest

import lanewise as lw
from lanewise import _core, ops

MORE = 2**31 + 16  # elements: an int32 has wrapped


@pytest.mark.parametrize("shape", [(2**32, 2**32), (2**62, 3), (2**21, 2**21, 2**21, 2**21), (2**61,), (2**63 - 1,)])
def test_sizes_that_wrap_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises((ValueError, MemoryError, OverflowError)):
        _core.Variable(shape)


def test_layers_that_no_memory_holds() -> None:
    for units in (2**31, 2**40, 2**62, 2**63 - 1):
        with pytest.raises((ValueError, MemoryError, OverflowError)):
            lw.Sequential([lw.Input((units,)), lw.layers.Dense(units)])
        with pytest.raises((ValueError, MemoryError, OverflowError)):
            lw.Sequential([lw.Input((2**32, 2**32)), lw.layers.Flatten(), lw.layers.Dense(1)])
    with pytest.raises((ValueError, MemoryError, OverflowError)):
        lw.layers.Embedding(2**62, 2**62).build((None, 3))
    with pytest.raises((ValueError, MemoryError, OverflowError)):
        ops.random_normal(1, 2, 3, 4, 2**62)


def test_shapes_whose_elements_are_one() -> None:
    """A view can have more elements than there is memory: its size is checked, its output cannot be had."""
    one = np.zeros(1, np.float32)
    for shape in ((2**40, 2**40), (2**62, 2)):
        try:
            view = np.broadcast_to(one, shape)
        except ValueError:  # NumPy will not make it
            continue
        for call in (lambda v: ops.matmul(v, v.T), ops.relu_forward):
            with pytest.raises((ValueError, MemoryError, OverflowError)):
                call(view)


@pytest.mark.long
def test_more_than_two_to_the_31_elements() -> None:
    """8.6 GB of zeros that the system never has to find memory for, with something at the very end."""
    x = np.zeros(MORE, np.float32)
    x[-3:] = 1, 2, 4
    assert ops.row_sum(x[None]) == 7
    assert ops.column_sum(x[:, None]) == 7
    table = x.reshape(-1, 16)  # 2**27 + 1 rows
    np.testing.assert_array_equal(ops.column_sum(table), [0] * 13 + [1, 2, 4])
    product = ops.matmul(table, np.ones((16, 1), np.float32))
    assert (product[-1, 0], product[-2, 0], len(product)) == (7, 0, 2**27 + 1)
    del product
    shares = ops.softmax_forward(table)
    np.testing.assert_allclose(shares[-1], np.exp(table[-1]) / np.exp(table[-1]).sum(), rtol=1e-6)
    np.testing.assert_array_equal(shares[[0, 2**26, -2]], 1 / 16)
    del shares
    losses = ops.mse_forward(table, np.zeros_like(table))
    assert (losses[-1], losses[-2], losses[0], len(losses)) == (21 / 16, 0, 0, 2**27 + 1)
    lw.random.set_seed(1)
    model = lw.Sequential([lw.Input((16,)), lw.layers.Dense(1)])
    answer = model.predict(table, verbose=0)
    assert answer[-1].tobytes() == model.predict(table[-1:], verbose=0).tobytes()
    assert answer[-1] != 0
    assert answer[-2] == 0


@pytest.mark.long
def test_bytes_beyond_two_to_the_31() -> None:
    """Rows of bytes whose offsets are beyond an int32, gathered in the order of a training: but for the very last row
    all are zero, and no other has a gradient."""
    x = np.zeros((2**25 + 4, 64), np.uint8)
    x[-1], y = 1, np.zeros(2**25 + 4, np.float32)
    y[-1] = 1
    lw.random.set_seed(1)
    model = lw.Sequential([lw.Input((64,)), lw.layers.Dense(1, use_bias=False)])
    model.compile(lw.optimizers.SGD(2.0**19), "mse")  # a gradient of one row in 2**20
    before = model.get_weights()[0]
    moved = before + (1 - model.predict(x[-1:], verbose=0)[0, 0])
    model.fit(x, y, batch_size=2**20, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], moved, rtol=1e-5)
    model.set_weights([before])
    assert model.evaluate(x, y, batch_size=4096, verbose=0) * len(x) == pytest.approx(
        float((model.predict(x[-1:], verbose=0)[0, 0] - 1) ** 2), rel=1e-3
    )
