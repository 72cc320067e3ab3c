"""A small search: width, optimizer and learning rate by validation loss, with the session cleared in between."""

import itertools
import json

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from lanewise.keras import Sequential, backend, optimizers, utils
from lanewise.keras.callbacks import EarlyStopping
from lanewise.keras.layers import Dense, Input

x, y = load_diabetes(return_X_y=True)
x, y = x / x.std(axis=0), (y - y.mean()) / y.std()
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=0)
x_train, x_valid, y_train, y_valid = train_test_split(x_train, y_train, test_size=0.25, random_state=0)

OPTIMIZERS = {
    "adam": optimizers.Adam,
    "nadam": optimizers.Nadam,
    "rmsprop": optimizers.RMSprop,
    "sgd": optimizers.SGD,
    "adagrad": optimizers.Adagrad,
}


def build_model(n_hidden=1, n_neurons=30, optimizer="adam", learning_rate=3e-3):
    model = Sequential()
    model.add(Input(shape=(10,)))
    for _ in range(n_hidden):
        model.add(Dense(n_neurons, activation="relu"))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer=OPTIMIZERS[optimizer](learning_rate=learning_rate), metrics=["mae"])
    return model


results = []
for optimizer, (n_hidden, n_neurons) in itertools.product(OPTIMIZERS, [(1, 32), (2, 16)]):
    backend.clear_session()
    utils.set_random_seed(16)
    rate = 0.03 if optimizer in ("sgd", "adagrad") else 0.003
    model = build_model(n_hidden, n_neurons, optimizer, rate)
    history = model.fit(
        x_train, y_train, epochs=25, batch_size=32, validation_data=(x_valid, y_valid), verbose=0,
        callbacks=[EarlyStopping(patience=5, restore_best_weights=True)],
    )  # fmt: skip
    results.append((min(history.history["val_loss"]), optimizer, n_neurons, n_hidden, model))
    print(f"{optimizer:>8} {n_neurons:3} x {n_hidden}: {results[-1][0]:.4f}, {len(history.epoch)} epochs")

results.sort(key=lambda result: result[0])
best = results[0][-1]
print("best:", results[0][1:4], "- layers", [layer.name for layer in best.layers])
means = {name: float(np.mean([r[0] for r in results if r[1] == name])) for name in OPTIMIZERS}
print(json.dumps({
    "best_val_loss": results[0][0],
    "test_loss": best.evaluate(x_test, y_test, verbose=0)[0],
    **{f"{name}_val_loss": value for name, value in means.items()},
}))  # fmt: skip
