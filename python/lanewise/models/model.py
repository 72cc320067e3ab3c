"""What all models have: weights, summary, optimizer state, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import optimizers, random
from .._engine import AnyArray, Float32, Weight
from .._given import has_layers, is_own, refuse_methods
from .._names import from_description, name_of, near_match
from .._registry import CustomObjectScope, collected
from .._structure import flatten, map_leaves, pack
from ..layers import Input
from ..layers.base import assign_all
from .compiled import Compiled
from .trainer import Trainer


class Model(Trainer):
    """Base of `Sequential` and `Functional`; `Model(inputs, outputs)` makes a `Functional`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls is Model:
            from .functional import Functional

            if not args and not kwargs:
                raise TypeError("Model: expected inputs and outputs: Model(inputs, outputs)")
            made: Any = Functional.__new__(Functional, *args, **kwargs)
            return made  # type: ignore[no-any-return]
        return super().__new__(cls, *args, **kwargs)

    @classmethod
    @from_description
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """A new model, with new weights, from what `get_config` returned: its layers, or what its class takes."""
        if is_own(cls) and not has_layers(config):
            return super().from_config(config)
        from .functional import Functional
        from .sequential import Sequential

        kind: Any = Functional if "input_layers" in config else Sequential
        made: Self = kind.from_config(config, custom_objects)
        return made

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not is_own(cls):
            return
        refuse_methods(
            cls,
            (
                "train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "make_train_function",
                "make_test_function", "make_predict_function", "__call__",
            ),
            "losses, metrics and layers of your own go to compile() and call(self, inputs); for training loops of your "
            "own there are model.value_and_grad(x, y) and model.apply_gradients(gradients)",
        )  # fmt: skip
        from .subclassed import Subclassed

        if Model in cls.__bases__:  # what `call` does becomes a graph
            cls.__bases__ = tuple(Subclassed if base is Model else base for base in cls.__bases__)
        elif not issubclass(cls, Subclassed):
            refuse_methods(cls, ("call",), "write a subclass of Model that has the layers as attributes")

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name_of(type(self), name)

    # --- layers and weights -------------------------------------------------------------------------------------

    @property
    def operations(self) -> list[Any]:
        """Layers and nested models in order."""
        raise NotImplementedError

    def _parts(self) -> list[Any]:
        return self.operations

    @property
    def layers(self) -> list[Any]:
        """Layers and nested models in order."""
        return list(self.operations)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer of this name or at this index. Raises ValueError where there is none."""
        if (name is None) == (index is None):
            raise ValueError(f"get_layer: give either name= or index=, received name={name!r}, index={index!r}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"index: the model has {len(layers)} layers, received {index}")
            return layers[index]
        names = [layer.name for layer in layers]
        if name not in names:
            raise ValueError(f"name: no layer is called {name!r}.{near_match(str(name), names)} Layers: {names}")
        return layers[names.index(name)]

    @property
    def weights(self) -> list[Weight]:
        """All weights, layer by layer; one that several layers or nested models share is there once."""
        return _distinct(weight for operation in self.operations for weight in operation.weights)

    variables = weights

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes, in the order of the layers; none where `trainable` is False."""
        if not self._trainable:
            return []
        return [weight for weight in self.weights if weight.trainable]

    @property
    def trainable_variables(self) -> list[Weight]:
        """`trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The weights that training leaves alone."""
        trained = {id(weight) for weight in self.trainable_weights}
        return [weight for weight in self.weights if id(weight) not in trained]

    @property
    def non_trainable_variables(self) -> list[Weight]:
        """`non_trainable_weights`."""
        return self.non_trainable_weights

    def weight_names(self) -> list[str]:
        """`dense/kernel`, ... of all weights, as files and states call them: by the layer of the model that has them.

        A second one of a name, as in two models of a model or in a layer of yours, has a number behind it.
        """
        names = self._weight_names()
        return [names[id(weight)] for weight in self.weights]

    def _weight_names(self) -> dict[int, str]:
        """The same by the id of each weight."""
        names: dict[int, str] = {}
        taken: set[str] = set()
        counts: dict[str, int] = {}
        for leaf in _named(self):
            for weight in leaf.weights:
                if id(weight) in names:
                    continue
                name = unique = f"{leaf.name}/{weight.name}"
                while unique in taken:
                    counts[name] = counts.get(name, 0) + 1
                    unique = f"{name}_{counts[name]}"
                names[id(weight)] = unique
                taken.add(unique)
        return names

    def get_weights(self) -> list[Float32]:
        """Copies of all weights."""
        return self._weights_lock.read(lambda: [weight.numpy() for weight in self.weights])

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Overwrite all weights; nothing changes if one does not fit. Raises ValueError then, or before build."""
        if not self.built:
            raise ValueError("set_weights: the model is not built; give the first layer input_shape=, or call build()")
        self._weights_lock.write(assign_all, f"model {self.name!r}", self.weights, weights)

    def count_params(self) -> int:
        """Number of parameters. Raises ValueError before the model is built."""
        if not self.built:
            raise ValueError("count_params: the model is not built; give the first layer input_shape=, or call build()")
        return sum(weight.size for weight in self.weights)

    # --- describing ---------------------------------------------------------------------------------------------

    def summary(
        self, line_length: int | None = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None,
    ) -> None:  # fmt: skip
        """Print layers, output shapes and numbers of parameters.

        Args:
            line_length: columns that the table fills; by default 80, or fewer in a narrower terminal.
            positions: accepted; columns are as wide as they need.
            print_fn: takes each line, instead of `print`.
            expand_nested: whether to list the layers of models in the model.
            show_trainable: a column that says which layers train.
            layer_range: [first, last] name (or regular expression) of the layers to list.
        """
        from .summary import print_summary

        print_summary(self, line_length, print_fn, show_trainable, expand_nested, layer_range)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Arguments of `compile` as plain JSON values; None before it."""
        return None if self._compiled is None else self._compiled.get_config()

    @from_description
    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """`compile` with what `get_compile_config` returned."""
        self.compile(
            optimizer=optimizers.deserialize(config["optimizer"]),
            loss=config.get("loss"),
            metrics=config.get("metrics"),
            weighted_metrics=config.get("weighted_metrics"),
            loss_weights=config.get("loss_weights"),
        )

    # --- state beside the weights -------------------------------------------------------------------------------

    def _slots(self, compiled: Compiled) -> dict[str, Float32]:
        native = compiled.optimizer.native
        names = native.slot_names()
        return {
            f"{path}/{name}": slot
            for path, weight in zip(self.weight_names(), self.weights, strict=True)
            if weight.trainable or native.has_slots(weight.variable)  # frozen since
            for name, slot in zip(names, weight.slots(native), strict=True)
        }

    def optimizer_parameters(self) -> int:
        """Numbers that the optimizer keeps, iterations and learning rate counted; 0 before it has weights."""
        optimizer = self.optimizer
        if optimizer is None or not (optimizer.built or optimizer.iterations):
            return 0
        slots = len(optimizer.native.slot_names()) * sum(w.size for w in self.trainable_weights)
        return slots + (1 if optimizer.follows_schedule else 2)

    def optimizer_state(self) -> dict[str, AnyArray]:
        """Step count, learning rate, slots (`dense/kernel/m`), places of the weights that are left out of weight decay,
        and position in the random streams: to resume exactly.

        Empty before `compile`.
        """
        return self._weights_lock.read(self._optimizer_state)

    def _whole_state(self) -> tuple[list[Float32], dict[str, AnyArray]]:
        """(weights, `optimizer_state()`) of one moment: another thread may be training."""
        return self._weights_lock.read(lambda: (self.get_weights(), self._optimizer_state()))

    def _optimizer_state(self) -> dict[str, AnyArray]:
        if self._compiled is None:
            return {}
        optimizer = self._compiled.optimizer
        state: dict[str, AnyArray] = {
            "iterations": np.asarray(optimizer.native.iterations, np.int64),
            "learning_rate": np.asarray(float(optimizer.learning_rate), np.float64),
        }
        if self._seed is not None and self._seed_generation == random.generation():
            state["seed"] = np.asarray(self._seed, np.uint64)
            state["epoch"] = np.asarray(self._epochs_shuffled, np.int64)
        if undecayed := optimizer.excluded(self.weights):
            state["undecayed"] = np.asarray(undecayed, np.int64)
        if optimizer.native.iterations:
            state.update(self._slots(self._compiled))
        return state

    def exclude_alike(self, model: Model) -> None:
        """Leave the weights alone in weight decay that are left alone in a model of the same layers."""
        assert self.optimizer is not None and model.optimizer is not None
        if undecayed := model.optimizer.excluded(model.weights):
            self.optimizer.exclude_from_weight_decay([self.weights[i] for i in undecayed])

    def load_optimizer_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from what `optimizer_state` returned.

        Raises:
            ValueError: not compiled, not built, or slots that do not fit; nothing has changed then.
        """
        compiled = self._get_compiled("load_optimizer_state")
        if not self.built:
            raise ValueError("load_optimizer_state: the model is not built")
        if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
            raise ValueError(f"state: expected a dict of numbers and arrays by name, received {str(state)[:60]}")
        native, names = compiled.optimizer.native, compiled.optimizer.native.slot_names()
        weights = self.weights
        needed = ["iterations", "learning_rate", *(["seed", "epoch"] if {"seed", "epoch"} & state.keys() else [])]
        absent = [key for key in needed if key not in state]
        if absent:
            raise ValueError(f"state: expected {absent[0]!r}, received {_listed(state)}")
        counts = {key: _count(key, state.get(key, 0), most) for key, most in _COUNTS.items()}
        iterations = counts["iterations"]
        rate = np.asarray(state["learning_rate"])
        if rate.shape != () or rate.dtype.kind not in "iuf" or not 0.0 <= float(rate) < np.inf:
            raise ValueError(f"state: learning_rate: expected a finite number >= 0, received {str(rate)[:60]}")
        undecayed = np.asarray(state.get("undecayed", np.zeros(0, np.int64)))
        odd = undecayed.ndim != 1 or undecayed.dtype.kind not in "iu" or undecayed.size > len(weights)
        if odd or not set(undecayed.tolist()) <= set(range(len(weights))):
            raise ValueError(f"state: undecayed: expected places of {len(weights)} weights, received {undecayed}")
        paths_of, slots = dict.fromkeys(self.weight_names()), list[tuple[Weight, list[Float32]]]()
        parts = [(key, *key.rpartition("/")) for key in state]
        if other := [key for key, path, _, slot in parts if path in paths_of and slot not in names]:
            raise ValueError(f"state: {other[0]!r} is of another optimizer than {compiled.optimizer.name}")
        for path, weight in zip(paths_of, weights, strict=True):
            paths = [f"{path}/{name}" for name in names] if iterations else []
            absent = [path for path in paths if path not in state]
            if absent and (weight.trainable or len(absent) < len(paths)):
                raise ValueError(f"state: expected {absent[0]!r}, received {_listed(state)}")
            slots.append((weight, [] if absent else [weight.checked(state[path]) for path in paths]))  # []: none yet

        def put() -> None:
            compiled.optimizer.restore_rate(float(rate))
            if undecayed.size:
                compiled.optimizer.exclude_from_weight_decay([weights[i] for i in undecayed.tolist()])
            for weight, values in slots:
                weight.set_slots(native, values)
            native.iterations = iterations
            if "seed" in state:
                self._seed, self._seed_generation = counts["seed"], random.generation()
                self._epochs_shuffled = counts["epoch"]

        self._weights_lock.write(put)

    # --- files --------------------------------------------------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write layers, weights and optimizer to a file; see `lanewise.saving.save_model`."""
        from ..saving import save_model

        save_model(self, filepath, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the weights to a file; see `lanewise.saving.save_weights`."""
        from ..saving import save_weights

        save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, **kwargs: Any) -> None:
        """Read the weights from a file; see `lanewise.saving.load_weights`."""
        from ..saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, by_name=by_name, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The layers as JSON, which `model_from_json` here and in Keras reads; no weights."""
        from ..saving.describe import to_json

        return to_json(self, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        from .config import check_apart

        check_apart(self)
        with collected() as own:
            config, compile_config = self.get_config(), self.get_compile_config()
        weights, state = self._whole_state()
        parts = (type(self), config, weights, compile_config, state, own)
        return _rebuilt, parts if has_layers(config) else (*parts, self._form())

    def _form(self) -> tuple[Any, ...]:
        """(the lists or dicts of the inputs, their shapes and dtypes, the kinds of the layers, what stands beside a
        config), of a person's class."""
        inputs = self.input if self.built else []
        sizes = [(tensor.shape[1:], tensor.dtype) for tensor in flatten(inputs)]
        kinds = [type(leaf).__name__ for leaf in self.leaves()]
        return map_leaves(lambda _: 0, inputs), sizes, kinds, self._beside({})

    def _take_form(self, form: tuple[Any, ...]) -> None:
        """Build a new model as another of its class was. Raises ValueError where it has other layers."""
        structure, sizes, kinds, beside = form
        if sizes and not self.built:
            self._build_on(pack(structure, [Input(shape, dtype=dtype) for shape, dtype in sizes]))
        found = [type(leaf).__name__ for leaf in self.leaves()]
        if found != kinds:
            raise ValueError(
                f"{type(self).__name__}: made again with the arguments it was made with, it has the layers "
                f"{', '.join(found)}, not {', '.join(kinds)}: it cannot be copied. Make all layers in __init__, or "
                "give the class a get_config and a from_config"
            )
        self._take_beside(beside)

    def _build_on(self, inputs: Any) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _named(operation: Any) -> list[Any]:
    """The layers of models within models; one of a person's own as a whole: in a copy the names inside are others."""
    if is_own(type(operation)) or not isinstance(operation, Model):
        return [operation]
    return [found for part in operation.operations for found in _named(part)]


_COUNTS = {"iterations": 2**62, "seed": 2**64, "epoch": 2**48}


def _count(key: str, value: Any, most: int) -> int:
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "iu" or not 0 <= int(array) < most:
        raise ValueError(f"state: {key}: expected an integer from 0 to below {most}, received {str(value)[:60]}")
    return int(array)


def _listed(names: Iterable[str]) -> str:
    first = sorted(names)
    return ", ".join(first[:6]) + (f", ... ({len(first)} in all)" if len(first) > 6 else "")


def _distinct(weights: Iterable[Weight]) -> list[Weight]:
    return list({id(weight): weight for weight in weights}.values())


def _rebuilt(
    cls: type[Model], config: Any, weights: Any, compile_config: Any, state: Any, own: Mapping[str, Any],
    form: Any = None,
) -> Model:  # fmt: skip
    """The model that pickle or copy.deepcopy took apart; own: the person's classes and functions in it, by name."""
    with CustomObjectScope(own):
        return _put_together(cls, config, weights, compile_config, state, form)


def _put_together(cls: type[Model], config: Any, weights: Any, compile_config: Any, state: Any, form: Any) -> Model:
    model = cls.from_config(config)
    if form is not None:
        model._take_form(form)
    if model.built:
        model.set_weights(weights)
    if compile_config is not None:
        model.compile_from_config(compile_config)
        if model.built and state:
            model.load_optimizer_state(state)
    return model
