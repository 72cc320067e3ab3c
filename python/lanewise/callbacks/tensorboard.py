"""TensorBoard: event files of scalars, written by hand.

An event file is a sequence of records (length as uint64, its checksum, data, its checksum), each an `Event` in protocol
buffers' encoding: wall_time = 1 (double), step = 2 (varint), file_version = 3 (text), summary = 5; a summary holds
values = 1 with tag = 1 (text) and simple_value = 2 (float).
"""

import os
import struct
import time
from typing import Any, BinaryIO

from .._names import warn
from .base import Callback, Logs
from .rates import rounded_rate


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), rotated right by 15 bits, plus a constant: the checksum of a record."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _bytes_field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def record(data: bytes) -> bytes:
    """data with its length and checksums."""
    length = struct.pack("<Q", len(data))
    return b"".join([length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data))])


def scalar_event(tag: str, value: float, step: int, wall_time: float) -> bytes:
    """An Event with one value."""
    entry = _bytes_field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + _varint(step) + _bytes_field(5, _bytes_field(1, entry))


class EventWriter:
    """An event file in a directory, made at the first value."""

    _made = 0

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._file: BinaryIO | None = None

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Write one value."""
        now = time.time()
        if self._file is None:
            os.makedirs(self.directory, exist_ok=True)
            number = EventWriter._made
            EventWriter._made += 1
            import socket  # takes 5 ms

            name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{number}.v2"
            self._file = open(os.path.join(self.directory, name), "wb")  # noqa: SIM115 (closed in `close`)
            version = b"\x09" + struct.pack("<d", now) + _bytes_field(3, b"brain.Event:2")
            self._file.write(record(version))
        self._file.write(record(scalar_event(tag, float(value), step, now)))

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class TensorBoard(Callback):
    """Writes loss, metrics and learning rate for TensorBoard: `train` and `validation` below log_dir.

    Args:
        log_dir: directory.
        histogram_freq, write_images, embeddings_freq: only 0 and False; a warning says so.
        write_graph, profile_batch, embeddings_metadata: accepted, mean nothing here.
        write_steps_per_second: whether steps a second are written too.
        update_freq: 'epoch', 'batch' or a number: batches, or every so many batches, are written as well; then `fit`
            runs batch by batch.
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Any = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        from .files import check_save_freq

        for argument, value in (
            ("histogram_freq", histogram_freq),
            ("write_images", write_images),
            ("embeddings_freq", embeddings_freq),
        ):
            if value:
                warn(f"TensorBoard: {argument}={value!r} is ignored, scalars are written")
        self.log_dir = os.fspath(log_dir)
        self.write_steps_per_second = bool(write_steps_per_second)
        self.update_freq = 1 if update_freq == "batch" else check_save_freq(update_freq)
        self._batch = 0
        self._begun = (0, 0.0)
        self._train = EventWriter(os.path.join(self.log_dir, "train"))
        self._validation = EventWriter(os.path.join(self.log_dir, "validation"))
        if self.update_freq != "epoch":
            self.__dict__["on_train_batch_end"] = self._after_batch  # without it batches need no Python

    def on_train_begin(self, logs: Logs = None) -> None:
        self._batch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._begun = (self.model.optimizer.iterations, time.perf_counter())

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        self._batch += 1
        if self._batch % self.update_freq == 0:
            for name, value in (logs or {}).items():
                self._train.scalar(f"batch_{name}", value, self._batch)

    def on_test_end(self, logs: Logs = None) -> None:
        if self.model.optimizer is not None:
            for name, value in (logs or {}).items():
                tag = f"evaluation_{name}_vs_iterations"
                self._validation.scalar(tag, value, self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        values = dict(logs or {})
        training = {name: value for name, value in values.items() if not name.startswith("val_")}
        training["learning_rate"] = rounded_rate(self.model)
        if self.write_steps_per_second:
            iterations, begun = self._begun
            training["steps_per_second"] = (self.model.optimizer.iterations - iterations) / (
                time.perf_counter() - begun
            )
        for name, value in training.items():
            self._train.scalar(f"epoch_{name}", value, epoch)
        for name, value in values.items():
            if name.startswith("val_"):
                self._validation.scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        self._train.flush()
        self._validation.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._train.close()
        self._validation.close()
