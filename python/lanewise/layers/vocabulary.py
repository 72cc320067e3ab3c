"""StringLookup and IntegerLookup: a number for each word of a vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from .._arrays import any_array
from .._engine import AnyArray
from .._names import check_default, check_integer
from .categories import _MODES, _check_mode, _Prepared


class _IndexLookup(_Prepared):
    """Mask token (with output_mode='int'), unknown tokens, then the vocabulary: 0, 1, 2, ...

    Args:
        max_tokens: largest size of the vocabulary, special tokens included; None: any.
        num_oov_indices: how many ids there are for tokens that the vocabulary lacks. 0: they raise ValueError.
        mask_token: its id is 0 with output_mode='int'; otherwise it is left out.
        oov_token: what invert=True gives for ids of unknown tokens.
        vocabulary: the tokens, special ones left out or in front; or the path of a file with one in each line.
        idf_weights: not supported; None.
        invert: True: ids become tokens.
        output_mode: 'int', or as in `CategoryEncoding`.
        pad_to_max_tokens: True: there are max_tokens columns.
        sparse: not supported; False.
        vocabulary_size, oov_method, salt: as Keras writes them; the last two at their defaults.
        **kwargs: see `Layer`.
    """

    def __init__(
        self, max_tokens: int | None, num_oov_indices: int, mask_token: Any, oov_token: Any, vocabulary: Any,
        idf_weights: Any, invert: bool, output_mode: str, pad_to_max_tokens: bool, sparse: bool, vocabulary_size: Any,
        oov_method: str, salt: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.max_tokens = None if max_tokens is None else check_integer("max_tokens", max_tokens, 2)
        self.num_oov_indices = check_integer("num_oov_indices", num_oov_indices, 0)
        self.mask_token, self.oov_token = mask_token, oov_token
        self.invert = bool(invert)
        self.output_mode = _check_mode(output_mode, ("int", *_MODES))
        self.pad_to_max_tokens = bool(pad_to_max_tokens)
        check_default("sparse", sparse, False, "columns are dense")
        check_default("idf_weights", idf_weights, None, "TF-IDF is not there")
        check_default("oov_method", oov_method, "floormod", "hashing is not there")
        check_default("salt", salt, None, "hashing is not there")
        if self.invert and self.output_mode != "int":
            raise ValueError(f"output_mode: with invert=True only 'int' makes sense, received {output_mode!r}")
        if self.pad_to_max_tokens and max_tokens is None:
            raise ValueError("pad_to_max_tokens: expected max_tokens= as well, received None")
        super().__init__(**kwargs)
        self._vocabulary: list[Any] = []
        self._index: dict[Any, int] = {}
        self._given = vocabulary is not None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)

    # --- what a subclass defines --------------------------------------------------------------------------------

    def _token(self, argument: str, value: Any) -> Any:
        """One token as it stands in the vocabulary. Raises TypeError for anything else."""
        raise NotImplementedError

    def _array(self, argument: str, data: Any) -> AnyArray:
        """The data as an array of tokens."""
        raise NotImplementedError

    # --- vocabulary ---------------------------------------------------------------------------------------------

    @property
    def _oov_start(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _token_start(self) -> int:
        return self._oov_start + self.num_oov_indices

    def _special(self) -> list[Any]:
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these tokens, special ones left out or in front.

        Raises:
            ValueError: none, a token twice, a special one among them, or more than max_tokens.
        """
        check_default("idf_weights", idf_weights, None, "TF-IDF is not there")
        if isinstance(vocabulary, str):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = [line.rstrip("\n") for line in file]
            vocabulary = [int(line) for line in vocabulary] if isinstance(self, IntegerLookup) else vocabulary
        if not isinstance(vocabulary, list | tuple):  # which NumPy would make as wide as the longest token
            vocabulary = np.asarray(vocabulary).tolist()
        tokens = [self._token("vocabulary", token) for token in vocabulary]
        special = self._special() if self._token_start <= len(tokens) else []
        if special and tokens[: len(special)] == special:
            tokens = tokens[len(special) :]
        if not tokens:
            raise ValueError("vocabulary: expected at least one token besides the special ones, received none")
        index = {token: i + self._token_start for i, token in enumerate(tokens)}
        if len(index) < len(tokens):
            twice = [token for token, count in Counter(tokens).items() if count > 1]
            raise ValueError(f"vocabulary: expected each token once, received several times: {twice[:5]}")
        if (self.mask_token is not None and self.mask_token in index) or (self.invert and self.oov_token in index):
            raise ValueError("vocabulary: special tokens (mask, unknown) stand in front, all of them, or are left out")
        if self.max_tokens is not None and self._token_start + len(tokens) > self.max_tokens:
            raise ValueError(
                f"vocabulary: with the special tokens {self._token_start + len(tokens)}, allowed are "
                f"max_tokens={self.max_tokens}"
            )
        self._vocabulary = tokens
        self._index = index

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Take the tokens of the data, the most frequent first, of equally frequent ones the last in order first.

        Args:
            data: array, list or series of any shape.
            batch_size, steps: accepted; mean nothing.

        Raises:
            ValueError: the vocabulary was given.
        """
        if self._given:
            raise ValueError(f"{self.name}: adapt() has nothing to do: vocabulary= was given")
        tokens, counts = np.unique(self._array("data", data), return_counts=True)
        found = sorted(zip(counts.tolist(), tokens.tolist(), strict=True), reverse=True)
        kept = [token for _, token in found if token not in (self.mask_token, self.oov_token)]
        if self.max_tokens is not None:
            kept = kept[: max(0, self.max_tokens - self._token_start)]
        self.set_vocabulary(kept)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their ids."""
        return [*(self._special() if include_special_tokens else []), *self._vocabulary]

    def vocabulary_size(self) -> int:
        """Number of ids, special ones included."""
        return self._token_start + len(self._vocabulary)

    # --- looking up ---------------------------------------------------------------------------------------------

    def _tokens(self) -> int:
        if self.pad_to_max_tokens and self.max_tokens is not None:
            return self.max_tokens
        if not self._vocabulary:
            raise ValueError(f"{self.name}: no vocabulary yet; call adapt(data), or give vocabulary=")
        return self.vocabulary_size()

    def ids(self, argument: str, data: Any) -> AnyArray:
        array = self._array(argument, data)
        distinct, places = np.unique(array, return_inverse=True)
        found = np.array([self._id(argument, token) for token in distinct.tolist()], np.int64)
        return found[places].reshape(array.shape)

    def _id(self, argument: str, token: Any) -> int:
        if self.mask_token is not None and token == self.mask_token:
            return 0 if self.output_mode == "int" else -1
        known = self._index.get(token)
        if known is not None:
            return known
        if self.num_oov_indices == 0:
            raise ValueError(
                f"{argument}: {token!r} is not in the vocabulary; num_oov_indices=1 would give such tokens an id"
            )
        return self._oov_start + self._bucket(token)

    def _bucket(self, token: Any) -> int:
        """Which of the ids of unknown tokens."""
        return 0

    def __call__(self, inputs: Any, *more: Any, training: bool | None = None, **other: Any) -> Any:
        """Ids (int64), columns (float32), or with invert=True tokens, of an array of any shape."""
        if not self.invert:
            return super().__call__(inputs, *more, training=training, **other)
        ids = np.asarray(inputs)
        if ids.dtype.kind not in "iu":
            raise TypeError(f"inputs: expected integers, received an array of dtype {ids.dtype}")
        names = dict(enumerate(self.get_vocabulary()))
        tokens = np.array([names.get(i, self.oov_token) for i in ids.reshape(-1).tolist()])
        return tokens.reshape(ids.shape)

    def prepare(self, argument: str, data: Any) -> AnyArray:
        if self.invert:
            raise NotImplementedError(f"{self.name}: invert=True has no place in a model; call it on predictions")
        return super().prepare(argument, data)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": False,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "idf_weights": None,
            "vocabulary": self._vocabulary or None,
            "vocabulary_size": self.vocabulary_size(),
            "oov_method": "floormod",
            "salt": None,
        }


class StringLookup(_IndexLookup):
    __doc__ = f"""Ids of words; a NumPy step before the engine. {_IndexLookup.__doc__}
        encoding: of tokens given as bytes.
    """

    input_dtype = "string"

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: str | None = None,
        oov_token: str = "[UNK]", vocabulary: Any = None, idf_weights: Any = None, invert: bool = False,
        output_mode: str = "int", pad_to_max_tokens: bool = False, sparse: bool = False, encoding: str = "utf-8",
        vocabulary_size: int | None = None, oov_method: str = "floormod", salt: Any = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.encoding = encoding
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, vocabulary_size, oov_method, salt, **kwargs,
        )  # fmt: skip
        if self.num_oov_indices > 1:
            raise NotImplementedError(
                f"num_oov_indices: unknown words share one id (hashing is not there), received {num_oov_indices}"
            )

    def _token(self, argument: str, value: Any) -> str:
        if isinstance(value, bytes):
            return value.decode(self.encoding)
        if not isinstance(value, str):
            raise TypeError(f"{argument}: expected text, received {value!r} of type {type(value).__name__}")
        if value.endswith("\0"):
            raise ValueError(f"{argument}: NumPy's texts cannot end in a zero byte, received {value!r}")
        return str(value)

    def _array(self, argument: str, data: Any) -> AnyArray:
        array = any_array(data)
        if array.dtype.kind == "U":
            return array
        words: Iterable[Any] = array.reshape(-1).tolist()
        return np.array([self._token(argument, word) for word in words], dtype=np.str_).reshape(array.shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoding": self.encoding}


class IntegerLookup(_IndexLookup):
    __doc__ = f"""Ids of arbitrary integers; a NumPy step before the engine. {_IndexLookup.__doc__}
        vocabulary_dtype: 'int64'.
    """

    input_dtype = "int64"

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1, mask_token: int | None = None,
        oov_token: int = -1, vocabulary: Any = None, vocabulary_dtype: str = "int64", idf_weights: Any = None,
        invert: bool = False, output_mode: str = "int", sparse: bool = False, pad_to_max_tokens: bool = False,
        oov_method: str = "floormod", salt: Any = None, vocabulary_size: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        check_default("vocabulary_dtype", vocabulary_dtype, "int64", "ids are int64")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, vocabulary_size, oov_method, salt, **kwargs,
        )  # fmt: skip

    def _token(self, argument: str, value: Any) -> int:
        return check_integer(argument, value, -(2**63))

    def _bucket(self, token: Any) -> int:
        return int(token) % self.num_oov_indices

    def _array(self, argument: str, data: Any) -> AnyArray:
        array = any_array(data)
        if array.dtype.kind not in "biu" and not (array.dtype.kind == "f" and np.array_equal(array, np.floor(array))):
            raise TypeError(f"{argument}: expected integers, received an array of dtype {array.dtype}")
        if array.size and array.dtype.kind in "uf" and not (array.min() >= -(2.0**63) and array.max() < 2.0**63):
            raise ValueError(f"{argument}: expected integers of 64 bits with a sign, received {array.max()}")
        return array.astype(np.int64)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary_dtype": "int64"}
