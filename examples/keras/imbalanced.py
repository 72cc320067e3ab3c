"""One in twenty is a fraud: class weights, an informed first bias, precision, recall and area under the curve."""

import json

import numpy as np

from lanewise import keras
from lanewise.keras import layers

keras.utils.set_random_seed(11)

rng = np.random.default_rng(11)
n = 6000
x = rng.normal(size=(n, 10)).astype("float32")
fraud = (x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * rng.normal(size=n) > 2.2).astype(int)
x_train, x_val, x_test = np.split(x, [4000, 5000])
y_train, y_val, y_test = np.split(fraud, [4000, 5000])
negative, positive = np.bincount(y_train)
print(f"{positive} of {positive + negative} are frauds ({positive / (positive + negative):.1%})")

METRICS = [
    keras.metrics.BinaryAccuracy(name="accuracy"),
    keras.metrics.Precision(name="precision"),
    keras.metrics.Recall(name="recall"),
    keras.metrics.AUC(name="auc"),
    keras.metrics.AUC(name="prc", curve="PR"),
    keras.metrics.TruePositives(name="tp"),
    keras.metrics.FalseNegatives(name="fn"),
]


def make_model(output_bias=None):
    if output_bias is not None:
        output_bias = keras.initializers.Constant(output_bias)
    model = keras.Sequential([
        layers.Dense(32, activation="relu", input_shape=(x_train.shape[-1],)),
        layers.Dropout(0.2),
        layers.Dense(1, activation="sigmoid", bias_initializer=output_bias or "zeros"),
    ])  # fmt: skip
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=5e-3),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=METRICS,
    )
    return model


early_stopping = keras.callbacks.EarlyStopping(
    monitor="val_prc", verbose=1, patience=8, mode="max", restore_best_weights=True
)
model = make_model(np.log([positive / negative]))
print("loss before training:", model.evaluate(x_train, y_train, batch_size=512, verbose=0)[0])
model.fit(
    x_train, y_train, batch_size=256, epochs=25, callbacks=[early_stopping], validation_data=(x_val, y_val), verbose=0
)
plain = model.evaluate(x_test, y_test, batch_size=512, verbose=0, return_dict=True)

weight_for_0 = (1 / negative) * (positive + negative) / 2.0
weight_for_1 = (1 / positive) * (positive + negative) / 2.0
weighted_model = make_model()
weighted_model.fit(
    x_train, y_train, batch_size=256, epochs=25, validation_data=(x_val, y_val), verbose=0,
    class_weight={0: weight_for_0, 1: weight_for_1},
)  # fmt: skip
weighted = weighted_model.evaluate(x_test, y_test, batch_size=512, verbose=0, return_dict=True)

# The same weights row by row.
row_weights = np.where(y_train == 1, weight_for_1, weight_for_0)
by_row = make_model()
by_row.fit(x_train, y_train, batch_size=256, epochs=25, sample_weight=row_weights, verbose=0)
by_row = by_row.evaluate(x_test, y_test, batch_size=512, verbose=0, return_dict=True)

for name, results in [("plain", plain), ("class_weight", weighted), ("sample_weight", by_row)]:
    print(f"{name:>14}: " + "  ".join(f"{key} {value:.3f}" for key, value in sorted(results.items())))
print(json.dumps({
    "plain_auc": plain["auc"],
    "plain_prc": plain["prc"],
    "plain_recall": plain["recall"],
    "weighted_auc": weighted["auc"],
    "weighted_recall": weighted["recall"],
    "weighted_precision": weighted["precision"],
    "by_row_recall": by_row["recall"],
}))  # fmt: skip
