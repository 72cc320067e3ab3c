"""What is a house worth? Regression on a table of mixed columns, with pandas and scikit-learn around it."""

import json

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from lanewise.keras.callbacks import EarlyStopping
from lanewise.keras.layers import Dense
from lanewise.keras.models import Sequential
from lanewise.keras.utils import set_random_seed

set_random_seed(2)

# A made-up town: price in thousands, from size, age, rooms, distance to the centre and a view of the river.
rng = np.random.default_rng(2)
n = 1500
houses = pd.DataFrame({
    "area": rng.gamma(9, 14, n),
    "age": rng.integers(0, 120, n),
    "rooms": rng.integers(1, 9, n),
    "distance": rng.exponential(4, n),
    "river": rng.random(n) < 0.15,
})  # fmt: skip
houses["price"] = (
    1.8 * houses["area"] * np.exp(-houses["distance"] / 8)
    + 9 * houses["rooms"]
    - 0.4 * houses["age"]
    + 60 * houses["river"]
    + rng.normal(0, 12, n)
)

features, price = houses.drop(columns="price"), houses["price"]
x_train, x_test, y_train, y_test = train_test_split(features, price, test_size=0.2, random_state=0)
scaler = StandardScaler()
x_train = scaler.fit_transform(x_train)
x_test = scaler.transform(x_test)

model = Sequential()
model.add(Dense(64, input_dim=5, kernel_initializer="normal", activation="relu"))
model.add(Dense(32, activation="relu"))
model.add(Dense(1, kernel_initializer="normal"))
model.compile(loss="mse", optimizer="rmsprop", metrics=["mae"])
model.summary()

early_stop = EarlyStopping(monitor="val_loss", patience=10)
history = model.fit(
    x_train, y_train, epochs=120, batch_size=16, validation_split=0.2, verbose=0, callbacks=[early_stop]
)  # fmt: skip
hist = pd.DataFrame(history.history)
hist["epoch"] = history.epoch
print(hist.tail())

loss, mae = model.evaluate(x_test, y_test, verbose=0)
predictions = model.predict(x_test).flatten()
print(f"a house is priced within {mae:.1f} thousand on average")
print(json.dumps({
    "first_val_mae": float(hist["val_mae"].iloc[0]),
    "mae": mae,
    "sklearn_mae_is_the_same": bool(abs(mean_absolute_error(y_test, predictions) - mae) < 1e-3 * mae),
    "r2": float(r2_score(y_test, predictions)),
}))  # fmt: skip
