"""MLPRegressor and MLPClassifier by scikit-learn's parameter names."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from .. import losses
from .mlp import Multilayer, stochastic
from .targets import accuracy, check_first_classes, codes, is_multilabel, labels, probabilities, r2


def _keep(estimator: Any, parameters: dict[str, Any]) -> None:
    """Constructor arguments as attributes, as they were given."""
    vars(estimator).update({k: v for k, v in parameters.items() if k not in ("self", "__class__")})


class MLPRegressor(RegressorMixin, Multilayer):  # type: ignore[misc]
    """A multilayer perceptron for numbers, one or several a row: scikit-learn's `MLPRegressor`, trained by the engine.

    With the same parameters and `random_state` it starts from the same weights and sees the same batches as
    scikit-learn's, so that both take the same way, apart from float32.

    Args:
        loss: 'squared_error', 'poisson' (through an exponential output), or any loss of `lanewise.losses`.
        hidden_layer_sizes: units of the hidden layers; () for none.
        activation: 'identity', 'logistic', 'tanh', 'relu', or any of `lanewise.activations`.
        solver: 'adam', 'sgd', 'lbfgs' (all rows at once, through SciPy, for small data), the name of any optimizer of
            `lanewise.optimizers` (its rate is learning_rate_init), or an instance (copied for each fit).
        alpha: the penalty is alpha/2 * sum W**2 over the kernels, divided by the rows (weights) of the batch.
        batch_size: rows a step; 'auto': min(200, n).
        learning_rate: of 'sgd': 'constant', 'invscaling' or 'adaptive'.
        learning_rate_init: size of a step.
        power_t: exponent of 'invscaling'.
        max_iter: most epochs; most iterations of 'lbfgs'.
        shuffle: whether each epoch takes the rows in a new order.
        random_state: seed of weights, split, order and dropout.
        tol: an epoch that improves the loss (with early stopping the score) by less is no improvement.
        verbose: whether to print a line an epoch.
        warm_start: whether `fit` goes on from the weights of the last one.
        momentum, nesterovs_momentum: of 'sgd'.
        early_stopping: whether rows are held out, their score decides when to stop, and the best weights come back.
        validation_fraction: share of these rows.
        beta_1, beta_2, epsilon: of 'adam'.
        n_iter_no_change: epochs without improvement before the end.
        max_fun: most evaluations of 'lbfgs'.
        dropout: rate behind each hidden layer, in [0, 1).
        batch_norm: whether each hidden layer is normalised before its activation.
        callbacks: of `lanewise.callbacks`; logs have loss, and with held out rows val_loss and val_score.
        n_ensemble: so many networks with seeds of their own, predictions averaged; attributes are the first one's.

    Attributes:
        coefs_, intercepts_: the weights of each layer; overwriting them changes what is predicted.
        members_: the estimators of an ensemble; None for one network.
        loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, n_iter_, n_layers_, n_outputs_,
            out_activation_, n_features_in_, feature_names_in_: as scikit-learn's.
    """

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,), activation: Any = "relu", *,
        solver: Any = "adam", alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: bool = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, dropout: float = 0.0, batch_norm: bool = False,
        callbacks: Any = None, n_ensemble: int = 1,
    ) -> None:  # fmt: skip
        _keep(self, locals())

    def _targets(self, y: Any, keep: bool) -> tuple[Any, int]:
        y = y.reshape(len(y), -1)
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError("y: loss='poisson' needs numbers >= 0")
        return y, y.shape[1]

    def _terms(self) -> tuple[Any, Any, float, float]:
        if isinstance(self.loss, str) and self.loss == "squared_error":  # a mean here, a sum in scikit-learn's gradient
            return "identity", "mse", 0.5 * self.n_outputs_, 0.5
        if isinstance(self.loss, str) and self.loss == "poisson":
            return "exp", "poisson", float(self.n_outputs_), float(self.n_outputs_)
        return "identity", losses.get(self.loss), 1.0, 1.0

    def _offset(self, y: Any, weights: Any) -> float:
        if not isinstance(self.loss, str) or self.loss != "poisson":
            return 0.0
        return float(np.average((y * np.log(np.where(y > 0, y, 1)) - y).sum(axis=1), weights=weights))

    def _judge(self, y: Any, raw: Any, weights: Any) -> float:
        return r2(y, raw, weights)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> Self:
        """Train on the rows of X, an array, a frame or a sparse matrix (n, columns).

        Args:
            X: the rows.
            y: (n,) or (n, outputs).
            sample_weight: (n,).
            validation_data: (X, y) to be scored after each epoch, in the place of rows held out.

        Raises:
            ValueError / TypeError: parameters or data that do not fit, weights that are not finite in the end.
        """
        return self._fit(X, y, sample_weight, validation_data)

    @available_if(stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch over these rows, from where the weights and the optimizer are."""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The numbers for each row, (n,) or (n, outputs); with return_std their spread over the members too.

        Raises:
            ValueError: return_std without an ensemble.
        """
        raw = self._raw(X)
        if return_std and not self.members_:
            raise ValueError("return_std: needs n_ensemble > 1")
        found = [np.mean(raw, axis=0), np.std(raw, axis=0)] if self.members_ else [raw]
        found = [a.ravel() if a.shape[1] == 1 else a for a in found]
        return tuple(found) if return_std else found[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class MLPClassifier(ClassifierMixin, Multilayer):  # type: ignore[misc]
    """A multilayer perceptron for classes, or for several labels a row: scikit-learn's `MLPClassifier`.

    Args:
        class_weight: weight by class, or 'balanced'; multiplies sample_weight.
        hidden_layer_sizes, ...: see `MLPRegressor`; the loss is the cross-entropy.

    Attributes:
        classes_: the labels.
        coefs_, ...: see `MLPRegressor`.
    """

    loss = "log_loss"

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, solver: Any = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: bool = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, dropout: float = 0.0, batch_norm: bool = False,
        class_weight: Any = None, callbacks: Any = None, n_ensemble: int = 1,
    ) -> None:  # fmt: skip
        _keep(self, locals())

    def _targets(self, y: Any, keep: bool) -> tuple[Any, int]:
        multilabel = is_multilabel(y)
        if not keep or not hasattr(self, "classes_"):
            self._multilabel = multilabel
            self.classes_ = np.arange(y.shape[1]) if multilabel else np.unique(y)
        elif self._multilabel != multilabel:
            raise ValueError("y: expected the kind of target that was trained on before")
        elif not multilabel and self.warm_start and len(np.setxor1d(y, self.classes_)):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {np.unique(y)}"
            )
        found = codes(self.classes_, y, multilabel)
        return found, 1 if len(self.classes_) <= 2 and not multilabel else len(self.classes_)

    def _terms(self) -> tuple[Any, Any, float, float]:
        if self._multilabel or self.n_outputs_ == 1:
            return "logistic", "binary_crossentropy", float(self.n_outputs_), float(self.n_outputs_)
        return "softmax", "sparse_categorical_crossentropy", 1.0, 1.0

    def _judge(self, y: Any, raw: Any, weights: Any) -> float:
        return accuracy(y, raw, self._multilabel, weights)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> Self:
        """Train on the rows of X; see `MLPRegressor.fit`.

        Args:
            X: (n, columns).
            y: (n,) labels, or (n, labels) of 0 and 1, a sparse matrix too.
            sample_weight, validation_data: see `MLPRegressor.fit`.
        """
        return self._fit(X, y, sample_weight, validation_data)

    @available_if(stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One epoch over these rows; the first call names all classes."""
        if check_first_classes(getattr(self, "classes_", None), classes):
            self._multilabel = is_multilabel(y.toarray() if hasattr(y, "toarray") else np.asarray(y))
            self.classes_ = np.arange(np.shape(y)[1]) if self._multilabel else np.unique(classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The label of each row, (n,); of a multilabel task (n, labels) of 0 and 1."""
        raw = self._mean(X)
        return labels(self.classes_, raw, self._multilabel)

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class of `classes_`, (n, classes)."""
        raw = self._mean(X)
        return probabilities(self.classes_, raw, self._multilabel)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
