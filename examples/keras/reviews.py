"""Good or bad: reviews as lists of word numbers, padded, embedded and averaged."""

import json

import numpy as np

from lanewise import keras
from lanewise.keras.layers import Dense, Dropout, Embedding, GlobalAveragePooling1D
from lanewise.keras.preprocessing.sequence import pad_sequences

keras.utils.set_random_seed(10)

# Made-up reviews: word 0 pads; words 1 to 40 are kind, 41 to 80 unkind, the others say nothing.
rng = np.random.default_rng(10)
vocabulary, longest = 1000, 40


def review(kind):
    words = rng.integers(81, vocabulary, rng.integers(8, 60))
    telling = rng.random(len(words)) < 0.15
    words[telling] = rng.integers(1, 41, telling.sum()) + (0 if kind else 40)
    return words.tolist()


labels = rng.integers(0, 2, 1500)
texts = [review(kind) for kind in labels]
x = pad_sequences(texts, maxlen=longest, padding="post", truncating="post")
print("shape of the padded reviews:", x.shape)
x_train, y_train, x_test, y_test = x[:1200], labels[:1200], x[1200:], labels[1200:]

model = keras.Sequential()
model.add(Embedding(vocabulary, 16))
model.add(GlobalAveragePooling1D())
model.add(Dense(16, activation="relu"))
model.add(Dropout(0.2))
model.add(Dense(1, activation="sigmoid"))
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=12, batch_size=64, validation_split=0.2, verbose=2)
loss, accuracy = model.evaluate(x_test, y_test)

# The same by multi-hot rows, as for a bag of words.
bags = np.zeros((len(texts), vocabulary), "float32")
for row, words in enumerate(texts):
    bags[row, words] = 1
bag_model = keras.Sequential([Dense(16, activation="relu"), Dense(1, activation="sigmoid")])
bag_model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
bag_model.fit(bags[:1200], y_train, epochs=8, batch_size=64, verbose=0)
bag_accuracy = bag_model.evaluate(bags[1200:], y_test, verbose=0)[1]
print(json.dumps({
    "first_loss": history.history["loss"][0],
    "val_accuracy": history.history["val_accuracy"][-1],
    "test_loss": loss,
    "test_accuracy": accuracy,
    "bag_accuracy": bag_accuracy,
}))  # fmt: skip
