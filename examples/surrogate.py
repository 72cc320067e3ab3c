"""A network in place of a slow simulator: the price of an American put option, by a binomial tree.

    pip install "lanewise[examples]"
    python examples/surrogate.py             # under a minute

An option that may be exercised early has no closed formula: its price comes from a tree of some hundred time steps.
A network learns the prices of 24,000 random options and then answers in one pass. Shown at the end: its error on
options it never saw, and the time for 4,096 of them beside the same tree written with whole NumPy arrays.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import lanewise as lw
import numpy as np
from _report import pyplot, save_picture
from lanewise import keras

# Ranges of the four inputs: spot / strike, interest rate, volatility (both a year), years to maturity.
LOW = np.array([0.6, 0.00, 0.10, 0.10])
HIGH = np.array([1.4, 0.08, 0.60, 2.00])
EPOCHS = 150
LEARNING_RATE = 0.002


def tree_price(options: np.ndarray, steps: int) -> np.ndarray:
    """(n,) prices in units of the strike, of (n, 4) options: the binomial tree of Cox, Ross and Rubinstein (1979)."""
    spot, rate, volatility, years = options.T
    dt = years / steps
    up = np.exp(volatility * np.sqrt(dt))
    discount = np.exp(-rate * dt)
    p = (np.exp(rate * dt) - 1 / up) / (up - 1 / up)  # risk-neutral probability of a step up
    moves = np.arange(-steps, steps + 1)[:, None]
    gain = np.maximum(1 - spot * up**moves, 0)  # (2 steps + 1, n): what exercise pays at each level of the price
    value = gain[::2].copy()  # (steps + 1, n): at maturity
    for left in range(steps - 1, -1, -1):
        level = gain[steps - left : steps + left + 1 : 2]  # (left + 1, n)
        held = discount * (p * value[1 : left + 2] + (1 - p) * value[: left + 1])
        np.maximum(held, level, out=value[: left + 1])
    return value[0]


def simulate(options: np.ndarray, steps: int = 200, chunk: int = 256) -> np.ndarray:
    """(n,) float64 prices. The mean of trees of `steps` and `steps` + 1 evens out their zigzag."""
    parts = [options[start : start + chunk] for start in range(0, len(options), chunk)]
    return np.concatenate([(tree_price(part, steps) + tree_price(part, steps + 1)) / 2 for part in parts])


def train(options: np.ndarray, prices: np.ndarray) -> keras.Sequential:
    """A 4-128-128-1 network with tanh, its inputs scaled by a Normalization layer."""

    class StraightLine(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.optimizer.learning_rate = LEARNING_RATE * (1 - epoch / EPOCHS)

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if (epoch + 1) % 30 == 0 and logs is not None:
                print(f"  epoch {epoch + 1:3}: RMSE {np.sqrt(logs['loss']):.6f} of the strike", flush=True)

    keras.utils.set_random_seed(0)
    scale = keras.layers.Normalization(input_shape=(4,))
    scale.adapt(options)
    model = keras.Sequential(
        [
            scale,
            keras.layers.Dense(128, activation="tanh"),
            keras.layers.Dense(128, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    model.fit(options, prices, epochs=EPOCHS, batch_size=64, verbose=0, callbacks=[StraightLine()])
    return model


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall time of a call, after one that warms it up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def draw(model: keras.Sequential, test: np.ndarray, error: np.ndarray) -> None:
    """Left: prices over the spot, tree and network. Right: how large the network's errors are."""
    plt = pyplot()
    if plt is None:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    spots = np.linspace(LOW[0], HIGH[0], 41)
    for row, volatility in enumerate((0.15, 0.3, 0.5)):
        options = np.column_stack([spots, np.full(41, 0.05), np.full(41, volatility), np.ones(41)])
        left.plot(spots, simulate(options), color=f"C{row}", label=f"tree, volatility {volatility}")
        left.plot(spots, model.predict(options.astype(np.float32), verbose=0), "o", color=f"C{row}", markersize=3)
    left.plot(spots, np.maximum(1 - spots, 0), "--", color="0.6", linewidth=1, label="exercised at once")
    left.set(xlabel="spot / strike", ylabel="price / strike", title="one-year put, rate 5 %; dots: the network")
    left.legend()
    right.hist(1e4 * error, bins=80)
    right.set(xlabel="network − tree, 1/10,000 of the strike", ylabel="options")
    right.set_title(f"{len(test):,} options it never saw")
    figure.tight_layout()
    save_picture(figure, "surrogate.png")


def main() -> None:
    random = np.random.default_rng(0)
    options = random.uniform(LOW, HIGH, size=(24000 + 4096, 4))
    start = time.perf_counter()
    prices = simulate(options)
    print(f"simulated {len(options):,} options in {time.perf_counter() - start:.1f} s")
    learn, test = options[:24000].astype(np.float32), options[24000:].astype(np.float32)
    start = time.perf_counter()
    model = train(learn, prices[:24000].astype(np.float32))
    print(f"trained in {time.perf_counter() - start:.1f} s")

    error = model.predict(test, verbose=0)[:, 0] - prices[24000:]
    print(f"on {len(test):,} options not trained on, in units of the strike: RMSE {np.sqrt(np.mean(error**2)):.1e}, "
          f"largest error {np.abs(error).max():.1e} (prices: mean {prices.mean():.3f})")  # fmt: skip
    tree = seconds(lambda: simulate(options[24000:]), 3)
    network = seconds(lambda: model.predict(test, batch_size=len(test), verbose=0), 30)
    print(f"time for these {len(test):,} options: NumPy tree {tree * 1e3:.0f} ms, network {network * 1e3:.2f} ms: "
          f"{tree / network:.0f} times faster ({lw.get_num_threads()} threads, {lw.active_isa()})")  # fmt: skip
    draw(model, test, error)


if __name__ == "__main__":
    main()
