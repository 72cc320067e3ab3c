"""A residual network with batch normalization, and the same with layer normalization (functional API)."""

import json

import numpy as np

from lanewise import keras
from lanewise.keras import layers

rng = np.random.default_rng(17)
x = rng.normal(size=(3000, 20)).astype("float32")
angle = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3]
y = np.digitize(angle, [-1, 0, 1])
x_train, y_train, x_test, y_test = x[:2400], y[:2400], x[2400:], y[2400:]


def block(h, units, norm):
    shortcut = h
    h = layers.Dense(units, use_bias=False)(h)
    h = norm()(h)
    h = layers.Activation("swish")(h)
    h = layers.Dense(units)(h)
    h = norm()(h)
    return layers.Activation("swish")(layers.add([shortcut, h]))


def build(norm):
    keras.utils.set_random_seed(17)
    inputs = keras.Input(shape=(20,))
    h = layers.Dense(48, activation="gelu")(inputs)
    for _ in range(2):
        h = block(h, 48, norm)
    outputs = layers.Dense(4, activation="softmax")(h)
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=2e-3, weight_decay=1e-3, global_clipnorm=1.0),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")],
    )
    return model


figures = {}
for name, norm in {"batch": layers.BatchNormalization, "layer": layers.LayerNormalization}.items():
    model = build(norm)
    history = model.fit(x_train, y_train, epochs=12, batch_size=64, validation_split=0.1, verbose=2)
    loss, accuracy, top2 = model.evaluate(x_test, y_test, verbose=0)
    print(f"{name}: accuracy {accuracy:.3f}, among the first two {top2:.3f}, {model.count_params()} parameters")
    figures |= {
        f"{name}_first_loss": history.history["loss"][0],
        f"{name}_loss": history.history["loss"][-1],
        f"{name}_accuracy": accuracy,
        f"{name}_top2": top2,
        f"{name}_parameters": model.count_params(),
    }
print(json.dumps(figures))
