"""How sure is the network? Dropout left on when predicting, a hundred times (Gal and Ghahramani 2016)."""

import json

import numpy as np

import lanewise as tf
from lanewise import keras

tf.random.set_seed(14)

rng = np.random.default_rng(14)
x = np.sort(rng.uniform(-3, 3, 400))[:, None].astype("float32")
y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=400)
far = np.linspace(5, 8, 50, dtype="float32")[:, None]

model = keras.models.Sequential([
    keras.layers.Dense(100, activation="relu", input_shape=[1]),
    keras.layers.Dropout(rate=0.1),
    keras.layers.Dense(100, activation="relu"),
    keras.layers.Dropout(rate=0.1),
    keras.layers.Dense(1),
])  # fmt: skip
model.compile(loss="mse", optimizer=keras.optimizers.Adam(learning_rate=5e-3), metrics=["RootMeanSquaredError"])
model.fit(x, y, epochs=60, batch_size=32, verbose=0)
loss, rmse = model.evaluate(x, y, verbose=0)

samples = np.stack([np.asarray(model(x, training=True)) for _ in range(100)])
far_samples = np.stack([np.asarray(model(far, training=True)) for _ in range(100)])
mean, spread = samples.mean(axis=0), samples.std(axis=0)
print("without dropout it is always the same:", np.allclose(model.predict(x[:5], verbose=0), model(x[:5]), atol=1e-5))
print(f"spread where there were data {spread.mean():.3f}, elsewhere {far_samples.std(axis=0).mean():.3f}")


class MCDropout(keras.layers.Dropout):
    def call(self, inputs):
        return super().call(inputs, training=True)


mc_model = keras.models.Sequential([
    MCDropout(layer.rate) if isinstance(layer, keras.layers.Dropout) else layer for layer in model.layers
])  # fmt: skip
mc_samples = np.stack([mc_model.predict(x, verbose=0) for _ in range(30)])
print(json.dumps({
    "rmse": rmse,
    "mean_error": float(np.sqrt(np.mean((mean[:, 0] - y) ** 2))),
    "spread": float(spread.mean()),
    "mc_layer_spread": float(mc_samples.std(axis=0).mean()),
    "less_sure_elsewhere": bool(far_samples.std(axis=0).mean() > spread.mean()),
}))  # fmt: skip
