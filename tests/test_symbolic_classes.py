"""Models as classes: their `call` is traced into the graph that it writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lanewise import keras
from same_bits import grid

L, ops = keras.layers, keras.ops
Z = grid(6, 3, salt=2)


class Net(keras.Model):  # type: ignore[misc]
    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = [L.Dense(units, activation="relu") for _ in range(2)]
        self.drop = L.Dropout(0.0)
        self.out = L.Dense(1)

    def call(self, inputs: Any, training: Any = None) -> Any:
        x = inputs
        for layer in self.blocks:
            x = layer(x)
        if training:
            x = self.drop(x, training=training)
        return self.out(x) + ops.mean(inputs, axis=1, keepdims=True)


def test_a_class_trains_as_in_keras_and_as_the_graph_does(tmp_path: Any) -> None:
    x = np.linspace(-1, 1, 60).reshape(20, 3).astype(np.float32)
    y, model = x.sum(1), Net()
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model(x[:2])
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    history = model.fit(x, y, epochs=3, shuffle=False, verbose=0, validation_split=0.2).history
    # Keras 3.15, backend jax
    assert history["loss"] == pytest.approx([16.55498695, 15.77929688, 15.01970673], rel=1e-5)
    assert model.evaluate(x, y, verbose=0) == pytest.approx([15.57104778, 3.86779213], rel=1e-5)
    assert [type(layer).__name__ for layer in model.layers] == ["Dense", "Dense", "Dropout", "Dense"]
    model.save_weights(tmp_path / "m.weights.h5")
    again = Net()
    again.build((None, 3))
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "Trainable params: 41" in "\n".join(lines)
    plain = keras.Model(model.inputs, model.outputs)
    np.testing.assert_array_equal(plain.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(NotImplementedError, match="save_weights"):
        model.save(tmp_path / "m.keras")


def test_a_class_takes_dicts_and_stands_in_other_models() -> None:
    class Wide(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table, self.flat, self.out = L.Embedding(5, 2), L.Flatten(), L.Dense(1, activation="sigmoid")

        def call(self, inputs: Any) -> Any:
            return self.out(ops.concatenate([self.flat(self.table(inputs["id"])), inputs["x"]], axis=1))

    model = Wide()
    model.compile("adam", "binary_crossentropy")
    data = {"id": np.arange(20)[:, None] % 5, "x": grid(20, 3)}
    model.fit(data, np.ones(20), verbose=0)
    assert model.predict(data, verbose=0).shape == (20, 1)
    inputs = keras.Input((3,))
    inner = Net()
    outer = keras.Model(inputs, L.Dense(2)(inner(inputs)))
    assert outer.predict(Z, verbose=0).shape == (6, 2) and len(outer.trainable_weights) == 8


def test_a_class_of_inputs_and_outputs() -> None:
    class Made(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            inputs = keras.Input((3,))
            super().__init__(inputs=inputs, outputs=L.Dense(2)(inputs))

    assert Made().predict(Z, verbose=0).shape == (6, 2)


def test_a_class_that_asks_for_values_or_trains_otherwise_is_refused() -> None:
    class Values(keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs if ops.sum(inputs, axis=1) > 0 else -inputs

    class Otherwise(keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any, training: Any = None) -> Any:
            return inputs * 2.0 if training else inputs

    with pytest.raises(TypeError, match="runs once on tensors without values"):
        Values().predict(Z, verbose=0)
    with pytest.raises(NotImplementedError, match="something else when training"):
        Otherwise().predict(Z, verbose=0)
    with pytest.raises(NotImplementedError, match="value_and_grad"):

        class Step(keras.Model):  # type: ignore[misc]
            def train_step(self, data: Any) -> Any:
                return {}


@pytest.mark.parametrize("with_super", [False, True])
def test_a_class_makes_its_layers_in_build(with_super: bool) -> None:
    class Late(keras.Model):
        def build(self, input_shape: Any) -> None:
            self.hidden = keras.layers.Dense(input_shape[-1], activation="tanh")
            self.out = keras.layers.Dense(1)
            if with_super:
                super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            return self.out(self.hidden(inputs))

    x = np.random.RandomState(0).rand(20, 3).astype("f")
    models = [Late(), Late()]
    models[1].build((None, 3))
    for model in models:
        model.compile("sgd", "mse")
        model.fit(x, x[:, :1], verbose=0)
        assert [w.shape for w in model.weights] == [(3, 3), (3,), (3, 1), (1,)]
        hidden = np.asarray(model.hidden(x))
        np.testing.assert_array_equal(model.predict(x, verbose=0), np.asarray(model.out(hidden)))


def test_a_layer_set_too_late_is_refused() -> None:
    """As in Keras: the graph knows the layers that were there."""

    class Small(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.out = keras.layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.out(inputs)

    model = Small()
    model.out = keras.layers.Dense(2)
    x = np.ones((4, 3), np.float32)
    assert model.predict(x, verbose=0).shape == (4, 2)
    for name, value in [("out", keras.layers.Dense(1)), ("more", [keras.layers.Dense(1)])]:
        with pytest.raises(ValueError, match=rf"{name} would stand outside of it; set layers in __init__"):
            setattr(model, name, value)
    model.remark = "kept"
    assert len(model.layers) == 1


def test_weights_are_in_the_order_in_which_layers_were_set() -> None:
    """As in Keras, whatever the attributes are called."""

    class Private(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self._out = keras.layers.Dense(1)
            self._hidden = [keras.layers.Dense(4)]

        def call(self, inputs: Any) -> Any:
            return self._out(self._hidden[0](inputs))

    model = Private()
    model.compile("sgd", "mse")
    x = np.ones((4, 3), np.float32)
    for _ in range(2):
        model.fit(x, x[:, :1], verbose=0)
        assert [w.shape for w in model.get_weights()] == [(4, 1), (1,), (3, 4), (4,)]
    assert model.layers == [model._out, *model._hidden]
