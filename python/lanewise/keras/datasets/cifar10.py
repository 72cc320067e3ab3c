"""CIFAR-10: small colour images of ten kinds (Krizhevsky 2009)."""

from ._read import Split, load_batches, unpacked

_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> Split:
    """50,000 and 10,000 images, uint8 (n, 32, 32, 3), and their kinds 0 to 9, uint8 (n, 1).

    Returns:
        (x_train, y_train), (x_test, y_test).
    """
    folder = unpacked("cifar-10-batches-py-target", "cifar-10-python.tar.gz", _HASH, "cifar-10-batches-py")
    train = load_batches(folder, [f"data_batch_{i}" for i in range(1, 6)], "labels")
    return train, load_batches(folder, ["test_batch"], "labels")
