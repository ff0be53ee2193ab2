"""Slice columns: values as written, what is none, and what is refused in one line."""

import pandas as pd
import pytest

from synapse_audit.config import make_config
from synapse_audit.data import load_data, windowed
from synapse_audit.errors import DataError, UsageError

ROWS = pd.DataFrame(
    {
        "text": [f"text {i}" for i in range(40)],
        "label": ["a", "b"] * 20,
        "site": ["x", "<b>\x1b[2J", " ", None] * 10,
        "year": [2024.0, 2025.5] * 20,
        "id": range(40),
        "row": [str(i) for i in range(10)] * 4,
    }
)
READ = {"classes": ("a", "b"), "text_column": "text", "label_column": "label"}


def load(frame=ROWS, **options):
    return load_data(frame, **READ, **options)


def test_values_are_texts_and_blanks_are_none():
    data = load(slice_columns=["site", "year"])
    assert data.slices["site"].tolist() == ["x", "<b>\x1b[2J", None, None] * 10
    assert data.slices["year"].tolist() == ["2024", "2025.5"] * 20
    assert load(slice_columns="site").slices.keys() == {"site"}
    assert not load().slices


def test_slices_change_neither_rows_nor_the_hash():
    plain, sliced = (load(slice_columns=names, max_examples=60) for names in ((), ("site",)))
    assert plain.sha256 == sliced.sha256 and plain.inputs == sliced.inputs


def test_slices_follow_repeats_the_cap_and_windows():
    twice = pd.concat([ROWS, ROWS.assign(site="later")], ignore_index=True)
    assert set(load(twice, slice_columns="site").slices["site"]) == {"x", "<b>\x1b[2J", None}
    data = load(slice_columns="year")
    rows = [0, 0, 1, *range(2, 40)]
    cut = windowed(data, pd.Series(rows).to_numpy(), [f"window {i}" for i in range(41)]).data
    assert cut.slices["year"].tolist()[:3] == ["2024", "2024", "2025.5"]


def test_a_file_to_fit_on_needs_no_slices():
    fit = ROWS.drop(columns="site").assign(text=[f"other {i}" for i in range(40)])
    data = load(fit_data=fit, slice_columns="site")
    assert data.slices["site"][data.origin == 1].tolist() == [None] * 40


def test_groups_may_be_slices_and_tables_leave_slices_out():
    assert load(group_column="row", slice_columns="row").slices["row"][:2].tolist() == ["0", "1"]
    numbers = pd.DataFrame({"p": range(40), "age": [1, 2] * 20, "label": ["a", "b"] * 20})
    options = {"classes": ("a", "b"), "modality": "table", "slice_columns": "age"}
    assert load_data(numbers, columns="*", **options).columns == ("p",)
    assert load_data(numbers, columns=("p", "age"), **options).columns == ("p", "age")


@pytest.mark.parametrize(
    ("changes", "column", "said"),
    [
        ({}, "sight", "slice column 'sight' given; 'the data frame' has no such column"),
        ({"id": [f"{i}" for i in range(40)]}, "text", None),
        ({"site": [" "] * 40}, "site", "holds 0 different values; expected 1 to 100"),
        ({"site": [["x"]] * 40}, "site", "expected a name or a number"),
        ({"site": pd.Series(["\ud800"] * 40, dtype=object)}, "site", "is not valid Unicode"),
    ],
)
def test_bad_columns_are_named(changes, column, said):
    if said is None:
        assert len(set(load(slice_columns=column).slices[column])) == 40
        return
    with pytest.raises(DataError, match="slice column") as error:
        load(ROWS.assign(**changes), slice_columns=column)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_too_many_values_name_the_column():
    many = pd.concat([ROWS] * 3, ignore_index=True).assign(id=range(120))
    many["text"] = [f"text {i}" for i in range(120)]
    with pytest.raises(DataError, match="slice column 'id' of 'the data frame' holds 120 diff"):
        load(many, slice_columns="id")


def test_the_option_takes_commas_and_refuses_a_name_twice():
    options = {"model": "m", "data": "d"}
    assert make_config(options | {"slice_columns": "a, b"}).reading.slice_columns == ("a", "b")
    for bad in ("a,,b", "a,a"):
        with pytest.raises(UsageError, match="expected different names with commas between"):
            make_config(options | {"slice_columns": bad})
