"""Metrics that a person wrote in Python as a function of (y_true, y_pred)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..losses.own import OwnRows, function_name
from .base import Metric


class OwnMetric(OwnRows, Metric):
    """The mean over the rows of a function of (y_true, y_pred), float32 arrays of the batch.

    Args:
        function: gives a value for each row, or one number for the batch.
        name: by default the function's.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        super().__init__(name or function_name(function))
        self.function = function
