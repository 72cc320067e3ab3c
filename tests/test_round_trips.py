"""Kinds of layers and models times the ways to copy or save them: equal predictions to the bit, and no silent loss."""

import copy
import pickle

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras, layers
from own_pieces import (
    Adapted,
    Bare,
    Chain,
    Child,
    Deep,
    Filled,
    Fixed,
    Holding,
    Net,
    Required,
    Residual,
    Scaled,
    Times,
    Told,
    Told2,
    Tower,
    Weighed,
    Wide,
)

X = np.random.RandomState(0).rand(7, 3).astype("f")
Y = np.random.RandomState(1).rand(7, 1).astype("f")


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
    "deep": lambda: chain(Deep()), "holding": lambda: chain(Holding(5)),
    "rule": lambda: chain(layers.Dense(3, bias_initializer=Filled(2.0))),
}  # fmt: skip
PLAIN = {"nested": nested, "functional": functional_in_functional}
CLASSES = {"net": lambda: Net(5), "told": lambda: Told2(5, name="mine"), "chain": lambda: Chain(4),
    "tower": lambda: Tower([4, 1]),
}  # fmt: skip
OBJECTS = {kind.__name__: kind for kind in (
    Scaled, Required, Bare, Child, Wide, Fixed, Residual, Told, Deep, Holding, Weighed, Times, Filled,
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


# --- what is refused --------------------------------------------------------------------------------------------


class Applied(Scaled):
    """An argument that is no plain value."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function


class Starred(Scaled):
    def __init__(self, *factors):
        super().__init__(sum(factors))


class Forgetful(Scaled):
    def __init__(self, factor, size, **kwargs):
        super().__init__(factor, **kwargs)
        self.size = size

    def get_config(self):
        return {**super(Scaled, self).get_config(), "factor": self.factor}


class Doubled(layers.Dense):
    """An argument of Dense's name that means something else."""

    def __init__(self, units, **kwargs):
        super().__init__(2 * units, **kwargs)


class Popped(Scaled):
    def __init__(self, **kwargs):
        self.on = kwargs.pop("on", True)
        super().__init__(**kwargs)


class Noted(Scaled):
    def __init__(self, note, **kwargs):
        super().__init__(**kwargs)
        self.note = note


REFUSED = {
    "function": (lambda: chain(Applied(np.tanh)), "Applied: its argument function is a ufunc, no plain value"),
    "stars": (lambda: chain(Starred(1, 2)), "Starred: its argument factors has no name"),
    "forgotten": (lambda: chain(Forgetful(2.0, 3)), "Forgetful: get_config.. leaves out size"),
    "doubled": (lambda: chain(Doubled(3)), "Doubled: its argument units was 3 and 6 is what became of it"),
    "popped": (lambda: chain(Popped(on=False)), "Popped: its argument on stands in no signature"),
    "keys": (lambda: chain(Noted({1: 2.0})), "Noted: its argument note is a dict, no plain value"),
    "loss": (lambda: compiled(Weighed(np.float32(2))), "Weighed: its argument k is a float32, no plain value"),
    "optimizer": (lambda: compiled("mse", Slow(np.ones(1))), "Slow: its argument table is a ndarray"),
}  # fmt: skip


class Slow(keras.optimizers.Adam):
    def __init__(self, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table


def compiled(loss, optimizer="adam"):
    model = chain(layers.Dense(3))
    model.compile(optimizer, loss)
    return model


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_described_is_refused_before_anything_is_written(kind, tmp_path):
    pytest.importorskip("h5py")
    make, message = REFUSED[kind]
    model = make()
    for name in FILES:
        (tmp_path / name).write_bytes(b"old")
        with pytest.raises(NotImplementedError, match=message):
            model.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for copied in (copy.deepcopy, pickle.dumps, *([] if model.compiled else [keras.models.clone_model])):
        with pytest.raises(NotImplementedError, match=message):
            copied(model)


def test_arguments_are_those_of_the_time_of_construction():
    factors = [1.0, 2.5]
    model = chain(Bare(factors))
    factors.append(100.0)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))
    assert model.layers[0].get_config() == {"times": [1.0, 2.5], "name": model.layers[0].name}


def test_what_changed_later_goes_along():
    model = chain(Wide(3, k=2, trainable=True), Bare([2]))
    for layer in model.layers[:2]:
        layer.trainable = False
    other = copy.deepcopy(model)
    assert [layer.trainable for layer in other.layers] == [False, False, True]
    layer = Adapted(k=2)
    layer.adapt(X)
    model = chain(layer)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))


def test_layers_added_to_a_class_of_models_are_not_lost_in_silence():
    model = Chain(2)
    model.add(layers.Activation("tanh"))
    for copied in (copy.deepcopy, keras.models.clone_model, lambda m: pickle.loads(pickle.dumps(m))):
        with pytest.raises(ValueError, match=r"Chain: made again .* Dense, Dense, not Dense, Dense, Activation"):
            copied(model)
    with pytest.raises(ValueError, match="Net is a class of your own"):
        keras.models.clone_model(Net(2), clone_function=lambda layer: layer)
    with pytest.raises(NotImplementedError, match="files hold no code"):
        trained(CLASSES["net"]).save("never.keras")


def test_models_of_tensors_and_of_classes_within_others():
    class Named(lw.Model):
        pass

    a = layers.Input((3,))
    net = Net(4)
    model = Named(a, layers.Dense(1)(net(layers.Dense(3)(a))))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    other = copy.deepcopy(model)
    assert type(other) is Named and type(other.layers[2]) is Net and len(other.layers) == 4
    same(model, other)


def test_a_model_of_several_inputs_of_whole_numbers():
    class Both(lw.Model):
        def __init__(self, size):
            super().__init__()
            self.table, self.last = layers.Embedding(size, 2), layers.Dense(1)

        def call(self, inputs):
            return self.last(keras.ops.concatenate([layers.Flatten()(self.table(inputs["id"])), inputs["x"]], axis=-1))

    model, x = Both(5), {"x": X, "id": np.arange(7).reshape(7, 1) % 5}
    want = model.predict(x, verbose=0)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(x, verbose=0), want)
    assert not copy.deepcopy(Both(3)).built
