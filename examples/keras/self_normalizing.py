"""A deep self-normalizing network: selu, LeCun's initialization, AlphaDropout (Klambauer and others 2017)."""

import json

import numpy as np
from sklearn.datasets import load_digits

import lanewise as tf

keras = tf.keras
keras.utils.set_random_seed(18)

x, y = load_digits(return_X_y=True)
x = x.astype("float32")
x_train, y_train, x_test, y_test = x[:1400], y[:1400], x[1400:], y[1400:]
mean, std = x_train.mean(axis=0, keepdims=True), x_train.std(axis=0, keepdims=True) + 1e-7
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

model = keras.models.Sequential()
model.add(keras.layers.Flatten(input_shape=[64]))
for _ in range(12):
    model.add(keras.layers.Dense(50, activation="selu", kernel_initializer="lecun_normal"))
before = model.predict(x_train, verbose=0)
print(f"after 12 layers, untrained: mean {before.mean():.2f}, standard deviation {before.std():.2f}")
model.add(keras.layers.AlphaDropout(rate=0.05))
model.add(keras.layers.Dense(10, activation="softmax"))
model.compile(
    loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.SGD(learning_rate=5e-3, momentum=0.9),
    metrics=["accuracy"],
)  # fmt: skip
history = model.fit(x_train, y_train, epochs=15, verbose=2)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)

# Others by name and as layers.
leaky = keras.models.Sequential([
    keras.layers.Dense(50, kernel_initializer="he_normal", input_shape=[64]),
    keras.layers.LeakyReLU(negative_slope=0.2),
    keras.layers.Dense(50, kernel_initializer="he_normal"),
    keras.layers.PReLU(),
    keras.layers.Dense(50, activation=tf.nn.elu),
    keras.layers.Dense(50, activation=keras.activations.softplus),
    keras.layers.Dense(10, activation="softmax"),
])  # fmt: skip
leaky.compile(loss="sparse_categorical_crossentropy", optimizer="nadam", metrics=["accuracy"])
leaky.fit(x_train, y_train, epochs=8, verbose=0)
print(json.dumps({
    "spread_before": float(before.std()),
    "train_loss": history.history["loss"][-1],
    "test_accuracy": accuracy,
    "leaky_accuracy": leaky.evaluate(x_test, y_test, verbose=0)[1],
    "finite": bool(np.isfinite(loss)),
}))  # fmt: skip
