"""Activations, their layers and noise layers beside Keras itself: curves from the same weights, descriptions, files."""

from typing import Any

import numpy as np
import pytest

import lanewise as lw

keras = pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own

RNG = np.random.default_rng(12)
X = RNG.standard_normal((96, 6)).astype(np.float32)
Y = np.sin(X.sum(axis=1, keepdims=True)).astype(np.float32)

NAMES = [
    "relu", "leaky_relu", "relu6", "elu", "celu", "selu", "gelu", "silu", "swish", "mish", "softplus", "softsign",
    "exponential", "sigmoid", "log_sigmoid", "hard_sigmoid", "sparse_sigmoid", "hard_silu", "hard_swish", "tanh",
    "hard_tanh", "softmax", "log_softmax", "linear",
]  # fmt: skip
LAYERS = {
    "LeakyReLU": lambda k: k.layers.LeakyReLU(),
    "LeakyReLU 0.1": lambda k: k.layers.LeakyReLU(negative_slope=0.1),
    "ELU": lambda k: k.layers.ELU(alpha=0.7),
    "ReLU": lambda k: k.layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2),
    "Softmax": lambda k: k.layers.Softmax(),
    "PReLU": lambda k: k.layers.PReLU("he_normal", "l2", "non_neg"),
    "PReLU shared": lambda k: k.layers.PReLU(shared_axes=[1]),
    "GaussianNoise": lambda k: k.layers.GaussianNoise(0.0),
    "GaussianDropout": lambda k: k.layers.GaussianDropout(0.0),
    "AlphaDropout": lambda k: k.layers.AlphaDropout(0.0),
    "Dense with a layer": lambda k: k.layers.Dense(8, activation=k.layers.ELU(0.5)),
}


def curves(make: Any) -> tuple[Any, Any]:
    """(Keras's model, ours) of 6-16-[what is made]-1, trained 50 steps with Adam; the curves are compared."""
    models, losses = [], []
    for library in (keras, lw.keras):
        k: Any = library
        k.backend.clear_session()  # names begin again
        k.utils.set_random_seed(5)
        model = k.Sequential([k.Input((6,)), k.layers.Dense(16), make(k), k.layers.Dense(1)])
        if models:
            model.set_weights(models[0].get_weights())
        model.compile(k.optimizers.Adam(0.01), "mse")
        models.append(model)
    for model in models:
        history = model.fit(X, Y, batch_size=16, epochs=9, shuffle=False, verbose=0).history["loss"]
        losses.append(np.array(history, np.float64))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    predictions = [model.predict(X, verbose=0) for model in models]
    np.testing.assert_allclose(predictions[1], predictions[0], rtol=1e-3, atol=2e-4)
    return models[0], models[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_curve(name: str) -> None:
    theirs, ours = curves(lambda k: k.layers.Activation(name))
    config = ours.layers[1].get_config()
    assert theirs.layers[1].get_config()["activation"] == lw.keras.activations.serialize(ours.layers[1].activation) or (
        name in ("swish", "hard_swish") and config["activation"] in ("silu", "hard_silu")
    )


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_curve_with_layers(name: str) -> None:
    theirs, ours = curves(LAYERS[name])
    theirs_config, ours_config = theirs.layers[1].get_config(), ours.layers[1].get_config()
    left_out = {"dtype", "alpha_initializer", "alpha_regularizer", "alpha_constraint", "activation"}
    for key in set(theirs_config) & set(ours_config) - left_out:
        if not key.startswith(("kernel", "bias", "quantization", "lora")):
            assert ours_config[key] == theirs_config[key], key
    again = lw.layers.deserialize(lw.layers.serialize(ours.layers[1]))
    assert again.get_config() == ours_config


def test_the_same_values_over_a_wide_range() -> None:
    x = np.concatenate([np.linspace(-12, 12, 4801), [-80, -30, 30, 80]]).astype(np.float32)
    for name in NAMES:
        if "softmax" in name:
            continue
        ours = lw.keras.activations.get(name)(x)
        theirs = np.asarray(keras.activations.get(name)(x))
        # Keras's float32 loses digits where it subtracts from 1
        np.testing.assert_allclose(ours, theirs, rtol=3e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["GaussianNoise", "GaussianDropout", "AlphaDropout"])
def test_noise_has_keras_mean_and_spread(name: str) -> None:
    x = np.full((400, 500), 0.75, np.float32)
    spread = []
    for library in (keras, lw.keras):
        k: Any = library
        k.utils.set_random_seed(6)
        y = np.asarray(getattr(k.layers, name)(0.3)(x, training=True), np.float64)
        spread.append([y.mean(), y.std(), np.quantile(y, 0.05), np.quantile(y, 0.5), np.quantile(y, 0.95)])
    np.testing.assert_allclose(spread[1], spread[0], atol=0.006)
