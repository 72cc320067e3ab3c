"""Functional models as objects: their parts, copies and descriptions, and what is refused."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from functional_cases import Y1, Y2, A, B, W, compiled, two_by_two
from lanewise import layers
from lanewise.keras.models import clone_model, model_from_json
from lanewise.models import Functional, Model
from reference import same_bits

# --- parts of models -------------------------------------------------------------------------------------------------


def test_a_part_of_a_model_shares_its_weights() -> None:
    model = lw.Sequential([layers.Dense(6, activation="relu", input_shape=(5,)), layers.Dense(3), layers.Dense(2)])
    features = Model(model.input, model.layers[1].output)
    assert features.weights == model.weights[:4]
    rest = Model(model.layers[1].output, model.output)
    assert [layer.name for layer in rest.layers[1:]] == [model.layers[2].name]
    assert same_bits(rest.predict(features.predict(A, verbose=0), verbose=0), model.predict(A, verbose=0))
    everything = Model(model.inputs, [layer.output for layer in model.layers])
    assert same_bits(everything.predict(A, verbose=0)[2], model.predict(A, verbose=0))
    model.compile("sgd", "mse")
    model.fit(A, Y1, verbose=0)
    assert same_bits(rest.predict(features.predict(A, verbose=0), verbose=0), model.predict(A, verbose=0))


def test_models_in_models() -> None:
    inner = two_by_two(name="inner")
    u, v = lw.Input((5,), name="u"), lw.Input((3,), name="v")
    left, right = inner([u, v])
    again, _ = inner({"a": u, "b": v})
    chain = lw.Sequential([layers.Dense(3), layers.Dense(2)], name="chain")  # built by the call
    model = Model({"u": u, "v": v}, {"sum": layers.add([left, again, chain(left)]), "right": right})
    assert chain.built and model.output_names == ["right", "sum"]
    assert len(model.weights) == len(inner.weights) + 4
    p, (q, r) = model.predict({"u": A, "v": B}, verbose=0), inner.predict([A, B], verbose=0)
    assert same_bits(p["right"], r)
    assert p["sum"] == pytest.approx(2 * q + chain.predict(q, verbose=0), rel=1e-5, abs=1e-6)
    stacked = lw.Sequential([lw.Input((5,)), lw.Sequential([layers.Dense(4), layers.Dense(2)]), layers.Dense(1)])
    assert stacked.output_shape == (None, 1) and len(stacked.weights) == 6


# --- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "config", "json", "clone", "file"])
def test_copies_predict_and_train_alike(way: str, tmp_path: Any) -> None:
    lw.utils.set_random_seed(4)
    inner = two_by_two(name="inner")
    u, v = lw.Input((5,), name="u"), lw.Input((3,), name="v")
    left, right = inner([u, v])
    model = Model([u, v], {"left": layers.add([left, inner([u, v])[0]]), "right": right})
    model.compile(
        "adam", {"left": "mse", "right": "sparse_categorical_crossentropy"}, {"right": 0.5}, {"left": ["mae"]}
    )
    y = {"left": Y1, "right": Y2}
    model.fit([A, B], y, verbose=0)
    if way == "file":
        model.save(tmp_path / "model.lanewise")
        other = lw.load_model(tmp_path / "model.lanewise")
    else:
        other = {
            "pickle": lambda: pickle.loads(pickle.dumps(model)),
            "deepcopy": lambda: copy.deepcopy(model),
            "config": lambda: Functional.from_config(model.get_config()),
            "json": lambda: model_from_json(model.to_json()),
            "clone": lambda: clone_model(model),
        }[way]()
    assert isinstance(other, Functional) and [layer.name for layer in other.layers] == [n.name for n in model.layers]
    if way in ("config", "json", "clone"):
        assert not same_bits(other.get_weights()[0], model.get_weights()[0])
        other.set_weights(model.get_weights())
    assert all(same_bits(p, q) for p, q in zip(
        other.predict([A, B], verbose=0).values(), model.predict([A, B], verbose=0).values(), strict=True
    ))  # fmt: skip
    assert other.get_config() == model.get_config()
    if way in ("pickle", "deepcopy", "file"):
        for one in (model, other):
            lw.utils.set_random_seed(9)
            one.fit([A, B], y, epochs=2, verbose=0)
        assert all(same_bits(p, q) for p, q in zip(model.get_weights(), other.get_weights(), strict=True))


def test_clone_with_a_function_of_layers_and_on_other_inputs() -> None:
    model = two_by_two()

    def smaller(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, "trainable": False} if layer.weights else config)

    frozen = clone_model(model, clone_function=smaller)
    assert not frozen.trainable_weights and len(frozen.weights) == len(model.weights)
    inputs = [lw.Input((5,), name="left_in"), lw.Input((3,), name="right_in")]
    assert clone_model(model, input_tensors=inputs).input_names == ["left_in", "right_in"]


def test_the_layout_of_a_description_is_keras_own() -> None:
    x = lw.Input((4,), name="x")
    inner = Model(x, layers.Dense(4, name="d")(x), name="inner")
    model = Model(x, layers.Add(name="add")([inner(x), x]), name="net")
    config = model.get_config()
    assert list(config) == ["name", "trainable", "layers", "input_layers", "output_layers"]
    assert [entry["class_name"] for entry in config["layers"]] == ["InputLayer", "Functional", "Add"]
    where = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32"}}
    where["config"] = {**where["config"], "keras_history": ["x", 0, 0]}  # type: ignore[dict-item]
    assert config["layers"][1]["inbound_nodes"] == [{"args": [where], "kwargs": {}}]
    assert [h["config"]["keras_history"] for h in config["layers"][2]["inbound_nodes"][0]["args"][0]] == [
        ["inner", 0, 0], ["x", 0, 0],
    ]  # fmt: skip
    assert config["input_layers"] == ["x", 0, 0] and config["output_layers"] == ["add", 0, 0]
    assert Model(x, inner(x)).get_config()["output_layers"] == ["inner", 1, 0]  # Keras counts from 1 there


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda a, b: Model(a, layers.add([layers.Dense(3)(a), b])), ValueError, "depend on the Input 'b'.*not among"),
        (lambda a, b: Model([a], b), ValueError, "depend on the Input 'b'"),
        (lambda a, b: layers.add([a, b]), ValueError, r"received \(None, 5\), \(None, 3\); input 1 differs"),
        (lambda a, b: layers.Add()(a), ValueError, "called on a list of inputs"),
        (lambda a, b: layers.subtract([a, a, a]), ValueError, "takes 2 inputs, received 3"),
        (lambda a, b: layers.Dense(2)([a, b]), ValueError, "takes one input, received 2; join them first"),
        (lambda a, b: layers.concatenate([a, b], axis=0), ValueError, "axis: rows cannot be joined"),
        (lambda a, b: layers.concatenate([a, b], axis=2), ValueError, "axis=2 is no axis of samples"),
        (lambda a, b: layers.concatenate([a, lw.Input((2, 3))]), ValueError, "differ in that axis only"),
        (lambda a, b: layers.Dense(2)([a, np.ones((3, 5))]), TypeError, "symbolic tensors and a ndarray together"),
        (lambda a, b: Model(a, layers.Dense(2)), TypeError, "outputs: expected symbolic tensors.*call it on a tensor"),
        (lambda a, b: Model(np.ones((3, 5)), a), TypeError, "inputs: expected symbolic tensors.*ndarray"),
        (lambda a, b: Model([a, a], a), ValueError, "one Input is given twice"),
        (lambda a, b: Model(a), TypeError, "outputs: expected symbolic tensors"),
        (lambda a, b: Model(), TypeError, "expected inputs and outputs"),
        (lambda a, b: Model(a, layers.Dense(1, name="n")(layers.Dense(1, name="n")(a))), ValueError, "two layers.*'n'"),
        (lambda a, b: layers.Dense(4).output, AttributeError, "was not called on a symbolic tensor"),
        (lambda a, b: np.asarray(a), TypeError, "is symbolic: it has a shape, but no values"),
        (lambda a, b: bool(a), TypeError, "is symbolic"),
        (lambda a, b: Model(a, a)(b), ValueError, r"takes inputs of shapes \(None, 5\), received \(None, 3\)"),
    ],
)
def test_graphs_that_cannot_be(make: Callable[..., Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make(lw.Input((5,), name="a"), lw.Input((3,), name="b"))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: m.fit([A], [Y1, Y2]), ValueError, r"x: the model has 2 inputs \('a', 'b'\), received 1 arrays"),
        (lambda m: m.fit(A, [Y1, Y2]), ValueError, r"2 inputs.*give a list or a dict of arrays; received ndarray"),
        (lambda m: m.fit({"a": A, "c": B}, [Y1, Y2]), ValueError, "no array for the input 'b'"),
        (lambda m: m.fit([B, A], [Y1, Y2]), ValueError, r"x\['a'\]: expected an array of shape \(n, 5\)"),
        (lambda m: m.fit([A, B[:9]], [Y1, Y2]), ValueError, r"x\['b'\]: expected 70 rows as x\['a'\] has, received 9"),
        (lambda m: m.fit([A, B], Y1), ValueError, r"y: the model has 2 outputs \('left', 'right'\), give a list"),
        (lambda m: m.fit([A, B], [Y1]), ValueError, "y: the model has 2 outputs.*received 1"),
        (lambda m: m.fit([A, B], {"left": Y1, "rigth": Y2}), ValueError, "no output is called 'rigth'.*'right'"),
        (lambda m: m.fit([A, B], {"left": Y1}), ValueError, r"y\['right'\]: expected targets, received None"),
        (lambda m: m.fit([A, B], [Y1, Y2[:9]]), ValueError, r"y\['right'\]: expected 70 rows as x has, received 9"),
        (lambda m: m.fit([A, B], [Y1, Y2 + 1]), ValueError, r"y\['right'\].*from 0 to 3"),
        (lambda m: m.fit([A, B], [Y1, Y2], class_weight={0: 1}), ValueError, "class_weight: the model has 2 outputs"),
        (lambda m: m.fit([A, B], [Y1, Y2], sample_weight={"r": W}), ValueError, "weight: no output is called 'r'"),
        (lambda m: m.compile("sgd", {"lefty": "mse"}), ValueError, "loss: no output is called 'lefty'.*'left'"),
        (lambda m: m.compile("sgd", ["mse"] * 3), ValueError, "loss: the model has 2 outputs.*received 3"),
        (lambda m: m.compile("sgd", "mse", loss_weights=0.5), ValueError, "loss_weights: the model has 2 outputs"),
        (lambda m: m.compile("sgd", "mse", metrics=["mae"]), ValueError, "metrics: the model has 2 outputs.*dict"),
        (lambda m: m.compile("sgd", "mse", metrics={"x": "mae"}), ValueError, "metrics: no output is called 'x'"),
        (lambda m: m.predict([A, B, A]), ValueError, "x: the model has 2 inputs.*received 3"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit_changes_nothing(call: Callable[..., Any], error: type[Exception], text: str) -> None:
    model = compiled(two_by_two())
    before, config = model.get_weights(), model.get_compile_config()
    with pytest.raises(error, match=text):
        call(model)
    assert all(same_bits(p, q) for p, q in zip(before, model.get_weights(), strict=True))
    assert model.get_compile_config() == config


def test_descriptions_that_cannot_be() -> None:
    config = two_by_two().get_config()
    for change, text in [
        (lambda c: c.pop("layers"), "has no list of layers"),
        (lambda c: c["layers"].pop(0), "no layer is called '[ab]'"),
        (lambda c: c["output_layers"][0].__setitem__(1, 7), "there is no tensor"),
        (lambda c: c["layers"][-1]["inbound_nodes"][0].update(args=[3]), "expected a tensor, received 3"),
        (lambda c: c["layers"][-1].update(name="left"), "two are called 'left'"),
        (lambda c: c["layers"][-1].update(class_name="Conv2D"), "Conv2D"),
    ]:
        broken = copy.deepcopy(config)
        change(broken)  # type: ignore[no-untyped-call]
        with pytest.raises(ValueError, match=text):
            Functional.from_config(broken)


def test_models_of_the_users_own_say_what_to_do_instead() -> None:
    with pytest.raises(NotImplementedError, match=r"Mine: a train_step\(\) of its own.*model.value_and_grad"):
        type("Mine", (Model,), {"train_step": lambda self, data: data})
    for model in (Model, lw.keras.Model):
        assert isinstance(lw.Sequential(), model) and isinstance(two_by_two(), model)


def test_long_chains_and_towers_of_models() -> None:
    x = lw.Input((2,))
    h = x
    for _ in range(3000):
        h = layers.Activation("tanh")(h)
    model = Model(x, h)
    assert len(model.layers) == 3001
    assert np.isfinite(model.predict(np.ones((3, 2)), verbose=0)).all()
    tower = Model(x, layers.Activation("tanh")(x))
    with pytest.raises(ValueError, match="calls of layers, counted through nested models"):
        for _ in range(40):
            y = lw.Input((2,))
            tower = Model(y, tower(tower(y)))


def test_a_model_that_nobody_uses_is_freed_at_once() -> None:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        for make in (two_by_two, lambda: lw.Sequential([layers.Dense(3, input_shape=(5,)), layers.Dense(2)])):
            model = make()
            seen = weakref.ref(model.layers[1])
            del model
            assert seen() is None
    finally:
        gc.enable()
