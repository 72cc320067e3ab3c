"""The optimizers' equations in float64 NumPy, in place, for reading: name -> (equation, hyper-parameters, slots)."""

import numpy as np


def amsgrad(w, g, slots, t, learning_rate, beta_1, beta_2, epsilon=1e-7):
    m, v, largest = slots
    m += (g - m) * (1 - beta_1)
    v += (g * g - v) * (1 - beta_2)
    largest[...] = np.maximum(largest, v)
    w -= learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(largest) + epsilon)


def adamax(w, g, slots, t, learning_rate, beta_1, beta_2, epsilon=1e-7):
    m, u = slots
    m += (g - m) * (1 - beta_1)
    u[...] = np.maximum(beta_2 * u, np.abs(g))
    w -= learning_rate / (1 - beta_1**t) * m / (u + epsilon)


def nadam(w, g, slots, t, learning_rate, beta_1, beta_2, epsilon=1e-7):
    m, v = slots
    u = [beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    m += (g - m) * (1 - beta_1)
    v += (g * g - v) * (1 - beta_2)
    ahead = u[-1] * m / (1 - np.prod(u)) + (1 - u[-2]) * g / (1 - np.prod(u[:-1]))
    w -= learning_rate * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def adagrad(w, g, slots, t, learning_rate, epsilon=1e-7):
    slots[0] += g * g
    w -= learning_rate * g / np.sqrt(slots[0] + epsilon)


def adadelta(w, g, slots, t, learning_rate, rho, epsilon):
    v, u = slots
    v[...] = rho * v + (1 - rho) * g * g
    d = np.sqrt(u + epsilon) * g / np.sqrt(v + epsilon)
    u[...] = rho * u + (1 - rho) * d * d
    w -= learning_rate * d


def ftrl(w, g, slots, t, learning_rate, power, l1, l2, shrinkage, beta):
    s, z = slots
    after = s + g * g
    z += g + 2 * shrinkage * w - (after**power - s**power) / learning_rate * w
    w[...] = (np.clip(z, -l1, l1) - z) / (after**power / learning_rate + 2 * l2 + beta / learning_rate)
    s[...] = after


def lion(w, g, slots, t, learning_rate, beta_1, beta_2):
    m = slots[0]
    w -= learning_rate * np.sign(beta_1 * m + (1 - beta_1) * g)
    m[...] = beta_2 * m + (1 - beta_2) * g


ADAM = {"learning_rate": 0.0625, "beta_1": 0.75, "beta_2": 0.875}
EQUATIONS = {
    "amsgrad": (amsgrad, ADAM, ["m", "v", "v_max"]),
    "adamax": (adamax, ADAM, ["m", "u"]),
    "nadam": (nadam, ADAM, ["m", "v"]),
    "adagrad": (adagrad, {"learning_rate": 0.0625}, ["accumulator"]),
    "adadelta": (
        adadelta,
        {"learning_rate": 0.5, "rho": 0.75, "epsilon": 2.0**-10},
        ["accumulated_gradient", "accumulated_step"],
    ),
    "ftrl": (
        ftrl,
        {"learning_rate": 0.25, "power": 0.5, "l1": 0.125, "l2": 0.25, "shrinkage": 0.0625, "beta": 0.5},
        ["accumulator", "linear"],
    ),
    "lion": (lion, {"learning_rate": 0.0625, "beta_1": 0.75, "beta_2": 0.875}, ["m"]),
}
