"""Numbers and words of a data frame, prepared by layers inside the model."""

import json

import numpy as np
import pandas as pd

from lanewise import keras
from lanewise.keras import layers

keras.utils.set_random_seed(21)

rng = np.random.default_rng(21)
n = 2000
frame = pd.DataFrame({
    "age": rng.integers(18, 90, n),
    "income": rng.lognormal(10, 0.5, n),
    "city": rng.choice(["Oslo", "Lima", "Kyoto", "Accra"], n, p=[0.4, 0.3, 0.2, 0.1]),
    "visits": rng.poisson(3, n),
})  # fmt: skip
bonus = frame["city"].map({"Oslo": 0.0, "Lima": 1.0, "Kyoto": -1.0, "Accra": 2.0})
score = (frame["age"] - 50) / 20 + np.log(frame["income"]) - 10 + bonus + 0.3 * frame["visits"] - 1
frame["buys"] = (score + 0.5 * rng.normal(size=n) > 0).astype(int)
train, test = frame[:1600], frame[1600:]

numbers = ["age", "income", "visits"]
normalize = layers.Normalization()
normalize.adapt(train[numbers].to_numpy("float32"))
lookup = layers.StringLookup()
lookup.adapt(train["city"].to_numpy())
print("vocabulary:", lookup.get_vocabulary())
encode = layers.CategoryEncoding(num_tokens=lookup.vocabulary_size(), output_mode="one_hot")


def prepare(rows):
    """Words are looked up before the model, numbers are scaled inside it."""
    cities = np.asarray(encode(np.asarray(lookup(rows["city"].to_numpy()))))
    return {"numbers": rows[numbers].to_numpy("float32"), "city": cities.astype("float32")}


number_input = keras.Input(shape=(3,), name="numbers")
city_input = keras.Input(shape=(lookup.vocabulary_size(),), name="city")
h = layers.Concatenate()([normalize(number_input), city_input])
h = layers.Dense(32, activation="relu")(h)
h = layers.Dropout(0.1)(h)
output = layers.Dense(1, activation="sigmoid")(h)
model = keras.Model({"numbers": number_input, "city": city_input}, output)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(prepare(train), train["buys"], epochs=15, batch_size=32, validation_split=0.2, verbose=2)
loss, accuracy = model.evaluate(prepare(test), test["buys"], verbose=0)

# Numbers alone, the data frame as it is.
normalizer = layers.Normalization(axis=-1)
normalizer.adapt(np.array(train[numbers]))
plain = keras.Sequential([normalizer, layers.Dense(16, activation="relu"), layers.Dense(1, activation="sigmoid")])
plain.compile("adam", "binary_crossentropy", metrics=["accuracy"])
plain.fit(train[numbers].astype("float32"), train["buys"], epochs=15, verbose=0)
buckets = layers.Discretization(bin_boundaries=[30.0, 50.0, 70.0])
shares = np.bincount(np.asarray(buckets(frame[["age"]].to_numpy("float32"))).ravel(), minlength=4) / n
print(json.dumps({
    "val_loss": history.history["val_loss"][-1],
    "test_loss": loss,
    "test_accuracy": accuracy,
    "numbers_alone_accuracy": plain.evaluate(test[numbers].astype("float32"), test["buys"], verbose=0)[1],
    "mean_age": float(np.ravel(np.asarray(normalize.mean))[0]),
    "ages": shares.tolist(),
    "vocabulary": [str(word) for word in lookup.get_vocabulary()],
}))  # fmt: skip
