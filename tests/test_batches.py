"""Data that comes batch by batch, sparse matrices, tables, and steps_per_epoch."""

import math

import numpy as np
import pytest

import lanewise as lw
from lanewise import keras

RNG = np.random.default_rng(21)
X = RNG.standard_normal((100, 6)).astype(np.float32)
Y = (X @ RNG.standard_normal((6, 1)) + 0.1).astype(np.float32)
W = RNG.uniform(0.5, 2, 100).astype(np.float32)


def network(**options):
    lw.utils.set_random_seed(5)
    model = lw.Sequential([lw.layers.Dense(8, "tanh", input_shape=(6,)), lw.layers.Dense(1)])
    model.compile(lw.optimizers.Adam(0.01), "mse", metrics=["mae"], **options)
    return model


def pieces(size=16, weights=False, x=X):
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        yield (x[part], Y[part], W[part]) if weights else (x[part], Y[part])


class Data(keras.utils.PyDataset):
    def __init__(self, size=16, weights=False):
        super().__init__()
        self.size, self.weights, self.begun, self.ended, self.asked = size, weights, 0, 0, []

    def __len__(self):
        return math.ceil(len(X) / self.size)

    def __getitem__(self, index):
        self.asked.append(index)
        return list(pieces(self.size, self.weights))[index]

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


class Loader:
    """As a torch DataLoader: it is run through again in each epoch."""

    def __init__(self, weights=False):
        self.weights = weights

    def __iter__(self):
        return pieces(16, self.weights)

    def __len__(self):
        return 7


def for_ever(weights=False):
    while True:
        yield from pieces(16, weights)


def expected(epochs=3, **options):
    model = network()
    history = model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, **options).history
    return history, model.get_weights()


def same(model, history, wanted):
    assert history.keys() == wanted[0].keys()
    for key in history:
        np.testing.assert_allclose(history[key], wanted[0][key], rtol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), wanted[1], strict=True))


SOURCES = {
    "PyDataset": lambda w: (Data(weights=w), {}),
    "loader": lambda w: (Loader(w), {}),
    "list of batches": lambda w: (iter([*pieces(16, w)] * 3), {"steps_per_epoch": 7}),
    "generator": lambda w: (for_ever(w), {"steps_per_epoch": 7}),
}


@pytest.mark.parametrize("weights", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("name", SOURCES)
def test_batches_train_as_the_whole_array_does(name, weights):
    source, options = SOURCES[name](weights)
    model = network()
    history = model.fit(source, epochs=3, shuffle=False, verbose=0, **options).history
    same(model, history, expected(sample_weight=W if weights else None))


def test_a_dataset_is_told_of_epochs_and_shuffled_by_batches():
    data = Data()
    model = network()
    model.fit(data, epochs=3, verbose=0)
    assert (data.begun, data.ended) == (3, 3)
    asked = data.asked[-21:]
    epochs = [asked[i : i + 7] for i in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs) and epochs[0] != epochs[1]
    other = network()
    other.fit(Data(), epochs=3, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))


def test_validation_evaluate_and_predict_of_batches():
    model = network()
    history = model.fit(X, Y, epochs=2, shuffle=False, validation_data=Data(), verbose=0).history
    other = network()
    whole = other.fit(X, Y, epochs=2, shuffle=False, validation_data=(X, Y), verbose=0).history
    np.testing.assert_allclose(history["val_loss"], whole["val_loss"], rtol=1e-5)
    assert len(history["val_mae"]) == 2
    np.testing.assert_allclose(model.evaluate(Data(), verbose=0), model.evaluate(X, Y, verbose=0), rtol=1e-5)
    weighted = model.evaluate(Loader(True), verbose=0)
    np.testing.assert_allclose(weighted, model.evaluate(X, Y, sample_weight=W, verbose=0), rtol=1e-5)
    assert np.array_equal(model.predict(Loader(), verbose=0), model.predict(X, verbose=0))
    assert np.array_equal(model.predict((x for x, _ in pieces()), verbose=0), model.predict(X, verbose=0))
    assert len(model.predict(for_ever(), steps=2, verbose=0)) == 32
    np.testing.assert_allclose(
        model.evaluate(for_ever(), steps=3, verbose=0), model.evaluate(X[:48], Y[:48], verbose=0), rtol=1e-5
    )


def test_validation_steps_and_batch_size_of_arrays():
    model = network()
    options = {"shuffle": False, "verbose": 0, "validation_data": (X, Y), "validation_batch_size": 10}
    history = model.fit(X, Y, validation_steps=3, **options).history
    np.testing.assert_allclose(history["val_loss"][0], model.evaluate(X[:30], Y[:30], verbose=0)[0], rtol=1e-5)
    np.testing.assert_allclose(
        model.evaluate(X, Y, batch_size=10, steps=3, verbose=0), model.evaluate(X[:30], Y[:30], verbose=0), rtol=1e-5
    )
    assert model.predict(X, batch_size=10, steps=3, verbose=0).shape == (30, 1)


def test_steps_per_epoch_of_arrays_go_on_where_they_ended():
    seen = []

    class Watch(lw.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.count = 0

        def on_train_batch_end(self, batch, logs=None):
            self.count += 1

        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.count)

    model = network()
    with pytest.warns(RuntimeWarning, match="expected 3 batches in an epoch, 1 were left"):
        model.fit(X, Y, batch_size=16, epochs=4, steps_per_epoch=3, shuffle=False, verbose=0, callbacks=[Watch()])
    assert seen == [3, 3, 1, 3]
    once = network()
    once.fit(X, Y, batch_size=16, epochs=1, shuffle=False, verbose=0)
    once.fit(X[:48], Y[:48], batch_size=16, epochs=1, shuffle=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), once.get_weights(), strict=True))


def test_callbacks_see_batches():
    seen = []

    class Watch(lw.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, logs["loss"]))
            if batch == 3:
                self.model.stop_training = True

    network().fit(Loader(), epochs=2, verbose=0, callbacks=[Watch()])
    assert [batch for batch, _ in seen] == [0, 1, 2, 3]


def test_progress_of_batches(capsys):
    network().fit(Loader(), epochs=2, verbose=2)
    assert "7/7" in capsys.readouterr().out
    network().fit(pieces(), verbose=2)
    assert "7/7" in capsys.readouterr().out


def test_class_weights_of_batches():
    labels = (Y[:, 0] > 0).astype(int)

    def model():
        lw.utils.set_random_seed(5)
        made = lw.Sequential([lw.layers.Dense(1, "sigmoid", input_shape=(6,))])
        made.compile("sgd", "binary_crossentropy")
        return made

    class Labelled(Loader):
        def __iter__(self):
            return ((X[i : i + 16], labels[i : i + 16]) for i in range(0, 100, 16))

    first, second = model(), model()
    options = {"class_weight": {0: 1.0, 1: 3.0}, "epochs": 2, "verbose": 0, "shuffle": False}
    a = first.fit(Labelled(), **options).history["loss"]
    b = second.fit(X, labels, batch_size=16, **options).history["loss"]
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_generator_may_fill_the_same_arrays_again():
    """The two batches with which each validation begins are kept."""

    def pieces_in_one_array(reused):
        x, y = np.empty((16, 6), np.float32), np.empty((16, 1), np.float32)
        for k in range(1000):
            at = k * 16 % 96
            if not reused:
                x, y = np.empty_like(x), np.empty_like(y)
            x[:], y[:] = X[at : at + 16], Y[at : at + 16]
            yield x, y

    results = []
    for reused in (True, False):
        model = network()
        options = {"steps_per_epoch": 3, "epochs": 3, "validation_steps": 3, "verbose": 0}
        held = model.fit(
            pieces_in_one_array(reused), validation_data=pieces_in_one_array(reused), **options
        ).history["val_loss"]  # fmt: skip
        results.append(held)
    assert results[0] == results[1] and len(set(results[0])) == 3


def test_class_weights_beside_weights_in_batches_are_an_error():
    model = network()
    before = lw.fingerprint(model)
    with pytest.raises(ValueError, match="class_weight, sample_weight: give one of them"):
        model.fit(((X[:8], Y[:8], np.ones(8)) for _ in range(2)), class_weight={0: 2.0}, verbose=0)
    assert lw.fingerprint(model) == before


def test_sizes_beyond_any():
    model = network()
    assert len(model.fit(X, Y, batch_size=2**70, verbose=0).history["loss"]) == 1
    assert model.predict(X, batch_size=2**70, verbose=0).shape == (100, 1)
    model.evaluate(X, Y, batch_size=2**70, verbose=0)
    stop = lw.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True))
    model.fit(X, Y, epochs=2**70, validation_data=(X, Y), verbose=0, callbacks=[stop])  # no list of them is made


def test_errors():
    model = network()
    with pytest.raises(ValueError, match="y: batches of Loader bring their own"):
        model.fit(Loader(), Y)
    with pytest.raises(ValueError, match="validation_split: batches cannot be split"):
        model.fit(Loader(), validation_split=0.2)
    with pytest.raises(ValueError, match="x: expected batches, received none"):
        model.fit(iter(()))
    with pytest.warns(RuntimeWarning, match="no batches are left after 1 epochs, training ends"):
        assert len(model.fit(pieces(), epochs=3, verbose=0).history["loss"]) == 1
    with pytest.warns(RuntimeWarning, match="expected 9 batches in an epoch, received 7"):
        model.fit(pieces(), steps_per_epoch=9, verbose=0)
    for bad in ({"steps_per_epoch": 0}, {"validation_steps": 1.5}):
        with pytest.raises((ValueError, TypeError), match=next(iter(bad))):
            model.fit(X, Y, **bad)
    with pytest.raises(TypeError, match="x: expected"):
        model.fit(3, Y)
    with pytest.raises(ValueError, match="y: expected targets"):
        model.fit(x for x, _ in pieces())


# --- sparse matrices, tables --------------------------------------------------------------------------------------


def sparse_matrix(kind="csr", rows=1000, columns=300):
    sparse = pytest.importorskip("scipy.sparse")
    return sparse.random(rows, columns, 0.05, kind, np.float32, random_state=3)


def wide(columns=300):
    lw.utils.set_random_seed(5)
    model = lw.Sequential([lw.layers.Dense(4, "tanh", input_shape=(columns,)), lw.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_sparse_rows_train_as_dense_ones(kind, shuffle, monkeypatch):
    from lanewise.models import batches

    monkeypatch.setattr(batches, "_DENSE_BYTES", 300 * 4 * 100)  # three batches at a time
    x = sparse_matrix(kind)
    dense = x.toarray()
    y = dense.sum(axis=1)
    options = {"epochs": 2, "batch_size": 32, "shuffle": shuffle, "verbose": 0, "validation_split": 0.2}
    model = wide()
    a = model.fit(x, y, **options).history
    other = wide()
    b = other.fit(dense, y, **options).history
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-6)
    np.testing.assert_allclose(a["val_loss"], b["val_loss"], rtol=1e-6)
    assert all(np.array_equal(p, q) for p, q in zip(model.get_weights(), other.get_weights(), strict=True))
    assert np.array_equal(model.predict(x, verbose=0), other.predict(dense, verbose=0))
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), other.evaluate(dense, y, verbose=0), rtol=1e-6)


def test_the_whole_of_a_sparse_matrix_is_never_dense():
    """200,000 x 5,000: 4 GB dense."""
    sparse = pytest.importorskip("scipy.sparse")
    rows, columns = RNG.integers(0, 200_000, 10_000), RNG.integers(0, 5_000, 10_000)
    x = sparse.coo_matrix((np.ones(10_000, np.float32), (rows, columns)), (200_000, 5_000)).tocsr()
    model = wide(5_000)
    model.fit(
        x, np.zeros(200_000), batch_size=128, steps_per_epoch=20, verbose=0, validation_data=(x[:64], np.zeros(64))
    )
    assert model.predict(x[:1000], verbose=0).shape == (1000, 1)


def test_a_sparse_matrix_is_one_batch():
    x = sparse_matrix(rows=40)
    y = x.toarray().sum(axis=1)
    found = []
    for rows in (x, x.toarray()):
        model = wide()
        value, gradients = model.value_and_grad(rows, y)
        found.append([value, *map(np.ndarray.tobytes, gradients), model.train_on_batch(rows, y)])
        found[-1].append(model.test_on_batch(rows, y))
    assert found[0] == found[1]
    batches = wide().fit(iter([(x, y)] * 2), verbose=0)
    assert batches.history == wide().fit(iter([(x.toarray(), y)] * 2), verbose=0).history


def test_sparse_errors():
    with pytest.raises(ValueError, match="y: expected 1000 rows as x has"):
        wide().fit(sparse_matrix(), np.zeros(9))


def test_pyarrow_and_polars_tables():
    for name in ("pyarrow", "polars", "pandas"):
        library = pytest.importorskip(name)
        columns = {f"c{i}": X[:, i] for i in range(6)}
        table = library.table(columns) if name == "pyarrow" else library.DataFrame(columns)
        target = library.table({"y": Y[:, 0]}) if name == "pyarrow" else library.DataFrame({"y": Y[:, 0]})
        model = network()
        history = model.fit(table, target, batch_size=16, epochs=3, shuffle=False, verbose=0).history
        same(model, history, expected())
        assert np.array_equal(model.predict(table, verbose=0), model.predict(X, verbose=0))


def test_a_torch_loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    model = network()
    history = model.fit(torch.utils.data.DataLoader(data, batch_size=16), epochs=3, verbose=0).history
    same(model, history, expected())


def test_memory_maps_are_read_in_place(tmp_path):
    path = tmp_path / "x.bin"
    mapped = np.memmap(path, np.float32, "w+", shape=X.shape)
    mapped[:] = X
    model = network()
    history = model.fit(np.memmap(path, np.float32, "r", shape=X.shape), Y, batch_size=16, epochs=3, shuffle=False,
                        verbose=0).history  # fmt: skip
    same(model, history, expected())


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("change", [-2, 3])
def test_a_data_set_may_have_other_lengths_in_later_epochs(shuffle, change):
    """As in Keras, each order is made of the batches that there are when it begins."""

    class Changing(Data):
        count = 4

        def __len__(self):
            return self.count

        def on_epoch_end(self):
            self.count += change

    data, held = Changing(10), Changing(10)
    model = network()
    model.fit(data, epochs=2, shuffle=shuffle, validation_data=held, verbose=0)
    assert model.optimizer.native.iterations == 4 + 4 + change
    assert sorted(data.asked[-(4 + change) :]) == list(range(4 + change))
    assert held.asked[-(4 + change) :] == list(range(4 + change))
