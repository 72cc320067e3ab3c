"""Models of branches, shared layers, several inputs and outputs: gradients, bits, training."""

from collections.abc import Callable

import numpy as np
import pytest

import lanewise as lw
from bounds import ALIKE, running
from functional_cases import RNG, Y1, Y2, A, B, W, compiled, two_by_two, two_by_two_loss
from lanewise import _core, layers
from lanewise.models import Functional, Model
from reference import same_bits


def test_gradients_equal_differences_of_the_float64_twin(isa: str) -> None:
    lw.utils.set_random_seed(5)
    model = compiled(two_by_two())
    weights = {w.path: w for w in model.weights}
    order = [f"{name}/{kind}" for name in ("wide", "shared", "hidden", "left", "right") for kind in ("kernel", "bias")]
    assert sorted(order) == sorted(weights)
    loss, gradients = model.value_and_grad([A, B], [Y1, Y2], {"right": W})
    values = [weights[path].numpy().astype(np.float64) for path in order]
    assert loss == pytest.approx(two_by_two_loss(values), rel=1e-6)
    by_path = {w.path: g for w, g in zip(model.trainable_weights, gradients, strict=True)}
    for i, path in enumerate(order):
        wanted = np.empty_like(values[i])
        for at in np.ndindex(wanted.shape):
            step = [v.copy() for v in values]
            step[i][at] += 1e-6
            up = two_by_two_loss(step)
            step[i][at] -= 2e-6
            wanted[at] = (up - two_by_two_loss(step)) / 2e-6
        assert by_path[path] == pytest.approx(wanted, rel=2e-4, abs=2e-6), path


def trained(model: Functional, fuse: bool, epochs: int = 2, second: np.ndarray = B) -> list[np.ndarray]:
    """Weights, predictions and sums after some steps of the engine's network, fused or not."""
    c, program = model._get_compiled("test"), model._ready([])
    targets = c.align("y", [Y1, Y2], program.output_shapes, lambda _, y: np.asarray(y))
    terms = c.terms(program, targets)
    network = _core.Network(
        program.builder.graph, program.outputs, terms.losses, terms.metrics,
        [w.variable for w in model.trainable_weights], fuse=fuse,
    )  # fmt: skip
    optimizer = _core.Optimizer("adam", learning_rate=0.01)
    order = _core.permutation(1, 0, len(A))
    sums = [network.train([A, second], targets, [None, W], order, 0, len(A), 32, optimizer, 5) for _ in range(epochs)]
    out = [np.empty((len(A), *shape), np.float32) for shape in program.output_shapes]
    network.predict([A, second], 0, len(A), out)
    return [*model.get_weights(), *out, *sums]


def test_fused_and_unfused_at_any_team_on_any_isa_give_the_same_bits() -> None:
    lw.utils.set_random_seed(5)
    start = two_by_two()
    results = []
    for isa in ALIKE:
        for threads in (1, 2, 3, 7):
            for fuse in (True, False):
                with running(isa, threads):
                    model = compiled(two_by_two())
                    model.set_weights(start.get_weights())
                    results.append(trained(model, fuse))
    for other in results[1:]:
        assert all(same_bits(x, y) for x, y in zip(results[0], other, strict=True))


def everything_together() -> Functional:
    """Embeddings, normalizations that look down and along rows, dropout, a parametric activation, a row product."""
    a, ids = lw.Input((5,), name="a"), lw.Input((1,), name="b", dtype="int32")
    known = layers.Flatten()(layers.Embedding(40, 6, name="known")(ids))
    h = layers.Concatenate()([layers.Dense(6, name="in")(a), known])
    h = layers.Activation("gelu")(layers.BatchNormalization(name="bn")(h))
    g = layers.Dense(12, activation="elu", name="mid")(layers.Dropout(0.3)(h))
    h = layers.LayerNormalization(name="ln")(layers.add([h, g]))
    h = layers.PReLU(name="pr")(h)
    near = layers.Dot(axes=1)([known, layers.Dense(6, name="to_known")(h)])
    return Model([a, ids], [layers.Dense(2, name="left")(layers.concatenate([h, near])),
                            layers.Dense(4, activation="softmax", name="right")(h)])  # fmt: skip


def test_every_kind_of_layer_in_one_graph_fused_or_not_at_any_team_on_any_isa() -> None:
    lw.utils.set_random_seed(6)
    start = everything_together().get_weights()
    ids = RNG.integers(0, 40, (70, 1)).astype(np.float32)
    results = []
    for isa in ALIKE:
        for threads in (1, 2, 7):
            for fuse in (True, False):
                with running(isa, threads):
                    model = compiled(everything_together())
                    model.set_weights(start)
                    results.append(trained(model, fuse, second=ids))
    for other in results[1:]:
        assert all(same_bits(x, y) for x, y in zip(results[0], other, strict=True))


def test_rows_are_predicted_alike_in_any_batch() -> None:
    model = two_by_two()
    whole = model.predict([A, B], verbose=0)
    assert [out.shape for out in whole] == [(70, 2), (70, 4)]
    for n in (1, 2, 7, 33):
        for part, all_rows in zip(model.predict_on_batch([A[:n], B[:n]]), whole, strict=True):
            assert same_bits(part, all_rows[:n])
    called = model([A, B])
    assert all(same_bits(x.numpy(), y) for x, y in zip(called, whole, strict=True))


# --- a graph whose gradients meet ------------------------------------------------------------------------------------


def test_a_penalty_on_a_branch_of_a_sum_stays_on_its_branch() -> None:
    """The gradient of a sum is one memory for both branches: a penalty on one must not reach the other."""
    lw.utils.set_random_seed(1)
    x = lw.Input((5,))
    one = layers.Dense(3, name="one", activity_regularizer=lw.regularizers.L2(0.1))(x)
    two = layers.Dense(3, name="two", activity_regularizer=lw.regularizers.L1(0.2))(x)
    model = Model(x, layers.add([one, two]))
    model.compile("sgd", "mse")
    y = RNG.standard_normal((70, 3)).astype(np.float32)
    _, gradients = model.value_and_grad(A, y)
    k1, b1, k2, b2 = (w.astype(np.float64) for w in model.get_weights())
    u, v = A @ k1 + b1, A @ k2 + b2
    common = 2 * (u + v - y) / y.size
    wanted = [common + 0.2 * u / 70, common + 0.2 * np.sign(v) / 70]
    for gradient, dy in zip(gradients[::2], wanted, strict=True):
        assert gradient == pytest.approx(A.T @ dy, rel=1e-4, abs=1e-6)


def test_a_tensor_added_to_itself_and_a_layer_used_three_times() -> None:
    x = lw.Input((5,))
    square = layers.Dense(5, use_bias=False, name="square")
    h = square(square(x))
    model = Model(x, square(layers.add([h, h])))
    assert len(model.layers) == 3 and len(model.weights) == 1
    k = model.get_weights()[0].astype(np.float64)
    assert model.predict(A, verbose=0) == pytest.approx(2 * A @ k @ k @ k, rel=1e-4, abs=1e-5)


def test_concatenation_along_any_axis_of_samples() -> None:
    x = RNG.standard_normal((6, 2, 3)).astype(np.float32)
    y = RNG.standard_normal((6, 4, 3)).astype(np.float32)
    assert same_bits(layers.Concatenate(axis=1)([x, y]), np.concatenate([x, y], 1))
    assert same_bits(layers.concatenate([x, x, x]), np.concatenate([x, x, x], 2))
    one, two = lw.Input((2, 3)), lw.Input((4, 3))
    joined = layers.Concatenate(axis=1)([one, layers.Dense(3, use_bias=False)(two)])
    model = Model([one, two], layers.Dense(1)(layers.Flatten()(joined)))
    assert model.layers[3].output_shape == (None, 6, 3)
    model.compile("sgd", "mse")
    target = np.ones((6, 1), np.float32)
    (_, (gradient, *_)) = model.value_and_grad([x, y], target)
    kernel, last, bias = (w.astype(np.float64) for w in model.get_weights())
    flat = np.concatenate([x, y @ kernel], 1).reshape(6, -1)
    back = 2 * (flat @ last + bias - 1) / 6 @ last.T
    assert gradient == pytest.approx(np.einsum("nij,nik->jk", y, back.reshape(6, 6, 3)[:, 2:]), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("add", lambda x, y, z: x + y + z), ("multiply", lambda x, y, z: x * y * z),
        ("maximum", lambda x, y, z: np.maximum(np.maximum(x, y), z)),
        ("minimum", lambda x, y, z: np.minimum(np.minimum(x, y), z)),
        ("average", lambda x, y, z: (x + y + z) * np.float32(1 / 3)),
    ],
)  # fmt: skip
def test_merging_functions_on_arrays(isa: str, name: str, function: Callable[..., np.ndarray]) -> None:
    for n in (1, 3, 15, 16, 17, 33, 97):
        x, y, z = RNG.standard_normal((3, 4, n)).astype(np.float32)
        y[0, 0] = np.nan
        z[1] = x[1]
        assert same_bits(getattr(layers, name)([x, y, z]), function(x, y, z))


# --- training --------------------------------------------------------------------------------------------------------


def test_names_and_values_of_logs_with_two_outputs() -> None:
    lw.utils.set_random_seed(2)
    model = compiled(two_by_two())
    names = ["loss", "left_loss", "right_loss", "left_mae", "right_accuracy", "right_weighted_accuracy"]
    assert model.metrics_names == names
    history = model.fit(
        {"a": A, "b": B},
        {"right": Y2, "left": Y1},
        sample_weight={"right": W},
        validation_split=0.3,
        verbose=0,
        epochs=2,
    )
    assert list(history.history) == [*sorted(names), *(f"val_{name}" for name in sorted(names))]
    values = model.evaluate([A, B], [Y1, Y2], sample_weight={"right": W}, verbose=0)
    left, right = (p.astype(np.float64) for p in model.predict([A, B], verbose=0))
    hits = right.argmax(1) == Y2
    right_loss = -(W * np.log(right[np.arange(70), Y2])).mean()
    mse = ((left - Y1) ** 2).mean()
    wanted = [0.5 * mse + 2 * right_loss, mse, right_loss, np.abs(left - Y1).mean(), hits.mean(),
              (W * hits).sum() / W.sum()]  # fmt: skip
    assert values == pytest.approx(wanted, rel=1e-5)
    assert model.evaluate([A, B], [Y1, Y2], sample_weight={"right": W}, verbose=0, return_dict=True) == dict(
        zip(names, values, strict=True)
    )


def test_one_loss_one_weight_array_and_lists_serve_all_outputs() -> None:
    x = lw.Input((5,))
    h = layers.Dense(4, activation="relu")(x)
    model = Model(x, [layers.Dense(1, name="p")(h), layers.Dense(2, name="q")(h)])
    model.compile("sgd", "mse", metrics=[["mae"], []])
    y = [A[:, 0], A[:, :2]]
    once = model.value_and_grad(A, y, W)
    twice = model.value_and_grad(A, {"p": y[0], "q": y[1]}, [W, W])
    assert once[0] == twice[0] and all(same_bits(g, f) for g, f in zip(once[1], twice[1], strict=True))
    assert model.metrics_names == ["loss", "p_loss", "q_loss", "p_mae"]
    model.compile("sgd", {"q": "mse"}, metrics={"p": ["mae"]})  # p is judged but not trained
    assert model.metrics_names == ["loss", "p_mae"]
    values = model.evaluate(A, y, verbose=0)
    p, q = model.predict(A, verbose=0)
    assert values == pytest.approx([((q - A[:, :2]) ** 2).mean(), np.abs(p[:, 0] - A[:, 0]).mean()], rel=1e-5)
    model.compile("sgd", {"q": "mse"})
    assert model.evaluate(A, {"q": y[1]}, verbose=0) == pytest.approx(values[0], rel=1e-6)
    assert model.evaluate(A, [y[1]], verbose=0) == pytest.approx(values[0], rel=1e-6)


def test_what_is_frozen_stays_and_a_nested_model_freezes_its_layers() -> None:
    base = lw.Sequential([lw.Input((5,)), layers.Dense(4, activation="relu"), layers.Dense(4)], name="base")
    x = lw.Input((5,))
    model = Model(x, layers.Dense(2, name="head")(base(x)))
    assert [len(model.weights), len(model.trainable_weights)] == [6, 6]
    base.trainable = False
    assert not any(layer.trainable for layer in base.layers)
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(A, Y1, verbose=0)
    after = model.get_weights()
    assert all(same_bits(before[i], after[i]) for i in range(4))
    assert not same_bits(before[4], after[4])
    assert [w.path for w in model.trainable_weights] == ["head/kernel", "head/bias"]
    base.layers[1].trainable = True  # as in Keras: base has nothing to train, the model around it has
    assert (len(base.trainable_weights), len(model.trainable_weights)) == (0, 4)
    base.trainable = True
    assert len(model.trainable_weights) == 6
    assert same_bits(base.predict(A, verbose=0), Model(x, base(x)).predict(A, verbose=0))


# --- golden losses ---------------------------------------------------------------------------------------------------


def spread(*shape: int, salt: int = 0) -> np.ndarray:
    n = np.arange(np.prod(shape))
    return (((n * 2654435761 + salt * 40503) % 1000) / 500 - 1).reshape(shape).astype(np.float32)


def test_the_losses_of_keras_for_a_wide_and_deep_network_with_two_outputs() -> None:
    """Made with Keras 3.15 on JAX by these very lines, `keras` in the place of `lw.keras`."""
    wide_x, deep_x = spread(96, 5, salt=1), spread(96, 4, salt=2)
    price = wide_x.sum(1, keepdims=True) * 0.5 + deep_x[:, :1]
    kind = (wide_x[:, 0] > 0).astype(int) + (deep_x[:, 1] > 0.2)
    keras, make = lw.keras, lw.keras.layers
    wide, deep = keras.Input((5,), name="wide"), keras.Input((4,), name="deep")
    hidden = make.Dense(8, activation="relu", name="h1")(deep)
    hidden = make.add([hidden, make.Dense(8, activation="tanh", name="h2")(hidden)], name="residual")
    joined = make.concatenate([wide, hidden], name="joined")
    outputs = [make.Dense(1, name="price")(joined), make.Dense(3, activation="softmax", name="kind")(joined)]
    model = keras.Model([wide, deep], outputs)
    model.set_weights([spread(*v.shape, salt=i + 3) * 0.5 for i, v in enumerate(model.get_weights())])
    model.compile(
        keras.optimizers.Adam(0.01), ["mse", "sparse_categorical_crossentropy"], loss_weights=[0.7, 1.3],
        metrics={"kind": ["accuracy"]},
    )  # fmt: skip
    history = model.fit([wide_x, deep_x], [price, kind], epochs=5, batch_size=16, shuffle=False, verbose=0).history
    golden = {
        "kind_accuracy": [0.28125, 0.4375, 0.4375, 0.479166657, 0.5],
        "kind_loss": [1.37036693, 1.19057024, 1.08585012, 1.01307929, 0.947506368],
        "loss": [2.44711566, 1.85789692, 1.64069176, 1.48875773, 1.33641565],
        "price_loss": [0.950912654, 0.443079561, 0.327266574, 0.245363772, 0.149510711],
    }
    assert list(history) == list(golden)
    for name, values in golden.items():
        assert history[name] == pytest.approx(values, rel=2e-5), name


def test_losses_of_a_dict_of_outputs_are_shown_in_the_order_of_the_dict_of_losses() -> None:
    x = lw.Input((5,))
    model = Model(x, {"p": layers.Dense(1)(x), "k": layers.Dense(1)(x)})
    model.compile("sgd", {"p": "mse", "k": "mae"})  # as Keras 3.15: outputs go by sorted keys, these losses as given
    assert model.output_names == ["k", "p"] and model.metrics_names == ["loss", "p_loss", "k_loss"]


def test_attributes_of_layers_count_from_the_next_compile_on():
    """As in Keras, where compile makes the step anew."""
    model = lw.Sequential([lw.Input((3,)), lw.layers.Dropout(0.9), lw.layers.Dense(2)])
    x = np.random.RandomState(0).rand(20, 3).astype("f")
    model.compile("sgd", "mse")
    model.fit(x, x[:, :2], verbose=0)
    before = model.predict(x, verbose=0)
    model.layers[0].rate = 0.0
    model.layers[1].activation = lw.activations.tanh
    model.compile("sgd", "mse")
    np.testing.assert_array_equal(model.predict(x, verbose=0), lw.ops.tanh_forward(before))
    np.testing.assert_array_equal(model(x, training=True), model.predict(x, verbose=0))


def test_layers_of_a_nested_model_come_and_go():
    inner = lw.Sequential([lw.Input((3,)), lw.layers.Dense(3)])
    inputs = lw.Input((3,))
    outers = [lw.Sequential([inner, lw.layers.Dense(2)]), lw.Model(inputs, lw.layers.Dense(2)(inner(inputs)))]
    x = np.random.RandomState(0).rand(20, 3).astype("f")
    for outer in outers:
        outer.compile("sgd", "mse")
        outer.fit(x, x[:, :2], verbose=0)
    first = [outer.predict(x, verbose=0) for outer in outers]
    inner.add(lw.layers.Dense(3, activation="relu"))
    for outer in outers:
        _, last = outer.layers[-2:]
        expected = np.asarray(inner.predict(x, verbose=0)) @ last.kernel.numpy() + last.bias.numpy()
        np.testing.assert_allclose(outer.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
        weights = outer.get_weights()
        assert len(weights) == 6
        outer.fit(x, x[:, :2], verbose=0)
        assert all((old != new).any() for old, new in zip(weights[:2], outer.get_weights(), strict=False))
    inner.pop()
    assert [outer.predict(x, verbose=0).shape for outer in outers] == [(20, 2), (20, 2)]
    assert all((outer.predict(x, verbose=0) != before).any() for outer, before in zip(outers, first, strict=True))
