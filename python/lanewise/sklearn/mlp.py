"""What MLPRegressor and MLPClassifier share: scikit-learn's rules around epochs that the engine runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import _engine
from .._names import check_below_one, check_integer, check_number, warn
from .network import Net, optimizer_of
from .state import Estimator, checked
from .targets import dense_targets

_AT_LEAST_0 = ("a number >= 0", lambda v: v >= 0)
_ABOVE_0 = ("a number > 0", lambda v: v > 0)
_RANGES: dict[str, tuple[str, Any]] = {
    "alpha": _AT_LEAST_0, "power_t": _AT_LEAST_0, "tol": _AT_LEAST_0, "learning_rate_init": _ABOVE_0,
    "epsilon": _ABOVE_0, "momentum": ("a number in [0, 1]", lambda v: 0 <= v <= 1),
    "n_iter_no_change": ("an integer >= 1 or infinity", lambda v: v >= 1 and (v == np.inf or v % 1 == 0)),
}  # fmt: skip
_SCHEDULES = ("constant", "invscaling", "adaptive")


def stochastic(estimator: Any) -> bool:
    """Whether there is a partial_fit. Raises AttributeError where there is none."""
    if isinstance(estimator.solver, str) and estimator.solver == "lbfgs":
        raise AttributeError("partial_fit is only available for solvers that take batches, not for 'lbfgs'")
    return True


_member = threading.local()  # .told: what the members of an ensemble, trained in threads, warn of


def _tell(text: str, category: type[Warning] = UserWarning) -> None:
    """A warning; those of the members of an ensemble come from it, each once."""
    told = getattr(_member, "told", None)
    warn(text, category) if told is None else told.setdefault((text, category))


class Multilayer(Estimator):
    """Base of both: `docs/sklearn.md` lists the parameters that scikit-learn's do not have."""

    class_weight: Any = None
    members_: Any = None
    coefs_: Any
    intercepts_: Any
    loss_curve_: Any
    validation_scores_: Any
    best_validation_score_: Any
    best_loss_: Any
    _live: Net | None = None  # the engine's network; `coefs_`, `intercepts_` and `_norms` are what counts
    _slots: Any = None  # the optimizer's state that a pickle brought

    # --- what a kind defines ------------------------------------------------------------------------------------

    def _targets(self, y: Any, keep: bool) -> tuple[Any, int]:
        """(what the engine is trained on, number of outputs); keep: the classes are those of an earlier call."""
        raise NotImplementedError

    def _terms(self) -> tuple[Any, Any, float, float]:
        """(output activation, loss, its weight w in what is minimised, in what is shown)."""
        raise NotImplementedError

    def _judge(self, y: Any, raw: Any, weights: Any) -> float:
        """The score of outputs for targets as `_targets` gives them."""
        raise NotImplementedError

    def _offset(self, y: Any, weights: Any) -> float:
        """What is added to the loss that is shown."""
        return 0.0

    # --- fit ----------------------------------------------------------------------------------------------------

    def _widths(self) -> list[int]:
        """The widths of the hidden layers. Raises ValueError or TypeError for a parameter out of range."""
        for name, (expected, allowed) in _RANGES.items():
            check_number(name, getattr(self, name), expected, allowed)
        for name in ("beta_1", "beta_2", "validation_fraction", "dropout"):
            check_below_one(name, getattr(self, name))
        for name in ("max_iter", "max_fun", "n_ensemble"):
            check_integer(name, getattr(self, name), 1)
        if self.learning_rate not in _SCHEDULES:
            raise ValueError(f"learning_rate: expected one of {_SCHEDULES}, received {self.learning_rate!r}")
        if not isinstance(self.batch_size, str) or self.batch_size != "auto":
            check_integer("batch_size", self.batch_size, 1)
        if self._lbfgs and (self.dropout or self.batch_norm or self.callbacks):
            raise ValueError("solver: 'lbfgs' takes no dropout, batch_norm or callbacks; take 'adam'")
        sizes = self.hidden_layer_sizes
        return [check_integer("hidden_layer_sizes", s, 1) for s in (sizes if np.iterable(sizes) else [sizes])]

    @property
    def _lbfgs(self) -> bool:
        return isinstance(self.solver, str) and self.solver == "lbfgs"

    def _rows(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=not is_classifier(self),
            dtype=(np.float64, np.float32), reset=reset,
        )  # fmt: skip
        return X, dense_targets(y)

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation_data: Any = None, incremental: bool = False) -> Self:
        hidden = self._widths()
        if incremental and self.early_stopping:
            raise ValueError("early_stopping: partial_fit does not support early_stopping=True")
        keep = self.warm_start or incremental
        first = not hasattr(self, "coefs_") or not keep
        X, y = self._rows(X, y, first)
        targets, self.n_outputs_ = self._targets(y, keep)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            weights = by_class if weights is None else by_class * weights
        held = None
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise ValueError("validation_data: expected (X, y)")
            held_x, held_y = self._rows(validation_data[0], validation_data[1], False)
            held = held_x, self._targets(held_y, True)[0], None
        random = check_random_state(self.random_state)
        if self.n_ensemble > 1:
            return self._fit_members(X, y, weights, validation_data, incremental, first, random)
        self.__dict__.pop("members_", None)
        if first:
            self._initialize([X.shape[1], *hidden, self.n_outputs_], random, X.dtype)
        net = self._net()
        if not incremental or not (net.model.compiled or self._slots):
            self._slots = None
            self._compile(net)
        elif not net.model.compiled:
            self._compile(net)
            net.model.load_optimizer_state(self._slots)
        if self._lbfgs:
            self._fit_lbfgs(net, X, targets, weights)
        else:
            self._fit_batches(net, X, targets, weights, held, incremental, random)
        self.coefs_, self.intercepts_, self._norms = net.get(self.coefs_[0].dtype)
        if not all(np.isfinite(w).all() for w in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _compile(self, net: Net) -> None:
        _, loss, weight, _ = self._terms()
        net.model.compile(optimizer_of(self.solver, self), loss, loss_weights=[weight])

    def _initialize(self, widths: list[int], random: Any, dtype: Any) -> None:
        """First weights and the records of training, drawn in scikit-learn's order."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(widths)
        self.out_activation_ = self._terms()[0]
        self.coefs_, self.intercepts_ = [], []
        factor = 2.0 if self.activation == "logistic" else 6.0
        for fan_in, fan_out in pairwise(widths):
            bound = np.sqrt(factor / (fan_in + fan_out))
            self.coefs_.append(random.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
            self.intercepts_.append(random.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
        ones, zeros = np.ones, np.zeros
        hidden = widths[1:-1] if self.batch_norm else []
        self._norms = [[make(width, np.float32) for make in (ones, zeros, zeros, ones)] for width in hidden]
        if not self._lbfgs:
            self.loss_curve_ = []
            self._no_improvement_count = 0
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
            self.best_loss_ = None if self.early_stopping else np.inf

    def _net(self) -> Net:
        """The engine's network with the estimator's weights."""
        widths = (*(len(w) for w in self.coefs_), len(self.intercepts_[-1]))
        key = (widths, self.activation, self.out_activation_, self.dropout, bool(self._norms))
        net = self._live
        if net is None or net.key != key:
            net = self._live = Net(*key)
        net.put(self.coefs_, self.intercepts_, self._norms)
        return net

    def _split(self, X: Any, targets: Any, weights: Any, random: Any) -> tuple[Any, Any]:
        """((x, targets, weights) to train on, to validate on)."""
        stratify = targets.astype(bool) if is_classifier(self) and self.n_outputs_ == 1 else None
        parts = train_test_split(
            np.arange(X.shape[0]), random_state=random, test_size=self.validation_fraction, stratify=stratify
        )
        if len(parts[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        train, held = ((X[rows], targets[rows], None if weights is None else weights[rows]) for rows in parts)
        return train, held

    def _fit_batches(
        self, net: Net, X: Any, targets: Any, weights: Any, held: Any, incremental: bool, random: Any
    ) -> None:
        """Epochs until the loss, or the score on held out rows, stops improving."""
        if self.early_stopping and held is None:
            (X, targets, weights), held = self._split(X, targets, weights, random)
        n = X.shape[0]
        if self.batch_size == "auto":
            batch_size = min(200, n)
        else:
            batch_size = min(self.batch_size, n)
            if batch_size < self.batch_size:
                _tell("batch_size: larger than the number of rows, which is taken instead")
        net.data(X, targets, weights, self.alpha, batch_size)
        model, optimizer = net.model, net.model.optimizer
        assert optimizer is not None
        order = np.arange(n, dtype=np.uint32) if self.shuffle else None
        seed = int(random.randint(2**31 - 1)) if self.dropout else 0
        offset = self._offset(targets, weights)
        extra = self._terms()[3] - self._terms()[2]
        if held is not None and not self.early_stopping and self.validation_scores_ is None:
            self.validation_scores_ = []
        hooks: Any = None
        if self.callbacks:
            from ..callbacks import CallbackList

            params = {"verbose": 0, "epochs": self.max_iter, "steps": -(-n // batch_size)}
            hooks = CallbackList(self.callbacks, model, params)
            hooks.on_train_begin(None)
        best = model.get_weights() if self.early_stopping else None
        model.stop_training = False
        self.n_iter_ = 0
        try:
            while True:
                if order is not None:
                    random.shuffle(order)
                if hooks is not None:
                    hooks.on_epoch_begin(self.n_iter_, None)
                with model._weights_lock.training():
                    rows, total, data = net.epoch(order, seed, hooks)
                self.n_iter_ += 1
                self.t_ += n
                self.loss_ = float(total + extra * data) / rows + offset
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if held is not None:
                    score = self._validate(net, held)
                    if self.early_stopping:
                        worse = score < self.best_validation_score_ + self.tol
                        if score > self.best_validation_score_:
                            self.best_validation_score_, best = score, model.get_weights()
                if not self.early_stopping:
                    worse = self.loss_ > self.best_loss_ - self.tol
                    self.best_loss_ = self.loss_ if self.loss_ < self.best_loss_ else self.best_loss_
                self._no_improvement_count = self._no_improvement_count + 1 if worse else 0
                if hooks is not None:
                    logs = {"loss": self.loss_}
                    if held is not None:
                        logs.update(val_loss=net.loss(held, extra), val_score=score)
                    hooks.on_epoch_end(self.n_iter_ - 1, logs)
                if self.solver == "sgd" and self.learning_rate == "invscaling":
                    optimizer.learning_rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
                if self._no_improvement_count > self.n_iter_no_change and self._converged(optimizer):
                    break
                if incremental or model.stop_training:
                    break
                if self.n_iter_ == self.max_iter:
                    _tell(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                        "hasn't converged yet.",
                        ConvergenceWarning,
                    )
                    break
        except KeyboardInterrupt:
            warn("Training interrupted by user.")
        if best is not None:
            model.set_weights(best)
        optimizer.finalize_variable_values(model.trainable_weights)
        if hooks is not None:
            hooks.on_train_end(None)

    def _validate(self, net: Net, held: Any) -> float:
        x, y, weights = held
        raw = net.predict(x)
        score = self._judge(y, raw, weights) if np.isfinite(raw).all() else float("nan")
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        return score

    def _converged(self, optimizer: Any) -> bool:
        """Whether to stop where nothing has improved for long; an 'adaptive' rate goes down first."""
        what = "Validation score" if self.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        adaptive = self.solver == "sgd" and self.learning_rate == "adaptive"
        stop = not adaptive or float(optimizer.learning_rate) <= 1e-6
        if not stop:
            optimizer.learning_rate = float(optimizer.learning_rate) / 5
            self._no_improvement_count = 0
        if self.verbose:
            rate = f" Setting learning rate to {float(optimizer.learning_rate):f}"
            small = " Learning rate too small." if adaptive else ""
            print(message + (f"{small} Stopping." if stop else rate))
        return stop

    def _fit_lbfgs(self, net: Net, X: Any, targets: Any, weights: Any) -> None:
        """All rows at once through SciPy's L-BFGS-B; ends where float32 gradients find no lower loss."""
        from scipy.optimize import minimize

        if hasattr(X, "tocsr"):
            X = X.toarray()
        net.data(X, targets, weights, self.alpha, X.shape[0])
        start = np.concatenate([w.numpy().ravel() for w in net.model.trainable_weights]).astype(np.float64)
        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        found = minimize(net.gradient, start, method="L-BFGS-B", jac=True, options=options)
        sums = net.gradient(found.x, shown=True)
        weight, shown = self._terms()[2:]
        self.n_iter_ = min(int(found.nit), self.max_iter)
        self.loss_ = float(sums[1] + (shown - weight) * sums[2]) / sums[0] + self._offset(targets, weights)
        if found.status == 1:
            _tell(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s): {found.message}. Increase max_iter or "
                "max_fun, or scale the data.",
                ConvergenceWarning,
            )
        if self.verbose:
            print(f"{self.n_iter_} iterations, {found.nfev} evaluations, loss = {self.loss_:.8f}")

    # --- ensembles ----------------------------------------------------------------------------------------------

    def _fit_members(
        self, X: Any, y: Any, weights: Any, validation: Any, incremental: bool, first: bool, random: Any
    ) -> Self:
        """`n_ensemble` networks that differ by their seeds, one on each core; what they give is averaged."""
        members = self.members_
        if first or members is None:
            members = []
            for seed in random.randint(2**31 - 1, size=self.n_ensemble).tolist():
                members.append(clone(self).set_params(n_ensemble=1, random_state=seed, verbose=False))
                if is_classifier(self):
                    members[-1].class_weight = None  # in the weights already
                    members[-1].classes_, members[-1]._multilabel = self.classes_, self._multilabel
        workers = min(len(members), _engine.get_num_threads())
        told: dict[tuple[str, type[Warning]], None] = {}

        def begin() -> None:
            _engine.limit_threads(1)
            _member.told = told

        with ThreadPoolExecutor(workers, initializer=begin) as pool:
            try:
                list(pool.map(lambda member: member._fit(X, y, weights, validation, incremental), members))
            except BaseException:  # one has failed, or Ctrl-C: the others end with their epoch
                pool.shutdown(wait=False, cancel_futures=True)
                for member in members:
                    if member._live is not None:
                        member._live.model.stop_training = True
                raise
        for warning in told:
            warn(*warning)
        self.members_ = members
        shared = ("feature_names_in_", "n_features_in_", "classes_", "members_")
        self.__dict__.update({k: v for k, v in vars(members[0]).items() if k.endswith("_") and k not in shared})
        self._norms = members[0]._norms
        return self

    # --- predict ------------------------------------------------------------------------------------------------

    def _raw(self, X: Any) -> Any:
        """The output of the network for each row, (n, outputs), in the type of the training data; of members a list."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        found = [member._net().predict(X).astype(self.coefs_[0].dtype) for member in self.members_ or [self]]
        return found if self.members_ else found[0]

    def _mean(self, X: Any) -> Any:
        raw = self._raw(X)
        return np.mean(raw, axis=0) if self.members_ else raw

    # --- state --------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        net = state.pop("_live", None)
        if net is not None and net.model.compiled and not self._lbfgs:
            state["_slots"] = net.model.optimizer_state()
        return state

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(checked(type(self), state))
