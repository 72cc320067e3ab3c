"""Kinds of layers and models times the ways to copy or save them: equal predictions to the bit, and no silent loss."""

import copy
import pickle

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras, layers

X = np.random.RandomState(0).rand(7, 3).astype("f")
Y = np.random.RandomState(1).rand(7, 1).astype("f")


# --- layers of a person's own -----------------------------------------------------------------------------------


class Scaled(layers.Layer):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor


class Required(Scaled):
    def __init__(self, factor, **kwargs):
        super().__init__(factor, **kwargs)


class Bare(Scaled):
    """No keyword arguments beside its own: its name and whether it trains are set afterwards."""

    def __init__(self, times):
        super().__init__(factor=sum(times))


class Child(Scaled):
    """Arguments of its own, handed on ones, and a get_config that asks upwards."""

    def __init__(self, more, **kwargs):
        super().__init__(**kwargs)
        self.more = more

    def call(self, inputs):
        return super().call(inputs) + self.more

    def get_config(self):
        return {**super().get_config(), "more": self.more}


class Wide(layers.Dense):
    def __init__(self, units, k=1, **kwargs):
        super().__init__(units, **kwargs)
        self.k = k

    def call(self, inputs):
        return super().call(inputs) * self.k


class Fixed(layers.Dense):
    """Twice as many units as it is given, an activation that it hands on, and kwargs of another name."""

    def __init__(self, half, activation="relu", **others):
        super().__init__(2 * half, activation, **others)


class Residual(layers.Layer):
    """A Dense inside, and a get_config."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.a = layers.Dense(units, name="inner")
        self.b = layers.Dense(units)

    def call(self, inputs):
        return inputs + self.b(self.a(inputs))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Told(Residual):
    """It says its shape: nothing is called before there is data."""

    def compute_output_shape(self, input_shape):
        return input_shape


class Deep(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [Residual(3), Residual(3)]

    def build(self, input_shape):
        self.w, self.v = self.add_weight(name="w", shape=(3,)), self.add_weight(name="w", shape=(3,))

    def call(self, inputs):
        return self.parts[1](self.parts[0](inputs)) * self.w + self.v


# --- losses, metrics, rules ---------------------------------------------------------------------------------------


class Weighed(keras.losses.Loss):
    def __init__(self, k=1.0, name="weighed"):
        super().__init__(name=name)
        self.k = k

    def call(self, y_true, y_pred):
        return self.k * keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


class Times(keras.metrics.Metric):
    def __init__(self, k=1.0, name="times", **kwargs):
        super().__init__(name=name, **kwargs)
        self.k, self.sum = k, self.add_weight(name="sum")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.sum.assign_add(self.k * np.sum(y_pred))

    def result(self):
        return self.sum


class Filled(keras.initializers.Initializer):
    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return np.full(shape, self.value, "f")


# --- models -------------------------------------------------------------------------------------------------------


class Net(lw.Model):
    """Simple arguments: no get_config is needed."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = layers.Dense(units, activation="relu"), layers.Dense(1)

    def call(self, inputs):
        return self.last(self.first(inputs))


class Told2(Net):
    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Chain(lw.Sequential):
    """A Sequential that adds its own layers."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.add(layers.Dense(units, activation="relu", input_shape=(3,)))
        self.add(layers.Dense(1))


def chain(*own):
    return lw.Sequential([layers.Input((3,)), *own, layers.Dense(1)])


def nested():
    inner = [lw.Sequential([layers.Dense(3, input_shape=(3,), name="a"), layers.Dense(3)]) for _ in range(2)]
    return chain(*inner)


def functional_in_functional():
    def block():
        a = layers.Input((3,))
        b = layers.Dense(3, name="a")(a)
        return lw.Model(a, layers.Add()([a, layers.Dense(3, name="b")(b)]))

    shared, inputs = block(), layers.Input((3,))
    return lw.Model(inputs, layers.Dense(1)(block()(shared(shared(inputs)))))


OWN = {
    "scaled": lambda: chain(Scaled(2.0)), "required": lambda: chain(Required(factor=3.0)),
    "bare": lambda: chain(Bare([1, 2.5])), "child": lambda: chain(Child(1, factor=0.5)),
    "wide": lambda: chain(Wide(4, k=3)), "fixed": lambda: chain(Fixed(2, kernel_initializer="he_normal", name="own")),
    "residual": lambda: chain(Residual(3), layers.Dense(3), Residual(3)), "told": lambda: chain(Told(3)),
    "deep": lambda: chain(Deep()), "rule": lambda: chain(layers.Dense(3, bias_initializer=Filled(2.0))),
}  # fmt: skip
PLAIN = {"nested": nested, "functional": functional_in_functional}
CLASSES = {"net": lambda: Net(5), "told": lambda: Told2(5, name="mine"), "chain": lambda: Chain(4)}
OBJECTS = {kind.__name__: kind for kind in (
    Scaled, Required, Bare, Child, Wide, Fixed, Residual, Told, Deep, Weighed, Times, Filled,
)}  # fmt: skip


def trained(make):
    lw.random.set_seed(3)
    model = make()
    model.compile("adam", Weighed(k=3.0), metrics=[Times(k=2.0)])
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def saved(name):
    def through(model, tmp_path):
        if name.endswith("h5") or name.endswith("keras"):
            pytest.importorskip("h5py")
        model.save(tmp_path / name)
        return lw.load_model(tmp_path / name, custom_objects=OBJECTS)

    return through


COPIES = {
    "deepcopy": lambda model, _: copy.deepcopy(model), "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
}  # fmt: skip
FILES = {name: saved(name) for name in ("m.lanewise", "m.keras", "m.h5")}
WEIGHTS = ("w.lanewise", "w.weights.h5", "w.h5", "w.safetensors")


def same(a, b):
    """Equal to the bit, now and after more training: weights, losses, metrics, the optimizer's state."""
    np.testing.assert_array_equal(a.predict(X, verbose=0), b.predict(X, verbose=0))
    assert a.evaluate(X, Y, verbose=0) == b.evaluate(X, Y, verbose=0)
    for model in (a, b):
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(a.predict(X, verbose=0), b.predict(X, verbose=0))


@pytest.mark.parametrize("way", [*COPIES, *FILES])
@pytest.mark.parametrize("kind", [*OWN, *PLAIN])
def test_models(kind, way, tmp_path):
    model = trained({**OWN, **PLAIN}[kind])
    other = {**COPIES, **FILES}[way](model, tmp_path)
    assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
    same(model, other)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", CLASSES)
def test_classes_of_models(kind, way, tmp_path):
    model = trained(CLASSES[kind])
    other = COPIES[way](model, tmp_path)
    assert type(other) is type(model) and other.name == model.name
    same(model, other)


@pytest.mark.parametrize("kind", [*OWN, *PLAIN, *CLASSES])
def test_clones_and_many(kind):
    make = {**OWN, **PLAIN, **CLASSES}[kind]
    model = trained(make)
    clone = keras.models.clone_model(model)
    clone.build((None, 3))
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    runs = lw.fit_many(model, X, Y, seeds=2, verbose=0)
    assert len(runs) == 2 and np.isfinite(runs[1].history.history["loss"]).all()
    lw.lr_find(model, X, Y, steps=5)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("kind", [*OWN, *PLAIN, *CLASSES])
def test_weights(kind, name, tmp_path):
    pytest.importorskip("safetensors" if name.endswith("safetensors") else "h5py")
    make = {**OWN, **PLAIN, **CLASSES}[kind]
    model, other = trained(make), make()
    model.save_weights(tmp_path / name)
    other.build((None, 3))
    other.load_weights(tmp_path / name)
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))


def test_names_in_safetensors(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "w.safetensors"
    for make, names in (
        (nested, [f"{i}.{j}.{w}" for i in range(2) for j in range(2) for w in ("kernel", "bias")]),
        (
            OWN["deep"],
            [*(f"0.{i}.{j}.{w}" for i in (0, 1) for j in (0, 1) for w in ("kernel", "bias")), "0.w", "0.w_1"],
        ),
    ):
        model = trained(make)
        model.save_weights(path)
        tensors = numpy.load_file(path)
        assert sorted(tensors) == sorted([*names, f"{len(model.layers) - 1}.kernel", f"{len(model.layers) - 1}.bias"])
        numpy.save_file(dict(list(tensors.items())[:-1]), path)
        with pytest.raises(ValueError, match="holds"):
            model.load_weights(path)
    before = model.get_weights()
    numpy.save_file({f"0.{name}": np.ones(1, "f") for name in ("kernel", "bias")}, path)  # as nested ones were
    with pytest.raises(ValueError, match="holds"):
        model.load_weights(path)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_old_files_of_a_model_in_a_model(tmp_path):
    """With one layer in each, names did not collide: such files go on loading."""
    numpy = pytest.importorskip("safetensors.numpy")
    model = chain(lw.Sequential([layers.Dense(2, input_shape=(3,))]))
    values = [np.full(w.shape, i, "f") for i, w in enumerate(model.weights)]
    names = ["0.kernel", "0.bias", "1.kernel", "1.bias"]
    numpy.save_file(dict(zip(names, values, strict=True)), tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")
    for value, weight in zip(values, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, weight)


def test_an_ensemble(tmp_path):
    members = [trained(OWN["residual"]) for _ in range(2)]
    lw.Ensemble(members).save(tmp_path / "e.lanewise")
    other = lw.load_model(tmp_path / "e.lanewise", custom_objects=OBJECTS)
    np.testing.assert_array_equal(other.predict(X), lw.Ensemble(members).predict(X))
