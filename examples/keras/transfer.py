"""What one network has learnt helps another: its layers reused, first frozen, then tuned."""

import json

import numpy as np
from sklearn.datasets import load_digits

from lanewise import keras

keras.utils.set_random_seed(23)

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
small = y < 8  # task A: digits 0 to 7; task B: is it an 8 or a 9, with 40 examples
x_a, y_a = x[small], y[small]
x_b, y_b = x[~small], (y[~small] == 9).astype("float32")
x_b_train, y_b_train, x_b_test, y_b_test = x_b[:40], y_b[:40], x_b[40:], y_b[40:]

model_a = keras.models.Sequential([
    keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal", input_shape=(64,)),
    keras.layers.Dense(32, activation="relu", kernel_initializer="he_normal"),
    keras.layers.Dense(8, activation="softmax"),
])  # fmt: skip
model_a.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model_a.fit(x_a, y_a, epochs=12, verbose=0)

model_a_clone = keras.models.clone_model(model_a)
model_a_clone.set_weights(model_a.get_weights())
model_b = keras.models.Sequential(model_a_clone.layers[:-1])
model_b.add(keras.layers.Dense(1, activation="sigmoid"))

for layer in model_b.layers[:-1]:
    layer.trainable = False
model_b.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
before = model_b.layers[0].get_weights()[0]
model_b.summary()
print("weights that learn:", len(model_b.trainable_weights), "of", len(model_b.weights))
model_b.fit(x_b_train, y_b_train, epochs=20, verbose=0, validation_data=(x_b_test, y_b_test))
frozen_kept = np.array_equal(before, model_b.layers[0].get_weights()[0])
frozen_accuracy = model_b.evaluate(x_b_test, y_b_test, verbose=0)[1]

for layer in model_b.layers[:-1]:
    layer.trainable = True
model_b.compile(loss="binary_crossentropy", optimizer=keras.optimizers.SGD(learning_rate=1e-2), metrics=["accuracy"])
history = model_b.fit(x_b_train, y_b_train, epochs=20, verbose=0)
tuned_moved = not np.array_equal(before, model_b.layers[0].get_weights()[0])
untouched = np.array_equal(before, model_a.layers[0].get_weights()[0])

# Features by a model that ends at a hidden layer.
features = keras.Model(inputs=model_a.inputs, outputs=model_a.layers[1].output)
print("features:", features.predict(x_b_test, verbose=0).shape)
print(json.dumps({
    "a_accuracy": model_a.evaluate(x_a, y_a, verbose=0)[1],
    "frozen_kept": frozen_kept,
    "frozen_accuracy": frozen_accuracy,
    "tuned_moved": tuned_moved,
    "model_a_untouched": untouched,
    "tuned_accuracy": model_b.evaluate(x_b_test, y_b_test, verbose=0)[1],
    "tuned_loss": history.history["loss"][-1],
}))  # fmt: skip
