"""What the tests of files share: a trained model, files made from it, and what refusing one means."""

import json
import zipfile

import numpy as np
import pytest

import lanewise as lw
from limits import seconds

X = np.linspace(-2, 2, 90, dtype=np.float32).reshape(30, 3)
Y = np.tanh(X.sum(1))


def trained(optimizer="adam", epochs=2):
    lw.random.set_seed(5)
    normalization = lw.layers.Normalization()
    normalization.adapt(X)
    model = lw.Sequential(
        [
            lw.Input((3,)),
            normalization,
            lw.layers.Dense(5, "relu", kernel_initializer="he_normal", kernel_regularizer=lw.regularizers.l2(1e-3)),
            lw.layers.Dropout(0.25),
            lw.layers.Dense(2, use_bias=False),
            lw.layers.ReLU(),
            lw.layers.Dense(1),
        ]
    )
    model.compile(optimizer, lw.losses.Huber(0.7), metrics=["mae", lw.metrics.MeanSquaredError(name="squared")])
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0)
    return model


def saved(tmp_path, model=None):
    path = tmp_path / "m.lanewise"
    (model or trained()).save(path)
    return path


def rewritten(path, change=None, entries=None, **options):
    """The file at `path` written again: `change` edits the JSON, `entries` replaces or adds members."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    if change is not None:
        manifest = json.loads(members["lanewise.json"])
        manifest = change(manifest) or manifest
        members["lanewise.json"] = json.dumps(manifest).encode()
    members.update(entries or {})
    with zipfile.ZipFile(path, "w", **options) as new:
        for name, data in members.items():
            if data is not None:
                new.writestr(name, data)
    return path


def refused(path, text="no intact lanewise file"):
    """Loading raises a plain ValueError that names the file, within a second; returns its text."""
    begun = seconds()
    with pytest.raises(ValueError, match=text) as caught:
        lw.load_model(path)
    assert type(caught.value) is ValueError
    assert "filepath: " in str(caught.value) and path.name in str(caught.value)
    assert seconds() - begun < 1.0
    return str(caught.value)
