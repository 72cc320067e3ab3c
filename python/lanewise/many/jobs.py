"""What fit_many is asked for, as a list of jobs; everything is checked before anything is trained."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _engine, random
from .._names import check_integer, check_keywords
from ..callbacks import BackupAndRestore, Callback, CSVLogger, ModelCheckpoint, TensorBoard
from ..callbacks.base import flat
from ..models import Model
from ..models.config import clone_model
from ..models.data import check_rows
from ..models.predictor import Predictor
from ..models.trainer import Trainer
from ..optimizers import Optimizer

Rows = NDArray[np.uint32]
COMPILE = (*inspect.signature(Predictor.compile).parameters,)[1:]
FIT = tuple(name for name in inspect.signature(Trainer.fit).parameters if name not in ("self", "x", "y", "verbose"))


@dataclass(frozen=True)
class Job:
    """One network: what the grid says of it, its seed, and which fold it trains on."""

    index: int
    params: dict[str, Any]
    seed: int | None
    fold: int | None

    @property
    def labels(self) -> dict[str, Any]:
        """What tells it from the others."""
        return {"index": self.index, **self.params, "seed": self.seed, "fold": self.fold}


def jobs_of(candidates: Sequence[dict[str, Any]], seeds: Sequence[int], folds: int | None) -> list[Job]:
    """Each candidate with each seed on each fold."""
    each = itertools.product(candidates, seeds, [None] if folds is None else range(folds))
    return [Job(i, *labels) for i, labels in enumerate(each)]


def grid_of(grid: Any) -> list[dict[str, Any]]:
    """The candidates: every combination of a dict of lists, or a list of dicts as it is.

    Raises:
        TypeError: neither. ValueError: no candidate.
    """
    if grid is None:
        return [{}]
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
                raise TypeError(f"grid[{name!r}]: expected a list of values, received {values!r}")
        lists = [list(values) for values in grid.values()]
        found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*lists)]
    elif isinstance(grid, list | tuple) and all(isinstance(entry, Mapping) for entry in grid):
        found = [dict(entry) for entry in grid]
    else:
        raise TypeError(f"grid: expected a dict of lists or a list of dicts, received {grid!r}")
    if not found:
        raise ValueError("grid: expected at least one candidate, received none")
    return found


def seeds_of(seeds: Any) -> list[int]:
    """n: 0 to n - 1; a list as it is; None: one, drawn from the global seed."""
    if seeds is None:
        return [random.next_run_seed() & 0xFFFFFFFF]
    if isinstance(seeds, Iterable) and not isinstance(seeds, str):
        found = [check_integer(f"seeds[{i}]", seed, 0) for i, seed in enumerate(seeds)]
        if not found:
            raise ValueError("seeds: expected at least one, received none")
        return found
    return list(range(check_integer("seeds", seeds, 1)))


def folds_of(folds: Any, x: Any, y: Any, rows: int) -> list[tuple[Rows, Rows | None]]:
    """(rows that train, rows that validate or None) of each fold.

    Args:
        folds: a number of parts, an object with `split`, or pairs of row numbers or of masks.
        x, y: for `split`.
        rows: how many there are.

    Raises:
        TypeError / ValueError: something else, rows that are not there, a fold without rows to train on.
    """
    if isinstance(folds, int | np.integer):
        count = check_integer("folds", folds, 2)
        if count > rows:
            raise ValueError(f"folds: {rows} rows cannot be parted in {count}")
        order = _engine.permutation(0, 0, rows)
        parts = [np.sort(part) for part in np.array_split(order, count)]
        return [(np.setdiff1d(order, part), part) for part in parts]
    if hasattr(folds, "split") and not isinstance(folds, str):
        folds = folds.split(x, y)
    found: list[tuple[Rows, Rows | None]] = []
    for i, pair in enumerate(folds if isinstance(folds, Iterable) and not isinstance(folds, str) else ()):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"folds[{i}]: expected (rows that train, rows that validate), received {pair!r}")
        train, test = (None if part is None else _rows(f"folds[{i}]", part, rows) for part in pair)
        if train is None or not len(train):
            raise ValueError(f"folds[{i}]: expected rows to train on, received none")
        found.append((train, test if test is not None and len(test) else None))
    if not found:
        raise TypeError(
            f"folds: expected a number, a splitter of scikit-learn or a list of (train, test) rows, received {folds!r}"
        )
    return found


def _rows(argument: str, given: Any, rows: int) -> Rows:
    array = np.asarray(given)
    if array.dtype == bool and array.ndim == 1:
        check_rows(argument, len(array), rows)
        array = np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(
            f"{argument}: expected row numbers or masks, received an array of shape {array.shape} of {array.dtype}"
        )
    if array.size and not (array.min() >= 0 and array.max() < rows):
        bad = array.max() if array.min() >= 0 else array.min()
        raise ValueError(f"{argument}: expected row numbers from 0 to {rows - 1}, received {bad}")
    return np.array(array, np.uint32)  # a copy: the caller may change theirs meanwhile


# --- callbacks --------------------------------------------------------------------------------------------------


def callbacks_for(given: Any) -> Callable[[dict[str, Any]], list[Callback]]:
    """What makes the callbacks of a network from its labels: copies of those given, or what a function returns.

    Raises:
        TypeError: a callback that cannot be copied. ValueError: one that writes files, the same ones for all.
    """
    if callable(given) and not isinstance(given, type):
        return lambda labels: flat(given(labels))
    originals = flat(given)
    advice = "give a function that makes those of each network: callbacks=lambda labels: [...]"
    for callback in originals:
        name = type(callback).__name__
        if isinstance(callback, BackupAndRestore | CSVLogger | ModelCheckpoint | TensorBoard):
            raise ValueError(f"callbacks: {name} would write one file for all networks; {advice}")
        try:
            _copied(callback)
        except Exception as error:
            raise TypeError(f"callbacks: {name} cannot be copied for each network ({error}); {advice}") from error
    return lambda labels: [_copied(callback) for callback in originals]


def _copied(callback: Callback) -> Callback:
    return copy.deepcopy(callback, {id(callback.model): None})


# --- models -----------------------------------------------------------------------------------------------------


class Recipe:
    """How a network is made of what the grid says.

    A name of the grid is an argument of the builder if it has one of that name, else one of `compile` (or
    learning_rate), else one of `fit`, else whatever the builder takes by **kwargs.

    Args:
        source: a function that returns a model, or a model, whose clones are trained.
        compiling: arguments of `compile` for all networks.
        candidates: what the grid says.

    Raises:
        TypeError: no builder, a name that nobody knows, or an argument of the builder that nobody gives.
    """

    def __init__(
        self, source: Any, compiling: Mapping[str, Any] | None, candidates: Sequence[Mapping[str, Any]]
    ) -> None:
        if not callable(source):
            raise TypeError(
                "models: expected a function that returns a compiled model, a model or a list of models, received "
                f"{source!r}"
            )
        self._compiling = dict(compiling or {})
        check_keywords("compile", self._compiling, (*COMPILE, "learning_rate"))
        self._named: set[str] = set()
        takes_any = False
        if isinstance(source, Model):
            self._build: Callable[..., Any] = lambda: _clone(source)
        else:
            self._build = source
            parameters = inspect.signature(source).parameters.values()
            self._named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
            needed = [p.name for p in parameters if p.name in self._named and p.default is p.empty and p.name != "seed"]
            for candidate in candidates:
                for name in needed:
                    if name not in candidate:
                        raise TypeError(
                            f"models: the builder needs {name!r}; give it a default, or grid={{{name!r}: [...]}}"
                        )
        known = dict.fromkeys((*sorted(self._named), *COMPILE, "learning_rate", *FIT))
        for candidate in candidates:
            if not takes_any:
                check_keywords("grid", candidate, tuple(known))

    def parts(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """What of it the builder, `compile` and `fit` take."""
        build: dict[str, Any] = {}
        compiling: dict[str, Any] = {}
        fit: dict[str, Any] = {}
        for name, value in params.items():
            if name in self._named:
                build[name] = value
            elif name in COMPILE or name == "learning_rate":
                compiling[name] = value
            else:
                (fit if name in FIT else build)[name] = value
        return build, compiling, fit

    def make(self, job: Job) -> Model:
        """The compiled model of a job.

        Raises:
            TypeError: the builder returned something else. Whatever the builder raises.
        """
        build, compiling, _ = self.parts(job.params)
        if "seed" in self._named and "seed" not in build:
            build["seed"] = job.seed
        model = self._build(**build)
        if not isinstance(model, Model):
            raise TypeError(f"models: expected the builder to return a model, received {model!r}")
        compiling = {**self._compiling, **compiling}
        rate = compiling.pop("learning_rate", None)
        if compiling:
            model.compile(**_own({**model.compiled_with, **compiling}))
        if rate is not None:
            if model.optimizer is None:
                raise ValueError(
                    "learning_rate: the model is not compiled; compile it in the builder, or give compile="
                )
            model.optimizer.learning_rate = rate
        return model


def _clone(model: Model) -> Model:
    made: Model = clone_model(model)
    if model.compiled:
        made.compile(**_own(model.compiled_with))
        made.exclude_alike(model)
    return made


def _own(compiling: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `compile` for one more model: optimizers, and metrics and losses of a person's, have a state."""
    found = {k: copy.deepcopy(v) if k in ("loss", "metrics", "weighted_metrics") else v for k, v in compiling.items()}
    optimizer = found.get("optimizer")
    if isinstance(optimizer, Optimizer):
        found["optimizer"] = optimizer.anew()
    return found


class Apart:
    """Sees to it that no two trainings write to one thing."""

    def __init__(self, advice: str) -> None:
        self._advice = advice
        self._held: dict[int, Any] = {}  # what belongs to one model, by id

    def add(self, model: Model) -> None:
        """One more model. Raises ValueError where it shares something with one before it."""
        parts = (("model", model), ("optimizer", model.optimizer), *(("weight", weight) for weight in model.weights))
        for what, part in parts:
            if part is not None and id(part) in self._held:
                raise ValueError(f"models: two networks share one {what}; {self._advice}")
        self._held.update((id(part), part) for _, part in parts)


class Given:
    """A list of models, made ready in order: the random streams go as if they were trained one after the other.

    Raises:
        TypeError: something else in the list. ValueError: a model that is not compiled, two that share something,
            another number of seeds, x that does not fit.
    """

    def __init__(self, models: Sequence[Any], seeds: Sequence[int] | None, x: Any) -> None:
        for i, model in enumerate(models):
            if not isinstance(model, Model):
                raise TypeError(f"models[{i}]: expected a model, received {model!r}")
            if not model.compiled:
                raise ValueError(f"models[{i}]: the model is not compiled; call compile(optimizer=..., loss=...) first")
        apart = Apart("give each network a model, layers and an optimizer of its own")
        for model in models:
            apart.add(model)
        if not models:
            raise ValueError("models: expected at least one, received an empty list")
        if seeds is not None and len(seeds) != len(models):
            raise ValueError(f"seeds: expected one for each of {len(models)} models, received {len(seeds)}")
        self._models = models
        params: dict[str, Any] = {}
        self.jobs = [Job(i, params, None if seeds is None else seeds[i], None) for i in range(len(models))]
        for job in self.jobs:
            with nullcontext() if job.seed is None else random.seeded(job.seed):
                models[job.index].draw(x)

    def parts(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Nothing."""
        return {}, {}, {}

    def make(self, job: Job) -> Model:
        """The model, its streams as they were drawn."""
        model: Model = self._models[job.index]
        model.keep_streams(random.generation())
        return model
