"""Watching a training: callbacks of Keras's and one of our own, logs for people and for programs."""

import json
import os
import tempfile

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from lanewise import keras

keras.utils.set_random_seed(13)

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
x_train, y_train, x_valid, y_valid = x[:1200], y[:1200], x[1200:], y[1200:]
folder = tempfile.mkdtemp()


class ExponentialLearningRate(keras.callbacks.Callback):
    """Raises the learning rate a little after every batch, and remembers rates and losses."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.rates = []
        self.losses = []

    def on_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.losses.append(logs["loss"])
        self.model.optimizer.learning_rate = self.model.optimizer.learning_rate * self.factor


class PrintRatio(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.ratios = []

    def on_epoch_end(self, epoch, logs=None):
        self.ratios.append(logs["val_loss"] / logs["loss"])
        print(f"epoch {epoch}: val/train {self.ratios[-1]:.2f}, rate {float(self.model.optimizer.learning_rate):.4f}")


def build():
    model = keras.models.Sequential([
        keras.layers.Dense(100, activation="relu", input_shape=(64,)),
        keras.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.SGD(1e-3), metrics=["accuracy"])
    return model


finder = ExponentialLearningRate(factor=1.05)
build().fit(x_train, y_train, epochs=2, verbose=0, callbacks=[finder])
print(f"{len(finder.rates)} rates from {finder.rates[0]:.4f} to {finder.rates[-1]:.4f}")

model = build()
model.optimizer.learning_rate = 0.2
checkpoint = keras.callbacks.ModelCheckpoint(os.path.join(folder, "best.keras"), save_best_only=True)
early_stopping = keras.callbacks.EarlyStopping(patience=3, min_delta=0.01, mode="min", restore_best_weights=True)
csv_logger = keras.callbacks.CSVLogger(os.path.join(folder, "training.csv"))
ratio = PrintRatio()
ended = keras.callbacks.LambdaCallback(on_train_end=lambda logs: print("training has ended"))
history = model.fit(
    x_train, y_train, epochs=60, validation_data=(x_valid, y_valid), verbose=0,
    callbacks=[checkpoint, early_stopping, csv_logger, ratio, ended, keras.callbacks.TerminateOnNaN()],
)  # fmt: skip

log = pd.read_csv(os.path.join(folder, "training.csv"))
print(log.tail(3))
best = keras.models.load_model(os.path.join(folder, "best.keras"))
best_loss, best_accuracy = best.evaluate(x_valid, y_valid, verbose=0)
loss, accuracy = model.evaluate(x_valid, y_valid, verbose=0)
print(json.dumps({
    "rates": finder.rates[-1],
    "first_losses": float(np.mean(finder.losses[:3])),
    "stopped_early": early_stopping.stopped_epoch > 0,
    "rows_are_epochs": len(log) == len(history.epoch) == len(ratio.ratios),
    "checkpoint_loss": best_loss,
    "checkpoint_accuracy": best_accuracy,
    "restored_loss": loss,
    "checkpoint_is_no_worse": best_loss <= loss + 1e-6,
}))  # fmt: skip
