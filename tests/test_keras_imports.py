"""Every way in which public scripts import what they use, and the small functions that they then call."""

import importlib
import logging

import numpy as np
import pytest

import lanewise as lw

IMPORTS = [
    "import lanewise as tf; tf.keras.layers.Dense; tf.keras.utils.to_categorical; tf.keras.datasets.mnist.load_data",
    "import lanewise.keras as keras; keras.models.Sequential; keras.optimizers.Adam; keras.backend.clear_session",
    "from lanewise import keras; keras.layers.Dense; keras.Input; keras.callbacks.EarlyStopping; keras.ops.mean",
    "from lanewise import datasets, nn, random; datasets.mnist.load_data; nn.relu; random.normal",
    "from lanewise.keras import Sequential, Input, layers, utils, ops, datasets, backend as K",
    "from lanewise.keras import optimizers, losses, metrics, callbacks, initializers, regularizers, constraints",
    "from lanewise.keras.models import Sequential, load_model",
    "from lanewise.keras.layers import Dense, Dropout, Flatten, Activation, InputLayer, Normalization",
    "from lanewise.keras.layers.core import Dense, Dropout",
    "from lanewise.keras.layers.experimental import preprocessing; preprocessing.Normalization",
    "from lanewise.keras.layers.experimental.preprocessing import Normalization",
    "import lanewise as tf; tf.keras.layers.experimental.preprocessing.Normalization",
    "from lanewise.keras.optimizers import Adam, SGD, RMSprop",
    "from lanewise.keras.optimizers.legacy import Adam",
    "import lanewise as tf; tf.keras.optimizers.legacy.SGD",
    "from lanewise.keras.utils import to_categorical, np_utils, get_file, set_random_seed, Sequence, PyDataset",
    "from lanewise.keras.utils.np_utils import to_categorical",
    "from lanewise.keras.datasets import mnist, fashion_mnist, cifar10, cifar100, imdb, reuters",
    "from lanewise.keras.datasets import boston_housing, california_housing",
    "from lanewise.keras.datasets.mnist import load_data",
    "from lanewise.keras.preprocessing.sequence import pad_sequences",
    "from lanewise.keras.preprocessing import sequence; sequence.pad_sequences",
    "from lanewise.keras.initializers import RandomNormal, Constant; from lanewise.keras.regularizers import l2",
    "from lanewise.keras.activations import relu, sigmoid; from lanewise.keras.constraints import max_norm",
    "from lanewise.keras.losses import BinaryCrossentropy, mean_squared_error",
    "from lanewise.keras.metrics import MeanAbsoluteError, RootMeanSquaredError",
    "from lanewise.keras.callbacks import EarlyStopping, ModelCheckpoint, LambdaCallback, Callback",
    "from lanewise.keras.config import disable_interactive_logging, floatx",
    "from lanewise.keras.backend import clear_session, epsilon, floatx, get_value, set_value",
    "from lanewise.keras.random import SeedGenerator, normal, uniform",
    "import lanewise.keras.backend as K; K.square; K.mean; K.sqrt; K.epsilon; K.pow; K.cast_to_floatx",
]


@pytest.mark.parametrize("code", IMPORTS)
def test_import_forms(code):
    exec(code, {})


def test_older_places_hold_the_same_objects():
    keras = lw.keras
    assert keras.layers.core.Dense is keras.layers.experimental.preprocessing.Dense is lw.layers.Dense
    assert keras.utils.np_utils.to_categorical is lw.utils.to_categorical
    assert keras.preprocessing.sequence.pad_sequences is lw.utils.pad_sequences
    assert keras.optimizers.legacy.Adam is lw.optimizers.Adam
    assert lw.datasets is keras.datasets
    assert keras.utils.Sequence is keras.utils.PyDataset


@pytest.mark.parametrize("name", ["advanced_activations", "embeddings", "merge", "noise", "normalization"])
def test_older_layer_modules_explain_what_is_missing(name):
    module = importlib.import_module(f"lanewise.keras.layers.{name}")
    assert module.Dense is lw.layers.Dense
    with pytest.raises(AttributeError, match="dense networks"):
        module.Conv2D  # noqa: B018


def test_tf_arrays():
    tf = lw
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert x.dtype == np.float32 and x.numpy().tolist() == [[1, 2], [3, 4]] and type(x.numpy()) is np.ndarray
    assert tf.constant([1, 2]).dtype == np.int32 and tf.constant(0.0, shape=(2, 1)).shape == (2, 1)
    assert tf.convert_to_tensor(np.zeros(2)).dtype == np.float64
    assert tf.cast([1, 2], tf.float32).dtype == np.float32 == tf.cast([1, 2], "float32").dtype
    assert tf.reduce_mean(x) == 2.5 and tf.reduce_sum(x, axis=1).tolist() == [3, 7]
    assert tf.reduce_max(x, axis=0, keepdims=True).tolist() == [[3, 4]]
    assert tf.matmul(x, x, transpose_b=True).tolist() == [[5, 11], [11, 25]]
    assert tf.concat([x, x], 0).shape == (4, 2) and tf.stack([x, x]).shape == (2, 2, 2)
    assert tf.reshape(x, [-1]).shape == (4,) and tf.transpose(x)[0].tolist() == [1, 3]
    assert tf.shape(x).tolist() == [2, 2] and tf.size(x) == 4 and tf.rank(x) == 2
    assert tf.clip_by_value(x, 2, 3).tolist() == [[2, 2], [3, 3]]
    assert tf.one_hot([1, 0], 2).tolist() == [[0, 1], [1, 0]]
    assert tf.range(3).tolist() == [0, 1, 2] and tf.fill([2], 5.0).tolist() == [5, 5]
    assert tf.argmax(x, 1).tolist() == [1, 1] and tf.gather(x, [1]).tolist() == [[3, 4]]
    assert [p.shape for p in tf.split(x, [1, 1], axis=1)] == [(2, 1), (2, 1)]
    assert tf.math.confusion_matrix([0, 1, 1], [0, 1, 0]).tolist() == [[1, 0], [1, 1]]
    assert tf.math.log(1.0) == 0 and tf.math.squared_difference(3.0, 1.0) == 4
    assert tf.math.divide_no_nan([1.0, 1.0], [0.0, 2.0]).tolist() == [0, 0.5]
    assert tf.linalg.norm([3.0, 4.0]) == 5
    assert tf.executing_eagerly() is True and not tf.test.is_gpu_available() and tf.test.gpu_device_name() == ""
    assert isinstance(tf.get_logger(), logging.Logger)
    with tf.device("/CPU:0"):
        assert tf.is_tensor(x)


def test_misspelt_tf_names():
    with pytest.raises(AttributeError, match="Did you mean"):
        lw.Sequentiall  # noqa: B018


def test_nn():
    x = np.array([[0.5, -1.0, 2.0]], np.float32)
    p = np.exp(x) / np.exp(x).sum()
    np.testing.assert_allclose(lw.nn.softmax_cross_entropy_with_logits([[0, 0, 1.0]], x), -np.log(p[:, 2]), rtol=1e-6)
    np.testing.assert_allclose(lw.nn.sparse_softmax_cross_entropy_with_logits([2], x), -np.log(p[:, 2]), rtol=1e-6)
    np.testing.assert_allclose(lw.nn.l2_normalize(x), x / np.linalg.norm(x), rtol=1e-6)
    s = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(lw.nn.sigmoid_cross_entropy_with_logits(1.0, x), -np.log(s), rtol=1e-6)


def test_config_of_devices_means_nothing():
    lw.config.run_functions_eagerly(True)
    lw.config.set_visible_devices([], "GPU")
    lw.config.optimizer.set_jit(True)
    for device in lw.config.experimental.list_physical_devices("GPU"):
        lw.config.experimental.set_memory_growth(device, True)
    assert lw.config.list_logical_devices() == ["CPU:0"]


def test_random_arrays():
    lw.random.set_seed(3)
    first = lw.random.normal((4, 5), mean=2.0, stddev=0.5)
    lw.random.set_seed(3)
    assert np.array_equal(first, lw.random.normal((4, 5), mean=2.0, stddev=0.5)) and first.dtype == np.float32
    assert np.array_equal(lw.random.uniform((9,), seed=1), lw.random.uniform((9,), seed=1))
    assert not np.array_equal(lw.random.uniform((9,)), lw.random.uniform((9,)))
    many = lw.random.uniform((10000,), -1.0, 3.0)
    assert many.min() >= -1 and many.max() < 3 and abs(many.mean() - 1) < 0.05
    assert abs(lw.random.truncated_normal((10000,))).max() <= 2
    whole = lw.random.randint((1000,), 2, 5)
    assert whole.dtype == np.int32 and set(whole.tolist()) == {2, 3, 4}
    assert sorted(lw.random.shuffle(np.arange(20)).tolist()) == list(range(20))
    generator = lw.random.SeedGenerator(1)
    assert not np.array_equal(lw.random.normal((3,), seed=generator), lw.random.normal((3,), seed=generator))


def test_backend_reads_and_writes_weights():
    K = lw.keras.backend
    layer = lw.layers.Dense(2)
    layer.build((None, 3))
    K.set_value(layer.weights[1], [1.0, 2.0])
    assert K.get_value(layer.weights[1]).tolist() == [1, 2] and K.count_params(layer.weights[0]) == 6
    K.batch_set_value([(layer.weights[1], [3.0, 4.0])])
    assert K.batch_get_value(layer.weights)[1].tolist() == [3, 4]
    assert K.get_value(0.5) == 0.5
    with pytest.raises(TypeError, match="expected a weight"):
        K.set_value(0.5, 1.0)
    x = K.constant([[1.0, -2.0]])
    assert K.mean(K.square(x)) == 2.5 and K.pow(x, 2).tolist() == [[1, 4]] and K.int_shape(x) == (1, 2)
    assert K.switch(K.greater(x, 0), x, lambda: 0 * x).tolist() == [[1, 0]]
    assert K.batch_flatten(K.zeros((2, 3, 4))).shape == (2, 12) and K.concatenate([x, x]).shape == (1, 4)
    assert K.permute_dimensions(x, (1, 0)).shape == (2, 1) and K.cast_to_floatx([1, 2]).dtype == np.float32
    K.set_epsilon(1e-5)
    assert K.epsilon() == lw.keras.config.epsilon() == 1e-5
    K.set_epsilon(1e-7)


def test_pad_sequences():
    pad = lw.utils.pad_sequences
    rows = [[1], [2, 3], [4, 5, 6]]
    assert pad(rows).tolist() == [[0, 0, 1], [0, 2, 3], [4, 5, 6]] and pad(rows).dtype == np.int32
    assert pad(rows, padding="post", value=-1).tolist() == [[1, -1, -1], [2, 3, -1], [4, 5, 6]]
    assert pad(rows, maxlen=2).tolist() == [[0, 1], [2, 3], [5, 6]]
    assert pad(rows, 2, truncating="post").tolist() == [[0, 1], [2, 3], [4, 5]]
    assert pad(np.array([[1], [2, 3]], object), 4).tolist() == [[0, 0, 0, 1], [0, 0, 2, 3]]
    assert pad([[[1.5, 2]], [], [[3, 4], [5, 6]]], dtype="float32").shape == (3, 2, 2)
    assert pad([], maxlen=3).shape == (0, 3) and pad(rows, 0).shape == (3, 0)
    with pytest.raises(ValueError, match="padding: expected 'pre' or 'post', received 'left'"):
        pad(rows, padding="left")
    with pytest.raises(TypeError, match="sequences: expected a list of sequences"):
        pad([1, 2])
    with pytest.raises(ValueError, match="samples of shape"):
        pad([[[1, 2]], [[1]]])


def test_py_dataset_iterates_over_its_batches():
    class Data(lw.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return index, 2 * index

    assert list(Data(workers=2)) == [(0, 0), (1, 2), (2, 4)]
    assert Data().num_batches == 3
    with pytest.raises(NotImplementedError, match="__getitem__"):
        lw.utils.PyDataset()[0]
    with pytest.raises(NotImplementedError, match="__len__"):
        lw.utils.PyDataset().num_batches  # noqa: B018
