"""A grid search of 64 candidates by 5 folds: lanewise's multilayer perceptrons beside scikit-learn's, on two cores.

    pip install "lanewise[examples]"
    python examples/grid_search.py              # lanewise all candidates, scikit-learn every eighth: under a minute
    python examples/grid_search.py --full       # both all of them: some minutes

Both get the same data, grid, folds and seeds, and scikit-learn's GridSearchCV with two processes; only the import
differs.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

import numpy as np
from sklearn import datasets, neural_network
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lanewise.sklearn

TABLES = {
    "cancer": (datasets.load_breast_cancer, "MLPClassifier"),
    "digits": (datasets.load_digits, "MLPClassifier"),
    "wine": (datasets.load_wine, "MLPClassifier"),
    "diabetes": (datasets.load_diabetes, "MLPRegressor"),
}
GRID = {
    "hidden_layer_sizes": [(16,), (32,), (64,), (32, 32)],
    "alpha": [1e-4, 1e-2, 1.0, 10.0],
    "learning_rate_init": [1e-3, 1e-2],
    "batch_size": [32, 64],
}


def search(module: object, kind: str, candidates: list[dict], x: np.ndarray, y: np.ndarray, jobs: int) -> tuple:
    """(seconds, mean score of each candidate) of a search over these candidates."""
    estimator = make_pipeline(StandardScaler(), getattr(module, kind)(random_state=0, max_iter=100))
    grid = [{f"{kind.lower()}__{name}": [value] for name, value in entry.items()} for entry in candidates]
    found = GridSearchCV(estimator, grid, cv=5, n_jobs=jobs, refit=False)
    begun = time.perf_counter()
    found.fit(x, y)
    return time.perf_counter() - begun, found.cv_results_["mean_test_score"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=TABLES, default="cancer", help="which of scikit-learn's tables")
    parser.add_argument("--full", action="store_true", help="all candidates for scikit-learn's too")
    parser.add_argument("--share", type=int, default=8, help="scikit-learn's gets every so many-th candidate (8)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    given = parser.parse_args()
    load, kind = TABLES[given.table]
    x, y = load(return_X_y=True)
    if kind == "MLPRegressor":
        y = (y - y.mean()) / y.std()
    candidates = list(ParameterGrid(GRID))
    some = slice(None, None, 1 if given.full else given.share)
    for module in (lanewise.sklearn, neural_network):  # processes, imports
        search(module, kind, candidates[:2], x[::9], y[::9], given.jobs)

    ours, scores = search(lanewise.sklearn, kind, candidates, x, y, given.jobs)
    theirs, their_scores = search(neural_network, kind, candidates[some], x, y, given.jobs)
    whole = theirs * len(candidates) / len(candidates[some])

    size = f"{x.shape[0]} rows, {x.shape[1]} columns"
    print(f"{given.table}, {size}: {len(candidates)} candidates x 5 folds, {given.jobs} processes")
    print(f"  lanewise      {ours:7.1f} s   best score {scores.max():.4f}, mean {scores.mean():.4f}")
    about = "" if given.full else f" (every {given.share}th candidate took {theirs:.1f} s)"
    print(
        f"  scikit-learn  {whole:7.1f} s   best score {their_scores.max():.4f}, mean {their_scores.mean():.4f}{about}"
    )
    apart = scores[some] - their_scores
    print(
        f"  {whole / ours:.1f} times faster; mean scores of the same candidates: {apart.mean():+.5f} on average, "
        f"{abs(apart).max():.5f} at most"
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the processes too: searches run out of epochs
    main()
