"""Files of layers and models in Python that keep others: written by either library, read by the other."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras as ours

theirs = pytest.importorskip("keras")
pytest.importorskip("h5py")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]  # Keras's own

X = np.random.default_rng(3).standard_normal((64, 4)).astype(np.float32)
Y = X[:, :1] * X[:, 1:2]


def classes(library: Any) -> Any:
    """The same classes in one of the libraries."""
    layers = library.layers

    class Small(layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.norm, self.out = layers.BatchNormalization(), layers.Dense(4, "tanh")

        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight(shape=(), trainable=False, name="count", initializer="zeros")
            self.gain = self.add_weight(shape=(4,), name="gain", initializer="ones")
            self.norm.build(input_shape)
            self.out.build(input_shape)

        def call(self, x: Any, training: Any = None) -> Any:
            return self.out(self.norm(x, training=training)) * self.gain + self.count

    class Block(layers.Layer):
        def __init__(self, units: int = 4, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.dense = layers.Dense(units, name="zzz")
            self.layers = [layers.Dense(units), Small(), layers.Dense(units)]
            self.ways = {"b": layers.Dense(units), "a": (layers.Dense(units), [layers.Dense(units)])}
            self._hidden = Small()
            self.again = self.dense
            self.chain = library.Sequential([layers.Dense(units, "relu"), layers.Dense(units)])
            self.drop = layers.Dropout(0.0)

        @property
        def first(self) -> Any:
            return self.layers[2]

        def kept(self) -> list[Any]:
            a, (b,) = self.ways["a"]
            return [self.dense, *self.layers, self.ways["b"], a, b, self._hidden, self.chain]

        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(1,), trainable=False, name="scale", initializer="ones")
            self.w = self.add_weight(shape=(self.units,), name="w", initializer="ones")
            for layer in self.kept():
                layer.build(input_shape)

        def call(self, x: Any) -> Any:
            y = x
            for layer in self.kept():
                y = y * self.w + layer(y) * 0.3
            return self.drop(y) * self.scale

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Net(library.Model):
        def __init__(self) -> None:
            super().__init__()
            self.out, self.block, self.rest = layers.Dense(1), Block(), [layers.Dense(4), Small()]

        def call(self, x: Any) -> Any:
            for layer in (self.block, *self.rest, self.out):
                x = layer(x)
            return x

    class Graph(library.Model):
        def __init__(self, early: bool) -> None:
            second, first = layers.Dense(4), layers.Dense(4)
            if early:
                self.second, self.first = second, first
            x = library.Input((4,))
            super().__init__(x, layers.Dense(1)(second(first(x))))
            self.second, self.first = second, first

    return SimpleNamespace(Small=Small, Block=Block, Net=Net, Graph=Graph)


KINDS = {"ours": (ours, classes(ours)), "theirs": (theirs, classes(theirs))}


def sequential(library: Any, kinds: Any) -> Any:
    layers = library.layers
    return library.Sequential([library.Input((4,)), layers.Dense(4), kinds.Block(), kinds.Small(), layers.Dense(1)])


def functional(library: Any, kinds: Any) -> Any:
    """The layers are made in another order than the graph has them."""
    layers = library.layers
    out, block = layers.Dense(1), kinds.Block()
    inner = library.Sequential([library.Input((4,)), kinds.Small(), layers.Dense(4)])
    x = library.Input((4,))
    return library.Model(x, out(layers.Add()([block(x), inner(layers.Dense(4)(x))])))


def subclassed(library: Any, kinds: Any) -> Any:
    model = kinds.Net()
    model(X)
    return model


def of_tensors(library: Any, kinds: Any) -> Any:
    return kinds.Graph(early=True)


def of_tensors_later(library: Any, kinds: Any) -> Any:
    return kinds.Graph(early=False)


MAKERS = [sequential, functional, subclassed, of_tensors, of_tensors_later]


def made(side: str, make: Any, trained: bool) -> Any:
    """A model with weights of its own, perhaps trained a little."""
    library, kinds = KINDS[side]
    library.utils.set_random_seed(3)
    model = make(library, kinds)
    rng = np.random.default_rng(8)
    model.set_weights([rng.uniform(0.2, 1, w.shape) * 0.5 for w in model.get_weights()])
    model.compile(library.optimizers.Adam(1e-2), "mse", jit_compile=False)
    if trained:
        fit(model)
    return model


def fit(model: Any) -> list[float]:
    history = model.fit(X, Y, batch_size=32, shuffle=False, verbose=0).history["loss"]
    return [float(loss) for loss in history]


def alike(a: Any, b: Any) -> None:
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)
    np.testing.assert_allclose(a.predict(X, verbose=0), b.predict(X, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("writer, reader", [("ours", "theirs"), ("theirs", "ours")])
def test_weights(writer: str, reader: str, make: Any, tmp_path: Path) -> None:
    """Of every array, in its place, and the optimizer's: training goes on alike."""
    path = str(tmp_path / "w.weights.h5")
    first, second = made(writer, make, True), made(reader, make, True)
    fit(first)
    first.save_weights(path)
    second.load_weights(path)
    alike(first, second)
    np.testing.assert_allclose(fit(first), fit(second), rtol=2e-4)


@pytest.mark.parametrize("make", [sequential, functional])
@pytest.mark.parametrize("writer, reader", [("ours", "theirs"), ("theirs", "ours")])
def test_whole_models(writer: str, reader: str, make: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "m.keras")
    first = made(writer, make, True)
    first.save(path)
    library, kinds = KINDS[reader]
    library.backend.clear_session()
    second = library.models.load_model(path, custom_objects=vars(kinds))
    alike(first, second)
    np.testing.assert_allclose(fit(first), fit(second), rtol=2e-4)


@pytest.mark.parametrize("make", [sequential, functional])
def test_in_memory(make: Any) -> None:
    first = made("theirs", make, True)
    second = lw.from_keras(first, custom_objects=vars(KINDS["ours"][1]))
    alike(first, second)
    with theirs.saving.custom_object_scope(vars(KINDS["theirs"][1])):
        alike(second, lw.to_keras(second))
    np.testing.assert_allclose(fit(first), fit(second), rtol=2e-4)
