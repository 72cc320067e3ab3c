"""`from_keras` and `to_keras` with a stand-in for Keras: objects with the few methods of its models that are used.

tests/parity/test_files.py does the same with Keras itself.
"""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import keras_files as made
import lanewise as lw


class Variable:
    def __init__(self, value):
        self.value = np.asarray(value)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.value, dtype)

    def assign(self, value):
        self.value = np.array(value)


class Dense:
    def __init__(self, name, values=()):
        self.name, self.values = name, list(values)

    def get_weights(self):
        return self.values

    def load_own_variables(self, store):
        self.values = [store[str(i)] for i in range(len(store))]


class Adam:
    """Keras 3 has a list of variables, Keras 2 a method that returns it."""

    def __init__(self, config, variables):
        self.config, self.variables = config, variables

    def get_config(self):
        return self.config

    def build(self, weights):
        assert len(self.variables) == 2 + 2 * len(weights)


class Theirs:
    """What a description asks for, as a model of Keras's."""

    def __init__(self, form, optimizer=None):
        entries = form["config"]["layers"]
        self.form, self.optimizer = form, optimizer
        self.layers = [Dense(entry["config"]["name"]) for entry in entries if entry["class_name"] != "InputLayer"]
        for layer in self.layers:
            layer.values = made.WEIGHTS.get(layer.name, [])

    def to_json(self):
        return json.dumps(self.form)

    def get_weights(self):
        return [value for layer in self.layers for value in layer.values]

    @property
    def trainable_variables(self):
        return [value for layer in self.layers if len(layer.values) == 2 for value in layer.values]

    def get_compile_config(self):
        return {key: value for key, value in self.form["compile_config"].items() if key != "optimizer"}


def compiled(variables):
    form = made.config3()
    return Theirs(form, Adam(form["compile_config"]["optimizer"]["config"], variables))


@pytest.mark.parametrize("method", [False, True])
def test_a_model_with_its_optimizer(method):
    state = list(map(Variable, made.state_of_adam()))
    ours = lw.from_keras(compiled((lambda: state) if method else state))
    np.testing.assert_allclose(ours.predict(made.X, verbose=0), made.GOLDEN, rtol=1e-6)
    assert ours.optimizer.iterations == 7 and ours.optimizer.learning_rate == np.float32(0.002)
    slots = [slot for weight in ours.trainable_weights for slot in weight.slots(ours.optimizer.native)]
    for slot, value in zip(slots, made.state_of_adam()[2:], strict=True):
        np.testing.assert_array_equal(slot, value)


def test_a_model_that_is_not_compiled_or_not_built():
    form = made.config3()
    del form["compile_config"]
    ours = lw.from_keras(Theirs(form))
    np.testing.assert_allclose(ours.predict(made.X, verbose=0), made.GOLDEN, rtol=1e-6)
    assert not ours.compiled
    del form["config"]["layers"][0], form["config"]["build_input_shape"]
    with pytest.raises(ValueError, match="model: it is not built"):
        lw.from_keras(Theirs(form))


def network():
    x = np.random.default_rng(0).normal(3, 2, (40, 3)).astype(np.float32)
    normalization = lw.layers.Normalization(name="n")
    normalization.adapt(x)
    model = lw.Sequential([lw.Input((3,)), normalization, lw.layers.Dense(2, name="a"), lw.layers.ReLU(name="r")])
    return model, x


def test_to_keras_gives_it_all_numbers_and_back(monkeypatch):
    def deserialize(form):
        config = form.get("compile_config", {}).get("optimizer", {}).get("config")
        return Theirs(form, config and Adam(config, [Variable(0) for _ in range(2 + 2 * 2)]))

    stand_in = SimpleNamespace(saving=SimpleNamespace(deserialize_keras_object=deserialize))
    monkeypatch.setitem(sys.modules, "keras", stand_in)
    model, x = network()
    plain = lw.to_keras(model)
    assert plain.optimizer is None
    np.testing.assert_array_equal(lw.from_keras(plain).predict(x, verbose=0), model.predict(x, verbose=0))
    model.compile("adam", "mse")
    model.fit(x, x[:, :2], epochs=2, verbose=0)
    theirs = lw.to_keras(model)
    assert [len(layer.values) for layer in theirs.layers] == [3, 2, 0]  # Keras counts the rows adapted to, too
    assert theirs.optimizer.variables[0].value == model.optimizer.iterations == 4
    back = lw.from_keras(theirs)
    for one in (model, back):
        one.fit(x, x[:, :2], epochs=1, shuffle=False, verbose=0)
    np.testing.assert_array_equal(back.predict(x, verbose=0), model.predict(x, verbose=0))


class Block(lw.layers.Layer):
    """A person's own, with a layer of its own inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = lw.layers.Dense(3)

    def call(self, x):
        return self.inner(x)


class TheirBlock(Dense):
    finalized = 0

    def set_weights(self, values):
        self.values = list(values)

    def _flatten_layers(self):
        def finalize():
            self.finalized += 1

        return [self, SimpleNamespace(finalize_state=finalize)]


class TheirNested:
    """A model within a model: what has `train_on_batch` is one."""

    name, train_on_batch = "nested", None

    def __init__(self, layers):
        self.layers = layers


def test_to_keras_reaches_layers_within_models_and_layers(monkeypatch):
    block, dense = TheirBlock("block"), Dense("dense")
    twin = SimpleNamespace(layers=[block, TheirNested([dense])], optimizer=None)
    stand_in = SimpleNamespace(saving=SimpleNamespace(deserialize_keras_object=lambda form: twin))
    monkeypatch.setitem(sys.modules, "keras", stand_in)
    nested = lw.Sequential([lw.Input((3,)), lw.layers.Dense(2, name="dense")], name="nested")
    model = lw.Sequential([lw.Input((4,)), Block(name="block"), nested])
    assert lw.to_keras(model) is twin
    for got, wanted in zip([*block.values, *dense.values], model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert block.finalized == 1


def test_what_they_take(monkeypatch):
    with pytest.raises(TypeError, match="expected a model of Keras's"):
        lw.from_keras(3)
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace())
    with pytest.raises(ValueError, match="model: it is not built"):
        lw.to_keras(lw.Sequential([lw.layers.Dense(1)]))
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"to_keras needs Keras 3.* pip install keras"):
        lw.to_keras(network()[0])
