"""Few rows, many columns: what l1, l2, dropout and max-norm do to the weights and to the test loss."""

import json
from functools import partial

import numpy as np

from lanewise.keras import Sequential, constraints, regularizers, utils
from lanewise.keras.initializers import RandomNormal
from lanewise.keras.layers import Dense, Dropout, Input

rng = np.random.default_rng(19)
x = rng.normal(size=(700, 60)).astype("float32")
y = (x[:, 0] + x[:, 1] - x[:, 2] + 0.8 * rng.normal(size=700) > 0).astype("float32")
x_train, y_train, x_test, y_test = x[:300], y[:300], x[300:], y[300:]

RegularizedDense = partial(Dense, activation="elu", kernel_initializer="he_normal")
variants = {
    "none": [RegularizedDense(64)],
    "l2": [RegularizedDense(64, kernel_regularizer=regularizers.l2(0.01))],
    "l1": [RegularizedDense(64, kernel_regularizer=regularizers.l1(0.003))],
    "l1_l2": [RegularizedDense(64, kernel_regularizer=regularizers.l1_l2(0.002, 0.005), bias_regularizer="l2")],
    "activity": [RegularizedDense(64, activity_regularizer=regularizers.l2(0.01))],
    "dropout": [RegularizedDense(64), Dropout(0.5)],
    "max_norm": [RegularizedDense(64, kernel_constraint=constraints.max_norm(1.0))],
    "non_neg": [Dense(64, activation="relu", kernel_initializer="random_normal", kernel_constraint="non_neg")],
}
figures = {}
for name, layers in variants.items():
    utils.set_random_seed(19)
    output = Dense(1, activation="sigmoid", kernel_initializer=RandomNormal(stddev=0.05))
    model = Sequential([Input((60,)), *layers, output])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train, y_train, epochs=40, batch_size=20, verbose=0)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    kernel = model.layers[0].get_weights()[0]
    largest = float(np.linalg.norm(kernel, axis=0).max())
    small = float((np.abs(kernel) < 0.01).mean())
    print(f"{name:>9}: test loss {loss:.3f}, accuracy {accuracy:.3f}, largest column {largest:.2f}, small {small:.0%}")
    figures |= {f"{name}_loss": loss, f"{name}_train": history.history["loss"][-1], f"{name}_small": small}
    if name == "max_norm":
        figures["max_norm_holds"] = largest < 1.0 + 1e-4
    if name == "non_neg":
        figures["non_neg_holds"] = bool(kernel.min() >= 0)
print(json.dumps(figures))
