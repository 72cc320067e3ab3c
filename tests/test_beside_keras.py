"""What a newcomer's scripts met beside Keras 3.15.1: figures are those of Keras with KERAS_BACKEND=jax."""

import numpy as np
import pytest

from lanewise import keras
from lanewise.keras import ops


def test_modules_of_operations_hold_the_same_functions():
    from lanewise.keras.ops.nn import relu

    assert ops.nn.relu is relu is ops.relu and ops.numpy.sum is ops.sum and ops.linalg.norm is ops.norm
    assert {"sigmoid", "softmax", "one_hot", "normalize"} <= set(ops.nn.__all__)
    assert set(ops.nn.__all__).isdisjoint(ops.numpy.__all__)
    with pytest.raises(AttributeError, match=r"use numpy\.hypot"):
        _ = ops.numpy.hypot
    x = np.array([0, 1], np.float32)
    np.testing.assert_allclose(ops.nn.sigmoid(x), [0.5, 0.7310586], rtol=1e-6)


def test_tensordot_top_k_and_erf():
    a = np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 7
    b = np.arange(12, dtype=np.float32).reshape(3, 2, 2) / 5
    np.testing.assert_allclose(ops.tensordot(a, b, 2), [[3.14286, 3.57143], [8.28571, 9.74286]], rtol=2e-6)
    wanted = [[[1.14286, 1.31429], [1.48571, 1.65714]], [[1.48571, 1.74286], [2.0, 2.25714]]]
    np.testing.assert_allclose(ops.tensordot(a, b, [[1], [0]])[0], wanted, rtol=4e-6)
    np.testing.assert_allclose(ops.tensordot(a, b, axes=[[2, 1], [1, 0]]), ops.tensordot(a, b, 2), rtol=1e-6)
    values, places = ops.top_k(np.array([[1, 5, 5, 2], [3, 1, 0, 2]], np.float32), 2)
    assert values.tolist() == [[5, 5], [3, 2]] and places.tolist() == [[1, 2], [0, 3]] and places.dtype == np.int32
    x = np.array([-3, -0.5, 0, 0.1, 1.5], np.float32)
    np.testing.assert_allclose(ops.erf(x), [-0.99998, -0.5205, 0, 0.11246, 0.96611], atol=5e-6)
    np.testing.assert_allclose(ops.nn.gelu(x, approximate=False), [-0.00405, -0.15427, 0, 0.05398, 1.39979], atol=5e-6)


def test_a_product_over_the_batch_is_refused_on_symbolic_tensors():
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="tensordot: expected a result with the rows of"):
        ops.tensordot(x, x, 2)


def test_one_hot_of_argmax_in_a_graph():
    x = keras.Input((4,))
    model = keras.Model(x, ops.one_hot(ops.argmax(x, -1), 4))
    np.testing.assert_array_equal(model.predict(np.eye(4)[[2, 0, 3]], verbose=0), np.eye(4)[[2, 0, 3]])
