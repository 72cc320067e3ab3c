"""Random calls of every function of `keras.ops` on symbolic tensors beside the function itself on arrays."""

from __future__ import annotations

import copy
import inspect
import random
from typing import Any

import numpy as np
import pytest

from lanewise import keras
from lanewise._structure import flatten
from lanewise.custom import moves, neural, operations
from lanewise.layers import Function
from lanewise.layers.slots import Slot
from lanewise.layers.symbolic import _WITHOUT_TENSORS, apply, function_called

NAMES = sorted({*moves.__all__, *neural.__all__, *operations.__all__, "get_item"} - _WITHOUT_TENSORS)
SHAPES = [(1,), (2,), (3,), (5,), (1, 1), (2, 2), (1, 3), (3, 1), (2, 5), (5, 2), (20,), (4, 20), (6, 7, 20), (2, 1, 5)]
AXES = [0, 1, 2, -1, -2, None, [1], [0], [1, 2], [-1, 1], [], [[1], [1]], [[2], [1]], [[-1], [0]]]
ALL = slice(None)
KEYS = [0, -1, None, ALL, [0, 1], np.array([0]), slice(1, None), slice(None, None, -1), True, [True, False], Ellipsis]
SOME = {
    "newshape": [[-1], [-1, 1], [-1, 2], [2, -1], [-1, 4, 5], [1, -1], [5, 4]],
    "shape": [[-1, 2], [5, 2], [5, 3, 5], [1, 5, 20]],
    "repeats": [1, 2, 0, [1], [2, 1], [1, 2], [1, 1, 2]],
    "pad_width": [1, 0, [[0, 0], [1, 2]], [[0, 0], [0, 1], [2, 0]]],
    "mode": ["constant", "edge", "reflect", "wrap"],
    "shift": [1, -2, [1, 2]],
    "num_classes": [1, 3],
    "indices_or_sections": [1, 2, [1]],
    "indices": [[0], [0, 1], np.array([[0]]), [7], 0, np.array([[[0]]])],
    "ord": [None, 1, 2],
    "order": [1, 2],
    "epsilon": [1e-12],
    "dtype": ["float32", "int32"],
    "subscripts": [
        "ab,ab->ab",
        "ab,cb->a",
        "...a,...a->...",
        "ab->b",
        "abc,abd->acd",
        "a...->a...",
        "ab,b->a",
        "abc->a",
    ],
    "keepdims": [False, True],
    "from_logits": [False, True],
    "approximate": [False, True],
}


def arguments(name: str, rng: random.Random, tensors: list[Any]) -> dict[str, Any]:
    """A value for each argument, some of them tensors; arguments that have a default may be left out."""

    def array() -> Any:
        shape = rng.choice([(1,), (2,), (5,), (2, 1), (1, 3), (20,), (1, 1, 4), (5, 2)])
        values = np.random.default_rng(rng.randrange(1000)).integers(-3, 4, shape)
        return rng.choice([values, values / np.float32(4), values.tolist(), 0.5, -1, 3])

    given: dict[str, Any] = {}
    for key, parameter in inspect.signature(function_called(name)).parameters.items():
        if key in ("name", "ragged", "sparse") or (parameter.default is not parameter.empty and rng.random() < 0.4):
            continue
        if key in ("xs", "operands") or (name, key) == ("stack", "x"):
            given[key] = [rng.choice([*tensors, array()]) for _ in range(rng.randint(1, 3))]
        elif key == "key":
            given[key] = [rng.choice([ALL, ALL, ...]), *rng.choices(KEYS, k=rng.randint(0, 3))]
        elif key.startswith("ax") or key in ("source", "destination"):
            given[key] = rng.choice(AXES)
        elif key in SOME and not (key == "indices" and rng.random() < 0.4):
            given[key] = rng.choice(SOME[key])
        else:
            given[key] = rng.choice([tensors[0], tensors[0], tensors[-1], array()])
    return given


def on(function: Any, given: dict[str, Any], values: dict[int, Any]) -> Any:
    """The function itself, values in the places of the tensors."""
    placed = {
        key: [values.get(id(v), v) for v in value] if isinstance(value, list) else values.get(id(value), value)
        for key, value in given.items()
    }
    if "operands" in placed:
        return np.asarray(function(placed["subscripts"], *placed["operands"]))
    return np.asarray(function(**placed))


def rows_alone(function: Any, given: dict[str, Any], data: dict[int, Any]) -> Any:
    """The result where it has a row of its own for each row, in any number of them; None where not."""
    with np.errstate(all="ignore"):
        try:
            whole = on(function, given, data)
            parts = [on(function, given, {k: v[at] for k, v in data.items()}) for at in (slice(1, 3), slice(4, 9))]
        except Exception:  # whatever the function says
            return None
    if whole.dtype.kind not in "biuf" or not whole.size or whole.shape[:1] != (9,) or parts[0].shape[:1] != (2,):
        return None
    pairs = zip(parts, (whole[1:3], whole[4:]), strict=True)
    same = all(part.shape == own.shape and np.allclose(part, own, 1e-4, 1e-5, True) for part, own in pairs)
    return whole if same else None


def predicted(model: Any, inputs: list[Any]) -> Any:
    with np.errstate(all="ignore"):
        return np.asarray(model.predict(inputs, verbose=0))


# Refused although it would do: one tensor joined along the rows, each row once, predictions in an array, fewer axes
# than none, places in all rows that happen to be in the first ones
NEEDLESS = {"concatenate", "repeat", "sparse_categorical_crossentropy", "take", "tensordot"}


@pytest.mark.parametrize("seed", range(6))
def test_random_calls(seed: int) -> None:
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    made = refused = 0
    for _ in range(250):
        name = rng.choice(NAMES)
        shapes = [rng.choice(SHAPES)]
        shapes.append(rng.choice([shapes[0], rng.choice(SHAPES)]))
        tensors = [keras.Input(shape) for shape in shapes]
        given = arguments(name, rng, tensors)
        whole = name in ("take", "take_along_axis", "one_hot", "sparse_categorical_crossentropy")
        data = {
            id(t): (numbers.integers(0, 2, (9, *s)) if whole else numbers.standard_normal((9, *s)) * 2).astype("f")
            for t, s in zip(tensors, shapes, strict=True)
        }
        leaves = {id(leaf) for leaf in flatten(list(given.values()))}
        used = [t for t in tensors if id(t) in leaves]
        if not used:
            continue
        wanted = rows_alone(function_called(name), given, data)
        case = f"{name}{shapes} {given}"
        try:
            if "operands" in given:
                result = apply(name, given["subscripts"], *given["operands"])
            else:
                result = apply(name, **given)
            results = result if isinstance(result, list) else [result]
            model = keras.Model(used, results)
        except (ValueError, TypeError, IndexError, NotImplementedError) as error:
            refused += 1
            assert wanted is None or name in NEEDLESS, f"{case}: {error}"
            continue
        if name in ("split", "shape", "ndim", "top_k"):
            continue
        inputs = [data[id(t)] for t in used]
        try:
            out = predicted(model, inputs)
        except ValueError as error:  # places that only numbers show to be none
            assert "indices: expected" in str(error), case
            continue
        made += 1
        assert wanted is not None, case
        assert model.output_shape[1:] == out.shape[1:] == wanted.shape[1:], case
        np.testing.assert_allclose(out, wanted.astype("f"), 1e-4, 1e-5, err_msg=case)
        assert predicted(model, [x[3:4] for x in inputs]).tobytes() == out[3:4].tobytes(), case
        assert predicted(copy.deepcopy(model), inputs).tobytes() == out.tobytes(), case
    assert made > 60 and refused > 60


def test_a_function_whose_rows_mix_would_be_seen() -> None:
    x = keras.Input((4,))
    data = {id(x): np.random.default_rng(0).standard_normal((9, 4))}
    for function in (lambda x: x - x.mean(0), lambda x: x[::-1], lambda x: x[:5], lambda x: x.cumsum(0)):
        assert rows_alone(function, {"x": x}, data) is None
    assert rows_alone(lambda x: x[:, ::-1], {"x": x}, data) is not None


def test_a_function_is_looked_at_in_every_call() -> None:
    i, j = keras.Input((3,)), keras.Input((5,))
    first = keras.ops.sort(i, 1)
    layer = first._keras_history.operation
    second = layer(j)
    assert second.shape == (None, 5)
    model = keras.Model([i, j], [first, second])
    again = keras.models.model_from_json(model.to_json())
    x, y = np.random.default_rng(0).standard_normal((2, 4, 5)).astype("f")
    for one in (model, again):
        a, b = one.predict([x[:, :3], y], verbose=0)
        np.testing.assert_array_equal(a, np.sort(x[:, :3], 1))
        np.testing.assert_array_equal(b, np.sort(y, 1))
    joined = Function("concatenate", [[Slot(1), Slot(0), Slot(1)], 1], {}).call_on([i, j])
    assert joined.shape == (None, 13)
    out = keras.Model([i, j], joined).predict([x[:, :3], y], verbose=0)
    np.testing.assert_array_equal(out, np.concatenate([y, x[:, :3], y], 1))


def test_products_with_arrays_have_the_same_bits_in_any_batch() -> None:
    x = keras.Input((6, 300))
    w = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)
    three = w[:, :196].reshape(300, 14, 14)
    data = np.random.default_rng(1).standard_normal((257, 6, 300)).astype(np.float32)
    ops = keras.ops
    for y, wanted in (
        (ops.inner(x, w.T.copy()), data @ w), (ops.tensordot(x, w, 1), data @ w),
        (ops.matmul(x, w[:, 0]), data @ w[:, 0]),
        (ops.dot(x, w[:, 1]), data @ w[:, 1]), (ops.tensordot(x, three, [[-1], [0]]), np.tensordot(data, three, 1)),
        (ops.tensordot(x, w[:6], [[1], [0]]), np.tensordot(data, w[:6], [[1], [0]])),
        (ops.dot(x, three.transpose(1, 0, 2)), np.dot(data, three.transpose(1, 0, 2))),
        (ops.tensordot(x, np.ones((6, 300), "f"), 2), data.sum((1, 2))),
        (ops.inner(w[:, 0], x), data @ w[:, 0]),
        (ops.tensordot(w[:6, 0], x, [[0], [1]]), np.inner(w[:6, 0], data.swapaxes(1, 2))),
        (ops.einsum("abc->a", x), data.sum((1, 2))), (ops.dot(ops.sum(x, 2)[:, :1] - 0.5, 0), np.zeros((257, 1))),
    ):  # fmt: skip
        model = keras.Model(x, y)
        out = model.predict(data, verbose=0)
        np.testing.assert_allclose(out, wanted, 1e-3, 2e-3)
        for n in (1, 5, 100):
            assert model.predict(data[:n], verbose=0).tobytes() == out[:n].tobytes()
