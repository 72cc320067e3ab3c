"""Who will like what: embeddings of users and films, their dot product as the rating."""

import json

import numpy as np

from lanewise import keras
from lanewise.keras import layers

keras.utils.set_random_seed(9)

# Ratings by tastes that the network does not see: 200 users, 120 films, 6,000 ratings.
rng = np.random.default_rng(9)
users, films, rank = 200, 120, 3
taste, kind = rng.normal(size=(users, rank)), rng.normal(size=(films, rank))
user, film = rng.integers(0, users, 6000), rng.integers(0, films, 6000)
rating = (taste[user] * kind[film]).sum(axis=1) / np.sqrt(rank) + 0.2 * rng.normal(size=6000)

user_id = keras.Input(shape=(1,), dtype="int32", name="user")
film_id = keras.Input(shape=(1,), dtype="int32", name="film")
user_vector = layers.Flatten()(layers.Embedding(users, 8, name="users")(user_id))
film_vector = layers.Flatten()(layers.Embedding(films, 8, name="films")(film_id))
match = layers.Dot(axes=1)([user_vector, film_vector])
film_bias = layers.Flatten()(layers.Embedding(films, 1, name="film_bias")(film_id))
score = layers.Add()([match, film_bias])
model = keras.Model([user_id, film_id], score)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.02), loss="mse")

train, test = slice(0, 5000), slice(5000, None)
history = model.fit([user[train], film[train]], rating[train], epochs=20, batch_size=64, verbose=2)
test_mse = model.evaluate([user[test], film[test]], rating[test], verbose=0)

every_film = np.arange(films)
scores = model.predict([np.full(films, 7), every_film], verbose=0)[:, 0]
print("films for user 7:", every_film[np.argsort(-scores)[:5]])
vectors = model.get_layer("films").get_weights()[0]
print("a film is", vectors.shape[1], "numbers")
print(json.dumps({"loss": history.history["loss"][-1], "test_mse": test_mse, "variance": float(rating.var())}))
