"""matplotlib, where it is asked for."""

from typing import Any


def subplots(what: str, *grid: int, **options: Any) -> Any:
    """(figure, axes) as of `matplotlib.pyplot.subplots`.

    Raises:
        ImportError: matplotlib is not installed; what: which method needs it.
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"{what} needs matplotlib, which is not installed: pip install matplotlib") from None
    return pyplot.subplots(*grid, layout="constrained", **options)
