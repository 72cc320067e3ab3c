"""Layers and models in Python in Keras's files: what they keep stands below them, by attribute, as Keras 3 has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise.keras import layers

h5py = pytest.importorskip("h5py")

X = np.random.default_rng(4).standard_normal((32, 4)).astype(np.float32)


class Block(layers.Layer):
    """Every way to keep a layer; what comes first by name is not what comes first in time."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, name="zzz")
        self.layers = [layers.Dense(4), layers.BatchNormalization(), layers.Dense(4)]
        self.ways = {"b": layers.Dense(4), "a": (layers.Dense(4), [layers.Dense(4)])}
        self._hidden = layers.Dense(4)
        self.again = self.dense
        self.chain = keras.Sequential([layers.Dense(4), layers.Dense(4)])
        self.drop = layers.Dropout(0.5)

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(1,), trainable=False, name="scale")
        self.w = self.add_weight(shape=(4,), initializer="ones", name="w")
        for layer in self.kept():
            layer.build(input_shape)

    def kept(self) -> list[Any]:
        a, (b,) = self.ways["a"]
        return [self.dense, *self.layers, self.ways["b"], a, b, self._hidden, self.chain]

    def call(self, x: Any) -> Any:
        for layer in self.kept():
            x = x * self.w + layer(x)
        return self.drop(x) + self.scale


class Net(keras.Model):
    """Attributes from before `layers`, and after."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.block, self.rest = layers.Dense(1), Block(), [layers.Dense(4)]

    def call(self, x: Any) -> Any:
        return self.out(self.rest[0](self.block(x)))


class Graph(keras.Model):
    """Made of tensors: the layers go as they stand in the graph, weights as they were kept."""

    def __init__(self, early: bool) -> None:
        second, first = layers.Dense(4), layers.Dense(4)
        if early:
            self.second, self.first = second, first
        x = keras.Input((4,))
        super().__init__(x, second(first(x)))
        self.second, self.first = second, first


BLOCK = [
    "_hidden/vars/0", "_hidden/vars/1", "again/vars/0", "again/vars/1", "chain/layers/dense/vars/0",
    "chain/layers/dense/vars/1", "chain/layers/dense_1/vars/0", "chain/layers/dense_1/vars/1",
    "layers/batch_normalization/vars/0", "layers/batch_normalization/vars/1", "layers/batch_normalization/vars/2",
    "layers/batch_normalization/vars/3", "layers/dense/vars/0", "layers/dense/vars/1", "layers/dense_1/vars/0",
    "layers/dense_1/vars/1", "vars/0", "vars/1", "ways/container/container/dense/vars/0",
    "ways/container/container/dense/vars/1", "ways/container/dense/vars/0", "ways/container/dense/vars/1",
    "ways/dense/vars/0", "ways/dense/vars/1",
]  # fmt: skip
"""The arrays that Keras 3.15 writes of it, below its own path."""


def dense(path: str) -> list[str]:
    return [f"{path}/vars/0", f"{path}/vars/1"]


def sequential() -> Any:
    return keras.Sequential([keras.Input((4,)), layers.Dense(4), Block(), layers.Dense(1)])


def functional() -> Any:
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(1)(Block()(x)))


def subclassed() -> Any:
    model = Net()
    model.build((None, 4))
    return model


MODELS = {
    "sequential": (sequential, "layers/block", [*dense("layers/dense"), *dense("layers/dense_1")]),
    "functional": (functional, "layers/block", dense("layers/dense")),
    "class": (subclassed, "block", [*dense("layers/dense"), *dense("layers/dense_1")]),
}


def arrays(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


@pytest.mark.parametrize("kind", MODELS)
def test_arrays_stand_where_keras_has_them(kind: str, tmp_path: Path) -> None:
    make, block, others = MODELS[kind]
    model = make()
    model.set_weights([np.random.default_rng(i).random(w.shape) for i, w in enumerate(model.weights)])
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    found = arrays(path)
    assert sorted(found) == sorted([*(f"{block}/{name}" for name in BLOCK), *others])
    layer = next(layer for layer in model.layers if isinstance(layer, Block))
    for place, weight in {
        "again/vars/0": layer.dense.weights[0], "vars/0": layer.w, "vars/1": layer.scale,
        "layers/dense_1/vars/1": layer.layers[2].weights[1],
        "ways/container/dense/vars/0": layer.ways["a"][0].weights[0],
        "chain/layers/dense_1/vars/0": layer.chain.layers[1].weights[0],
    }.items():  # fmt: skip
        assert np.array_equal(found[f"{block}/{place}"], weight.numpy())
    other = make()
    other.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    with h5py.File(path, "r+") as file:
        del file[f"{block}/ways/dense/vars/1"]
    with pytest.raises(ValueError, match=f"1 weights in '{block}/ways/dense'"):
        other.load_weights(path)


@pytest.mark.parametrize("kind", MODELS)
def test_files_from_before_are_read(kind: str, tmp_path: Path) -> None:
    """All weights of a layer in Python stood at the layer, those that train first."""
    make, _, others = MODELS[kind]
    model = make()
    path = tmp_path / "w.weights.h5"
    layer = next(layer for layer in model.layers if isinstance(layer, Block))
    flat = sorted(layer.weights, key=lambda weight: not weight.trainable)
    values = {id(w): np.random.default_rng(i).random(w.shape).astype(np.float32) for i, w in enumerate(model.weights)}
    outer = [w for entry in model.layers if entry is not layer for w in entry.weights]
    with h5py.File(path, "w") as file:
        for i, weight in enumerate(flat):
            file[f"layers/block/vars/{i}"] = values[id(weight)]
        for place, weight in zip(others, outer, strict=True):
            file[place] = values[id(weight)]
    model.load_weights(path)
    assert all(np.array_equal(weight.numpy(), values[id(weight)]) for weight in model.weights)


@pytest.mark.parametrize("early", [True, False])
def test_a_model_of_tensors_goes_by_its_graph(early: bool, tmp_path: Path) -> None:
    model = Graph(early)
    kernel = (model.second if early else model.first).weights[0]
    assert model.weights[0] is kernel and len(model.weights) == 4
    assert model.layers[1:] == [model.first, model.second]
    model.save_weights(tmp_path / "w.weights.h5")
    found = arrays(tmp_path / "w.weights.h5")
    assert np.array_equal(found["layers/dense_1/vars/0"], model.second.weights[0].numpy())


def test_whole_models(tmp_path: Path) -> None:
    """Names of layers inside are made anew, and may be those of other layers in the file."""
    keras.backend.clear_session()
    later, block = layers.Dense(4), Block()  # the file's 'dense' comes last
    x = keras.Input((4,))
    model = keras.Model(x, later(block(x)))
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0)
    model.save(tmp_path / "m.keras")
    keras.backend.clear_session()
    other = lw.load_model(tmp_path / "m.keras", custom_objects={"Block": Block})
    assert np.array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    assert other.optimizer.iterations == 1
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    again = keras.models.clone_model(model)
    again.load_weights(tmp_path / "m.keras")
    assert np.array_equal(model.predict(X, verbose=0), again.predict(X, verbose=0))


class Ring(layers.Layer):
    """Keeps itself, lists and dicts in themselves, and a large dict."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(4)
        self.dense.owner = self
        self.ring: list[Any] = [self]
        self.ring.append(self.ring)
        self.table: dict[Any, Any] = {i: i for i in range(100_000)}
        self.table["table"] = self.table

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_what_contains_itself(tmp_path: Path) -> None:
    """It recursed for ever."""
    layer = Ring()
    model = keras.Sequential([keras.Input((4,)), layer, layers.Dense(4)])
    layer.model = model
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    assert len(model.weights) == 4
    layer.trainable = False
    assert not (layer.dense.trainable or model.trainable) and model.trainable_weights == []
    model.trainable = True
    assert layer.dense.trainable and len(model.trainable_weights) == 4
    model.save_weights(tmp_path / "w.weights.h5")
    assert sorted(arrays(tmp_path / "w.weights.h5"))[:4] == [*dense("layers/dense"), *dense("layers/ring/dense")]
    model.load_weights(tmp_path / "w.weights.h5")


class Kept(keras.Model):
    """Beside layers, a number in their list, a name of two lines and a property that fails."""

    __note__ = "kept"

    def __init__(self) -> None:
        super().__init__()
        self.pieces = [layers.Dense(3), 7, [layers.Dense(1)]]

    @property
    def later(self) -> Any:
        raise RuntimeError("not yet")

    def call(self, x: Any) -> Any:
        return self.pieces[2][0](self.pieces[0](x))  # type: ignore[index, operator]


def test_what_is_no_layer_is_passed_over(tmp_path: Path) -> None:
    one, other = Kept(), Kept()
    wanted = one.predict(X, verbose=0)
    assert not np.array_equal(other.predict(X, verbose=0), wanted)
    one.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(other.predict(X, verbose=0), wanted)


def test_a_sequential_of_ones_own_is_described_by_its_layers() -> None:
    class Mine(keras.Sequential):
        def __init__(self, units: int = 3) -> None:
            super().__init__([layers.Dense(units, activation="relu", input_shape=(4,))])
            self.units = units

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units}

    again = keras.models.model_from_json(Mine(5).to_json())
    assert type(again) is keras.Sequential
    assert [(layer.units, layer.activation.__name__) for layer in again.layers] == [(5, "relu")]


@pytest.mark.parametrize("suffix", ["keras", "weights.h5"])
def test_models_inside_each_other_as_deep_as_they_are_read(tmp_path, suffix):
    def nested(depth):
        model = None
        for _ in range(depth):
            inside = [] if model is None else [model]
            model = lw.Sequential([lw.Input((1,)), *inside, lw.layers.Dense(1)])
        return model

    path = tmp_path / f"m.{suffix}"
    deep = nested(25)
    if suffix == "keras":
        deep.save(path)
        x = np.ones((1, 1), np.float32)
        np.testing.assert_array_equal(lw.load_model(path).predict(x, verbose=0), deep.predict(x, verbose=0))
    else:
        deep.save_weights(path)
        deep.load_weights(path)
    before = path.read_bytes()
    deeper = nested(26)
    with pytest.raises(ValueError, match="stands in too many models inside each other"):
        (deeper.save if suffix == "keras" else deeper.save_weights)(path)
    assert path.read_bytes() == before
