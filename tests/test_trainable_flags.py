"""Which weights train is said by each weight, as in Keras; copies and files say it again."""

import copy
import pickle
import sys
import threading

import numpy as np
import pytest

import lanewise as lw
from lanewise.keras import layers

X = np.random.RandomState(0).normal(size=(32, 4)).astype("f")
Y = X.sum(axis=1, keepdims=True)
COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda m: pickle.loads(pickle.dumps(m)), "clone": lw.models.clone_model}
register = lw.saving.register_keras_serializable("trainable_flags")


def dense(units=3, **kwargs):
    return layers.Dense(units, **kwargs)


def taken(model, form, folder):
    """The model again, by a copy or a file."""
    if form in COPIES:
        made = COPIES[form](model)
    elif form == "json":
        made = lw.models.model_from_json(model.to_json())
    else:
        path = folder / f"model.{form}"
        model.save(path)
        made = lw.load_model(path)
    if not made.compiled:
        made.compile("adam", "mse")
    return made


def flags(model):
    return [([weight.trainable for weight in leaf._weights], leaf.trainable) for leaf in model.leaves()]


def check_copies(model, folder, forms):
    """Each copy has the flags of the model, and training changes the same weights of it."""
    for form in forms:
        made = taken(model, form, folder)
        assert flags(made) == flags(model), form
        before = made.get_weights()
        made.fit(X, Y, verbose=0)
        moved = [not np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True)]
        trained = {id(weight) for weight in model.trainable_weights}
        assert moved == [id(weight) in trained for weight in model.weights], form


FILES = ["json", "lanewise", "keras", "h5"]


@register
class Holder(layers.Layer):
    """A layer and a model inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = dense()
        self.chain = lw.Sequential([dense(), dense()])

    def call(self, inputs):
        return self.chain(self.inner(inputs))


@register
class InCall(layers.Layer):
    """What it consists of is made by the first call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = self.extra = None

    def call(self, inputs):
        if self.inner is None:
            self.inner = dense()
            self.extra = self.add_weight(name="extra", shape=(3,))
        return self.inner(inputs) + self.extra


@register
class FreezesItself(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.trainable = False

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 3))

    def call(self, inputs):
        return inputs @ self.kernel


@register
class FreezesAWeight(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 3))
        self.kernel.trainable = False

    def call(self, inputs):
        return inputs @ self.kernel


class Class(lw.Model):
    """A model of a class of its own, with a model inside."""

    def __init__(self):
        super().__init__()
        self.base = lw.Sequential([dense(), dense()])
        self.top = dense(1)

    def call(self, inputs):
        return self.top(self.base(inputs))


class BuiltAtOnce(Class):
    def __init__(self):
        super().__init__()
        self.build((None, 4))


class OfTensors(lw.Model):
    def __init__(self):
        x = lw.Input((4,))
        super().__init__(inputs=x, outputs=dense(1)(dense()(x)))


def around(layer):
    return lw.Sequential([lw.Input((4,)), layer, dense(1)])


def test_a_thawed_layer_trains_in_whatever_is_frozen_around_it() -> None:
    inner = lw.Sequential([lw.Input((4,)), dense(kernel_regularizer="l2"), dense()])
    model = around(inner)
    inner.trainable = False
    inner.layers[-1].trainable = True
    assert (len(model.trainable_weights), len(inner.trainable_weights)) == (4, 0)
    holder = Holder()
    model = around(holder)
    holder.trainable = False
    holder.inner.trainable = True
    assert (len(model.trainable_weights), len(holder.trainable_weights)) == (4, 0)
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [True, True, False, False, False, False, True, True]


def test_setting_trainable_sets_the_weights_that_were_made_to_train() -> None:
    layer, norm = dense(), layers.BatchNormalization()
    model = lw.Sequential([lw.Input((4,)), layer, norm, dense(1)])
    layer.kernel.trainable = False
    model.trainable = True
    assert layer.kernel.trainable and not norm.moving_mean.trainable
    layer.trainable = False
    assert not layer.kernel.trainable and not layer.trainable_weights
    layer.kernel.trainable = True  # of a frozen layer: the model trains it, as in Keras
    assert (len(layer.trainable_weights), len(model.trainable_weights)) == (0, 5)
    later = dense(trainable=False)
    model = around(later)
    assert not later.kernel.trainable and len(model.trainable_weights) == 2
    later.trainable = True
    assert later.kernel.trainable and len(model.trainable_weights) == 4


def test_penalties_are_those_of_weights_in_training() -> None:
    layer = dense(kernel_regularizer=lw.regularizers.L2(10.0), kernel_constraint=lw.constraints.MaxNorm(0.1))
    model = around(layer)
    model.compile("sgd", "mse")
    mse = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    assert len(model.losses) == 1 and model.evaluate(X, Y, verbose=0) > mse + 1
    layer.kernel.trainable = False
    before = layer.kernel.numpy()
    assert model.losses == [] and model.evaluate(X, Y, verbose=0) == pytest.approx(mse, rel=1e-5)
    model.fit(X, Y, verbose=0)
    assert np.array_equal(before, layer.kernel.numpy())


def test_copies_of_layers_with_models_inside(tmp_path) -> None:
    holder = Holder()
    model = around(holder)
    holder.chain.trainable = False
    holder.chain.layers[-1].trainable = True
    holder.inner.bias.trainable = False
    check_copies(model, tmp_path, [*COPIES, *FILES])


def test_what_the_first_call_makes_is_told_after_it(tmp_path) -> None:
    layer = InCall()
    model = around(layer)
    check_copies(model, tmp_path, [*COPIES, *FILES])
    layer.inner.trainable = False
    check_copies(model, tmp_path, [*COPIES, *FILES])
    layer.inner.trainable = True
    layer.extra.trainable = False
    check_copies(model, tmp_path, [*COPIES, *FILES])


@pytest.mark.parametrize("kind", [FreezesItself, FreezesAWeight])
def test_what_a_class_freezes_is_thawed_in_copies_too(kind, tmp_path) -> None:
    layer = kind()
    model = around(layer)
    assert len(model.trainable_weights) == 2
    check_copies(model, tmp_path, [*COPIES, *FILES])
    layer.trainable = True
    assert len(model.trainable_weights) == 3
    check_copies(model, tmp_path, [*COPIES, *FILES])


@pytest.mark.parametrize("kind", [Class, BuiltAtOnce, OfTensors])
def test_copies_of_a_class_of_its_own(kind, tmp_path) -> None:
    model = kind()
    model.build((None, 4))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.weights[0].trainable = False
    check_copies(model, tmp_path, COPIES)
    if kind is not OfTensors:
        model.base.trainable = False
        model.base.layers[-1].trainable = True
        check_copies(model, tmp_path, COPIES)
        assert [COPIES[how](model).base.trainable for how in COPIES] == [False] * 3


def test_what_is_not_built_yet_is_described_as_it_was_told() -> None:
    model = lw.Sequential([dense(), Holder(), dense(1)])
    model.build((None, 4))
    model.layers[0].kernel.trainable = model.layers[1].inner.bias.trainable = False
    model.layers[1].chain.layers[0].trainable = False
    config = model.get_config()
    config.pop("build_input_shape")
    once = lw.Sequential.from_config(config)
    again = lw.models.clone_model(once)
    for made in (once, again):
        made.build((None, 4))
        assert flags(made) == flags(model)
    told = lw.Sequential.from_config(config)
    told.trainable = True  # said later than the description
    told.build((None, 4))
    assert len(told.trainable_weights) == len(model.weights)


@pytest.mark.parametrize("form", ["deepcopy", "pickle", "lanewise"])
@pytest.mark.parametrize("weight", [True, False])
def test_what_the_optimizer_knows_of_frozen_weights_is_kept(form, weight, tmp_path) -> None:
    def frozen():
        lw.random.set_seed(1)
        model = lw.Sequential([lw.Input((4,)), dense(), dense(1)])
        model.compile("adam", "mse")
        model.fit(X, Y, epochs=3, verbose=0)
        (model.layers[0].kernel if weight else model.layers[0]).trainable = False
        model.fit(X, Y, verbose=0)
        return model

    def thawed(model):
        model.trainable = True
        model.fit(X, Y, epochs=2, verbose=0)
        return b"".join(value.tobytes() for value in model.get_weights())

    assert thawed(taken(frozen(), form, tmp_path)) == thawed(frozen())


def test_a_state_of_another_optimizer_is_refused() -> None:
    model, other = around(dense()), around(dense())
    model.compile("adam", "mse")
    other.compile(lw.optimizers.SGD(0.5), "mse")
    model.fit(X, Y, verbose=0)
    before = other.get_weights()
    own = dict(zip(model.weight_names(), other.weight_names(), strict=True))
    state = {
        "/".join((own[path], slot)) if (path := key.rpartition("/")[0]) and (slot := key.rpartition("/")[2]) else key: v
        for key, v in model.optimizer_state().items()
    }
    with pytest.raises(ValueError, match=r"kernel/m' is of another optimizer than sgd"):
        other.load_optimizer_state(state)
    assert other.optimizer.learning_rate == 0.5 and other.optimizer.iterations == 0
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))


def squared(true, pred):
    return ((true - pred) ** 2).mean(axis=-1)


def test_a_loss_and_metrics_that_have_trained_can_be_copied() -> None:
    loss = lw.losses.get(squared)
    model = around(dense())
    model.compile("sgd", loss, metrics=[squared])
    model.fit(X, Y, verbose=0)
    for made in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        other = around(dense())
        other.compile("sgd", made)
        assert other.fit(X, Y, verbose=0).history["loss"][0] > 0
    assert len(pickle.loads(pickle.dumps(model.metrics))) == 2
    many = lw.fit_many([model, copy.deepcopy(model)], X, Y, verbose=0)
    assert len(many) == 2


def test_a_number_set_while_another_thread_predicts_holds() -> None:
    """The program that the other thread made between the count and the number stayed."""
    layer = layers.LeakyReLU(negative_slope=0.0)
    model = lw.Sequential([lw.Input((4,)), layer])
    x = -np.ones((2, 4), "f")
    model.predict(x, verbose=0)
    stop = threading.Event()

    def predict():
        while not stop.is_set():
            model.predict(x, verbose=0)

    threads = [threading.Thread(target=predict) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for i in range(400):
            layer.negative_slope = (i % 7) / 8
            assert model.predict(x, verbose=0)[0, 0] == -(i % 7) / 8
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        for thread in threads:
            thread.join()


@register
class Scaled(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(name="same", shape=(shape[-1],), initializer="ones")
        self.shift = self.add_weight(name="same", shape=(shape[-1],), initializer="zeros")

    def call(self, inputs):
        return inputs * self.scale + self.shift


@pytest.mark.parametrize("kind", [layers.BatchNormalization, Scaled])
@pytest.mark.parametrize("frozen", [0, 1])
@pytest.mark.parametrize("then", [None, 0, 1])
@pytest.mark.parametrize("name", ["m.h5", "m.weights.h5"])
def test_weights_of_h5_files_stay_where_they_were_whatever_is_frozen(kind, frozen, then, name, tmp_path) -> None:
    """Keras's order has weights in training first; where that differs when the file is read, two changed places."""
    model = around(kind())
    layer = model.layers[0]
    for i, weight in enumerate(layer.weights):
        weight.assign(np.arange(4) + 10 * i)
    before = model.get_weights()
    layer.weights[frozen].trainable = False
    (model.save if name == "m.h5" else model.save_weights)(tmp_path / name)
    layer.trainable = True
    if then is not None:
        layer.weights[then].trainable = False
    model.set_weights([np.zeros_like(value) for value in before])
    model.load_weights(tmp_path / name)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_what_was_always_frozen_has_no_moments(tmp_path) -> None:
    """They were made, as zeros, when a model was saved or copied, and stayed in memory."""
    model = around(dense(trainable=False))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    slots = [key for key in model.optimizer_state() if key.endswith(("/m", "/v"))]
    assert len(slots) == 4 and not any(model.optimizer.native.has_slots(w.variable) for w in model.layers[0].weights)


def test_a_number_that_is_set_to_what_it_was_makes_no_new_program() -> None:
    class Sets(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.drop = layers.Dropout(0.1)

        def call(self, inputs):
            self.drop.rate = 0.2
            return self.drop(inputs)

    model = around(Sets())
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    program = model._made
    model.predict(X, verbose=0)
    model.fit(X, Y, verbose=0)
    assert model._made is program


def test_weights_in_training_go_in_the_order_of_all_weights() -> None:
    """As in Keras: what was made to stay comes last, also when it trains."""

    class Three(layers.Layer):
        def build(self, shape):
            self.a = self.add_weight(name="a", shape=(4,))
            self.b = self.add_weight(name="b", shape=(4,), trainable=False)
            self.c = self.add_weight(name="c", shape=(4,))

        def call(self, inputs):
            return inputs * self.a + self.b + self.c

    layer = Three()
    model = around(layer)
    layer.b.trainable = True
    assert [weight.name for weight in layer.trainable_weights] == ["a", "c", "b"]
    assert [weight.name for weight in model.trainable_weights[:3]] == ["a", "c", "b"]
