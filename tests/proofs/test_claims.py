"""Every sentence and key figure of the summary: how often it is wrong where the truth is known.

Outcomes are simulated (no model runs): a random ranking, equal classes, nothing lost, few
examples, few groups, skewed draws, and known truths. At least 200 audits each; the share of audits
in which a sentence appears, or an interval misses, is at most its nominal rate plus three standard
errors of such a share. Takes about five minutes on one core; -s prints docs/proofs.md's table.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from findings.evidence import GRID, make_evidence, silence

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.crossings import Losses, crossing
from synapse_audit.effects.picked_rows import costliest_layer
from synapse_audit.effects.random_controls import excess, prediction_band
from synapse_audit.effects.selection import largest_of
from synapse_audit.findings.asymmetry import asymmetry
from synapse_audit.findings.rankings.effectiveness import effectiveness_table
from synapse_audit.findings.redundancy.redundancy import half_point, plateau
from synapse_audit.findings.vulnerability import head_edit
from synapse_audit.statistics import (
    curve_test,
    interval,
    paired_interval,
    resampled_weights,
    weighted_shares,
    wilson,
)
from synapse_audit.tables.vulnerability import BUDGETS

from .judging import Tell, generators, judge

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.proof

QUICK = (0.05, 0.1, 0.25, 0.5, 0.8)


# ---- curves --------------------------------------------------------------------------------------


def lost_at(labels: np.ndarray, when: np.ndarray, fraction: float) -> list[int]:
    """What two classes are called when each example is lost at a fraction of its own."""
    return np.where(when <= fraction, 1 - labels, labels).tolist()


def audit_of(when: np.ndarray, fractions: Sequence[float] = QUICK) -> Evidence:
    labels = np.arange(len(when)) % 2
    trials = [(silence("top", f), lost_at(labels, when, f)) for f in fractions]
    return make_evidence(labels.tolist(), trials)


@pytest.mark.parametrize("width", [0.0, 0.05, 0.2], ids=["step", "steep", "slow"])
def test_the_half_point_lies_in_its_interval(width: float, tell: Tell) -> None:
    wrong = []
    for generator in generators():
        # All is lost somewhere: a quarter at accuracy .75, which is half of the way to chance.
        truth = generator.uniform(0.3, 0.78)
        never = generator.random(240) < 0.5
        when = np.where(never, 2.0, truth + width * generator.logistic(size=240) / 4)
        half = half_point(audit_of(when))
        # Half of those that are ever lost are lost at the truth: accuracy .75.
        wrong.append(not half.low <= truth <= np.nan_to_num(half.high, nan=np.inf))
    judge(
        f"half is gone between … and …: misses the truth (fall over {width:g})", wrong, 0.05, tell
    )


def test_a_plateau_is_not_shown_where_more_than_two_points_are_lost(tell: Tell) -> None:
    wrong = []
    for generator in generators(400):
        # 2.5 % of the examples are lost at .2 and no more until .6.
        when = np.where(generator.random(600) < 0.025, 0.2, 0.6)
        low = plateau(audit_of(when)).low
        wrong.append(bool(low >= 0.25))
    judge("accuracy stays within 2 points, shown up to …: it does not", wrong, 0.025, tell)


@pytest.mark.parametrize("n", [60, 119, 240])
def test_nothing_lost_is_never_a_plateau_of_zero(n: int, tell: Tell) -> None:
    found = [plateau(audit_of(np.full(n, 2.0))) for _ in range(3)]
    assert all(one.value == 0.8 for one in found)
    assert all(np.isnan(one.low) == (n < 137) for one in found)
    assert all(bool(one.reason) == (n < 137) for one in found)


def test_the_upper_end_of_a_plateau_on_a_flat_edge(tell: Tell) -> None:
    # The loss lies at the level itself all along: the worst case for many points.
    wrong = []
    for generator in generators(2000):
        value = 0.02 + 0.01 * generator.normal(size=11)
        found = crossing(np.linspace(0.05, 0.95, 11), Losses(value, value - 0.0196, value + 0.0196),
                         0.02)  # fmt: skip
        wrong.append(bool(np.isfinite(found.high)))
    judge("costs more than 2 points from … on: it costs no more (11 points)", wrong, 0.025, tell)


# ---- random controls -----------------------------------------------------------------------------

DRAWN: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda generator, n: 0.15 + 0.03 * generator.normal(size=n),
    "skewed": lambda generator, n: 0.05 + 0.05 * generator.exponential(size=n),
    "two humps": lambda generator, n: 0.05 + 0.3 * (generator.random(n) < 0.3),
}
"""How the cost of random sets is distributed."""


def costs(shape: str, draws: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Measured costs of a set and of random ones on 240 examples, and the difference resampled."""
    true = np.clip(DRAWN[shape](generator, draws + 1), 0, 1)
    luck = generator.random(240)
    lost = (0.5 * luck + 0.5 * generator.random((draws + 1, 240))) < np.quantile(
        0.5 * generator.random(4000) + 0.5 * generator.random(4000), true
    )[:, None]
    again = generator.multinomial(240, np.full(240, 1 / 240), size=300).T / 240
    difference = (lost[0] - lost[1:].mean(axis=0)) @ again
    return lost.mean(axis=1), difference


@pytest.mark.parametrize("shape", ["normal", "skewed", "two humps"])
def test_a_random_ranking_has_no_excess(shape: str, tell: Tell) -> None:
    wrong, outside, small, tails = [], [], [], []
    for generator in generators(600):
        value, samples = costs(shape, 20, generator)
        found = excess(float(value[0]), value[1:], samples)
        wrong.append(found.low > 0 or found.high < 0)
        band = prediction_band(value[1:])
        outside.append(not float(band.low) <= value[0] <= float(band.high))
        p = curve_test(value[0] - value[1:]).p
        small.append(p < 0.05)
        tails.append(p < 0.001)
    judge(f"top costs more (or less) than random sets (20 {shape} draws)", wrong, 0.05, tell)
    judge(f"one more random set outside the band (20 {shape} draws)", outside, 0.05, tell)
    judge(f"curve test, p < .05 (20 {shape} draws)", small, 0.05, tell)
    judge(f"curve test, p < .001 (20 {shape} draws)", tails, 0.001, tell)


def test_five_draws(tell: Tell) -> None:
    wrong, outside = [], []
    for generator in generators(600):
        value, samples = costs("normal", 5, generator)
        found = excess(float(value[0]), value[1:], samples)
        wrong.append(found.low > 0 or found.high < 0)
        band = prediction_band(value[1:])
        outside.append(not float(band.low) <= value[0] <= float(band.high))
    judge("top costs more (or less) than random sets (5 normal draws)", wrong, 0.05, tell)
    judge("one more random set outside the band (5 normal draws)", outside, 0.05, tell)


def test_a_known_excess_lies_in_its_interval(tell: Tell) -> None:
    wrong = []
    for generator in generators(600):
        draws = np.clip(0.15 + 0.03 * generator.normal(size=20), 0, 1)
        lost = generator.random((21, 240)) < np.array([0.35, *draws])[:, None]
        again = generator.multinomial(240, np.full(240, 1 / 240), size=300).T / 240
        value = lost.mean(axis=1)
        found = excess(float(value[0]), value[1:], (lost[0] - lost[1:].mean(axis=0)) @ again)
        wrong.append(not found.low <= 0.20 <= found.high)
    judge("excess over random sets: misses the truth of .20", wrong, 0.05, tell)


def test_the_best_of_random_rankings_is_not_called_better(tell: Tell) -> None:
    labels = np.arange(240) % 2
    wrong = []
    for generator in generators():

        def lost(generator: np.random.Generator = generator) -> list[int]:
            rate = np.clip(0.15 + 0.03 * generator.normal(), 0, 1)
            return np.where(generator.random(240) < rate, 1 - labels, labels).tolist()

        names = ("probe", "probeless", "iou", "mutual_information")
        trials = [(silence("top", 0.5, ranking=name), lost()) for name in names]
        trials += [(silence("random", 0.5, draw=d), lost()) for d in range(20)]
        table = effectiveness_table(make_evidence(labels.tolist(), trials, resamples=100))
        ends = (table[f"excess{end}"].to_numpy() for end in ("", "_low", "_high"))
        wrong.append(largest_of(*ends).low > 0)
    judge(
        "the best of four rankings costs more than random sets: all are random", wrong, 0.05, tell
    )


# ---- classes -------------------------------------------------------------------------------------

SIZES = {"12 each": [12] * 5, "48 each": [48] * 5, "unequal": [200, 48, 20, 12, 12]}


def classes_hit(
    sizes: Sequence[int], rates: Sequence[float], generator: np.random.Generator, actions: int = 1
) -> tuple[np.ndarray, list[list[int]]]:
    """Labels, and predictions in which each class loses its own share."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rate = np.asarray(rates)[labels]
    said = [
        np.where(generator.random(len(labels)) < rate, (labels + 1) % len(sizes), labels).tolist()
        for _ in range(actions)
    ]
    return labels, said


@pytest.mark.parametrize("sizes", list(SIZES))
@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_equal_classes_are_indistinguishable(sizes: str, rate: float, tell: Tell) -> None:
    named, gap = [], []
    for generator in generators():
        labels, said = classes_hit(SIZES[sizes], [rate] * 5, generator)
        found = asymmetry(make_evidence(labels.tolist(), [(silence("top", 0.5), said[0])]))
        figures = found.summary["asymmetry"]
        named.append(figures["most_fragile"].value == figures["most_fragile"].value)
        gap.append(figures["gap"].low > 0)
    what = f"equal classes, {sizes}, each loses {rate:g}"
    judge(f"a class is called most fragile ({what})", named, 0.05, tell)
    judge(f"the gap between classes excludes 0 ({what})", gap, 0.05, tell)


def test_a_known_gap_lies_in_its_interval(tell: Tell) -> None:
    wrong = []
    for generator in generators():
        labels, said = classes_hit([48] * 5, [0.7, 0.2, 0.2, 0.2, 0.1], generator)
        gap = asymmetry(make_evidence(labels.tolist(), [(silence("top", 0.5), said[0])]))
        figure = gap.summary["asymmetry"]["gap"]
        ends = [{"a": 0.7, "e": 0.1}.get(name, 0.2) for name in figure.beside["between"]]
        wrong.append(not figure.low <= ends[0] - ends[1] <= figure.high)
    judge("gap between the classes named: misses the truth", wrong, 0.05, tell)


def test_random_sets_are_not_specific(tell: Tell) -> None:
    cells, p, families = [], [], []
    names = ("a", "b", "c", "d")
    for generator in generators():
        labels = np.repeat(np.arange(4), 40)

        def said(generator: np.random.Generator = generator, labels: np.ndarray = labels):
            rate = np.clip(0.3 + 0.1 * generator.normal(size=4), 0, 1)[labels]
            return np.where(generator.random(160) < rate, (labels + 1) % 4, labels).tolist()

        trials = [(silence("top", 0.5, ranked_for=name), said()) for name in names]
        trials += [(silence("random", 0.5, draw=d), said()) for d in range(20)]
        table = asymmetry(make_evidence(labels.tolist(), trials, grid=GRID)).tables["matrix"]
        low, high = table["specificity_low"], table["specificity_high"]
        cells += list((low > 0) | (high < 0))
        p += list(table["p_value"] < 0.05)
        families.append(bool((table["p_adjusted"] < 0.05).any()))
    judge("specificity of a cell excludes 0 (random sets)", cells, 0.05, tell)
    judge("specificity of a cell, p < .05 (random sets)", p, 0.05, tell)
    judge("any cell of the matrix with adjusted p < .05 (random sets)", families, 0.05, tell)


@pytest.mark.parametrize(("n", "loss"), [(12, 0.02), (12, 0.2), (30, 0.05), (100, 0.01)])
def test_losses_of_small_classes_lie_in_their_intervals(n: int, loss: float, tell: Tell) -> None:
    wrong = []
    for generator in generators(1000):
        lost = (generator.random(n) < loss).astype(np.float64)
        again = generator.multinomial(n, np.full(n, 1 / n), size=400).T / n
        low, high = paired_interval(lost.mean(keepdims=True), (lost @ again)[None], n)
        wrong.append(not low[0] <= loss <= high[0])
    judge(f"recall lost by a class of {n}: misses the truth of {loss:g}", wrong, 0.05, tell)


# ---- picked among many ---------------------------------------------------------------------------


def test_no_layer_is_named_where_none_costs_anything(tell: Tell) -> None:
    wrong = []
    for generator in generators(1000):
        n = 240
        won, lost = generator.binomial(n, 0.02, size=(2, 14))
        drop = (lost - won) / n
        half = 1.96 * np.sqrt((lost + won + 2) / (n + 2) ** 2)
        rows = {"drop": drop, "drop_low": drop - half, "drop_high": drop + half}
        table = pd.DataFrame(rows).assign(operator="mean", layer=range(14), fraction=0.5)
        wrong.append(costliest_layer(table, "accuracy").known)
    judge("a layer is said to cost accuracy (14 cost nothing)", wrong, 0.05, tell)


def test_the_largest_of_many_equal_losses(tell: Tell) -> None:
    wrong = []
    for generator in generators(1000):
        lost = generator.binomial(240, 0.2, size=50)
        ends = wilson(lost, 240)
        found = largest_of(lost / 240, ends.low, ends.high)
        wrong.append(not found.low <= 0.2 <= found.high)
    judge("weakest point, most overconfident point: misses the truth (50 tried)", wrong, 0.05, tell)


def test_no_edit_surely_redirects_half_where_none_does(tell: Tell) -> None:
    wrong = []
    floor = pd.DataFrame({"target": "a", "budget": [0.1], "bound": [0.0], "bound_all_rows": [0.0]})
    for generator in generators(1000):
        hits = generator.binomial(150, 0.5 - 1e-9, size=60)
        ends = wilson(hits, 150)
        table = pd.DataFrame({"redirect_rate": hits / 150}).assign(
            redirect_low=ends.low,
            redirect_high=ends.high,
            space="universal",
            target="a",
            budget=1.0,
        )
        found = head_edit(table.reindex(columns=BUDGETS.names), floor)
        wrong.append(not np.isnan(found.high))
    judge("an edit of … surely redirects half: none does (60 tried)", wrong, 0.05, tell)


# ---- groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 10, 25, 50])
def test_few_groups(count: int, tell: Tell) -> None:
    wrong = []
    for generator in generators(1000):
        sizes = generator.integers(5, 15, count)
        rates = generator.beta(4.0, 1.5, count)
        groups = np.repeat(np.arange(count), sizes)
        right = generator.random(len(groups)) < rates[groups]
        resampled = resampled_weights(
            np.zeros(len(groups), dtype=np.int64), np.ones(len(groups)),
            groups=groups, resamples=400, seed=int(generator.integers(1 << 30)),
        )  # fmt: skip
        low, high = interval(weighted_shares(right[None], resampled)[0])
        wrong.append(not float(low) <= 4 / 5.5 <= float(high))
    judge(f"accuracy with {count} groups: misses the truth", wrong, 0.05, tell)
