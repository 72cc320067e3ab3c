"""Wide and deep: two inputs, one straight to the output and one through hidden layers (functional API)."""

import json

import numpy as np
from sklearn.datasets import load_diabetes

from lanewise import keras

keras.utils.set_random_seed(7)

x, y = load_diabetes(return_X_y=True)
x, y = x / x.std(axis=0), (y - y.mean()) / y.std()
order = np.random.default_rng(7).permutation(len(x))
train, valid, test = order[:280], order[280:340], order[340:]
wide, deep = x[:, :5], x[:, 2:]

input_wide = keras.layers.Input(shape=(5,), name="wide_input")
input_deep = keras.layers.Input(shape=(8,), name="deep_input")
hidden1 = keras.layers.Dense(30, activation="relu")(input_deep)
hidden2 = keras.layers.Dense(30, activation="relu")(hidden1)
concat = keras.layers.concatenate([input_wide, hidden2])
output = keras.layers.Dense(1, name="output")(concat)
model = keras.Model(inputs=[input_wide, input_deep], outputs=[output])
model.summary()

model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=1e-2))
history = model.fit(
    (wide[train], deep[train]), y[train], epochs=20, validation_data=((wide[valid], deep[valid]), y[valid]), verbose=0
)
mse_test = model.evaluate((wide[test], deep[test]), y[test], verbose=0)
predicted = model.predict((wide[test], deep[test]))

# Dictionaries by the inputs' names do as well.
model.compile(loss="mse", optimizer="adam")
model.fit({"wide_input": wide[train], "deep_input": deep[train]}, y[train], epochs=5, verbose=2)
by_name = model.evaluate({"wide_input": wide[test], "deep_input": deep[test]}, y[test], verbose=0)
print(json.dumps({
    "first_loss": history.history["loss"][0],
    "val_loss": history.history["val_loss"][-1],
    "mse": mse_test,
    "mse_of_predict": float(np.mean((predicted[:, 0] - y[test]) ** 2)),
    "mse_after_adam": by_name,
}))  # fmt: skip
