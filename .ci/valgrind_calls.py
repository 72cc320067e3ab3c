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


for rows, cols in ((1, 1), (3, 7), (5, 17), (2, 33)):
    x, y = exact(rows, cols), np.abs(exact(rows, cols))
    for name in ("relu", "sigmoid", "tanh", "gelu", "mish", "elu", "softmax", "log_softmax"):
        getattr(ops, f"{name}_backward")(x, getattr(ops, f"{name}_forward")(x))
    for name in ("mse", "mae", "huber", "binary_crossentropy", "categorical_crossentropy"):
        getattr(ops, f"{name}_forward")(y, x), getattr(ops, f"{name}_backward")(y, x)
    ops.matmul(x, y.T), ops.matmul(x.T, y), ops.row_sum(x), ops.column_sum(x)
    ops.dense_forward(x, y.T.copy(), x[:, 0].copy(), "tanh")
    w, m, v = exact(cols), np.zeros(cols, np.float32), np.zeros(cols, np.float32)
    ops.adam_step(w, exact(cols), m, v, step=1)

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
