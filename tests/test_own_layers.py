"""Layers and activations that a person wrote in Python, inside the engine."""

import threading

import numpy as np
import pytest

import lanewise as lw
from bounds import running
from lanewise import keras
from lanewise.keras import layers, ops

RNG = np.random.default_rng(12)
X = RNG.standard_normal((200, 5)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:2] + X[:, 2:3]).astype(np.float32)


class MyDense(layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs):
        return self.activation(ops.matmul(inputs, self.w) + self.b)


class OperatorDense(MyDense):
    def build(self, input_shape):
        super().build(input_shape)
        self.built = True

    def call(self, inputs, training=None):
        return self.activation(inputs @ self.w + self.b)


class Residual(layers.Layer):
    """Layers of the package inside one in Python."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.inner = [layers.Dense(units, activation="tanh"), layers.Dense(5)]
        self.scale = self.add_weight(shape=(5,), initializer="ones", name="scale")

    def call(self, inputs):
        x = inputs
        for layer in self.inner:
            x = layer(x)
        return inputs + x * self.scale


class MCDropout(layers.Dropout):
    def call(self, inputs):
        return super().call(inputs, training=True)


class Cube(layers.Layer):
    """Forward and backward in NumPy."""

    def build(self, input_shape):
        self.a = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="a")

    def call(self, inputs):
        return np.asarray(inputs) ** 3 * self.a

    def backward(self, inputs, outputs, gradient):
        return gradient * 3 * inputs**2 * self.a.numpy(), [(gradient * inputs**3).sum(axis=0)]


def softplus(x):
    return ops.log(1.0 + ops.exp(x))


def trained(*stack, loss="mse", epochs=3, copy=None):
    model = lw.Sequential([lw.Input((5,)), *stack])
    if copy is not None:
        model.set_weights(copy)
    model.compile(lw.optimizers.Adam(0.01), loss)
    history = model.fit(X, Y, epochs=epochs, batch_size=32, shuffle=False, verbose=0).history["loss"]
    return model, history


@pytest.mark.parametrize("kind", [MyDense, OperatorDense])
def test_a_dense_layer_in_python_trains_as_ours(kind):
    start = lw.Sequential([lw.Input((5,)), layers.Dense(8, "tanh"), layers.Dense(1)]).get_weights()
    ours, history = trained(layers.Dense(8, "tanh"), layers.Dense(1), copy=start)
    model, own_history = trained(kind(8, "tanh"), kind(1), copy=start)
    np.testing.assert_allclose(own_history, history, rtol=1e-4)
    for own, kernel in zip(model.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(own, kernel, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(model.predict(X, verbose=0), ours.predict(X, verbose=0), rtol=1e-3, atol=1e-4)
    assert [w.path.rsplit("/", 1)[1] for w in model.weights] == ["kernel", "bias"] * 2
    assert model.count_params() == 5 * 8 + 8 + 8 + 1 and model.layers[0].output_shape == (None, 8)


@pytest.mark.parametrize(
    "make",
    [
        lambda: [MyDense(4, softplus), MyDense(1)],
        lambda: [layers.Dense(5, "tanh"), Residual(6), layers.Dense(1)],
        lambda: [layers.Dense(3, "tanh"), Cube(), layers.Dense(1)],
        lambda: [layers.Dense(4, softplus), layers.Dense(1)],
        lambda: [layers.Dense(4), layers.Activation(softplus), layers.Dense(1)],
        lambda: [MyDense(4, "gelu"), MyDense(3, "softmax"), MyDense(1, "swish")],
    ],
    ids=["dense", "residual", "backward", "activation", "activation layer", "engine's activations"],
)
def test_gradients_are_those_of_differences(make):
    lw.utils.set_random_seed(4)
    model = lw.Sequential([lw.Input((5,)), *make()])
    model.compile("sgd", "mse")
    _, gradients = model.value_and_grad(X[:8], Y[:8])
    start = [w.numpy() for w in model.trainable_weights]
    h = 1e-2
    for weight, gradient, value in zip(model.trainable_weights, gradients, start, strict=True):
        assert gradient.shape == value.shape
        for place in list(np.ndindex(value.shape))[:6]:
            sides = []
            for step in (h, -h):
                moved = value.copy()
                moved[place] += step
                weight.assign(moved)
                sides.append(model.evaluate(X[:8], Y[:8], verbose=0))
            weight.assign(value)
            np.testing.assert_allclose(gradient[place], (sides[0] - sides[1]) / (2 * h), rtol=3e-2, atol=2e-3)


def test_bits_do_not_depend_on_threads():
    start = lw.Sequential([lw.Input((5,)), layers.Dense(5), Residual(100), layers.Dense(1)]).get_weights()
    results = []
    for threads in (1, 2, 7):
        with running(threads=threads):
            model, _ = trained(layers.Dense(5), Residual(100), layers.Dense(1), copy=start)
            results.append([*model.get_weights(), model.predict(X, verbose=0)])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_inner_layers_belong_to_the_model():
    model, history = trained(layers.Dense(5, "tanh"), Residual(16), layers.Dense(1), epochs=30)
    assert history[-1] < 0.7 * history[0]
    assert len(model.weights) == 2 + 1 + 4 + 2
    model.layers[1].trainable = False
    assert len(model.trainable_weights) == 4


def test_dropout_that_stays_on():
    lw.utils.set_random_seed(1)
    model = lw.Sequential([lw.Input((5,)), layers.Dense(50), MCDropout(0.5), layers.Dense(1)])
    first, second = model.predict(X, verbose=0), model.predict(X, verbose=0)
    assert not np.array_equal(first, second)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert isinstance(MCDropout(0.2), lw.layers.Dropout) and MCDropout(0.2).rate == 0.2


def test_training_argument():
    class OnlyInTraining(layers.Layer):
        def call(self, inputs, training=False):
            return inputs * 2.0 if training else inputs

    model = lw.Sequential([lw.Input((5,)), OnlyInTraining()])
    assert np.array_equal(model.predict(X, verbose=0), X)
    assert np.array_equal(model(X, training=True), 2 * X)


def test_output_shapes_and_functional_models():
    class Split(layers.Layer):
        def call(self, inputs):
            return ops.reshape(inputs, (-1, 2, 2))

    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Flatten()(Split()(inputs)))
    assert np.array_equal(model.predict(X[:, :4], verbose=0), X[:, :4])
    assert Split()(X[:, :4]).shape == (200, 2, 2)

    class Told(layers.Layer):
        def compute_output_shape(self, input_shape):
            return (input_shape[0], 3)

        def call(self, inputs):
            return inputs[:, :3]

    assert lw.Sequential([lw.Input((5,)), Told()]).output_shape == (None, 3)


def test_errors():
    class Wrong(layers.Layer):
        def call(self, inputs):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        lw.Sequential([lw.Input((5,)), Wrong()]).predict(X, verbose=0)

    class Lost(layers.Layer):
        def call(self, inputs):
            return ops.sum(inputs)

    with pytest.raises(ValueError, match="with the rows of the input"):
        lw.Sequential([lw.Input((5,)), Lost()]).predict(X, verbose=0)

    calls = []

    class Later(layers.Layer):
        def call(self, inputs):
            calls.append(1)
            if len(calls) == 9:
                raise KeyError("ninth")
            return inputs * 1.0

    for threads in (1, 2):
        calls.clear()
        with running(threads=threads):
            model = lw.Sequential([lw.Input((5,)), layers.Dense(300, "relu"), Later(), layers.Dense(1)])
            model.compile("adam", "mse")
            with pytest.raises(KeyError, match="ninth"):
                model.fit(X, Y, batch_size=8, verbose=0)
            assert np.isfinite(model.predict(X, verbose=0)).all()


def test_weights_take_operators_and_numpy_functions():
    layer = layers.Dense(2)
    layer.build((None, 3))
    w, b = layer.weights
    assert np.array_equal(w + 1.0, w.numpy() + 1) and np.array_equal(2 * w, 2 * w.numpy())
    assert np.array_equal(X[:, :3] @ w, X[:, :3] @ w.numpy()) and np.sum(b) == 0
    assert np.array_equal(np.concatenate([w, w]), np.concatenate([w.numpy()] * 2))
    assert np.array_equal(ops.matmul(X[:, :3], w), X[:, :3] @ w.numpy()) and w in [w] and w != b


def test_weights_of_any_number_of_axes():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.s = self.add_weight(shape=(), initializer="ones", name="s")
            self.t = self.add_weight((1, 1, 5), "zeros", name="t")

        def call(self, inputs):
            return inputs * self.s + self.t[0]

    model, history = trained(Scale(), layers.Dense(1), epochs=5)
    assert history[-1] < history[0] and [w.shape for w in model.weights[:2]] == [(), (1, 1, 5)]
    assert model.weights[0].numpy() != 1 and np.any(model.weights[1].numpy())
    before = model.get_weights()
    for change in (model.set_weights, model.layers[0].set_weights):
        change([2 * w for w in before][: 4 if change == model.set_weights else 2])
        assert model.weights[0].numpy() == 2 * before[0] and np.array_equal(model.weights[1].numpy(), 2 * before[1])
        model.set_weights(before)


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_subclassed_model_keeps_the_kind_of_its_outputs(kind):
    """As in Keras: a tuple comes back as a tuple."""

    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = keras.layers.Dense(2), keras.layers.Dense(1)

        def call(self, x):
            return kind((self.a(x), self.b(x)))

    x = np.ones((4, 3), np.float32)
    model = Two()
    assert type(model(x)) is kind
    assert type(model.predict(x, verbose=0)) is kind
    model.compile("sgd", ["mse", "mse"])
    assert len(model.fit(x, [x[:, :2], x[:, :1]], verbose=0).history) >= 1


def test_a_layer_inside_is_called_on_one_number_a_row():
    """(n,) stays (n,), as for the tensors of the training step."""

    class Gate(keras.layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x):
            return ops.expand_dims(self.inner(ops.sum(x, axis=1)), 1) * x

    rows = np.float32([[1, 2, 3], [0, 1, -1]])
    for inner, function in ((keras.layers.Activation("tanh"), np.tanh), (keras.layers.Rescaling(2.0), lambda s: 2 * s)):
        model = keras.Sequential([keras.Input((3,)), Gate(inner)])
        expected = function(rows.sum(1))[:, None] * rows
        np.testing.assert_allclose(model.predict(rows, verbose=0), expected, rtol=1e-5)
        model.compile("sgd", "mse")
        model.fit(rows, rows, verbose=0)
        np.testing.assert_allclose(np.asarray(model.layers[0](rows)), expected, rtol=1e-5)


def test_gradients_that_are_looked_at_draw_nothing():
    """Training goes on as if nobody had looked, dropout inside a layer in Python on."""

    class Dropped(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.drop = keras.layers.Dropout(0.5)

        def call(self, x, training=False):
            return self.drop(x) * ops.cast(keras.random.uniform(ops.shape(x)) > 0.1, "float32")

    x = np.random.RandomState(0).normal(size=(64, 6)).astype("f")
    ends = []
    for looks in (0, 3):
        lw.random.set_seed(0)
        model = keras.Sequential([keras.Input((6,)), Dropped(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, :1], verbose=0)
        losses = {model.value_and_grad(x, x[:, :1])[0] for _ in range(looks)}
        assert len(losses) == (looks > 0)
        model.fit(x, x[:, :1], verbose=0)
        ends.append(lw.fingerprint(model))
    assert ends[0] == ends[1]


def test_the_seed_of_a_fit_is_its_own():
    """Whatever another thread does with the global one meanwhile."""
    x = np.random.RandomState(0).normal(size=(64, 6)).astype("f")

    def other(epoch, logs):
        if epoch == 1:
            thread = threading.Thread(target=lambda: lw.random.set_seed(5))
            thread.start()
            thread.join()

    ends = []
    for hook in (None, other):
        lw.random.set_seed(0)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        hooks = [keras.callbacks.LambdaCallback(on_epoch_end=hook)] if hook else []
        model.fit(x, x[:, :1], epochs=4, verbose=0, callbacks=hooks)
        ends.append(lw.fingerprint(model))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("wrong", [None, 3.0, "no", np.zeros((1, 1), "f")])
def test_a_backward_that_returns_no_gradient_is_named(wrong):
    class Odd(keras.layers.Layer):
        def call(self, x):
            return x * 2

        def backward(self, inputs, outputs, gradient):
            return wrong

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), Odd(name="odd"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = lw.fingerprint(model)
    said = r"odd: expected backward\(\) to return the gradient of the inputs, of shape \("
    with pytest.raises(ValueError, match=said):
        model.fit(np.ones((4, 3), "f"), np.ones((4, 1), "f"), verbose=0)
    assert lw.fingerprint(model) == before


@pytest.mark.parametrize("name", ["a/b", "/", "..", "a\0"])
def test_names_of_weights_that_no_file_could_have(name):
    with pytest.raises(ValueError, match="name: no file could have it"):
        lw.layers.Layer().add_weight(name=name, shape=(2,))


def test_layers_that_many_layers_keep_are_looked_at_once():
    """Each way to it was gone before: a trillion, forty levels down."""

    class Twice(lw.layers.Layer):
        def __init__(self, below):
            super().__init__()
            self.first = self.second = below

        def call(self, x):
            return self.first(x)

    layer = lw.layers.Dense(2)
    for _ in range(40):
        layer = Twice(layer)
    assert len(layer.leaves()) == 41
    model = lw.Sequential([lw.Input((3,)), layer])
    assert len(model.leaves()) == 41 and len(model.weights) == 2
