"""A loop of our own: batches drawn at random, train_on_batch, test_on_batch, predict_on_batch."""

import json

import numpy as np
from sklearn.datasets import load_iris

from lanewise import keras

keras.utils.set_random_seed(20)

x, y = load_iris(return_X_y=True)
x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
rng = np.random.default_rng(20)
order = rng.permutation(len(x))
x, y = x[order], y[order]
x_train, y_train, x_test, y_test = x[:110], y[:110], x[110:], y[110:]

model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3, activation="softmax")])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])

n_epochs, batch_size = 8, 16
n_steps = len(x_train) // batch_size
losses = []
for epoch in range(1, n_epochs + 1):
    model.reset_metrics()
    for _ in range(n_steps):
        rows = rng.integers(0, len(x_train), batch_size)
        loss, accuracy = model.train_on_batch(x_train[rows], y_train[rows])
    losses.append(float(loss))
    print(f"epoch {epoch}/{n_epochs}: loss {loss:.4f}, accuracy {accuracy:.4f}")

model.reset_metrics()
test = model.test_on_batch(x_test, y_test, return_dict=True)
probabilities = model.predict_on_batch(x_test)
called = keras.ops.convert_to_numpy(model(x_test))
print({name: round(float(value), 4) for name, value in test.items()})
print(json.dumps({
    "first_loss": losses[0],
    "last_loss": losses[-1],
    "test_loss": float(test["loss"]),
    "test_accuracy": float(test["accuracy"]),
    "call_is_predict": bool(np.allclose(probabilities, called, atol=1e-6)),
}))  # fmt: skip
