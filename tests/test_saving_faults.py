"""Saves that fail, are killed, or run at once: the file is the old one or the new one, and nothing stays behind."""

import contextlib
import mmap
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import lanewise as lw
from lanewise.saving import archive, files
from sanitizer import preloading
from save_under_faults import FORMATS, saver
from saving_files import X, trained

pytest.importorskip("h5py")
pytest.importorskip("safetensors")
HERE = Path(__file__).parent
WHOLE = ["m.lanewise", "m.keras", "m.h5"]


@pytest.fixture
def folder(tmp_path):
    """A directory in memory where there is one: thousands of saves, each synced."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


# --- a fault at each call -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and Linux")
    library = tmp_path_factory.mktemp("faults") / "write_faults.so"
    source = HERE / "write_faults.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def under_faults(library, folder, name, *more):
    done = subprocess.run(
        [sys.executable, HERE / "save_under_faults.py", folder, name, *more],
        capture_output=True, text=True, timeout=250,
        env={**preloading(library), "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    print(last)
    count, calls, wrong = map(int, re.fullmatch(r".*: (\d+) faults at (\d+) calls, (\d+) wrong", last).groups())
    return count, calls, wrong, done.stdout


@pytest.mark.parametrize("name", FORMATS)
def test_every_call_of_a_save_can_fail(folder, faults, name):
    """No space, an I/O error, an interrupted call, half a write at each call; and the kernel's limit on the size."""
    count, calls, wrong, text = under_faults(faults, folder, name)
    assert wrong == 0, text
    assert count >= 40 + 4 * calls and calls >= 7


def test_a_save_in_place_is_caught(folder, faults):
    _, _, wrong, text = under_faults(faults, folder, "m.lanewise", "planted")
    assert wrong > 20 and "neither the old one nor the new one" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a file system")
def test_a_file_system_without_space(tmp_path):
    """The true thing: 1 MB in all."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("may not mount")
    try:
        for name in WHOLE:
            path = tmp_path / name
            trained().save(path)
            before = path.read_bytes()
            large = lw.Sequential([lw.layers.Dense(600, input_shape=(600,))])
            with pytest.raises(OSError, match="No space left"):
                large.save(path)
            assert path.read_bytes() == before and os.listdir(tmp_path) == [name]
            path.unlink()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that is closed by nobody
def test_an_interrupt_at_every_line_of_a_save(tmp_path):
    """KeyboardInterrupt, as Ctrl-C raises it, before each line of the atomic writer."""
    path = tmp_path / "m.lanewise"
    model = trained()
    model.save(path)
    before = path.read_bytes()
    newer = trained("sgd")
    after = None
    for line in range(1, 200):
        seen = 0

        def trace(frame, event, _, line=line):
            nonlocal seen
            if frame.f_code.co_filename != files.__file__:
                return None
            if event == "line":
                seen += 1
                if seen == line:
                    raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                newer.save(path)
        finally:
            sys.settrace(None)
        assert os.listdir(tmp_path) == ["m.lanewise"], line
        if path.read_bytes() != before:
            after = after or path.read_bytes()
            assert path.read_bytes() == after
            path.write_bytes(before)
        if seen < line:
            break
    print(f"{line - 1} lines interrupted, nothing stayed behind")
    assert line > 15 and lw.load_model(path).optimizer.name == "adam"


# --- killed -------------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
sys.path[:] = {path!r}
from pathlib import Path
from save_under_faults import saver
from saving_files import trained
import signal, time, random
{planted}
name, path, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
savers = [saver(trained("sgd"), name, path), saver(trained("adam"), name, path)]
whole = set()
for save in savers:
    save()
    whole.add(path.read_bytes())
assert len(whole) == 2
rng, bad = random.Random(name), 0
for _ in range(kills):
    child = os.fork()
    if child == 0:
        while True:
            for save in savers:
                save()
    time.sleep(0.002 + rng.random() * 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    bad += path.read_bytes() not in whole
print(f"{{name}}: killed {{kills}} times, {{bad}} times neither old nor new")
"""


def killed(tmp_path, name, kills, planted=""):
    code = KILLED.format(path=[*sys.path, str(HERE)], planted=planted)
    path = tmp_path / name
    done = subprocess.run(
        [sys.executable, "-c", code, name, path, str(kills)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout.splitlines()[-1])
    return int(re.search(r", (\d+) times", done.stdout)[1]), path


@pytest.mark.parametrize("name", ["m.lanewise", "m.keras", "m.h5", "w.weights.h5", "w.safetensors"])
def test_killed_in_200_saves_the_file_is_whole(folder, name):
    """40 times for each format, 200 in all."""
    bad, path = killed(folder, name, 40)
    assert bad == 0
    if name[0] == "m":
        assert np.isfinite(lw.load_model(path).predict(X, verbose=0)).all()
    else:
        trained().load_weights(path)


def test_a_killed_save_in_place_is_caught(folder):
    planted = "import save_under_faults as s; from lanewise.saving import archive; archive.replacing = s.in_place"
    assert killed(folder, "m.lanewise", 40, planted)[0] > 0


# --- at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WHOLE)
def test_two_savers_and_a_reader_at_once(folder, name):
    """Threads here; processes take the same path, since nothing but the directory is shared."""
    path = folder / name
    savers = [saver(trained(optimizer), name, path) for optimizer in ("sgd", "adam")]
    whole = set()
    for save in savers:
        save()
        whole.add(path.read_bytes())
    errors, done = [], threading.Event()

    def again(save):
        try:
            for _ in range(30):
                save()
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threads = [threading.Thread(target=again, args=[save]) for save in savers]
    for thread in threads:
        thread.start()
    reads = 0
    while not done.is_set() or reads < 20:
        assert path.read_bytes() in whole
        lw.load_model(path)
        reads += 1
    for thread in threads:
        thread.join()
    assert not errors and os.listdir(folder) == [name]
    print(f"{name}: 60 saves by two threads, {reads} reads, each whole")


def test_two_processes_save_at_once(tmp_path):
    path = tmp_path / "m.lanewise"
    models = [trained("sgd"), trained("adam")]
    whole = set()
    for model in models:
        model.save(path)
        whole.add(path.read_bytes())
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\nimport lanewise as lw; m = lw.load_model(sys.argv[1])\n"
        "print('ready', flush=True); sys.stdin.readline()\nfor _ in range(60): m.save(sys.argv[2])"
    )
    children = []
    for i, model in enumerate(models):
        model.save(tmp_path / f"{i}.lanewise")
        arguments = [sys.executable, "-c", code, tmp_path / f"{i}.lanewise", path]
        children.append(subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    seen = set()
    while any(child.poll() is None for child in children):
        seen.add(path.read_bytes())
        time.sleep(0.001)
    assert all(child.wait() == 0 for child in children) and seen <= whole and len(os.listdir(tmp_path)) == 3
    for child in children:
        child.stdin.close()
        child.stdout.close()


# --- over the file that is in use ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WHOLE)
def test_saving_over_the_file_that_was_loaded_or_is_mapped(tmp_path, name):
    path = tmp_path / name
    first = trained("sgd")
    first.save(path)
    model = lw.load_model(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        before = bytes(mapped)
        model.fit(X, X[:, 0], epochs=1, verbose=0)
        model.save(path)
        lw.load_model(path).save(path)
        assert bytes(mapped) == before  # who has the old file keeps it
    assert lw.fingerprint(lw.load_model(path)) == lw.fingerprint(model) != lw.fingerprint(first)


def test_arrays_of_a_mapped_file_are_saved_over_it(tmp_path):
    """Weights that are views of the very file that is replaced."""
    path = tmp_path / "w.lanewise"
    model = trained()
    model.save_weights(path)
    with open(path, "rb") as file:
        read = archive.Archive(file)
        places = {info.filename: info for info in read._zip.infolist()}
    mapped = np.memmap(path, np.uint8, "r")
    kernel = places["weights/2.npy"]
    start = kernel.header_offset + 30 + len(kernel.filename)
    head = len(archive.npy_header("<f4", (3, 5)))
    view = mapped[start + head : start + head + 60].view("<f4").reshape(3, 5)
    assert np.array_equal(view, model.layers[1].get_weights()[0])
    kept = view.copy()
    weights = model.get_weights()
    weights[2] = view  # not copied
    model.set_weights(weights)
    for _ in range(3):
        model.save_weights(path)
    assert np.array_equal(view, kept)
    other = trained("sgd")
    other.load_weights(path)
    assert lw.fingerprint(other) == lw.fingerprint(model)


def test_a_log_goes_on_after_a_row_that_was_cut_off(tmp_path):
    """CSVLogger hands each row to the system; after one that was cut off, the next has a line of its own."""
    path = tmp_path / "log.csv"
    log = lw.keras.callbacks.CSVLogger(path, append=True)
    trained().fit(X, X[:, 0], epochs=2, verbose=0, callbacks=[log])
    whole = path.read_text()
    path.write_text(whole[:-5])
    trained().fit(X, X[:, 0], epochs=1, verbose=0, callbacks=[log])
    lines = path.read_text().splitlines()
    assert len(lines) == 4 and lines[:2] == whole.splitlines()[:2] and lines[3].startswith("0,")
