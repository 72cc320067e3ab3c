"""Functions on symbolic tensors: where gradients end, what drops a mask, and what Keras's descriptions of them say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hostile_graphs import model as model_form, source, tensor
from lanewise import keras
from lanewise.keras import Input, Model, layers, ops
from test_symbolic_edges import model_of


@pytest.mark.parametrize(
    "gate",
    [
        lambda h, x: ops.cast(h / x > 1, "float32"),
        lambda h, x: ops.stop_gradient(ops.minimum(h / x, 5.0)),
        lambda h, x: ops.sign(h / x),
        lambda h, x: ops.floor(ops.minimum(h / x, 5.0)),
        lambda h, x: ops.argmax(h / x, axis=1, keepdims=True),
        lambda h, x: ops.cast(ops.square(1e30 * h) > 1, "float32"),
    ],
)
def test_no_gradient_goes_through_steps(gate: Any) -> None:
    """Zero times the infinite slope behind a step was NaN for every weight."""
    x = Input((2,))
    h = layers.Dense(2, kernel_initializer="ones", use_bias=False)(x)
    model = Model(x, ops.sum(gate(h, x) * h, axis=1, keepdims=True))
    model.compile("sgd", "mse")
    rows = np.float32([[1, 0], [2, 3]])
    with np.errstate(all="ignore"):
        slopes = model.value_and_grad(rows, np.zeros((2, 1), "f"))[1][0]
        factor = np.broadcast_to(np.asarray(gate(rows @ np.ones((2, 2), "f"), rows), np.float32), (2, 2))
    y = (factor * rows.sum(1, keepdims=True)).sum(1, keepdims=True)
    expected = rows.T @ (y * factor)
    np.testing.assert_allclose(slopes, expected, rtol=1e-5)


def test_operators_drop_masks_in_models_inside_too() -> None:
    rows = np.float32([[[1, 2], [0, 0], [3, 4]]])
    for function in (lambda i: i + i, lambda i: i * i, lambda i: i - (i - i), lambda i: ops.add(i, i)):
        i, o = Input((3, 2)), Input((3, 2))
        inner = Model(i, function(i))
        model = Model(o, layers.GlobalAveragePooling1D()(inner(layers.Masking()(o))))
        np.testing.assert_allclose(model.predict(rows, verbose=0), function(rows).mean(1), rtol=1e-6)


def described(kind: str, module: str = "numpy", kwargs: Any = None, **config: Any) -> str:
    """A model of one operation of Keras's on an input of 3 numbers, as JSON."""
    operation = {
        "module": f"keras.src.ops.{module}", "class_name": kind, "config": {"name": "f", **config},
        "registered_name": kind, "name": "f", "inbound_nodes": [{"args": [tensor("i")], "kwargs": kwargs or {}}],
    }  # fmt: skip
    return json.dumps(model_form(source(3), operation))


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("Round", {"decimals": 2}),
        ("Max", {"axis": 1, "keepdims": True, "initial": 0.0}),
        ("Min", {"axis": 1, "keepdims": True, "initial": 0}),
        ("Prod", {"axis": 1, "dtype": "int32"}),
        ("Cumsum", {"axis": 1, "dtype": "int32"}),
        ("Sum", {"axis": 1, "where": [0]}),
        ("Sum", {"axis": 1, "kwargs": {"where": [0]}}),
    ],
)
def test_arguments_of_keras_that_are_not_there_are_refused(kind: str, config: dict[str, Any]) -> None:
    """Dropped, they made other numbers."""
    with pytest.raises(ValueError, match=r"the operation .* of Keras \(f\) is not known here: \w+=.* is not there"):
        keras.models.model_from_json(described(kind, **config))


def test_defaults_of_keras_are_nothing() -> None:
    rows = np.float32([[-1.5, 0.5, 2.5]])
    for text, expected in (
        (described("Round", decimals=0), np.round(rows)),
        (described("Max", axis=1, keepdims=True, initial=None), [[2.5]]),
        (described("Normalize", "nn", axis=-1, order=2, epsilon=None), rows / np.linalg.norm(rows)),
    ):
        np.testing.assert_allclose(keras.models.model_from_json(text).predict(rows, verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(ops.normalize(np.float32([[3e-9, 4e-9]])), [[0.03, 0.04]], rtol=1e-5)


def test_infinite_arguments_stand_in_descriptions_as_keras_has_them() -> None:
    model = model_of(lambda x: ops.where(ops.greater(x, 0), x, -np.inf), 3)
    text = model.to_json()
    assert "__float__" not in text and "-Infinity" in text
    rows = np.float32([[-1, 0, 1]])
    for again in (keras.models.model_from_json(text), model):
        np.testing.assert_array_equal(again.predict(rows, verbose=0), [[-np.inf, -np.inf, 1]])


def test_arrays_of_a_persons_are_taken_as_they_were() -> None:
    c = np.float32([1, 2, 3])
    model = model_of(lambda x: ops.mod(x, c), 3)
    c[:] = 100
    np.testing.assert_array_equal(model.predict(np.float32([[5, 5, 5]]), verbose=0), [[0, 1, 2]])


def test_lists_and_flags_in_the_wrong_places() -> None:
    x = Input((4,))
    with pytest.raises(TypeError, match="split: expected a symbolic tensor, received a list"):
        ops.split([x, x], 2)
    with pytest.raises(TypeError, match="pad: pad_width: expected integers, received False"):
        ops.pad(x, False)
