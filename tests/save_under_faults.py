"""Saves with a fault at each call, in a process of its own into which `write_faults.c` is loaded.

python tests/save_under_faults.py DIRECTORY FORMAT [planted] prints what went wrong, and the numbers of faults.
With `planted` the atomic writer makes room for one that opens the old file itself: it must be caught.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np

import lanewise as lw
from lanewise.saving import archive, files, keras_h5, keras_state, keras_zip, tensors
from saving_files import trained

FORMATS = ["m.lanewise", "m.keras", "m.h5", "w.h5", "w.weights.h5", "w.safetensors", "w.lanewise", "ensemble.lanewise",
           "table.lanewise", "checkpoint.keras", "latest.npz", "model.svg"]  # fmt: skip


def saver(model, name, path):
    """The function that writes this file of a model."""
    if name == "ensemble.lanewise":
        return lambda: lw.Ensemble([model, model]).save(path)
    if name == "table.lanewise":
        table = lw.tabular.TabularRegressor(units=(2,), members=2, epochs=4, random_state=0)
        table.fit({"a": np.arange(40.0)}, np.arange(40.0) * float(model.get_weights()[-1][0]))
        return lambda: table.save(path)
    if name == "checkpoint.keras":
        callback = lw.keras.callbacks.ModelCheckpoint(path)
        callback.set_model(model)
        return lambda: callback.on_epoch_end(0, {})
    if name == "latest.npz":
        backup = lw.keras.callbacks.BackupAndRestore(path.parent)
        backup.set_model(model)
        return lambda: backup.on_epoch_end(0, {})
    if name == "model.svg":
        return lambda: lw.keras.utils.plot_model(model, path, show_shapes=model.optimizer.name == "sgd")
    return lambda: (model.save_weights if name[0] == "w" else model.save)(path)


@contextlib.contextmanager
def in_place(path):
    """The planted fault: a save that destroys the old file first."""
    with open(path, "wb") as file:
        yield file


def main(folder, name, planted):
    if planted:
        for module in (archive, files, keras_h5, keras_state, keras_zip, tensors):
            module.replacing = in_place
    shim = ctypes.CDLL(None)
    path = Path(folder) / name
    arm = lambda n, code: shim.arm(os.fsencode(folder), n, code)  # noqa: E731
    old, new = saver(trained("sgd"), name, path), saver(trained("adam"), name, path)
    arm(0, 0)
    new()
    calls, fresh = shim.calls(), path.read_bytes()
    shim.arm(b"", 0, 0)
    old()
    before = path.read_bytes()
    assert fresh != before and calls >= 5, calls
    wrong, faults = [], 0

    def check(what):
        """Save once more over the old file: afterwards it is the old one or the new one, and alone."""
        nonlocal faults
        faults += 1
        failed = ""
        try:
            new()
        except OSError as error:
            failed = errno.errorcode[error.errno or 0]
        finally:
            shim.arm(b"", 0, 0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        found = path.read_bytes()
        if found != fresh and (found != before or not failed):
            wrong.append(f"{what}: the file is neither the old one nor the new one (error: {failed or None})")
        others = [entry for entry in os.listdir(folder) if entry != name]
        if others:
            wrong.append(f"{what}: {others} stay behind")
            for entry in others:
                os.unlink(os.path.join(folder, entry))
        if found != before:
            old()
        return failed

    for n in range(1, calls + 1):
        for code in (errno.ENOSPC, errno.EIO, errno.EINTR, -1):
            arm(n, code)
            failed = check(f"call {n} of {calls}, {errno.errorcode.get(code, 'half a write')}")
            if failed and code == -1:
                wrong.append(f"call {n}: half a write ends in {failed}")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    failures = 0
    for limit in range(0, len(fresh), max(1, len(fresh) // 40)):  # the kernel's own: half a write, then EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        failures += bool(check(f"at most {limit} bytes"))
    if failures < 20 and not planted:
        wrong.append(f"only {failures} of the limits made a save fail")
    print(*wrong, f"{name}: {faults} faults at {calls} calls, {len(wrong)} wrong", sep="\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "planted" in sys.argv)
