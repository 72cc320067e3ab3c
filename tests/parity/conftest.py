"""Tests beside Keras itself: skipped where it is not installed. Its backend is JAX unless KERAS_BACKEND is set."""

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
pytest.importorskip("keras")
