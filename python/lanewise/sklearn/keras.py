"""KerasRegressor and KerasClassifier: a function that builds a model, as an estimator."""

from __future__ import annotations

import copy
import inspect
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import activations, losses, optimizers, random
from .._given import is_own
from .._names import check_keywords, warn
from ..models import Model, Sequential
from ..models.functional import Functional
from ..models.model import _rebuilt
from .network import MERGED_ROWS, merged
from .state import Estimator
from .targets import check_first_classes, codes, dense_targets, is_multilabel, labels, probabilities

_ROUTES = ("model", "optimizer", "fit", "predict")
_MODEL = ("kind", "config", "weights", "compile", "optimizer", "own")
"""What a pickle holds of a model: plain values and arrays; own: the person's classes and functions in it, by name."""


class KerasEstimator(Estimator):
    """A function that builds a model, and what it is compiled and fitted with.

    Args:
        model: a function that returns a `lanewise.Model`, compiled or not, or a model, which each fit copies. The
            function gets its arguments `x` from `model__x=` (or from `x=`), and, where it asks for them, `meta` (a dict
            of n_features_in_, n_outputs_, n_classes_, target_type_, ...) and `compile_kwargs` (optimizer, loss,
            metrics).
        optimizer, loss, metrics: for `compile`, where the function has not compiled the model. Without a loss it is the
            mean squared error, or the cross-entropy that suits the output.
        batch_size, epochs, verbose, callbacks, validation_split, shuffle: for the model's `fit`.
        class_weight: of a classifier: weight by label, or 'balanced'; multiplies sample_weight.
        warm_start: whether `fit` goes on with the model of the last one.
        random_state: seed of first weights, order and dropout.
        **kwargs: `model__x`, `optimizer__x` (constructor of the optimizer that is named), `fit__x`, `predict__x`.

    Attributes:
        model_: the model.
        history_: what `fit` recorded, a list of one value an epoch by name.
        n_features_in_, feature_names_in_, n_outputs_, target_type_: what was trained on.
    """

    model_: Any
    history_: dict[str, list[float]]

    def __init__(
        self, model: Any = None, *, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None,
        batch_size: Any = None, epochs: int = 1, verbose: Any = 1, callbacks: Any = None,
        validation_split: float = 0.0, shuffle: bool = True, class_weight: Any = None, warm_start: bool = False,
        random_state: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.__dict__.update({k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")})
        self.__dict__.update(kwargs)
        self._routed = sorted(kwargs)

    # --- parameters ---------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All parameters by name, those of the model's function too."""
        own = {name: getattr(self, name) for name in self._get_param_names()}
        return {**own, **{name: getattr(self, name) for name in self._routed}}

    def set_params(self, **params: Any) -> Self:
        """Set parameters; new ones may be `model__x` and so on, or arguments of the model's function."""
        own = self._get_param_names()
        new = [name for name in params if name not in own and name not in self._routed]
        for name in new:
            if name.partition("__")[0] not in _ROUTES and name not in _arguments(params.get("model", self.model)):
                check_keywords("set_params", [name], [*own, *self._routed, *_arguments(self.model)])
        self.__dict__.update(params)
        self._routed = sorted([*self._routed, *new])
        return self

    def _route(self, name: str) -> dict[str, Any]:
        start = f"{name}__"
        return {key[len(start) :]: getattr(self, key) for key in self._routed if key.startswith(start)}

    # --- building -----------------------------------------------------------------------------------------------

    def _build(self, meta: dict[str, Any]) -> Model:
        if self.model is None:
            hint = "; build_fn= is called model=" if "build_fn" in self._routed else ""
            raise ValueError(f"model: expected a function that returns a model, or a model, received None{hint}")
        if isinstance(self.model, Model):
            built = copy.deepcopy(self.model)
        elif callable(self.model):
            known = _arguments(self.model)
            plain = {name: getattr(self, name) for name in self._routed if "__" not in name}
            given = self._route("model")
            if not _takes_any(self.model):
                check_keywords(type(self).__name__, plain, [*known, *self._get_param_names()])
                check_keywords(f"model: {getattr(self.model, '__name__', 'function')}", given, known)
            offered = {"meta": meta, "compile_kwargs": self._compile_arguments()}
            built = self.model(**{k: v for k, v in offered.items() if k in known}, **plain, **given)
        else:
            raise TypeError(f"model: expected a function that returns a model, or a model, received {self.model!r}")
        if not isinstance(built, Model):
            raise TypeError(f"model: expected the function to return a lanewise model, received {built!r}")
        return built

    def _compile_arguments(self) -> dict[str, Any]:
        optimizer, options = self.optimizer, self._route("optimizer")
        if options:
            if isinstance(optimizer, str):
                optimizer = optimizers.get_class(optimizer.lower())
            if not isinstance(optimizer, type):
                raise TypeError(f"optimizer__{next(iter(options))}: needs optimizer= to be a name, not {optimizer!r}")
            optimizer = optimizer(**options)
        return {"optimizer": copy.deepcopy(optimizer), "loss": self.loss, "metrics": self.metrics}

    def _not_read(self) -> list[str]:
        """The parameters for `compile` that were set, for a function which compiles its model without them."""
        if not isinstance(self.model, Model) and "compile_kwargs" in _arguments(self.model):
            return []
        usual = inspect.signature(type(self).__init__).parameters
        given = {name: getattr(self, name) for name in ("optimizer", "loss", "metrics")}
        own = [n for n, v in given.items() if (v != usual[n].default if isinstance(v, str) else v is not None)]
        return [*own, *(f"optimizer__{name}" for name in self._route("optimizer"))]

    def _usual_loss(self, model: Any) -> Any:
        """The loss where none is given."""
        return "mse"

    # --- fit ----------------------------------------------------------------------------------------------------

    def _check_targets(self, y: Any, keep: bool) -> None:
        """Learn from the targets what they are."""
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.target_type_ = "continuous" if y.ndim == 1 else "continuous-multioutput"

    def _encoded(self, y: Any) -> Any:
        """The targets as the model takes them."""
        return y

    def _merges(self, arguments: dict[str, Any], shape: tuple[int, ...]) -> bool:
        """Whether equal rows may be taken together: a batch is all rows, and nothing looks at them one by one."""
        outputs = self.model_._get_compiled("fit").outputs
        one_by_one = arguments["validation_split"] or any(output.metrics or output.weighted for output in outputs)
        return (
            len(shape) == 2
            and shape[0] <= min(arguments["batch_size"] or 32, MERGED_ROWS)
            and not one_by_one
            and all(leaf.in_training is None for leaf in self.model_.leaves())
        )

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool = False, **given: Any) -> Self:
        keep = (self.warm_start or incremental) and hasattr(self, "model_")
        X, y = validate_data(
            self, X, y, accept_sparse="csr", multi_output=True, y_numeric=not is_classifier(self), allow_nd=True,
            dtype=(np.float32, np.float64), reset=not keep,
        )  # fmt: skip
        y = dense_targets(y)
        self._dtype = (y if y.dtype.kind == "f" else X).dtype.str
        self._check_targets(y, keep or incremental)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            weights = by_class if weights is None else by_class * weights
        if not keep:
            mine = ("model_", "history_")
            meta = {k: v for k, v in vars(self).items() if k.endswith("_") and k[0] != "_" and k not in mine}
            meta["X_shape_"] = X.shape
            seed = None if self.random_state is None else int(check_random_state(self.random_state).randint(2**31 - 1))
            with nullcontext() if seed is None else random.seeded(seed):
                model = self.model_ = self._build(meta)
                model._run_seed()
            model._seed_generation = random.generation()  # goes on with the seed that it has
        model = self.model_
        if not keep and model.compiled and (unread := self._not_read()):
            warn(f"{type(self).__name__}: {', '.join(unread)} do not reach the model, which is compiled already")
        if not model.compiled:
            model.build((None, *X.shape[1:])) if not model.built else None
            arguments = self._compile_arguments()
            if arguments["loss"] is None:
                arguments["loss"] = self._usual_loss(model)
            model.compile(**arguments)
        arguments = {
            "batch_size": self.batch_size, "epochs": 1 if incremental else self.epochs, "verbose": self.verbose,
            "callbacks": self.callbacks, "validation_split": 0.0 if incremental else self.validation_split,
            "shuffle": self.shuffle, **self._route("fit"), **given,
        }  # fmt: skip
        if "validation_data" in arguments:
            held_x, held_y, *rest = arguments["validation_data"]
            arguments["validation_data"] = (held_x, self._encoded(dense_targets(np.asarray(held_y))), *rest)
        X, targets, weights = counted(X, self._encoded(y), weights, self._merges(arguments, X.shape))
        history = model.fit(X, targets, sample_weight=weights, **arguments).history
        before = self.history_ if keep else {}
        self.history_ = {name: [*before.get(name, []), *map(float, values)] for name, values in history.items()}
        return self

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Self:
        """Build the model, and train it.

        Args:
            X: (n, ...), a frame or a sparse matrix.
            y: (n,) or (n, outputs).
            sample_weight: (n,), how often each row counts, up to a factor: they are scaled to the mean 1, and rows of
                weight 0 are left out.
            **kwargs: for the model's `fit`, before the estimator's own parameters; `validation_data=(X, y)`.
        """
        return self._fit(X, y, sample_weight, **kwargs)

    def _raw(self, X: Any) -> Any:
        """What the model gives for each row, (n, outputs), in the type of the training data."""
        check_is_fitted(self, "model_")
        X = validate_data(
            self, X, accept_sparse="csr", allow_nd=True, dtype=(np.float32, np.float64), reset=False
        )  # fmt: skip
        raw = self.model_.predict(X, **{"verbose": 0, **self._route("predict")}).astype(self._dtype, copy=False)
        return raw.reshape(len(raw), -1)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    # --- state --------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state and type(state["model_"]) in _KINDS.values():  # a class of your own goes along as it is
            kind, *parts = state["model_"].__reduce__()[1]
            state["model_"] = dict(zip(_MODEL, (kind.__name__, *parts), strict=True))
        return state

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict) or not set(self._get_param_names()) <= state.keys():
            raise ValueError(f"state: no {type(self).__name__} of this version of lanewise")
        model = state.get("model_")
        if model is not None and not (isinstance(model, Model) and is_own(type(model))):
            if not isinstance(model, dict) or set(model) != set(_MODEL) or model["kind"] not in _KINDS:
                raise ValueError("state: model_ is no model of lanewise")
            built = _rebuilt(_KINDS[model["kind"]], *(model[part] for part in _MODEL[1:]))
            state = {**state, "model_": built}
        super().__setstate__(state)


_KINDS: dict[str, type[Model]] = {kind.__name__: kind for kind in (Sequential, Functional)}


def counted(x: Any, y: Any, weights: Any, merge: bool) -> tuple[Any, Any, Any]:
    """Rows, targets and weights with which Keras's loss, sum(w * l) / rows, is scikit-learn's, sum(w * l) / sum(w).

    Args:
        x, y: rows and what the model is to say of them.
        weights: how often each row is there, up to a factor; None: once.
        merge: whether equal rows may be taken together, so that a weight and a repetition give the same bits.

    Raises:
        ValueError: weights whose sum is not above 0.
    """
    if merge:
        x, y, weights = merged(x.toarray() if hasattr(x, "tocsr") else x, y, weights)
    if weights is None:
        return x, y, None
    there = np.flatnonzero(weights)
    total = float(np.sum(weights, dtype=np.float64))
    if not total > 0:
        raise ValueError(f"sample_weight: expected a sum above 0, received {total}")
    return x[there], y[there], weights[there] * (len(there) / total)


def _parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values()) if callable(function) else []


def _arguments(function: Any) -> list[str]:
    return [p.name for p in _parameters(function) if p.kind is not p.VAR_KEYWORD]


def _takes_any(function: Any) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in _parameters(function))


class KerasRegressor(RegressorMixin, KerasEstimator):  # type: ignore[misc]
    """A model for numbers, one or several a row; see `KerasEstimator` for the parameters."""

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch over these rows, with the model that there is."""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The numbers for each row, (n,) or (n, outputs)."""
        raw = self._raw(X)
        return raw.ravel() if raw.shape[1] == 1 else raw

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class KerasClassifier(ClassifierMixin, KerasEstimator):  # type: ignore[misc]
    """A model for classes or labels; see `KerasEstimator` for the parameters.

    Labels may be anything that can be sorted. The model gets their numbers, with one output column 0 and 1, with a loss
    over one-hot rows such rows. One-hot rows of y are classes for a softmax.

    Attributes:
        classes_, n_classes_: the labels.
    """

    def _check_targets(self, y: Any, keep: bool) -> None:
        multilabel = is_multilabel(y)
        if not keep:
            self.classes_ = np.arange(y.shape[1]) if multilabel else np.unique(y)
        self.n_classes_ = len(self.classes_)
        self.n_outputs_ = self.n_classes_ if multilabel else 1
        two = "binary" if self.n_classes_ <= 2 else "multiclass"
        self.target_type_ = "multilabel-indicator" if multilabel else two
        if multilabel and (y.sum(1) == 1).all():
            self.target_type_ = "multiclass-onehot"

    @property
    def _one_hot(self) -> bool:
        model = self.model_
        program = model._built_program("fit")
        kinds = program.builder.made_by(program.outputs[0])[0], getattr(model.compiled and self._loss, "activation", 0)
        return "onehot" in self.target_type_ and "softmax" in kinds

    @property
    def _multilabel(self) -> bool:
        return "-" in self.target_type_ and not self._one_hot

    @property
    def _loss(self) -> Any:
        return self.model_._get_compiled("fit").outputs[0].loss

    def _usual_loss(self, model: Any) -> Any:
        if self._one_hot:
            return "categorical_crossentropy"
        one = self._multilabel or model.output_shape[-1] == 1
        return "binary_crossentropy" if one else "sparse_categorical_crossentropy"

    def _encoded(self, y: Any) -> Any:
        by_column = "-" in self.target_type_
        found = codes(self.classes_, y, by_column)
        if by_column:
            return found
        numbers = found.reshape(-1).astype(np.int32)
        columns = self.model_.output_shape[-1] or 1
        if columns == 1:
            return numbers
        if self.n_classes_ > columns:
            raise ValueError(f"model: {columns} output columns are too few for {self.n_classes_} classes")
        if isinstance(self._loss, losses.SparseCategoricalCrossentropy):
            return numbers
        return np.eye(columns, dtype=np.float32)[numbers]

    def _raw(self, X: Any) -> Any:
        raw = super()._raw(X)
        if not getattr(self._loss, "from_logits", False):
            return raw
        function = activations.sigmoid if self._multilabel or raw.shape[1] == 1 else activations.softmax
        return np.asarray(function(raw)).astype(self._dtype)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch over these rows; the first call names all classes."""
        if check_first_classes(getattr(self, "classes_", None), classes):
            self.classes_ = np.unique(classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The label of each row, (n,), or (n, labels) of 0 and 1."""
        raw = self._raw(X)
        found = labels(self.classes_, raw, self._multilabel)
        return np.eye(self.n_classes_, dtype=int)[found] if self._one_hot else found

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, (n, classes)."""
        raw = self._raw(X)
        return probabilities(self.classes_, raw, self._multilabel)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
