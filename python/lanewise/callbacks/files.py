"""CSVLogger and BackupAndRestore: callbacks that write files."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import random
from .._names import check_integer
from .base import Callback, Logs


class CSVLogger(Callback):
    """Writes the logs of each epoch as a line of a CSV file, below a line of names: epoch, then the names sorted.

    Args:
        filename: where to.
        separator: between two values.
        append: whether lines are added to a file that is there; it is overwritten otherwise.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = bool(append)
        self.keys: list[str] | None = None
        self.csv_file: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._close()
        self._header = True
        cut_off = False
        if self.append and os.path.exists(self.filename):
            with open(self.filename, "rb") as file:
                self._header = not file.readline()
                if not self._header:
                    file.seek(-1, os.SEEK_END)
                    cut_off = file.read(1) != b"\n"
        self.keys = None
        os.makedirs(os.path.dirname(self.filename) or ".", exist_ok=True)
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115 (closed at the end)
        if cut_off:  # a crash in the middle of a row
            self.csv_file.write("\r\n")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        import csv

        writer = csv.writer(self.csv_file, delimiter=self.sep)
        if self.keys is None:
            self.keys = sorted(logs)
            if self.keys and not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]  # a later epoch may validate
            if self._header:
                writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        self.csv_file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
            self.csv_file = None


def _cell(value: Any) -> Any:
    if isinstance(value, str) or np.ndim(value) == 0 or not isinstance(value, Iterable):
        return value
    return f'"[{", ".join(map(str, value))}]"'


class BackupAndRestore(Callback):
    """Keeps a backup from which an interrupted `fit` goes on when it is called again.

    The backup holds weights, optimizer, sums of losses and metrics, and the position in the epoch and in the random
    streams: the training goes on with the next batch, and weights and logs are, to the bit, those of a training that
    was never interrupted. (A generator begins its epoch again; metrics of your own with a state and other callbacks
    begin anew.)

    Args:
        backup_dir: directory of the backup, of this training alone.
        save_freq: 'epoch', or every so many batches.
        double_checkpoint: whether the backup before the last one is kept as well.
        delete_checkpoint: whether the directory is removed when training has ended.

    Raises:
        ValueError: in training, where the model is not built, or the backup is damaged or not of this training.
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not backup_dir:
            raise ValueError(f"backup_dir: expected the name of a directory, received {backup_dir!r}")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = check_save_freq(save_freq)
        self.double_checkpoint = bool(double_checkpoint)
        self.delete_checkpoint = bool(delete_checkpoint)
        self._path = os.path.join(self.backup_dir, "latest.npz")
        self._epochs = self._batches = 0
        if self.save_freq != "epoch":
            self.__dict__["on_train_batch_end"] = self._after_batch  # without it batches need no Python

    def on_train_begin(self, logs: Logs = None) -> None:
        self._epochs = self._batches = 0
        if not self.model.built:
            raise ValueError("BackupAndRestore: the model is not built; give the first layer input_shape=")
        paths = [path for path in (self._path, f"{self._path}.bkp") if os.path.exists(path)]
        for path in paths:
            try:
                progress, stored = _read(path)
                self._restore(progress, stored)
                return
            except Exception as error:
                if path == paths[-1]:
                    what = str(error).removeprefix("filepath: ")
                    raise ValueError(f"backup_dir: {path!r} is no intact backup of this training: {what}") from error

    def _restore(self, progress: Any, stored: dict[str, Any]) -> None:
        from ..models.batches import Place

        counts = [progress[key] for key in ("epoch", "batches", "batch", "seen", "began")]
        numbers = [*counts, *progress.get("random", [])]
        if not all(type(count) is int and 0 <= count < (2**48 if i < 5 else 2**64) for i, count in enumerate(numbers)):
            raise ValueError(f"{progress!r} is no place in a training")
        model = self.model
        weights = [stored[f"weight/{i}"] for i in range(len(model.weights)) if f"weight/{i}" in stored]
        paths = dict(enumerate(model.weight_names()))  # by number: names of layers may count on in one process
        state: dict[str, Any] = {}
        for name in [name.removeprefix("state/") for name in stored if name.startswith("state/")]:
            number, _, slot = name.partition("/")
            path = paths.get(int(number)) if slot and number.isdecimal() and len(number) < 9 else None
            state[name if path is None else f"{path}/{slot}"] = stored[f"state/{name}"]
        place = Place(counts[2], counts[3], counts[4], stored.get("sums"))
        if place.batch and not np.any(state.get("epoch", 0)):
            raise ValueError("within an epoch that has not begun")
        if place.seen > np.max(state.get("iterations", 0)):
            raise ValueError("behind batches that nobody trained on")
        place.check(model._get_compiled("fit").begin(), model._place.steps_after(place.seen))
        generators, before = random.generators_of(model.leaves()), model.get_weights()
        drawn = random.drawn(generators)
        try:
            if numbers[5:]:
                random.draw_from(generators, numbers[5:])
            model.set_weights(weights)
            model.load_optimizer_state(state)  # which checks all of it first
        except BaseException:
            model.set_weights(before)
            random.draw_from(generators, drawn)
            raise
        self._epochs, self._batches = counts[:2]
        model._initial_epoch, model._place = self._epochs, place

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._epochs = epoch + 1
        if self.save_freq == "epoch":
            self._save()

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._save()

    def _save(self) -> None:
        from ..saving.archive import describe, write
        from ..saving.files import replacing

        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.isfile(self._path):
            from shutil import copyfileobj

            with open(self._path, "rb") as last, replacing(f"{self._path}.bkp") as copy:
                copyfileobj(last, copy)
        arrays: dict[str, Any] = {f"weight/{i}": value for i, value in enumerate(self.model.get_weights())}
        number = {path: i for i, path in enumerate(self.model.weight_names())}
        for name, value in self.model.optimizer_state().items():
            path, _, slot = name.rpartition("/")
            arrays[f"state/{number[path]}/{slot}" if path else f"state/{name}"] = value
        place = self.model._place
        if place.batch:
            arrays["sums"] = place.sums
        progress: dict[str, Any] = {"epoch": self._epochs, "batches": self._batches, "batch": place.batch}
        progress |= {"seen": place.seen, "began": place.began}
        leaves = self.model.leaves()
        if any(leaf.own for leaf in leaves):  # what is random inside layers in Python
            progress["random"] = random.drawn(random.generators_of(leaves))
        entries = {f"{name}.npy": value for name, value in arrays.items()}
        described = {name: describe(value) for name, value in entries.items()}
        write(self._path, {"progress": progress, "arrays": described}, entries)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint and os.path.isdir(self.backup_dir):
            from shutil import rmtree  # takes 2 ms to import

            rmtree(self.backup_dir)


def _read(path: str) -> tuple[Any, dict[str, Any]]:
    """(progress, arrays by name) of a backup, every size checked before it is used."""
    from ..saving.archive import Archive
    from ..saving.files import open_regular

    with open_regular(path) as file:
        archive = Archive(file)
        arrays = archive.read(archive.plan(archive.manifest["arrays"]))
    return archive.manifest["progress"], {name.removesuffix(".npy"): value for name, value in arrays.items()}


def check_save_freq(save_freq: Any) -> Any:
    """'epoch' or a positive number of batches."""
    if isinstance(save_freq, str):
        if save_freq != "epoch":
            raise ValueError(f"save_freq: expected 'epoch' or a number of batches, received {save_freq!r}")
        return save_freq
    return check_integer("save_freq", save_freq, 1)
