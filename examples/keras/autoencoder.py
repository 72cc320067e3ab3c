"""A denoising autoencoder on digits; encoder and decoder are models of their own, used inside a third."""

import json

import numpy as np
from sklearn.datasets import load_digits

from lanewise import keras
from lanewise.keras import layers

keras.utils.set_random_seed(6)

x = load_digits().data.astype("float32") / 16
x_train, x_test = x[:1500], x[1500:]

encoder = keras.Sequential([
    keras.Input((64,)),
    layers.GaussianNoise(0.1),
    layers.Dense(32, activation="relu"),
    layers.Dense(16, activation="relu"),
], name="encoder")  # fmt: skip
decoder = keras.Sequential([
    keras.Input((16,)),
    layers.Dense(32, activation="relu"),
    layers.Dense(64, activation="sigmoid"),
    layers.Reshape((8, 8)),
    layers.Flatten(),
], name="decoder")  # fmt: skip
autoencoder = keras.Sequential([encoder, decoder])
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
history = autoencoder.fit(
    x_train, x_train, epochs=40, batch_size=64, shuffle=True, validation_data=(x_test, x_test), verbose=2
)

codes = encoder.predict(x_test)
restored = decoder.predict(codes)
whole = autoencoder.predict(x_test)
error = float(np.mean((restored - x_test) ** 2))
print(f"64 pixels through {codes.shape[1]} numbers: mean squared error {error:.4f}; mean image {np.var(x_test):.4f}")
print(json.dumps({
    "first_loss": history.history["loss"][0],
    "val_loss": history.history["val_loss"][-1],
    "error": error,
    "parts_make_the_whole": bool(np.allclose(restored, whole, atol=1e-5)),
}))  # fmt: skip
