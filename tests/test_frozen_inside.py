"""Layers inside layers and models, frozen after they were made: every copy and file trains what the original trains."""

import copy
import pickle

import numpy as np
import pytest

import lanewise as lw
from lanewise.keras import layers

X = np.random.RandomState(0).normal(size=(32, 5)).astype("f")
Y = X[:, :1]
FORMS = ["deepcopy", "pickle", "lanewise", "keras", "h5"]


@lw.saving.register_keras_serializable("frozen_inside")
class Normed(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization()

    def call(self, inputs):
        return self.norm(inputs)


@lw.saving.register_keras_serializable("frozen_inside")
class Two(layers.Layer):
    """Two layers with weights of one shape, and a config without a name."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.first, self.second = units, layers.Dense(units), layers.Dense(units)

    def call(self, inputs):
        return self.second(self.first(inputs))

    def get_config(self):
        return {"units": self.units}


@lw.saving.register_keras_serializable("frozen_inside")
class Thawed(layers.Layer):
    """What its constructor freezes is thawed later."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(5, trainable=False)

    def call(self, inputs):
        return self.inner(inputs)


def taken(model, form, folder):
    """The model again, by a copy or a file."""
    if form == "deepcopy":
        return copy.deepcopy(model)
    if form == "pickle":
        return pickle.loads(pickle.dumps(model))
    path = folder / f"model.{form}"
    model.save(path)
    return lw.load_model(path)


def model_of(layer, functional=False, optimizer="adam"):
    lw.random.set_seed(1)
    if functional:
        x = lw.Input((5,))
        model = lw.Model(x, layers.Dense(1)(layer(x)))
    else:
        model = lw.Sequential([lw.Input((5,)), layer, layers.Dense(1)])
    if optimizer is not None:
        model.compile(optimizer, "mse")
    return model


def freeze(layer):
    if isinstance(layer, Normed):
        layer.trainable = False
    elif isinstance(layer, Two):
        layer.first.trainable = False
    else:
        layer.inner.trainable = True
    return layer


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("make", [Normed, lambda: Two(5), Thawed])
@pytest.mark.parametrize("form", FORMS)
def test_a_copy_trains_what_the_original_trains(tmp_path, form, make, functional):
    layer = make()
    model = model_of(layer, functional)
    model.fit(X, Y, verbose=0, shuffle=False)
    freeze(layer)
    if form in ("keras", "h5"):
        model.compile("adam", "mse")  # those have the state of what trains alone
    made = taken(model, form, tmp_path)
    before = [value.copy() for value in model.get_weights()]
    for one in (model, made):
        lw.random.set_seed(2)
        one.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    assert lw.fingerprint(made) == lw.fingerprint(model)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert any(changed) and all(changed) == isinstance(layer, Thawed)


@pytest.mark.parametrize("form", FORMS)
def test_a_config_without_a_name_keeps_the_moments(tmp_path, form):
    model = model_of(Two(3), True)
    model.fit(X, Y, epochs=2, verbose=0)
    made = taken(model, form, tmp_path)
    state, again = model.optimizer_state(), made.optimizer_state()
    if form in ("keras", "h5"):  # which have no place in a random stream
        state = {name: value for name, value in state.items() if name not in ("seed", "epoch")}
    assert state.keys() == again.keys()
    assert sum("/" in name for name in state) == 12
    for name, value in state.items():
        np.testing.assert_array_equal(again[name], value)


def test_a_model_of_a_class_without_a_name_is_copied_with_its_moments():
    class Block(lw.Model):
        def __init__(self, units):
            super().__init__()
            self.units, self.inner, self.last = units, layers.Dense(units), layers.Dense(1)

        def call(self, inputs):
            return self.last(self.inner(inputs))

        def get_config(self):
            return {"units": self.units}

    model = Block(4)
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    model.inner.trainable = False
    made = copy.deepcopy(model)
    assert made.inner.trainable is False and made.last.trainable
    for one in (model, made):
        lw.random.set_seed(3)
        one.fit(X, Y, epochs=2, verbose=0)
    assert lw.fingerprint(made) == lw.fingerprint(model)


def test_states_of_other_weights_are_an_error():
    model = model_of(Two(3))
    model.fit(X, Y, verbose=0)
    state = model.optimizer_state()
    name = next(name for name in state if "/" in name)
    del state[name]
    before = lw.fingerprint(model)
    with pytest.raises(ValueError, match=f"state: expected {name!r}"):
        model.load_optimizer_state(state)
    assert lw.fingerprint(model) == before


def inner_model(frozen):
    lw.random.set_seed(4)
    inner = lw.Sequential([lw.Input((5,)), layers.Dense(5), layers.Dense(5)])
    inner.layers[0].trainable = not frozen
    return lw.Sequential([lw.Input((5,)), inner, layers.Dense(1)])


def own_model(frozen):
    return model_of(freeze(Two(5)) if frozen else Two(5), optimizer=None)


class Alike(lw.layers.Layer):
    """Two weights of one name and shape, which single flags freeze."""

    def build(self, shape):
        self.parts = [self.add_weight(name="w", shape=(shape[-1],)) for _ in range(2)]

    def call(self, x):
        return self.parts[0] * x + self.parts[1]


def own_layer_in_a_model(frozen):
    model = lw.Sequential([lw.Input((5,)), lw.Sequential([lw.Input((5,)), Alike()])])
    model.layers[0].layers[0].parts[0].trainable = not frozen
    return model


@pytest.mark.parametrize("suffix", ["h5", "weights.h5", "lanewise", "safetensors"])
@pytest.mark.parametrize("make", [inner_model, own_model, own_layer_in_a_model])
@pytest.mark.parametrize("frozen", [False, True])
def test_weights_go_to_their_places_whatever_is_frozen(tmp_path, suffix, make, frozen):
    """Keras's order in .h5 files has what trains first: it is that of the model that was saved."""
    model, other = make(frozen), make(not frozen)
    model.set_weights([np.full(w.shape, i, "f") for i, w in enumerate(model.get_weights())])
    path = tmp_path / f"w.{suffix}"
    model.save_weights(path)
    other.load_weights(path)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_orders_of_weights_that_are_none_are_refused(tmp_path):
    import h5py

    model = inner_model(True)
    path = tmp_path / "w.h5"
    for order in ("0 1 2", "0 1 2 2", "0 1 2 4", "a b c d", "0  1 2 3", ""):
        model.save_weights(path)
        with h5py.File(path, "r+") as file:
            file[model.layers[0].name].attrs["lanewise_order"] = order
        before = lw.fingerprint(model)
        with pytest.raises(ValueError, match="weights in the order"):
            model.load_weights(path)
        assert lw.fingerprint(model) == before


def test_flags_of_other_layers_are_refused():
    layer = freeze(Two(5))
    model_of(layer)
    described = layers.serialize(layer)
    assert described["trainable_inside"] == [False, True] and described["name"] == layer.name
    for told in ([True], [True, True, False], [1, 0], "no", {"a": 1}):
        with pytest.raises(ValueError, match="trainable_inside: expected True or False for each of 2,"):
            model_of(layers.deserialize({**described, "trainable_inside": told}))


def test_a_frozen_model_inside_a_model_says_so_again(tmp_path):
    model = inner_model(False)
    model.layers[0].trainable = False
    for form in FORMS:
        made = taken(model, form, tmp_path)
        assert made.layers[0].trainable is False and not made.layers[0].trainable_weights


def test_one_layer_in_two_models_cannot_be_described(tmp_path):
    """It would be two layers in a copy."""
    x = lw.Input((5,))
    shared = layers.Dense(5, name="shared")
    inner = lw.Model(x, shared(x), name="inner")
    z = lw.Input((5,))
    model = lw.Model(z, layers.Dense(1)(shared(inner(z))), name="outer")
    for attempt in (
        lambda: copy.deepcopy(model), lambda: pickle.dumps(model), model.to_json,
        lambda: lw.keras.models.clone_model(model),
        *(lambda form=form: model.save(tmp_path / f"m.{form}") for form in ("lanewise", "keras", "h5")),
    ):  # fmt: skip
        with pytest.raises(
            ValueError, match=r"shared: the layer stands both in (outer and in inner|inner and in outer)"
        ):
            attempt()
    assert not list(tmp_path.iterdir())
    twice = lw.Model(z, layers.Dense(1)(inner(inner(z))))  # a model that is called twice is one
    np.testing.assert_array_equal(copy.deepcopy(twice).predict(X, verbose=0), twice.predict(X, verbose=0))


@lw.saving.register_keras_serializable("frozen_inside")
class Lazy(layers.Layer):
    """One layer in __init__, one in build; weights of its own, and a config that says of nothing whether it trains."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.first = units, layers.Dense(units)

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(self.units,), initializer="ones")
        self.second = layers.Dense(self.units)

    def call(self, inputs):
        return self.second(self.first(inputs)) * self.scale

    def get_config(self):
        return {"units": self.units}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_flags_of_layers_that_build_makes_and_of_the_layer_itself(tmp_path, form, whole):
    layer = Lazy(5)
    model = model_of(layer)
    layer.second.trainable = False
    if whole:
        layer.trainable = False
    model.compile("adam", "mse")
    made = taken(model, form, tmp_path)
    again = made.layers[0]
    assert [again.trainable, again.first.trainable, again.second.trainable] == [not whole, not whole, False]
    for one in (model, made):
        lw.random.set_seed(2)
        one.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    assert lw.fingerprint(made) == lw.fingerprint(model)


def test_flags_of_a_layer_that_is_not_built():
    layer = Lazy(5)
    layer.first.trainable = False
    model = lw.Sequential([layer, layers.Dense(1)])
    model.compile("adam", "mse")
    made = copy.deepcopy(model)
    assert made.layers[0].first.trainable is False
    for one in (model, made):
        lw.random.set_seed(5)
        one.fit(X, Y, epochs=2, verbose=0)
    assert lw.fingerprint(made) == lw.fingerprint(model)


def test_a_layer_that_two_layers_in_python_keep_cannot_be_described(tmp_path):
    class Tied(layers.Layer):
        def __init__(self, other):
            super().__init__(name="tied")
            self.other = other

        def call(self, inputs):
            return self.other(inputs)

    shared = layers.Dense(5, name="shared")
    model = lw.Sequential([lw.Input((5,)), shared, Tied(shared)])
    with pytest.raises(ValueError, match=r"shared: the layer stands both in sequential.* and in tied"):
        copy.deepcopy(model)


def test_methods_that_no_file_would_call_are_refused():
    with pytest.raises(NotImplementedError, match=r"Kept: a save_own_variables\(\) of its own would not be called"):

        class Kept(layers.Layer):
            def save_own_variables(self, store):
                store["0"] = 3


@pytest.mark.parametrize("suffix", ["lanewise", "keras", "h5"])
def test_names_that_were_set_later_are_looked_at_before_a_file_is_written(tmp_path, suffix):
    for name in ("a", None, "x/y", "b" * 501):
        model = lw.Sequential([lw.Input((5,)), layers.Dense(2, name="a"), layers.Dense(1)])
        model.layers[1].name = name
        with pytest.raises(ValueError, match=r"save: each layer needs a name of its own|name: "):
            model.save(tmp_path / f"m.{suffix}")
    assert not list(tmp_path.iterdir())


def test_numbers_that_are_set_after_use_hold():
    """In programs that were made before, too; they stood in copies and files alone."""
    for layer, name, value in (
        (layers.LeakyReLU(), "negative_slope", 0.9), (layers.LayerNormalization(), "epsilon", 0.5),
        (layers.ELU(), "alpha", 0.25), (layers.BatchNormalization(), "epsilon", 0.5),
    ):  # fmt: skip
        model = lw.Sequential([lw.Input((5,)), layer])
        outer = lw.Sequential([lw.Input((5,)), model])
        before = outer.predict(X, verbose=0), outer.predict_on_batch(X)
        setattr(layer, name, value)
        after = outer.predict(X, verbose=0)
        np.testing.assert_array_equal(copy.deepcopy(outer).predict(X, verbose=0), after)
        np.testing.assert_array_equal(outer.predict_on_batch(X), after)
        assert not np.array_equal(before[0], after)


def one_weight(model):
    model.layers[0].bias.trainable = False


def one_weight_inside(model):
    model.layers[0].second.bias.trainable = False


@lw.saving.register_keras_serializable("frozen_inside")
class Tuned(Two):
    """Its constructor freezes a layer."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.first.trainable = False


def thawed(model):
    model.layers[0].first.trainable = True


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda: layers.Dense(4), one_weight), (lambda: Two(5), one_weight_inside), (lambda: Tuned(5), thawed),
        (lambda: Tuned(5), lambda model: None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [*FORMS, "clone"])
def test_what_was_set_since_a_layer_was_made_holds_in_copies(tmp_path, form, make, change):
    model = model_of(make())
    change(model)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    if form == "clone":
        made = lw.keras.models.clone_model(model)
        assert len(made.trainable_weights) == len(model.trainable_weights)
        return
    made = taken(model, form, tmp_path)
    assert len(made.trainable_weights) == len(model.trainable_weights)
    for one in (model, made):
        lw.random.set_seed(2)
        one.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    assert lw.fingerprint(made) == lw.fingerprint(model)
