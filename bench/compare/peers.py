"""Each library: how it does each task. Only the process that runs a library imports it.

A peer's `prepare(task)` gives a call without arguments, or None where the library has no such thing. One call is one
product, one epoch of shuffled mini-batches with Adam, one prediction, or one function of whole arrays; it returns when
the result is there.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from ..networks import Case, NumPyNetwork
from .functions import Call, lanewise_call, numpy_call, torch_call
from .placing import empty
from .tasks import Task


class Peer:
    """A library at its best setting, on the threads that its environment gives it."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def version(self) -> str:
        """Name and version."""
        raise NotImplementedError

    def prepare(self, task: Task) -> Call | None:
        """The call to time."""
        return getattr(self, task.kind, lambda _: None)(task)


class Lanewise(Peer):
    def version(self) -> str:
        from lanewise import ops

        ops.set_num_threads(self.threads)
        info = ops.build_info()
        return f"lanewise {info['version']} ({info['isa']}, {info['compiler']})"

    def matmul(self, task: Task) -> Call:
        from lanewise import ops

        (a, b), c, matmul = task.operands(), task.result(), ops.matmul
        return lambda: matmul(a, b, out=c)

    def model(self, case: Case, weights: list[Any], optimizer: Any = "adam") -> Any:
        model = case.model(optimizer)
        model.set_weights(weights)
        return model

    def optimizers(self, task: Task) -> Call:
        import lanewise as lw

        case = network_of(task)
        x, y = task.data()
        name, _, clip = task.optimizer.partition(" with ")
        model = self.model(case, task.weights(), lw.optimizers.Adam(**{clip: 1.0}) if clip else name)
        return lambda: model.fit(x, y, batch_size=case.batch, verbose=0)

    def train(self, task: Task) -> Call:
        case = network_of(task)
        x, y = task.data()
        model = self.model(case, task.weights())
        return lambda: model.fit(x, y, batch_size=case.batch, verbose=0)

    def predict(self, task: Task) -> Call:
        case = network_of(task)
        x, _ = task.data()
        model = self.model(case, task.weights())
        return lambda: model.predict_on_batch(x)

    def elementwise(self, task: Task) -> Call:
        return lanewise_call(task.function, (task.rows, task.cols))


class NumPy(Peer):
    def version(self) -> str:
        return f"NumPy {np.__version__}"

    def matmul(self, task: Task) -> Call:
        (a, b), c, matmul = task.operands(), task.result(), np.matmul
        return lambda: matmul(a, b, out=c)

    def train(self, task: Task) -> Call:
        case = network_of(task)
        x, y = task.data()
        network, rng = NumPyNetwork(case, task.weights(), np.float32), np.random.default_rng(2)
        return lambda: network.epoch(x, y, rng.permutation(len(x)))

    def predict(self, task: Task) -> Call:
        case = network_of(task)
        x, _ = task.data()
        network = NumPyNetwork(case, task.weights(), np.float32)
        activations = [x, *(empty((task.rows, units), i + 1) for i, units in enumerate(case.units[1:]))]
        return lambda: network.forward(activations)

    def elementwise(self, task: Task) -> Call:
        return numpy_call(task.function, (task.rows, task.cols))


class Torch(Peer):
    compiled = False

    def version(self) -> str:
        import torch

        torch.set_num_threads(self.threads)
        return f"PyTorch {torch.__version__}{' (torch.compile)' if self.compiled else ''}"

    def matmul(self, task: Task) -> Call | None:
        import torch

        if self.compiled:
            return None
        a, b = (torch.from_numpy(v) for v in task.operands())
        c, matmul = torch.from_numpy(task.result()), torch.matmul
        return lambda: matmul(a, b, out=c)

    def network(self, task: Task) -> Any:
        import torch

        layers: list[Any] = []
        for kernel, bias in zip(task.weights()[::2], task.weights()[1::2], strict=True):
            layer = torch.nn.Linear(*kernel.shape)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(kernel.T))
                layer.bias.copy_(torch.from_numpy(bias))
            layers += [layer, torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def train(self, task: Task) -> Call:
        import torch

        case = network_of(task)
        x, y = (torch.from_numpy(v) for v in task.data())
        network = self.network(task)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        regression = case.units[-1] == 1
        y = y if regression else y.long()
        loss_of = torch.nn.functional.mse_loss if regression else torch.nn.functional.cross_entropy

        def forward(x: Any, y: Any) -> Any:
            return loss_of(network(x), y)

        loss_function = torch.compile(forward) if self.compiled else forward

        def epoch() -> None:
            for rows in torch.randperm(case.rows).split(case.batch):
                optimizer.zero_grad(set_to_none=True)
                loss_function(x[rows], y[rows]).backward()
                optimizer.step()

        return epoch

    def predict(self, task: Task) -> Call | None:
        import torch

        if self.compiled:
            return None
        x = torch.from_numpy(task.data()[0])
        network = self.network(task).eval()

        def call() -> Any:
            with torch.inference_mode():
                return network(x)

        return call

    def elementwise(self, task: Task) -> Call | None:
        return None if self.compiled else torch_call(task.function, (task.rows, task.cols))


class TorchCompiled(Torch):
    compiled = True


class Jax(Peer):
    """One jitted function for a step; JaxScan: one for a whole epoch."""

    scan = False

    def version(self) -> str:
        import jax

        return f"JAX {jax.__version__}{' (epoch in lax.scan)' if self.scan else ' (jit)'}"

    def matmul(self, task: Task) -> Call | None:
        import jax
        import jax.numpy as jnp

        if self.scan:
            return None
        assert task.shape is not None
        ta, tb = task.shape.transpose_a, task.shape.transpose_b
        a, b = task.operands()
        a, b = jnp.asarray(a.T if ta else a), jnp.asarray(b.T if tb else b)
        product = jax.jit(lambda a, b: jnp.matmul(a.T if ta else a, b.T if tb else b))
        return lambda: product(a, b).block_until_ready()

    @staticmethod
    def forward(weights: Any, x: Any) -> Any:
        import jax
        import jax.numpy as jnp

        for layer in range(0, len(weights), 2):
            x = jnp.dot(x, weights[layer]) + weights[layer + 1]
            if layer + 2 < len(weights):
                x = jax.nn.relu(x)
        return x

    def train(self, task: Task) -> Call:
        import jax
        import jax.numpy as jnp
        import optax

        case = network_of(task)
        x, y = task.data()
        optimizer = optax.adam(1e-3)

        def loss(weights: Any, x: Any, y: Any) -> Any:
            out = self.forward(weights, x)
            if case.units[-1] == 1:
                return jnp.mean((out - y) ** 2)
            return optax.softmax_cross_entropy_with_integer_labels(out, y).mean()

        def step(state: Any, x: Any, y: Any) -> tuple[Any, Any]:
            weights, slots = state
            value, gradients = jax.value_and_grad(loss)(weights, x, y)
            updates, slots = optimizer.update(gradients, slots, weights)
            return (optax.apply_updates(weights, updates), slots), value

        weights = [jnp.asarray(w) for w in task.weights()]
        state = [(weights, optimizer.init(weights))]
        if self.scan:
            xs, ys, key = jnp.asarray(x), jnp.asarray(y), [jax.random.key(0)]

            def run(state: Any, key: Any) -> Any:
                order = jax.random.permutation(key, case.rows).reshape(-1, case.batch)
                return jax.lax.scan(lambda s, rows: step(s, xs[rows], ys[rows]), state, order)

            compiled = jax.jit(run, donate_argnums=0)

            def epoch() -> None:
                key[0], now = jax.random.split(key[0])
                state[0], losses = compiled(state[0], now)
                losses.block_until_ready()

            return epoch
        compiled_step = jax.jit(step, donate_argnums=0)
        rng = np.random.default_rng(2)

        def steps() -> None:
            value: Any = None
            for rows in rng.permutation(case.rows).reshape(-1, case.batch):
                state[0], value = compiled_step(state[0], x[rows], y[rows])
            value.block_until_ready()

        return steps

    def predict(self, task: Task) -> Call | None:
        import jax
        import jax.numpy as jnp

        if self.scan:
            return None
        x = jnp.asarray(task.data()[0])
        weights = [jnp.asarray(w) for w in task.weights()]
        forward = jax.jit(self.forward)
        return lambda: forward(weights, x).block_until_ready()


class JaxScan(Jax):
    scan = True


class ScikitLearn(Peer):
    def version(self) -> str:
        import sklearn

        return f"scikit-learn {sklearn.__version__}"

    def train(self, task: Task) -> Call:
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        case = network_of(task)
        x, y = task.data()
        kind = MLPRegressor if case.units[-1] == 1 else MLPClassifier
        model = kind(hidden_layer_sizes=case.units[1:-1], batch_size=case.batch, alpha=0.0, shuffle=True)
        if case.units[-1] == 1:
            return lambda: model.partial_fit(x, y[:, 0])
        return lambda: model.partial_fit(x, y, classes=np.arange(case.units[-1]))


class OnnxRuntime(Peer):
    def version(self) -> str:
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    def predict(self, task: Task) -> Call:
        import onnxruntime as ort
        from onnx import TensorProto, helper, numpy_helper

        case = network_of(task)
        x, _ = task.data()
        weights, nodes, value = task.weights(), [], "x"
        tensors = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
        for layer in range(0, len(weights), 2):
            last = layer + 2 == len(weights)
            nodes.append(helper.make_node("Gemm", [value, f"w{layer}", f"w{layer + 1}"], [f"z{layer}"]))
            value = f"z{layer}"
            if not last:
                nodes.append(helper.make_node("Relu", [value], [f"a{layer}"]))
                value = f"a{layer}"
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            nodes, "network", [info("x", TensorProto.FLOAT, [None, case.units[0]])],
            [info(value, TensorProto.FLOAT, [None, case.units[-1]])], tensors,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feed = {"x": x}
        return lambda: session.run(None, feed)


class Keras(Peer):
    """Keras as its users run it; the backend is in KERAS_BACKEND."""

    def version(self) -> str:
        import keras

        return f"Keras {keras.__version__} on {keras.backend.backend()}"

    def train(self, task: Task) -> Call:
        import keras

        case = network_of(task)
        x, y = task.data()
        hidden = [keras.layers.Dense(units, activation="relu") for units in case.units[1:-1]]
        model = keras.Sequential([keras.Input((case.units[0],)), *hidden, keras.layers.Dense(case.units[-1])])
        classes = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer="adam", loss="mse" if case.units[-1] == 1 else classes)
        model.set_weights(task.weights())
        return lambda: model.fit(x, y, batch_size=case.batch, verbose=0)


PEERS: dict[str, tuple[type[Peer], str]] = {  # name: (class, the module that must be there)
    "lanewise": (Lanewise, "lanewise"),
    "numpy": (NumPy, "numpy"),
    "torch": (Torch, "torch"),
    "torch-compile": (TorchCompiled, "torch"),
    "jax": (Jax, "optax"),
    "jax-scan": (JaxScan, "optax"),
    "sklearn": (ScikitLearn, "sklearn"),
    "onnxruntime": (OnnxRuntime, "onnxruntime"),
    "keras-jax": (Keras, "keras"),
    "keras-tensorflow": (Keras, "tensorflow"),
}


def network_of(task: Task) -> Case:
    """The network of a task that has one."""
    assert task.network is not None
    return task.network


def environment(name: str, threads: int) -> dict[str, str]:
    """The environment of a library's process: its threads, and nothing that slows NumPy down."""
    drop = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}
    env = {key: value for key, value in os.environ.items() if key not in drop}
    for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        env[key] = str(threads)
    if name.startswith("keras-"):
        env["KERAS_BACKEND"] = name.removeprefix("keras-")
    return env | {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


def make(name: str, threads: int) -> Peer:
    """The peer of this name."""
    warnings.simplefilter("ignore")
    return PEERS[name][0](threads)
