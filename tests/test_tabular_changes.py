"""lanewise.tabular: columns that changed between fit and predict, a fit that is interrupted, load_model, embeddings."""

import datetime
import threading

import numpy as np
import pytest

import lanewise as lw
from ctrl_c import interrupted_when
from lanewise.many import fit_many
from lanewise.tabular import TabularClassifier, TabularRegressor

N = 60
RNG = np.random.default_rng(0)
DAYS = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=int(h)) for h in RNG.integers(0, 9000, N)]
ZONE = datetime.timezone(datetime.timedelta(hours=2))
AWARE = [day.replace(tzinfo=ZONE) for day in DAYS]
BASE = {
    "size": RNG.normal(size=N).tolist(), "colour": [["red", "green", "blue"][i] for i in RNG.integers(0, 3, N)],
    "zip": RNG.integers(1, 4, N).tolist(), "fresh": (RNG.random(N) < 0.5).tolist(), "day": DAYS,
}  # fmt: skip
Y = np.array(BASE["size"]) + np.array(BASE["fresh"])
SMALL = {"members": 2, "units": (4,), "epochs": 2, "verbose": 0, "columns": {"zip": "category"}}


@pytest.fixture(params=["pandas", "polars", "pyarrow"])
def frame(request):
    """Makes a frame of columns that are lists."""
    pytest.importorskip("pandas")
    module = pytest.importorskip(request.param)
    return module.table if request.param == "pyarrow" else module.DataFrame


CHANGES = [
    ({"size": ["a", "2.5"] * 30}, "column 'size': expected numbers, received values such as 'a'"),
    ({"size": ["1.5"] * N}, "column 'size': expected numbers, received values such as '1.5'"),
    ({"size": DAYS}, "column 'size': expected numbers, received values such as datetime"),
    ({"colour": list(range(N))}, "column 'colour': expected text, received values such as '0'"),
    ({"zip": ["one", "two"] * 30}, "column 'zip': expected numbers, received values such as 'one'"),
    ({"fresh": ["yes", "no"] * 30}, "column 'fresh': expected booleans, received values such as 'yes'"),
    ({"fresh": [0, 2] * 30}, "column 'fresh': expected booleans, received values such as 0"),
    ({"day": [str(day) for day in DAYS]}, "column 'day': expected dates, received values such as '2024-"),
    ({"day": list(range(N))}, "column 'day': expected dates, received values such as 0"),
    ({"day": AWARE}, "column 'day': expected dates without a time zone, received values such as .* with a time zone"),
]


def test_a_changed_column_is_named_in_every_library(frame):
    model = TabularRegressor(**SMALL).fit(frame(BASE), Y)
    before = model.predict(frame(BASE))
    for change, expected in CHANGES:
        with pytest.raises(ValueError, match=expected):
            model.predict(frame({**BASE, **change}))
    less = {name: values for name, values in BASE.items() if name != "size"}
    with pytest.raises(ValueError, match=r"columns of fit are missing: 'size'$"):
        model.predict(frame(less))
    with pytest.raises(ValueError, match="missing: 'size'; columns that were not there in fit: 'siez'"):
        model.predict(frame({**less, "siez": BASE["size"]}))
    np.testing.assert_array_equal(model.predict(frame(BASE)), before)


def test_what_is_the_same_in_another_type_is_taken(frame):
    model = TabularRegressor(**SMALL).fit(frame(BASE), Y)
    said = model.predict(frame(BASE))
    same = {**BASE, "fresh": [int(v) for v in BASE["fresh"]], "zip": [float(v) for v in BASE["zip"]]}
    np.testing.assert_array_equal(model.predict(frame(same)), said)
    midnight = [datetime.datetime(day.year, day.month, day.day) for day in DAYS]
    np.testing.assert_array_equal(
        model.predict(frame({**BASE, "day": [day.date() for day in midnight]})),
        model.predict(frame({**BASE, "day": midnight})),
    )
    gone = {**BASE, "size": [None] * N, "day": [None] * N}
    assert np.isfinite(model.predict(frame(gone))).all()


def test_dates_with_a_zone_are_moments(frame):
    model = TabularRegressor(**SMALL).fit(frame({**BASE, "day": AWARE}), Y)
    utc = [day.astimezone(datetime.UTC) for day in AWARE]
    np.testing.assert_array_equal(
        model.predict(frame({**BASE, "day": utc})), model.predict(frame({**BASE, "day": AWARE}))
    )
    with pytest.raises(ValueError, match="column 'day': expected dates with a time zone, received values such as"):
        model.predict(frame(BASE))


# --- a fit that does not end ------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [TabularRegressor, TabularClassifier])
def test_an_interrupted_or_failed_fit_changes_nothing(kind, monkeypatch):
    model = kind(**SMALL).fit(BASE, Y > 0.5)
    said, known = model.predict(BASE), dict(vars(model))
    begun = threading.Event()

    def begin(*args, **kwargs):
        begun.set()
        return fit_many(*args, **kwargs)

    monkeypatch.setattr("lanewise.tabular.network.fit_many", begin)
    x = {"a": RNG.normal(size=500), "b": RNG.normal(size=500)}
    several = np.stack([x["a"]] * 2, axis=1) if kind is TabularRegressor else np.arange(500) % 7
    with interrupted_when(begun), pytest.raises(KeyboardInterrupt):
        model.set_params(epochs=1_000_000, columns=None).fit(x, several)
    with pytest.raises(ValueError, match="no column can be used"):
        model.fit({"a": np.ones(4)}, np.array([0, 1, 2, 3]))
    model.set_params(epochs=SMALL["epochs"], columns=SMALL["columns"])
    assert vars(model) == known
    np.testing.assert_array_equal(model.predict(BASE), said)
    assert model.set_params(columns=None).fit(x, np.arange(500) % 7).n_features_in_ == 2


# --- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TabularRegressor, TabularClassifier])
def test_load_model_opens_the_file(tmp_path, kind):
    model = kind(**SMALL).fit(BASE, Y > 0.5)
    model.save(tmp_path / "m.lanewise")
    found = lw.load_model(tmp_path / "m.lanewise")
    assert type(found) is kind and found.get_params() == model.get_params()
    np.testing.assert_array_equal(found.predict(BASE), model.predict(BASE))
    with pytest.raises(ValueError, match="holds one model, no ensemble"):
        lw.Ensemble.load(tmp_path / "m.lanewise")
    network = lw.Sequential([lw.Input((2,)), lw.layers.Dense(1)])
    network.save(tmp_path / "n.lanewise")
    with pytest.raises(ValueError, match=r"it holds 'model', .*load_model reads models"):
        kind.load(tmp_path / "n.lanewise")


# --- numeric embeddings -----------------------------------------------------------------------------------------


def test_numeric_embeddings_are_chosen():
    x = {"a": np.linspace(0, 1, 800), "b": RNG.normal(size=800)}
    y = np.sin(9 * x["a"])
    made = {**SMALL, "columns": None}
    widths = {}
    for choice in ("auto", "piecewise-linear", None):
        model = TabularRegressor(**made, numeric_embeddings=choice).fit(x, y)
        widths[choice] = model.table_.apply(x).shape[1]
        assert ("16 bins" in model.describe()) == (choice == "piecewise-linear")
    assert widths == {"auto": 2, "piecewise-linear": 2 * 17, None: 2}
    assert (
        TabularRegressor(**made, numeric_embeddings="piecewise-linear", bins=5).fit(x, y).table_.apply(x).shape[1] == 12
    )
    large = {name: np.tile(values, 4) for name, values in x.items()}  # one bin for 400 rows
    assert TabularRegressor(**made).fit(large, np.tile(y, 4)).table_.apply(x).shape[1] == 2 * 9
    with pytest.raises(
        ValueError, match="numeric_embeddings: expected 'auto', 'piecewise-linear' or None, received 'ple'"
    ):
        TabularRegressor(**made, numeric_embeddings="ple").fit(x, y)


def test_numeric_embeddings_learn_a_step_that_a_line_does_not():
    x = RNG.random((600, 1))
    y = np.floor(8 * x[:, 0]) % 2  # a comb
    scores = [
        TabularRegressor(members=2, units=(16,), epochs=60, verbose=0, numeric_embeddings=choice).fit(x, y).score(x, y)
        for choice in ("piecewise-linear", None)
    ]
    assert scores[0] > 0.6 and scores[1] < 0.3
