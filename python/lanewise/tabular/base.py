"""What TabularRegressor and TabularClassifier share: parameters, the way from a table to networks, files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from .. import random
from .._engine import AnyArray, Float32, Float64
from .._names import KeywordChecked, check_below_one, check_integer, check_keywords, check_not_negative, check_positive
from ..models import Model
from ..models.data import check_rows, row_weights
from . import files, network
from .columns import EMBEDDINGS, Table


class Tabular(KeywordChecked):
    """What both share: parameters, columns, networks, files."""

    _classes: ClassVar[bool]
    table_: Table
    members_: list[Model]
    _scaling: dict[str, Any]
    random_state: Any

    # --- parameters, as scikit-learn asks for them --------------------------------------------------------------

    @classmethod
    def _parameters(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Overwrite some of them. Raises TypeError for a name that is none."""
        check_keywords("set_params", params, self._parameters())
        vars(self).update(params)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        shown = [f"{k}={v!r}" for k, v in self.get_params().items() if v is not (d := defaults[k].default) and v != d]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier" if self._classes else "regressor",
            target_tags=TargetTags(required=True, multi_output=not self._classes),
            classifier_tags=ClassifierTags() if self._classes else None,
            regressor_tags=None if self._classes else RegressorTags(),
            input_tags=InputTags(string=True, categorical=True, allow_nan=True),
        )

    def _check(self) -> None:
        params = self.get_params()
        for name in ("members", "epochs", "patience", "batch_size"):
            if name == "members" or params[name] != "auto":
                check_integer(name, params[name], 1)
        check_integer("bins", params["bins"], 0)
        kind = params["numeric_embeddings"]
        if kind not in EMBEDDINGS:
            raise ValueError(f"numeric_embeddings: expected 'auto', 'piecewise-linear' or None, received {kind!r}")
        for name in ("dropout", *(["label_smoothing"] if self._classes else [])):
            check_below_one(name, params[name])
        check_not_negative("weight_decay", params["weight_decay"])
        check_positive("learning_rate", params["learning_rate"])
        if not isinstance(params["units"], Sequence) or isinstance(params["units"], str):
            raise TypeError(f"units: expected a list of widths, received {params['units']!r}")
        for i, units in enumerate(params["units"]):
            check_integer(f"units[{i}]", units, 1)
        if params["columns"] is not None and not isinstance(params["columns"], Mapping):
            raise TypeError(f"columns: expected a dict from name to kind, received {params['columns']!r}")

    # --- fit ----------------------------------------------------------------------------------------------------

    def _fit(self, x: Any, y: Any, labels: AnyArray | None, sample_weight: Any, **known: Any) -> Self:
        """Columns, networks, then what the held-out rows say; all of it, and what is `known`, becomes the estimator's
        at once when it is there: a fit that fails or is interrupted changes nothing."""
        params: Any = self
        if len(y) < 2:
            raise ValueError("y: expected at least two rows, one to train on and one to validate on, received 1")
        table, numbers = Table.fit(x, params.columns, params.bins, params.numeric_embeddings)
        check_rows("y", len(y), len(numbers))
        weights = row_weights("sample_weight", sample_weight, len(numbers))
        if weights is not None and (weights.min() < 0 or not weights.any()):
            raise ValueError("sample_weight: expected numbers >= 0 that are not all 0")
        y, scaling = self._scaled(y, weights)
        seed = random.check_seed("random_state", self.random_state) if self.random_state is not None else (
            random.next_run_seed()
        )  # fmt: skip
        seed &= 0xFFFFFFFF
        parts = network.folds(len(numbers), params.members, seed, labels)
        members = network.train(numbers, y, weights, parts, table.vocabularies, self._classes, seed, self)
        rows, said = network.held_out(members, numbers, parts)
        if weights is not None:
            rows, said = rows[weights[rows] > 0], said[weights[rows] > 0]
        spread = network.outputs(members, numbers)[:, rows].std(axis=0)
        found = self._calibrated(scaling, y[rows].astype(np.float64), said, spread)
        vars(self).update(known, table_=table, members_=members, **found, **table.attributes())
        return self

    def _scaled(self, y: Float32, weights: Float32 | None) -> tuple[Float32, dict[str, Any]]:
        raise NotImplementedError

    def _calibrated(self, scaling: dict[str, Any], y: Float64, said: Float64, spread: Float64) -> dict[str, Any]:
        """Attributes that the held-out rows give."""
        raise NotImplementedError

    def _outputs(self, x: Any) -> Float64:
        """(members, n, outputs) as the networks say it."""
        self._check_fitted()
        return network.outputs(self.members_, self.table_.apply(x))

    def _check_fitted(self) -> None:
        if not hasattr(self, "table_"):
            raise ValueError(f"{type(self).__name__}: it is not fitted; call fit(x, y) first")

    def describe(self) -> str:
        """The columns as `fit` understood them, a line for each; override one by `columns={"name": "kind"}`."""
        self._check_fitted()
        used = len(self.table_.used)
        return f"{used} of {len(self.table_.columns)} columns, {len(self.members_)} networks\n{self.table_.describe()}"

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, filepath: Any) -> None:
        """Write columns, networks and error bars to one file (docs/format.md), without pickle.

        Raises:
            ValueError: not fitted. TypeError: a parameter that is not plain. OSError: it cannot be written.
        """
        self._check_fitted()
        files.write(self, filepath)

    @classmethod
    def load(cls, filepath: Any) -> Self:
        """The estimator in a file. Nothing in it is executed.

        Raises:
            ValueError: no such file, a damaged one or one of another class. OSError: it cannot be read.
        """
        found: Self = files.read(cls, filepath)
        return found
