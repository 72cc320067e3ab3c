"""The promise: the same bits at any number of threads, on every ISA with FMA, in any batch, on any machine."""

import functools
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

import lanewise as lw
import same_bits
from bounds import ALIKE, FMA_ISAS, running
from float_control import FLUSH, REACHABLE, control
from lanewise import _core

GOLDEN = json.loads((Path(__file__).parent / "golden" / "hashes.json").read_text())
needs_fma = pytest.mark.skipif(not FMA_ISAS, reason="this CPU has no FMA: it keeps tolerances, not bits")


@needs_fma
@pytest.mark.parametrize("name", same_bits.CASES)
@pytest.mark.parametrize("isa", FMA_ISAS)
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_training_equals_the_golden_hashes(name, isa, threads):
    with running(isa, threads):
        assert same_bits.run(name).hashes() == GOLDEN[name]


@needs_fma
@pytest.mark.parametrize("runs", [1, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1500)])])
def test_one_hash_of_every_way_to_run(runs, monkeypatch):
    """Each ISA, 1 thread to twice the cores, fused and unfused lists, another library's flush-to-zero, several runs;
    dropout is on in one of the networks, predictions are in it."""
    most = 2 * (os.cpu_count() or 1)
    counts = range(1, most + 1) if runs > 1 else (1, most)
    whole = _core.Network
    trainings = 0
    for fuse, flush in itertools.product((True, False), (False, REACHABLE)):
        monkeypatch.setattr(_core, "Network", functools.partial(whole, fuse=fuse))
        for name, isa, threads, _ in itertools.product(same_bits.CASES, FMA_ISAS, counts, range(runs)):
            with running(isa, threads), control(FLUSH if flush else 0):
                assert same_bits.run(name).hashes() == GOLDEN[name], (name, isa, threads, fuse, flush)
            trainings += 1
    print(f"{trainings} trainings: {len(GOLDEN)} hashes for {len(GOLDEN)} networks")
    with running("generic", 1):  # where a product and a sum are rounded apart: so a difference is seen
        assert same_bits.run("classes").hashes() != GOLDEN["classes"]


def test_golden_hashes_cover_every_case():
    assert GOLDEN.keys() == same_bits.CASES.keys()
    different = {hashes["weights"] for hashes in GOLDEN.values()}
    assert len(different) == len(GOLDEN)


def test_several_threads_do_run():
    from lanewise._core import Graph, Network, Variable

    graph = Graph()
    out = graph.add("matmul", [graph.input((1100,))], [Variable((1100, 64))])
    with running(threads=3):
        assert Network(graph, [out], [("mse", out, 0.0, 1.0)]).default_threads(32) == 3


def test_without_fma_the_tolerances_hold():
    with running("generic", 2):
        got = same_bits.run("classes")
    best = same_bits.run("classes")
    np.testing.assert_allclose(got.history["loss"], best.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(got.predictions, best.predictions, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", same_bits.CASES)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_row_is_predicted_alike_in_any_batch(name, threads):
    case = same_bits.CASES[name]
    x, y = same_bits.data(case)
    model = same_bits.model_of(case)
    model.fit(x, y, verbose=0)
    with running(threads=threads):
        whole = model.predict(x, verbose=0)
        row_by_row = np.concatenate([model.predict(x[i : i + 1], verbose=0) for i in range(len(x))])
        in_parts = np.concatenate([model.predict(part, verbose=0) for part in np.array_split(x, 13)])
        backwards = model.predict(x[::-1], verbose=0)[::-1]
        called = np.concatenate([model(x[i : i + 7]).numpy() for i in range(0, len(x), 7)])
        many = model.predict(np.concatenate([x] * 40), verbose=0)
        shown = [model.predict(x, batch_size=size, verbose=0).tobytes() for size in (1, 7, 256, 1000)]
    assert whole.tobytes() == row_by_row.tobytes() == in_parts.tobytes() == backwards.tobytes() == called.tobytes()
    assert many.tobytes() == 40 * whole.tobytes()
    assert set(shown) == {whole.tobytes()}
    assert whole.std() > 0


def test_progress_and_hooks_leave_no_trace(capsys):
    """However an epoch is cut into slices: whole, batch by batch, or as the pace has learnt."""
    case = same_bits.CASES["classes"]
    x, y = same_bits.data(case)

    class EachBatch(lw.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    results = set()
    for arguments in ({"verbose": 0}, {"verbose": 1}, {"verbose": 0, "callbacks": [EachBatch()]}):
        model = same_bits.model_of(case)
        history = model.fit(x, y, epochs=4, **arguments).history
        results.add((lw.fingerprint(model), str(history)))
    assert len(results) == 1
    assert "Epoch 4/4" in capsys.readouterr().out


@pytest.mark.skipif(lw.active_isa() == "generic", reason="golden hashes are promised on ISAs with FMA")
def test_another_seed_is_another_network():
    case = same_bits.CASES["classes"]
    x, y = same_bits.data(case)
    model = same_bits.model_of(case)
    lw.random.set_seed(21)
    model.fit(x, y, epochs=3, batch_size=32, validation_split=0.2, verbose=0)
    assert same_bits.run("classes").hashes()["weights"] == GOLDEN["classes"]["weights"]
    golden = same_bits.run("classes").weights
    assert not any(np.array_equal(a, b) for a, b in zip(model.get_weights(), golden, strict=True))


def test_nan_stands_in_the_same_places():
    case = same_bits.CASES["classes"]
    x, _ = same_bits.data(case)
    x[5, 3], x[100, 0] = np.nan, np.inf
    model = same_bits.model_of(case)
    places = set()
    for isa in ALIKE:
        for threads in (1, 3):
            with running(isa, threads):
                out = model.predict(x, verbose=0)
            places.add(np.isnan(out).tobytes())
            assert np.isnan(out[5]).all()
            assert not np.isnan(np.delete(out, [5, 100], axis=0)).any()
    assert len(places) == 1
