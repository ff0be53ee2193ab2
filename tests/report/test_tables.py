"""Tables as they are shown, and as CSV with unrounded numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.report.kit.tables import Column, facts_table, table_of, text, with_intervals


def test_a_table_holds_its_rows_unrounded_with_both_ends_of_an_interval() -> None:
    frame = pd.DataFrame(
        {"class": ["=x", "y\u202ez"], "drop": [0.123456789, np.nan], "drop_low": [0.1, 0.2],
         "drop_high": [0.2, 0.3], "empty": [np.nan, np.nan]}
    )  # fmt: skip
    columns = (
        Column("class", "class", text), Column("loss", "drop"),
        Column("95% interval", "drop_interval", text), Column("none", "empty"),
    )  # fmt: skip
    made = table_of("T", with_intervals(frame, "drop"), columns)
    assert made.csv == "class,drop,drop_low,drop_high\n'=x,0.123457,0.1,0.2\ny\ufffdz,,0.2,0.3\n"
    assert made.rows[0] == ("=x", "0.123", "0.100 to 0.200")


def test_facts_cannot_become_formulas() -> None:
    assert facts_table("F", {"a": "=1+1"}).csv == "Name,Value\na,'=1+1\n"
