"""A numeric check of gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..custom.tape import plain, value_and_gradients


def check_gradients(
    function: Callable[..., Any], *arrays: Any, gradients: Any = None, step: float = 1e-6, tolerance: float = 1e-5
) -> list[NDArray[np.float64]]:
    """Compare the gradient of a function of arrays with differences of its values, everything in float64.

    The gradient is that of the sum of the function's elements. Differences are central ones, |f(x + h) - f(x - h)|/2h
    with h = step*max(1, |x|), an element of the arrays at a time.

    Args:
        function: of arrays, written with NumPy functions, operators or `lanewise.keras.ops`.
        arrays: where to check, real numbers.
        gradients: what to check instead of what the tape finds: one array for each of `arrays`.
        step: relative size of a step; 1e-2 where the function asks losses of the package, which give float32.
        tolerance: largest |difference| allowed, relative to max(1, |gradient|); 2e-2 there.

    Returns:
        The numeric gradients, one for each array.

    Raises:
        ValueError: a gradient is further off; the message says where and by how much.
    """
    points = [np.array(array, np.float64) for array in arrays]
    found = value_and_gradients(function, *points)[1] if gradients is None else [np.asarray(g) for g in gradients]
    numeric = []
    for number, (point, gradient) in enumerate(zip(points, found, strict=True)):
        if gradient.shape != point.shape:
            raise ValueError(
                f"gradients: expected shape {point.shape} for argument {number}, received {gradient.shape}"
            )
        slopes = np.empty_like(point)
        for place in np.ndindex(point.shape):
            x = point[place]
            h = step * max(1.0, abs(float(x)))
            values = []
            for moved in (x + h, x - h):
                point[place] = moved
                values.append(float(np.sum(np.asarray(plain(function(*points)), np.float64))))
            point[place] = x
            slopes[place] = (values[0] - values[1]) / (2 * h)
            off = abs(float(gradient[place]) - slopes[place])
            if not off <= tolerance * max(1.0, abs(float(slopes[place]))):
                raise ValueError(
                    f"argument {number} at {place}: the gradient is {float(gradient[place]):.8g}, differences of the "
                    f"function's values say {slopes[place]:.8g}"
                )
        numeric.append(slopes)
    return numeric
