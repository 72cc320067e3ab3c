"""BackupAndRestore at every step: what goes on has the bits of what was never interrupted."""

import shutil

import numpy as np
import pytest
import scipy.sparse

import lanewise as lw
from lanewise.keras.callbacks import BackupAndRestore, Callback, EarlyStopping, ModelCheckpoint, TerminateOnNaN
from lanewise.saving import archive

X = np.random.default_rng(0).normal(size=(47, 3)).astype(np.float32)
Y = X.sum(1)


class Data(lw.keras.utils.PyDataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        return X[5 * i : 5 * i + 5], Y[5 * i : 5 * i + 5]


class Again:
    def __iter__(self):
        return ((X[i : i + 5], Y[i : i + 5]) for i in range(0, 47, 5))

    def __len__(self):
        return 10


class Endless(Data):
    num_batches = None

    def __getitem__(self, i):
        return super().__getitem__(i % 10)


class Unmeasured:
    """Of no length that could be asked for."""

    def __iter__(self):
        return iter(Again())


KINDS = {
    "rows": ((X, Y), {"batch_size": 5}),
    "an order over several epochs": ((X, Y), {"batch_size": 5, "steps_per_epoch": 4}),
    "rows as they stand": ((X, Y), {"batch_size": 4, "shuffle": False, "validation_split": 0.2}),
    "sparse rows": ((scipy.sparse.csr_matrix(X), Y), {"batch_size": 5}),
    "a data set": ((Data(), None), {}),
    "an order of a data set": ((Data(), None), {"steps_per_epoch": 4}),
    "a data set as it stands": ((Data(), None), {"steps_per_epoch": 4, "shuffle": False}),
    "batches that can be run through again": ((Again(), None), {"steps_per_epoch": 3}),
    "batches of which nobody knows how many there are": ((Unmeasured(), None), {"steps_per_epoch": 3}),
    "batches that are over with an epoch": ((Unmeasured(), None), {"steps_per_epoch": 5}),
    "a data set without an end": ((Endless(), None), {"steps_per_epoch": 3}),
}
OPTIMIZERS = {
    "adam": lambda: lw.optimizers.Adam(0.01),
    "accumulated": lambda: lw.optimizers.SGD(0.01, momentum=0.9, gradient_accumulation_steps=3),
    "averaged": lambda: lw.optimizers.Adam(0.01, use_ema=True),
    "scheduled": lambda: lw.optimizers.Nadam(lw.optimizers.schedules.CosineDecay(0.1, 50)),
}


def built(optimizer):
    lw.random.set_seed(3)
    layers = [
        lw.layers.Dense(5, "tanh", input_shape=(3,)), lw.layers.Dropout(0.3), lw.layers.BatchNormalization(),
        lw.layers.Dense(1),
    ]  # fmt: skip
    model = lw.Sequential(layers)
    model.compile(OPTIMIZERS[optimizer](), "mse", metrics=["mae"])
    return model


def bits(model):
    """Weights and state of the optimizer."""
    return lw.fingerprint(model), [np.asarray(value).tobytes() for value in model.optimizer_state().values()]


class Keep(Callback):
    """Copies the backup after each batch; stands behind BackupAndRestore."""

    def __init__(self, folder, copies):
        self.folder, self.copies = folder, copies

    def on_train_batch_end(self, batch, logs=None):
        shutil.copytree(self.folder, self.copies / str(len(list(self.copies.iterdir())) + 1))


def trained(optimizer, kind, folder, *more):
    """(model, history) of a training that goes on from the backup in a folder, if there is one."""
    model, ((x, y), options) = built(optimizer), KINDS[kind]
    lw.random.set_seed(len(more))  # a restored training takes nothing from the streams of its own process
    with np.errstate(all="raise"):
        history = model.fit(
            x, y, epochs=5, verbose=0, callbacks=[BackupAndRestore(folder, save_freq=1), *more], **options
        )
    return model, history.history


def parts(path):
    """(manifest, arrays) of a backup."""
    with open(path, "rb") as file:
        kept = archive.Archive(file)
        return kept.manifest, kept.read(kept.plan(kept.manifest["arrays"]))


OTHERS = [*(("adam", kind) for kind in list(KINDS)[1:]), *((name, "rows") for name in list(OPTIMIZERS)[1:])]


@pytest.mark.filterwarnings("ignore:x. expected [34] batches in an epoch")
@pytest.mark.parametrize(
    ("optimizer", "kind", "every"),
    [
        ("adam", "rows", 1),
        *((*case, 3) for case in OTHERS),
        *(pytest.param(*case, 1, marks=pytest.mark.long) for case in OTHERS),
    ],
)
def test_every_step_of_a_training_can_be_the_last_before_a_restart(tmp_path, optimizer, kind, every):
    folder, copies = tmp_path / "backup", tmp_path / "copies"
    copies.mkdir()
    whole, logs = trained(optimizer, kind, folder, Keep(folder, copies))
    expected = bits(whole)
    steps = len(list(copies.iterdir()))
    assert steps == whole.optimizer.native.iterations >= 13
    tried = range(1, steps + 1, every)
    for step in tried:
        model, rest = trained(optimizer, kind, copies / str(step))
        assert bits(model) == expected, step
        epochs = len(rest["loss"])
        assert {name: values[-epochs:] for name, values in logs.items()} == rest, step
    print(f"{optimizer}, {kind}: {len(tried)} of {len(tried)} resumed trainings have the bits of the uninterrupted one")


def test_a_backup_of_another_place_gives_other_bits(tmp_path):
    """The check above can fail: a backup that forgets its place in the epoch is seen."""
    folder, copies = tmp_path / "backup", tmp_path / "copies"
    copies.mkdir()
    whole, _ = trained("adam", "rows", folder, Keep(folder, copies))
    path = copies / "13" / "latest.npz"
    manifest, arrays = parts(path)
    assert manifest["progress"] == {"epoch": 1, "batches": 13, "batch": 3, "seen": 0, "began": 0}
    archive.write(str(path), {**manifest, "progress": {**manifest["progress"], "batch": 4}}, arrays)
    assert lw.fingerprint(trained("adam", "rows", copies / "13")[0]) != lw.fingerprint(whole)


@pytest.mark.parametrize(
    ("progress", "text"),
    [({"batch": 99}, "after batch 99 of an epoch of 10"), ({"batch": -1}, "no place in a training"),
     ({"epoch": 10**30}, "no place in a training"), ({"seen": "x"}, "no place in a training"),
     ({"seen": 10**9}, "behind batches that nobody trained on")],
)  # fmt: skip
def test_backups_that_do_not_fit(tmp_path, progress, text):
    folder, copies = tmp_path / "backup", tmp_path / "copies"
    copies.mkdir()
    trained("adam", "rows", folder, Keep(folder, copies))
    path = copies / "3" / "latest.npz"
    manifest, arrays = parts(path)
    archive.write(str(path), {**manifest, "progress": {**manifest["progress"], **progress}}, arrays)
    with pytest.raises(ValueError, match=text):
        trained("adam", "rows", copies / "3")


def test_a_backup_within_an_epoch_that_has_not_begun(tmp_path):
    folder, copies = tmp_path / "backup", tmp_path / "copies"
    copies.mkdir()
    trained("adam", "rows", folder, Keep(folder, copies))
    path = copies / "3" / "latest.npz"
    manifest, arrays = parts(path)
    arrays["state/epoch.npy"] = np.zeros_like(arrays["state/epoch.npy"])
    archive.write(str(path), manifest, arrays)
    with pytest.raises(ValueError, match="within an epoch that has not begun"):
        trained("adam", "rows", copies / "3")


def test_a_backup_of_more_rows_with_steps_per_epoch_changes_nothing(tmp_path):
    """Five batches of the order are left where it was made, one here: found out before anything is restored."""

    class Stop(Exception):
        pass

    class StopAfter(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2 and self.model._place.seen:
                raise Stop

    x, y = np.tile(X, (4, 1)), np.tile(Y, 4)
    backup = BackupAndRestore(tmp_path, save_freq=1)
    with pytest.raises(Stop):
        built("adam").fit(x[:80], y[:80], 8, 3, steps_per_epoch=4, verbose=0, callbacks=[backup, StopAfter()])
    model = built("adam")
    before = bits(model)
    with pytest.raises(ValueError, match="after batch 3 of an epoch of 1"):
        model.fit(x[:40], y[:40], 8, 3, steps_per_epoch=4, verbose=0, callbacks=[BackupAndRestore(tmp_path)])
    assert bits(model) == before


@pytest.mark.parametrize(("first", "then"), [(4, 2), (3, 4), (2, 7)])
def test_an_order_of_a_data_set_goes_on_with_other_steps_per_epoch(tmp_path, first, then):
    """No batch comes twice or never."""
    seen = []

    class Seen(Data):
        def __getitem__(self, i):
            seen.append(i)
            return super().__getitem__(i)

    for steps, epochs in ((first, 1), (then, 2)):
        built("adam").fit(
            Seen(), epochs=epochs, steps_per_epoch=steps, verbose=0,
            callbacks=[BackupAndRestore(tmp_path, delete_checkpoint=False)],
        )  # fmt: skip
        del seen[-steps - 1]  # the batch that fit looked at for its shapes
    assert len(set(seen)) == len(seen) == first + then


def test_a_cut_off_backup_falls_back_to_the_one_before_at_every_length(tmp_path):
    folder = tmp_path / "backup"
    backup = BackupAndRestore(folder, double_checkpoint=True, delete_checkpoint=False)
    built("adam").fit(X, Y, epochs=2, verbose=0, callbacks=[backup])
    whole = (folder / "latest.npz").read_bytes()
    for length in range(0, len(whole), 61):
        (folder / "latest.npz").write_bytes(whole[:length])
        backup.set_model(built("adam"))
        backup.on_train_begin()
        assert backup.model._initial_epoch == 1


# --- a training that goes wrong -----------------------------------------------------------------------------------


def exploding(*callbacks, **options):
    """A training whose rows are NaN from the fourth epoch on; (model, losses)."""

    class Poison(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                x[:] = np.nan

    x = X.copy()
    model = built("adam")
    history = model.fit(x, Y, epochs=9, verbose=0, callbacks=[Poison(), *callbacks], **options)
    return model, history.history["loss"]


@pytest.mark.filterwarnings("ignore:loss")
def test_a_training_that_turns_nan_keeps_the_best_weights_when_asked(tmp_path):
    best = built("adam")
    losses = best.fit(X, Y, epochs=3, verbose=0).history["loss"]
    assert losses == sorted(losses, reverse=True)  # the third epoch is the best
    model, seen = exploding(TerminateOnNaN(), EarlyStopping("loss", patience=20, restore_best_weights=True))
    assert seen[:3] == losses and np.isnan(seen[3]) and len(seen) == 4
    assert lw.fingerprint(model) == lw.fingerprint(best)
    model, seen = exploding(EarlyStopping("loss", patience=2, restore_best_weights=True))
    assert len(seen) == 5 and lw.fingerprint(model) == lw.fingerprint(best)
    path = tmp_path / "best.lanewise"
    model, _ = exploding(TerminateOnNaN(), ModelCheckpoint(path, "loss", save_best_only=True))
    assert np.isnan(model.get_weights()[0]).any()
    assert lw.fingerprint(lw.load_model(path)) == lw.fingerprint(best)
