"""Every saved table is declared, the report asks for declared columns only, the page is current."""

import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report.fakes import make_result

from synapse_audit.report import sections
from synapse_audit.tables import TABLES, problem_of
from synapse_audit.tables.column import (
    CLASS,
    FLAG,
    NUMBER,
    TEXT,
    count,
    estimate,
    later,
    share,
    text,
)
from synapse_audit.tables.page import columns_page
from synapse_audit.tables.table import ABSENT, Table, of_finding

from . import publish
from .asked import asked, known

SECTIONS = [module.name for module in pkgutil.iter_modules(sections.__path__)]


def test_declarations_are_sound() -> None:
    for table in TABLES.values():
        columns = [*table.columns, *table.optional]
        assert max(Counter(column.name for column in columns).values()) == 1, table.path
        assert all(column.meaning and column.meaning[-1] not in ".;" for column in columns)
        assert all(column.unit == "" for column in columns if column.values.kind == "text")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_asks_for_declared_columns_only(section: str) -> None:
    module = importlib.import_module(f"{sections.__name__}.{section}")
    assert asked(Path(str(module.__file__))) - known(module) == set()


def test_the_reader_of_sections_sees_what_they_ask_for() -> None:
    module = importlib.import_module(f"{sections.__name__}.removal")
    found = asked(Path(str(module.__file__)))
    assert {"fraction", "drop_low", "accuracy_interval", "position", "k"} <= found


def test_the_fakes_of_the_report_have_no_other_columns() -> None:
    for finding, tables in make_result().findings.items():
        for name, table in tables.items():
            names = TABLES[f"findings/{finding}.{name}"].names
            assert set(table.columns) <= set(names), f"{finding}.{name}"


def test_the_page_is_that_of_the_declarations() -> None:
    assert publish.FILE.read_text(encoding="utf-8") == publish.text(), "python -m tables.publish"


def test_a_page_by_hand() -> None:
    drop = estimate("drop", "share", "what is | lost")
    table = of_finding("f", "t", "a set", text("kind", "which one"), *drop)
    page = columns_page([table, Table("x", "a row", (), (share("a_<i>", "of i"),))])
    assert "## `findings/f.t.parquet`\n\nOne row is a set.\n" in page
    assert "| `kind` | text |  | which one |" in page
    assert r"| `drop` | number | share | what is \| lost |" in page
    assert "| `drop_low` | number | share | lower end of its 95 % interval |" in page
    assert "| `a_<i>` | number | share | of i (some runs) |" in page


def test_a_table_knows_its_finding_and_its_file() -> None:
    table = of_finding("f", "t", "a set", text("kind", ""), share("s", ""))
    assert (table.key, table.file) == (("f", "t"), "findings/f.t.parquet")
    assert TABLES["outcomes/actions"].key == ("", "outcomes/actions")
    assert table.types == {"kind": "str", "s": "float64"}
    assert table.empty().columns.tolist() == table.names == ["kind", "s"]
    with pytest.raises(KeyError):
        table.column("t")


def test_parts_are_joined_in_the_declared_order() -> None:
    table = of_finding("f", "t", "a set", text("kind", ""), share("s", ""))
    parts = [pd.DataFrame({"s": [0.5], "more": [1]}), pd.DataFrame({"kind": ["a"]}), table.empty()]
    found = table.joined(parts)
    assert found.columns.tolist() == ["kind", "s"]
    assert found["kind"].isna().tolist() == [True, False]
    assert found["s"].tolist()[0] == 0.5 and np.isnan(found["s"][1])
    assert table.joined([]).columns.tolist() == ["kind", "s"]


def test_a_problem_names_the_column() -> None:
    table = of_finding("f", "t", "a set", text("kind", ""), share("s", ""))
    assert table.problem(pd.DataFrame({"kind": ["a"]})) == "has no column 's'"
    amiss = pd.DataFrame({"kind": ["a"], "s": [1.5]})
    assert table.problem(amiss) == "column 's' holds 1.5 to 1.5; expected 0 to 1"
    assert table.problem(amiss.assign(s=0.5, more=1)) == ""


def test_values_are_judged_by_what_is_known_of_them() -> None:
    nothing = pd.Series([None, None], dtype=object)
    assert [values.problem(nothing) for values in (CLASS, NUMBER, TEXT, FLAG)] == [""] * 4
    assert CLASS.problem(pd.Series([0.0, np.nan, 3.0])) == ""
    assert TEXT.problem(pd.Series(["a", None], dtype="category")) == ""
    assert NUMBER.problem(pd.Series([1 + 2j])) == "holds other than numbers"
    assert FLAG.problem(pd.Series([True, None], dtype=object)) == ""
    assert FLAG.problem(pd.Series([0, 1])) == "holds other than true and false"
    assert problem_of("findings/any", pd.DataFrame({"x": [1]})) == ""


def test_a_column_added_later_is_missing_in_older_runs_and_refused_in_none() -> None:
    added = later(text("tier", "which")), later(count("n", "examples", "how many"))
    table = of_finding("f", "t", "a set", text("kind", ""), *added)
    old = pd.DataFrame({"kind": ["a", "b"]})
    assert table.problem(old) == ""
    found = table.completed(old)
    assert found.columns.tolist() == table.names
    assert found["tier"].isna().all() and found["n"].isna().all()
    assert found.attrs[ABSENT] == ["tier", "n"]
    new = pd.DataFrame({"kind": ["a"], "tier": ["x"], "n": [3]})
    assert table.completed(new) is new and ABSENT not in new.attrs
    assert table.problem(new.assign(n=-1)) == "column 'n' holds -1 to -1; expected 0 to 1e+12"
    assert "has no column 'kind'" in table.problem(new.drop(columns="kind"))
    page = columns_page([table])
    assert "| `tier` | text |  | which (null in runs written before it was added) |" in page
