"""Markdown and JSON say what the page says, and names stay names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from synapse_audit.errors import UsageError
from synapse_audit.report import FORMATS, SECTIONS, render
from synapse_audit.report.kit.contents import Contents, Section

from .fakes import FakeResult, make_result


@pytest.fixture(scope="module")
def markdown(found: Contents) -> str:
    return FORMATS["md"](found)


def test_markdown_has_a_heading_per_chapter_and_section(found: Contents, markdown: str) -> None:
    headings = re.findall(r"^(#+) (.*)$", markdown, re.MULTILINE)
    assert [level for level, _ in headings].count("##") == len(found.chapters)
    assert [level for level, _ in headings].count("###") == len(SECTIONS)


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(markdown: str) -> None:
    width = 0
    tables = 0
    for line in markdown.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        tables += cells > 0 and width == 0
        assert cells in (0, width) or width == 0
        width = cells
    assert tables > 30


def test_names_cannot_format_or_link_in_markdown() -> None:
    hostile = "[x](javascript:alert(1))|<b>`*"
    found = make_result([hostile, "b"], layers=2)
    text = render(replace(found, summary={**found.summary, "model": hostile}), "md")
    assert r"\[x\](javascript:alert(1))\|\<b\>\`\*" in text
    assert "[x](javascript" not in text.replace(r"\[x\](javascript", "")
    assert "<b>" not in text


def test_json_holds_the_same_sentences_and_tables(
    found: Contents, built: Mapping[str, Section]
) -> None:
    tree = json.loads(FORMATS["json"](found))
    assert tree["cover"]["verdict"] == found.cover.verdict
    sections = {
        k: v for chapter in tree["chapters"].values() for k, v in chapter["sections"].items()
    }
    assert list(sections) == list(SECTIONS)
    for name, section in sections.items():
        assert tuple(section["answer"]) == built[name].answer
        assert [tuple(map(tuple, t["rows"])) for t in section["tables"]] == [
            table.rows for table in built[name].tables
        ]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_an_empty_run(name: str) -> None:
    assert "unnamed model" in render(FakeResult(), name)


def test_an_unknown_format_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="format 'pdf' given; choices: html, md, json"):
        render(FakeResult(), "pdf")
