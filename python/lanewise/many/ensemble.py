"""Ensemble: several models of one shape that predict together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import _engine
from .._engine import AnyArray, Float32, Float64
from .._names import keyword_checked
from ..layers import Activation, Input
from ..models import Functional, Model
from ..models.batches import is_sparse
from .fit import once


class Ensemble:
    """Predicts the mean of its models. Rows go through all of them slice by slice, each with the bits of its model.

    For classes the models end with softmax or sigmoid, and the mean is that of the probabilities (of logits it would be
    the mean of logits).

    Args:
        models: built models with the same shapes of inputs and outputs; or what `fit_many` returned, all of it.

    Attributes:
        models: the members.

    Raises:
        TypeError: something else than models. ValueError: none, one that is not built, or others than the first in
            their shapes.
    """

    def __init__(self, models: Iterable[Any]) -> None:
        self.models: list[Any] = []
        for i, entry in enumerate(models):
            model = getattr(entry, "model", entry)
            if not isinstance(model, Model):
                raise TypeError(f"models[{i}]: expected a model, received {model!r}")
            if not model.built:
                raise ValueError(f"models[{i}]: the model is not built; give the first layer input_shape=, or train it")
            self.models.append(model)
        if not self.models:
            raise ValueError("models: expected at least one, received none")
        first, *others = [(model.input_shape, model.output_shape) for model in self.models]
        for i, shapes in enumerate(others, 1):
            if shapes != first:
                raise ValueError(
                    f"models[{i}]: expected shapes {first[0]} -> {first[1]}, received {shapes[0]} -> {shapes[1]}"
                )

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.models)

    def __getitem__(self, at: int) -> Any:
        return self.models[at]

    # --- predict ------------------------------------------------------------------------------------------------

    def predict(self, x: Any) -> Any:
        """The mean of the models' predictions, float32 like `Model.predict`; summed in float64, in their order."""
        return self._packed([mean for mean, _ in self._moments(x, False)])

    __call__ = predict

    def predict_std(self, x: Any) -> Any:
        """Standard deviation of the models' predictions around their mean (by K - 1; zeros of one model), float32."""
        return self._packed([deviation for _, deviation in self._moments(x, True)])

    def predict_all(self, x: Any) -> Any:
        """Each model's own prediction, (K, n, ...) float32."""
        outputs: list[Float32] = []
        for start, stop, rows, parts in self._slices(x):
            if not outputs:
                outputs = [np.empty((len(part), rows, *part.shape[2:]), np.float32) for part in parts]
            for output, part in zip(outputs, parts, strict=True):
                output[:, start:stop] = part
        return self._packed(outputs)

    def _packed(self, outputs: Sequence[AnyArray]) -> Any:
        return self.models[0]._packed(outputs)

    def _moments(self, x: Any, spread: bool) -> list[tuple[Float32, Float32]]:
        """Mean and deviation of each output."""
        found: list[tuple[Float32, Float32]] = []
        for start, stop, rows, parts in self._slices(x):
            if not found:
                shapes = [(rows, *part.shape[2:]) for part in parts]
                found = [(np.empty(s, np.float32), np.zeros(s if spread else 0, np.float32)) for s in shapes]
            for (mean, deviation), part in zip(found, parts, strict=True):
                middle = _sum(part) / len(part)
                mean[start:stop] = middle
                if spread and len(part) > 1:
                    deviation[start:stop] = np.sqrt(_sum((p - middle) ** 2 for p in part) / (len(part) - 1))
        return found

    def _slices(self, x: Any) -> Iterator[tuple[int, int, int, list[Float32]]]:
        """(start, stop, all rows, each output of all models for these rows: (K, stop - start, ...))."""
        x, unit = once(x), _engine.PREDICT_ROWS * _engine.get_num_threads()
        if is_sparse(x):
            for start in range(0, x.shape[0] or 1, unit):
                for first, stop, _, parts in self._slices(x[start : start + unit].toarray()):
                    yield start + first, start + stop, x.shape[0], parts
            return
        inputs = [model._fit_inputs("x", x)[0] for model in self.models]
        programs = [
            model._ready([array.shape[1:] for array in arrays])
            for model, arrays in zip(self.models, inputs, strict=True)
        ]
        rows = len(inputs[0][0])
        same = all(
            a is b or _place(a) == _place(b) for arrays in inputs for a, b in zip(arrays, inputs[0], strict=True)
        )
        for start in range(0, rows, unit):
            stop = min(start + unit, rows)
            shared = [_ready(array[start:stop]) for array in inputs[0]] if same else None  # converted once for all
            parts = [np.empty((len(self), stop - start, *shape), np.float32) for shape in programs[0].output_shapes]
            for k, (model, program) in enumerate(zip(self.models, programs, strict=True)):
                arrays = [array[start:stop] for array in inputs[k]] if shared is None else shared
                outputs = [part[k] for part in parts]
                read, words = model._weights_lock.read, model._words()
                read(program.predictor().predict, arrays, 0, stop - start, outputs, *words)
            yield start, stop, rows, parts

    # --- evaluate -----------------------------------------------------------------------------------------------

    @keyword_checked
    def evaluate(
        self, x: Any, y: Any, batch_size: int | None = None, verbose: Any = "auto", sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Loss (without regularizers) and metrics of the mean, as the first model was compiled and in its form.

        Raises:
            ValueError: it is not compiled. Whatever `Model.evaluate` raises.
        """
        first = self.models[0]
        first._get_compiled("evaluate")
        means = [mean for mean, _ in self._moments(x, False)]
        inputs = [Input(mean.shape[1:]) for mean in means]
        outputs = [
            Activation("linear", name=name)(tensor) for name, tensor in zip(first.output_names, inputs, strict=True)
        ]
        judge = Functional(inputs, first._packed(outputs))
        judge.compile(**{**first.compiled_with, "optimizer": "sgd"})
        return judge.evaluate(
            means, y, batch_size=batch_size, verbose=verbose, sample_weight=sample_weight, return_dict=return_dict
        )

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Write all models to one '*.lanewise' file, which `Ensemble.load` and `load_model` read.

        What they were compiled with is in it, the state of their optimizers is not.

        Raises:
            ValueError: another suffix, or classes that no file can name. FileExistsError: with overwrite=False.
            OSError: the file cannot be written.
        """
        from ..saving.model import save_ensemble

        save_ensemble(self, filepath, overwrite)

    @classmethod
    def load(cls, filepath: Any, custom_objects: Any = None, compile: bool = True) -> Ensemble:
        """The ensemble in a file; arguments and errors as of `load_model`.

        Raises:
            ValueError: it holds a single model, too.
        """
        from ..saving import load_model

        found = load_model(filepath, custom_objects, compile)
        if not isinstance(found, cls):
            raise ValueError(f"filepath: {filepath!r} holds one model, no ensemble; use load_model")
        return found

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)} models, {self.models[0].input_shape} -> {self.models[0].output_shape}>"


def _sum(parts: Iterable[AnyArray]) -> Float64:
    """One after the other, in float64."""
    first, *others = parts
    total = first.astype(np.float64)
    for part in others:
        total += part
    return total


def _place(array: AnyArray) -> Any:
    """Where an array lies and how."""
    return array.__array_interface__["data"], array.shape, array.strides, array.dtype


def _ready(array: AnyArray) -> AnyArray:
    """Floats as the engine would gather them."""
    return np.ascontiguousarray(array, np.float32) if array.dtype.kind == "f" else array
