"""Learning rates that change: by a formula, by a function of the epoch, and when progress stops."""

import json

import numpy as np
from sklearn.datasets import load_digits

from lanewise import keras

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
x_train, y_train, x_valid, y_valid = x[:1400], y[:1400], x[1400:], y[1400:]
n_epochs, batch_size = 12, 32
steps = n_epochs * len(x_train) // batch_size


def build():
    keras.utils.set_random_seed(12)
    return keras.Sequential([
        keras.layers.Dense(64, activation="elu", kernel_initializer="he_normal", input_shape=(64,)),
        keras.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


def train(optimizer, callbacks=()):
    model = build()
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    history = model.fit(
        x_train, y_train, epochs=n_epochs, batch_size=batch_size, validation_data=(x_valid, y_valid),
        callbacks=list(callbacks), verbose=0,
    )  # fmt: skip
    return model, history.history


s = keras.optimizers.schedules
schedules = {
    "exponential": s.ExponentialDecay(0.1, decay_steps=steps // 3, decay_rate=0.1),
    "staircase": s.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.9, staircase=True),
    "piecewise": s.PiecewiseConstantDecay(boundaries=[150, 400], values=[0.1, 0.05, 0.01]),
    "polynomial": s.PolynomialDecay(0.1, decay_steps=steps, end_learning_rate=0.001, power=2.0),
    "inverse": s.InverseTimeDecay(0.1, decay_steps=100, decay_rate=0.5),
    "cosine": s.CosineDecay(0.01, decay_steps=steps - 50, warmup_target=0.1, warmup_steps=50),
}
figures = {}
for name, schedule in schedules.items():
    model, history = train(keras.optimizers.SGD(learning_rate=schedule, momentum=0.9))
    accuracy, rate = history["val_accuracy"][-1], float(model.optimizer.learning_rate)
    print(f"{name:>12}: accuracy {accuracy:.3f}, last rate {rate:.6f}")
    figures[f"{name}_accuracy"], figures[f"{name}_rate"] = accuracy, rate


def exponential_decay(epoch, lr):
    return 0.1 * 0.1 ** (epoch / 8)


by_epoch = keras.callbacks.LearningRateScheduler(exponential_decay)
model, history = train(keras.optimizers.SGD(0.1, momentum=0.9), [by_epoch])
print("rates by epoch:", np.round(history["learning_rate"], 4))
figures["by_epoch_accuracy"] = history["val_accuracy"][-1]
figures["by_epoch_rate"] = float(history["learning_rate"][-1])

on_plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=1, min_delta=0.05, verbose=1)
model, history = train(keras.optimizers.SGD(0.1, momentum=0.9), [on_plateau])
print("rates on a plateau:", np.round(history["learning_rate"], 4))
figures["plateau_accuracy"] = history["val_accuracy"][-1]
figures["plateau_reduced"] = bool(history["learning_rate"][-1] < 0.1)
print(json.dumps(figures))
