"""LeakyReLU, PReLU, ELU, ReLU with arguments, Softmax, Activation of any name, and the noise layers."""

from statistics import NormalDist

import numpy as np
import pytest

import lanewise as lw
import lanewise._core as core
from bounds import ALIKE, floats, running, same_bits
from lanewise import keras, ops
from reference import dropout_mask, random_words

layers = keras.layers


def test_layers_compute_what_their_kernels_do():
    x = floats(np.random.default_rng(0), 5, 3, 4) * 4
    for layer, want in [
        (layers.LeakyReLU(), ops.leaky_relu_forward(x, negative_slope=0.3)),
        (layers.LeakyReLU(0.01), ops.leaky_relu_forward(x, negative_slope=0.01)),
        (layers.LeakyReLU(alpha=0.2), ops.leaky_relu_forward(x)),
        (layers.ELU(0.5), ops.elu_forward(x, alpha=0.5)),
        (layers.ReLU(), ops.relu_forward(x)),
        (layers.ReLU(max_value=6), ops.leaky_relu_forward(x, negative_slope=0.0, max_value=6.0)),
        (layers.ReLU(2, 0.1, 0.5), ops.leaky_relu_forward(x, negative_slope=0.1, threshold=0.5, max_value=2.0)),
        (layers.Softmax(), ops.softmax_forward(x)),
        (layers.Softmax(axis=[-1]), ops.softmax_forward(x)),
        (layers.Activation("log_softmax"), ops.log_softmax_forward(x)),
        (layers.Activation(layers.ELU(0.5)), ops.elu_forward(x, alpha=0.5)),
        (layers.PReLU("zeros"), x * (x > 0)),
    ]:
        np.testing.assert_array_equal(layer(x), want)
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        np.testing.assert_array_equal(again(x), want)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: layers.LeakyReLU(-0.1), ValueError, "negative_slope: expected a finite number >= 0"),
        (lambda: layers.ReLU(max_value=-1), ValueError, "max_value: expected a number >= 0"),
        (lambda: layers.ReLU(threshold=-1), ValueError, "threshold"),
        (lambda: layers.ReLU(negative_slope=-1), ValueError, "negative_slope"),
        (lambda: layers.ELU("x"), TypeError, "alpha"),
        (lambda: layers.Softmax(1)(np.zeros((2, 3, 4))), NotImplementedError, "axis: softmax runs along the last"),
        (lambda: layers.PReLU(shared_axes=[3])(np.zeros((2, 3))), ValueError, "shared_axes"),
        (lambda: layers.PReLU(shared_axes=[2])(np.zeros((2, 3, 4))), NotImplementedError, "shared_axes"),
        (lambda: layers.PReLU(alpha_constraint="max_norm")(np.zeros((2, 3, 4))), NotImplementedError, "constraint"),
        (lambda: layers.GaussianNoise(1.5), ValueError, "stddev: expected a number in"),
        (lambda: layers.GaussianDropout(1.0), ValueError, "rate"),
        (lambda: layers.AlphaDropout(-0.1), ValueError, "rate"),
        (lambda: layers.AlphaDropout(0.1, noise_shape=(1, 2)), NotImplementedError, "noise_shape"),
        (lambda: layers.LeakyReLU(slope=0.1), TypeError, "unknown argument 'slope'"),
    ],
)
def test_slips_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_functions_on_symbolic_tensors_make_layers():
    inputs = keras.Input((4,))
    x = keras.activations.gelu(layers.Dense(5)(inputs))
    x = keras.activations.relu(keras.activations.elu(x, alpha=0.5), max_value=3.0)
    model = keras.Model(inputs, lw.nn.softmax(keras.activations.linear(x)))
    assert [type(layer).__name__ for layer in model.layers[2:]] == ["Activation", "ELU", "ReLU", "Activation"]
    data = floats(np.random.default_rng(1), 6, 4)
    z = ops.gelu_forward(ops.dense_forward(data, *model.layers[1].get_weights()))
    want = ops.leaky_relu_forward(ops.elu_forward(z, alpha=0.5), negative_slope=0.0, max_value=3.0)
    assert same_bits(model.predict(data, verbose=0), ops.softmax_forward(want))
    with pytest.raises(NotImplementedError, match="gelu_tanh"):
        keras.activations.gelu(inputs, approximate=True)


# --- PReLU -------------------------------------------------------------------------------------------------------

# Keras 3.15 (jax backend): PReLU(Constant(0.25), L2(0.01), shared_axes), Flatten, Dense(1) with the kernel given below,
# SGD(0.05), mse, batches of 4, no shuffle: alpha after five epochs, and the losses
PRELU = [
    ((6,), None, [0.421033323, 0.382982045, 0.410493821, 0.362193853, 0.250372797, 0.240390256],
     [4.90317059, 4.06591654, 3.55991173, 3.14702368, 2.7524538]),
    ((3, 4), None, [0.318057477, 0.414550394, 0.246387482, -0.39127627, 0.249342248, 0.26291734, 0.0655461848,
                    0.21376726, 0.475395083, 0.254903257, 0.362558901, 0.193307981],
     [13.4061241, 9.78456116, 8.30759239, 7.32978582, 6.47594976]),
    ((3, 4), [1], [0.784470856, 0.959522963, 0.835976362, 0.547088027],
     [13.3952208, 7.75123882, 4.81530094, 2.83459401, 1.59157526]),
    ((6,), [1], [0.626664877], [6.89886475, 5.3554225, 4.52794409, 3.84836483, 3.09110069]),
]  # fmt: skip


def test_prelu_trains_as_in_keras(tmp_path):
    rng = np.random.default_rng(3)
    for sample, shared, alpha, losses in PRELU:
        x = floats(rng, 8, *sample)
        layer = layers.PReLU(keras.initializers.Constant(0.25), keras.regularizers.L2(0.01), shared_axes=shared)
        model = keras.Sequential([keras.Input(sample), layer, layers.Flatten(), layers.Dense(1)])
        kernel = (rng.standard_normal((int(np.prod(sample)), 1)) / 3).astype(np.float32)
        model.layers[-1].set_weights([kernel, np.zeros(1)])
        model.compile(keras.optimizers.SGD(0.05), "mse")
        history = model.fit(x, x.reshape(8, -1).sum(axis=1), epochs=5, batch_size=4, shuffle=False, verbose=0)
        np.testing.assert_allclose(history.history["loss"], losses, rtol=2e-5)
        own = layer.get_weights()[0]
        assert own.shape == tuple(1 if i + 1 in (shared or ()) else n for i, n in enumerate(sample))
        np.testing.assert_allclose(own.ravel(), alpha, rtol=2e-5, atol=2e-6)
        _, gradients = model.value_and_grad(x, x.reshape(8, -1).sum(axis=1))
        assert [g.shape for g in gradients] == [w.shape for w in model.trainable_weights]
        model.apply_gradients(gradients)
        model.save(tmp_path / "model.lanewise")
        assert same_bits(lw.load_model(tmp_path / "model.lanewise").predict(x, verbose=0), model.predict(x, verbose=0))


def test_prelu_of_several_rows_gives_the_same_bits_fused_and_at_any_team():
    """Alpha for each element of a sample of 3 rows, one for each column, one for all; two uses of one alpha."""
    rng = np.random.default_rng(4)
    x, y, w0 = floats(rng, 37, 3, 33), floats(rng, 37, 3, 33), floats(rng, 33, 33) / np.float32(6)
    for size in (99, 33, 1):
        results = set()
        for isa in ALIKE:
            for threads, fuse in [(1, True), (2, True), (2, False), (3, False), (7, True)]:
                with running(isa, threads):
                    graph, w, alpha = core.Graph(), core.Variable((33, 33)), core.Variable((size,))
                    w.set(w0)
                    alpha.set(np.full(size, 0.3, np.float32))
                    value = graph.add("prelu", [graph.input([3, 33])], [alpha])
                    value = graph.add("prelu", [graph.add("matmul", [value], [w])], [alpha])
                    net = core.Network(graph, [value], [("mse", value, 0.0, 1.0)], trainable=[w, alpha], fuse=fuse)
                    sums, gradients = net.value_and_grad([x], [y], None, True, 0, 0)
                    optimizer = core.Optimizer("adam", learning_rate=0.01)
                    net.train([x], [y], None, None, 0, 37, 16, optimizer, 5)
                    parts = [sums, *gradients, w.get(), alpha.get()]
                    results.add(b"".join(part.tobytes() for part in parts))
        assert len(results) == 1


def test_frozen_prelu_stays():
    x = floats(np.random.default_rng(5), 40, 3)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.PReLU("ones"), layers.Dense(1)])
    model.layers[1].trainable = False
    model.compile("sgd", "mse")
    before = model.layers[0].get_weights()[0]
    model.fit(x, x[:, 0], verbose=0)
    assert same_bits(model.layers[1].get_weights()[0], np.ones(4))
    assert not same_bits(model.layers[0].get_weights()[0], before)


# --- noise -------------------------------------------------------------------------------------------------------

NOISE = [layers.GaussianNoise(0.5), layers.GaussianDropout(0.3), layers.AlphaDropout(0.2)]


@pytest.mark.parametrize("layer", NOISE, ids=lambda layer: layer.name)
def test_noise_only_in_training(layer):
    x = floats(np.random.default_rng(6), 50, 7)
    assert same_bits(layer(x), x)
    first = layer(x, training=True).numpy()
    assert not same_bits(first, x)
    assert not same_bits(layer(x, training=True), first)
    keras.utils.set_random_seed(11)
    again = layer(x, training=True).numpy()
    keras.utils.set_random_seed(11)
    assert same_bits(layer(x, training=True), again)
    off = type(layer).from_config({**layer.get_config(), "stddev" if "noise" in layer.name else "rate": 0.0})
    assert same_bits(off(x, training=True), x)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_gaussian_noise_is_normal():
    keras.utils.set_random_seed(1)
    zeros = np.zeros((1000, 1000), np.float32)
    z = np.sort(layers.GaussianNoise(1.0)(zeros, training=True).numpy().ravel().astype(np.float64))
    assert z.mean() == pytest.approx(0, abs=0.004)  # 4 standard errors
    assert z.std() == pytest.approx(1, abs=0.003)
    assert (z**3).mean() == pytest.approx(0, abs=0.016)
    assert (z**4).mean() == pytest.approx(3, abs=0.04)
    assert 4.4 < z[-1] < 6.4
    from activation_equations import normal_cdf

    steps = np.arange(0, z.size, 997)  # Kolmogorov and Smirnov: 1.95 / sqrt(n) is exceeded once in 1000 times
    assert np.abs(normal_cdf(z[steps]) - (steps + 0.5) / z.size).max() < 1.95e-3


def run(operation, attributes, x, seed=5, step=3):
    """Output of the operation while training."""
    graph = core.Graph()
    value = graph.add(operation, [graph.input(list(x.shape[1:]))], **attributes)
    return core.Network(graph, [value]).call([x], True, seed, step)[0], value


def test_every_element_has_its_word(isa, threads):
    """z is the inverse of the normal distribution at the lower 31 bits of the word, signed by the upper one."""

    rng = np.random.default_rng(7)
    for shape in [(5, 33), (40, 3, 7), (1, 1), (13, 130)]:
        x = floats(rng, *shape)
        got, node = run("gaussian_noise", {"stddev": 0.5}, x)
        words = random_words(5, 2, 3, node, x.size).reshape(shape)
        z = np.array([-NormalDist().inv_cdf((int(w & 0x7FFFFFFF) + 0.5) / 2**32) for w in words.flat]).reshape(shape)
        z = np.where(words >> 31, -z, z)
        assert np.all(np.abs(got - (x + 0.5 * z)) <= 2e-6 + 4e-7 * np.abs(x))
        got, _ = run("gaussian_dropout", {"rate": 0.2}, x)
        assert np.all(np.abs(got - x * (1 + 0.5 * z)) <= 2e-6 * np.abs(x) + 4e-7 * np.abs(x * z) + 1e-12)
        got, _ = run("alpha_dropout", {"rate": 0.2}, x)
        kept = dropout_mask(5, 3, node, shape, 0.2) > 0
        low = -1.7580993408473766
        a = (0.8 * (1 + 0.2 * low**2)) ** -0.5
        want = a * np.where(kept, x, low) - a * low * 0.2
        assert np.all(np.abs(got - want) <= 4e-7 * (1 + np.abs(x)))


def test_alpha_dropout_keeps_mean_and_variance():
    keras.utils.set_random_seed(2)
    x = floats(np.random.default_rng(8), 1000, 500)
    y = layers.AlphaDropout(0.3)(x, training=True).numpy().astype(np.float64)
    assert y.mean() == pytest.approx(0, abs=0.008)
    assert y.var() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("operation", "attributes"),
    [("gaussian_noise", {"stddev": 0.5}), ("gaussian_dropout", {"rate": 0.3}), ("alpha_dropout", {"rate": 0.3})],
)
def test_gradients_meet_the_same_noise(operation, attributes):
    """The loss is a quadratic in w for a given draw: its difference quotient is exact but for rounding."""
    rng = np.random.default_rng(9)
    x, y, w0 = floats(rng, 30, 4), floats(rng, 30, 5), floats(rng, 4, 5)
    graph, w = core.Graph(), core.Variable((4, 5))
    w.set(w0)
    value = graph.add(operation, [graph.add("matmul", [graph.input([4])], [w])], **attributes)
    net = core.Network(graph, [value], [("mse", value, 0.0, 1.0)], trainable=[w])
    gradient = net.value_and_grad([x], [y], None, True, 1, 2)[1][0]

    def loss(weights):
        w.set(weights.astype(np.float32))
        out = net.call([x], True, 1, 2)[0].astype(np.float64)
        return np.mean((out - y) ** 2)

    for at in np.ndindex(4, 5):
        step = np.zeros_like(w0)
        step[at] = 0.5
        assert gradient[at] == pytest.approx(loss(w0 + step) - loss(w0 - step), rel=2e-5, abs=2e-6)


def test_numbers_that_are_set_later_hold_in_copies_and_here():
    """The layer went on with those that it was made with, and its files had the new ones."""
    x = np.linspace(-2, 2, 15, dtype=np.float32).reshape(3, 5)
    for make, name, value in (
        (lw.layers.LeakyReLU, "negative_slope", 0.9),
        (lw.layers.ReLU, "max_value", 0.5),
        (lw.layers.ReLU, "threshold", 0.25),
        (lw.layers.ReLU, "negative_slope", 0.5),
        (lw.layers.ELU, "alpha", 0.5),
    ):
        layer = make()
        setattr(layer, name, value)
        model = lw.Sequential([lw.Input((5,)), layer])
        other = lw.Sequential([lw.Input((5,)), make(**{name: value})])
        np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))
