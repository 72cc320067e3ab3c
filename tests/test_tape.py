"""Functions of a person's own are differentiated: every rule against differences, in float64."""

import numpy as np
import pytest

from lanewise.custom.rules import _BINARY, _FLAT, _UNARY
from lanewise.custom.tape import Traced, gradients, value_and_gradients
from lanewise.keras import ops
from lanewise.utils import check_gradients

RNG = np.random.default_rng(5)
A = RNG.uniform(0.2, 0.9, (4, 3)) * RNG.choice([-1, 1], (4, 3))
B = RNG.uniform(0.3, 0.8, (4, 3))
ONLY_POSITIVE = {np.log, np.log2, np.log10, np.sqrt, np.power}


@pytest.mark.parametrize("ufunc", list(_UNARY), ids=lambda f: f.__name__)
def test_functions_of_one_array(ufunc):
    check_gradients(ufunc, B if ufunc in ONLY_POSITIVE else A)


@pytest.mark.parametrize("ufunc", list(_BINARY), ids=lambda f: f.__name__)
def test_functions_of_two_arrays(ufunc):
    x = B + 0.1 if ufunc in ONLY_POSITIVE else A
    check_gradients(ufunc, x, B)
    check_gradients(ufunc, x, B[:1])  # broadcast: the gradient is summed
    check_gradients(ufunc, x[:, :1], B[0])
    check_gradients(lambda a: ufunc(a, 0.37), x)
    check_gradients(lambda b: ufunc(0.37, b), B)


@pytest.mark.parametrize("ufunc", sorted(_FLAT, key=str), ids=lambda f: f.__name__)
def test_functions_without_a_slope_give_plain_arrays(ufunc):
    kind = np.int32 if ufunc in (np.invert, np.bitwise_and, np.bitwise_or) else np.float64
    x = Traced(np.array([1, -2, 3], kind))
    y = ufunc(*[x] * ufunc.nin)
    assert isinstance(y, np.ndarray) and np.array_equal(y, ufunc(*[x.value] * ufunc.nin))


FUNCTIONS = {
    "sum": lambda a, b: np.sum(a * b, axis=1),
    "sum of two axes": lambda a, b: np.sum((a * b)[None], axis=(0, 2), keepdims=True) ** 2,
    "mean": lambda a, b: np.mean(a * b) * np.mean(a, axis=0, keepdims=True),
    "max": lambda a, b: np.max(a, axis=0) * np.min(b) + a.max(),
    "prod": lambda a, b: np.prod(a, axis=1) + np.prod(b),
    "var": lambda a, b: np.std(a, axis=1, ddof=1) * np.var(b),
    "average": lambda a, b: np.average(a, weights=b) + np.average(a, axis=0),
    "cumsum": lambda a, b: np.cumsum(a, axis=1) ** 2 * np.cumsum(b).reshape(4, 3),
    "norm": lambda a, b: np.linalg.norm(a - b, axis=-1) + np.linalg.norm(a, ord=1, axis=1),
    "where": lambda a, b: np.where(a > 0, a * b, b),
    "clip": lambda a, b: np.clip(a, -0.5, 0.5) * np.clip(b, None, a.mean()),
    "concatenate": lambda a, b: np.concatenate([a, b, a], 1)[:, ::2] ** 2,
    "stack": lambda a, b: np.stack([a, b], axis=1)[:, 0] * np.stack([row * 2 for row in b]),
    "reshape": lambda a, b: a.reshape(3, 4) @ b.T.reshape(4, 3) + np.squeeze(a[None], 0)[:3],
    "transpose": lambda a, b: np.transpose(a[None], (1, 2, 0)) * np.moveaxis(b[None], 0, 2),
    "swapaxes": lambda a, b: np.swapaxes(a, 0, 1) * np.expand_dims(b, 0)[0].T,
    "take": lambda a, b: np.take(a, [0, 1, 1], axis=1) * np.take_along_axis(b, np.argsort(A, 1), 1),
    "roll": lambda a, b: np.roll(np.flip(b, 0), 1, axis=1) * np.diff(np.tile(a, 2), axis=1)[:, :3],
    "pad": lambda a, b: np.pad(a, 1, constant_values=2.0)[1:, :3] * np.pad(b, ((0, 1), (1, 0)), mode="edge")[:, :3],
    "repeat": lambda a, b: np.repeat(a, 2, axis=0)[::2] * np.broadcast_to(b[0], (4, 3)),
    "split": lambda a, b: np.split(a, 2, axis=0)[1] * np.split(b, [1, 3], axis=0)[1],
    "sort": lambda a, b: np.sort(a, axis=0)[1] * np.median(b, axis=0) + np.median(a),
    "matmul": lambda a, b: a @ b.T @ b + a[0] @ b[1],
    "matmul of batches": lambda a, b: np.matmul(np.stack([a, b]), b.T)[..., :3] @ b[0],
    "matmul with vectors": lambda a, b: (a @ b[0]) @ (b @ a[1]),
    "vector and batch": lambda a, b: np.matmul(b[0], np.stack([a.T, b.T])),
    "dot": lambda a, b: np.dot(a, b.T) * np.outer(a[:, 0], b[:, 1]),
    "einsum": lambda a, b: np.einsum("ij,kj->ik", a, b) * np.einsum("ij->i", a),
    "ufunc reduce": lambda a, b: np.add.reduce(a * b) + np.maximum.reduce(a, axis=0),
    "mod": lambda a, b: a % b + (-a) ** 2 - abs(a) + 2 ** b - 1 / b + 1 - b + 3 * b,
    "astype": lambda a, b: (a * b).astype(np.float64).ravel().clip(-0.3, 0.3).squeeze(),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_functions(name):
    numeric = check_gradients(FUNCTIONS[name], A, B)
    assert [g.shape for g in numeric] == [A.shape, B.shape]


OPERATIONS = {
    "softmax": lambda a, b: ops.softmax(a) * b,
    "log_softmax": lambda a, b: ops.log_softmax(a, axis=0) * b,
    "logsumexp": lambda a, b: ops.logsumexp(a * b, axis=1) + ops.logsumexp(a),
    "sigmoid": lambda a, b: ops.sigmoid(a) * ops.log_sigmoid(b) * ops.softplus(a),
    "relu": lambda a, b: ops.relu(a) * b + ops.leaky_relu(a, 0.1),
    "elu": lambda a, b: ops.elu(a) * ops.selu(b),
    "gelu": lambda a, b: ops.gelu(a) * ops.silu(b) * ops.softsign(a),
    "erf": lambda a, b: ops.erf(a) * ops.gelu(b, approximate=False),
    "top_k": lambda a, b: ops.top_k(a, 2)[0] * b[:, :2],
    "tensordot": lambda a, b: ops.tensordot(a, b, [[0], [0]]) * ops.tensordot(a, b, 2),
    "rsqrt": lambda a, b: ops.rsqrt(b) * ops.reciprocal(a),
    "divide_no_nan": lambda a, b: ops.divide_no_nan(a, b * [1.0, 0.0, 1.0]),
    "binary_crossentropy": lambda a, b: ops.binary_crossentropy(b, b * b),
    "binary_crossentropy of logits": lambda a, b: ops.binary_crossentropy(b, a, from_logits=True),
    "categorical_crossentropy": lambda a, b: ops.categorical_crossentropy([0, 1, 0], b),
    "sparse_categorical_crossentropy": lambda a, b: ops.sparse_categorical_crossentropy([[0], [1], [2], [0]], a, True),
    "normalize": lambda a, b: ops.normalize(a) * b,
    "lists": lambda a, b: ops.stack([a, b]) + ops.add([a, b], 1.0) * ops.concatenate([a, b], 0).reshape(2, 4, 3),
    "cast": lambda a, b: ops.cast(a, "float64") * ops.convert_to_tensor(b) + ops.stop_gradient(np.ones(3)),
    "mean": lambda a, b: ops.mean(a, axis=[0, 1]) + ops.var(a, 0) * ops.norm(b, axis=0) + ops.cumsum(b, 0)[1],
    "hard": lambda a, b: ops.hard_sigmoid(a) * ops.hard_silu(b) * ops.relu6(b),
    "joined": lambda a, b: ops.hstack([a, b]) * ops.inner(a, b)[:, :1] + ops.vstack([a, b[0]])[1:, :1],
    "shapes": lambda a, b: ops.squeeze(ops.expand_dims(a, 0), 0) * ops.flip(ops.tile(b, (1, 2)), 0)[:, 1:4],
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_keras_operations(name):
    check_gradients(OPERATIONS[name], A, B)


def test_padding_otherwise_is_refused_and_nested_lists_are_traced():
    for mode in ("mean", "linear_ramp", "empty"):
        with pytest.raises(ValueError, match="mode: expected one of"):
            ops.pad(Traced(A), 1, mode)
        with pytest.raises(TypeError, match="'wrap'"):
            np.pad(Traced(A), 1, mode)
    nested = ops.sum([[Traced(A), Traced(B)], [Traced(B), Traced(A)]], axis=0)
    assert isinstance(nested, Traced)
    np.testing.assert_array_equal(nested.value, [A + B, A + B])


def test_hard_activations_keep_float32_and_their_ends():
    for function in (ops.hard_sigmoid, ops.hard_silu, ops.relu6):
        ends = np.array([-np.inf, np.nan, np.inf, -9, 9], np.float32)
        with np.errstate(invalid="ignore"):  # infinity times 0
            plain, traced = function(ends), function(Traced(ends)).value
        np.testing.assert_array_equal(plain, traced)
        assert plain.dtype == np.float32 and plain[4] in (1, 6, 9) and np.isnan(plain[1])
    _, (at_ends,) = value_and_gradients(lambda x: ops.sum(ops.hard_sigmoid(x)), np.array([-3.0, 0.0, 3.0]))
    np.testing.assert_allclose(at_ends, [0, 1 / 6, 0])
    assert {ops.hard_sigmoid(x).dtype for x in ([1, 2], 3, 3.0, np.int8(1), True)} == {np.dtype("float32")}


def test_operations_on_arrays_agree_with_numpy():
    x = A.astype(np.float32)
    for name in ("exp", "sqrt", "tanh", "sin", "floor", "sign", "square", "abs", "isnan", "log1p"):
        with np.errstate(invalid="ignore"):
            expected = getattr(np, name)(abs(x))
        got = getattr(ops, name)(abs(x))
        assert np.array_equal(got, expected) and got.dtype == expected.dtype
    for name in ("sum", "mean", "max", "min", "prod", "var", "std", "argmax", "argmin", "median"):
        assert np.array_equal(getattr(ops, name)(x, axis=1), getattr(np, name)(x, axis=1))
    assert ops.mean([1, 2]) == 1.5 and ops.sqrt([4, 9]).dtype == np.float32 and ops.exp(0).numpy() == 1
    assert ops.one_hot([1, 5], 3).tolist() == [[0, 1, 0], [0, 0, 0]]
    assert ops.shape(x) == (4, 3) and ops.ndim(x) == 2 and ops.size(x) == 12 and ops.is_tensor(ops.zeros(3))
    assert ops.where([True, False], 1.0, 2.0).tolist() == [1, 2] and ops.where([False, True])[0].tolist() == [1]
    assert ops.arange(0, 6, 2).tolist() == [0, 2, 4] and ops.full((2,), 7).tolist() == [7, 7]
    assert ops.einsum("ij->j", x).shape == (3,) and ops.eye(2).tolist() == [[1, 0], [0, 1]]
    assert ops.relu([-1.0, 2.0]).tolist() == [0, 2] and ops.convert_to_numpy(ops.ones(1)).tolist() == [1]
    assert ops.linspace(0, 1, 3).tolist() == [0, 0.5, 1]


def test_values_in_float32_stay_float32():
    x = Traced(A.astype(np.float32))
    y = ops.mean(ops.square(x - 1.0) * 2) + ops.softmax(x)[0, 0] + np.maximum(x, 0)[0, 0]
    assert y.dtype == np.float32
    (g,) = gradients(y, np.ones((), np.float32), [x])
    assert g.dtype == np.float32 and g.shape == x.shape


BESIDE_NUMBERS = {
    "where": lambda a: np.where(a > 0, a, 0.0) + np.where(a > 0, 1, a),
    "clip": lambda a: np.clip(a, 0.1, 0.4) + np.clip(a, None, 1),
    "nan_to_num": np.nan_to_num,
    "average": lambda a: np.average(a, weights=a) + np.average(a),
    "operators": lambda a: True * (2 - a) / 3.0 + a % 2 - 1 / a + 2**a + a**0.5,
} | {u.__name__: lambda a, u=u: u(a, 0.37) + u(0.37, a) + u(a, 2) for u in _BINARY}


@pytest.mark.parametrize("name", BESIDE_NUMBERS)
@pytest.mark.parametrize("shape", [(), (1,), (4, 3)], ids=str)
def test_a_bare_number_does_not_widen_what_stands_beside_it(name, shape):
    """NumPy 1 makes float64 of a float32 of one element and a number; float64 stays what it is."""
    for kind in (np.float32, np.float64):
        x = Traced(np.full(shape, 0.3, kind))
        y = BESIDE_NUMBERS[name](x)
        (g,) = gradients(y, np.ones_like(y.value), [x])
        assert y.dtype == g.dtype == kind and np.isfinite(g).all()


def test_ties_take_the_middle_and_relu_zero():
    zero = np.zeros(1)
    assert value_and_gradients(lambda a: np.maximum(a, 0.0), zero)[1][0] == 0.5
    assert value_and_gradients(np.abs, zero)[1][0] == 0
    assert value_and_gradients(ops.relu, zero)[1][0] == 0
    assert value_and_gradients(lambda a: np.max(a), np.ones(4))[1][0].tolist() == [0.25] * 4


def test_a_branch_that_is_not_taken_leaves_no_nan():
    x = np.array([0.0, 4.0])
    with np.errstate(divide="ignore"):
        _, (g,) = value_and_gradients(lambda a: np.where(a > 0, np.log(a) + np.sqrt(a), 0.0), x)
    assert g.tolist() == [0, 0.25 + 0.25]


def test_a_value_used_twice_and_one_not_used():
    value, (g, h) = value_and_gradients(lambda a, b: a * a + a, np.array(3.0), np.ones(2))
    assert value == 12 and g == 7 and h.tolist() == [0, 0]
    value, (g,) = value_and_gradients(lambda a: 5.0, np.ones(2))
    assert value == 5 and g.tolist() == [0, 0]


def test_what_has_no_rule_says_so():
    x = Traced(A)
    for bad, name in (
        (lambda: np.fft.fft(x), "numpy.fft"), (lambda: np.heaviside(x, x), "numpy.heaviside"),
        (lambda: np.add(x, x, out=A), "with out"), (lambda: np.add.accumulate(x), "add.accumulate"),
        (lambda: np.einsum("ii->i", x), "einsum"), (lambda: np.linalg.norm(x, 2), "norm"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=name):
            bad()
    with pytest.raises(TypeError, match=r"x\.numpy\(\)"):
        np.asarray(x)


def test_traced_arrays_answer_as_arrays():
    x = Traced(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert x.shape == (2, 2) and x.ndim == 2 and x.size == 4 and len(x) == 2 and x.dtype == np.float64
    assert x.T[0, 1].numpy() == 3 and float(x[0, 0]) == 1 and int(x[1, 1]) == 4 and bool(x[0, 0] > 0)
    assert (x == x).all() and (x != 0).all() and (x <= 4).all() and (x >= 1).all() and not (x < 1).any()
    assert x.argmax() == 3 and x.argmin(axis=0).tolist() == [0, 0] and np.argmax(x, 1).tolist() == [1, 1]
    assert np.shape(x) == (2, 2) and np.zeros_like(x).shape == (2, 2) and "Traced" in repr(x)
    assert len({x, x}) == 1


def test_check_gradients_finds_a_wrong_one():
    def squares(a):
        return a * a

    (numeric,) = check_gradients(squares, [1.0, 2.0])
    np.testing.assert_allclose(numeric, [2.0, 4.0], rtol=1e-8)
    with pytest.raises(ValueError, match=r"argument 0 at \(1,\): the gradient is 5, differences .* say 4"):
        check_gradients(squares, [1.0, 2.0], gradients=[np.array([2.0, 5.0])])
    with pytest.raises(ValueError, match="gradients: expected shape"):
        check_gradients(squares, [1.0, 2.0], gradients=[np.zeros(3)])
