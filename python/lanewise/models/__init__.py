"""Models: what a person builds, trains, evaluates and predicts with."""

from .sequential import Sequential

__all__ = ["Sequential"]
