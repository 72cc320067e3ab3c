"""Every activation of Keras's: kernels on each ISA, values from Keras, gradients, and training through the engine."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import equations
import lanewise._core as core
from activation_equations import CASES
from bounds import ALIKE, FMA_ISAS, SIZES, U, floats, gamma, running, same_bits, ulps
from lanewise import activations, keras, ops
from reference import Rounded

X = np.array([-7, -3, -1.5, -1, -0.5, -0.1, 0, 0.25, 0.75, 1, 2, 3, 6.5], np.float32)


def kernels(case):
    """(forward of x, backward of dy and what it reads) with the case's numbers."""
    forward, backward = (getattr(ops, f"{case.kernel}_{kind}") for kind in ("forward", "backward"))
    return (lambda x, **k: forward(x, **k, **case.numbers)), (lambda dy, of, **k: backward(dy, of, **k, **case.numbers))


def slope(case, x):
    """df/dx in float64 by central differences of the float64 value."""
    h = 1e-6 * np.maximum(1, np.abs(x.astype(np.float64)))
    up, down = x.astype(np.float64) + h, x.astype(np.float64) - h
    return (case.forward(up).value - case.forward(down).value) / (up - down)


# --- kernels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_forward_over_the_whole_range(isa, name):
    case, rng = CASES[name], np.random.default_rng(1)
    bits = rng.integers(0, 1 << 32, 60_000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([bits[np.abs(bits) < 1e18], floats(rng, 20_000) * 4, floats(rng, 5_000) * 40, X])
    forward, _ = kernels(case)
    with np.errstate(all="ignore"):
        want = case.forward(x)
        finite = np.abs(want.value) < 3e38
        Rounded(want.value[finite], want.error[finite]).assert_holds(forward(x)[finite], name)


@pytest.mark.parametrize("name", [*CASES, "sigmoid", "tanh"])
def test_two_units_in_the_last_place(isa, name):
    """What the table of docs/numerics.md says, on a sample; generic rounds more often."""
    rng = np.random.default_rng(8)
    bits = rng.integers(0, 1 << 32, 60_000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([bits[np.abs(bits) < 1e18], floats(rng, 20_000) * 4, floats(rng, 5_000) * 40])
    with np.errstate(all="ignore"):
        if name in CASES:
            got, want = kernels(CASES[name])[0](x), CASES[name].forward(x).value
        else:
            got = getattr(ops, name + "_forward")(x)
            want = np.tanh(x.astype(np.float64)) if name == "tanh" else equations.sigmoid(x.astype(np.float64))
        finite = np.abs(want) < 3e38
        assert ulps(got[finite], want[finite]) <= (2.5 if isa == "generic" else 2.0)


@pytest.mark.parametrize("name", CASES)
def test_backward(isa, threads, name):
    case, rng = CASES[name], np.random.default_rng(2)
    forward, backward = kernels(case)
    for rows, cols in [*((3, n) for n in SIZES), (2621, 101)]:
        x, dy = floats(rng, rows, cols) * 3, floats(rng, rows, cols)
        of = x if case.of_input else forward(x)
        case.backward(dy, of).assert_holds(backward(dy, of), (name, rows, cols))


@pytest.mark.parametrize("name", CASES)
def test_gradient_against_finite_differences(isa, name):
    case, rng = CASES[name], np.random.default_rng(3)
    forward, backward = kernels(case)
    x = floats(rng, 4000) * 3
    corners = np.array([-3, -1, 0, 1, 3, 6], np.float32)
    x = x[np.abs(x[:, None] - corners).min(axis=1) > 1e-4]  # not at a corner, where both sides are right
    of = x if case.of_input else forward(x)
    want, error = slope(case, x), case.backward(np.ones_like(x), of).error
    if not case.of_input:  # y itself is rounded, by up to 2 ULP
        error = error + 8 * U * (1 + np.abs(want))
    assert np.all(np.abs(backward(np.ones_like(x), of) - want) <= error + 3e-9 * (1 + np.abs(case.forward(x).value)))


@pytest.mark.parametrize("name", CASES)
def test_nan_stays_in_every_lane_and_place(isa, name):
    forward, backward = kernels(CASES[name])
    for shift in range(20):
        x = np.full(40, 0.25, np.float32)
        x[shift] = np.nan
        np.testing.assert_array_equal(np.isnan(forward(x)), np.isnan(x))
        np.testing.assert_array_equal(np.isnan(backward(x, np.full(40, 0.25, np.float32))), np.isnan(x))
        assert same_bits(forward(x)[:shift], forward(x[:shift].copy()))
    out = x.copy()
    assert forward(out, out=out) is out
    assert same_bits(out[:10], forward(x[:10].copy()))


def test_extremes():
    x = np.array([-3e38, -1e10, -200, 200, 1e10, 3e38], np.float32)
    for name, want in {
        "gelu": [0, 0, 0, 200, 1e10, 3e38],
        "silu": [0, 0, 0, 200, 1e10, 3e38],
        "mish": [0, 0, 0, 200, 1e10, 3e38],
        "softplus": [0, 0, 0, 200, 1e10, 3e38],
        "elu": [-1, -1, -1, 200, 1e10, 3e38],
        "softsign": [-1, -1, -200 / 201, 200 / 201, 1, 1],
        "hard_sigmoid": [0, 0, 0, 1, 1, 1],
        "hard_silu": [0, 0, 0, 200, 1e10, 3e38],
        "relu6": [0, 0, 0, 6, 6, 6],
    }.items():
        np.testing.assert_array_equal(activations.get(name)(x), np.array(want, np.float32), name)
        case = CASES[name]
        forward, backward = kernels(case)
        gradient = backward(np.ones_like(x), x if case.of_input else forward(x))
        assert np.isfinite(gradient).all(), name
        assert np.isfinite(ops.gelu_tanh_backward(np.ones_like(x), x)).all()


def test_log_softmax(isa, threads):
    rng = np.random.default_rng(4)
    for rows, cols in [*((3, n) for n in SIZES), (2, 513), (2, 1030), (2621, 101)]:
        x, dy = floats(rng, rows, cols) * 8, floats(rng, rows, cols)
        y = ops.log_softmax_forward(x)
        total = equations.exponentials(x).sum().column()
        (Rounded(x) - x.max(axis=1, keepdims=True) - total.function(np.log)).assert_holds(y, (rows, cols))
        want = Rounded(dy) - Rounded(y).function(np.exp) * Rounded(dy).sum().column()
        want.assert_holds(ops.log_softmax_backward(dy, y), (rows, cols))


def test_prelu(isa, threads):
    rng = np.random.default_rng(5)
    for rows, cols in [*((3, n) for n in SIZES), (2621, 101)]:
        x, dy, alpha = floats(rng, rows, cols), floats(rng, rows, cols), floats(rng, cols)
        assert same_bits(ops.prelu_forward(x, alpha), np.where(x > 0, x, alpha * x))
        assert same_bits(ops.prelu_backward(dy, x, alpha), np.where(x > 0, dy, alpha * dy))
        assert same_bits(ops.prelu_forward(x, alpha[:1]), np.where(x > 0, x, alpha[0] * x))
    with pytest.raises(ValueError, match="alpha: expected"):
        ops.prelu_forward(x, alpha[:-1].copy())


@pytest.mark.skipif(len(FMA_ISAS) < 2, reason="this CPU has one ISA with FMA")
def test_same_bits_on_every_fma_isa():
    rng = np.random.default_rng(6)
    x, dy = floats(rng, 33, 45) * 4, floats(rng, 33, 45)
    results = []
    for isa in FMA_ISAS:
        with running(isa):
            parts = [f(*a) for c in CASES.values() for f, a in zip(kernels(c), ((x,), (dy, x)), strict=True)]
            parts += [ops.log_softmax_forward(x), ops.log_softmax_backward(dy, x), ops.prelu_forward(x, dy[0])]
            results.append(b"".join(part.tobytes() for part in parts))
    assert len(set(results)) == 1


# --- by name -------------------------------------------------------------------------------------------------------

# keras.activations.get(name)(X[None])[0] of Keras 3.15, jax backend, float32
KERAS = json.loads((Path(__file__).parent / "golden" / "activations.json").read_text())


@pytest.mark.parametrize("name", KERAS)
def test_values_are_those_of_keras(name):
    f = activations.get(name)
    got = f(X[None])[0] if "softmax" in name else f(X)
    # Keras's own float32 is off by a few u of the largest term: 1 + erf, exp - 1
    np.testing.assert_allclose(got, KERAS[name], rtol=2e-6, atol=3e-7)
    layer = keras.layers.Activation(name)
    assert same_bits(np.asarray(layer(X[None]))[0], got)


def test_arguments_are_those_of_keras():
    # keras.activations on the jax backend, at [-2, -0.5, 0.5, 2, 5]
    x = np.array([-2, -0.5, 0.5, 2, 5], np.float32)
    for got, want in [
        (activations.relu(x, negative_slope=0.1), [-0.2, -0.05, 0.5, 2, 5]),
        (activations.relu(x, max_value=1.5), [0, 0, 0.5, 1.5, 1.5]),
        (activations.relu(x, threshold=1.0), [0, 0, 0, 2, 5]),
        (activations.relu(x, 0.1, 3.0, 1.0), [-0.3, -0.15, -0.05, 2, 3]),
        (activations.leaky_relu(x, 0.3), [-0.6, -0.15, 0.5, 2, 5]),
        (activations.leaky_relu(x, alpha=0.3), [-0.6, -0.15, 0.5, 2, 5]),
        (activations.elu(x, alpha=0.5), [-0.43233237, -0.19673467, 0.5, 2, 5]),
        (activations.celu(x, alpha=0.5), [-0.4908422, -0.31606028, 0.5, 2, 5]),
        (activations.gelu(x, approximate=True), [-0.0454023, -0.1542860, 0.3457140, 1.9545977, 4.9999998]),
    ]:
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    columns = np.stack([x, 2 * x])
    np.testing.assert_allclose(activations.softmax(columns, axis=0).sum(axis=0), 1, rtol=gamma(4))
    assert same_bits(activations.softmax(columns, axis=0), activations.softmax(columns.T).T)
    assert same_bits(activations.swish(x), activations.silu(x))
    for bad in ({"max_value": -1.0}, {"threshold": -0.5}, {"negative_slope": math.nan}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            activations.relu(x, **bad)


def test_layers_stand_as_activations_of_layers():
    x = floats(np.random.default_rng(7), 5, 4)
    leaky = keras.layers.LeakyReLU(alpha=0.1)
    layer = keras.layers.Dense(3, activation=leaky, input_shape=(4,))
    z = ops.dense_forward(x, *[layer(x), layer.get_weights()][1])
    assert same_bits(layer(x), ops.leaky_relu_forward(z, negative_slope=0.1))
    again = keras.layers.Dense.from_config(layer.get_config())
    again.build((None, 4))
    again.set_weights(layer.get_weights())
    assert same_bits(again(x), layer(x))
    assert keras.activations.get(keras.activations.serialize(leaky)).negative_slope == 0.1
    with pytest.raises(ValueError, match="layer of its own"):
        keras.layers.Dense(3, activation=keras.layers.PReLU())
    with pytest.raises(ValueError, match="leaky_relu"):
        keras.layers.Dense(3, activation="leaky_rely")


# --- in the engine -------------------------------------------------------------------------------------------------

ENGINE = {name: (case.kernel, case.attributes) for name, case in CASES.items()} | {
    "log_softmax": ("log_softmax", {}),
    "gaussian_noise": ("gaussian_noise", {"stddev": 0.5}),
    "gaussian_dropout": ("gaussian_dropout", {"rate": 0.3}),
    "alpha_dropout": ("alpha_dropout", {"rate": 0.3}),
}


def network(operation, attributes, fuse):
    """20-70-33-3 with the operation after each hidden layer; the same values every time."""
    rng, graph, variables = np.random.default_rng(0), core.Graph(), []
    value = graph.input([20])
    for k, n in [(20, 70), (70, 33), (33, 3)]:
        kernel, bias = core.Variable((k, n)), core.Variable((n,))
        small = 4 if operation == "exponential" else 1
        kernel.set(floats(rng, k, n) / np.float32(small * np.sqrt(k)))
        bias.set(floats(rng, n) / np.float32(4))
        variables += [kernel, bias]
        value = graph.add("bias_add", [graph.add("matmul", [value], [kernel])], [bias])
        if n > 3 and operation == "prelu":
            alpha = core.Variable((n,))
            alpha.set(np.full(n, 0.25, np.float32))
            variables.append(alpha)
            value = graph.add("prelu", [value], [alpha])
        elif n > 3:
            value = graph.add(operation, [value], **attributes)
    return core.Network(graph, [value], [("mse", value, 0.0, 1.0)], trainable=variables, fuse=fuse), variables


@pytest.mark.parametrize("name", [*ENGINE, "prelu"])
def test_fused_and_unfused_at_any_team_give_the_same_bits(name):
    operation, attributes = ENGINE.get(name, (name, {}))
    rng = np.random.default_rng(1)
    x, y = floats(rng, 150, 20), floats(rng, 150, 3)
    results = set()
    for isa in ALIKE[:2]:
        for threads, fuse in [(1, True), (1, False), (2, True), (2, False), (3, True), (7, False)]:
            with running(isa, threads):
                net, variables = network(operation, attributes, fuse)
                optimizer = core.Optimizer("adam", learning_rate=0.01)
                sums = [net.train([x], [y], None, None, 0, 150, 32, optimizer, 5) for _ in range(3)]
                out = np.empty((150, 3), np.float32)
                net.predict([x], 0, 150, [out])
                alone = np.empty((1, 3), np.float32)
                net.predict([x[77:78]], 0, 1, [alone])
                assert same_bits(alone[0], out[77])
                results.add(
                    np.concatenate(sums).tobytes() + b"".join(v.get().tobytes() for v in variables) + out.tobytes()
                )
    assert len(results) == 1
    assert np.isfinite(out).all()


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_a_network_against_float64(name):
    """mse(act(x W0 + b0) W1 + b1), every derivative by central differences in float64."""
    case, rng = CASES[name], np.random.default_rng(2)
    x, y = floats(rng, 6, 3).astype(np.float64), floats(rng, 6, 2).astype(np.float64)
    weights = [floats(rng, *shape) for shape in ((3, 5), (5,), (5, 2), (2,))]

    def loss(w):
        hidden = case.forward(x @ w[0] + w[1]).value
        return np.mean((hidden @ w[2] + w[3] - y) ** 2)

    graph, variables = core.Graph(), [core.Variable(w.shape) for w in weights]
    for variable, w in zip(variables, weights, strict=True):
        variable.set(w)
    value = graph.add("bias_add", [graph.add("matmul", [graph.input([3])], variables[:1])], variables[1:2])
    value = graph.add(case.kernel, [value], **case.attributes)
    value = graph.add("bias_add", [graph.add("matmul", [value], variables[2:3])], variables[3:])
    net = core.Network(graph, [value], [("mse", value, 0.0, 1.0)], trainable=variables)
    sums, gradients = net.value_and_grad([x], [y], None, True, 0, 0)
    exact = [w.astype(np.float64) for w in weights]
    assert sums[1] / 6 == pytest.approx(loss(exact), rel=2e-6)
    for which, gradient in enumerate(gradients):
        for at in np.ndindex(gradient.shape):
            keep = exact[which][at]
            exact[which][at] = keep + 1e-6
            up = loss(exact)
            exact[which][at] = keep - 1e-6
            down = loss(exact)
            exact[which][at] = keep
            assert gradient[at] == pytest.approx((up - down) / 2e-6, rel=2e-5, abs=5e-6), (which, at)


def test_the_lists_keep_the_sum_where_the_gradient_reads_it():
    fused = network("gelu", {}, True)[0]
    train, predict = fused.instructions("train"), fused.instructions("predict")
    dense = [line for line in train if "dense" in line and "gelu" in line]
    assert len(dense) == 2
    assert all(line.partition("->")[2].count(" t") == 2 for line in dense)  # the value and the sum before it
    assert not any(line.lstrip("| ").startswith("activation") for line in train)
    assert all(line.partition("->")[2].count(" t") == 1 for line in predict)
    assert not any("keep" in line for line in network("exponential", {}, True)[0].instructions("train"))
    for line in network("softsign", {}, True)[0].instructions("train"):
        assert line.partition("->")[2].count(" t") <= 1
    dx = [line for line in train if "matmul_dx" in line]
    assert all("gelu" in line for line in dx)


def test_a_sum_with_other_readers_is_left_alone():
    """The sum before gelu is an output too: it is written, and the activation reads it from there."""
    rng, results = np.random.default_rng(3), []
    x, w0 = floats(rng, 40, 5), floats(rng, 5, 33)
    for fuse in (True, False):
        graph, w = core.Graph(), core.Variable((5, 33))
        w.set(w0)
        z = graph.add("matmul", [graph.input([5])], [w])
        y = graph.add("gelu", [z])
        net = core.Network(graph, [z, y], [("mse", y, 0.0, 1.0)], trainable=[w], fuse=fuse)
        outs = [np.empty((40, 33), np.float32) for _ in range(2)]
        net.predict([x], 0, 40, outs)
        assert same_bits(outs[0], ops.matmul(x, w0))
        assert same_bits(outs[1], ops.gelu_forward(outs[0]))
        results.append(net.value_and_grad([x], [outs[0]], None, True, 0, 0)[1][0].tobytes())
    assert len(set(results)) == 1


def test_graph_checks_the_numbers_of_an_activation():
    graph = core.Graph()
    value = graph.input([4])
    for operation, attributes, text in [
        ("elu", {}, "alpha"),
        ("leaky_relu", {"slope": 0.1, "threshold": 0.0}, "most"),
        ("gelu", {"approximate": 1.0}, "no attribute"),
        ("softplus", {"sign": math.nan}, "sign"),
        ("gaussian_noise", {"rate": 0.1}, "no attribute"),
        ("gaussian_noise", {"stddev": -1.0}, "stddev"),
        ("alpha_dropout", {"rate": 1.0}, "rate"),
    ]:
        with pytest.raises(ValueError, match=text):
            graph.add(operation, [value], **attributes)
    with pytest.raises(ValueError, match="alpha"):
        graph.add("prelu", [value], [core.Variable((3,))])
