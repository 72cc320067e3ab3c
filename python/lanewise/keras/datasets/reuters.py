"""Reuters: newswires of 1987 and their topics (Reuters-21578)."""

import numpy as np

from ...utils import get_file
from ._read import BASE, Split, as_objects, begun, check_split, limited, load_npz, shorter, shuffled, word_index

_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_HASH = "4d44cc38712099c9e383dc6e5f11a921"


def load_data(
    path: str = "reuters.npz", num_words: int | None = None, skip_top: int = 0, maxlen: int | None = None,
    test_split: float = 0.2, seed: int = 113, start_char: int | None = 1, oov_char: int | None = 2,
    index_from: int | None = 3,
) -> Split:  # fmt: skip
    """11,228 newswires, lists of word numbers by frequency, and topics 0 to 45.

    Args:
        path, num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: as in `imdb.load_data`.
        test_split: share that goes into the test part, in [0, 1).

    Returns:
        (x_train, y_train), (x_test, y_test); x are arrays of lists.
    """
    check_split(test_split)
    file = load_npz(get_file(path, origin=f"{BASE}reuters.npz", file_hash=_HASH))
    rows, labels = shuffled(np.random.RandomState(seed), file["x"], file["y"])
    kept, labels = shorter(begun(rows, start_char, index_from), labels, maxlen)
    kept = limited(kept, num_words, skip_top, oov_char)
    at = int(len(kept) * (1 - test_split))
    return (as_objects(kept[:at]), labels[:at]), (as_objects(kept[at:]), labels[at:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """From word to number, to which `index_from` is still to be added."""
    return word_index(path, "reuters_word_index.json", _INDEX_HASH)


def get_label_names() -> tuple[str, ...]:
    """Names of the topics, by number."""
    return tuple(_NAMES.split())


_NAMES = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude
nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel
rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead
"""
