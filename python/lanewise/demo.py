"""`python -m lanewise demo`: a small network learns a simulator, with the same bits on every CPU with FMA.

The simulator is Van der Pol's oscillator, x'' = mu (1 - x**2) x' - x: from (x, x', mu) to (x, x') one unit of time
later, by the classical Runge-Kutta method. It needs only +, -, *, / of float64, which IEEE 754 rounds alike everywhere,
and lanewise's own random numbers; so data, training and predictions are the same to the bit.
"""

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPECTED = "6edcb92de149c550 b95b7e5f681801d1"
"""What `lanewise.fingerprint(model, predictions)` gives wherever the numeric contract holds."""

_SEED = 20
_TRAIN, _TEST, _BATCH = 8192, 2048, 64
_STEPS = 100  # of Runge-Kutta in one unit of time
_STAGES = ((1e-2, 60), (3e-3, 60), (1e-3, 60), (1e-4, 20))  # (learning rate, epochs)

Float64 = NDArray[np.float64]


def simulate(start: Float64) -> Float64:
    """(x, v) after one unit of time for rows (x, v, mu): RK4 in `_STEPS` steps, float64, elementwise."""
    x, v, mu = start.T
    h = 1.0 / _STEPS

    def slope(x: Float64, v: Float64) -> tuple[Float64, Float64]:
        return v, mu * (1.0 - x * x) * v - x

    for _ in range(_STEPS):
        x1, v1 = slope(x, v)
        x2, v2 = slope(x + 0.5 * h * x1, v + 0.5 * h * v1)
        x3, v3 = slope(x + 0.5 * h * x2, v + 0.5 * h * v2)
        x4, v4 = slope(x + h * x3, v + h * v3)
        x = x + h * (x1 + 2.0 * x2 + 2.0 * x3 + x4) / 6.0
        v = v + h * (v1 + 2.0 * v2 + 2.0 * v3 + v4) / 6.0
    return np.stack([x, v], axis=1)


def make_data() -> tuple[Float64, Float64]:
    """(inputs in [-1, 1): x/2, v/2 and 2 mu - 1; targets: x/2, v/2 one unit of time later)."""
    from . import ops

    u = ops.random_uniform(_SEED, 0, 0, 0, 3 * (_TRAIN + _TEST)).reshape(-1, 3)
    inputs = 2.0 * u - 1.0
    return inputs, 0.5 * simulate(inputs * np.array([2.0, 2.0, 0.5]) + np.array([0.0, 0.0, 0.5]))


def make_model() -> Any:
    """The network, its weights following from the seed."""
    from . import Sequential, layers, random

    random.set_seed(_SEED)
    model = Sequential(
        [layers.Dense(64, "tanh", input_shape=(3,)), layers.Dense(64, "tanh"), layers.Dense(2)], name="demo"
    )
    model.compile("adam", "mse")
    return model


def train(model: Any, x: Any, y: Any) -> float:
    """Fit in stages of falling learning rate; returns seconds a step."""
    begun = perf_counter()
    for rate, epochs in _STAGES:
        model.optimizer.learning_rate = rate
        model.fit(x, y, batch_size=_BATCH, epochs=epochs, verbose=0)
    return (perf_counter() - begun) / (sum(epochs for _, epochs in _STAGES) * (len(x) // _BATCH))


def run() -> bool:
    """Train, print about ten lines; returns whether the fingerprint is the expected one."""
    from . import fingerprint, ops
    from ._engine import fma_peak

    info = ops.build_info()
    inputs, targets = make_data()
    x, y = inputs.astype(np.float32), targets.astype(np.float32)
    model = make_model()
    seconds = train(model, x[:_TRAIN], y[:_TRAIN])
    predictions = model.predict(x[_TRAIN:], verbose=0)
    errors = predictions - targets[_TRAIN:]
    rmse = float(np.sqrt(np.mean(errors * errors)))
    spread = float(np.std(targets[_TRAIN:]))
    peak = fma_peak(info["threads"])
    used = step_flops(model) / seconds
    simulator = _best_of(3, lambda: simulate(inputs[_TRAIN:]))
    network = _best_of(20, lambda: model.predict(x[_TRAIN:], verbose=0))
    found = fingerprint(model, predictions)

    print(f"CPU          {info['cpu']}")
    print(f"ISA          {info['isa']} (available: {', '.join(info['isas_available'])})")
    print(f"threads      {info['threads']} ({info['thread_runtime']})")
    print(f"task         Van der Pol's oscillator one unit of time ahead; {_TRAIN} runs to learn, {_TEST} held out")
    print(f"network      3-64-64-2, tanh, {model.count_params()} parameters, Adam, batches of {_BATCH}")
    print(f"training     {seconds * 1e6:.1f} us a step: {used / 1e9:.1f} GFLOP/s, {used / peak:.0%} of the FMA peak "
          f"({peak / 1e9:.0f} on {info['threads']} {'thread' if info['threads'] == 1 else 'threads'})")  # fmt: skip
    print(f"error        {rmse:.2e} (root mean square, held out; spread of the targets {spread:.2f})")
    print(f"speed        {_TEST} predictions in {network * 1e3:.2f} ms; the simulator (NumPy) takes "
          f"{simulator * 1e3:.2f} ms, {simulator / network:.1f} times as long")  # fmt: skip
    if found == EXPECTED:
        print("result       same bits as everywhere: weights and predictions match")
    else:
        why = " (without FMA the bits are not promised)" if info["isa"] == "generic" else ""
        print(f"result       DIFFERENT BITS{why}: expected {EXPECTED}")
    print(f"fingerprint {found}")
    return found == EXPECTED


def step_flops(model: Any) -> int:
    """Floating-point operations of the matrix products of one training step: forward, dW, and dX but the first."""
    kernels: list[int] = [weight.size for weight in model.weights if weight.name == "kernel"]
    return 2 * _BATCH * (3 * sum(kernels) - kernels[0])


def _best_of(times: int, function: Any) -> float:
    """Seconds of the fastest of several calls."""
    best = float("inf")
    for _ in range(times):
        begun = perf_counter()
        function()
        best = min(best, perf_counter() - begun)
    return best
