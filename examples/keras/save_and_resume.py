"""Save, load, go on where the training stopped; weights alone; a copy of a model; architecture as JSON."""

import json
import os
import tempfile

import numpy as np
from sklearn.datasets import load_digits

from lanewise import keras

keras.utils.set_random_seed(15)

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
x_train, y_train, x_test, y_test = x[:1400], y[:1400], x[1400:], y[1400:]
folder = tempfile.mkdtemp()
path = os.path.join(folder, "digits.keras")


def create_model():
    model = keras.Sequential([
        keras.Input(shape=(64,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(10),
    ])  # fmt: skip
    model.compile(
        optimizer=keras.optimizers.Adam(0.002),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    return model


model = create_model()
first = model.fit(x_train, y_train, epochs=5, verbose=2)
model.save(path)
loss_before, _ = model.evaluate(x_test, y_test, verbose=0)

loaded = keras.models.load_model(path)
loaded.summary()
same = np.allclose(loaded.predict(x_test, verbose=0), model.predict(x_test, verbose=0), atol=1e-6)
second = loaded.fit(x_train, y_train, epochs=10, initial_epoch=5, verbose=2)
loss, accuracy = loaded.evaluate(x_test, y_test, verbose=0)

weights_path = os.path.join(folder, "digits.weights.h5")
loaded.save_weights(weights_path)
other = create_model()
untrained_loss, _ = other.evaluate(x_test, y_test, verbose=0)
other.load_weights(weights_path)
from_weights, _ = other.evaluate(x_test, y_test, verbose=0)

copy = keras.models.clone_model(loaded)
copy.set_weights(loaded.get_weights())
from_json = keras.models.model_from_json(loaded.to_json())
from_json.set_weights(loaded.get_weights())
expected = loaded.predict(x_test, verbose=0)
copies_are_the_same = all(np.allclose(m.predict(x_test, verbose=0), expected, atol=1e-6) for m in (copy, from_json))

# To predict probabilities, put a softmax behind the trained model.
probability_model = keras.Sequential([loaded, keras.layers.Softmax()])
probabilities = probability_model.predict(x_test, verbose=0)
print(json.dumps({
    "loaded_is_the_same": bool(same),
    "epochs": [*first.epoch, *second.epoch],
    "loss_before": loss_before,
    "loss": loss,
    "accuracy": accuracy,
    "resumed_lower": second.history["loss"][0] < first.history["loss"][-1] * 1.1,
    "untrained_loss": untrained_loss,
    "weights_alone_are_enough": bool(np.isclose(from_weights, loss, rtol=1e-4)),
    "copies_are_the_same": copies_are_the_same,
    "probabilities_sum": float(probabilities.sum(axis=1).mean()),
}))  # fmt: skip
