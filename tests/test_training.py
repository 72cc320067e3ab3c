"""Training against hand-worked numbers and against the float64 twin."""

import numpy as np
import pytest

import lanewise as lw
import twin
from lanewise import ops
from lanewise.callbacks import EarlyStopping
from lanewise.layers import Dense
from lanewise.optimizers import SGD, Adam, RMSprop

RNG = np.random.default_rng(7)
X = RNG.standard_normal((70, 5)).astype(np.float32)
Y = (np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3]).astype(np.float32)


def two_layers(activation="tanh", outputs=1, **kwargs):
    lw.random.set_seed(11)
    return lw.Sequential([Dense(6, activation, input_shape=(5,), **kwargs), Dense(outputs)])


def twin_of(model, activation="tanh", l2=0.0):
    k1, b1, k2, b2 = model.get_weights()
    return [twin.Dense(k1, b1, activation, l2=l2), twin.Dense(k2, b2)]


def losses_of(model, x=X, y=Y, **kwargs):
    return model.fit(x, y, verbose=0, **kwargs).history["loss"]


# --- the textbook neuron ----

# Raw inputs (20, 3), (40, 5), (30, 4): means 30 and 4; with deviations 10 and 1 they become (-1, -1), (1, 1), (0, 0).
RAW = np.array([[20, 3], [40, 5], [30, 4]], np.float32)
NEURON_X = np.array([[-1, -1], [1, 1], [0, 0]], np.float32)
NEURON_TARGET = np.array([1.0, 3.0, -1.0], np.float32)

# By hand, with w = (0.5, 0.25), b = 1 and eta = 0.25, one row a step:
#   row 1: z = -0.5 - 0.25 + 1 = 0.25, y = 0.25, error = -0.75; w = (0.5 - 0.1875, 0.25 - 0.1875), b = 1 + 0.1875
#   row 2: z = 0.3125 + 0.0625 + 1.1875 = 1.5625, error = -1.4375, step 0.359375
#   row 3: z = b = 1.546875, error = 2.546875, the inputs are 0, so only b moves: by -0.63671875
NEURON_STEPS = [
    ([0.3125, 0.0625], 1.1875),
    ([0.671875, 0.421875], 1.546875),
    ([0.671875, 0.421875], 0.91015625),
]


def test_neuron_standardises_its_inputs():
    standardise = lw.layers.Normalization(mean=[30, 4], variance=[100, 1])
    np.testing.assert_array_equal(standardise(RAW), NEURON_X)
    adapted = lw.layers.Normalization()
    adapted.adapt(RAW)  # the deviation of the population: sqrt(200/3) and sqrt(2/3)
    np.testing.assert_allclose(adapted(RAW), NEURON_X * np.sqrt(1.5), rtol=3e-7)


def test_neuron_by_ops_alone():
    w, b = np.array([[0.5], [0.25]], np.float32), np.array([1.0], np.float32)
    for x, target, (w_after, b_after) in zip(NEURON_X, NEURON_TARGET, NEURON_STEPS, strict=True):
        x = x[None]
        y = ops.dense_forward(x, w, b, "relu")
        error = y - target
        _, dw, db = ops.dense_backward(error, x, w, y, "relu")
        ops.sgd_step(w, dw, learning_rate=0.25)
        ops.sgd_step(b, db, learning_rate=0.25)
        assert w[:, 0].tolist() == w_after
        assert b.tolist() == [b_after]


def test_neuron_by_sequential():
    model = lw.Sequential([Dense(1, "relu", input_shape=(2,))])
    model.set_weights([[[0.5], [0.25]], [1.0]])
    model.compile(SGD(0.125), "mse")  # the gradient of (y - t)**2 is 2 (y - t): half the rate is the same update
    for x, target, (w_after, b_after) in zip(NEURON_X, NEURON_TARGET, NEURON_STEPS, strict=True):
        model.fit(x[None], target[None], verbose=0)
        kernel, bias = model.get_weights()
        assert kernel[:, 0].tolist() == w_after
        assert bias.tolist() == [b_after]


def test_neuron_in_one_epoch_with_standardised_inputs():
    standardise = lw.layers.Normalization(mean=[30, 4], variance=[100, 1])
    model = lw.Sequential([lw.Input((2,)), standardise, Dense(1, "relu")])
    model.layers[1].set_weights([[[0.5], [0.25]], [1.0]])
    model.compile(SGD(0.125), "mse")
    history = model.fit(RAW, NEURON_TARGET, batch_size=1, shuffle=False, verbose=0)
    kernel, bias = model.layers[1].get_weights()
    assert (kernel[:, 0].tolist(), bias.tolist()) == (NEURON_STEPS[-1][0], [NEURON_STEPS[-1][1]])
    squares = 0.75**2 + 1.4375**2 + 2.546875**2
    assert history.history["loss"] == [pytest.approx(squares / 3, rel=1e-7)]


def test_neuron_that_is_off_does_not_move():
    model = lw.Sequential([Dense(1, "relu", input_shape=(2,))])
    model.set_weights([[[-1.0], [-1.0]], [-0.5]])
    model.compile(SGD(0.125), "mse")
    model.fit(NEURON_X[1:], NEURON_TARGET[1:], verbose=0)  # z = -2.5 and -0.5
    kernel, bias = model.get_weights()
    assert (kernel[:, 0].tolist(), bias.tolist()) == ([-1.0, -1.0], [-0.5])


# --- optimizers ----

OPTIMIZERS = [
    (SGD, {"learning_rate": 0.1}),
    (SGD, {"learning_rate": 0.1, "momentum": 0.9}),
    (SGD, {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD, {"learning_rate": 0.1, "weight_decay": 0.1}),
    (SGD, {"learning_rate": 0.1, "clipnorm": 0.05}),
    (SGD, {"learning_rate": 0.1, "global_clipnorm": 0.05}),
    (SGD, {"learning_rate": 0.1, "clipvalue": 0.02}),
    (Adam, {}),
    (Adam, {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
    (Adam, {"learning_rate": 0.01, "global_clipnorm": 0.05, "weight_decay": 0.01}),
    (RMSprop, {}),
    (RMSprop, {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.7, "epsilon": 1e-3}),
    (RMSprop, {"learning_rate": 0.01, "momentum": 0.7, "centered": True, "epsilon": 1e-3}),
]


@pytest.mark.parametrize(("optimizer", "hyper"), OPTIMIZERS)
def test_three_golden_steps(optimizer, hyper):
    model = two_layers()
    layers = twin_of(model)
    model.compile(optimizer(**hyper), "mse")
    golden = getattr(twin, optimizer.__name__)(**hyper)
    for _ in range(3):
        before = [w.copy() for w in twin.weights_of(layers)]
        expected = twin.train(layers, "mse", golden, X, Y, batch_size=70)
        assert losses_of(model, batch_size=70) == [pytest.approx(expected[0], rel=1e-6)]
        for got, want, old in zip(model.get_weights(), twin.weights_of(layers), before, strict=True):
            assert np.abs(want - old).max() > 1e-4  # the step is far above the tolerance
            # a coordinate whose gradient is rounding noise may take an RMSprop or Adam step in either direction
            np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)


def test_adam_by_hand():
    # w = 1, x = 1, target 0: g = 2. m = 0.2, v = 0.004; rate = lr sqrt(0.001)/0.1; step = rate * 0.2/sqrt(0.004) = lr.
    model = lw.Sequential([Dense(1, use_bias=False, input_shape=(1,))])
    model.set_weights([[[1.0]]])
    model.compile(Adam(0.125), "mse")
    model.fit([[1.0]], [0.0], verbose=0)
    assert model.get_weights()[0].item() == pytest.approx(0.875, rel=1e-6)


def test_rmsprop_by_hand():
    # g = 2, v = 0.1 * 4; step = lr * 2/sqrt(0.4)
    model = lw.Sequential([Dense(1, use_bias=False, input_shape=(1,))])
    model.set_weights([[[1.0]]])
    model.compile(RMSprop(0.125), "mse")
    model.fit([[1.0]], [0.0], verbose=0)
    assert model.get_weights()[0].item() == pytest.approx(1 - 0.25 / np.sqrt(0.4), rel=1e-6)


# --- loss curves ----


# RMSprop multiplies a gradient near 0, rounding included, by rate/sqrt(1e-7): its rate is kept where that is stable.
@pytest.mark.parametrize(("optimizer", "rate"), [("SGD", 0.05), ("Adam", 0.005), ("RMSprop", 0.001)])
def test_loss_curve_is_the_twins(optimizer, rate):
    model = two_layers("tanh", kernel_regularizer=lw.regularizers.L2(1e-3))
    layers = twin_of(model, "tanh", l2=1e-3)
    model.compile(getattr(lw.optimizers, optimizer)(learning_rate=rate), "mse")
    golden = getattr(twin, optimizer)(learning_rate=rate)
    steps = [losses_of(model, batch_size=70)[0] for _ in range(100)]
    np.testing.assert_allclose(steps, twin.train(layers, "mse", golden, X, Y, 70, epochs=100), rtol=1e-5)
    assert steps[-1] < steps[0]


@pytest.mark.parametrize(
    ("activation", "loss", "outputs"),
    [
        ("sigmoid", "binary_crossentropy", 2),
        ("softmax", "categorical_crossentropy", 3),
        ("softmax", "sparse_categorical_crossentropy", 3),
        (None, "mae", 2),
        (None, "huber", 2),
    ],
)
def test_loss_curve_of_mini_batches(activation, loss, outputs):
    lw.random.set_seed(5)
    model = lw.Sequential([Dense(8, "relu", input_shape=(5,)), Dense(outputs, activation)])
    k1, b1, k2, b2 = model.get_weights()
    layers = [twin.Dense(k1, b1, "relu"), twin.Dense(k2, b2)]  # the twin's cross-entropies take logits
    labels = np.argmax(X[:, :outputs], axis=1)
    y = {"sparse_categorical_crossentropy": labels, "mae": X[:, :2], "huber": X[:, :2]}.get(
        loss, np.eye(outputs)[labels]
    )
    model.compile(SGD(0.05), loss)
    expected = twin.train(layers, loss, twin.SGD(0.05), X, y, batch_size=16, epochs=20)
    got = losses_of(model, X, y, batch_size=16, epochs=20, shuffle=False)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_shuffled_training_follows_the_permutation():
    model = two_layers()
    layers = twin_of(model)
    model.compile(SGD(0.05), "mse")
    got = losses_of(model, batch_size=16, epochs=3)
    seed = int(model.optimizer_state()["seed"])
    orders = [ops.permutation(seed, epoch, len(X)) for epoch in range(3)]
    assert len({order.tobytes() for order in orders}) == 3
    np.testing.assert_allclose(got, twin.train(layers, "mse", twin.SGD(0.05), X, Y, 16, 3, orders), rtol=1e-5)


def test_dropout_training_follows_the_masks():
    lw.random.set_seed(2)
    model = lw.Sequential([lw.layers.Dropout(0.5, input_shape=(5,)), Dense(1)])
    model.compile(SGD(0.05), "mse")
    x = np.abs(X) + 1  # no zero of its own
    masks, weights = [], []
    for _ in range(4):  # the gradient of the kernel tells which inputs were kept: one row a step
        weights.append(model.get_weights())
        row = len(masks)
        _, gradients = model.value_and_grad(x[row : row + 1], Y[row : row + 1])
        masks.append((gradients[0] != 0).T.astype(float))
        model.fit(x[row : row + 1], Y[row : row + 1], verbose=0)
    assert 0 < sum(mask.sum() for mask in masks) < 20
    layers = [twin.Dropout(0.5, masks), twin.Dense(*weights[0])]
    twin.train(layers, "mse", twin.SGD(0.05), x[:4], Y[:4], batch_size=1)
    for got, want in zip(model.get_weights(), twin.weights_of(layers), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


# --- what fit promises ----


def test_partial_last_batch_counts_by_its_rows():
    model = two_layers()
    model.compile(SGD(0.0), "mse")
    expected = twin.LOSSES["mse"][0](twin.predict(twin_of(model), X), Y).mean()
    assert losses_of(model, batch_size=64) == [pytest.approx(expected, rel=1e-6)]  # 64 + 6 rows
    assert model.evaluate(X, Y, batch_size=64, verbose=0) == pytest.approx(expected, rel=1e-6)


def test_losses_are_taken_before_the_update():
    model = two_layers()
    model.compile(SGD(0.1), "mse")
    before = model.evaluate(X, Y, batch_size=70, verbose=0)
    assert losses_of(model, batch_size=70, shuffle=False)[0] == before
    assert model.evaluate(X, Y, batch_size=70, verbose=0) < before


def test_validation_split_is_the_tail_before_any_shuffle():
    one, two = two_layers(), two_layers()
    for model in (one, two):
        model.compile(Adam(0.01), "mse")
    lw.random.set_seed(4)
    split = one.fit(X, Y, epochs=3, validation_split=0.29, verbose=0).history
    lw.random.set_seed(4)
    given = two.fit(X[:49], Y[:49], epochs=3, validation_data=(X[49:], Y[49:]), verbose=0).history
    assert split == given  # floor(70 * 0.71) = 49
    assert lw.fingerprint(one) == lw.fingerprint(two)
    assert split["val_loss"][-1] == two.evaluate(X[49:], Y[49:], verbose=0)


def test_epochs_is_the_index_of_the_last_one():
    model = two_layers()
    model.compile("sgd", "mse")
    history = model.fit(X, Y, initial_epoch=3, epochs=5, verbose=0)
    assert history.epoch == [3, 4]
    assert model.optimizer.iterations == 2 * 3


@pytest.mark.parametrize("loss", ["mse", lambda t, p: (t - p) ** 2])
@pytest.mark.parametrize("metric", ["mae", lambda t, p: abs(t - p)])
def test_a_last_axis_of_one_may_be_left_out_or_be_there_twice(loss, metric):
    x = RNG.standard_normal((50, 6, 2)).astype(np.float32)
    y = x.sum(2)

    def trained(x, y, **given):
        lw.random.set_seed(11)
        model = lw.Sequential([Dense(1, input_shape=x.shape[1:])])
        model.compile("adam", loss, metrics=[metric])
        return [*losses_of(model, x, y, **given), *model.evaluate(x, y, verbose=0, **given)]

    deep, wide = y[:, :, None], np.repeat(y[:, :, None, None], 3, axis=3)
    assert trained(x, y) == trained(x, deep) == trained(x, wide[..., 1:2]) == trained(x, wide[..., 1])
    flat, weights = y[:, 0], {"sample_weight": np.arange(50)}
    want = trained(x[:, 0], flat, **weights)
    assert want == trained(x[:, 0], deep[:, :1], **weights) == trained(x[:, 0], wide[:, 0, :, :1], **weights)


def test_history_keys_are_sorted():
    model = two_layers()
    model.compile("sgd", "mse", metrics=["mse", "mae"])
    history = model.fit(X, Y, validation_split=0.2, verbose=0).history
    assert list(history) == ["loss", "mae", "mse", "val_loss", "val_mae", "val_mse"]
    assert history["loss"] == history["mse"]


def test_evaluate_returns_in_compile_order():
    model = two_layers()
    model.compile("sgd", "mse", metrics=["mse", "mae"])
    loss, mse, mae = model.evaluate(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"loss": loss, "mse": mse, "mae": mae}
    errors = twin.predict(twin_of(model), X) - Y
    assert (loss, mae) == (pytest.approx((errors**2).mean(), rel=1e-6), pytest.approx(np.abs(errors).mean(), rel=1e-6))


def test_fit_goes_on_where_the_last_one_ended():
    one, two = two_layers(), two_layers()
    for model in (one, two):
        model.compile(Adam(0.01), "mse")
    lw.random.set_seed(9)
    at_once = losses_of(one, epochs=4, shuffle=False)
    state = one.optimizer_state()
    lw.random.set_seed(9)
    in_parts = losses_of(two, epochs=1, shuffle=False) + losses_of(two, epochs=3, shuffle=False)
    assert at_once == in_parts
    assert lw.fingerprint(one) == lw.fingerprint(two)
    for a, b in zip(state.values(), two.optimizer_state().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_order_of_rows_goes_on_across_calls():
    one, two = two_layers(), two_layers()
    for model in (one, two):
        lw.random.set_seed(9)
        model.compile(Adam(0.01), "mse")
        model.fit(X, Y, verbose=0)
        model.fit(X, Y, verbose=0)
    three = two_layers()
    lw.random.set_seed(9)
    three.compile(Adam(0.01), "mse")
    three.fit(X, Y, epochs=2, verbose=0)
    assert lw.fingerprint(one) == lw.fingerprint(two) == lw.fingerprint(three)


def test_sample_weight_is_divided_by_the_rows():
    weights = RNG.uniform(0, 3, len(X))
    model = two_layers()
    layers = twin_of(model)
    model.compile(SGD(0.05), "mse")
    got = losses_of(model, batch_size=32, epochs=5, sample_weight=weights, shuffle=False)
    expected = twin.train(layers, "mse", twin.SGD(0.05), X, Y, 32, 5, row_weights=weights)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_class_weight_is_a_sample_weight():
    labels = (X[:, 0] > 0.3).astype(int)
    one, two, three = (two_layers(outputs=2) for _ in range(3))
    loss = lw.losses.SparseCategoricalCrossentropy(from_logits=True)
    for model in (one, two, three):
        model.compile(SGD(0.05), loss)
    by_class = losses_of(one, y=labels, class_weight={1: 2.5}, shuffle=False, epochs=3)
    by_row = losses_of(two, y=labels, sample_weight=np.where(labels == 1, 2.5, 1.0), shuffle=False, epochs=3)
    assert by_class == by_row
    assert lw.fingerprint(one) == lw.fingerprint(two)
    keys = dict(zip(np.unique(labels).astype(np.float32), (1.0, 2.5), strict=True))  # as scikit-learn's users write it
    assert losses_of(three, y=labels, class_weight=keys, shuffle=False, epochs=3) == by_class
    with pytest.raises((TypeError, ValueError), match="class_weight: key"):
        one.fit(X, labels, class_weight={0.5: 2.0}, verbose=0)
    with pytest.raises(ValueError, match="class_weight, sample_weight"):
        one.fit(X, labels, class_weight={1: 2.0}, sample_weight=np.ones(70), verbose=0)


def test_metrics_ignore_sample_weights():
    model = two_layers()
    model.compile(SGD(0.0), "mse", metrics=["mse"])
    history = model.fit(X, Y, sample_weight=np.full(70, 0.5), verbose=0).history
    assert history["loss"][0] == pytest.approx(history["mse"][0] / 2, rel=1e-6)


def test_train_on_batch_is_a_step_of_fit():
    one, two = two_layers(), two_layers()
    for model in (one, two):
        model.compile(Adam(0.01), "mse")
    one.fit(X, Y, batch_size=35, shuffle=False, verbose=0)
    two.train_on_batch(X[:35], Y[:35])
    two.train_on_batch(X[35:], Y[35:])
    assert lw.fingerprint(one) == lw.fingerprint(two)


def test_learning_rate_can_be_set_between_fits():
    model = two_layers()
    model.compile(Adam(0.01), "mse")
    model.fit(X, Y, verbose=0)
    model.optimizer.learning_rate = 0.0
    before = lw.fingerprint(model)
    model.fit(X, Y, verbose=0)
    assert lw.fingerprint(model) == before


def test_frozen_layers_do_not_train():
    model = two_layers()
    model.layers[0].trainable = False
    model.compile(SGD(0.1), "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False, False]


def test_early_stopping_brings_the_best_weights_back():
    model = two_layers()
    model.compile(SGD(0.02), "mse")
    weights = []

    class Keep(lw.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())
            self.model.optimizer.learning_rate = 0.02 if epoch < 3 else 3.0  # diverges from epoch 4 on

    stop = EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    with pytest.warns(RuntimeWarning, match="loss: grew from"):
        history = model.fit(X, Y, epochs=50, validation_split=0.3, callbacks=[Keep(), stop], verbose=0)
    best = int(np.argmin(history.history["val_loss"]))
    assert len(history.epoch) == best + 3
    assert stop.best_epoch == best < 5
    for now, then in zip(model.get_weights(), weights[best], strict=True):
        np.testing.assert_array_equal(now, then)
