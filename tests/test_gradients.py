"""Gradients of the engine: against the twin, against differences of the twin's loss, and as steps of training."""

import numpy as np
import pytest

import lanewise as lw
import twin
from bounds import floats, running, same_bits
from lanewise._core import Graph, Network, Optimizer, Variable

RNG = np.random.default_rng(31)
X = floats(RNG, 40, 6)
LABELS = RNG.integers(0, 3, 40)
TARGETS = {
    "mse": floats(RNG, 40, 3),
    "mae": floats(RNG, 40, 3),
    "huber": 2 * floats(RNG, 40, 3),
    "binary_crossentropy": RNG.random((40, 3)).astype(np.float32),
    "categorical_crossentropy": np.eye(3, dtype=np.float32)[LABELS],
    "sparse_categorical_crossentropy": LABELS,
}


def network(activation="tanh", loss="mse", l1=0.0, l2=0.0, fuse=True):
    """6-7-3 by hand: (network, its variables, the twin's layers)."""
    rng = np.random.default_rng(1)
    graph = Graph()
    kernels = [Variable((6, 7)), Variable((7, 3))]
    biases = [Variable((7,)), Variable((3,))]
    for variable in (*kernels, *biases):
        variable.set(floats(rng, *variable.shape) / 2)
    value = graph.input((6,))
    for kernel, bias, name in zip(kernels, biases, (activation, "linear"), strict=True):
        value = graph.add(name, [graph.add("bias_add", [graph.add("matmul", [value], [kernel])], [bias])])
    variables = [kernels[0], biases[0], kernels[1], biases[1]]
    penalties = [(kernels[0], l1, l2)]
    built = Network(graph, [value], [(loss, value, 1.0 if loss == "huber" else 0.0, 1.0)], [], variables, penalties,
                    fuse=fuse)  # fmt: skip
    layers = [
        twin.Dense(kernels[0].get(), biases[0].get(), activation, l1, l2),
        twin.Dense(kernels[1].get(), biases[1].get()),
    ]
    return built, variables, layers


def differences(layers, loss, y, row_weights=None):
    """Central differences of the twin's loss, one element of one weight at a time."""
    step = 1e-6
    for weight in twin.weights_of(layers):
        gradient = np.empty_like(weight)
        for at in np.ndindex(weight.shape):
            kept = weight[at]
            sides = []
            for side in (kept + step, kept - step):
                weight[at] = side
                sides.append(twin.value_and_grad(layers, loss, X, y, row_weights)[0])
            weight[at] = kept
            gradient[at] = (sides[0] - sides[1]) / (2 * step)
        yield gradient


@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh", "softmax"])
def test_gradients_are_the_differences_of_the_loss(activation, loss):
    y = TARGETS[loss]
    built, variables, layers = network(activation, loss, l1=0.01, l2=0.02)
    before = [v.get() for v in variables]
    sums, gradients = built.value_and_grad([X], [y], None, True, 0, 0)
    value, expected = twin.value_and_grad(layers, loss, X, y)
    assert sums[0] == 40
    assert sums[1] / sums[0] == pytest.approx(value, rel=1e-6)
    for got, want, difference in zip(gradients, expected, differences(layers, loss, y), strict=True):
        np.testing.assert_allclose(want, difference, rtol=0, atol=1e-8)  # the twin is right
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)  # and so is the engine
        assert np.abs(want).max() > 1e-3
    assert all(same_bits(a, v.get()) for a, v in zip(before, variables, strict=True))


def test_gradients_with_row_weights():
    weights = RNG.uniform(0, 3, 40).astype(np.float32)
    built, _, layers = network("tanh", "mse")
    sums, gradients = built.value_and_grad([X], [TARGETS["mse"]], weights, True, 0, 0)
    value, _ = twin.value_and_grad(layers, "mse", X, TARGETS["mse"], weights)
    assert sums[1] / sums[0] == pytest.approx(value, rel=1e-6)
    for got, want in zip(gradients, differences(layers, "mse", TARGETS["mse"], weights), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def test_gradients_through_dropout_follow_its_masks():
    rng = np.random.default_rng(2)
    graph, kernel, bias, last, last_bias = Graph(), Variable((6, 8)), Variable((8,)), Variable((8, 1)), Variable((1,))
    for variable in (kernel, bias, last, last_bias):
        variable.set(floats(rng, *variable.shape))
    hidden = graph.add("bias_add", [graph.add("matmul", [graph.input((6,))], [kernel])], [bias])
    dropped = graph.add("dropout", [hidden], rate=0.25)
    out = graph.add("bias_add", [graph.add("matmul", [dropped], [last])], [last_bias])
    variables = [kernel, bias, last, last_bias]
    built = Network(graph, [hidden, dropped, out], [("mse", out, 0.0, 1.0)], [], variables)
    y = TARGETS["mse"][:, :1]
    before, after, _ = built.call([X], True, 7, 3)
    mask = after != 0
    np.testing.assert_allclose(after[mask], before[mask] / 0.75, rtol=1e-6)
    assert 0.6 < mask.mean() < 0.9
    layers = [
        twin.Dense(kernel.get(), bias.get()),
        twin.Dropout(0.25, [mask]),
        twin.Dense(last.get(), last_bias.get()),
    ]
    value, expected = twin.value_and_grad(layers, "mse", X, y)
    sums, gradients = built.value_and_grad([X], [y], None, True, 7, 3)
    assert sums[1] / sums[0] == pytest.approx(value, rel=1e-6)
    for got, want in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)
    assert same_bits(*built.call([X], False, 7, 3)[:2])  # off: what goes in comes out


@pytest.mark.parametrize(
    ("name", "hyper"),
    [
        ("sgd", {"momentum": 0.9}),
        ("adam", {"weight_decay": 0.01}),
        ("adam", {"global_clipnorm": 0.1}),
        ("rmsprop", {"clipnorm": 0.1}),
        ("rmsprop", {"clipvalue": 0.01, "centered": 1.0}),
    ],
)
def test_applied_gradients_are_a_training_step(name, hyper):
    one, one_variables, _ = network("relu", l2=0.01)
    two, two_variables, _ = network("relu", l2=0.01)
    first, second = Optimizer(name, **hyper), Optimizer(name, **hyper)
    y = TARGETS["mse"]
    for threads in (1, 2, 3):
        with running(threads=threads):
            one.train([X], [y], None, None, 0, 40, 40, first, 0)
            two.apply_gradients(second, two.value_and_grad([X], [y], None, True, 0, second.iterations)[1])
    assert first.iterations == second.iterations == 3
    for a, b in zip(one_variables, two_variables, strict=True):
        assert same_bits(a.get(), b.get())
        assert all(same_bits(s, t) for s, t in zip(first.get_slots(a), second.get_slots(b), strict=True))


def test_a_models_gradients_train_it():
    models = []
    for _ in range(2):
        lw.random.set_seed(3)
        models.append(lw.Sequential([lw.layers.Dense(5, "tanh", input_shape=(6,)), lw.layers.Dense(3)]))
        models[-1].compile("adam", "mse")
    losses = []
    for _ in range(4):
        loss, gradients = models[0].value_and_grad(X, TARGETS["mse"])
        models[0].apply_gradients(zip(gradients, models[0].trainable_weights, strict=True))
        losses.append(loss)
    history = models[1].fit(X, TARGETS["mse"], batch_size=40, epochs=4, shuffle=False, verbose=0).history
    assert losses == history["loss"]
    assert lw.fingerprint(models[0]) == lw.fingerprint(models[1])


def test_a_graph_refuses_what_does_not_fit():
    graph, kernel = Graph(), Variable((6, 7))
    x = graph.input((6,))
    before = graph.operations()
    for add, text in [
        (lambda: graph.add("matmul", [x + 1], [kernel]), "No value has the id 1"),
        (lambda: graph.add("matmul", [-1], [kernel]), "No value has the id -1"),
        (lambda: graph.add("matmul", [x], [Variable((5, 7))]), r"kernel of shape \(6, n\)"),
        (lambda: graph.add("matmul", [x], [Variable((7,))]), r"kernel of shape \(6, n\)"),
        (lambda: graph.add("matmul", [x]), "takes 1 variables. Received: 0"),
        (lambda: graph.add("bias_add", [x], [Variable((7,))]), r"variable of shape \(6,\)"),
        (lambda: graph.add("relu", [x, x]), "takes one input"),
        (lambda: graph.add("dropout", [x], rate=1.01), "rate in"),
        (lambda: graph.add("dropout", [x]), "rate in"),
        (lambda: graph.add("relu", [x], rate=0.5), "no attribute 'rate'"),
        (lambda: graph.add("conv", [x]), "Unknown operation.*matmul.*'conv'"),
        (lambda: graph.input((0,)), "axes of at least 1"),
    ]:
        with pytest.raises(ValueError, match=text):
            add()
    assert graph.operations() == before
    out = graph.add("matmul", [x], [kernel])
    loss = [("mse", out, 0.0, 1.0)]
    for arguments, text in [
        (([out + 1],), "No value has the id 2"),
        (([out], [("mse", out + 5, 0.0, 1.0)]), "No value has the id 6"),
        (([out], [("msee", out, 0.0, 1.0)]), "Unknown loss.*'msee'"),
        (([out], loss, [("mae", out, 0.0, 3, False)]), "no target has the index 3"),
        (([out], loss, [], [Variable((3,))]), "trainable: a variable that no operation"),
        (([out], loss, [], [kernel], [(Variable((3,)), 0.1, 0.1)]), "regularizers: a variable that no operation"),
        (([out], loss, [], [kernel], [], [(kernel, "nonneg", 0, 0, 0)]), "constraints: expected .*'nonneg'"),
    ]:
        with pytest.raises(ValueError, match=text):
            Network(graph, *arguments)


def test_bad_gradients_slots_and_values_change_nothing():
    built, variables, _ = network()
    optimizer = Optimizer("adam")
    before = [v.get() for v in variables]
    right = [np.ones(v.shape, np.float32) for v in variables]
    for wrong, error in [
        (right[:3], ValueError),
        ([*right[:3], np.ones(4, np.float32)], ValueError),
        ([*right[:3], np.ones(3)], TypeError),
        ([*right[:3], None], TypeError),
    ]:
        with pytest.raises(error, match="gradients"):
            built.apply_gradients(optimizer, wrong)
    with pytest.raises(ValueError, match="values"):
        optimizer.set_slots(variables[0], [right[0]])
    with pytest.raises(ValueError, match="value"):
        variables[0].set(right[1])
    with pytest.raises(TypeError, match="value"):
        variables[0].set(np.ones(variables[0].shape))
    with pytest.raises(ValueError, match="no hyper-parameter 'rho'"):
        optimizer.set("rho", 0.5)
    with pytest.raises(ValueError, match="Unknown optimizer"):
        Optimizer("adamm")
    assert optimizer.iterations == 0
    assert all(same_bits(a, v.get()) for a, v in zip(before, variables, strict=True))
    assert not any(slot.any() for v in variables for slot in optimizer.get_slots(v))
