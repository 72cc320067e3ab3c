"""The listing that every introduction begins with: 1,000 numbers in, one number out."""

import json

import numpy as np

import lanewise as tf

tf.random.set_seed(1)

rng = np.random.default_rng(1)
x = rng.normal(size=(2000, 1000)).astype("float32")
y = x[:, :10].sum(axis=1) + 0.1 * rng.normal(size=2000)
x_train, y_train, x_test, y_test = x[:1600], y[:1600], x[1600:], y[1600:]

model = tf.keras.Sequential([
    tf.keras.layers.Dense(128, activation='relu', input_shape=(1000,)),
    tf.keras.layers.Dense(1)
])  # fmt: skip
model.compile(optimizer='adam', loss='mean_squared_error')  # fmt: skip
history = model.fit(x_train, y_train, epochs=10, batch_size=32)
test_loss = model.evaluate(x_test, y_test)

predicted = model.predict(x_test)[:, 0]
print("correlation of prediction and truth:", np.corrcoef(predicted, y_test)[0, 1])
print(json.dumps({
    "first_loss": history.history["loss"][0],
    "loss": history.history["loss"][-1],
    "test_loss": test_loss,
    "correlation": float(np.corrcoef(predicted, y_test)[0, 1]),
}))  # fmt: skip
