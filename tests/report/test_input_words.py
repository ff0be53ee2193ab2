"""The report calls inputs what they are, and says how many of them there were."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from synapse_audit.data.media import MEDIA
from synapse_audit.data.rows import TABLE
from synapse_audit.report import SECTIONS
from synapse_audit.report.kit.contents import Section
from synapse_audit.report.kit.input_words import KINDS, UNKNOWN, kind_of

from .fakes import FakeResult

ONLY_TEXTS = re.compile(r"\b(texts?|word|typed?)\b|separator", re.IGNORECASE)
"""Words that fit texts alone."""


def _of(full: FakeResult, **data: Any) -> FakeResult:
    known: Mapping[str, Any] = full.manifest["data"]
    return replace(full, manifest={**full.manifest, "data": {**known, **data}})


def _said(section: Section) -> str:
    parts = [section.heading, *section.answer, *section.reading, *section.limits]
    for group in section.groups:
        parts += [group.title, group.note, *(mark.name for mark in group.legend)]
        for figure in group.figures:
            axes = figure.spec["layout"]
            titles = [
                axes.get(axis, {}).get("title", {}).get("text") for axis in ("xaxis", "yaxis")
            ]
            parts += [figure.title, figure.alt, *(title for title in titles if title)]
    for table in section.tables:
        parts += [table.title, *table.columns, *(cell for row in table.rows for cell in row)]
    return " ".join(parts)


def test_every_kind_of_input_has_its_words() -> None:
    assert {*KINDS} == {"text", "ids", TABLE, *MEDIA}


@pytest.mark.parametrize("kind", [TABLE, "image", None])
def test_no_section_calls_other_inputs_texts(full: FakeResult, kind: str | None) -> None:
    result = _of(full, kind=kind)
    others = {name: entry for name, entry in SECTIONS.items() if entry.kind != "text"}
    assert len(others) > 20
    for name, build in others.items():
        assert not ONLY_TEXTS.findall(_said(build(result))), name


def test_the_attacks_name_what_they_attack(full: FakeResult) -> None:
    said = _said(SECTIONS["inputs"](full))
    assert "With the word embeddings of each text changed by" in said
    assert "Start, separator and padding tokens are never touched." in said
    of_images = _said(SECTIONS["inputs"](_of(full, kind="image")))
    assert "With the patch embeddings of each image changed by" in of_images
    assert "patches that matter most" in of_images and "size relative to the image" in of_images
    assert "token" not in of_images
    assert kind_of(_of(full, kind=None)) is UNKNOWN
    assert "no input, and" in _said(SECTIONS["inputs"](_of(full, kind=None)))


def test_tokens_are_explained_where_nobody_would_guess(full: FakeResult) -> None:
    assert "A token is one position" not in _said(SECTIONS["method"](full))
    explained = _said(SECTIONS["method"](_of(full, kind="image")))
    assert (
        "A token is one position of the sequence that the blocks work on: a patch of" in explained
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {},
            "Of 4 000 texts that were read, 12 were repeats and 1 488 were beyond the cap on rows; "
            "2 500 were used, each as one example.",
        ),
        (
            {"kind": "audio", "n_repeats": 0},
            "Of 4 000 sounds that were read, 1 500 were beyond the cap on rows; 2 500 were used",
        ),
        (
            {"kind": "image", "n_rows": 60, "n_repeats": 0, "n_rows_used": 60},
            "All 60 images that were read were used, each as one example.",
        ),
        (
            {"windows": {"n_rows": 2500, "n_windows": 3400, "n_repeats": 15}, "n_used": 3385},
            "2 500 were used. 2 500 rows became 3 400 windows",
        ),
    ],
)
def test_rows_are_no_examples(full: FakeResult, data: Mapping[str, Any], words: str) -> None:
    said = " ".join(SECTIONS["method"](_of(full, **data)).answer).replace("\u202f", " ")
    assert words in said
    assert "windows" not in data or "Each of the 3 385 left counts as an example" in said


def test_an_older_run_says_nothing_of_rows(full: FakeResult) -> None:
    assert "were read" not in " ".join(SECTIONS["method"](_of(full, n_rows_used=None)).answer)
