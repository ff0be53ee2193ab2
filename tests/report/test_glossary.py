"""The glossary of the docs and of the page are one; links leave names alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markupsafe import escape

from synapse_audit.report import SECTIONS
from synapse_audit.report.kit.glossary import FORMS, TERMS, anchor, linker

from .fakes import FakeResult

DOCS = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


def test_the_docs_hold_the_same_words() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", DOCS.read_text(encoding="utf-8"), re.M)
    assert dict(rows[1:]) == TERMS
    assert [name for name, _ in rows[1:]] == sorted(TERMS)
    assert len(TERMS) == 15


def test_every_form_belongs_to_a_term() -> None:
    assert set(FORMS) <= set(TERMS)


def test_a_term_is_linked_the_first_time_only() -> None:
    link = linker()
    first, second = link("Redirected by a random control."), link("One more random control.")
    assert str(first).count("<a ") == 2
    assert f'href="#{anchor("random control")}"' in first
    assert "<a " not in second


@pytest.mark.parametrize("name", ["“margin <b>”", "“random controls”"])
def test_names_of_classes_are_text(name: str) -> None:
    said = str(linker()(f"Sent to {name}."))
    assert "<a " not in said
    assert "<b>" not in said


def test_text_is_escaped_around_links() -> None:
    said = str(linker()("<i> margin & <script>"))
    assert said.startswith("&lt;i&gt; <a ")
    assert said.endswith("&amp; &lt;script&gt;")


def test_what_sections_say_stays_what_they_say(full: FakeResult) -> None:
    for build in SECTIONS.values():
        for sentence in build(full).answer:
            bare = re.sub("<[^>]+>", "", str(linker()(sentence)))
            assert bare == str(escape(sentence))
