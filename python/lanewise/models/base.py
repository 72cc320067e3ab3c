"""What every model keeps: what it was compiled with, its locks and its random streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import random
from .._arrays import as_array
from .._engine import AnyArray, Few, Float32, ModelLock, Network, Program, Variable, Weight
from .._names import keyword_checked
from .._structure import Trained
from ..layers.operation import _UNSET, Node, Operation
from ..metrics import Metric
from ..optimizers import Optimizer
from .batches import Pace, is_sparse
from .compiled import Compiled
from .data import Picked, Rows, alone, check_rows, class_weights, row_weights


class Settled(NamedTuple):
    """What training changes, from one moment on whatever `trainable` says later.

    Attributes:
        version: of `Trained` at that moment.
        weights: those in training.
        penalties, limits: (variable, ...) of those.
        frozen: moving statistics that stay as they are.
    """

    version: int
    weights: list[Weight]
    penalties: list[tuple[Any, ...]]
    limits: list[tuple[Any, ...]]
    frozen: list[Variable]


class BaseModel(Operation):
    """Layers that were compiled. A subclass says what its layers are and how data fits them."""

    _compiled: Compiled | None = _UNSET
    _few: tuple[int, Few] | None = _UNSET  # of the program that is made, after its first prediction

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._compiled = None
        self.compiled_with: dict[str, Any] = {}  # the arguments of compile
        self._weights_lock = ModelLock()  # held for a slice; `training()`: one at a time
        self._last_network: tuple[Any, Network] | None = None  # with what it was found for
        self._paces: dict[tuple[str, int], Pace] = {}
        self._seed: int | None = None
        self._seed_generation = -1
        self._epochs_shuffled = 0
        self._calls = 0
        self._made: tuple[int, Program] | None = None
        self._few = None

    @property
    def _program(self) -> Program | None:
        """The layers as a graph, once it was made; None after they changed."""
        made = self._made
        return made[1] if made is not None and made[0] == Trained.layouts else None

    def _programmed(self, make: Callable[[], Program]) -> Program:
        """The program, made if there is none; the next call makes another one where layers change meanwhile."""

        def write() -> Program:
            layouts, program = Trained.layouts, self._program
            if program is None:
                program = make()
                self._made, self._few = (layouts, program), None
            return program

        return self._program or self._weights_lock.write(write)

    # --- what a subclass defines --------------------------------------------------------------------------------

    _outputs_by_key = False
    run_eagerly, jit_compile, steps_per_execution = False, True, 1  # what Keras's say

    @property
    def _outputs_known(self) -> bool:
        """Whether the number of outputs is known: before it is built, not of a model that is a class with a `call`."""
        return True

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, as `compile` and logs call them."""
        raise NotImplementedError

    def _fit_inputs(self, argument: str, x: Any) -> tuple[list[AnyArray], list[tuple[int, ...]]]:
        """(x as arrays that fit the inputs, shapes of the outputs for one sample); changes nothing."""
        raise NotImplementedError

    def _ready(self, shapes: Sequence[tuple[int, ...]]) -> Program:
        """The program for samples of these shapes, built if it was not."""
        raise NotImplementedError

    def _packed(self, outputs: Sequence[Any]) -> Any:
        """One thing for each output in the lists or dicts that the outputs were given in."""
        return outputs[0]

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes, in the order of the layers."""
        raise NotImplementedError

    def _built_program(self, method: str) -> Program:
        """The program of a built model. Raises ValueError before that."""
        raise NotImplementedError

    # --- compile ------------------------------------------------------------------------------------------------

    @keyword_checked
    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
        weighted_metrics: Any = None, run_eagerly: bool = False, steps_per_execution: Any = 1,
        jit_compile: Any = "auto", auto_scale_loss: bool = True,
    ) -> None:  # fmt: skip
        """Fix what the model is trained with.

        Args:
            optimizer: name or instance; rmsprop as in Keras.
            loss: name, instance or function of `lanewise.losses`; with several outputs one for all, a list or a dict by
                output.
            loss_weights: number, or numbers by output: the total loss is the sum of the losses times these.
            metrics: names or instances; 'accuracy' goes by the shapes of output and targets. With several outputs a
                dict by output or a list with those of each.
            weighted_metrics: as metrics; sample and class weights count in them.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: accepted, mean nothing here.

        Raises:
            ValueError: unknown names. NotImplementedError: what is not supported. The model stays as it was.
        """
        from .. import callbacks  # noqa: F401  not in `fit`: a child forked meanwhile would wait for the import for ever

        try:
            self._compiled = Compiled(
                optimizer, loss, metrics, weighted_metrics, loss_weights, self.output_names, self._outputs_by_key
            )
        except ValueError as error:
            if self._outputs_known or "output" not in str(error):
                raise
            raise ValueError(
                f"{error}. {self.name} is not built, and one output is taken for granted until then: call build(), or "
                "call it on data, before compile()"
            ) from None
        if self._compiled.calls_python:
            from ..custom import rows  # noqa: F401
        self.compiled_with = {
            "optimizer": optimizer, "loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics,
            "loss_weights": loss_weights,
        }  # fmt: skip
        self._made = self._few = None  # attributes of layers that were set since count from now on, as in Keras

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    def _get_compiled(self, method: str, trains: bool = False) -> Compiled:
        """What it was compiled with; trains: whether the loss has to be one number."""
        compiled = self._compiled
        if compiled is None:
            raise ValueError(f"{method}: the model is not compiled; call compile(optimizer=..., loss=...) first")
        if trains and compiled.unreduced is not None:
            raise ValueError(
                f"loss: {compiled.unreduced.name} has reduction={compiled.unreduced.reduction!r}, which gives a value "
                "for each row; training needs one number: reduction='sum_over_batch_size' or 'sum'"
            )
        return compiled

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer; None before `compile`. Its `learning_rate` can be set at any time."""
        return None if self._compiled is None else self._compiled.optimizer

    @property
    def loss(self) -> Any:
        """The loss as `compile` was given it; None before that."""
        return None if self._compiled is None else self._compiled.given_loss

    @property
    def metrics_names(self) -> list[str]:
        """'loss', losses of several outputs, metrics: what `evaluate` returns, in its order."""
        return [] if self._compiled is None else list(self._compiled.names)

    @property
    def metrics(self) -> list[Metric]:
        """A mean of the loss, then the metrics: `result()` of each is that of what ran last. Empty before `compile`."""
        return [] if self._compiled is None else self._compiled.trackers()

    def metric_called(self, name: str) -> Metric | None:
        """The metric that logs call so; None for another name."""
        return None if self._compiled is None else self._compiled.metric_called(name)

    def get_metrics_result(self) -> dict[str, Any]:
        """Loss and metrics of the last epoch, evaluation or batch, by name; zeros before the first."""
        compiled = self._get_compiled("get_metrics_result")
        return dict.fromkeys(compiled.names, 0.0) if compiled.latest is None else compiled.results(compiled.latest)

    def reset_metrics(self) -> None:
        """Forget the results. Every epoch, evaluation and `..._on_batch` begins anew in any case."""
        if self._compiled is not None:
            self._compiled.reset()

    # --- helpers ------------------------------------------------------------------------------------------------

    def _rows(
        self, compiled: Compiled, x: Any, y: Any, sample_weight: Any, class_weight: Any, prefix: str = ""
    ) -> Rows:
        order = None
        if isinstance(x, Picked):
            x, order = x.x, x.index
        arrays, output_shapes = self._fit_inputs(f"{prefix}x", x.toarray() if is_sparse(x) else x)
        if y is None:
            raise ValueError(f"{prefix}y: expected targets, received None")
        if class_weight is not None and sample_weight is not None:
            raise ValueError("class_weight, sample_weight: give one of them, received both")
        if class_weight is not None and compiled.several:
            raise ValueError(
                f"class_weight: the model has {len(compiled.output_names)} outputs, class weights are for one; give "
                "sample_weight= as a dict by output"
            )
        count = len(arrays[0])

        def rows_of(argument: str, value: Any) -> AnyArray:
            array = as_array(argument, alone(value, count))
            check_rows(argument, len(array), count)
            return array

        targets = compiled.align(f"{prefix}y", y, output_shapes, rows_of)
        weights: list[Float32 | None] | None = None
        if class_weight is not None:
            weights = [class_weights(class_weight, targets[0])]
        elif sample_weight is not None:
            weights = self._weights_of(compiled, f"{prefix}sample_weight", sample_weight, count)
        return Rows(arrays, targets, weights, order)

    def _weights_of(self, compiled: Compiled, argument: str, given: Any, rows: int) -> list[Float32 | None]:
        """The weights of each target: one array for all, or a list or dict by output."""
        each = isinstance(given, dict) or (isinstance(given, list | tuple) and np.ndim(given[0]) > 0)
        if not each or (not compiled.several and not isinstance(given, dict)):
            weights = row_weights(argument, given, rows)
            return [weights] * len(compiled.targets)
        found = compiled.spread(argument, given)
        return [row_weights(f"{argument}[{compiled.output_names[i]!r}]", found[i], rows) for i in compiled.targets]

    def _network(self, compiled: Compiled, rows: Rows, settled: Settled | None = None) -> Network:
        """The network for these rows: the last one, where nothing that it depends on has changed.

        settled: what `_settled` said once; None: what it says now.
        """
        program = self._ready(rows.shapes)
        version = Trained.version if settled is None else settled.version
        key = (compiled, program, version, tuple([target.shape[1:] for target in rows.y]))
        last = self._last_network
        if last is not None and last[0] == key:
            network = last[1]
        else:
            network = self._find_network(compiled, program, rows, settled or self._settled())
        self._last_network = key, network  # building may have made weights, which count as a change: once more then
        network.check(rows.x)
        return network

    def _settled(self) -> Settled:
        """What training changes, as `trainable` says now."""
        version, penalties = Trained.version, [(w.variable, r.l1, r.l2) for w, r in self.penalties]
        return Settled(version, self.trainable_weights, penalties, self._limits(), self._frozen())

    def _find_network(self, compiled: Compiled, program: Program, rows: Rows, settled: Settled) -> Network:
        compiled.optimizer.build(settled.weights, self._weights_lock)
        terms = compiled.terms(program, rows.y)
        network = program.network(
            terms.losses, terms.metrics, [w.variable for w in settled.weights], settled.penalties, settled.limits,
            terms.targets, settled.frozen,
        )  # fmt: skip
        return terms.weighed(network)

    def _limits(self) -> list[tuple[Any, ...]]:
        return [(w.variable, *c.limits()) for w, c in self.limits]

    def _frozen(self) -> list[Variable]:
        """What training must leave alone in the layers."""
        return [weight.variable for layer in self.leaves() for weight in layer.frozen]

    def calls_python(self, compiled: Compiled) -> bool:
        """Whether a layer, loss or metric is written in Python."""
        return compiled.calls_python or (self._made is not None and self._made[1].builder.python)

    def _words(self) -> tuple[int, ...]:
        """Seed and first step of what is random when predicting too, other ones each time; none where nothing is."""
        made = self._made  # of the call that asks
        if made is None or not made[1].builder.random:
            return ()
        self._calls += 1
        return self._run_seed() ^ (1 << 62), self._calls << 32

    # --- for fit_many -------------------------------------------------------------------------------------------

    def draw(self, x: Any) -> None:
        """Draw first weights and the seed of shuffles and dropout now, where `fit` on x would."""
        arrays, _ = self._fit_inputs("x", x[:1].toarray() if is_sparse(x) else x)
        self._ready([array.shape[1:] for array in arrays])
        self._run_seed()

    def keep_streams(self, generation: int) -> None:
        """Under this generation of seeds `fit` goes on in the random streams where it is."""
        self._seed_generation = generation

    def free_workspaces(self) -> None:
        """Give back the memory that was kept for the next step of training."""
        if self._program is not None:
            self._program.free_workspaces()

    def _run_seed(self) -> int:
        if self._seed is None or self._seed_generation != random.generation():
            self._seed = random.next_run_seed()
            self._seed_generation = random.generation()
            self._epochs_shuffled = self._calls = 0
        return self._seed


def check_verbose(verbose: Any) -> int:
    """0, 1 or 2; 'auto' is 1. Raises ValueError for anything else."""
    if isinstance(verbose, str) and verbose == "auto":
        return 1
    if isinstance(verbose, bool | int | np.integer) and int(verbose) in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', received {verbose!r}")


def callback_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def sorted_logs(logs: dict[str, float]) -> dict[str, float]:
    return dict(sorted(logs.items()))
