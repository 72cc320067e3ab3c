"""`keras.preprocessing` does not exist here; importing it says what does."""

from .._missing import instead

raise ImportError(f"module 'lanewise.keras' has no 'preprocessing': {instead('preprocessing')}", name=__name__)
