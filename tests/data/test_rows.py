"""Several columns of numbers as one input: read, refused, distinguished."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import LabelledData, Signal
from synapse_audit.config import make_config
from synapse_audit.data import load_data
from synapse_audit.errors import DataError, UsageError

CLASSES = ("calm", "rage")
WRITERS = {
    "csv": lambda rows, path: rows.to_csv(path, index=False),
    "tsv": lambda rows, path: rows.to_csv(path, index=False, sep="\t"),
    "jsonl": lambda rows, path: rows.to_json(
        path, orient="records", lines=True, double_precision=15
    ),
    "parquet": lambda rows, path: rows.to_parquet(path),
}


def _rows(n: int = 40) -> pd.DataFrame:
    numbers = np.random.default_rng(0).standard_normal((n, 2)) * 1e3
    return pd.DataFrame(
        {
            "b": numbers[:, 0],
            "site": [f"room {i % 7}" for i in range(n)],
            "a": numbers[:, 1],
            "count": np.arange(n),
            "label": [CLASSES[i % 2] for i in range(n)],
        }
    )


def _load(rows: pd.DataFrame, path: Path, columns: str | list[str], **options: str) -> LabelledData:
    WRITERS[path.suffix[1:]](rows, path)
    return load_data(str(path), classes=CLASSES, columns=columns, **options)


def _vectors(data: LabelledData) -> np.ndarray:
    signals = [one for one in data.inputs if isinstance(one, Signal)]
    return np.stack([np.asarray(one.content) for one in signals])


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_every_format_gives_the_numbers_in_the_order_asked_for(suffix: str, tmp_path: Path) -> None:
    rows = _rows()
    data = _load(rows, tmp_path / f"rows.{suffix}", ["a", "b"])
    vectors = _vectors(data)
    assert vectors.dtype == np.float32 and data.columns == ("a", "b")
    assert np.array_equal(vectors, rows[["a", "b"]].to_numpy().astype(np.float32))
    assert [CLASSES[i] for i in data.labels] == rows["label"].tolist()


def test_a_star_is_every_column_of_numbers_but_label_and_group(tmp_path: Path) -> None:
    assert _load(_rows(), tmp_path / "rows.csv", "*").columns == ("b", "a", "count")
    rows = _rows().assign(label=lambda table: table.index % 2)
    data = _load(rows, tmp_path / "ids.parquet", "*", group_column="count")
    assert data.columns == ("b", "a") and data.groups is not None


def test_the_same_numbers_are_one_input_however_they_are_written(tmp_path: Path) -> None:
    """By the float32 that the model reads: 1, 1.0 and 1e0 are the same, and 0 is -0."""
    lines = ["a,b,label", "1,0,calm", "1.0,-0.0,calm", " 1e0 ,0,calm", "1.00001,0,rage"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([*lines, *(f"2,{i},rage" for i in range(9))]))
    data = load_data(str(path), classes=CLASSES, columns=["a", "b"])
    assert (data.n_rows, data.n_repeats, len(data)) == (13, 2, 11)
    swapped = load_data(str(path), classes=CLASSES, columns=["b", "a"])
    assert swapped.sha256 != data.sha256


def test_rows_of_the_data_are_taken_out_of_the_file_to_fit_on(tmp_path: Path) -> None:
    other = tmp_path / "fit.csv"
    extra = _rows(50).assign(site="elsewhere").iloc[:, ::-1]  # columns by name, not by place
    extra.to_csv(other, index=False)
    data = _load(_rows(), tmp_path / "rows.csv", "*", fit_data=str(other))
    shared = {tuple(row) for row in _rows()[["b", "a"]].to_numpy()}
    fresh = [row not in shared for row in map(tuple, extra[["b", "a"]].to_numpy())]
    assert (data.n_repeats, int(data.origin.sum())) == (50 - sum(fresh), sum(fresh))


def _with(column: str, row: int, value: object) -> pd.DataFrame:
    rows = _rows().astype({column: object})
    rows.loc[row - 1, column] = value
    return rows


@pytest.mark.parametrize("columns", [["b", "a"], "*"])
@pytest.mark.parametrize(
    ("value", "words"),
    [("", "no value"), ("M", "'M'"), ("1,5", "'1,5'"), ("nan", "'nan'"), ("1e39", "'1e39'")],
)
def test_what_is_no_number_is_refused_by_row_and_column(
    tmp_path: Path, columns: str | list[str], value: str, words: str
) -> None:
    with pytest.raises(DataError, match=rf"column 'a' of .*, row 7 .*{words}"):
        _load(_with("a", 7, value), tmp_path / "rows.csv", columns)


@pytest.mark.parametrize("value", [None, [1.0], {"x": 1}, "much"])
def test_what_json_holds_besides_numbers_is_refused_too(tmp_path: Path, value: object) -> None:
    rows = _rows().astype({"a": object})
    rows.at[2, "a"] = value
    with pytest.raises(DataError, match=r"column 'a' of .*, row 3 holds"):
        _load(rows, tmp_path / "rows.jsonl", ["a", "b"])


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (["a", "c"], {}, "input column 'c' given; .*choices: b, site, a"),
        (["a", "a"], {}, "'a' given twice"),
        (["a", "label"], {}, "'label' of .* is an input and the label"),
        (["a", "count"], {"group_column": "count"}, "is an input and the group"),
        (["a"], {"text_column": "site"}, "columns a given, and the column 'site'"),
        (["a"], {"modality": "image"}, "reads one image"),
        ([], {"modality": "table"}, "no columns given"),
    ],
)
def test_columns_that_make_no_sense(
    tmp_path: Path, columns: list[str], options: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        _load(_rows(), tmp_path / "rows.csv", columns, **options)


def test_a_star_needs_a_column_of_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has none that holds numbers .*columns: site, label"):
        _load(_rows()[["site", "label"]], tmp_path / "rows.csv", "*")


def test_the_configuration_splits_names_at_commas() -> None:
    named = {"model": "m", "data": "d"}
    assert make_config(named | {"columns": "mean radius, b"}).reading.columns == (
        "mean radius",
        "b",
    )
    assert make_config(named | {"columns": ["a, with a comma"]}).reading.columns == (
        "a, with a comma",
    )
    for wrong in ("", "a,,b", "*,a", ["a", "*"]):
        with pytest.raises(UsageError, match=r"columns: .* with commas between"):
            make_config(named | {"columns": wrong})
