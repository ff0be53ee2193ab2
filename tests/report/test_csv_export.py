"""No cell of an export is a formula; numbers and harmless text are as they were."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from synapse_audit.report.kit.csv_export import csv_text, neutral


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1"),
        *('=HYPERLINK("http://x")', "-", "+", "=", "-sqli", "-1e", "\u00a0=1"),
    ],
)
def test_what_a_spreadsheet_may_run_gets_an_apostrophe(text: str) -> None:
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "norm",
        "a=b",
        "-0.5",
        "+3",
        "1e-05",
        "-1,234.5",
        "-12.5 %",
        -0.5,
        np.nan,
        None,
        True,
        "'",
    ],
)
def test_everything_else_stays(value: object) -> None:
    assert neutral(value) is value


def test_names_and_texts_of_a_table_are_neutral_and_numbers_whole() -> None:
    table = pd.DataFrame(
        {
            "=class": ["=1+1", 'a,"b"', None],
            "drop": [-0.1, 1 / 3, np.nan],
            "k": pd.array([1, None, 3], dtype="Int64"),
            "kind": pd.Categorical(["@x", "y", "@x"]),
        }
    )
    rows = list(csv.reader(io.StringIO(csv_text(table))))
    assert rows == [
        ["'=class", "drop", "k", "kind"],
        ["'=1+1", "-0.1", "1", "'@x"],
        ['a,"b"', "0.3333333333333333", "", "y"],
        ["", "", "3", "'@x"],
    ]
    assert table["=class"].iloc[0] == "=1+1", "the caller's table is as it was"
