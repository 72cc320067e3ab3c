"""fit_many: what it is asked for, checked before anything is trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .. import _engine
from .._arrays import as_array
from .._names import check_integer, check_keywords
from ..callbacks.monitor import MonitorCallback
from ..models.base import check_verbose
from ..models.batches import Batches, batches_of, is_sparse
from ..models.data import unpack_validation
from .jobs import FIT, Given, Recipe, callbacks_for, folds_of, grid_of, jobs_of, seeds_of
from .results import Fits
from .run import Run


def fit_many(
    models: Any, x: Any, y: Any, *, seeds: int | Iterable[int] | None = None, grid: Any = None, folds: Any = None,
    n_jobs: int | None = None, epochs: int = 1, batch_size: int | None = None, callbacks: Any = None,
    validation_split: float = 0.0, validation_data: Any = None, sample_weight: Any = None, class_weight: Any = None,
    compile: Mapping[str, Any] | None = None, monitor: str | None = None, mode: str = "auto",
    fail_on_nan: bool = False, verbose: Any = "auto", **fit_arguments: Any,
) -> Fits:  # fmt: skip
    """Train many networks on the same rows, one on each core.

    Each gets the bits of a fit of its own, `set_random_seed(seed)`, builder, `fit`, whatever `n_jobs`. All read x and y
    in place; of folds only row numbers are made.

    Args:
        models: a function that returns a compiled model, called once for each network; or a model, whose clones (new
            weights) are trained; or a list of models, which are trained themselves.
        x, y: as `Model.fit` takes arrays, data frames and sparse matrices (of those, each fold's rows are copied).
        seeds: n for the seeds 0 to n - 1, or a list: each candidate is trained with each. None: one, drawn from the
            global seed. In the builder Python's and NumPy's global generators are seeded too (for all threads, and put
            back afterwards: other threads must not draw from them meanwhile), and an argument `seed` gets it.
        grid: candidates, as a dict of lists (every combination) or a list of dicts. A name is an argument of the
            builder if it has one of that name, else one of `compile`, or `learning_rate`, else one of `fit`, else what
            the builder takes by **kwargs.
        folds: n for n parts of the rows, drawn at random but always the same ones; a splitter of scikit-learn; or pairs
            (rows that train, rows that validate or None) of row numbers or masks. Each network of grid and seeds is
            trained on each. sample_weight counts in their validation, too.
        n_jobs: cores to use; None and -1: as many as `get_num_threads()` says.
        epochs, batch_size, validation_split, validation_data, sample_weight, class_weight: as in `Model.fit`.
        callbacks: each network gets copies of these; or a function that gets the network's labels (a dict of index,
            grid, seed, fold) and returns its callbacks. They run in the threads that train.
        compile: arguments of `compile` for all networks, in the place of the builder's.
        monitor: the value that decides which network is best; None: 'val_loss' where there is validation, or 'loss'.
        mode: 'min' or 'max': which values are better; 'auto' goes by the metric.
        fail_on_nan: whether a loss that is not finite ends the network as failed.
        verbose: 0, 1 ('auto'; one line for all) or 2 (a line for each network).
        **fit_arguments: further arguments of `Model.fit`, such as shuffle.

    Returns:
        Fits: models, histories, results, the best one. One that fails does not take others along: its exception is in
        `errors`, and a RuntimeWarning says so. After Ctrl-C what was finished, with `interrupted`.

    Raises:
        ValueError / TypeError: bad arguments; nothing has been trained then. Where all networks fail: what the first
            one raised.
    """
    kind: Callable[..., Run] = fit_arguments.pop("_run", Run)  # halving has one of its own
    own = [name for name in inspect.signature(fit_many).parameters if name != "fit_arguments"]
    check_keywords("fit_many", fit_arguments, tuple(dict.fromkeys((*own, *FIT))))
    verbose = check_verbose(verbose)
    if x is None or y is None or isinstance(batches_of("x", x, None, None, 1), Batches):
        raise TypeError(
            "fit_many: expected x and y as arrays that all networks can read, received "
            f"{type(x).__name__} and {type(y).__name__}"
        )
    x, y = once(x), once(y)
    if validation_data is not None:
        validation_data = tuple(map(once, unpack_validation(validation_data)))
    fit_arguments |= {
        "epochs": check_integer("epochs", epochs, 1), "batch_size": batch_size, "validation_split": validation_split,
        "callbacks": callbacks, "validation_data": validation_data, "sample_weight": once(sample_weight),
        "class_weight": class_weight,
    }  # fmt: skip
    candidates = grid_of(grid)
    validated = [name for name in ("validation_split", "validation_data")
                 if fit_arguments[name] or any(name in candidate for candidate in candidates)]  # fmt: skip
    parts: list[Any] = [(None, None)]
    if folds is not None:
        if validated:
            raise ValueError(f"folds, {validated[0]}: give one of them, received both")
        parts = folds_of(folds, x, y, _count(y))
    if monitor is None:
        monitor = "val_loss" if validated or any(test is not None for _, test in parts) else "loss"
    judge = MonitorCallback(monitor, mode)
    threads = _engine.get_num_threads()
    if n_jobs is not None and n_jobs != -1:
        threads = check_integer("n_jobs", n_jobs, 1)
    callbacks_for(callbacks)  # those that cannot be copied
    recipe: Recipe | Given
    if isinstance(models, list | tuple):
        if grid is not None or folds is not None or compile is not None:
            raise ValueError("models: a list of models goes without grid, folds and compile; give a function")
        recipe = Given(models, None if seeds is None else seeds_of(seeds), x)
        jobs = recipe.jobs
    else:
        recipe = Recipe(models, compile, candidates)
        jobs = jobs_of(candidates, seeds_of(seeds), None if folds is None else len(parts))
    return kind(jobs, recipe, (x, y), parts, fit_arguments, judge, fail_on_nan).run(threads, verbose)


def once(value: Any) -> Any:
    """What every fit would convert anew, converted."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if is_sparse(value):
        return value.tocsr()
    if isinstance(value, dict):
        return {key: once(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple) and any(np.ndim(entry) and hasattr(entry, "shape") for entry in value):
        return [once(entry) for entry in value]
    try:
        return as_array("x", value)
    except (TypeError, ValueError):  # text for the layers that take it, or what fit knows to complain about
        return value


def _count(y: Any) -> int:
    """Rows of y."""
    if isinstance(y, dict):
        y = next(iter(y.values()))
    return len(y[0] if isinstance(y, list) and np.ndim(y[0]) else y)
