"""`keras.datasets` does not exist here; importing it says what does."""

from .._missing import instead

raise ImportError(f"module 'lanewise.keras' has no 'datasets': {instead('datasets')}", name=__name__)
