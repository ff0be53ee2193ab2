"""Typed edits, each against what a person would type."""

import pytest

from synapse_audit.interventions.typed import (
    CONTROLS,
    TYPED,
    ZERO_WIDTH,
    Material,
    characters_changed,
)

TEXT = "win a  free\nprize now"
MADE_OF = Material(TEXT, (2, 0, 3, 4, 1), ("see", "you", "soon"), ("V", "W", "X", "Y", "Z"))


@pytest.mark.parametrize(
    ("name", "n", "edited"),
    [
        ("append", 2, "win a  free\nprize now see you"),
        ("prepend", 1, "see win a  free\nprize now"),
        ("spacing", 1, "win a  f r e e\nprize now"),
        ("homoglyphs", 1, "win a  fr\u0435\u0435\nprize now"),
        ("zero_width", 1, f"win a  {ZERO_WIDTH.join('free')}\nprize now"),
        ("case", 3, "WIN a  FREE\nPRIZE now"),
        ("typos", 1, "win a  fere\nprize now"),
        ("truncate", 2, "win a  free"),
        ("delete", 2, "a  prize now"),
        ("substitute", 2, "V a  X\nprize now"),
    ],
)  # fmt: skip
def test_an_edit_is_what_its_name_says(name: str, n: int, edited: str) -> None:
    assert TYPED[name].apply(MADE_OF, n) == edited


def test_an_edit_of_no_word_would_leave_the_text_alone() -> None:
    in_place = ("spacing", "homoglyphs", "zero_width", "case", "typos", "delete", "substitute")
    assert {TYPED[name].apply(MADE_OF, 0) for name in (*in_place, "append")} == {TEXT}


def test_every_edit_knows_how_far_it_can_go() -> None:
    most = {name: edit.most(MADE_OF) for name, edit in TYPED.items()}
    assert most["append"] == most["prepend"] == 3
    assert most["delete"] == most["truncate"] == 4  # one word stays
    assert {most[name] for name in TYPED} == {3, 4, 5}
    empty = Material("", (), (), ())
    assert {edit.most(empty) for edit in TYPED.values()} == {0}
    assert set(CONTROLS) | set(CONTROLS.values()) <= set(TYPED)


def test_the_last_words_of_white_space_alone_are_none() -> None:
    assert TYPED["truncate"].apply(Material(" a b ", (0, 1), (), ()), 1) == " a"


@pytest.mark.parametrize(
    ("before", "after", "n"),
    [("abc", "abc", 0), ("abc", "abc de", 3), ("abc", "xabc", 1), ("abc", "axc", 1), ("ab", "", 2)],
)
def test_changed_characters_are_counted(before: str, after: str, n: int) -> None:
    assert characters_changed(before, after) == n
