"""Graphs from descriptions, and copies of models: what each of them says of what is not in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hostile_graphs as graphs
from lanewise import keras
from lanewise.keras import layers as L, models, ops


def read(description: dict[str, Any]) -> Any:
    return keras.Model.from_config(description["config"])


def test_descriptions_of_graphs() -> None:
    good = graphs.model(graphs.source(2), graphs.called("Identity", "a", "i"), graphs.called("Identity", "b", "a"))
    for change, text in (
        ({"layers": {}}, "no list of layers"),
        ({"layers": None}, "no list of layers"),
        ({"layers": [*good["config"]["layers"], 3]}, "3"),
        ({"input_layers": [["x", 0, 0]]}, "'x'"),
        ({"input_layers": 3}, "expected .name, call, output., received 3"),
        ({"layers": good["config"]["layers"][:2]}, "'b'"),
        ({"layers": good["config"]["layers"][::2]}, "'a'"),
    ):
        with pytest.raises((ValueError, TypeError), match=text):
            read({"config": {**good["config"], **change}})
    frozen = read({"config": {**good["config"], "trainable": False}})
    assert not frozen.trainable
    backwards = graphs.model(*good["config"]["layers"][:1], *good["config"]["layers"][:0:-1], outputs=["b"])
    assert read(backwards).output_shape == (None, 2)
    late = graphs.called("Add", "c", ["b", "b2"])  # waits for two
    both = graphs.called("Identity", "b2", "i")
    assert (
        read(graphs.model(graphs.source(2), late, *good["config"]["layers"][:0:-1], both, outputs=["c"])).count_params()
        == 0
    )
    last = good["config"]["layers"][1]
    for nodes, text in (
        ([{"args": [3], "kwargs": {}}], "inbound_nodes: expected a tensor, received 3"),
        (3, "inbound_nodes: expected a list, received 3"),
        ([3], "expected a call on one argument, received 3"),
        ([{"args": [{"a": graphs.tensor("x")}], "kwargs": {}}], "no layer is called 'x'"),
        ([{"args": [graphs.tensor("x")], "kwargs": {}}], "no layer is called 'x'"),
        ([{"args": [graphs.tensor("a")], "kwargs": {}}], "stand on tensors that nothing makes, or in a loop"),
        ([{"args": [{**graphs.tensor("i"), "config": {"keras_history": ["i", 0]}}]}], "expected .name, call, output."),
    ):
        with pytest.raises(ValueError, match=text):
            read(graphs.model(graphs.source(2), {**last, "inbound_nodes": nodes}))
    entry = {"class_name": "Sequential", "config": 3, "name": "s", "inbound_nodes": last["inbound_nodes"]}
    with pytest.raises(ValueError, match=r"config|Sequential"):
        read(graphs.model(graphs.source(2), entry))


def test_clone_model_says_what_it_takes() -> None:
    x = keras.Input((3,))
    functional, chain = keras.Model(x, L.Dense(2)(x)), keras.Sequential([x, L.Dense(2)])

    class Mine(keras.Model):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = L.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    for error, text, act in (
        (
            TypeError,
            "clone_function: expected a layer, received 3",
            lambda: models.clone_model(chain, None, lambda _: 3),
        ),
        (TypeError, "model: expected a model, received 3", lambda: models.clone_model(3)),
        (ValueError, "class of your own", lambda: models.clone_model(Mine(), None, lambda layer: layer)),
        (NotImplementedError, "input_tensors: a Sequential", lambda: models.clone_model(chain, x)),
        (ValueError, "has 1 inputs, received 2", lambda: models.clone_model(functional, [x, x])),
    ):
        with pytest.raises(error, match=text):
            act()
    mine = Mine()
    mine(np.ones((1, 3), np.float32))
    assert models.clone_model(mine).built is False or models.clone_model(mine).layers[0].units == 1


def test_arguments_that_are_no_real_numbers() -> None:
    x = keras.Input((3,))
    for value in (1j, np.array([1j, 2, 3]), np.array(["a", "b", "c"]), np.array([None, 1, 2]), [2**64, 1, 2]):
        with pytest.raises(TypeError, match="expected real numbers, received"):
            ops.add(x, value)
    for dtype in ("(3,)f4", "S9", "U9", "O", "complex64", "f4,f4", "longdouble", 3):
        with pytest.raises(TypeError, match=r"dtype|data type"):
            ops.cast(x, dtype)
    assert ops.repeat(x, np.array([2]), axis=np.int64(1)).shape == (None, 6)
    assert ops.transpose(keras.Input((3, 4)), np.array([0, 2, 1])).shape == (None, 4, 3)
    with pytest.raises(ValueError, match=r"shape mismatch|broadcast"):
        keras.Input((4, 4))[:, [0, 1, 2], [0, 1]]
    assert ops.cast(x, "<i4").shape == (None, 3)
    deep = L.deserialize({
        "class_name": "Function", "config": {"function": "add", "args": [1, 2], "kwargs": {}, "name": "f"}
    })  # fmt: skip
    with pytest.raises(ValueError, match="expected a symbolic tensor"):
        deep.call_on([])
