"""Files: what goes in comes out to the bit, and a save is whole or not there."""

import json
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import lanewise as lw
from lanewise.saving import archive, files
from saving_files import X, Y, refused, saved, trained

# --- round trips ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", lw.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "sgd"])
def test_loaded_model_goes_on_as_the_saved_one(tmp_path, optimizer):
    model = trained(optimizer)
    model.optimizer.learning_rate = 0.0123
    loaded = lw.load_model(saved(tmp_path, model))
    assert lw.fingerprint(loaded, loaded.predict(X)) == lw.fingerprint(model, model.predict(X))
    assert loaded.get_config() == model.get_config()
    assert loaded.get_compile_config() == model.get_compile_config()
    assert loaded.optimizer.iterations == model.optimizer.iterations == 8
    assert float(loaded.optimizer.learning_rate) == 0.0123
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    after = [m.fit(X, Y, batch_size=8, epochs=3, verbose=0).history for m in (model, loaded)]
    assert after[0] == after[1]
    assert lw.fingerprint(loaded) == lw.fingerprint(model)


def test_resumed_in_a_new_process_goes_on_as_the_saved_one(tmp_path):
    model = trained()
    path = saved(tmp_path, model)
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import numpy as np, lanewise as lw; d = np.load(sys.argv[2]); m = lw.load_model(sys.argv[1])\n"
        "m.fit(d['x'], d['y'], batch_size=8, epochs=3, verbose=0); print(lw.fingerprint(m, m.predict(d['x'])))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "data.npz"], capture_output=True, text=True, check=True
    )  # fmt: skip
    model.fit(X, Y, batch_size=8, epochs=3, verbose=0)
    assert out.stdout.strip() == lw.fingerprint(model, model.predict(X))


def test_loading_leaves_the_random_streams_alone(tmp_path):
    path = saved(tmp_path)

    def next_model(load):
        lw.random.set_seed(1)
        if load:
            lw.load_model(path, compile=False)
        return lw.fingerprint(lw.Sequential([lw.layers.Dense(3, input_shape=(2,))]))

    assert next_model(True) == next_model(False)


def test_compile_false_and_include_optimizer_false(tmp_path):
    model = trained()
    path = saved(tmp_path, model)
    assert not lw.load_model(path, compile=False).compiled
    model.save(path, include_optimizer=False)
    loaded = lw.load_model(path)
    assert not loaded.compiled
    assert lw.fingerprint(loaded) == lw.fingerprint(model)


def test_model_that_was_never_compiled_or_has_no_weights(tmp_path):
    model = lw.Sequential([lw.layers.Flatten(input_shape=(2, 3)), lw.layers.Activation("tanh"), lw.layers.Softmax()])
    loaded = lw.load_model(saved(tmp_path, model))
    x = np.ones((4, 2, 3), np.float32)
    assert (loaded.predict(x) == model.predict(x)).all()
    assert loaded.optimizer is None


def test_same_model_gives_the_same_bytes(tmp_path):
    model = trained()
    first = saved(tmp_path, model).read_bytes()
    assert saved(tmp_path, model).read_bytes() == first
    assert saved(tmp_path, lw.load_model(tmp_path / "m.lanewise")).read_bytes() == first


def test_numpy_and_zip_alone_read_the_file(tmp_path):
    model = trained()
    path = saved(tmp_path, model)
    with zipfile.ZipFile(path) as archive_:
        assert archive_.testzip() is None
        manifest = json.loads(archive_.read("lanewise.json"))
        assert manifest["format"] == "lanewise" and manifest["version"] == 1
    with np.load(path, allow_pickle=False) as arrays:
        for i, weight in enumerate(model.weights):
            assert manifest["weights"][i] == weight.path
            assert (arrays[f"weights/{i}"] == weight.numpy()).all()


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4), (0, 5), (1000, 123456)])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i8", "<u8"])
def test_array_headers_are_those_that_numpy_writes(shape, dtype):
    import io

    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": dtype, "fortran_order": False, "shape": shape})
    fields = [h[10:].rstrip() for h in (out.getvalue(), archive.npy_header(dtype, shape))]
    assert fields[0] == fields[1]
    assert len(archive.npy_header(dtype, shape)) % 64 == 0


# --- names and arguments ----------------------------------------------------------------------------------------


def test_more_arrays_than_a_reader_would_take_are_not_written(tmp_path):
    arrays = dict.fromkeys(map(str, range(archive.MAX_ENTRIES)), np.zeros(1, np.float32))
    with pytest.raises(ValueError, match=f"it has {len(arrays)} arrays, allowed are {len(arrays) - 1}"):
        archive.write(str(tmp_path / "a.lanewise"), {}, arrays)
    assert not list(tmp_path.iterdir())


def test_keras_content_under_another_name_is_recognised(tmp_path):
    path = tmp_path / "m.lanewise"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    refused(path, "no intact h5 file")
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("config.json", "{}")
        new.writestr("model.weights.h5", "")
    refused(path, r"\.keras file")


def test_overwrite_false_keeps_the_file(tmp_path):
    model = trained()
    path = saved(tmp_path, model)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        trained("sgd").save(path, overwrite=False)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save_weights(path, overwrite=False)
    assert path.read_bytes() == before


def test_saving_refuses_what_could_not_be_loaded(tmp_path):
    path = tmp_path / "m.lanewise"
    with pytest.raises(ValueError, match="not built"):
        lw.Sequential([lw.layers.Dense(1)]).save(path)

    class Dense(lw.layers.Dense):
        pass

    with pytest.raises(ValueError, match="is a Dense, which no file can name"):
        lw.Sequential([Dense(1, input_shape=(2,))]).save(path)
    with pytest.raises(TypeError, match="unknown arguments"):
        trained().save(path, include_optimiser=False)
    assert not list(tmp_path.iterdir())


def test_file_system_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        lw.load_model(tmp_path / "none.lanewise")
    with pytest.raises(FileNotFoundError, match=r"directory .*none. does not exist; make it first, for .*m.lanewise."):
        trained().save(tmp_path / "none" / "m.lanewise")
    with pytest.raises(IsADirectoryError):
        trained().save(tmp_path)
    with pytest.raises(IsADirectoryError):
        lw.load_model(tmp_path)


# --- weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".lanewise", ".safetensors"])
def test_weights_go_into_another_model(tmp_path, suffix):
    pytest.importorskip("safetensors")
    model, other = trained(), trained("sgd", epochs=1)
    model.save_weights(tmp_path / f"w{suffix}")
    other.load_weights(tmp_path / f"w{suffix}")
    assert lw.fingerprint(other, other.predict(X)) == lw.fingerprint(model, model.predict(X))


def test_safetensors_are_read_by_that_library(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    model = trained()
    model.save_weights(tmp_path / "w.safetensors")
    tensors = numpy.load_file(tmp_path / "w.safetensors")
    assert sorted(tensors) == [
        "0.mean", "0.variance", "1.bias", "1.kernel", "2.kernel", "3.bias", "3.kernel",
    ]  # fmt: skip
    assert (tensors["2.kernel"] == model.layers[3].get_weights()[0]).all()


def test_without_safetensors_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install safetensors"):
        trained().save_weights(tmp_path / "w.safetensors")


def test_weights_from_a_model_file_and_not_the_other_way_round(tmp_path):
    model, other = trained(), trained(epochs=1)
    other.load_weights(saved(tmp_path, model))
    assert lw.fingerprint(other) == lw.fingerprint(model)
    path = tmp_path / "w.lanewise"
    model.save_weights(path)
    refused(path, "weights only")
    with pytest.raises(ValueError, match=r"'\.safetensors' holds weights only"):
        lw.load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", [".lanewise", ".safetensors"])
def test_weights_of_another_shape_change_nothing(tmp_path, suffix):
    pytest.importorskip("safetensors")
    path = tmp_path / f"w{suffix}"
    lw.Sequential([lw.layers.Dense(4, input_shape=(3,)), lw.layers.Dense(1)]).save_weights(path)
    other = lw.Sequential([lw.layers.Dense(4, input_shape=(3,)), lw.layers.Dense(2)])
    before = lw.fingerprint(other)
    with pytest.raises(ValueError, match=r"w\.\w+. holds .*\(4, 1\).* the model has .*\(4, 2\)"):
        other.load_weights(path)
    assert lw.fingerprint(other) == before
    with pytest.raises(ValueError, match="not built"):
        lw.Sequential([lw.layers.Dense(1)]).load_weights(path)


def test_damaged_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    model = trained()
    path = tmp_path / "w.safetensors"
    model.save_weights(path)
    whole = path.read_bytes()
    before = lw.fingerprint(model)
    for damaged in (b"", whole[:-1], whole[:100], b"\xff" * 8 + whole[8:], struct.pack("<Q", 2**40) + whole[8:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="no intact safetensors file"):
            model.load_weights(path)
    assert lw.fingerprint(model) == before


LOADERS = {
    **{f".{kind}": lw.models.load_model for kind in ("lanewise", "keras", "h5")},
    **{f".weights.{kind}": lambda path: trained().load_weights(path) for kind in ("lanewise", "h5")},
    ".safetensors": lambda path: trained().load_weights(path),
    ".table.lanewise": lw.tabular.TabularRegressor.load,
}


def no_file(folder, suffix, device):
    """The paths of a pipe and of a link to something else that is no file."""
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    pipe, link = folder / f"pipe{suffix}", folder / f"device{suffix}"
    os.mkfifo(pipe)
    link.symlink_to(device)
    return pipe, link


@pytest.mark.parametrize("suffix", LOADERS)
def test_a_pipe_or_device_is_no_file(tmp_path, suffix):
    """One would wait for somebody who writes, the other has no end."""
    for path in no_file(tmp_path, suffix, "/dev/zero"):
        with pytest.raises(ValueError, match=f"expected a file, received the pipe or device .*{path.name}"):
            LOADERS[suffix](path)


@pytest.mark.parametrize("suffix", [".lanewise", ".keras", ".h5", ".weights.lanewise", ".weights.h5", ".safetensors"])
def test_a_pipe_or_device_is_not_replaced(tmp_path, suffix):
    """A device is only asked about: a save that fails to refuse it would replace the machine's own."""
    os.mkfifo(tmp_path / "other")
    paths = no_file(tmp_path, suffix, tmp_path / "other")
    for path in paths:
        with pytest.raises(ValueError, match="filepath: expected a file, received the pipe or device"):
            (trained().save if suffix in (".lanewise", ".keras", ".h5") else trained().save_weights)(path)
    assert all(path.is_fifo() for path in paths)
    with pytest.raises(ValueError, match="filepath: expected a file, received the pipe or device '/dev/null'"):
        files.check_regular("/dev/null")


# --- saving is whole or not at all ------------------------------------------------------------------------------


def test_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = saved(tmp_path)
    before = path.read_bytes()
    real = os.fsync
    for broken in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(files.os, broken, lambda *_: (_ for _ in ()).throw(OSError(28, "no space left")))
            with pytest.raises(OSError, match="no space left"):
                trained("sgd").save(path)
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["m.lanewise"]
    assert os.fsync is real


def test_file_is_synced_before_and_the_directory_after_the_rename(tmp_path, monkeypatch):
    calls = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor):
        calls.append("directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        real_sync(descriptor)

    monkeypatch.setattr(files.os, "fsync", sync)
    monkeypatch.setattr(files.os, "replace", lambda a, b: (calls.append("rename"), real_replace(a, b)))
    saved(tmp_path)
    assert calls == ["file", "rename", "directory"]


def test_permissions_and_links_are_kept(tmp_path):
    path = saved(tmp_path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    path.chmod(0o600)
    link = tmp_path / "link.lanewise"
    link.symlink_to(path)
    trained("sgd").save(link)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o600
    assert lw.load_model(path).get_compile_config()["optimizer"]["class_name"] == "SGD"


def test_formats_of_tensorflow_are_refused(tmp_path):
    model = lw.Sequential([lw.layers.Dense(2, input_shape=(3,))])
    for save, path in ((model.save, tmp_path / "m.keras"), (model.save_weights, tmp_path / "m.weights.h5")):
        with pytest.raises(ValueError, match="save_format: 'tf'"):
            save(path, save_format="tf")
    assert not list(tmp_path.iterdir())


def test_no_memory_for_a_lock_is_a_memory_error(monkeypatch, tmp_path):
    """Before 3.13 Python says RuntimeError there."""

    def opened(*args, **kwargs):
        raise RuntimeError("can't allocate read lock")

    path = tmp_path / "m.keras"
    trained().save(path)
    monkeypatch.setattr(files, "open", opened, raising=False)
    for call in (lambda: lw.load_model(path), lambda: trained().save(path)):
        with pytest.raises(MemoryError, match="lock"):
            call()
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]
