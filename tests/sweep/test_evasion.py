"""The search for the smallest edit, against a classifier that counts words."""

from collections.abc import Sequence

import numpy as np

from synapse_audit.interventions.typed import TYPED, Material
from synapse_audit.sweep.evasion import GROUPS, SIZES, Tried, Victims, evade, word_orders


class Counting:
    """Class 1 where a text holds at least as many bad words as good ones, and one; else 0."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str], of: np.ndarray) -> np.ndarray:
        self.asked += texts
        bad = np.array([text.split().count("bad") for text in texts])
        good = np.array([text.split().count("good") for text in texts])
        worse = (bad > 0) & (bad >= good)
        return np.stack([~worse, worse], axis=1).astype(np.float64)


def _victims(*texts: tuple[str, tuple[int, ...]], added: str = "good") -> Victims:
    materials = [Material(text, order, (added,) * 16, ()) for text, order in texts]
    return Victims(materials, np.ones(len(texts), dtype=int), np.zeros(len(texts), dtype=int))


def test_the_smallest_size_that_succeeds_is_found_with_as_many_questions() -> None:
    ask = Counting()
    victims = _victims(("bad a", (0, 1)), ("bad bad bad b", (0, 1, 2, 3)))
    few, many = evade(victims, TYPED["append"], ask)
    # One bad word takes two good ones, three take four.
    assert few == Tried(True, 2.0, 10.0, 2, 0, "bad a good good")
    assert many == Tried(True, 4.0, 20.0, 3, 0, "bad bad bad b good good good good")
    assert len(ask.asked) == 5


def test_what_never_succeeds_is_tried_to_the_end() -> None:
    (found,) = evade(_victims(("bad a", (0, 1)), added="x"), TYPED["append"], Counting())
    assert (found.evaded, found.queries, found.answer) == (False, len(SIZES), 1)
    assert np.isnan([found.size, found.characters]).all()
    assert found.text == " ".join(["bad a", *["x"] * 16]), "the last one"


def test_words_that_matter_go_first() -> None:
    text = "a b c bad d"
    chosen, unlucky = evade(
        _victims((text, (3, 0, 1, 2, 4)), (text, (0, 1, 2, 4, 3))), TYPED["case"], Counting()
    )
    assert (chosen.size, chosen.characters, chosen.queries) == (1.0, 3.0, 1)
    assert (unlucky.size, unlucky.characters, unlucky.queries) == (8.0, 7.0, 4)  # 1, 2, 4, all


def test_an_edit_that_changes_nothing_is_no_question() -> None:
    ask = Counting()
    found = evade(_victims(("bad", (0,)), ("7 7", (0, 1))), TYPED["delete"], ask)
    assert found[0] == found[0]._replace(evaded=False, queries=0, answer=-1)  # one word stays
    assert ask.asked == ["7"]  # sizes beyond it leave the same text
    for name in TYPED:  # of nothing, nothing can be cut, added to or replaced
        empty = Victims([Material("", (), (), ())], np.ones(1, int), np.zeros(1, int))
        assert evade(empty, TYPED[name], ask)[0].queries == 0
        alone = Victims([Material("bad", (0,), (), ())], np.ones(1, int), np.zeros(1, int))
        assert evade(alone, TYPED[name], Counting())[0].queries <= 1
    again = Counting()
    evade(_victims(("7 7", (0, 1))), TYPED["case"], again)
    assert again.asked == []


def test_any_other_class_will_do_where_none_is_wanted() -> None:
    victims = _victims(("bad a", (0, 1)))._replace(wanted=np.array([-1]))
    assert evade(victims, TYPED["case"], Counting())[0].evaded
    stays = victims._replace(wanted=np.array([1]))  # what it is anyway
    assert not evade(stays._replace(labels=np.array([0])), TYPED["case"], Counting())[0].evaded


def test_leaving_out_each_word_once_finds_the_one_that_matters() -> None:
    ask = Counting()
    zeros, ones = np.zeros(3, dtype=int), np.ones(3, dtype=int)
    found = word_orders(["a bad c", "x", "bad bad good"], ones, zeros, ask)
    # Without "bad" the first is class 0; the third stays class 1 whatever goes.
    assert found[0] == ((1, 0, 2), 3)
    assert found[1] == ((0,), 0)  # nothing to order
    assert found[2] == ((0, 1, 2), 3)
    assert ask.asked[:3] == ["bad c", "a c", "a bad"]


def test_of_a_long_text_runs_of_words_are_left_out() -> None:
    words = ["a"] * (2 * GROUPS + 1)
    words[61] = "bad"
    ask = Counting()
    (found,) = word_orders([" ".join(words)], np.ones(1, int), np.zeros(1, int), ask)
    assert found.asked == len(ask.asked) == GROUPS
    assert sorted(found.order) == list(range(len(words)))
    assert found.order.index(61) < 3


def test_what_the_order_cost_is_counted_where_it_is_used() -> None:
    material = Material("bad a", (0, 1), ("good",) * 16, (), asked=2)
    victims = Victims([material], np.ones(1, int), np.zeros(1, int))
    assert evade(victims, TYPED["case"], Counting())[0].queries == 3
    assert evade(victims, TYPED["append"], Counting())[0].queries == 2  # 1, 2 words
