"""One network, two answers: how long a flight is late, and whether anyone complains; losses weighed by name."""

import json

import numpy as np

from lanewise.keras import Input, Model, layers, optimizers, utils

utils.set_random_seed(8)

rng = np.random.default_rng(8)
x = rng.normal(size=(2000, 12)).astype("float32")
delay = np.tanh(x[:, 0] + x[:, 1] * x[:, 2]) + 0.1 * rng.normal(size=2000)
complaint = (delay + 0.5 * x[:, 3] > 0.3).astype("float32")

inputs = Input(shape=(12,), name="flight")
h = layers.Dense(32, activation="elu")(inputs)
h = layers.Dense(32, activation="elu")(h)
delay_output = layers.Dense(1, name="delay")(h)
complaint_output = layers.Dense(1, activation="sigmoid", name="complaint")(h)
model = Model(inputs, {"delay": delay_output, "complaint": complaint_output})

model.compile(
    optimizer=optimizers.Nadam(learning_rate=0.002),
    loss={"delay": "mse", "complaint": "binary_crossentropy"},
    loss_weights={"delay": 1.0, "complaint": 0.2},
    metrics={"delay": ["mae"], "complaint": ["accuracy"]},
)
history = model.fit(
    x[:1600], {"delay": delay[:1600], "complaint": complaint[:1600]}, epochs=20, validation_split=0.2, verbose=2
)
results = model.evaluate(x[1600:], {"delay": delay[1600:], "complaint": complaint[1600:]}, return_dict=True)
print(sorted(results))
predicted = model.predict(x[1600:])
print({name: values.shape for name, values in predicted.items()})
print(json.dumps({
    "val_loss": history.history["val_loss"][-1],
    "val_delay_mae": history.history["val_delay_mae"][-1],
    "loss": results["loss"],
    "delay_mae": results["delay_mae"],
    "complaint_accuracy": results["complaint_accuracy"],
}))  # fmt: skip
