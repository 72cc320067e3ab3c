"""A loss, a metric, an activation and a regularizer of one's own, as functions of keras.ops."""

import json

import numpy as np

from lanewise import keras
from lanewise.keras import ops

keras.utils.set_random_seed(22)

rng = np.random.default_rng(22)
x = rng.normal(size=(1200, 8)).astype("float32")
y = x[:, 0] - 2 * x[:, 1] * x[:, 2] + 0.2 * rng.normal(size=1200)
y[::25] += 30  # some are far off
x_train, y_train, x_test, y_test = x[:1000], y[:1000], x[1000:], y[1000:]


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    is_small_error = ops.abs(error) < 1
    squared_loss = ops.square(error) / 2
    linear_loss = ops.abs(error) - 0.5
    return ops.where(is_small_error, squared_loss, linear_loss)


def within_one(y_true, y_pred):
    return ops.mean(ops.cast(ops.abs(y_true - y_pred) < 1.0, "float32"))


def my_softplus(z):
    return ops.log(1.0 + ops.exp(z))


def build(loss):
    model = keras.Sequential([
        keras.layers.Dense(32, activation="relu", input_shape=(8,)),
        keras.layers.Dense(16, activation=my_softplus),
        keras.layers.Dense(1),
    ])  # fmt: skip
    model.compile(loss=loss, optimizer=keras.optimizers.Adam(0.005), metrics=["mae", within_one])
    return model


figures = {}
for name, loss in {"own": huber_fn, "built_in": keras.losses.Huber(), "mse": "mse"}.items():
    keras.utils.set_random_seed(22)
    model = build(loss)
    history = model.fit(x_train, y_train[:, None], epochs=20, batch_size=32, verbose=0)
    results = model.evaluate(x_test, y_test[:, None], verbose=0, return_dict=True)
    clean = np.abs(y_test) < 15
    error = float(np.mean(np.abs(model.predict(x_test, verbose=0)[clean, 0] - y_test[clean])))
    print(f"{name:>8}: error on clean rows {error:.3f}, {results}")
    figures |= {
        f"{name}_loss": history.history["loss"][-1],
        f"{name}_error": error,
        f"{name}_within_one": results["within_one"],
    }
print(json.dumps(figures))
