"""Type stub of the compiled core. Only `ops.py` and the model engine wrapper import it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
AnyArray = NDArray[Any]
P = ParamSpec("P")
T = TypeVar("T")

__version__: str
PREDICT_ROWS: int

# --- dispatch and threads --------------------------------------------------------------------------------------

def available_isas() -> list[str]:
    """ISAs that are compiled in and that this CPU has, best first."""

def compiled_isas() -> list[str]: ...
def active_isa() -> str: ...
def use_isa(name: str) -> None:
    """Run every later call on this ISA. Raises ValueError for one that is not available."""

def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None:
    """n >= 1, else ValueError."""

def build_info() -> dict[str, Any]:
    """Keys: version, compiler, thread_runtime ("OpenMP", "std::thread" or "serial"), isas_compiled, isas_available, isa, threads, cpu."""

def limit_threads(n: int) -> None:
    """At most n threads for what the calling thread calls from now on; 0: no limit."""

def set_always_team(always: bool) -> None:
    """Training takes all threads without measuring whether that pays: for benchmarks of that choice."""

def cgroup_cpus(root: str = "") -> int:
    """CPUs that the control groups of this process allow, rounded up; 0: no limit. Reads below `root`, for tests."""

class ModelLock:
    """Many readers of a model's weights (predict) or one writer (a slice of training), who goes first.

    Ctrl-C at any moment leaves nothing held. In a forked child it is free, whatever other threads of the parent did.
    """

    def __init__(self) -> None: ...
    def read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """function(*args), which reads weights; also within another `read` of the same thread.

        Raises RuntimeError within a `write` of the same thread, and in a child that was forked from a thread's `write`.
        """
    def write(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """function(*args), which changes weights. Raises as `read` does, within a `read` of the same thread too."""
    def training(self) -> Turn:
        """For a `with`: one training at a time, a second one is a RuntimeError."""

class Turn:
    """The right to train; it ends with the block, or with the object."""

    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

# --- random streams (Philox; same words on every machine) ---------------------------------------------------------

def random_uniform(seed: int, stream: int, step: int, node: int, n: int) -> NDArray[np.float64]:
    """n float64 in [0, 1): 53 bits of the stream."""

def random_normal(
    seed: int, stream: int, step: int, node: int, n: int, lower: float = ..., upper: float = ...
) -> NDArray[np.float64]:
    """Standard normal values by the inverse distribution function, truncated to [lower, upper]."""

def permutation(seed: int, step: int, n: int) -> NDArray[np.uint32]:
    """A uniform permutation of range(n), n < 2**32 (Fisher-Yates)."""

def column_moments(x: AnyArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean, variance) of each column of a 2-D array of any real dtype, in float64 by a fixed order, two-pass."""

# --- kernels on NumPy arrays: documented in ops.py ------------------------------------------------------------------

def matmul(a: Float32, b: Float32, out: Float32 | None = None) -> Float32: ...
def dense_forward(
    x: Float32, kernel: Float32, bias: Float32 | None = None, activation: str = "linear", out: Float32 | None = None
) -> Float32: ...
def dense_backward(
    dy: Float32,
    x: Float32,
    kernel: Float32,
    y: Float32,
    activation: str = "linear",
    out: tuple[Float32, Float32, Float32] | None = None,
) -> tuple[Float32, Float32, Float32]: ...
def relu_forward(x: Float32, out: Float32 | None = None) -> Float32: ...
def relu_backward(dy: Float32, y: Float32, out: Float32 | None = None) -> Float32: ...
def sigmoid_forward(x: Float32, out: Float32 | None = None) -> Float32: ...
def sigmoid_backward(dy: Float32, y: Float32, out: Float32 | None = None) -> Float32: ...
def tanh_forward(x: Float32, out: Float32 | None = None) -> Float32: ...
def tanh_backward(dy: Float32, y: Float32, out: Float32 | None = None) -> Float32: ...
def softmax_forward(x: Float32, out: Float32 | None = None) -> Float32: ...
def softmax_backward(dy: Float32, y: Float32, out: Float32 | None = None) -> Float32: ...
def log_softmax_forward(x: Float32, out: Float32 | None = None) -> Float32: ...
def log_softmax_backward(dy: Float32, y: Float32, out: Float32 | None = None) -> Float32: ...
def activation_forward(
    name: str, x: Float32, a: float = 0.0, b: float = 0.0, c: float = 0.0, out: Float32 | None = None
) -> Float32:
    """The elementwise activation `name` of the engine; a, b, c are its attributes in the order of Graph.add."""

def activation_backward(
    name: str, dy: Float32, of: Float32, a: float = 0.0, b: float = 0.0, c: float = 0.0, out: Float32 | None = None
) -> Float32:
    """Its gradient; of: the output y or the input x, as the activation has it."""

def prelu_forward(x: Float32, alpha: Float32, out: Float32 | None = None) -> Float32:
    """x > 0: x, else alpha * x; alpha has one element, or one for each column of x."""

def prelu_backward(dy: Float32, x: Float32, alpha: Float32, out: Float32 | None = None) -> Float32:
    """x > 0: dy, else alpha * dy."""

def column_sum(x: Float32, out: Float32 | None = None) -> Float32: ...
def row_sum(x: Float32, out: Float32 | None = None) -> Float32: ...
def loss_forward(
    name: str, y_true: AnyArray, y_pred: Float32, param: float | Sequence[float] = 0.0, out: Float32 | None = None
) -> Float32:
    """Per-row loss (n,) of the loss kernel `name` ("mse", "huber", "categorical_crossentropy", ...)."""

def metric_sums(
    name: str,
    y_true: AnyArray,
    y_pred: Float32,
    param: float | Sequence[float] = 0.0,
    sample_weight: Float32 | None = None,
) -> NDArray[np.float64]:
    """The sums of a metric over all rows: sum of weight * value and of the weights, or what the counting kernel keeps
    ("threshold_counts", "choice_counts", "moment_sums", "confusion_counts"; see cpp/engine/counts.h)."""

def loss_backward(
    name: str, y_true: AnyArray, y_pred: Float32, param: float | Sequence[float] = 0.0, out: Float32 | None = None
) -> Float32:
    """Gradient of the mean over rows of loss_forward, with respect to y_pred."""

def optimizer_step(
    name: str, step: int, w: Float32, g: Float32, slots: Mapping[str, Float32 | None], **hyper: float
) -> None: ...
def loss_names() -> list[str]: ...
def fma_peak(threads: int) -> float:
    """FLOP/s of multiply-adds in registers alone, `threads` threads together: the best of some milliseconds."""

def kernel_names() -> list[str]:
    """Every row of the kernel table."""

# --- engine ---------------------------------------------------------------------------------------------------------

@final
class Variable:
    """A float32 parameter of rank 1 or 2, stored as the engine likes it (2-D: column panels). Zero when made."""

    def __init__(self, shape: Sequence[int]) -> None: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def get(self) -> Float32:
        """A copy, row-major."""
    def set(self, value: Float32) -> None:
        """Exact shape and float32, else ValueError / TypeError; nothing is changed then."""

@final
class Graph:
    """A network as a list of operations over values (per-sample shape) and variables. Built once, then read-only."""

    def __init__(self) -> None: ...
    def input(self, shape: Sequence[int]) -> int:
        """A float32 input of this per-sample shape; returns the value's id."""
    def add(self, op: str, inputs: Sequence[int], variables: Sequence[Variable] = (), **attributes: float) -> int:
        """Append an operation (cpp/README.md lists them); returns the id of its output value."""
    def gather(self, input: int, map: Sequence[int] | NDArray[np.int64], shape: Sequence[int]) -> int:
        """Append an operation whose element i of a sample, of this shape, is element map[i] of the input's sample."""
    def call_host(self, input: int, variables: Sequence[Variable], shape: Sequence[int], host: Host) -> int:
        """Append an operation written in Python whose output has this per-sample shape."""
    def shape(self, value: int) -> tuple[int, ...]: ...
    def integer_input(self, value: int) -> int:
        """The input that these integers come from, moved at most; -1 where they do not."""
    def operations(self) -> list[str]:
        """One line an operation, for people."""

@final
class Host:
    """An operation written in Python: function(stage, arrays, training, scale), called by one thread, with the GIL.

    It does not hold the function: `function` is for whoever does.
    """

    function: Callable[[str, list[Any], bool, float], None]

    def __init__(
        self,
        function: Callable[[str, list[Any], bool, float], None],
        target_width: int = 0,
        target_labels: bool = False,
        ends_gradient: bool = False,
    ) -> None:
        """target_width: numbers in the target of a sample where it is not like the prediction; target_labels: int32
        labels; ends_gradient: of a layer, whether no gradient goes through it."""

@final
class Optimizer:
    """Slots and step count of an optimizer. Hyper-parameters by keyword (cpp/README.md)."""

    def __init__(self, name: str, **hyper: float) -> None: ...
    def set(self, key: str, value: float) -> None: ...
    def get(self, key: str) -> float: ...
    iterations: int
    """Batches so far; where gradients are accumulated, several of them make an update."""
    def set_rates(self, first: int, rates: Sequence[float]) -> None:
        """Learning rates of the batches first, first + 1, ... (counted from 0) instead of learning_rate; empty: none."""
    def set_undecayed(self, variables: Sequence[Variable]) -> None:
        """The variables that weight decay leaves alone."""
    def slot_names(self) -> list[str]:
        """The equation's slots, then "average" (use_ema) and "gradient_accumulator" where they are used."""
    def has_slots(self, variable: Variable) -> bool: ...
    def get_slots(self, variable: Variable) -> list[Float32]:
        """Copies in the variable's shape; as they begin if it was never updated."""
    def set_slots(self, variable: Variable, values: Sequence[Float32]) -> None:
        """Overwrite them; without any values they begin anew."""

@final
class Network:
    """A compiled graph: instruction lists for predicting, evaluating and training, fused unless fuse=False."""

    kept: object
    """What holds the functions that it calls."""

    def __init__(
        self,
        graph: Graph,
        outputs: Sequence[int],
        losses: Sequence[tuple[str | Host, int, float | Sequence[float], float]] = (),
        metrics: Sequence[tuple[str | Host, int, float | Sequence[float], int, bool]] = (),
        trainable: Sequence[Variable] = (),
        regularizers: Sequence[tuple[Variable, float, float]] = (),
        constraints: Sequence[tuple[Variable, str, float, float, float]] = (),
        fuse: bool = True,
        targets: Sequence[tuple[int, bool]] = (),
        frozen: Sequence[Variable] = (),
    ) -> None: ...
    def check(self, x: Sequence[AnyArray]) -> None:
        """Raises ValueError where an array has an id outside the tables that it is looked up in."""

    def train(
        self,
        x: Sequence[AnyArray],
        y: Sequence[AnyArray],
        sample_weight: Float32 | Sequence[Float32 | None] | None,
        order: NDArray[np.uint32] | None,
        start: int,
        stop: int,
        batch_size: int,
        optimizer: Optimizer,
        seed: int,
        *,
        weights_in_order: bool = False,
    ) -> NDArray[np.float64]:
        """Train on rows order[start:stop] (order None: rows start..stop) in batches of batch_size, the last one partial."""
    def train_epochs(
        self,
        rows: tuple[
            Sequence[AnyArray],
            Sequence[AnyArray],
            Float32 | Sequence[Float32 | None] | None,
            NDArray[np.uint32] | None,
            int,
        ],
        optimizer: Optimizer,
        seed: int,
        first: int,
        shuffle: bool,
        validated: Sequence[bool],
        held: tuple[
            Sequence[AnyArray],
            Sequence[AnyArray],
            Float32 | Sequence[Float32 | None] | None,
            NDArray[np.uint32] | None,
            int,
        ],
        done: list[NDArray[np.float64]],
    ) -> None:
        """Whole epochs, one for each of `validated`, with an evaluation after those where that is true."""
    def evaluate(
        self,
        x: Sequence[AnyArray],
        y: Sequence[AnyArray],
        sample_weight: Float32 | Sequence[Float32 | None] | None,
        start: int,
        stop: int,
        batch_size: int,
        seed: int = 0,
        step: int = 0,
        *,
        order: NDArray[np.uint32] | None = None,
        weights_in_order: bool = False,
    ) -> NDArray[np.float64]:
        """The same sums without training, dropout off; seed, step: of what is random all the same."""
    def predict(
        self, x: Sequence[AnyArray], start: int, stop: int, out: Sequence[Float32], seed: int = 0, step: int = 0
    ) -> None:
        """Rows start..stop into out[i][start:stop], for each output. Safe from many threads."""
    def predict_few(self, lock: ModelLock) -> Callable[[object, type[Any]], Any]:
        """One input, one output, nothing random: a function of up to 256 rows of a contiguous float32 array and of the
        type of what it returns, ndarray or what derives from it, reading under the lock. It returns None for any other x.
        """
    def call(self, x: Sequence[AnyArray], training: bool, seed: int, step: int) -> list[Float32]:
        """All rows at once as one batch; with training=True dropout is on."""
    def value_and_grad(
        self,
        x: Sequence[AnyArray],
        y: Sequence[AnyArray],
        sample_weight: Float32 | Sequence[Float32 | None] | None,
        training: bool,
        seed: int,
        step: int,
    ) -> tuple[NDArray[np.float64], list[Float32]]:
        """Sums as `train` and the gradient of each trainable variable, all rows as one batch; changes nothing."""
    def apply_gradients(self, optimizer: Optimizer, gradients: Sequence[Float32]) -> None: ...
    def instructions(self, which: str = "train") -> list[str]:
        """The instruction list ("train", "evaluate", "predict"), one line each, for people and tests."""
    def memory(self, batch_size: int) -> int:
        """Bytes of workspace that training with this batch size takes (parameters and slots not counted)."""
    def free_workspaces(self) -> None:
        """Give back the memory that is kept for the next call."""
    def default_threads(self, batch_size: int) -> int:
        """How many threads a training step of this size uses."""
