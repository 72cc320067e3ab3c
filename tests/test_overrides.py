"""Classes of a person's own that compiled code would pass over are refused; what stands for `super().__init__()`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras
from lanewise.keras import layers


@pytest.mark.parametrize(
    ("base", "method", "instead"),
    [
        (keras.optimizers.Optimizer, "update_step", "w.assign"),
        (keras.optimizers.SGD, "apply_gradients", "model.value_and_grad"),
        (keras.losses.Loss, "__call__", r"define call\(self, y_true, y_pred\)"),
        (keras.losses.MeanSquaredError, "__call__", r"define call\(self, y_true, y_pred\)"),
        (keras.regularizers.Regularizer, "__call__", "use L1, L2 or L1L2"),
        (keras.regularizers.L2, "__call__", "model.apply_gradients"),
        (keras.constraints.Constraint, "__call__", "use NonNeg, MaxNorm"),
        (keras.constraints.MaxNorm, "__call__", "on_train_batch_end"),
        (keras.layers.Layer, "__call__", r"define call\(self, inputs\)"),
        (keras.layers.Dense, "__call__", r"define call\(self, inputs\)"),
        (keras.Model, "compute_metrics", "model.value_and_grad"),
        (keras.Sequential, "make_train_function", "model.value_and_grad"),
    ],
)
def test_what_would_not_be_called_is_refused_where_it_is_defined(base: type, method: str, instead: str) -> None:
    with pytest.raises(NotImplementedError, match=rf"^Mine: a {method}\(\) of its own would not be called.*{instead}"):
        type("Mine", (base,), {method: lambda self, *args: args})


def test_functions_as_regularizers_and_constraints_are_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"^kernel_regularizer: a function is no regularizer.*L1L2"):
        layers.Dense(3, kernel_regularizer=lambda w: (w**2).sum())
    with pytest.raises(NotImplementedError, match=r"^bias_constraint: a function is no constraint.*NonNeg"):
        layers.Dense(3, bias_constraint=lambda w: w)
    with pytest.raises(TypeError, match="kernel_regularizer: expected a name or a Regularizer"):
        layers.Dense(3, kernel_regularizer=keras.regularizers.l2)  # a function of ours, not called


def test_what_the_messages_propose_works() -> None:
    class Steep(keras.regularizers.L1L2):
        """Other numbers are no other formula."""

        def __init__(self) -> None:
            super().__init__(l1=0.5)

    keras.utils.set_random_seed(3)  # in one of eight orders of the rows the last step moves a weight off its limit
    rng = np.random.default_rng(3)
    x = rng.normal(size=(64, 5)).astype(np.float32)
    y = x @ np.array([1, -2, 3, 0, 0.5], np.float32)

    class Box(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            kernel = self.model.layers[0].kernel
            kernel.assign(np.clip(kernel.numpy(), -0.1, 0.1))

    model = lw.Sequential([lw.Input((5,)), layers.Dense(1, kernel_regularizer=Steep())])
    assert model.losses[0] == pytest.approx(0.5 * np.abs(model.layers[0].kernel.numpy()).sum(), rel=1e-6)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, y, epochs=5, verbose=0, callbacks=[Box()])
    np.testing.assert_allclose(model.layers[0].kernel.numpy()[:3, 0], np.float32([0.1, -0.1, 0.1]))

    loss, gradients = model.value_and_grad(x, y)  # an update rule of one's own
    before = [w.numpy().copy() for w in model.trainable_weights]
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        weight.assign(weight.numpy() - 0.01 * np.sign(gradient))
    for weight, old, gradient in zip(model.trainable_weights, before, gradients, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old - np.float32(0.01) * np.sign(gradient))
    assert model.value_and_grad(x, y)[0] < loss


def test_a_constructor_that_leaves_out_super_is_told_so() -> None:
    class Bare(layers.Layer):
        def __init__(self) -> None:
            self.inner = layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    class BareModel(lw.Model):
        def __init__(self) -> None:
            self.inner = layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    text = r"its __init__ must call super\(\).__init__\(\) before anything else"
    for use in (
        lambda: Bare()(np.ones((2, 4), np.float32)), lambda: Bare()(lw.Input((4,))), lambda: lw.Sequential([Bare()]),
        lambda: Bare().weights, lambda: Bare().name,
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=f"^Bare: {text}"):
            use()
    x = np.ones((2, 4), np.float32)
    for act in (lambda m: m.compile("sgd", "mse"), lambda m: m.fit(x, x), lambda m: m(x), lambda m: m.summary()):
        with pytest.raises(RuntimeError, match=f"^BareModel: {text}"):
            act(BareModel())


class Twice:
    """Brings a call by inheritance."""

    def call(self, x: Any) -> Any:
        return x * 2.0


def test_methods_that_a_mixin_brings_count_as_ones_own() -> None:
    class Alone(Twice, layers.Layer):
        pass

    class Doubled(Twice, layers.Dense):
        pass

    class Built:
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")  # type: ignore[attr-defined]

    class Scaled(Built, layers.Layer):
        def call(self, x: Any) -> Any:
            return x * self.scale

    class Again(Scaled):
        pass

    x = np.full((2, 3), 5.0, np.float32)
    for layer, wanted in ((Alone(), x * 2), (Doubled(3), x * 2), (Scaled(), x), (Again(), x)):
        assert np.array_equal(layer(x), wanted)
        assert np.array_equal(keras.Sequential([keras.Input((3,)), layer]).predict(x, verbose=0), wanted)
    assert len(Again().weights) == 0 and len(layer.weights) == 1


def test_models_that_would_not_call_what_they_define_are_refused() -> None:
    class Both(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    inputs = keras.Input((3,))
    with pytest.raises(NotImplementedError, match=r"Both: a call\(\).*not both"):
        Both(inputs, layers.Dense(1)(inputs))
    for base in (keras.Model, keras.Sequential):
        with pytest.raises(NotImplementedError, match=r"a __call__\(\).*call\(self, inputs\)"):
            type("Called", (base,), {"__call__": lambda self, x: x, "__module__": __name__})


def test_a_schedule_of_ones_own_that_begins_with_a_known_one() -> None:
    class Stopped(keras.optimizers.schedules.ExponentialDecay):
        def __call__(self, step: Any) -> Any:
            return super().__call__(step) * 0

    model = keras.Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile(keras.optimizers.SGD(Stopped(0.1, 10, 0.5)), "mse")
    before = model.get_weights()[0]
    model.fit(np.ones((8, 2)), np.ones(8), verbose=0)
    assert np.array_equal(model.get_weights()[0], before)


def test_losses_that_go_on_from_a_known_one() -> None:
    class Double(keras.losses.MeanSquaredError):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return 2 * super().call(y_true, y_pred)

    class Nothing(keras.losses.Loss):
        pass

    y, z = np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32)
    assert Double()(y, z) == 2.0
    assert keras.losses.MeanSquaredError().call(y, z).tolist() == [1.0] * 4
    with pytest.raises(NotImplementedError, match=r"Nothing: define call\(self, y_true, y_pred\)"):
        Nothing()(y, z)
    weights = []
    for loss, rate in ((Double(), 0.05), ("mse", 0.1)):
        model = keras.Sequential([layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
        model.compile(keras.optimizers.SGD(rate), loss)
        model.fit(np.ones((8, 2)), np.zeros(8), verbose=0, batch_size=8)
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)
