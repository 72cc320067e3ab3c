"""Benign or malignant: binary classification of 569 real tumours by 30 measurements."""

import json

from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import lanewise as tf

tf.random.set_seed(3)

data = load_breast_cancer()
x_train, x_test, y_train, y_test = train_test_split(
    data.data, data.target, test_size=0.3, random_state=0, stratify=data.target
)
scaler = StandardScaler().fit(x_train)
x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)

model = tf.keras.models.Sequential()
model.add(tf.keras.layers.Dense(16, activation=tf.nn.relu, input_shape=(30,)))
model.add(tf.keras.layers.Dropout(0.5))
model.add(tf.keras.layers.Dense(16, activation="relu", kernel_regularizer=tf.keras.regularizers.l2(0.001)))
model.add(tf.keras.layers.Dropout(0.5))
model.add(tf.keras.layers.Dense(1, activation="sigmoid"))
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["acc"])

partial_x, partial_y = x_train[:300], y_train[:300]
x_val, y_val = x_train[300:], y_train[300:]
history = model.fit(
    partial_x, partial_y, epochs=40, batch_size=32, validation_data=(x_val, y_val), verbose=2
)  # fmt: skip
print(sorted(history.history))

results = model.evaluate(x_test, y_test)
probability = model.predict(x_test)
print(probability[:5], y_test[:5])
print(json.dumps({
    "val_acc": history.history["val_acc"][-1],
    "test_loss": results[0],
    "test_acc": results[1],
    "auc": float(roc_auc_score(y_test, probability[:, 0])),
}))  # fmt: skip
