"""How much of it dissolves in water? Predicts the solubility of real molecules from 1,000 numbers each.

    pip install "lanewise[examples]"
    python examples/solubility.py            # about two minutes; with --quick less than half of one

Data: 1,274 molecules of Huuskonen (2000), described by RDKit (data/README.md). Every molecule is predicted by models
that never saw it (repeated 5-fold cross-validation), and whatever a model has to choose (epochs, dropout, weight decay,
ridge's penalty, boosting's trees) is chosen inside the training folds.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import product
from pathlib import Path

import numpy as np

import lanewise as lw
from _baselines import has_boosting, predict_boosting, predict_ridge
from _report import Errors, pyplot, rmse, save_picture
from lanewise import keras

LEARNING_RATE = 0.002
BATCH = 32
FOLDS = 5
Recipe = tuple[int, float, float]  # epochs, dropout, weight decay (an L2 penalty on the kernels)
RECIPES: list[Recipe] = list(product((30, 60), (0.0, 0.2), (0.003, 0.01)))
QUICK_RECIPES: list[Recipe] = [(30, 0.0, 0.01), (30, 0.2, 0.01)]


def load_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 204) descriptors, NaN where RDKit has none; (n, 796) √(fragment counts); (n,) solubility, log10 mol/L."""
    with np.load(Path(__file__).parent / "data" / "solubility.npz") as file:
        # Row-major float64, so that sums down the rows have one order; and √ is exact to the last bit on any machine.
        descriptors = np.ascontiguousarray(file["descriptors"], dtype=np.float64)
        roots = np.sqrt(np.ascontiguousarray(file["fragment_counts"], dtype=np.float32))
        return descriptors, roots, file["solubility"].astype(np.float64)


def columns(descriptors: np.ndarray, roots: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(n, 1000) float32: descriptors standardised by the rows `train` alone and clipped to ±6, beside the roots."""
    known = np.isfinite(descriptors)
    count = known[train].sum(axis=0)
    mean = np.where(known, descriptors, 0.0)[train].sum(axis=0) / count
    centred = np.where(known, descriptors - mean, 0.0)  # what is missing becomes the mean
    deviation = np.sqrt((centred[train] ** 2).sum(axis=0) / count)
    scaled = np.clip(centred / np.where(deviation > 0, deviation, 1.0), -6, 6)
    return np.hstack([scaled.astype(np.float32), roots])


def fit_network(
    x: np.ndarray, y: np.ndarray, epochs: int, dropout: float, weight_decay: float, seed: int
) -> keras.Sequential:
    """A 1000-128-1 network, trained by Adam with a learning rate that falls to zero in a straight line."""

    class StraightLine(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.optimizer.learning_rate = LEARNING_RATE * (1 - epoch / epochs)

    keras.utils.set_random_seed(seed)
    penalty = keras.regularizers.L2(weight_decay)
    model = keras.Sequential(
        [
            keras.layers.Dense(128, activation="relu", kernel_regularizer=penalty, input_shape=(1000,)),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(1, kernel_regularizer=penalty),
        ]
    )
    model.compile(optimizer="adam", loss="mean_squared_error")
    model.fit(x, y, epochs=epochs, batch_size=BATCH, verbose=0, callbacks=[StraightLine()])
    return model


def predict_networks(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, recipe: Recipe, networks: int) -> np.ndarray:
    """(networks, test rows): what networks that differ in their seed say, each of them alone."""
    mean = math.fsum(y) / len(y)  # they learn the departure from the mean
    targets = (y - mean).astype(np.float32)
    models = [fit_network(x, targets, *recipe, seed) for seed in range(networks)]
    return np.array([model.predict(x_test, verbose=0)[:, 0] for model in models]) + mean


def choose_recipe(x: np.ndarray, y: np.ndarray, inner: np.ndarray, held: np.ndarray, recipes: list[Recipe]) -> Recipe:
    """The recipe by which a network of the rows `inner` errs least on the rows `held`."""
    return min(recipes, key=lambda recipe: rmse(predict_networks(x[inner], y[inner], x[held], recipe, 1) - y[held]))


def cross_validate(repeats: int, seed: int, networks: int, quick: bool) -> tuple[Errors, np.ndarray]:
    """Errors of all models, and the measured solubilities. Prints a line a fold and how fast the networks learned."""
    descriptors, roots, solubility = load_data()
    n = len(solubility)
    mean_of_networks = f"mean of {networks} networks"
    names = ["predict the mean", "ridge", "boosting", "one network", mean_of_networks]
    if not has_boosting():
        print("boosting is left out: scikit-learn is not installed (pip install scikit-learn)")
        names.remove("boosting")
    errors = Errors(names, n, repeats)
    print(f"{n:,} molecules, {repeats} × {FOLDS}-fold cross-validation, {lw.get_num_threads()} threads, "
          f"{lw.active_isa()}\n\nRMSE of  {'  '.join(names[1:])}  the networks' recipe")  # fmt: skip
    start, seconds, steps = time.perf_counter(), 0.0, 0
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(n)
        for fold, test in enumerate(np.array_split(order, FOLDS)):
            train = np.setdiff1d(order, test)
            x_all = columns(descriptors, roots, train)
            x, y, x_test, y_test = x_all[train], solubility[train], x_all[test], solubility[test]
            # A fifth of the training part is held out to choose by; what is chosen then learns the whole part.
            shuffled = np.random.default_rng([seed, repeat, fold]).permutation(len(train))
            held, inner = shuffled[: len(train) // 5], shuffled[len(train) // 5 :]

            errors.add("predict the mean", test, np.full(len(test), y.mean()), y_test)
            errors.add("ridge", test, predict_ridge(x, y, x_test), y_test)
            if has_boosting():
                boosted = predict_boosting(x, y, x_test, inner, held, quick)
                errors.add("boosting", test, boosted, y_test)

            recipe = choose_recipe(x, y, inner, held, QUICK_RECIPES if quick else RECIPES)
            began = time.perf_counter()
            each = predict_networks(x, y, x_test, recipe, networks)
            seconds += time.perf_counter() - began
            steps += networks * recipe[0] * math.ceil(len(train) / BATCH)
            errors.add("one network", test, each, y_test)
            errors.add(mean_of_networks, test, each.mean(axis=0), y_test)

            cells = "  ".join(f"{errors.folds[row][-1]:{len(name)}.3f}" for row, name in enumerate(names) if row)
            print(f"{repeat + 1}/{repeats} {fold + 1}/{FOLDS}  {cells}  {recipe[0]} epochs, dropout {recipe[1]}, "
                  f"decay {recipe[2]:<5}  {time.perf_counter() - start:4.0f} s", flush=True)  # fmt: skip
    trained = networks * FOLDS * repeats
    print(f"\nThe {trained} networks of the last two columns learned in {seconds / trained:.2f} s each, "
          f"{1e6 * seconds / steps:.0f} µs per step of {BATCH} molecules.")  # fmt: skip
    return errors, solubility


def draw(errors: Errors, solubility: np.ndarray) -> None:
    """Left: predicted against measured. Right: the errors of all models with their intervals."""
    plt = pyplot()
    if plt is None:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
    ends = [solubility.min(), solubility.max()]
    left.plot(ends, ends, color="0.6", linewidth=1)
    left.scatter(solubility, errors.predicted[-1], s=8, alpha=0.5, linewidths=0)
    left.set(xlabel="measured, log10(mol/L)", ylabel="predicted, log10(mol/L)")
    left.set_title(f"{errors.names[-1]}: molecules they never saw")
    shown = errors.names[1:]  # the mean's error is far off to the right
    for row, name in enumerate(shown):
        value, low, high = errors.rmse(name)
        right.plot([low, high], [row, row], linewidth=2, color="C0")
        right.plot(value, row, "o", color="C0")
        right.annotate(f"{value:.3f}", (value, row), (0, 7), textcoords="offset points", ha="center")
    right.set_yticks(range(len(shown)), shown)
    right.invert_yaxis()
    right.margins(y=0.2)
    right.set(xlabel="RMSE, log10(mol/L), and 95 % interval", title="errors on molecules not trained on")
    figure.tight_layout()
    save_picture(figure, "solubility.png")


def fixed_fingerprint() -> str:
    """Of a network trained on all molecules by a fixed recipe and seed: the same on every CPU with FMA."""
    descriptors, roots, solubility = load_data()
    x = columns(descriptors, roots, np.arange(len(solubility)))
    return lw.fingerprint(fit_network(x, solubility.astype(np.float32), 30, 0.2, 0.01, seed=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one repeat, few networks, few choices")
    parser.add_argument("--repeats", type=int, help="repeats of the cross-validation; 3, with --quick 1")
    parser.add_argument("--seed", type=int, default=0, help="of the folds; 0")
    parser.add_argument("--threads", type=int, help="of the networks; as many as the machine has")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        lw.set_num_threads(arguments.threads)
    repeats = arguments.repeats or (1 if arguments.quick else 3)
    errors, solubility = cross_validate(repeats, arguments.seed, 2 if arguments.quick else 8, arguments.quick)
    print("\nErrors on molecules not trained on, log10(mol/L):\n")
    print(errors.table("boosting" if has_boosting() else "ridge"))
    print("\nIntervals: bootstrap over molecules; a difference is paired (the same molecules), and better below zero.\n"
          "'one network' is what to expect of one: errors averaged over all that were trained.\n")  # fmt: skip
    draw(errors, solubility)
    print(f"fingerprint of a network of fixed recipe and seed: {fixed_fingerprint()}")


if __name__ == "__main__":
    main()
