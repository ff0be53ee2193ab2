"""Agreement of rankings against SciPy, brute force, and hand-made elections."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from synapse_audit.findings.rankings.votes import (
    average_overlap,
    chance_jaccard,
    neuron_vote,
    spearman,
    top_set,
)


def test_spearman_is_that_of_scipy_ties_included() -> None:
    generator = np.random.default_rng(0)
    one, two = generator.integers(0, 9, 50).astype(float), generator.normal(size=50)
    assert spearman(one, two) == pytest.approx(spearmanr(one, two).statistic)
    assert spearman(one, -one) == pytest.approx(-1)
    assert np.isnan(spearman(one, np.zeros(50)))


@pytest.mark.parametrize(("width", "k"), [(6, 2), (5, 3), (4, 4), (7, 1)])
def test_chance_is_the_mean_over_all_pairs_of_sets(width: int, k: int) -> None:
    first = set(range(k))
    shares = [
        len(first & set(other)) / len(first | set(other)) for other in combinations(range(width), k)
    ]
    assert chance_jaccard(width, k) == pytest.approx(np.mean(shares))


def test_chance_of_nothing_is_unknown() -> None:
    assert np.isnan(chance_jaccard(5, 0))


def _scores(order: list[int], width: int) -> np.ndarray:
    """Scores under which the neurons of ``order`` come first, in that order."""
    rest = [j for j in range(width) if j not in order]
    scores = np.empty(width)
    scores[[*order, *rest]] = np.arange(width, 0, -1)
    return scores


def test_an_election_by_hand() -> None:
    # Ten neurons, two to elect; lists of max(2, round(10 · 100/768)) = 2 neurons, 2 and 1 points.
    scores = {
        "mine": _scores([0, 4], 10),
        "a": _scores([0, 1], 10),
        "b": _scores([2, 1], 10),
        "c": _scores([2, 0], 10),
    }
    # 0: 2 + 1 = 3, 1: 1 + 1 = 2, 2: 2 + 2 = 4 → {2, 0}; shared with {0, 4}: 1 of 3.
    assert neuron_vote(scores, "mine", 0.2) == pytest.approx(1 / 3)
    # {0, 1}: 1/3, {1, 2}: 0, {0, 2}: 1/3.
    assert average_overlap(scores, "mine", 0.2) == pytest.approx(2 / 9)


def test_a_ranking_does_not_elect_itself() -> None:
    scores = {"mine": _scores([5, 6], 10), "other": _scores([0, 1], 10)}
    assert neuron_vote(scores, "mine", 0.2) == 0.0
    assert (
        neuron_vote({"mine": scores["mine"], "random_control": scores["mine"]}, "mine", 0.2) == 1.0
    )


def test_an_election_against_the_published_procedure() -> None:
    # The procedure of Fan et al. written out: lists of 100 of 768, points 100 to 1.
    generator = np.random.default_rng(1)
    common = generator.normal(size=768)
    scores = {name: common + generator.normal(size=768) for name in "abcd"}
    points = dict.fromkeys(range(768), 0)
    for name in "bcd":
        for place, neuron in enumerate(np.argsort(-scores[name])[:100]):
            points[int(neuron)] += 100 - place
    for k in (38, 77):
        elected = set(sorted(points, key=lambda j: -points[j])[:k])
        mine = set(np.argsort(-scores["a"])[:k].tolist())
        wanted = len(mine & elected) / len(mine | elected)
        assert neuron_vote(scores, "a", k / 768) == pytest.approx(wanted, abs=0.03)
    k = 77
    wanted = np.mean(
        [
            len(top_set(scores["a"], k / 768) & top_set(scores[n], k / 768))
            / len(top_set(scores["a"], k / 768) | top_set(scores[n], k / 768))
            for n in "bcd"
        ]
    )
    assert average_overlap(scores, "a", k / 768) == pytest.approx(wanted)


def test_alone_there_is_no_vote() -> None:
    scores = {"mine": np.arange(10.0)}
    assert np.isnan(neuron_vote(scores, "mine", 0.2))
    assert np.isnan(average_overlap(scores, "mine", 0.2))


def test_a_ranking_of_equal_scores_neither_votes_nor_agrees() -> None:
    scores = {"mine": _scores([0, 1], 10), "flat": np.ones(10), "other": _scores([0, 1], 10)}
    assert neuron_vote(scores, "mine", 0.2) == 1.0
    assert average_overlap(scores, "mine", 0.2) == 1.0
    assert np.isnan(neuron_vote(scores, "flat", 0.2))
    assert np.isnan(average_overlap({"flat": np.ones(10), "again": np.ones(10)}, "flat", 0.2))
