"""CategoryEncoding, IntegerLookup, StringLookup, Discretization: on arrays as in Keras 3.15 (the expected values are
what it gave, on its TensorFlow backend, for the same calls), in models, and in files."""

from pathlib import Path

import numpy as np
import pytest

import lanewise as lw
from bounds import ISAS, running
from lanewise.layers import (
    CategoryEncoding,
    Dense,
    Discretization,
    Embedding,
    Flatten,
    Input,
    IntegerLookup,
    StringLookup,
)

WORDS = np.array([["red", "blue", "red"], ["green", "blue", "red"], ["pink", "blue", "teal"]])


def test_string_lookup_learns_a_vocabulary():
    lookup = StringLookup()
    lookup.adapt(WORDS)
    assert lookup.get_vocabulary() == ["[UNK]", "red", "blue", "teal", "pink", "green"]
    assert lookup([["red", "teal", "none"]]).tolist() == [[1, 3, 0]]
    assert lookup.vocabulary_size() == 6
    assert lookup.get_vocabulary(include_special_tokens=False) == ["red", "blue", "teal", "pink", "green"]
    masked = StringLookup(mask_token="", max_tokens=4)
    masked.adapt(WORDS.tolist())
    assert masked.get_vocabulary() == ["", "[UNK]", "red", "blue"]
    assert masked(np.array([["red", "", "teal"]], object)).tolist() == [[2, 0, 1]]
    assert masked(np.array(b"blue")).tolist() == 3


@pytest.mark.parametrize(("mode", "rows", "flat"), [
    ("one_hot", [[[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]], [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]]],
     [[0, 1, 0, 0], [1, 0, 0, 0]]),
    ("multi_hot", [[0, 1, 0, 1], [1, 1, 1, 0]], [1, 1, 0, 0]),
    ("count", [[0, 1, 0, 2], [1, 1, 1, 0]], [1, 1, 0, 0]),
])  # fmt: skip
def test_string_lookup_in_columns(mode, rows, flat):
    lookup = StringLookup(vocabulary=["a", "b", "c"], output_mode=mode)
    assert lookup([["a", "c", "c"], ["z", "b", "a"]]).tolist() == rows
    assert lookup(["a", "z"]).tolist() == flat
    assert lookup.compute_output_shape((None, 3)) == (None, *np.shape(rows)[1:])


def test_masked_and_padded_columns():
    lookup = StringLookup(
        vocabulary=["a", "b"], output_mode="multi_hot", mask_token="", pad_to_max_tokens=True, max_tokens=6
    )
    assert lookup([["a", "", "z"]]).tolist() == [[1, 1, 0, 0, 0, 0]]


def test_from_ids_back_to_words():
    lookup = StringLookup(vocabulary=["a", "b", "c"], invert=True)
    assert lookup([[1, 2, 0, 9]]).tolist() == [["a", "b", "[UNK]", "[UNK]"]]
    with pytest.raises(TypeError, match="integers"):
        lookup([[1.5]])


def test_integer_lookup():
    lookup = IntegerLookup(num_oov_indices=3, vocabulary=[12, 36, 1138])
    assert lookup.get_vocabulary() == [-1, -1, -1, 12, 36, 1138]
    assert lookup([[12, 1138, 42, 7, 8]]).tolist() == [[3, 5, 0, 1, 2]]
    learnt = IntegerLookup(mask_token=0)
    learnt.adapt(np.array([12, 36, 12, 0, 5]))
    assert learnt.get_vocabulary() == [0, -1, 12, 36, 5]
    assert learnt([[0, 12, 5, 99]]).tolist() == [[0, 2, 4, 1]]
    with pytest.raises(ValueError, match="42 is not in the vocabulary"):
        IntegerLookup(vocabulary=[1], num_oov_indices=0)([[1, 42]])


@pytest.mark.parametrize(("mode", "flat", "pairs", "singles"), [
    ("one_hot", [[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]],
     [[[1, 0, 0, 0], [0, 1, 0, 0]], [[0, 0, 1, 0], [0, 0, 1, 0]]], [[0, 0, 0, 1], [0, 1, 0, 0]]),
    ("multi_hot", [1, 1, 1, 1], [[1, 1, 0, 0], [0, 0, 1, 0]], [[0, 0, 0, 1], [0, 1, 0, 0]]),
    ("count", [1, 1, 1, 1], [[1, 1, 0, 0], [0, 0, 2, 0]], [[0, 0, 0, 1], [0, 1, 0, 0]]),
])  # fmt: skip
def test_category_encoding(mode, flat, pairs, singles):
    layer = CategoryEncoding(4, output_mode=mode)
    assert layer([3, 2, 0, 1]).tolist() == flat
    for x, wanted in (([[0, 1], [2, 2]], pairs), ([[3], [1]], singles)):
        assert layer(x).tolist() == wanted
        for isa in ISAS:  # the same in a model, where the engine makes the columns
            with running(isa):
                model = lw.Sequential([Input((len(x[0]),)), CategoryEncoding(4, output_mode=mode)])
                assert model.predict(np.array(x), verbose=0).tolist() == wanted


def test_discretization():
    layer = Discretization([0.0, 1.0, 2.0])
    assert layer([[-1.5, 1.0, 3.4, 0.5, 2.0, 0.0]]).tolist() == [[0, 2, 3, 1, 3, 1]]
    assert Discretization([0.0, 1.0], output_mode="one_hot")([[0.5], [2.0]]).tolist() == [[0, 1, 0], [0, 0, 1]]
    x = (np.arange(1000) * 37 % 1009 / 50.0).astype(np.float32)
    for bins, epsilon, wanted in (
        (4, 0.01, [4.979995250701904, 9.979995727539062, 15.039999008178711]),
        (7, 0.1, [2.8371431827545166, 5.694286823272705, 8.551429748535156, 11.408573150634766, 14.294285774230957,
                  17.23714256286621]),
        (3, 0.01, [6.64666223526001, 13.313331604003906]),
    ):  # fmt: skip
        found = Discretization(num_bins=bins, epsilon=epsilon)
        found.adapt(x)
        assert found.bin_boundaries == pytest.approx(wanted, rel=1e-6)
    found = Discretization(num_bins=3)
    found.adapt([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]])
    assert found.bin_boundaries == pytest.approx([0.0, 1.1])
    assert found([[-1.0, 0.6, 9.0]]).tolist() == [[0, 1, 2]]
    assert Discretization.from_config(found.get_config()).bin_boundaries == found.bin_boundaries


# --- in models -------------------------------------------------------------------------------------------------------


def fitted(model, x, y, tmp_path):
    """Fits, predicts, saves, loads: the loaded model predicts the same from the same data."""
    model.compile("adam", "mse")
    model.fit(x, y, epochs=2, batch_size=8, validation_split=0.25, verbose=0)
    out = model.predict(x, verbose=0)
    assert np.array_equal(model(x), out)
    assert np.array_equal(model.predict_on_batch(x), out)
    model.save(tmp_path / "model.lanewise")
    assert np.array_equal(lw.load_model(tmp_path / "model.lanewise").predict(x, verbose=0), out)
    return out


def test_words_into_a_model(tmp_path):
    words = np.array(["red", "green", "blue", "none"] * 10)
    lookup = StringLookup()
    lookup.adapt(["red", "red", "green", "blue", "blue", "blue"])
    model = lw.Sequential([Input((1,), dtype="string"), lookup, Embedding(4, 3), Flatten(), Dense(1)])
    out = fitted(model, words[:, None], np.arange(40.0), tmp_path)
    table, kernel, bias = model.get_weights()
    assert out == pytest.approx(table[lookup(words)] @ kernel + bias, rel=1e-5)
    assert np.array_equal(model.predict(words, verbose=0), out)  # (n,) as (n, 1)
    with pytest.raises(TypeError, match="text"):
        model.predict(np.ones((3, 1)))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_numbers_through_lookups_into_a_model(mode, tmp_path):
    x = (np.arange(64).reshape(32, 2) * 7) % 5 * 100
    for layer in (IntegerLookup(vocabulary=[100, 200, 300], output_mode=mode),
                  Discretization([50.0, 150.0, 250.0], output_mode=mode)):  # fmt: skip
        model = lw.Sequential([Input((2,)), layer, Flatten(), Dense(2)])
        out = fitted(model, x, np.arange(64.0).reshape(32, 2), tmp_path)
        kernel, bias = model.get_weights()
        assert out == pytest.approx(np.asarray(layer(x)).reshape(32, -1) @ kernel + bias, rel=1e-5, abs=1e-5)
        assert np.array_equal(model.predict_on_batch(x.astype(np.float32)), out)  # prepared, however it comes


def test_several_inputs_each_with_a_lookup(tmp_path):
    colour, size = Input((1,), dtype="string", name="colour"), Input((1,), name="size")
    lookup = StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")
    bins = Discretization([1.0, 2.0])
    joined = lw.layers.Concatenate()([lookup(colour), Flatten()(Embedding(3, 2)(bins(size)))])
    model = lw.Model([colour, size], Dense(1)(joined))
    words, sizes = np.array([["red"], ["blue"], ["pink"], ["red"]]), np.array([[0.5], [1.5], [2.5], [9.0]])
    model.compile("adam", "mse")
    model.fit([words, sizes], np.zeros(4), verbose=0)
    table, kernel, bias = model.get_weights()
    wanted = np.concatenate([lookup(words), table[bins(sizes)[:, 0]]], axis=1) @ kernel + bias
    assert model.predict([words, sizes], verbose=0) == pytest.approx(wanted, rel=1e-5)
    assert model.predict({"colour": words, "size": sizes}, verbose=0) == pytest.approx(wanted, rel=1e-5)


def test_a_lookup_that_something_else_comes_before_is_refused():
    model = lw.Sequential([Input((2,)), Dense(2), Discretization([0.0]), Dense(1)])
    with pytest.raises(NotImplementedError, match="before all other layers"):
        model.predict(np.zeros((1, 2)))
    x = Input((2,))
    both = lw.Model(x, [Discretization([0.0], output_mode="multi_hot")(x), Dense(3)(x)])
    with pytest.raises(NotImplementedError, match="nothing else reads"):
        both.predict(np.ones((1, 2)))


def test_an_unknown_word_changes_nothing():
    model = lw.Sequential([Input((1,), dtype="string"), StringLookup(vocabulary=["a"], num_oov_indices=0),
                           Embedding(1, 2), Flatten(), Dense(1)])  # fmt: skip
    model.compile("adam", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"x: 'b' is not in the vocabulary"):
        model.fit(np.array([["a"], ["b"]]), np.zeros(2), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


LOOKUP = {"dtype", "idf_weights", "invert", "mask_token", "max_tokens", "name", "num_oov_indices", "oov_method",
          "oov_token", "output_mode", "pad_to_max_tokens", "salt", "sparse", "trainable", "vocabulary",
          "vocabulary_size"}  # fmt: skip


@pytest.mark.parametrize(("layer", "keys"), [
    (lambda: StringLookup(vocabulary=["a", "b"]), LOOKUP | {"encoding"}),
    (lambda: IntegerLookup(vocabulary=[5, 7], mask_token=0), LOOKUP | {"vocabulary_dtype"}),
    (lambda: CategoryEncoding(3), {"dtype", "name", "num_tokens", "output_mode", "trainable"}),
    (lambda: Discretization([1.0]), {"bin_boundaries", "dtype", "epsilon", "name", "num_bins", "output_mode",
                                     "sparse"}),
])  # fmt: skip
def test_configs_have_keras_keys_and_come_back(layer, keys):
    one = layer()
    config = one.get_config()
    assert set(config) == keys
    again = type(one).from_config(config)
    assert again.get_config() == config


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: CategoryEncoding(), ValueError, "num_tokens"),
    (lambda: CategoryEncoding(3, "tf_idf"), ValueError, "TF-IDF"),
    (lambda: CategoryEncoding(3)([[1, 3]]), ValueError, "received 3"),
    (lambda: Discretization(), ValueError, "give one of them"),
    (lambda: Discretization([2.0, 1.0]), ValueError, "ascending"),
    (lambda: Discretization(num_bins=3)([1.0]), ValueError, "adapt"),
    (lambda: Discretization([1.0]).adapt([1.0]), ValueError, "nothing to do"),
    (lambda: StringLookup(vocabulary=["a", "a"]), ValueError, "several times"),
    (lambda: StringLookup(vocabulary=[]), ValueError, "at least one"),
    (lambda: StringLookup(vocabulary=["a", ""], mask_token=""), ValueError, "stand in front"),
    (lambda: StringLookup(vocabulary=["a", "b"], max_tokens=2), ValueError, "max_tokens"),
    (lambda: StringLookup(num_oov_indices=2), NotImplementedError, "hashing"),
    (lambda: StringLookup(output_mode="count")(["a"]), ValueError, "no vocabulary"),
    (lambda: StringLookup(vocabulary=["a"], invert=True, output_mode="count"), ValueError, "invert"),
    (lambda: StringLookup(vocabulary=["a"])([1]), TypeError, "text"),
    (lambda: IntegerLookup(vocabulary=[1])(["a"]), TypeError, "integers"),
    (lambda: IntegerLookup(vocabulary=[1]).adapt([1]), ValueError, "nothing to do"),
])  # fmt: skip
def test_what_cannot_be(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_vocabulary_from_a_file(tmp_path):
    (tmp_path / "words.txt").write_text("red\nblue\n")
    assert StringLookup(vocabulary=str(tmp_path / "words.txt"))(["blue", "x"]).tolist() == [2, 0]


GOLDEN = Path(__file__).parent / "golden"


def test_vocabularies_and_adapted_states_in_files_of_keras() -> None:
    """Written by Keras 3.15.1 (TensorFlow), with its predictions: an adapted StringLookup (its words lie beside the
    weights), Normalization and Discretization in a functional model that was trained, an adapted IntegerLookup."""
    pytest.importorskip("h5py")
    real = np.array([[0.5], [1.5], [2.5], [-1], [9]], np.float32)
    model = lw.load_model(GOLDEN / "keras_lookups.keras")
    x = {"colour": np.array([["blue"], ["none"], ["red"]]), "size": real[:3], "age": real[2:]}
    expected = [[0.6048874855041504], [0.5465085506439209], [0.5005397200584412]]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    assert model.get_layer("look").get_vocabulary() == ["[UNK]", "red", "grey", "green", "blue"]
    assert int(model.optimizer.iterations) == 2
    model = lw.load_model(GOLDEN / "keras_integers.keras")
    expected = [
        [-0.009051983244717121, 0.00986720621585846],
        [0.011217191815376282, -0.01792708784341812],
        [0.012142459861934185, 0.014417891390621662],
    ]
    np.testing.assert_allclose(model.predict(np.array([[9], [5], [7]]), verbose=0), expected, rtol=1e-5, atol=1e-8)


def test_what_int64_and_numpys_texts_cannot_hold_is_refused():
    for values in (np.array([2**63, 5], np.uint64), np.array([1e30, 5.0]), np.array([-1e30, 5.0])):
        with pytest.raises(ValueError, match="data: expected integers of 64 bits with a sign"):
            IntegerLookup().adapt(values)
    ends = np.array([-(2**63), 2**63 - 1])
    lookup = IntegerLookup()
    lookup.adapt(ends)
    assert sorted(lookup.get_vocabulary()[1:]) == ends.tolist()
    with pytest.raises(ValueError, match="data: NumPy's texts cannot end in a zero byte, received 'a"):
        StringLookup().adapt(np.array(["a", "a\0"], object))
