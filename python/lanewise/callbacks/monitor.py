"""What callbacks that watch one value of the logs have in common."""

from typing import Any

from .._given import is_own
from .._names import check_finite, near_match, warn
from .base import Callback, Logs

_LARGER_IS_BETTER = frozenset({
    "Accuracy", "AutoAccuracy", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy",
    "TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "AUC", "Precision", "Recall", "F1Score", "FBetaScore",
    "R2Score", "CosineSimilarity", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity",
    "SpecificityAtSensitivity", "IoU", "MeanIoU", "BinaryIoU", "OneHotIoU", "OneHotMeanIoU",
})  # fmt: skip


class MonitorCallback(Callback):
    """Watches logs[monitor].

    Args:
        monitor: name in the logs: 'loss', 'val_loss', 'val_accuracy', ...
        mode: 'min' or 'max': which values are better; 'auto' goes by the metric.
        min_delta: a value is an improvement only if it is better by more than this.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor: expected a text, received {monitor!r} of type {type(monitor).__name__}")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode: expected 'auto', 'min' or 'max', received {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(check_finite("min_delta", min_delta))
        self._larger_is_better: bool | None = None
        self._seen = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._larger_is_better = None
        self._seen = False

    def get_monitor_value(self, logs: Logs) -> float | None:
        """logs[monitor]; None with a warning where it is not there (a validation that is left out is no surprise)."""
        logs = logs or {}
        if self.monitor in logs:
            self._seen = True
            return float(logs[self.monitor])
        if not self._seen:
            self._seen = True
            near = near_match(self.monitor, list(logs))
            if self.monitor.startswith("val_") and not [name for name in logs if name.startswith("val_")]:
                near = " Give fit validation_data= or validation_split=, or watch 'loss'."
            warn(
                f"{type(self).__name__}: monitor={self.monitor!r} is not in the logs.{near} Available: "
                f"{', '.join(logs)}."
            )
        return None

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether value is better than reference by more than min_delta; NaN never is, anything else beats None.

        Raises:
            ValueError: mode 'auto' and a value of which it is not known whether more is better.
        """
        if self._larger_is_better is None:
            self._larger_is_better = self.direction()
        if value != value:
            return False
        if reference is None:
            return True
        if self._larger_is_better:
            return value > reference + self.min_delta
        return value < reference - self.min_delta

    def direction(self) -> bool:
        """Whether larger values are better. Raises ValueError as `improves` does."""
        name = self.monitor.removeprefix("val_")
        if self.mode != "auto":
            return self.mode == "max"
        if name == "loss":
            return False
        if name.endswith("_loss") and name in self.model.metrics_names:  # of an output
            return False
        metric = self.model.metric_called(name)
        kinds: list[Any] = [cls for cls in type(metric).__mro__ if not is_own(cls)]
        if not kinds or not hasattr(kinds[0], "kernel"):
            raise ValueError(
                f"mode: 'auto' works for the loss and for metrics of the package, received monitor={self.monitor!r}; "
                "give mode='min' or mode='max'"
            )
        return any(kind.__name__ in _LARGER_IS_BETTER for kind in kinds)
