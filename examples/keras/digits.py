"""Handwritten digits of 8 by 8 pixels: Flatten, Dropout, sparse labels; then a look inside the model."""

import json

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix

import lanewise as tf

tf.random.set_seed(5)

digits = load_digits()
images, labels = digits.images / 16.0, digits.target
x_train, x_test = images[:1400], images[1400:]
y_train, y_test = labels[:1400], labels[1400:]

model = tf.keras.models.Sequential([
    tf.keras.layers.Flatten(input_shape=(8, 8)),
    tf.keras.layers.Dense(128, activation=tf.nn.relu),
    tf.keras.layers.Dropout(0.2),
    tf.keras.layers.Dense(10, activation=tf.nn.softmax),
])  # fmt: skip
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=15, validation_split=0.1)
test_loss, test_acc = model.evaluate(x_test, y_test)
print("Test accuracy:", test_acc)

predictions = model.predict(x_test)
predicted = np.argmax(predictions, axis=1)
print(confusion_matrix(y_test, predicted))

print("layers:", [layer.name for layer in model.layers])
weights, biases = model.layers[1].get_weights()
print("kernel and bias of the hidden layer:", weights.shape, biases.shape)
single = predictions[0]
print("the first test image is a", y_test[0], "- the model says", np.argmax(single), f"({single.max():.1%})")
print(json.dumps({
    "accuracy": history.history["accuracy"][-1],
    "val_accuracy": history.history["val_accuracy"][-1],
    "test_loss": test_loss,
    "test_accuracy": test_acc,
    "rows_sum_to_one": bool(np.allclose(predictions.sum(axis=1), 1, atol=1e-5)),
    "kernel_spread": float(weights.std()),
}))  # fmt: skip
