"""Normalisation, embedding, pooling and shapes in training: against the twin in float64, fused against unfused, and the
same bits on every instruction set and at any number of threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lanewise as lw
import twin
import twin_layers as t
from bounds import ALIKE, running
from lanewise import _core as core
from lanewise.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    LayerNormalization,
    Permute,
    RepeatVector,
    Rescaling,
    Reshape,
    RMSNormalization,
    UnitNormalization,
)  # fmt: skip

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A network, the shape of its samples, and below which number they are ids (0: normal numbers)."""

    layers: Callable[[], list[Any]]
    shape: tuple[int, ...]
    ids: int = 0

    def data(self, rows: int = 150) -> tuple[Array, Array]:
        """x and targets of three columns."""
        rng = np.random.default_rng(3)
        x = rng.integers(0, self.ids, (rows, *self.shape)) if self.ids else rng.standard_normal((rows, *self.shape))
        return x, rng.standard_normal((rows, 3)).astype(np.float32)

    def model(self, optimizer: Any = None) -> lw.Sequential:
        """The compiled network, its weights moved away from zeros and ones."""
        lw.utils.set_random_seed(4)
        model = lw.Sequential([lw.Input(self.shape), *self.layers()])
        rng = np.random.default_rng(5)
        for weight in model.weights:
            if weight.name in ("gamma", "beta", "bias", "scale", "moving_mean"):
                weight.assign(weight.numpy() + 0.3 * rng.standard_normal(weight.shape))
            elif weight.name == "moving_variance":
                weight.assign(rng.uniform(0.5, 2.0, weight.shape))
            elif weight.name == "embeddings":
                weight.assign(rng.standard_normal(weight.shape))
        model.compile(optimizer or lw.optimizers.Adam(0.01), "mse")
        return model


CASES = {
    "batch": Case(lambda: [Dense(96, "tanh"), BatchNormalization(), Dense(64), BatchNormalization(momentum=0.9),
                           Activation("sigmoid"), Dense(3)], (20,)),
    "batch first": Case(lambda: [BatchNormalization(scale=False), Dense(130, "relu"), BatchNormalization(center=False),
                                 Dense(3)], (33,)),
    "batch over time": Case(lambda: [Dense(17), BatchNormalization(epsilon=0.1), Activation("tanh"), Flatten(),
                                     Dense(3)], (6, 5)),
    "layer": Case(lambda: [Dense(96, "tanh"), LayerNormalization(), Dense(530), LayerNormalization(scale=False),
                           Activation("relu"), Dense(3)], (20,)),
    "root mean square, unit": Case(lambda: [Dense(40), RMSNormalization(), Dense(17, "tanh"), UnitNormalization(),
                                            Dense(3)], (9,)),
    "embedding, mean": Case(lambda: [Embedding(50, 16), LayerNormalization(center=False), GlobalAveragePooling1D(),
                                     Dense(3)], (13,), 50),
    "embedding, maximum": Case(lambda: [Embedding(400, 70), GlobalMaxPooling1D(), Dense(3)], (7,), 400),
    "embedding, flat": Case(lambda: [Embedding(40, 3), Flatten(), BatchNormalization(), Dense(3)], (5,), 40),
    "shapes": Case(lambda: [Permute((2, 1)), Dense(4, "tanh"), Reshape((-1, 3)), LayerNormalization(),
                            GlobalAveragePooling1D(keepdims=True), Flatten(), RepeatVector(5), BatchNormalization(),
                            Rescaling(0.5, [1.0, 2.0, 3.0]), Flatten(), Dense(3)], (3, 6)),
}  # fmt: skip


def twin_of(model: lw.Sequential) -> list[twin.Layer]:
    """The same layers with the same weights in float64."""
    found: list[twin.Layer] = []
    for layer in model.layers:
        w = [weight.numpy() for weight in layer.weights]
        if isinstance(layer, Dense):
            found.append(twin.Dense(w[0], w[1], lw.activations.serialize(layer.activation)))
        elif isinstance(layer, Activation):
            found.append(twin.Dense(np.eye(layer.output_shape[-1]), np.zeros(layer.output_shape[-1]),
                                    lw.activations.serialize(layer.activation)))  # fmt: skip
        elif isinstance(layer, BatchNormalization):
            found.append(t.BatchNorm(layer._gamma.numpy(), layer._beta.numpy(), *w[-2:], layer.momentum, layer.epsilon,
                                     layer.trainable))  # fmt: skip
        elif isinstance(layer, LayerNormalization):
            found.append(t.LayerNorm(layer._gamma.numpy(), layer._beta.numpy(), layer.epsilon))
        elif isinstance(layer, RMSNormalization):
            found.append(t.LayerNorm(w[0], np.zeros(len(w[0])), layer.epsilon, center=False))
        elif isinstance(layer, Embedding):
            found.append(t.Embed(w[0]))
        elif isinstance(layer, Permute):
            found.append(t.Shape(layer.dims))
        elif isinstance(layer, RepeatVector):
            found.append(t.Repeat(layer.n))
        elif isinstance(layer, Rescaling):
            found.append(t.Scale(layer.scale, layer.offset))
        elif isinstance(layer, Reshape):
            found.append(t.Shape(range(1, len(layer.input_shape)), layer.output_shape[1:]))
        elif isinstance(layer, GlobalAveragePooling1D):
            found.append(t.AveragePool())
            if layer.keepdims:
                found.append(t.Repeat(1))
        else:
            kinds = {UnitNormalization: t.UnitNorm, GlobalMaxPooling1D: t.MaxPool, Flatten: twin.Flatten}
            found.append(kinds[type(layer)]())
    return found


def fit_to_trained(model: lw.Sequential, layers: list[twin.Layer]) -> list[tuple[lw.layers.Layer, int, Array]]:
    """(layer, position among its weights, the twin's array) of each trained weight."""
    found = []
    twins = iter([layer for layer in layers if layer.weights or isinstance(layer, t.BatchNorm)])
    for layer in model.layers:
        if isinstance(layer, Activation):
            next(twins)
        elif layer.weights:
            own = next(twins)
            names = {"kernel": 0, "bias": 1, "gamma": 0, "beta": 1, "scale": 0, "embeddings": 0}
            found += [(layer, i, own.weights[names[w.name]]) for i, w in enumerate(layer.weights) if w.trainable]
    return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_the_twin(name, training, isa):
    """Float32 against float64: 2e-5 of a gradient's largest element, some hundred roundings, and where its terms cancel
    (a batch norm behind it undoes an offset) 1e-6 of the largest of all."""
    case = CASES[name]
    model, (x, y) = case.model(), case.data(40)
    layers = twin_of(model)
    value, gradients = twin.value_and_grad(layers, "mse", x, y, training=training)
    before = model.get_weights()
    got, own = model.value_and_grad(x, y, training=training)
    assert got == pytest.approx(value, rel=1e-5)
    wanted = {id(w): g for layer in layers for w, g in zip(layer.weights, layer.gradients, strict=True)}
    assert len(own) == len(fit_to_trained(model, layers))
    size = max(np.abs(g).max() for g in gradients)
    for g, (layer, i, w) in zip(own, fit_to_trained(model, layers), strict=True):
        exact = wanted[id(w)]
        assert np.abs(g - exact).max() <= 2e-5 * np.abs(exact).max() + 1e-6 * size, (layer.name, i)
    assert len(gradients) >= len(own)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))  # nothing has moved


@pytest.mark.parametrize("name", CASES)
def test_training_follows_the_twin(name):
    """Twenty steps of SGD with momentum, and the moving statistics after them."""
    case = CASES[name]
    model, (x, y) = case.model(lw.optimizers.SGD(0.02, momentum=0.5)), case.data(160)
    layers = twin_of(model)
    constants = [w.copy() for layer in layers for w in layer.weights]
    losses = twin.train(layers, "mse", twin.SGD(0.0), x, y, 32, 1)  # only the statistics move
    assert all(np.array_equal(a, b) for a, b in zip(constants, twin.weights_of(layers), strict=True))
    layers = twin_of(model)
    trained = [w for _, _, w in fit_to_trained(model, layers)]
    optimizer, losses = twin.SGD(0.02, momentum=0.5), []
    for _ in range(4):
        total = 0.0
        for rows in twin.batches(len(x), 32):
            value, _ = twin.value_and_grad(layers, "mse", x[rows], y[rows])
            of = {id(w): g for layer in layers for w, g in zip(layer.weights, layer.gradients, strict=True)}
            optimizer.apply(trained, [of[id(w)] for w in trained])
            total += value * len(rows)
        losses.append(total / len(x))
    history = model.fit(x, y, epochs=4, batch_size=32, shuffle=False, verbose=0).history["loss"]
    assert history == pytest.approx(losses, rel=1e-4)
    norms = [layer for layer in layers if isinstance(layer, t.BatchNorm)]
    own = [layer for layer in model.layers if isinstance(layer, BatchNormalization)]
    for layer, exact in zip(own, norms, strict=True):
        assert layer.moving_mean.numpy() == pytest.approx(exact.mean, rel=1e-4, abs=1e-4)
        assert layer.moving_variance.numpy() == pytest.approx(exact.variance, rel=1e-4, abs=1e-4)
    assert model.predict(x, verbose=0) == pytest.approx(twin.predict(layers, x), rel=1e-3, abs=1e-3)


def test_the_gradient_is_that_of_differences():
    """value_and_grad against central differences of the loss, batch norm in both modes, in every weight."""
    case = Case(lambda: [Dense(4, "tanh"), BatchNormalization(), Activation("sigmoid"), LayerNormalization(),
                         Dense(3)], (5,))  # fmt: skip
    model, (x, y) = case.model(), case.data(24)
    for training in (True, False):
        _, gradients = model.value_and_grad(x, y, training=training)
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
            w, h = weight.numpy(), 1e-2
            for index in np.ndindex(*weight.shape):
                values = []
                for sign in (1, -1):
                    moved = w.copy()
                    moved[index] += sign * h
                    weight.assign(moved)
                    values.append(model.value_and_grad(x, y, training=training)[0])
                weight.assign(w)
                assert gradient[index] == pytest.approx((values[0] - values[1]) / (2 * h), abs=1e-3)


def outcome(case: Case, optimizer: Any, fuse: bool = True) -> bytes:
    """Weights, losses and predictions after two epochs, as bytes."""
    model, (x, y) = case.model(optimizer), case.data()
    program = model._ready([case.shape])
    trained = [w.variable for w in model.trainable_weights]
    network = core.Network(program.builder.graph, program.outputs, [("mse", program.outputs[0], 0.0, 1.0)], [], trained,
                           [(trained[0], 1e-3, 1e-2)], [(trained[-1], "norm", 0.2, 0.9, 0.5)], fuse)  # fmt: skip
    order = core.permutation(1, 0, len(x))
    native = model.optimizer.native
    sums = [network.train([x], [y], None, order, 0, len(x), 32, native, 5) for _ in range(2)]
    out = np.empty((len(x), 3), np.float32)
    network.predict([x], 0, len(x), [out])
    test = network.evaluate([x], [y], None, 0, len(x), 32)
    return np.concatenate([*sums, test]).tobytes() + b"".join(w.tobytes() for w in model.get_weights()) + out.tobytes()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("optimizer", [lambda: lw.optimizers.Adam(0.01),
                                       lambda: lw.optimizers.SGD(0.01, momentum=0.9, clipnorm=0.5)])  # fmt: skip
def test_the_same_bits_fused_or_not_on_any_isa_at_any_number_of_threads(name, optimizer):
    results = set()
    for isa in ALIKE:
        for threads in (1, 2, 3, 7):
            for fuse in (True, False):
                with running(isa, threads):
                    results.add(outcome(CASES[name], optimizer(), fuse))
    assert len(results) == 1


@pytest.mark.parametrize("name", CASES)
def test_a_row_is_predicted_alike_in_any_batch(name, isa):
    model, (x, _) = CASES[name].model(), CASES[name].data(600)
    whole = model.predict(x, verbose=0)
    for start, stop in ((0, 1), (1, 3), (5, 262), (300, 600)):
        assert np.array_equal(model.predict(x[start:stop], verbose=0), whole[start:stop])


# --- batch normalisation ---------------------------------------------------------------------------------------------


def test_an_untrained_batch_norm_uses_and_keeps_its_moving_statistics():
    case = CASES["batch"]
    model, (x, y) = case.model(), case.data(64)
    norm = model.layers[1]
    norm.trainable = False
    before = norm.get_weights()
    layers = twin_of(model)
    assert model.value_and_grad(x, y)[0] == pytest.approx(twin.value_and_grad(layers, "mse", x, y)[0], rel=1e-5)
    model.fit(x, y, epochs=1, verbose=0)
    model(x, training=True)
    assert all(np.array_equal(a, b) for a, b in zip(before, norm.get_weights(), strict=True))
    norm.trainable = True
    model.fit(x, y, epochs=1, verbose=0)
    assert not any(np.array_equal(a, b) for a, b in zip(before, norm.get_weights(), strict=True))


def test_a_call_in_training_mode_uses_the_batch_and_moves_the_statistics():
    norm = BatchNormalization(momentum=0.5)
    x = np.array([[1.0, 10.0], [3.0, 30.0]], np.float32)
    assert norm(x) == pytest.approx(x / np.sqrt(1.001), rel=1e-6)
    assert norm(x, training=True) == pytest.approx(np.array([[-1, -1], [1, 1]]), abs=1e-3)
    assert norm.moving_mean.numpy() == pytest.approx([1.0, 10.0])  # 0.5 * 0 + 0.5 * (2, 20)
    assert norm.moving_variance.numpy() == pytest.approx([1.0, 50.5])  # 0.5 * 1 + 0.5 * (1, 100)
    assert norm.moving_mean.trainable is False
    assert [w.name for w in norm.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.name for w in norm.trainable_weights] == ["gamma", "beta"]


def test_fused_batch_norms_need_no_barrier_of_their_own():
    """Columns of a dense layer, of its batch norm and of the activation behind it are one thread's."""
    case = Case(lambda: [Dense(256), BatchNormalization(), Activation("relu"), Dense(256), Dense(10)], (100,))
    model = case.model()
    program = model._ready([case.shape])
    with running(threads=2):
        trained = [w.variable for w in model.trainable_weights]
        text = program.network([("mse", program.outputs[0], 0.0, 1.0)], (), trained).instructions("train")
    norms = [line for line in text if "batch_norm" in line]
    assert len(norms) == 2
    assert not any(line.startswith("|") for line in norms)
    assert "relu" in norms[0]
    assert not any("activation" in line for line in text)


# --- describing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_models_of_all_layers_are_saved_whole(name, tmp_path):
    case = CASES[name]
    model, (x, y) = case.model(), case.data(64)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.lanewise")
    loaded = lw.load_model(tmp_path / "model.lanewise")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert [layer.get_config() for layer in loaded.layers] == [layer.get_config() for layer in model.layers]
    for one in (model, loaded):
        one.fit(x, y, epochs=1, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))


BASE = {"name", "trainable", "dtype"}
GAMMA_BETA = {"axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer", "beta_regularizer",
              "gamma_regularizer", "beta_constraint", "gamma_constraint"}  # fmt: skip
KEYS: dict[type, tuple[dict[str, Any], set[str]]] = {  # keys of Keras 3.15's get_config
    BatchNormalization: ({}, GAMMA_BETA | {"momentum", "moving_mean_initializer", "moving_variance_initializer",
                                           "renorm", "renorm_clipping", "renorm_momentum", "synchronized"}),
    LayerNormalization: ({}, GAMMA_BETA | {"rms_scaling"}),
    RMSNormalization: ({}, {"axis", "epsilon"}),
    UnitNormalization: ({}, {"axis"}),
    Embedding: ({"input_dim": 3, "output_dim": 2}, {"input_dim", "output_dim", "embeddings_initializer", "mask_zero",
                                                    "embeddings_regularizer", "embeddings_constraint"}),
    Flatten: ({}, {"data_format"}),
    Reshape: ({"target_shape": (2, -1)}, {"target_shape"}),
    Permute: ({"dims": (2, 1)}, {"dims"}),
    RepeatVector: ({"n": 2}, {"n"}),
    Rescaling: ({"scale": [1.0, 2.0], "offset": 3}, {"scale", "offset"}),
    GlobalAveragePooling1D: ({}, {"data_format", "keepdims"}),
    GlobalMaxPooling1D: ({"keepdims": True}, {"data_format", "keepdims"}),
}  # fmt: skip


@pytest.mark.parametrize("cls", KEYS)
def test_configs_have_keras_keys_and_come_back(cls):
    arguments, keys = KEYS[cls]
    config = cls(**arguments).get_config()
    assert set(config) == BASE | keys
    assert cls.from_config(config).get_config() == config
