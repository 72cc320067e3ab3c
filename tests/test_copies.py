"""Models with pieces of a person's own that nobody registered: copied, cloned, pickled."""

import copy
import functools
import pickle

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise.keras import ops

X = np.random.RandomState(0).rand(8, 3).astype("f")
Y = np.random.RandomState(1).rand(8, 2).astype("f")


def doubled(x):
    return 2 * ops.tanh(x)


def absolute(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


class Squared(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean((y_true - y_pred) ** 2, axis=-1)


class Rows(keras.metrics.Metric):
    def __init__(self, name="rows", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_weight(name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(len(y_true))

    def result(self):
        return self.count


class Dense(keras.layers.Layer):
    """A layer of its own with the name of one of the package's."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 2))

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel)


class NoConfig(Dense):
    def __init__(self, units):
        super().__init__()


def model_of(last, loss, metrics=()):
    model = lw.Sequential([lw.layers.Dense(4, activation=doubled, input_shape=(3,)), last])
    model.compile("adam", loss, metrics=list(metrics))
    model.fit(X, Y, verbose=0)
    return model


def models():
    yield model_of(Dense(), Squared(), [Rows(), absolute])
    yield model_of(lw.layers.Dense(2), absolute)


def lambdas():
    activation = lw.layers.Dense(2, activation=lambda x: x * 3)
    return model_of(activation, lambda t, p: ops.mean((t - p) ** 2, axis=-1), [lambda t, p: ops.max(t - p)])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_goes_on_alike(copied):
    for model in models():
        other = copied(model)
        assert other.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
        model.fit(X, Y, epochs=2, verbose=0)
        other.fit(X, Y, epochs=2, verbose=0)
        for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert [type(a) for a in model.layers] == [type(b) for b in other.layers]


def test_lambdas():
    model = lambdas()
    other = copy.deepcopy(model)
    assert other.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    keras.models.clone_model(model)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(model)


def test_clones_have_new_weights_of_the_same_classes():
    for model in (*models(), lambdas()):
        other = keras.models.clone_model(model)
        assert [type(a) for a in model.layers] == [type(b) for b in other.layers]
        assert other.layers[0].activation is doubled and not other.compiled
        assert not np.array_equal(other.get_weights()[0], model.get_weights()[0])


def test_a_class_without_its_config_is_made_again():
    model = model_of(NoConfig(2), "mse")
    assert copy.deepcopy(model).evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_a_constructor_that_does_not_take_its_config_is_named():
    class Short(NoConfig):
        def get_config(self):
            return {**super().get_config(), "units": 2, "size": 3}

    with pytest.raises(NotImplementedError, match=r"Short: __init__ must take what get_config\(\) gives, .* size"):
        copy.deepcopy(model_of(Short(2), "mse"))


@pytest.mark.parametrize("optimizer", ["adam", lw.optimizers.SGD(1.0, gradient_accumulation_steps=2)], ids=str)
def test_a_state_from_before_the_first_step_leaves_nothing_of_later_ones(optimizer):
    """Moments and half sums of gradients stayed."""

    def model():
        keras.utils.set_random_seed(1)
        made = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
        made.compile(copy.deepcopy(optimizer), "mse")
        return made

    one, other = model(), model()
    start = one.get_weights(), one.optimizer_state()
    for _ in range(3):
        one.train_on_batch(X, Y)
    one.set_weights(start[0])
    one.load_optimizer_state(start[1])
    for _ in range(3):
        one.train_on_batch(X, Y)
        other.train_on_batch(X, Y)
    assert lw.fingerprint(one) == lw.fingerprint(other)


def test_a_state_from_when_a_layer_was_frozen_has_none_of_its_moments():
    """What the layer learnt since stayed, and trained it once it was thawed."""

    def model():
        keras.utils.set_random_seed(1)
        made = keras.Sequential([keras.layers.Dense(3, input_shape=(3,), name="a"), keras.layers.Dense(2)])
        made.layers[0].trainable = False
        made.compile("adam", "mse")
        made.train_on_batch(X, Y)
        return made

    one, other = model(), model()
    weights, state = one.get_weights(), one.optimizer_state()
    one.layers[0].trainable = True
    one.train_on_batch(X, Y)
    one.layers[0].trainable = False
    one.set_weights(weights)
    state = {name.replace(other.layers[1].name, one.layers[1].name): value for name, value in state.items()}
    one.load_optimizer_state(state)
    for made in (one, other):
        made.layers[0].trainable = True
        made.train_on_batch(X, Y)
    assert lw.fingerprint(one) == lw.fingerprint(other)


@pytest.mark.parametrize("look", ["state", "file", "copy", "variables"])
def test_looking_at_an_optimizer_changes_nothing(tmp_path, look):
    """A look at what a thawed layer has not trained yet began its average."""

    def finished(looking):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Dense(3, input_shape=(3,)), keras.layers.Dense(2)])
        model.layers[0].trainable = False
        model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
        model.train_on_batch(X, Y)
        model.layers[0].trainable = True
        if looking == "state":
            model.optimizer_state()
        elif looking == "file":
            model.save(tmp_path / "model.keras")
        elif looking == "copy":
            copy.deepcopy(model)
        elif looking == "variables":
            assert model.optimizer.variables
        model.set_weights([2 * weight for weight in model.get_weights()])
        model.fit(X, Y, verbose=0)
        return lw.fingerprint(model)

    assert finished(look) == finished(None)


def test_a_state_that_is_loaded_while_another_model_trains_with_the_optimizer():
    """The moments that a step writes to were freed in the midst of it."""
    layer = keras.layers.Dense(64, input_shape=(3,))
    one, other = keras.Sequential([layer]), keras.Sequential([layer])
    optimizer = keras.optimizers.Adam(0.01)
    start: dict = {}

    class Loading(keras.losses.Loss):
        def call(self, y_true, y_pred):
            if start:
                other.load_optimizer_state(start)
            return ops.mean((y_true - y_pred) ** 2, axis=-1)

    y = np.tile(Y[:, :1], 64)
    other.compile(optimizer, "mse")
    one.compile(optimizer, Loading())
    one.train_on_batch(X, y)
    start = {"iterations": 0, "learning_rate": 0.01}
    mine = []
    for _ in range(50):
        one.train_on_batch(X, y)
        mine.append(np.full((3, 64), 7.0, "f"))  # takes the memory of what was freed
    assert all((array == 7.0).all() for array in mine)
    assert all(np.isfinite(weight).all() for weight in one.get_weights())


@pytest.mark.parametrize("state", [None, [], 3, {1: 2}, {"iterations": 0, 5: 3}], ids=str)
def test_what_is_no_state_of_an_optimizer_is_refused(state):
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="state: expected a dict of numbers and arrays by name, received"):
        model.load_optimizer_state(state)


def quantile(y_true, y_pred, q):
    return ops.mean(ops.maximum(q * (y_true - y_pred), (q - 1) * (y_true - y_pred)), axis=-1)


class Quantile:
    def __call__(self, y_true, y_pred):
        return quantile(y_true, y_pred, 0.3)


@pytest.mark.parametrize("function", [functools.partial(quantile, q=0.3), Quantile()], ids=["partial", "object"])
def test_functions_without_a_name(tmp_path, function):
    """They trained, and every copy was an AttributeError of their __name__."""
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    model.compile("adam", function, metrics=[function])
    model.fit(X, Y, verbose=0)
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert lw.fingerprint(made) == lw.fingerprint(model)
        made.fit(X, Y, verbose=0)
    for suffix in ("keras", "lanewise", "h5"):
        with pytest.raises(ValueError, match="it has no name that a file could hold; write it as a function: def"):
            model.save(tmp_path / f"m.{suffix}")
    assert not list(tmp_path.iterdir())


def test_functions_of_no_module():
    """Made by exec, as some runners do."""
    names = {"ops": ops}
    exec("def error(y_true, y_pred): return ops.mean((y_true - y_pred) ** 2, axis=-1)", names)
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    names["error"].__module__ = None
    model.compile("adam", names["error"])
    model.fit(X, Y, verbose=0)
    assert lw.fingerprint(copy.deepcopy(model)) == lw.fingerprint(model)
