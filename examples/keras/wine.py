"""Three kinds of wine from 13 measurements: one-hot targets, softmax, SGD with momentum, cross-validation."""

import json

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold

from lanewise import keras

keras.utils.set_random_seed(4)

x, labels = load_wine(return_X_y=True)
y = keras.utils.to_categorical(labels, num_classes=3)


def build_model():
    model = keras.Sequential()
    model.add(keras.Input(shape=(13,)))
    model.add(keras.layers.Dense(16, activation="tanh", kernel_initializer="glorot_normal"))
    model.add(keras.layers.Dense(3))
    model.add(keras.layers.Activation("softmax"))
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=0.05, momentum=0.9, nesterov=True),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


build_model().summary()
scores, losses = [], []
for fold, (train, test) in enumerate(StratifiedKFold(5, shuffle=True, random_state=0).split(x, labels)):
    mean, std = x[train].mean(axis=0), x[train].std(axis=0)
    model = build_model()
    history = model.fit((x[train] - mean) / std, y[train], epochs=30, batch_size=16, shuffle=True, verbose=0)
    loss, accuracy = model.evaluate((x[test] - mean) / std, y[test], verbose=0)
    print(f"fold {fold + 1}: accuracy {accuracy:.3f}")
    scores.append(accuracy)
    losses.append(history.history["loss"][-1])

print(f"accuracy {np.mean(scores):.3f} ± {np.std(scores):.3f}")
print(json.dumps({"accuracy": float(np.mean(scores)), "train_loss": float(np.mean(losses))}))
