"""Samples for cells that only exact passes can answer: who is drawn, and for how many."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from synapse_audit.artifacts import Pooled
from synapse_audit.plan import STREAM, SUFFIX, TWO_PHASE, make_plan
from synapse_audit.progress import Silent
from synapse_audit.sweep import (
    Sampled,
    draw_blocks,
    draw_halves,
    draw_sample,
    halved,
    sampling,
    subsample,
    sweep,
    sweep_two_phase,
)
from synapse_audit.sweep.sampling import (
    DOUBTFUL,
    LEAST_STRATUM,
    SURE,
    WRONG,
    Sample,
    allocation,
    strata_of,
)

from .rigs import Rig, silence


def _logits(labels: np.ndarray, margin: np.ndarray, classes: int = 3) -> np.ndarray:
    logits = np.zeros((len(labels), classes), np.float32)
    logits[np.arange(len(labels)), labels] = margin
    return logits


def test_strata_are_classes_by_clean_answer_and_halves_of_the_sure() -> None:
    labels = np.repeat([0, 1], [100, 20])
    margin = np.concatenate([[-1.0] * 10, np.linspace(1, 2, 90), [3.0] * 20])
    strata = strata_of(labels, _logits(labels, margin), 100)
    assert np.bincount(strata).tolist() == [10, 45, 45, 20]
    assert (strata[:10] == WRONG).all() and (strata[10:55] == DOUBTFUL).all()
    assert (strata[55:100] == SURE).all()


def test_small_strata_of_several_classes_are_joined_but_never_right_with_wrong() -> None:
    labels = np.repeat(np.arange(40), 4)
    margin = np.tile([-1.0, 1.0, 1.0, 1.0], 40)
    strata = strata_of(labels, _logits(labels, margin, 40), 60)
    assert np.bincount(strata).tolist() == [120, 40] or np.bincount(strata).tolist() == [40, 120]
    assert len({(int(s), m > 0) for s, m in zip(strata, margin, strict=True)}) == 2


def test_a_model_that_is_never_right_has_one_stratum_of_wrong_answers() -> None:
    """A label map of another model: every class is small and all of it wrong."""
    labels = np.repeat(np.arange(20), LEAST_STRATUM - 3)
    assert (strata_of(labels, _logits(labels, np.full(len(labels), -1.0), 20), 60) == 0).all()


def test_with_many_classes_strata_are_those_of_the_clean_answer() -> None:
    labels = np.repeat(np.arange(40), 25)
    margin = np.tile(np.linspace(-0.2, 2, 25), 40)
    strata = strata_of(labels, _logits(labels, margin, 40), 100)
    assert len(np.unique(strata)) * LEAST_STRATUM <= 100


def test_halves_go_before_classes_where_a_sample_is_small() -> None:
    labels = np.repeat([0, 1, 2], 60)
    margin = np.tile(np.concatenate([[-1.0] * 4, np.linspace(1, 2, 56)]), 3)
    sizes = [len(np.unique(strata_of(labels, _logits(labels, margin), n))) for n in (60, 40, 30)]
    # Wrong answers of all classes; rights of three in halves, of three whole, of all in halves.
    assert sizes == [7, 4, 3]


def test_allocation_by_hand() -> None:
    """Roots 20, 10, 2 and 1 of 33: 60.6, 30.3, 6.1 and 3.0 of a hundred; eight at least."""
    assert allocation(np.array([400, 100, 4, 1]), 100).tolist() == [61, 30, 4, 1]
    assert allocation(np.array([10_000, 9]), 50).tolist() == [49, 8]


def test_each_stands_for_as_many_as_its_stratum_has_per_example_drawn() -> None:
    generator = np.random.default_rng(0)
    labels = np.sort(generator.integers(0, 3, 900))
    logits = _logits(labels, generator.normal(1.0, 1.0, 900))
    rows = np.arange(0, 1800, 2)
    numbers = subsample.subsampling(rows, labels, precision=0.01, seed=1).numbers
    sample = draw_sample(rows, labels, logits, numbers=numbers, size=250)
    assert sample is not None
    drawn = sample.design_weight > 0
    assert sample.rows.tolist() == rows[drawn].tolist() and 240 <= drawn.sum() <= 270
    for stratum in np.unique(sample.strata):
        mine = sample.strata == stratum
        assert sample.design_weight[mine].sum() == pytest.approx(mine.sum(), rel=1e-5)
        assert (np.sort(numbers[mine & drawn]) < numbers[mine & ~drawn].min()).all()
    assert draw_sample(rows, labels, logits, numbers=numbers, size=720) is None


def test_halves_of_a_sample_share_nothing_but_small_strata_and_each_stands_for_all() -> None:
    generator = np.random.default_rng(0)
    labels = np.sort(generator.integers(0, 3, 900))
    logits = _logits(labels, generator.normal(1.0, 1.0, 900))
    rows = np.arange(0, 1800, 2)
    numbers = subsample.subsampling(rows, labels, precision=0.01, seed=1).numbers
    sample = draw_sample(rows, labels, logits, numbers=numbers, size=250, parts=2)
    assert sample is not None
    pools = {str(place): Pooled(5, place) for place in range(5)} | {"few": Pooled(3, 0)}
    halves = draw_halves(sample, numbers, halved(pools))
    assert [sorted(half.actions) for half in halves] == [["0", "2", "4"], ["1", "3"]]
    drawn = sample.design_weight > 0
    met = np.stack([half.sample.design_weight > 0 for half in halves])
    assert (met.any(axis=0) == drawn).all()
    sizes = np.bincount(sample.strata, drawn)
    members = np.bincount(sample.strata)
    assert sizes.min() >= min(2 * LEAST_STRATUM, members.min())
    assert (met.all(axis=0) == drawn & (sizes < 2 * LEAST_STRATUM)[sample.strata]).all()
    for half in halves:
        stands = np.bincount(sample.strata, half.sample.design_weight)
        np.testing.assert_allclose(stands, members, rtol=1e-5)
        assert half.sample.rows.tolist() == rows[half.sample.design_weight > 0].tolist()
        each = np.bincount(sample.strata, half.sample.design_weight > 0)
        assert np.abs(each - np.where(sizes < 16, sizes, sizes / 2)).max() <= 0.5
    assert draw_halves(sample, numbers, halved({"few": Pooled(3, 0)})) == ()


def test_a_sampled_cell_has_its_own_outcomes_there_and_the_clean_answer_elsewhere(
    rig: Rig,
) -> None:
    n = len(rig.rows)
    cells = [silence("zero", {1: range(n)}) for n in (16, 24, 32)]
    cells += [silence("mean", {2: range(16)}, position="all")]
    plan = make_plan(cells, 3, frozenset({STREAM, SUFFIX}))
    drawn = np.arange(n) % 3 == 0
    weight = np.where(drawn, n / drawn.sum(), 0).astype(np.float32)
    zeros = np.zeros(n, np.int64)
    sample = Sample(rig.rows[drawn], weight, zeros, zeros + 1)
    action = cells[-1].action
    assert plan.tiers[action] == "exact-only" and plan.tiers[cells[0].action] == "comparator"
    chosen = subsample.subsampling(rig.rows, rig.labels, precision=0.01, seed=0)
    given: dict[str, Any] = {
        "progress": Silent(),
        "sampled": [Sampled(sample, frozenset({action}))],
    }
    with rig.engine() as engine:
        whole = sweep(engine, rig.encoded, plan, rig.labels, rows=rig.rows)
        routed, found = sweep_two_phase(
            engine, rig.encoded, plan, rig.labels, chosen=chosen, **given
        )
    direct, row = found.direct, found.row[action]
    assert direct is not None and direct.sampled.tolist().count(0) == 1
    assert direct.sampled[row] == 0 and direct.n_exact[row] == drawn.sum()
    assert routed.routes[action] == SUFFIX != TWO_PHASE
    for name in ("predicted", "margin", "kl"):
        expected = getattr(whole, name)[whole.row[action]][drawn]
        np.testing.assert_allclose(getattr(found, name)[row][drawn], expected, atol=1e-4)
    assert (found.predicted[row][~drawn] == 1).all() and (found.kl[row][~drawn] == 0).all()
    assert np.isnan(found.margin[row][~drawn]).all()
    for cell in cells[:3]:
        here, there = found.row[cell.action], whole.row[cell.action]
        exact = direct.design_weight[here] > 0
        np.testing.assert_allclose(
            found.margin[here][exact], whole.margin[there][exact], atol=1e-4, rtol=1e-5
        )


def _dealt(rows: np.ndarray, pools: dict[str, Pooled], pilot: int = 50) -> Any:
    labels = np.repeat([0, 1], [len(rows) - 60, 60])
    logits = _logits(labels, np.random.default_rng(1).normal(1.0, 1.0, len(rows)))
    chosen = subsample.subsampling(rows, labels, precision=0.01, seed=2)
    chosen = replace(chosen, pools=pools, pilot=pilot)
    return chosen, draw_blocks(chosen, labels, logits)


def test_every_example_meets_a_quarter_of_the_sets_and_the_reverse() -> None:
    pools = {str(place): Pooled(20, place) for place in range(20)} | {"few": Pooled(3, 1)}
    chosen, blocks = _dealt(np.arange(800), pools)
    assert [sorted(map(int, one.actions)) for one in blocks] == [
        list(range(b, 20, 4)) for b in range(4)
    ]
    met = np.stack([one.sample.design_weight > 0 for one in blocks])
    strata = blocks[0].sample.strata
    whole = np.isin(chosen.rows, chosen.tail) | (np.bincount(strata)[strata] < 32)
    assert (met[:, whole]).all() and (met[:, ~whole].sum(axis=0) == 1).all()
    for one in blocks:
        stands = one.sample.design_weight
        np.testing.assert_allclose(np.bincount(strata, stands), np.bincount(strata), rtol=1e-6)
        assert (
            stands[whole].tolist() == [1.0] * whole.sum()
            and stands[~whole & (stands > 0)].min() > 3
        )


def test_of_few_sets_every_one_meets_half_of_the_examples() -> None:
    pools = {str(place): Pooled(5, place) for place in range(5)}
    chosen, blocks = _dealt(np.arange(800), pools)
    assert [sorted(map(int, one.actions)) for one in blocks] == [[0, 2, 4], [1, 3]]
    met = np.stack([one.sample.design_weight > 0 for one in blocks])
    strata = blocks[0].sample.strata
    whole = np.isin(chosen.rows, chosen.tail) | (np.bincount(strata)[strata] < 16)
    assert (met.sum(axis=0) == np.where(whole, 2, 1)).all() and 60 < whole.sum() < 300
    for one in blocks:
        stands = np.bincount(strata, one.sample.design_weight)
        np.testing.assert_allclose(stands, np.bincount(strata), rtol=1e-6)


def test_nothing_is_dealt_without_large_pools_or_enough_examples() -> None:
    few = {str(place): Pooled(3, place) for place in range(3)}
    many = {str(place): Pooled(20, place) for place in range(20)}
    assert _dealt(np.arange(800), few)[1] == ()
    assert _dealt(np.arange(399), many)[1] == ()
    assert _dealt(np.arange(800), many, pilot=800)[1] == ()


def test_a_dealt_set_holds_both_phases_where_it_was_met(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all that was met ran exactly too, the outcomes are those of the exact route."""
    monkeypatch.setattr(subsample, "LEAST_SAMPLE", 2)
    monkeypatch.setattr(sampling, "LEAST_DEALT", 4)
    monkeypatch.setattr(sampling, "LEAST_STRATUM", 2)
    n = len(rig.rows)
    cells = [silence("zero", {1: range(k, k + 16)}) for k in range(12)]
    plan = make_plan(cells, 3, frozenset({STREAM, SUFFIX}))
    pools = {cell.action: Pooled(8, place) for place, cell in enumerate(cells[:8])}
    chosen = subsample.subsampling(rig.rows, rig.labels, precision=0.3, seed=0)
    chosen = replace(chosen, pilot=4, pools=pools)
    logits = np.zeros((n, 4), np.float32)
    logits[np.arange(n), rig.labels] = 1 + np.arange(n) % 3
    blocks = draw_blocks(chosen, rig.labels, logits)
    assert len(blocks) == 4 and 4 < len(blocks[0].sample.rows) < n
    with rig.engine() as engine:
        whole = sweep(engine, rig.encoded, plan, rig.labels, rows=rig.rows)
        routes = dict.fromkeys(plan.routes, STREAM)
        stream = sweep(engine, rig.encoded, plan.rerouted(routes), rig.labels, rows=rig.rows)
        given: dict[str, Any] = {"chosen": chosen, "sampled": blocks, "progress": Silent()}
        _, found = sweep_two_phase(engine, rig.encoded, plan, rig.labels, **given)
    direct = found.direct
    assert direct is not None and direct.inclusion is not None
    assert sorted(direct.sampled.tolist()) == sorted([-1] * 4 + [0, 0, 1, 1, 2, 2, 3, 3])
    for action in found.actions:
        row = found.row[action]
        number = direct.sampled[row]
        met = np.ones(n) if number < 0 else direct.inclusion[number]
        exact = direct.design_weight[row] > 0
        assert not (exact & (met == 0)).any()
        expected = np.where(
            exact, whole.margin[whole.row[action]], stream.margin[stream.row[action]]
        )
        got = found.margin[row]
        np.testing.assert_allclose(got[met > 0], expected[met > 0], atol=1e-4, rtol=1e-5)
        assert np.isnan(got[met == 0]).all()
        said = stream.predicted[stream.row[action]]
        assert (direct.predicted[row][met > 0] == said[met > 0]).all()
