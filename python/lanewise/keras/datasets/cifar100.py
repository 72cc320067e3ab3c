"""CIFAR-100: small colour images of a hundred kinds in twenty groups (Krizhevsky 2009)."""

from ._read import Split, load_batches, unpacked

_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> Split:
    """50,000 and 10,000 images, uint8 (n, 32, 32, 3), and their kinds, uint8 (n, 1).

    Args:
        label_mode: 'fine' (0 to 99) or 'coarse' (0 to 19).

    Returns:
        (x_train, y_train), (x_test, y_test).
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode: expected 'fine' or 'coarse', received {label_mode!r}")
    folder = unpacked("cifar-100-python-target", "cifar-100-python.tar.gz", _HASH, "cifar-100-python")
    labels = f"{label_mode}_labels"
    return load_batches(folder, ["train"], labels), load_batches(folder, ["test"], labels)
