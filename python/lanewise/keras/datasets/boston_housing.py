"""Boston housing prices (Harrison and Rubinfeld 1978).

One of the columns is made of the share of Black residents; `california_housing` has none like it.
"""

from ._read import Split, load_table

_HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """506 houses, float64 (n, 13), and their prices in thousands of dollars, (n,).

    Args:
        path: name of the file in the cache.
        test_split: share of the rows that goes into the test part, in [0, 1).
        seed: of the shuffle before the split.

    Returns:
        (x_train, y_train), (x_test, y_test).
    """
    return load_table(path, "boston_housing.npz", _HASH, None, test_split, seed)
