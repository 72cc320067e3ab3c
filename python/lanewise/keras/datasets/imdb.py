"""IMDB: film reviews and whether they praise (Maas et al. 2011)."""

import numpy as np

from ...utils import get_file
from ._read import BASE, Split, as_objects, begun, limited, load_npz, shorter, shuffled, word_index

_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_HASH = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz", num_words: int | None = None, skip_top: int = 0, maxlen: int | None = None, seed: int = 113,
    start_char: int | None = 1, oov_char: int | None = 2, index_from: int | None = 3,
) -> Split:  # fmt: skip
    """25,000 and 25,000 reviews, lists of word numbers by frequency, and 1 (good) or 0 (bad).

    Args:
        path: name of the file in the cache.
        num_words: keep numbers below this one; None for all.
        skip_top: leave out numbers below this one.
        maxlen: keep reviews of less than this many words.
        seed: of the shuffle.
        start_char: stands in front of every review; None for nothing.
        oov_char: stands for a number that is not kept; None leaves it out.
        index_from: is added to every number.

    Returns:
        (x_train, y_train), (x_test, y_test); x are arrays of lists.
    """
    file = load_npz(get_file(path, origin=f"{BASE}imdb.npz", file_hash=_HASH))
    random = np.random.RandomState(seed)
    parts = []
    for part in ("train", "test"):
        rows, labels = shuffled(random, file[f"x_{part}"], file[f"y_{part}"])
        parts.append(shorter(begun(rows, start_char, index_from), labels, maxlen))
    (train, y_train), (test, y_test) = parts
    kept = limited(train + test, num_words, skip_top, oov_char)
    return (as_objects(kept[: len(train)]), y_train), (as_objects(kept[len(train) :]), y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """From word to number, to which `index_from` is still to be added."""
    return word_index(path, "imdb_word_index.json", _INDEX_HASH)
