"""A network in place of a slow simulator: the price of an American put option, by a binomial tree.

    pip install "lanewise[examples]"
    python examples/surrogate.py             # under a minute

An option that may be exercised early has no closed formula: its price comes from a tree of some hundred time steps.
A network learns the prices of 40,000 random options and then answers in one pass. Shown at the end: its error on
options it never saw, and the time for 4,096 of them beside the same tree written with whole NumPy arrays.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import lanewise as lw
from _report import pyplot, rmse, save_picture
from lanewise import keras

# Ranges of the four inputs: spot / strike, interest rate, volatility (both a year), years to maturity.
LOW = np.array([0.6, 0.00, 0.10, 0.10])
HIGH = np.array([1.4, 0.08, 0.60, 2.00])
TRAIN, TEST = 40000, 4096
PRICE_SCALE = 0.15  # about the standard deviation of the prices: targets of order one
EPOCHS = 400
LEARNING_RATE = 0.005


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


def inputs(options: np.ndarray) -> np.ndarray:
    """(n, 4) float32: log spot, its spread until maturity, total interest, and log spot counted in spreads."""
    spot, rate, volatility, years = options.T
    spread = volatility * np.sqrt(years)
    return np.column_stack([np.log(spot), spread, rate * years, np.log(spot) / spread]).astype(np.float32)


def train(x: np.ndarray, prices: np.ndarray, epochs: int) -> keras.Sequential:
    """A 4-64-64-64-1 network for prices / PRICE_SCALE; a Normalization layer scales its inputs."""

    class StraightLine(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.optimizer.learning_rate = LEARNING_RATE * (1 - epoch / epochs)

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if (epoch + 1) % 50 == 0 and logs is not None:
                error = PRICE_SCALE * np.sqrt(logs["loss"])
                print(f"  epoch {epoch + 1:3}: RMSE {error:.1e} of the strike", flush=True)

    keras.utils.set_random_seed(0)
    scale = keras.layers.Normalization(input_shape=(4,))
    scale.adapt(x)
    model = keras.Sequential([scale])
    for _ in range(3):
        model.add(keras.layers.Dense(64, activation="tanh"))
    model.add(keras.layers.Dense(1))
    model.compile(optimizer="adam", loss="mse")
    y = (prices / PRICE_SCALE).astype(np.float32)
    model.fit(x, y, epochs=epochs, batch_size=128, verbose=0, callbacks=[StraightLine()])
    return model


def predict(model: keras.Sequential, options: np.ndarray) -> np.ndarray:
    """(n,) prices in units of the strike, of (n, 4) options, by the network."""
    return PRICE_SCALE * model.predict(inputs(options), batch_size=len(options), verbose=0)[:, 0]


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall time of a call, after one that warms it up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def draw(model: keras.Sequential, error: np.ndarray) -> None:
    """Left: prices over the spot, tree and network. Right: how large the network's errors are."""
    plt = pyplot()
    if plt is None:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    spots = np.linspace(LOW[0], HIGH[0], 41)
    for row, volatility in enumerate((0.15, 0.3, 0.5)):
        options = np.column_stack([spots, np.full(41, 0.05), np.full(41, volatility), np.ones(41)])
        left.plot(spots, simulate(options), color=f"C{row}", label=f"tree, volatility {volatility}")
        left.plot(spots, predict(model, options), "o", color=f"C{row}", markersize=3)
    left.plot(spots, np.maximum(1 - spots, 0), "--", color="0.6", linewidth=1, label="exercised at once")
    left.set(xlabel="spot / strike", ylabel="price / strike", title="one-year put, rate 5 %; dots: the network")
    left.legend()
    right.hist(1e4 * error, bins=80)
    right.set(xlabel="network − tree, 1/10,000 of the strike", ylabel="options")
    right.set_title(f"{TEST:,} options it never saw")
    figure.tight_layout()
    save_picture(figure, "surrogate.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of training; {EPOCHS}")
    epochs = parser.parse_args().epochs
    options = np.random.default_rng(0).uniform(LOW, HIGH, size=(TRAIN + TEST, 4))
    start = time.perf_counter()
    prices = simulate(options)
    print(f"simulated {len(options):,} options in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    model = train(inputs(options[:TRAIN]), prices[:TRAIN], epochs)
    print(f"trained in {time.perf_counter() - start:.1f} s")

    test, truth = options[TRAIN:], prices[TRAIN:]
    error = predict(model, test) - truth
    finer = simulate(test[:512], steps=1000) - truth[:512]
    print(f"{TEST:,} options not trained on, in units of the strike: RMSE {rmse(error):.1e}, largest error "
          f"{np.abs(error).max():.1e}\n(mean price {truth.mean():.3f}; a tree of 1,000 steps differs by "
          f"{rmse(finer):.1e} from the tree that taught the network)")  # fmt: skip
    tree = seconds(lambda: simulate(test), 3)
    network = seconds(lambda: predict(model, test), 30)
    print(f"time for these {TEST:,} options: tree {tree * 1e3:.0f} ms (NumPy, float64, one thread), network "
          f"{network * 1e3:.2f} ms (float32, at most {lw.get_num_threads()} threads, {lw.active_isa()}): "
          f"{tree / network:.0f} times faster")  # fmt: skip
    draw(model, error)


if __name__ == "__main__":
    main()
