"""`tf.config`: the few calls that scripts make before anything else; there is one device, the CPU."""

from typing import Any

from . import _missing, ops


def list_physical_devices(device_type: str | None = None) -> list[str]:
    """["CPU:0"]; an empty list for any other kind of device, such as "GPU"."""
    return ["CPU:0"] if device_type in (None, "CPU") else []


class threading:
    """`tf.config.threading`."""

    @staticmethod
    def set_intra_op_parallelism_threads(num_threads: int) -> None:
        """`lanewise.set_num_threads`; 0 leaves the default."""
        if num_threads != 0:
            ops.set_num_threads(num_threads)

    @staticmethod
    def get_intra_op_parallelism_threads() -> int:
        """`lanewise.get_num_threads`."""
        return ops.get_num_threads()

    @staticmethod
    def set_inter_op_parallelism_threads(num_threads: int) -> None:
        """Accepted; operations run one after the other."""


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Accepted; there is one device."""


def set_soft_device_placement(enabled: bool) -> None:
    """Accepted; there is one device."""


class optimizer:
    """`tf.config.optimizer`."""

    @staticmethod
    def set_jit(enabled: Any) -> None:
        """Accepted; everything is compiled already."""


class experimental:
    """`tf.config.experimental`."""

    list_physical_devices = staticmethod(list_physical_devices)
    list_logical_devices = staticmethod(list_physical_devices)

    @staticmethod
    def enable_op_determinism() -> None:
        """Accepted; lanewise is always deterministic."""

    @staticmethod
    def set_memory_growth(device: Any, enable: bool) -> None:
        """Accepted; there is no GPU."""


list_logical_devices = get_visible_devices = list_physical_devices


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Accepted; means nothing here."""


__all__ = [
    "experimental", "get_visible_devices", "list_logical_devices", "list_physical_devices", "optimizer",
    "run_functions_eagerly", "set_soft_device_placement", "set_visible_devices", "threading",
]  # fmt: skip

__getattr__ = _missing.getter(__name__, __all__)
