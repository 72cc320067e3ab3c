"""lanewise.tabular: columns of every kind from every library, error bars, files, and what is said of bad input."""

import datetime
import json
import zipfile

import numpy as np
import pytest

from lanewise.tabular import TabularClassifier, TabularRegressor
from lanewise.tabular.columns import Scale, Table

N = 240
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=N)
COLOUR = RNG.choice(["red", "green", "blue"], N)
CITY = np.array([f"city {i}" for i in RNG.integers(0, 14, N)], object)
FRESH = RNG.random(N) < 0.5
DAY = np.datetime64("2024-01-01") + RNG.integers(0, 700, N)
PRICE = SIZE + 2.0 * (COLOUR == "red") - 1.0 * FRESH + 0.1 * RNG.normal(size=N)
SMALL = {"members": 3, "units": (16,), "epochs": 30, "verbose": 0}


def columns():
    """A fresh dict of columns, with gaps in each but `fresh`."""
    size = SIZE.copy()
    size[:9] = np.nan
    colour = COLOUR.astype(object)
    colour[3:6] = None
    city = CITY.copy()
    city[1] = None
    return {"size": size, "colour": colour, "city": city, "fresh": FRESH.copy(), "day": DAY.copy(), "same": np.ones(N)}


@pytest.fixture(scope="module")
def fitted():
    return TabularRegressor(**SMALL).fit(columns(), PRICE)


def test_a_dict_of_plain_values_is_one_row(fitted):
    row = {name: values[20] for name, values in columns().items()}
    assert fitted.predict(row).tolist() == fitted.predict(columns())[20:21].tolist()
    row["size"] = np.array(row["size"])  # an axis less
    assert fitted.predict(row).tolist() == fitted.predict(columns())[20:21].tolist()
    with pytest.raises(ValueError, match="at least two rows"):
        TabularRegressor(**SMALL).fit(row, [1.0])
    for odd in ({"a": 1.0, "b": [1, 2]}, {"b": [1, 2], "a": 1.0}):
        with pytest.raises((TypeError, ValueError), match=r"column '[ab]'"):
            Table.fit(odd, None, 0)
    table, _ = Table.fit({"t": [datetime.timedelta(hours=12), None, datetime.timedelta(days=2)]}, None, 0)
    assert [column.kind for column in table.columns] == ["number"]
    assert np.isfinite(table.apply({"t": datetime.timedelta(days=1)})).all()


# --- columns ----------------------------------------------------------------------------------------------------


def test_kinds_are_found_and_shown(fitted):
    kinds = {c.name: c.kind for c in fitted.table_.columns}
    assert kinds == {"size": "number", "colour": "category", "city": "category", "fresh": "boolean", "day": "date",
                     "same": "drop"}  # fmt: skip
    text = fitted.describe()
    assert "5 of 6 columns, 3 networks" in text
    assert "category, 3 levels: " in text and "category, embedding of 14 levels: " in text
    assert "not used: constant" in text and "with missing values" in text


def test_kinds_can_be_given():
    table, numbers = Table.fit({"a": np.arange(6.0) % 3, "b": np.arange(6.0)}, {"a": "category", "b": "drop"}, 0)
    np.testing.assert_array_equal(numbers, np.tile(np.eye(3), (2, 1)))
    assert table.columns[0].levels == ["0", "1", "2"]


def test_numbers_are_scaled_by_quartiles_and_clipped_smoothly():
    values = np.array([0.0, 1, 2, 3, 4, 1000])  # median 2.5, quartiles 1.25 and 3.75
    scale = Scale.of(values, 0)
    z = (np.array([2.5, 5.0, 1e9, np.nan]) - 2.5) / 2.5
    expected = z / np.sqrt(1 + (z / 3) ** 2)
    expected[3] = 0.0
    np.testing.assert_allclose(scale.apply(np.array([2.5, 5.0, 1e9, np.nan]))[0], expected, rtol=1e-12)
    assert abs(expected[2]) < 3.0 + 1e-9


def test_bins_are_how_much_of_each_lies_below():
    found = np.stack(Scale.of(np.linspace(0, 4, 401), 4).apply(np.array([-1.0, 0.5, 3.25, 9.0])), axis=1)[:, 1:]
    np.testing.assert_allclose(found, [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 1, 1, 0.25], [1, 1, 1, 1]], atol=1e-12)


def test_equal_quartiles_fall_back_to_the_range():
    assert Scale.of(np.array([0.0] * 9 + [4.0]), 0).factor == 0.5
    assert Scale.of(np.array([7.0, 7.0, np.nan]), 0) is None


def test_missing_numbers_have_an_indicator_and_the_median():
    table, numbers = Table.fit({"a": [1.0, 2.0, np.nan, 3.0, np.inf]}, None, 0)
    np.testing.assert_array_equal(numbers[:, 1], [0, 0, 1, 0, 1])
    np.testing.assert_array_equal(numbers[[2, 4], 0], [0, 0])
    assert table.columns[0].gaps


def test_unseen_and_missing_categories_have_rows_of_their_own():
    levels = [f"l{i % 12}" for i in range(48)] + [None]
    table, numbers = Table.fit({"a": levels}, None, 0)
    assert table.vocabularies == [14] and numbers[-1, 0] == 1
    assert table.apply({"a": ["never seen", None, "l0"]})[:, 0].tolist()[:2] == [0, 1]
    few, _ = Table.fit({"a": ["x", "y", "y", None]}, None, 0)
    np.testing.assert_array_equal(few.apply({"a": ["y", "x", "new", None]}),
                                  [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]])  # fmt: skip


def test_dates_become_days_and_turns():
    days = np.array(["2024-01-01T12", "2024-01-02T00", "NaT"], "datetime64[us]")
    _, numbers = Table.fit({"a": days}, None, 0)
    assert numbers.shape == (3, 7)  # days, turns of year, week and day (whose sine is 0 in both), the indicator
    given = Table.fit({"a": [datetime.datetime(2024, 1, 1, 12), datetime.date(2024, 1, 2), None]}, None, 0)[1]
    np.testing.assert_array_equal(given, numbers)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_every_library_gives_the_same_numbers(library, fitted):
    pytest.importorskip("pandas")
    module = pytest.importorskip(library)
    frame = module.table(columns()) if library == "pyarrow" else module.DataFrame(columns())
    np.testing.assert_array_equal(fitted.table_.apply(frame), fitted.table_.apply(columns()))
    table, numbers = Table.fit(frame, None, 16)
    assert [c.kind for c in table.columns] == [c.kind for c in fitted.table_.columns]
    np.testing.assert_array_equal(numbers, fitted.table_.apply(columns()))


def test_types_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({
        "whole": pandas.array([1, None, 3, 4], "Int64"), "flag": pandas.array([True, None, False, True], "boolean"),
        "text": pandas.array(["a", "b", None, "a"], "string"), "level": pandas.Categorical([1, 2, 2, 1]),
        "when": pandas.to_datetime(["2024-01-01", None, "2024-01-03", "2024-02-01"], utc=True),
    })  # fmt: skip
    table, numbers = Table.fit(frame, None, 0)
    assert [c.kind for c in table.columns] == ["number", "boolean", "category", "category", "date"]
    assert np.isfinite(numbers).all()


def test_numbers_and_dates_that_are_text_are_told_of():
    numbers = [str(i / 7) for i in range(40)] + [" "]
    days = [f"2024-01-{1 + i % 31:02}" for i in range(40)] + ["soon"]
    for column, said in ((numbers, "40 of its 41 values are numbers: pandas.to_numeric"), (days, "are dates")):
        with pytest.warns(UserWarning, match=said):
            Table.fit({"a": column, "b": list(range(41))}, None, 0)
        Table.fit({"a": column, "b": list(range(41))}, {"a": "category"}, 0)
    for harmless in ([f"{i:05}" for i in range(41)], list(map(str, range(41))), [f"1_{i}" for i in range(40)] + [" "]):
        Table.fit({"a": harmless, "b": list(range(41))}, None, 0)
    Table.fit({"a": [f"id {i}" for i in range(41)]} | {"b": list(range(41))}, None, 0)


def test_a_file_says_by_its_name_what_it_is(tmp_path, fitted):
    with pytest.raises(ValueError, match=r"'\*.lanewise' file, received"):
        fitted.save(tmp_path / "t.keras")
    assert not list(tmp_path.iterdir())


def test_intervals_are_levels_and_periods_dates():
    pandas = pytest.importorskip("pandas")
    cut = pandas.cut([1.0, np.nan, 2.5, 4.0], [0, 2, 3, 5])
    months = ["2024-01", "NaT", "2024-02", "2024-03"]
    frame = pandas.DataFrame({"bin": cut, "month": pandas.PeriodIndex(months, freq="M")})
    table, numbers = Table.fit(frame, None, 0)
    assert [c.kind for c in table.columns] == ["category", "date"]
    begins = pandas.to_datetime(pandas.Series(months), errors="coerce")
    levels = ["(0, 2]", "(2, 3]", "(3, 5]"]
    same = {"bin": [levels[0], None, *levels[1:]], "month": begins}
    np.testing.assert_array_equal(table.apply(same), numbers)

    class Interval:
        pass

    with pytest.raises(TypeError, match="column 'a': expected numbers"):
        Table.fit({"a": [Interval()] * 3}, None, 0)
    levels = pandas.DataFrame({"month": frame["month"].astype("category")})
    assert Table.fit(levels, None, 0)[0].columns[0].kind == "category"
    whole = frame[frame["bin"].notna()]  # whose intervals have whole numbers for ends
    np.testing.assert_array_equal(table.apply(whole), numbers[[0, 2, 3]])


def test_the_order_of_named_columns_does_not_matter(fitted):
    given = columns()
    np.testing.assert_array_equal(fitted.predict(dict(reversed(given.items()))), fitted.predict(given))


# --- predictions ------------------------------------------------------------------------------------------------


def test_a_regressor_learns_and_has_the_same_bits_again():
    model = TabularRegressor(**{**SMALL, "epochs": 150, "units": (32,)}).fit(columns(), PRICE)
    assert model.score(columns(), PRICE) > 0.9
    again = TabularRegressor(**{**SMALL, "epochs": 150, "units": (32,)}).fit(columns(), PRICE)
    np.testing.assert_array_equal(model.predict(columns()), again.predict(columns()))


def test_a_single_step_is_a_training():
    x = np.random.default_rng(0).normal(size=(10, 4))
    once, never = (TabularRegressor(epochs=1, random_state=0, learning_rate=r).fit(x, x[:, 0]) for r in (0.006, 1e-30))
    assert np.abs(once.predict(x) - never.predict(x)).max() > 1e-3


def test_intervals_cover_rows_that_were_not_trained_on():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1200, 3))
    y = x[:, 0] + np.abs(x[:, 1]) + 0.5 * rng.normal(size=1200)
    model = TabularRegressor(**SMALL).fit(x[:400], y[:400])
    low, high = model.predict_interval(x[400:])
    assert 0.85 < np.mean((low <= y[400:]) & (y[400:] <= high)) < 0.95
    narrow = model.predict_interval(x[400:], coverage=0.5)
    assert (narrow[1] - narrow[0] < high - low).all()
    error = y[400:] - model.predict(x[400:])
    assert 0.8 < np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(model.predict_std(x[400:]) ** 2)) < 1.2


def test_predictions_stay_within_what_was_seen(fitted):
    far = columns()
    far["size"] = np.full(N, 1e12)
    assert (fitted.predict(far) <= PRICE.max()).all()


def test_several_targets():
    x = RNG.normal(size=(80, 2))
    y = np.stack([x[:, 0], 5 - x[:, 1]], axis=1)
    model = TabularRegressor(**SMALL).fit(x, y)
    assert model.predict(x).shape == model.predict_std(x).shape == model.predict_interval(x)[0].shape == (80, 2)
    assert model.predict(x).mean(axis=0) == pytest.approx(y.mean(axis=0), abs=0.3)


@pytest.mark.parametrize("names", [["no", "yes"], [3, 7], [False, True], [b"x", b"z"], [0.0, 1.0]])
def test_labels_of_any_type_come_back(names):
    labels = np.array(names)[(PRICE > 0).astype(int)]
    model = TabularClassifier(**SMALL).fit(columns(), labels)
    assert model.predict(columns()).dtype == labels.dtype
    assert model.score(columns(), labels) > 0.85
    p = model.predict_proba(columns())
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(columns()))
    assert model.predict_std(columns()).shape == p.shape


def test_rows_of_weight_zero_do_not_count():
    x = np.linspace(-1, 1, 100)[:, None]
    y = np.where(np.arange(100) % 2, 5.0, 0.0)
    model = TabularRegressor(**SMALL).fit(x, y, sample_weight=(np.arange(100) % 2).astype(float))
    assert model.predict(x).min() > 4.5
    assert (model.predict_std(x) < 0.5).all()


def test_scikit_learn_takes_them():
    pytest.importorskip("sklearn")
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import cross_val_score

    model = clone(TabularClassifier(**SMALL).set_params(dropout=0.0))
    assert model.get_params()["dropout"] == 0.0 and is_classifier(model)
    x = np.stack([SIZE, FRESH], axis=1)
    assert cross_val_score(model, x, PRICE > 0, cv=2).mean() > 0.7
    assert repr(TabularRegressor(members=3)) == "TabularRegressor(members=3)"


# --- files ------------------------------------------------------------------------------------------------------


def test_one_file_holds_everything(tmp_path, fitted):
    fitted.save(tmp_path / "price.lanewise")
    read = TabularRegressor.load(tmp_path / "price.lanewise")
    np.testing.assert_array_equal(read.predict(columns()), fitted.predict(columns()))
    np.testing.assert_array_equal(read.predict_interval(columns()), fitted.predict_interval(columns()))
    assert read.get_params() == fitted.get_params() and read.describe() == fitted.describe()


@pytest.mark.parametrize("names", [["no", "yes"], [3, 7], [False, True]])
def test_labels_in_a_file(tmp_path, names):
    labels = np.array(names)[(PRICE > 0).astype(int)]
    model = TabularClassifier(**SMALL).fit(columns(), labels)
    model.save(tmp_path / "m.lanewise")
    read = TabularClassifier.load(tmp_path / "m.lanewise")
    np.testing.assert_array_equal(read.predict_proba(columns()), model.predict_proba(columns()))
    assert read.predict(columns()).dtype == labels.dtype
    with pytest.raises(ValueError, match="it holds a TabularClassifier"):
        TabularRegressor.load(tmp_path / "m.lanewise")


def test_a_damaged_file_is_named(tmp_path, fitted):
    path = tmp_path / "m.lanewise"
    fitted.save(path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"m\.lanewise.*no intact file of a TabularRegressor"):
        TabularRegressor.load(path)


def test_a_changed_description_is_refused(tmp_path, fitted):
    fitted.save(tmp_path / "m.lanewise")
    with zipfile.ZipFile(tmp_path / "m.lanewise") as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    manifest = json.loads(entries["lanewise.json"])
    for change in ({"members": 4}, {"class": "Other"}, {"table": {}}, {"params": {"epochs": 0}}, {"version": 2}):
        with zipfile.ZipFile(tmp_path / "n.lanewise", "w") as archive:
            archive.writestr(zipfile.ZipInfo("lanewise.json"), json.dumps({**manifest, **change}))
            for name, data in entries.items():
                if name != "lanewise.json":
                    archive.writestr(zipfile.ZipInfo(name), data)
        with pytest.raises(ValueError, match=r"n\.lanewise.*no intact file"):
            TabularRegressor.load(tmp_path / "n.lanewise")


# --- bad input --------------------------------------------------------------------------------------------------


def test_missing_and_extra_columns_are_named(fitted):
    given = columns()
    del given["size"]
    given["siez"] = SIZE
    with pytest.raises(ValueError, match=r"columns of fit are missing: 'size'; .*not there in fit: 'siez'"):
        fitted.predict(given)
    with pytest.warns(UserWarning, match="are ignored: weight"):
        found = fitted.predict({**columns(), "weight": SIZE})
    np.testing.assert_array_equal(found, fitted.predict(columns()))
    del (without := columns())["same"]  # a constant one is not needed
    np.testing.assert_array_equal(fitted.predict(without), found)
    with pytest.raises(ValueError, match="expected 6 columns as in fit, received 2"):
        fitted.predict(np.zeros((3, 2)))


@pytest.mark.parametrize(("name", "values", "expected"), [
    ("size", ["big"] * N, "column 'size': expected numbers, received values such as 'big'"),
    ("colour", np.arange(N), "column 'colour': expected text, received values such as '0'"),
    ("fresh", SIZE, "column 'fresh': expected booleans"),
    ("day", SIZE, "column 'day': expected dates"),
])  # fmt: skip
def test_changed_columns_are_named(fitted, name, values, expected):
    with pytest.raises(ValueError, match=expected):
        fitted.predict({**columns(), name: values})


@pytest.mark.parametrize(("x", "y", "expected"), [
    (np.zeros((0, 2)), np.zeros(0), "y: expected at least one row"),
    (np.ones((1, 2)), np.ones(1), "at least two rows"),
    (np.zeros((0, 2)), np.zeros(2), "at least one row"),
    (np.arange(6.0).reshape(3, 2), [1.0, np.nan, 2.0], "y: expected finite numbers, received nan in row 1"),
    (np.arange(6.0).reshape(3, 2), [1.0, 2.0], "y: expected 3 rows"),
    (np.ones((5, 2)), np.arange(5.0), "no column can be used: 'x0' constant; 'x1' constant"),
    ({"a": ["u", "v", "w", "x", "y", "z", "q", "r", "s", "t"]}, np.arange(10.0), "hardly any value"),
    (np.zeros(3), np.zeros(3), "expected a table"),
])  # fmt: skip
def test_bad_tables(x, y, expected):
    with pytest.raises(ValueError, match=expected):
        TabularRegressor(**SMALL).fit(x, y)


def test_bad_labels_and_parameters():
    x = np.arange(8.0)[:, None]
    with pytest.raises(ValueError, match="two classes"):
        TabularClassifier(**SMALL).fit(x, np.ones(8))
    with pytest.raises(ValueError, match="expected a label in each row, received None in row 1"):
        TabularClassifier(**SMALL).fit(x, np.array(["a", None, *"bbabab"], object))
    with pytest.raises(ValueError, match="there is TabularRegressor"):
        TabularClassifier(**SMALL).fit(x, x[:, 0] / 3)
    with pytest.raises(ValueError, match=r"columns: the table has no column 'xx0'.*'x0'"):
        TabularRegressor(columns={"xx0": "number"}).fit(x, x[:, 0])
    with pytest.raises(ValueError, match=r"columns\['x0'\]: expected one of number"):
        TabularRegressor(columns={"x0": "text"}).fit(x, x[:, 0])
    with pytest.raises(ValueError, match="dropout"):
        TabularRegressor(dropout=1.0).fit(x, x[:, 0])
    with pytest.raises(TypeError, match=r"'memebers'.*'members'"):
        TabularRegressor().set_params(memebers=3)
    with pytest.raises(ValueError, match="not fitted"):
        TabularRegressor().predict(x)


def test_two_columns_of_one_name():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="two columns are called 'a'"):
        TabularRegressor().fit(pandas.DataFrame(np.eye(3), columns=["a", "b", "a"]), np.arange(3))


def test_labels_that_no_file_can_say_are_refused(tmp_path):
    table = {"a": np.arange(40.0)}
    for labels in (np.array([b"a", b"b"]), np.array(["2020", "2021"], "M8[D]"), np.array([1, 2], "m8[s]")):
        model = TabularClassifier(members=1).fit(table, np.repeat(labels, 20))
        with pytest.raises(TypeError, match="save: labels of type"):
            model.save(tmp_path / "t.lanewise")
    assert not list(tmp_path.iterdir())
