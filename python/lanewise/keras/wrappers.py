"""`keras.wrappers` does not exist here; importing it says what does."""

from .._missing import instead

raise ImportError(f"module 'lanewise.keras' has no 'wrappers': {instead('wrappers')}", name=__name__)
