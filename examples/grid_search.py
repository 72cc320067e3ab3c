"""A grid search of 64 candidates by 5 folds: lanewise's multilayer perceptrons beside scikit-learn's, on two cores.

    pip install "lanewise[examples]"
    python examples/grid_search.py                   # every eighth candidate, times eight: some seconds
    python examples/grid_search.py --full            # all of them: a minute or two
    python examples/grid_search.py --full --pieces 1 # the next eighth of them; goes on where it was stopped

Both get the same data, grid, folds and seeds, and scikit-learn's GridSearchCV with two processes; only the import
differs. They take turns at eighths of the grid. With --full every eighth goes to results/grid_search.json at once.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn import datasets, neural_network
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lanewise.sklearn

EIGHTHS = 8
RESULTS = Path(__file__).parent / "results" / "grid_search.json"
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


def processor() -> str:
    """What this CPU calls itself."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def show(table: str, size: str, jobs: int, pieces: dict[str, dict]) -> None:
    """Seconds and scores of the eighths that are there, and both for the whole grid."""
    count = sum(len(piece["scores"]["lanewise"]) for piece in pieces.values())
    whole = len(ParameterGrid(GRID))
    print(f"{table}, {size}: {count} of {whole} candidates x 5 folds, {jobs} processes")
    seconds, scores = {}, {}
    for name in ("lanewise", "scikit-learn"):
        seconds[name] = sum(piece["seconds"][name] for piece in pieces.values())
        scores[name] = np.concatenate([piece["scores"][name] for piece in pieces.values()])
        about = "" if count == whole else f", the whole grid about {seconds[name] * whole / count:.0f} s"
        print(
            f"  {name:12}  {seconds[name]:7.1f} s{about}   best score {scores[name].max():.4f}, mean "
            f"{scores[name].mean():.4f}"
        )
    apart = scores["lanewise"] - scores["scikit-learn"]
    print(
        f"  {seconds['scikit-learn'] / seconds['lanewise']:.1f} times faster; mean scores of the same candidates: "
        f"{apart.mean():+.5f} on average, {abs(apart).max():.5f} at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=TABLES, default="cancer", help="which of scikit-learn's tables")
    parser.add_argument("--full", action="store_true", help="all eighths, kept in --results")
    parser.add_argument("--pieces", type=int, default=EIGHTHS, help="of them, so many now (8)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    load, kind = TABLES[given.table]
    x, y = load(return_X_y=True)
    if kind == "MLPRegressor":
        y = (y - y.mean()) / y.std()
    candidates = list(ParameterGrid(GRID))
    modules = {"lanewise": lanewise.sklearn, "scikit-learn": neural_network}
    stored = json.loads(given.results.read_text()) if given.full and given.results.exists() else {}
    pieces: dict[str, dict] = stored.get(given.table, {})
    todo = [str(i) for i in range(EIGHTHS) if str(i) not in pieces][: given.pieces if given.full else 1]
    for i, name in enumerate(todo):
        some = candidates[int(name) :: EIGHTHS]
        if i == 0:
            for module in modules.values():  # processes, imports
                search(module, kind, some[:2], x[::9], y[::9], given.jobs)
        found = {who: search(module, kind, some, x, y, given.jobs) for who, module in modules.items()}
        pieces[name] = {
            "seconds": {who: round(seconds, 3) for who, (seconds, _) in found.items()},
            "scores": {who: [round(float(v), 6) for v in scores] for who, (_, scores) in found.items()},
            "cpu": processor(), "date": f"{datetime.date.today()}", "scikit-learn": sklearn.__version__,
            "lanewise": lanewise.__version__,
        }  # fmt: skip
        if given.full:
            stored[given.table] = pieces
            given.results.write_text(json.dumps(stored, indent=1) + "\n")
    show(given.table, f"{x.shape[0]} rows, {x.shape[1]} columns", given.jobs, pieces)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in the processes too: searches run out of epochs
    main()
