"""What valgrind watches: every kernel that Python reaches, training, predicting, saving and loading.

With `planted`: one of its outputs is shorter than it says.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import lanewise as lw
from lanewise import ops

rng = np.random.default_rng(0)


def exact(*shape: int) -> np.ndarray:
    """An array that ends where its memory ends."""
    return rng.standard_normal(shape).astype(np.float32)


LOSSES = ("mse", "mae", "huber", "binary_crossentropy", "categorical_crossentropy")
ACTIVATIONS = [
    name.removesuffix("_forward")
    for name in dir(ops)
    if name.endswith("_forward") and not name.startswith((*LOSSES, "_", "dense", "prelu", "sparse"))
]
reached = {name for one in (*ACTIVATIONS, *LOSSES, "prelu", "dense") for name in (f"{one}_forward", f"{one}_backward")}
for rows, cols in ((1, 1), (3, 7), (5, 17), (2, 33)):
    x, y = exact(rows, cols), np.abs(exact(rows, cols))
    for name in ACTIVATIONS:
        getattr(ops, f"{name}_backward")(x, getattr(ops, f"{name}_forward")(x))
    for name in LOSSES:
        getattr(ops, f"{name}_forward")(y, x), getattr(ops, f"{name}_backward")(y, x)
    labels = np.arange(rows) % cols
    ops.sparse_categorical_crossentropy_forward(labels, x), ops.sparse_categorical_crossentropy_backward(labels, x)
    ops.prelu_forward(x, y[0].copy()), ops.prelu_backward(x, y, y[0].copy())
    ops.matmul(x, y.T), ops.matmul(x.T, y), ops.row_sum(x), ops.column_sum(x)
    out = ops.dense_forward(x, y.T.copy(), x[:, 0].copy(), "tanh")
    ops.dense_backward(exact(rows, rows), x, y.T.copy(), out, "tanh")
    w, g, m, v = exact(cols), exact(cols), np.zeros(cols, np.float32), np.zeros(cols, np.float32)
    ops.adam_step(w, g, m, v, step=1), ops.sgd_step(w, g, m, momentum=0.9), ops.rmsprop_step(w, g, v)
    ops.random_normal(1, 2, 3, 4, cols), ops.random_uniform(1, 2, 3, 4, cols), ops.permutation(1, 2, cols)
reached |= {f"sparse_categorical_crossentropy_{way}" for way in ("forward", "backward")}
reached |= {"row_sum", "column_sum", "adam_step", "sgd_step", "rmsprop_step", "optimizer_step"}  # the last: below
kernels = {name for name in dir(ops) if name.endswith(("_forward", "_backward", "_step", "_sum")) and name[0] != "_"}
assert kernels <= reached, kernels - reached

# what only trainings reach: every optimizer, every loss
x, y = exact(19, 3), np.minimum(np.abs(exact(19, 2)), 1)
for base, given in ((lw.optimizers.Optimizer, lw.optimizers), (lw.losses.Loss, lw.losses)):
    for kind in {id(k): k for k in vars(given).values() if isinstance(k, type) and issubclass(k, base)}.values():
        if kind is base:
            continue
        loss = kind() if given is lw.losses else "mse"
        small = lw.Sequential([lw.Input((3,)), lw.layers.Dense(2 * (1 + (kind.__name__ == "GaussianNLL")), "sigmoid")])
        small.compile(kind() if given is lw.optimizers else "sgd", loss)
        target = np.arange(19) % 2 if kind.__name__.startswith("Sparse") else y
        small.fit(x, target, batch_size=8, verbose=0)

model = lw.Sequential([
    lw.Input((9,)), lw.layers.Dense(33, "gelu"), lw.layers.BatchNormalization(), lw.layers.Dropout(0.3),
    lw.layers.LayerNormalization(), lw.layers.Dense(5, "softmax"),
])  # fmt: skip
model.compile(lw.optimizers.Adam(global_clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
data, labels = exact(70, 9), np.arange(70) % 5
model.fit(data, labels, batch_size=16, epochs=2, validation_split=0.2, verbose=0)
before = model.predict(data, verbose=0)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.lanewise"
    model.save(path)
    assert np.array_equal(lw.load_model(path).predict(data, verbose=0), before)

if "planted" in sys.argv:
    import ctypes

    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    block = libc.malloc(40)
    view = np.ctypeslib.as_array(ctypes.cast(block, ctypes.POINTER(ctypes.c_float)), (12,))
    ops.relu_forward(view, out=view)
print("0 errors")
