"""Figures: unknowns, reading and writing, paths."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_audit.errors import UsageError
from synapse_audit.summary import Choice, Figure, dotted, keys_of, to_json, walk


def test_what_is_not_finite_is_unknown() -> None:
    figure = Figure(np.float64(0.5), -math.inf, np.nan)
    assert type(figure.value) is float
    assert figure.known and not figure.bounded
    assert figure.to_json() == {"value": 0.5, "low": None, "high": None}
    assert Figure.unknown("why").to_json() == {
        "value": None, "low": None, "high": None, "reason": "why",
    }  # fmt: skip


def test_figures_are_equal_where_their_unknowns_are() -> None:
    assert Figure(float("nan")) == Figure(np.float64("nan"))
    assert Figure(1.0) != Figure(1.0, 0.0)


def test_what_is_written_is_read_again() -> None:
    inner = Figure(0.7, 0.6, 0.8)
    figure = Figure(12.0, n=240, beside={"accuracy": inner, "ranking": "probe"})
    found = Figure.read(json.loads(json.dumps(figure.to_json())))
    assert (found.value, found.n, found.beside["ranking"]) == (12.0, 240, "probe")
    assert Figure.read(found.beside["accuracy"]) == inner


@pytest.mark.parametrize("node", [None, "text", {"value": "text"}, {}, [1]])
def test_what_is_no_number_is_unknown(node: object) -> None:
    assert not Figure.read(node).known


def test_the_negative_of_a_figure_turns_its_interval() -> None:
    assert -Figure(0.3, 0.1, 0.4) == Figure(-0.3, -0.4, -0.1)


def test_a_choice_is_written_with_its_share() -> None:
    assert to_json({"first": Choice("a", 0.9)}) == {
        "first": {"value": "a", "low": None, "high": None, "share": 0.9}
    }


def test_walk_finds_figures_inside_figures_but_no_names_and_no_cost() -> None:
    tree = to_json(
        {
            "clean": {"a.b": Figure(1.0), "name": Choice("x", 1.0)},
            "k": Figure(3.0, beside={"accuracy": Figure(0.5)}),
            "cost": {"cells": Figure(1.0)},
            "model": "m",
        }
    )
    assert {dotted(keys): figure.value for keys, figure in walk(tree)} == {
        'clean."a.b"': 1.0,
        "k": 3.0,
        "k.accuracy": 0.5,
    }


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_every_name_can_be_addressed(keys: list[str]) -> None:
    assert keys_of(dotted(keys)) == tuple(keys)


@pytest.mark.parametrize("path", ["", "a b", "a..b", "a.", 'a."b', "a = 1\nb", "a = 0 #", "[a]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="dotted path"):
        keys_of(path)
