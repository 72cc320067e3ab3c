"""What a newcomer's scripts met beside Keras 3.15.1: figures are those of Keras with KERAS_BACKEND=jax."""

import numpy as np
import pytest

from lanewise import keras
from lanewise.keras import layers, ops


def test_modules_of_operations_hold_the_same_functions():
    from lanewise.keras.ops.nn import relu

    assert ops.nn.relu is relu is ops.relu and ops.numpy.sum is ops.sum and ops.linalg.norm is ops.norm
    assert {"sigmoid", "softmax", "one_hot", "normalize"} <= set(ops.nn.__all__)
    assert set(ops.nn.__all__).isdisjoint(ops.numpy.__all__)
    with pytest.raises(AttributeError, match=r"use numpy\.hypot"):
        _ = ops.numpy.hypot
    x = np.array([0, 1], np.float32)
    np.testing.assert_allclose(ops.nn.sigmoid(x), [0.5, 0.7310586], rtol=1e-6)


def test_tensordot_top_k_and_erf():
    a = np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 7
    b = np.arange(12, dtype=np.float32).reshape(3, 2, 2) / 5
    np.testing.assert_allclose(ops.tensordot(a, b, 2), [[3.14286, 3.57143], [8.28571, 9.74286]], rtol=2e-6)
    wanted = [[[1.14286, 1.31429], [1.48571, 1.65714]], [[1.48571, 1.74286], [2.0, 2.25714]]]
    np.testing.assert_allclose(ops.tensordot(a, b, [[1], [0]])[0], wanted, rtol=4e-6)
    np.testing.assert_allclose(ops.tensordot(a, b, axes=[[2, 1], [1, 0]]), ops.tensordot(a, b, 2), rtol=1e-6)
    values, places = ops.top_k(np.array([[1, 5, 5, 2], [3, 1, 0, 2]], np.float32), 2)
    assert values.tolist() == [[5, 5], [3, 2]] and places.tolist() == [[1, 2], [0, 3]] and places.dtype == np.int32
    x = np.array([-3, -0.5, 0, 0.1, 1.5], np.float32)
    np.testing.assert_allclose(ops.erf(x), [-0.99998, -0.5205, 0, 0.11246, 0.96611], atol=5e-6)
    np.testing.assert_allclose(ops.nn.gelu(x, approximate=False), [-0.00405, -0.15427, 0, 0.05398, 1.39979], atol=5e-6)


def test_a_product_over_the_batch_is_refused_on_symbolic_tensors():
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="tensordot: expected a result with the rows of"):
        ops.tensordot(x, x, 2)


def test_one_hot_of_argmax_in_a_graph():
    x = keras.Input((4,))
    model = keras.Model(x, ops.one_hot(ops.argmax(x, -1), 4))
    np.testing.assert_array_equal(model.predict(np.eye(4)[[2, 0, 3]], verbose=0), np.eye(4)[[2, 0, 3]])


class Positives(keras.metrics.Metric):
    """As in Keras's guide; `flat`: worked out along one axis, as those do who reduce the last one."""

    def __init__(self, flat=False, **kwargs):
        super().__init__(**kwargs)
        self.flat = flat
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = ops.cast(ops.equal(ops.cast(y_true, "bool"), True), self.dtype)
        if self.flat:
            values = ops.mean(values, axis=-1)
        if sample_weight is not None:
            assert sample_weight.shape == (len(y_pred),)
            sample_weight = ops.cast(sample_weight, self.dtype) / 2
            sample_weight *= 2
            values = values * sample_weight
        self.total.assign(self.total + ops.sum(values))

    def result(self):
        return self.total


X10 = np.linspace(-1, 1, 40).astype(np.float32).reshape(10, 4)
Y10 = (X10.sum(1) > 0).astype(np.float32)


@pytest.mark.parametrize("y", [Y10, Y10[:, None]], ids=["(n,)", "(n, 1)"])
@pytest.mark.parametrize("flat", [False, True])
def test_weights_of_a_metric_meet_its_rows(y, flat):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Positives(flat, name="all")], weighted_metrics=[Positives(flat, name="some")])
    weights = np.arange(10.0)
    history = model.fit(X10, y, sample_weight=weights, batch_size=5, verbose=0).history
    assert history["all"] == [5.0] and history["some"] == [float((weights * Y10).sum())]
    history = model.fit(X10, y, class_weight={0: 1.0, 1: 3.0}, batch_size=4, verbose=0).history
    assert history["some"] == [15.0]


class Counter(layers.Layer):
    def __init__(self):
        super().__init__()
        self.total = self.add_weight(shape=(), initializer="zeros", trainable=False, name="total")

    def call(self, inputs):
        self.total.assign_add(1.0)
        return inputs * 1.0


def test_trial_calls_leave_weights_as_they_were():
    counter = Counter()
    counter(X10)
    assert float(counter.total.numpy()) == 1  # Keras: 1
    counter = Counter()
    keras.Model(x := keras.Input((4,)), counter(x))
    assert float(counter.total.numpy()) == 0  # Keras: 0
    counter = Counter()
    model = keras.Sequential([keras.Input((4,)), counter, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X10, Y10, epochs=2, batch_size=2, verbose=0)
    assert float(counter.total.numpy()) == 10  # Keras: 10
    model.evaluate(X10, Y10, batch_size=5, verbose=0)
    assert float(counter.total.numpy()) == 12  # Keras: 12


@pytest.mark.parametrize(("end", "steps", "read"), [(None, 3, 5), (7, 3, 5), (4, None, 4)])
def test_validation_on_a_generator_reads_its_first_two_batches_again(end, steps, read):
    seen, taken = [], []

    def batches():
        k = 0
        while end is None or k < end:
            taken.append(k)
            yield np.full((2, 4), k, np.float32), np.zeros(2, np.float32)
            k += 1

    class Watch(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            seen.append(batch)

    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(
        X10, Y10, epochs=3, validation_data=batches(), validation_steps=steps, callbacks=[Watch()], verbose=0
    ).history
    assert len(taken) == read  # as Keras's log of what was taken, with each of the three
    epochs = [[0, 1, 2], [0, 1, 3], [0, 1, 4]] if steps else [[0, 1, 2, 3], [0, 1], [0, 1]]
    assert seen == [i for epoch in epochs for i in range(len(epoch))]
    assert history["val_loss"] == pytest.approx([np.mean([(4 * k) ** 2 for k in epoch]) for epoch in epochs])


class Twice(layers.Layer):
    def call(self, inputs):
        return inputs * 2.0


@keras.saving.register_keras_serializable()
class Registered(layers.Dense):
    pass


class Below(Registered):
    pass


@pytest.mark.parametrize("layer", [Twice, lambda: Below(3)], ids=["alone", "below a registered one"])
def test_a_class_that_is_not_registered_is_saved_and_named_by_the_reader(layer, tmp_path):
    model = keras.Sequential([keras.Input((4,)), layer()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="custom_objects"):
        keras.models.load_model(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Twice": Twice, "Below": Below})
    assert type(again.layers[0]) is type(model.layers[0])
    np.testing.assert_array_equal(again.predict(X10, verbose=0), model.predict(X10, verbose=0))


def test_messages_name_what_was_meant():
    with pytest.raises(ValueError, match=r"'adma'\. Did you mean 'adam'"):
        keras.optimizers.get("adma")
    with pytest.raises(TypeError, match=r"Activation\('relu'\)"):
        keras.Sequential([layers.Dense(3), "relu"])
    with pytest.raises(NotImplementedError, match="give its length"):
        keras.Input((None,))
    for module, name, text in (
        (layers, "TextVectorization", "Tfidf"), (layers, "TimeDistributed", "last axis"),
        (keras.utils, "split_dataset", "validation_split"), (layers.Dense(2), "compute_mask", "Masking"),
    ):  # fmt: skip
        with pytest.raises(AttributeError, match=text):
            getattr(module, name)


def test_the_summary_of_a_class_shows_its_layers_alone():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = layers.Dense(3), layers.Dense(1)

        def call(self, inputs):
            return self.out(ops.relu(self.hidden(inputs)))

    net, lines = Net(), []
    net(X10)
    net.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert text.count("(Dense)") == 2 and "Function" not in text and "InputLayer" not in text
    assert "Total params: 19 " in text


def test_a_column_of_text_or_of_categories_says_what_it_is():
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(["m", "f", "m"], dtype=object)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"y: .*encode text as numbers first"):
        model.fit(X10[:3], column, verbose=0)
    with pytest.raises(TypeError, match=r"y: .*category: \.cat\.codes"):
        model.fit(X10[:3], column.astype("category"), verbose=0)
