"""Masks and layers written in Python: given to those that take them, passed on, dropped with a warning, or refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lanewise import keras
from lanewise.keras import layers, ops

IDS = np.random.default_rng(0).integers(1, 9, (40, 6)) * (np.arange(6) < np.arange(40)[:, None] % 6 + 1)
Y = np.random.default_rng(1).standard_normal((40, 1)).astype(np.float32)


class Mean(layers.Layer):
    """The mean over the steps that count, as GlobalAveragePooling1D gives it."""

    def call(self, x: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.mean(x, axis=1)
        assert mask.dtype == bool and mask.shape == x.shape[:2]
        counted = ops.expand_dims(ops.cast(mask, "float32"), -1)
        return ops.sum(x * counted, axis=1) / ops.sum(counted, axis=1)


class Twice(layers.Layer):
    def call(self, x: Any) -> Any:
        return 2.0 * x


class TwiceMasked(Twice):
    supports_masking = True


def model(*between: Any, zero: bool = True) -> keras.Sequential:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [keras.Input((6,)), layers.Embedding(9, 4, mask_zero=zero), *between, layers.Dense(3, "tanh"), layers.Dense(1)]
    )


def trained(net: keras.Sequential) -> list[Any]:
    net.compile(keras.optimizers.SGD(0.1), "mse")
    before = [net.predict(IDS, verbose=0), net.predict_on_batch(IDS[:1])]
    net.fit(IDS, Y, epochs=3, batch_size=16, verbose=0, shuffle=False)
    return [*before, *net.get_weights()]


@pytest.mark.parametrize("between", [[], [TwiceMasked], [lambda: layers.Dropout(0.25)]], ids=["", "own", "dropout"])
def test_a_call_is_given_the_mask(between: list[Callable[[], Any]]) -> None:
    """Predictions and trained weights are those of the package's masked pooling."""
    ours = trained(model(*(make() for make in between), Mean()))
    theirs = trained(model(*(make() for make in between), layers.GlobalAveragePooling1D()))
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a - b).max() < 1e-5
    unmasked = trained(model(layers.GlobalAveragePooling1D(), zero=False))
    assert np.abs(ours[0] - unmasked[0]).max() > 1e-3  # the comparison can fail


def test_the_mask_of_masking_and_a_model_copied_and_loaded(tmp_path: Any) -> None:
    x = np.random.default_rng(2).standard_normal((10, 5, 3)).astype(np.float32)
    x[:, 3:] = 0
    net = keras.Sequential([keras.Input((5, 3)), layers.Masking(), Mean()])
    want = x[:, :3].mean(1)
    net.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Mean": Mean})
    for each in net, keras.models.clone_model(net), loaded:
        assert np.allclose(each.predict(x, verbose=0), want, atol=1e-6)


def test_no_mask_is_none() -> None:
    for net in model(Mean(), zero=False), keras.Sequential([keras.Input((6, 4)), Mean()]):
        x = IDS if net.layers[0].name.startswith("embedding") else np.ones((3, 6, 4))
        assert np.isfinite(net.predict(x, verbose=0)).all()
    assert np.allclose(Mean()(np.ones((2, 3, 4))), 1)


def test_masks_end_with_a_warning_or_go_on() -> None:
    pooled = layers.GlobalAveragePooling1D
    with pytest.warns(UserWarning, match="Twice.* was passed an input with a mask attached to it"):
        dropped = model(Twice(), pooled()).predict(IDS, verbose=0)
    assert np.array_equal(dropped, model(TwiceMasked(), pooled(), zero=False).predict(IDS, verbose=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        passed = model(TwiceMasked(), pooled()).predict(IDS, verbose=0)
    assert np.abs(passed - dropped).max() > 1e-3


class Inside(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.pool = layers.Embedding(9, 4, mask_zero=True), layers.GlobalAveragePooling1D()

    def call(self, x: Any) -> Any:
        return self.pool(self.embed(x))


CALLS: dict[str, Callable[[], Any]] = {
    "alone": lambda: layers.Embedding(9, 4, mask_zero=True)(IDS),
    "masking alone": lambda: layers.Masking()(np.ones((2, 3, 4))),
    "inside": lambda: Inside()(IDS),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_carries_no_mask_says_so(call: Callable[[], Any]) -> None:
    with pytest.warns(UserWarning, match="only the layers of a model see the mask of .*counts every step"):
        call()


def test_what_is_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"compute_mask\(\) of its own .* supports_masking = True"):

        class Computed(layers.Layer):
            def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
                return mask

    class Two(layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            return x[0] + x[1]

    ids = keras.Input((6,))
    y = layers.Embedding(9, 4, mask_zero=True)(ids)
    with pytest.raises(NotImplementedError, match="takes a mask beside one input, not 2"):
        keras.Model(ids, Two()([y, y])).predict(IDS, verbose=0)
    with pytest.raises(NotImplementedError, match="mask= cannot be given"):
        layers.GlobalAveragePooling1D()(np.ones((2, 3, 4)), mask=np.ones((2, 3), bool))
    x = np.ones((2, 3))
    for kind in (
        layers.Dense(1),
        layers.IntegerLookup(vocabulary=[1]),
        layers.CategoryEncoding(3),
        Twice(),
        layers.Add(),
    ):
        with pytest.raises(TypeError, match=r"received k=\. What else a .* goes into its __init__"):
            kind([x, x] if isinstance(kind, layers.Add) else x, k=1)
    assert layers.Dense(2)(np.ones((1, 3)), mask=None).shape == (1, 2)


# --- several inputs without a build of one's own --------------------------------------------------------------------


class Sum(layers.Layer):
    def __init__(self, own_build: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(2, kernel_initializer="ones")

    def call(self, inputs: Any) -> Any:
        first, second = inputs.values() if isinstance(inputs, dict) else inputs
        return self.dense(first + second)


class Built(Sum):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)


@pytest.mark.parametrize("kind", [Sum, Built])
@pytest.mark.parametrize("form", [list, tuple, dict])
def test_lists_and_dicts_without_a_build(kind: Any, form: Any) -> None:
    def packed(a: Any, b: Any) -> Any:
        return {"a": a, "b": b} if form is dict else form([a, b])

    x = np.ones((4, 5), np.float32)
    assert np.array_equal(kind()(packed(x, 2 * x)), np.full((4, 2), 15))
    inputs = [keras.Input((5,)), keras.Input((5,))]
    net = keras.Model(inputs, kind()(packed(*inputs)))
    assert np.array_equal(net.predict([x, 2 * x], verbose=0), np.full((4, 2), 15))
