"""The engine through its own door: fusion, barriers, gradients, memory, threads of Python's."""

import itertools
import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import lanewise._core as core
from bounds import ALIKE, floats, running, same_bits
from lanewise import keras, ops
from limits import SLOWER


def chain(widths, activations, loss="mse", fuse=True, rules=True, dropout=0.0):
    """A network over fresh variables; the same values every time."""
    rng = np.random.default_rng(0)
    graph, variables = core.Graph(), []
    value = graph.input(widths[:1])
    for k, n, activation in zip(widths, widths[1:], activations, strict=False):
        kernel, bias = core.Variable((k, n)), core.Variable((n,))
        kernel.set(floats(rng, k, n) / np.float32(np.sqrt(k)))
        variables += [kernel, bias]
        value = graph.add("bias_add", [graph.add("matmul", [value], [kernel])], [bias])
        logits = value
        value = graph.add(activation, [value])
        if dropout:
            value = graph.add("dropout", [value], rate=dropout)
    sparse = loss.startswith("sparse")
    network = core.Network(
        graph,
        [value],
        [(loss, logits if sparse else value, 0.0, 1.0)],
        [("sparse_categorical_accuracy" if sparse else "mae", value, 0.0, 0, False)],
        variables,
        [(variables[0], 1e-3, 1e-2)] if rules else [],
        [(variables[0], "norm", 0.2, 0.9, 0.5)] if rules else [],
        fuse,
    )
    return network, variables


def trained(network, variables, optimizer, x, y, batch=32):
    order = core.permutation(1, 0, len(x))
    sums = [network.train([x], [y], None, order, 0, len(x), batch, optimizer, 5) for _ in range(3)]
    out = np.empty((len(x), variables[-1].shape[0]), np.float32)
    network.predict([x], 0, len(x), [out])
    return np.concatenate(sums).tobytes() + b"".join(v.get().tobytes() for v in variables) + out.tobytes()


NETWORKS = {
    "flagship": ([100, 128, 1], ["relu", "linear"], "mse", 0.0),
    "deep": ([33, 70, 40, 33, 6], ["tanh", "sigmoid", "relu", "softmax"], "sparse_categorical_crossentropy", 0.0),
    "dropout": ([20, 64, 96, 3], ["relu", "tanh", "linear"], "mse", 0.3),
    "narrow": ([5, 1, 2, 1], ["relu", "tanh", "linear"], "mse", 0.0),
    "wide": ([600, 300, 10], ["relu", "softmax"], "sparse_categorical_crossentropy", 0.1),
    "tails": ([300, 520, 520, 1], ["relu", "tanh", "linear"], "mse", 0.0),
}
OPTIMIZERS = [
    ("adam", {}),
    ("adam", {"weight_decay": 0.01, "clipvalue": 0.01}),
    ("sgd", {"momentum": 0.9, "nesterov": 1.0, "clipnorm": 0.5}),
    ("rmsprop", {"global_clipnorm": 0.5, "centered": 1.0, "momentum": 0.5}),
]


@pytest.mark.parametrize("batch", [32, 128])  # whose threads share columns, and rows where the layers are narrower
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("optimizer", "hyper"), OPTIMIZERS)
def test_fused_and_unfused_at_any_team_give_the_same_bits(name, optimizer, hyper, batch):
    widths, activations, loss, dropout = NETWORKS[name]
    rng = np.random.default_rng(1)
    x = floats(rng, 150, widths[0])
    y = rng.integers(0, widths[-1], 150) if loss.startswith("sparse") else floats(rng, 150, widths[-1])
    results = set()
    for isa in ALIKE[:2]:
        for threads in (1, 2, 3, 7):
            for fuse in (True, False):
                with running(isa, threads):
                    network, variables = chain(widths, activations, loss, fuse, True, dropout)
                    results.add(trained(network, variables, core.Optimizer(optimizer, **hyper), x, y, batch))
    assert len(results) == 1


def test_the_lists_show_what_was_fused():
    fused = chain([100, 128, 1], ["relu", "linear"], rules=False)[0].instructions("train")
    unfused = chain([100, 128, 1], ["relu", "linear"], rules=False, fuse=False)[0].instructions("train")
    assert sum("dense" in line for line in fused) == 2
    assert sum("+ update" in line for line in fused) == 4
    assert any("matmul_dx" in line and "relu" in line for line in fused)
    assert not any("update" in line.split()[0] for line in fused)
    assert not any("dense" in line or "+ update" in line for line in unfused)
    clipped = chain([100, 128, 1], ["relu", "linear"], rules=False)[0].instructions("train_clipped")
    assert not any("+ update" in line for line in clipped)
    first_layer = [line for line in fused if "matmul_dx" in line]
    assert len(first_layer) == 1  # the gradient of the input is never computed


def test_rows_within_samples_wait_for_the_gathered_batch():
    """5 samples of 3 rows, 2 threads: the batch is gathered as 3 + 2 samples, the first operation takes 8 + 7 rows."""
    graph, mean, std = core.Graph(), core.Variable((4,)), core.Variable((4,))
    value = graph.add("normalize", [graph.input([3, 4])], [mean, std])
    network = core.Network(graph, [value], [("mse", value, 0.0, 1.0)])
    before = ops.get_num_threads()
    ops.set_num_threads(2)
    try:
        lines = network.instructions("evaluate")
    finally:
        ops.set_num_threads(before)
    assert lines[0].startswith("| normalize")
    graph = core.Graph()
    value = graph.add("normalize", [graph.input([4])], [mean, std])
    assert not core.Network(graph, [value]).instructions("evaluate")[0].startswith("|")  # one row each: the same shares


def weights_after(x, batch_size, threads):
    keras.utils.set_random_seed(3)
    wide, narrow = keras.Input((1000,)), keras.Input((5,))
    h = keras.layers.Dense(64, activation="relu")(wide)
    model = keras.Model([wide, narrow], keras.layers.Dense(1)(keras.layers.Concatenate()([h, narrow])))
    model.compile("adam", "mse")
    with running(threads=threads):
        model.fit([x, x[:, :5]], x[:, 5], epochs=2, batch_size=batch_size, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("batch_size", [64, 130, 131])  # the inputs of 130 samples are 130,650 floats, of 131: 131,655
def test_threads_that_gather_for_themselves_and_those_that_share_the_work(batch_size):
    x = floats(np.random.default_rng(1), 300, 1000)
    one = weights_after(x, batch_size, 1)
    for threads in (2, 3, 7):
        for a, b in zip(one, weights_after(x, batch_size, threads), strict=True):
            assert same_bits(a, b)
    for layout in (np.asfortranarray(x), x.astype(np.float64), np.repeat(x, 2, axis=1)[:, ::2]):
        for a, b in zip(one, weights_after(layout, batch_size, 2), strict=True):
            assert same_bits(a, b)


@pytest.mark.parametrize("widths", [(8, 64, 1), (8, 40, 64, 1)])
def test_a_network_whose_team_changes(widths):
    """Two threads gather the batch each for itself, three share it: memory that is kept serves both."""
    rng = np.random.default_rng(1)
    x, y = floats(rng, 64, widths[0]), floats(rng, 64, 1)

    def after(teams):
        network, variables = chain(widths, ["relu"] * (len(widths) - 2) + ["linear"])
        optimizer = core.Optimizer("adam")
        sums = []
        for threads in teams:
            with running(threads=threads):
                sums.append(network.train([x], [y], None, None, 0, 64, 32, optimizer, 5))
                sums.append(network.evaluate([x], [y], None, 0, 64, 32))
        return b"".join(a.tobytes() for a in [*sums, *(v.get() for v in variables)])

    assert after([1] * 6) == after([3, 2, 3, 2, 2, 3])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_smaller_last_batch_that_goes_another_way(threads):
    """The rows of dY, 1024 x 4096, come from memory and meet 16 of X^T at once; 1000 go by tiles, in more scratch."""
    rng = np.random.default_rng(1)
    x, y = floats(rng, 5096, 16), floats(rng, 5096, 1)

    def after(slices):
        network, variables = chain([16, 4096, 1], ["tanh", "linear"], rules=False)
        optimizer = core.Optimizer("sgd")
        with running(threads=threads):
            for start, stop in slices:
                network.train([x], [y], None, None, start, stop, 1024, optimizer, 5)
        return b"".join(v.get().tobytes() for v in variables)

    assert after([(0, 5096)]) == after([(0, 4096), (4096, 5096)])


def test_a_team_that_comes_out_smaller_than_asked_for():
    # 96 columns are shared out among three threads, rows among two
    code = """
import numpy as np
from bounds import floats, running, same_bits
from lanewise import keras

x = floats(np.random.default_rng(1), 300, 1000)

def weights(threads):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(96, "relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with running(threads=threads):
        model.fit(x, x[:, 5], epochs=2, batch_size=64, verbose=0)
    return model.get_weights()

print(all(same_bits(a, b) for a, b in zip(weights(1), weights(3), strict=True)))
"""
    for limit in ({}, {"OMP_THREAD_LIMIT": "2"}):
        env = {**os.environ, **limit, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60 * SLOWER)
        assert done.stdout == "True\n", done.stderr


def test_branches_that_meet_before_a_reshape():
    """The gradient of a value that goes on as it is and reshaped: both parts are added in the value's own shape."""
    rng = np.random.default_rng(5)
    w0, x, y = floats(rng, 3, 3), floats(rng, 7, 2, 3), floats(rng, 7, 6)
    graph, w = core.Graph(), core.Variable((3, 3))
    w.set(w0)
    value = graph.add("matmul", [graph.input([2, 3])], [w])
    flat = graph.add("reshape", [value])
    losses = [("mse", flat, 0.0, 1.0), ("mse", value, 0.0, 1.0)]
    network = core.Network(graph, [flat, value], losses, trainable=[w])
    _, (gradient,) = network.value_and_grad([x], [y, y.reshape(7, 2, 3)], None, True, 0, 0)
    a = x.reshape(14, 3).astype(np.float64)
    residual = a @ w0 - y.reshape(14, 3)
    assert gradient == pytest.approx(2 * 2 * a.T @ residual / residual.size, rel=1e-5)


def test_fusion_sees_through_a_reshape():
    """matmul's result is also an output, reshaped: bias and matmul must not become one."""
    results = []
    for fuse in (False, True):
        graph, w, b = core.Graph(), core.Variable((3, 4)), core.Variable((4,))
        w.set(np.ones((3, 4), np.float32))
        b.set(np.full(4, 10, np.float32))
        value = graph.add("matmul", [graph.input([2, 3])], [w])
        outputs = [graph.add("reshape", [value]), graph.add("bias_add", [value], [b])]
        results.append(core.Network(graph, outputs, fuse=fuse).call([np.ones((5, 2, 3), np.float32)], False, 0, 0))
    assert (results[1][0] == 3).all()
    assert all(same_bits(a, b) for a, b in zip(*results, strict=True))


def test_two_regularizers_of_one_variable():
    weights = []
    for fuse in (False, True):
        graph, w = core.Graph(), core.Variable((3, 4))
        w.set(np.arange(12, dtype=np.float32).reshape(3, 4))
        value = graph.add("matmul", [graph.input([3])], [w])
        rules = [(w, 0.0, 0.5), (w, 0.25, 0.0)]
        network = core.Network(graph, [value], [("mse", value, 0.0, 1.0)], [], [w], rules, fuse=fuse)
        x, y = np.ones((8, 3), np.float32), np.ones((8, 4), np.float32)
        network.train([x], [y], None, None, 0, 8, 8, core.Optimizer("sgd", learning_rate=0.1), 1)
        weights.append(w.get())
    assert same_bits(*weights)


def test_what_a_network_cannot_be_asked():
    graph, w, v = core.Graph(), core.Variable((4, 1)), core.Variable((4, 64))
    x, y = np.ones((8, 4), np.float32), np.ones((8, 1), np.float32)
    value = graph.input([4])
    one, many = graph.add("matmul", [value], [w]), graph.add("matmul", [value], [v])
    with pytest.raises(ValueError, match="metrics: 'mse' is given a value of another shape than its target"):
        core.Network(graph, [one], [("mse", one, 0.0, 1.0)], [("mse", many, 0.0, 0, False)])
    with pytest.raises(ValueError, match="sample_weight: expected a network with a loss"):
        core.Network(graph, [one]).evaluate([x], [], np.ones(8, np.float32), 0, 8, 8)
    network = core.Network(graph, [one], [("mse", one, 0.0, 1.0)], trainable=[w])
    with pytest.raises(ValueError, match="x: expected at least one row"):
        network.value_and_grad([x[:0]], [y[:0]], None, True, 0, 0)
    optimizer = core.Optimizer("sgd")
    network.train([x], [y], None, None, 0, 8, 8, optimizer, 1)
    with pytest.raises(ValueError, match="momentum: expected a value with the same slots"):
        optimizer.set("momentum", 0.9)  # a slot that training would not have
    assert optimizer.get("momentum") == 0
    optimizer.set("learning_rate", 0.5)


def test_a_variable_used_twice_collects_both_gradients():
    rng = np.random.default_rng(2)
    w0, x, y = floats(rng, 6, 6) / 3, floats(rng, 20, 6), floats(rng, 20, 6)
    graph, w = core.Graph(), core.Variable((6, 6))
    w.set(w0)
    value = graph.add("matmul", [graph.add("tanh", [graph.add("matmul", [graph.input([6])], [w])])], [w])
    network = core.Network(graph, [value], [("mse", value, 0.0, 1.0)], trainable=[w])
    assert not any("+ update" in line for line in network.instructions("train"))
    sums, (gradient,) = network.value_and_grad([x], [y], None, True, 0, 0)

    def loss(m):
        return np.mean((np.tanh(x.astype(np.float64) @ m) @ m - y) ** 2)

    assert sums[1] / sums[0] == pytest.approx(loss(w0.astype(np.float64)), rel=1e-6)
    for i, j in [(0, 0), (3, 5), (5, 2)]:
        step = np.zeros((6, 6))
        step[i, j] = 1e-6
        assert gradient[i, j] == pytest.approx((loss(w0 + step) - loss(w0 - step)) / 2e-6, rel=1e-4, abs=1e-6)


def test_slices_of_an_epoch_leave_no_trace_in_the_weights():
    rng = np.random.default_rng(3)
    x, y = floats(rng, 200, 100), floats(rng, 200, 1)
    weights = []
    for cuts in ([0, 200], [0, 32, 64, 160, 200], [0, 96, 200]):
        network, variables = chain([100, 128, 1], ["relu", "linear"], dropout=0.2)
        optimizer = core.Optimizer("adam")
        for start, stop in itertools.pairwise(cuts):
            network.train([x], [y], None, None, start, stop, 32, optimizer, 5)
        weights.append(b"".join(v.get().tobytes() for v in variables))
    assert len(set(weights)) == 1


def test_bad_calls_change_nothing():
    rng = np.random.default_rng(4)
    network, variables = chain([8, 40, 3], ["relu", "softmax"], "sparse_categorical_crossentropy")
    optimizer, x, y = core.Optimizer("adam"), floats(rng, 10, 8), np.arange(10) % 3
    before = [v.get() for v in variables]
    bad_y = y.copy()
    bad_y[7] = 3
    order = np.arange(10, dtype=np.uint32)
    order[4] = 10
    for args, match in [
        (([x], [bad_y], None, None, 0, 10, 4), "labels from 0 to 2"),
        (([x], [-y], None, None, 0, 10, 4), "labels from 0 to 2"),
        (([x], [y], None, order, 0, 10, 4), "row numbers below 10"),
        (([x[:, :7]], [y], None, None, 0, 10, 4), "expected 8 values a row"),
        (([x], [y[:9]], None, None, 0, 10, 4), "expected 10 rows"),
        (([x], [y], None, None, 0, 11, 4), "within the 10 rows"),
        (([x], [y], None, None, 0, 10, 0), "batch_size"),
        (([x], [y], np.ones(9, np.float32), None, 0, 10, 4), "sample_weight"),
    ]:
        with pytest.raises(ValueError, match=match):
            network.train(*args, optimizer, 0)
    with pytest.raises(TypeError, match="expected numbers"):
        network.train([x.astype(object)], [y], None, None, 0, 10, 4, optimizer, 0)
    assert optimizer.iterations == 0
    assert all(same_bits(a, v.get()) for a, v in zip(before, variables, strict=True))


def test_memory_beyond_the_users_arrays():
    network, _ = chain([1000, 128, 1], ["relu", "linear"])
    assert network.memory(32) <= 4 * 32 * (1000 + 4 * 128 + 16) + 2**20  # a few batches and scratch
    x = np.random.default_rng(5).standard_normal((20000, 300))  # float64, 48 MB
    model = keras.Sequential([keras.layers.Dense(8, input_shape=(300,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    tracemalloc.start()
    model.fit(x, x[:, 0], verbose=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_second_fit_is_refused_and_predict_goes_on():
    x, y = floats(np.random.default_rng(7), 2000, 50), np.zeros(2000, np.float32)
    model = keras.Sequential([keras.layers.Dense(200, input_shape=(50,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    started = threading.Event()
    stop = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: started.set())
    thread = threading.Thread(target=lambda: model.fit(x, y, epochs=200, verbose=0, callbacks=[stop]))
    thread.start()
    started.wait(20)
    with pytest.raises(RuntimeError, match="fit"):
        model.fit(x, y, verbose=0)
    assert model.predict(x[:5], verbose=0).shape == (5, 1)
    model.stop_training = True
    thread.join(60)
    assert not thread.is_alive()


def run_python(code, **environment):
    command, env = [sys.executable, "-c", code], {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOWER, env=env)


def test_isas_and_threads_by_environment_and_by_call():
    assert ops.active_isa() in ops.available_isas()
    assert set(ops.available_isas()) <= set(ops.compiled_isas())
    show = "from lanewise import ops; print(ops.active_isa(), ops.get_num_threads())"
    assert run_python(show, LANEWISE_ISA="generic", OMP_NUM_THREADS="3").stdout.split() == ["generic", "3"]
    failed = run_python(show, LANEWISE_ISA="avx9000")
    assert failed.returncode != 0
    assert "LANEWISE_ISA" in failed.stderr
    assert "avx9000" in failed.stderr
    with pytest.raises(ValueError, match=r"Unknown ISA.*generic.*sse9"):
        ops.use_isa("sse9")
    for n in (0, -3):
        with pytest.raises(ValueError, match="expected 1 to 1024 threads"):
            ops.set_num_threads(n)
    info = ops.build_info()
    assert {"version", "compiler", "thread_runtime", "isas_compiled", "isa", "threads", "cpu"} <= set(info)


def test_random_streams():
    u = ops.random_uniform(0, 0, 0, 0, 2)  # the published words of Philox4x32-10 for a key and counter of zero
    assert u[0] == ((0x6627E8D5 << 21) | (0xE169C58D >> 11)) / 2**53
    assert u[1] == ((0xBC57AC4C << 21) | (0x9B00DBD8 >> 11)) / 2**53
    many = ops.random_uniform(7, 1, 2, 3, 100001)
    assert np.array_equal(many[:50], ops.random_uniform(7, 1, 2, 3, 50))
    assert 0 <= many.min() < many.max() < 1
    assert many.mean() == pytest.approx(0.5, abs=0.005)
    normal = ops.random_normal(7, 1, 2, 3, 100001)
    assert [normal.mean(), normal.std()] == pytest.approx([0, 1], abs=0.01)
    cut = ops.random_normal(7, 1, 2, 3, 100001, -2.0, 2.0)
    assert np.abs(cut).max() <= 2
    assert cut.std() == pytest.approx(0.8796, abs=0.01)
    kept = np.abs(normal) <= 2
    assert np.array_equal(cut[kept], normal[kept])
    first = [ops.permutation(1, step, 1000) for step in range(2)]
    assert all(np.array_equal(np.sort(p), np.arange(1000)) for p in first)
    assert not np.array_equal(*first)
    places = np.bincount([int(ops.permutation(3, step, 5)[0]) for step in range(2000)], minlength=5)
    assert np.all(np.abs(places - 400) < 90)
