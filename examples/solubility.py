"""How much of it dissolves in water? 32 networks predict the solubility of real molecules, with an error bar for each.

    pip install "lanewise[examples]"
    python examples/solubility.py            # about two minutes; with --quick less than half of one

Data: 1,274 molecules of Huuskonen (2000), 1,000 numbers each, described by RDKit (data/README.md). The networks are
trained side by side by `lanewise.fit_many`, each on three quarters of the molecules; their mean is the prediction. How
far they are apart, scaled by the errors on the quarters that they did not see, is the error bar.

First the 32 networks learn all molecules by a fixed recipe: seconds, and a fingerprint that is the same on every CPU
with FMA at any number of threads. Then repeated 5-fold cross-validation: every molecule is predicted by models that
never saw it, and whatever a model has to choose (dropout, weight decay, ridge's penalty, boosting's trees) and the
scale of the error bars come from the training folds.
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
from _error_bars import Coverage, ErrorBars, left_out_mean_and_spread
from _report import Errors, pyplot, rmse, save_picture
from lanewise import keras

LEARNING_RATE = 0.002
BATCH = 32
EPOCHS = 20
FOLDS = 5  # of the cross-validation
PARTINGS, PARTS, SEEDS = 4, 4, 2  # each network leaves one of 4 parts out, of 4 partings, from 2 seeds: 32 networks
NETWORKS = PARTINGS * PARTS * SEEDS
Recipe = dict[str, float]  # dropout, weight_decay (an L2 penalty on the kernels)
RECIPE: Recipe = {"dropout": 0.2, "weight_decay": 0.01}
RECIPES: list[Recipe] = [
    {"dropout": dropout, "weight_decay": decay} for dropout, decay in product((0.0, 0.2), (0.003, 0.01))
]


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


def fit_networks(
    x: np.ndarray, y: np.ndarray, trained_on: list[np.ndarray], recipes: list[Recipe], seeds: int
) -> list[lw.models.Sequential]:
    """1000-128-1 networks side by side: for each recipe and seed one on each list of row numbers, in this order.

    Adam's learning rate falls to zero in a straight line.
    """
    steps = EPOCHS * math.ceil(max(map(len, trained_on)) / BATCH)

    def build(dropout: float, weight_decay: float) -> lw.models.Sequential:
        penalty = keras.regularizers.L2(weight_decay)
        model = keras.Sequential(
            [
                keras.layers.Dense(128, activation="relu", kernel_regularizer=penalty, input_shape=(1000,)),
                keras.layers.Dropout(dropout),
                keras.layers.Dense(1, kernel_regularizer=penalty),
            ]
        )
        rate = keras.optimizers.schedules.PolynomialDecay(LEARNING_RATE, steps, 0.0)
        model.compile(optimizer=keras.optimizers.Adam(rate), loss="mean_squared_error")
        return model

    folds = [(rows, None) for rows in trained_on]
    fits = lw.fit_many(build, x, y, grid=recipes, seeds=seeds, folds=folds, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    return [fit.model for fit in fits]


def fit_ensemble(x: np.ndarray, y: np.ndarray, recipe: Recipe) -> tuple[lw.Ensemble, np.ndarray]:
    """32 networks, and (32, rows) bool: which rows each has not seen. Every row is left out by 8 of them."""
    parts: list[np.ndarray] = []
    for parting in range(PARTINGS):
        # lanewise's own generator: the same numbers under any version of NumPy.
        parts += np.array_split(lw.random.shuffle(np.arange(len(y)), seed=parting), PARTS)
    left_out = np.zeros((len(parts), len(y)), dtype=bool)
    for part, row in zip(parts, left_out, strict=True):
        row[part] = True
    models = fit_networks(x, y, [np.flatnonzero(~row) for row in left_out], [recipe], SEEDS)
    return lw.Ensemble(models), np.tile(left_out, (SEEDS, 1))


def departures(y: np.ndarray) -> tuple[np.ndarray, float]:
    """Targets of order one: float32 departures from the mean, which is summed exactly; and the mean."""
    mean = math.fsum(y) / len(y)
    return (y - mean).astype(np.float32), mean


def predict_ensemble(
    x_all: np.ndarray, train: np.ndarray, test: np.ndarray, y: np.ndarray, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By networks that learnt the rows `train`, with y: (32, test rows); spread and half-width, (test rows,) each."""
    x = x_all[train]
    targets, mean = departures(y)
    ensemble, left_out = fit_ensemble(x, targets, recipe)
    unseen, spread = left_out_mean_and_spread(ensemble.predict_all(x)[..., 0].astype(np.float64), left_out)
    bars = ErrorBars(unseen - targets, spread)
    each = ensemble.predict_all(x_all[test])[..., 0].astype(np.float64) + mean
    spread = each.std(axis=0, ddof=1)
    return each, spread, bars.half_width(spread)


def choose_recipe(x: np.ndarray, y: np.ndarray, inner: np.ndarray, held: np.ndarray) -> Recipe:
    """The recipe by which two networks of the rows `inner` err least on the rows `held`."""
    targets, mean = departures(y)
    models = fit_networks(x, targets, [inner], RECIPES, SEEDS)
    pairs = [models[start : start + SEEDS] for start in range(0, len(models), SEEDS)]
    errors = [rmse(lw.Ensemble(pair).predict(x[held])[:, 0] + mean - y[held]) for pair in pairs]
    return RECIPES[int(np.argmin(errors))]


def learn_all() -> None:
    """32 networks learn all molecules by the fixed recipe. Prints the time and the fingerprint."""
    descriptors, roots, solubility = load_data()
    x = columns(descriptors, roots, np.arange(len(solubility)))
    targets, _ = departures(solubility)
    start = time.perf_counter()
    ensemble, _ = fit_ensemble(x, targets, RECIPE)
    seconds = time.perf_counter() - start
    print(f"{NETWORKS} networks learned {len(x):,} molecules of {x.shape[1]:,} numbers in {seconds:.1f} s, "
          f"{lw.get_num_threads()} threads, {lw.active_isa()}\n\n"
          f"fingerprint {lw.fingerprint(ensemble, ensemble.predict(x))}\n\n"
          "of their weights and predictions.\n", flush=True)  # fmt: skip


def cross_validate(repeats: int, seed: int, quick: bool) -> tuple[Errors, Coverage, np.ndarray, np.ndarray]:
    """Errors of all models, of the error bars, and of each molecule the half-width of the last repeat and the truth."""
    descriptors, roots, solubility = load_data()
    n = len(solubility)
    mean_of_networks = f"mean of {NETWORKS} networks"
    names = ["predict the mean", "ridge", "boosting", "one of the networks", mean_of_networks]
    if not has_boosting():
        print("boosting is left out: scikit-learn is not installed (pip install scikit-learn)")
        names.remove("boosting")
    errors, coverage, half_width = Errors(names, n, repeats), Coverage(), np.zeros(n)
    print(f"{repeats} × {FOLDS}-fold cross-validation\n\nRMSE of  {'  '.join(names[1:])}  the networks' recipe")
    start = time.perf_counter()
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

            recipe = RECIPE if quick else choose_recipe(x, y, inner, held)
            each, spread, half_width[test] = predict_ensemble(x_all, train, test, y, recipe)
            errors.add("one of the networks", test, each, y_test)
            errors.add(mean_of_networks, test, each.mean(axis=0), y_test)
            coverage.add(each.mean(axis=0) - y_test, spread, half_width[test])

            cells = "  ".join(f"{errors.folds[row][-1]:{len(name)}.3f}" for row, name in enumerate(names) if row)
            print(f"{repeat + 1}/{repeats} {fold + 1}/{FOLDS}  {cells}  dropout {recipe['dropout']}, "
                  f"decay {recipe['weight_decay']:<5}  {time.perf_counter() - start:4.0f} s", flush=True)  # fmt: skip
    return errors, coverage, half_width, solubility


def draw(errors: Errors, coverage: Coverage, half_width: np.ndarray, solubility: np.ndarray) -> None:
    """Predicted against measured with error bars; the error by thirds of the spread; the errors of all models."""
    plt = pyplot()
    if plt is None:
        return
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(13.5, 4.2), width_ratios=(1.1, 1, 0.9), layout="constrained"
    )
    ends = [solubility.min(), solubility.max()]
    predicted = errors.predicted[-1]
    inside = np.abs(predicted - solubility) <= half_width
    for rows, color, label in ((inside, "C0", "inside"), (~inside, "C1", "outside")):
        left.errorbar(solubility[rows], predicted[rows], half_width[rows], fmt="o", color=color, markersize=2.5,
                      markeredgewidth=0, elinewidth=0.5, alpha=0.5, label=f"{rows.mean():.0%} {label}")  # fmt: skip
    left.plot(ends, ends, color="0.3", linewidth=1, zorder=3)
    left.legend(loc="upper left", fontsize="small")
    left.set(xlabel="measured, log10(mol/L)", ylabel="predicted", title="molecules never seen, 90 % intervals")

    *thirds, _ = coverage.thirds()
    error, width, share = zip(*thirds, strict=True)
    middle.bar(range(3), error, 0.55, color="C0")
    for at, (value, part) in enumerate(zip(error, share, strict=True)):
        middle.annotate(f"{value:.2f}\n{part:.0%} inside", (at, value), (0, 3), textcoords="offset points", ha="center")
    middle.plot(range(3), width, "D", color="0.3", markersize=5, label="half-width of the 90 % interval")
    middle.set_xticks(range(3), ["most", "middle third", "least"])
    middle.set_ylim(0, 1.25 * max(width))
    middle.legend(loc="upper left", fontsize="small")
    middle.set(xlabel="agreement of the networks", ylabel="RMSE, log10(mol/L)", title="error by thirds of the spread")

    shown = errors.names[1:]  # the mean's error is far off to the right
    for row, name in enumerate(shown):
        value, low, high = errors.rmse(name)
        right.plot([low, high], [row, row], linewidth=2, color="C0")
        right.plot(value, row, "o", color="C0")
        right.annotate(f"{value:.3f}", (value, row), (0, 7), textcoords="offset points", ha="center")
    right.set_yticks(range(len(shown)), shown)
    right.invert_yaxis()
    right.margins(y=0.2)
    right.set(xlabel="RMSE, log10(mol/L), and 95 % interval", title="models")
    save_picture(figure, "solubility.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one repeat, nothing chosen for the networks")
    parser.add_argument("--repeats", type=int, help="repeats of the cross-validation; 3, with --quick 1")
    parser.add_argument("--seed", type=int, default=0, help="of the folds; 0")
    parser.add_argument("--threads", type=int, help="of the networks; as many as the machine has")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        lw.set_num_threads(arguments.threads)
    learn_all()
    repeats = arguments.repeats or (1 if arguments.quick else 3)
    errors, coverage, half_width, solubility = cross_validate(repeats, arguments.seed, arguments.quick)
    print("\nErrors on molecules not trained on, log10(mol/L):\n")
    print(errors.table("boosting" if has_boosting() else "ridge"))
    print("\nIntervals: bootstrap over molecules; a difference is paired (the same molecules), and better below zero.\n"
          "'one of the networks' is what to expect of one: errors averaged over all.\n\n"
          "90 % intervals of the mean, by how far the networks agree:\n")  # fmt: skip
    for name, (error, width, share) in zip(("most", "middle third", "least", "all"), coverage.thirds(), strict=True):
        print(f"{name:12}  RMSE {error:.3f}  half-width {width:.3f}  {share:6.1%} of the molecules inside")
    print()
    draw(errors, coverage, half_width, solubility)


if __name__ == "__main__":
    main()
