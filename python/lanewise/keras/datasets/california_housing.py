"""California housing prices, from the census of 1990 (Pace and Barry 1997)."""

from ._read import Split, load_table

_HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


def load_data(
    version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> Split:
    """20,640 districts, float32 (n, 8), and their median house values in dollars, (n,).

    Args:
        version: 'large', or 'small' for the first 600 rows.
        path: name of the file in the cache.
        test_split: share of the rows that goes into the test part, in [0, 1).
        seed: of the shuffle before the split.

    Returns:
        (x_train, y_train), (x_test, y_test).
    """
    if version not in ("small", "large"):
        raise ValueError(f"version: expected 'small' or 'large', received {version!r}")
    return load_table(path, "california_housing.npz", _HASH, 600 if version == "small" else None, test_split, seed)
