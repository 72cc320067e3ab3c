"""The losses beside the plain ones of `equations.py`, in the form in which their kernels compute, on `Rounded` numbers.

Each gives the value of each row; gradients are held to differences of these values in float64 (`plain`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bounds import U, floats
from equations import exponentials, per_row, sigmoid, smooth
from reference import TINY, Float32, Float64, Rounded

EPSILON = float(np.float32(1e-7))
Params = Sequence[float]
Equation = Callable[[Float32, Float32, Params], Rounded]


def at_least(x: Float32, low: float = EPSILON) -> Rounded:
    return Rounded(np.maximum(x, low))


def clip(x: Rounded, low: float, high: float) -> Rounded:
    return Rounded(np.clip(x.value, low, high), x.error)


def where(mask: np.ndarray, a: Rounded, b: Rounded) -> Rounded:
    return Rounded(np.where(mask, a.value, b.value), np.where(mask, a.error, b.error))


def log1p(x: Rounded) -> Rounded:
    """The logarithm 2 ULP, its correction and their sum one more each."""
    return x.function(np.log1p, ulps=4)


def power(x: Rounded, g: float) -> Rounded:
    """exp(g * log(x)), g >= 0: the bounds of x raised to g; a logarithm within 2 ULP (4 u), a rounded g, a product, and
    the exponential of that within 2 ULP."""
    least, most = (np.maximum(x.value + side, 2.0**-126) for side in (-x.error, x.error))
    value = np.maximum(x.value, 2.0**-126) ** g
    own = np.expm1((g * np.abs(np.log(least)) + g * np.abs(np.log(most))) * 6 * U + 4 * U)
    return Rounded(value, np.maximum(most**g - value, value - least**g) + most**g * own + TINY)


def mape(t: Float32, p: Float32, _: Params) -> Rounded:
    return per_row(abs(Rounded(p) - t) / at_least(np.abs(t)) * 100.0)


def msle(t: Float32, p: Float32, _: Params) -> Rounded:
    d = log1p(at_least(p)) - log1p(at_least(t))
    return per_row(d * d)


def log_cosh(t: Float32, p: Float32, _: Params) -> Rounded:
    e = Rounded(p) - t
    h = e.function(np.tanh)
    far = abs(e) + (log1p((-2.0 * abs(e)).function(np.exp)) - Rounded.constant(np.log(2)))
    inside = np.abs(e.value) < 1
    square = Rounded(np.where(inside, h.value, 0.5), h.error) * Rounded(np.where(inside, h.value, 0.5), h.error)
    near = 0.5 * log1p(square / (1.0 - square))
    return per_row(where(inside, near, far))


def poisson(t: Float32, p: Float32, _: Params) -> Rounded:
    return per_row(Rounded(p) - Rounded(t) * (Rounded(p) + EPSILON).function(np.log))


def quantile(t: Float32, p: Float32, params: Params) -> Rounded:
    q, e = Rounded.constant(params[0]), Rounded(t) - p
    return per_row(where(e.value > 0, q * e, (q - 1.0) * e))


def _log_mean(p: Float32, log_input: float) -> Rounded:
    return Rounded(p) if log_input else at_least(p).function(np.log)


def tweedie(t: Float32, p: Float32, params: Params) -> Rounded:
    log, below = _log_mean(p, params[1]), 1.0 - Rounded.constant(params[0])
    above = below + 1.0
    return per_row((above * log).function(np.exp) / above - Rounded(t) * (below * log).function(np.exp) / below)


def gamma(t: Float32, p: Float32, params: Params) -> Rounded:
    ratio = Rounded(t) * Rounded(-p).function(np.exp) if params[0] else Rounded(t) / at_least(p)
    return per_row(ratio + _log_mean(p, params[0]))


def gaussian_nll(t: Float32, p: Float32, _: Params) -> Rounded:
    d = t.shape[-1]
    e, v = Rounded(p[:, :d]) - t, Rounded(np.maximum(p[:, d:], np.float32(np.log(1e-6))))
    return per_row(0.5 * (e * e * (-v).function(np.exp) + v))


def kl_divergence(t: Float32, p: Float32, _: Params) -> Rounded:
    y, q = np.clip(t, np.float32(EPSILON), 1), np.clip(p, np.float32(EPSILON), 1)
    elements = Rounded(y) * (Rounded(y) / q).function(np.log)
    return per_row(elements) if t.shape[-1] == 1 else elements.sum()


def _length(x: Float32) -> Rounded:
    n = (Rounded(x) * x).sum().sqrt()
    return where(n.value < EPSILON, Rounded(EPSILON), n)


def cosine_similarity(t: Float32, p: Float32, _: Params) -> Rounded:
    return -((Rounded(p) * t).sum() / _length(t) / _length(p))


def categorical_hinge(t: Float32, p: Float32, _: Params) -> Rounded:
    others = (1.0 - Rounded(t)) * p
    top = Rounded(others.value.max(axis=-1), others.error.max(axis=-1))
    gap = top - (Rounded(p) * t).sum() + 1.0
    return Rounded(np.maximum(gap.value, 0), gap.error)


def _margin(t: Float32, p: Float32) -> Rounded:
    m = 1.0 - Rounded(np.where(t == 0, -1.0, t)) * p
    return Rounded(np.maximum(m.value, 0), m.error)


def hinge(t: Float32, p: Float32, _: Params) -> Rounded:
    return per_row(_margin(t, p))


def squared_hinge(t: Float32, p: Float32, _: Params) -> Rounded:
    m = _margin(t, p)
    return per_row(m * m)


def _binary_focal(y: Rounded, yes: Rounded, no: Rounded, crossentropy: Rounded, params: Params) -> Rounded:
    weight = y * Rounded.constant(params[2]) + (1.0 - y) * Rounded.constant(params[3])
    wrong = y * no + (1.0 - y) * yes
    return per_row(weight * power(wrong, params[1]) * crossentropy)


def binary_focal_crossentropy(t: Float32, x: Float32, params: Params) -> Rounded:
    y, z = smooth(t, params[0], 2), Rounded(x)
    tail = log1p((-abs(z)).function(np.exp))
    loss = Rounded(np.maximum(x, 0)) - z * y + tail
    return _binary_focal(y, z.function(sigmoid), (-z).function(sigmoid), loss, params)


def binary_focal_crossentropy_probs(t: Float32, p: Float32, params: Params) -> Rounded:
    y = smooth(t, params[0], 2)
    q = clip(Rounded(p), EPSILON, float(np.float32(1) - np.float32(1e-7)))
    loss = -(y * q.function(np.log) + (1.0 - y) * (1.0 - q).function(np.log))
    return _binary_focal(y, Rounded(p), 1.0 - Rounded(p), loss, params)


def _focus(t: Float32, params: Params, q: Rounded, log_q: Rounded) -> Rounded:
    alpha = Rounded.constant(params[3]) if params[2] == 1 else Rounded(np.asarray(params[3:], np.float32))
    weight = alpha * smooth(t, params[0], t.shape[-1])
    return -(weight * power(1.0 - q, params[1]) * log_q).sum()


def categorical_focal_crossentropy(t: Float32, x: Float32, params: Params) -> Rounded:
    log_q = (Rounded(x) - x.max(axis=-1, keepdims=True)) - exponentials(x).sum().function(np.log).column()
    return _focus(t, params, log_q.function(np.exp), log_q)


def categorical_focal_crossentropy_probs(t: Float32, p: Float32, params: Params) -> Rounded:
    q = clip(Rounded(p) / Rounded(p).sum().column(), EPSILON, float(np.float32(1) - np.float32(1e-7)))
    return _focus(t, params, q, q.function(np.log))


EQUATIONS: dict[str, Equation] = {
    f.__name__: f
    for f in (
        mape, msle, log_cosh, poisson, quantile, tweedie, gamma, gaussian_nll, kl_divergence, cosine_similarity,
        categorical_hinge, hinge, squared_hinge, binary_focal_crossentropy, binary_focal_crossentropy_probs,
        categorical_focal_crossentropy, categorical_focal_crossentropy_probs,
    )
}  # fmt: skip


# Parameters that a loss is checked with, and targets and predictions of the kind that it is for.
FOCAL = [(0.0, 2.0, 1.0, 1.0), (0.1, 1.5, 0.25, 0.75), (0.0, 0.0, 1.0, 1.0)]
CLASS_FOCAL = [(0.0, 2.0, 1.0, 0.25), (0.2, 0.5, 1.0, 1.0)]
PARAMS: dict[str, list[tuple[float, ...]]] = {
    "quantile": [(0.1,), (0.5,), (0.9,)],
    "tweedie": [(1.5, 0.0), (1.1, 1.0), (1.9, 0.0)],
    "gamma": [(0.0,), (1.0,)],
    "binary_focal_crossentropy": FOCAL,
    "binary_focal_crossentropy_probs": FOCAL,
    "categorical_focal_crossentropy": CLASS_FOCAL,
    "categorical_focal_crossentropy_probs": CLASS_FOCAL,
}
CASES = [(name, params) for name in EQUATIONS for params in PARAMS.get(name, [(0.0,)])]


def data(name: str, params: tuple[float, ...], rows: int, cols: int) -> tuple[Float32, Float32]:
    """Targets and predictions of the kind that a loss is for."""
    rng = np.random.default_rng(rows * 1000 + cols)
    uniform = lambda low, high: rng.uniform(low, high, (rows, cols)).astype(np.float32)  # noqa: E731
    if name == "gaussian_nll":
        return floats(rng, rows, cols), np.concatenate([floats(rng, rows, cols), 2 * floats(rng, rows, cols)], axis=1)
    if name in ("hinge", "squared_hinge"):
        return rng.integers(0, 2, (rows, cols)).astype(np.float32), floats(rng, rows, cols) * 2
    if name in ("tweedie", "gamma"):
        t = uniform(0.1, 5) * (rng.random((rows, cols)) > (0.3 if name == "tweedie" else 0)).astype(np.float32)
        return t, floats(rng, rows, cols) if params[-1] else uniform(0.1, 4)
    if name == "categorical_hinge":
        return np.eye(cols, dtype=np.float32)[rng.integers(0, cols, rows)], floats(rng, rows, cols)
    if name in ("msle", "mape"):
        return uniform(0.2, 3), uniform(0.1, 5)
    if name in ("poisson", "kl_divergence") or name.endswith("_probs"):
        return uniform(0.01, 1), uniform(0.05, 0.95)
    if "focal" in name:
        return uniform(0, 1), floats(rng, rows, cols) * 3
    return floats(rng, rows, cols), floats(rng, rows, cols) * 2


def differences(name: str, t: Float32, p: Float32, params: Params, step: float = 1e-6) -> Float64:
    """Central differences of the mean over rows with respect to each element of p, in float64."""
    f, x = EQUATIONS[name], p.astype(np.float64)
    out = np.empty_like(x)
    for c in range(x.shape[1]):  # a row depends on itself alone: all rows at once
        sides = []
        for side in (step, -step):
            moved = x.copy()
            moved[:, c] += side
            sides.append(f(t.astype(np.float64), moved, params).value)  # type: ignore[arg-type]
        out[:, c] = (sides[0] - sides[1]) / (2 * step)
    return out / len(x)
