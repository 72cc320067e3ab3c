"""Layers, losses, metrics, rules and models as a person writes them, with and without `get_config`."""

import numpy as np

import lanewise as lw
from lanewise import keras, layers

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


class Adapted(layers.Normalization):
    def __init__(self, k=1, **kwargs):
        super().__init__(**kwargs)
        self.k = k


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


class Holding(layers.Layer):
    """A Sequential, built at the first call, a functional model and a dict of layers."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.chain = lw.Sequential([layers.Dense(units), layers.BatchNormalization(), Residual(units), layers.Dense(3)])
        x = layers.Input((3,))
        self.graph = lw.Model(x, layers.Add()([x, layers.Dense(3, name="dense")(x)]))
        self.ends = {"a": layers.Dense(3, name="dense"), "b": [layers.Dense(3)]}

    def call(self, inputs):
        y = self.graph(self.chain(inputs))
        return self.ends["a"](y) + self.ends["b"][0](y)


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


class Tower(lw.Model):
    """An argument that is called as what a Sequential says of itself."""

    def __init__(self, layers=()):
        super().__init__()
        self.parts = [keras.layers.Dense(units) for units in layers]

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs


class Chain(lw.Sequential):
    """A Sequential that adds its own layers."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.add(layers.Dense(units, activation="relu", input_shape=(3,)))
        self.add(layers.Dense(1))
