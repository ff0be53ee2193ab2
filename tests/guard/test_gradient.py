"""Gradient attacks keep to their box; who knows the guard does at least what others do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from synapse_audit.guard import load_guarded
from synapse_audit.guard.attacks import Attacked
from synapse_audit.guard.boxes import (
    EMBEDDINGS,
    SPARED_EMBEDDINGS,
    STATES,
    changes_toward,
    open_box,
)
from synapse_audit.guard.climbing import Target
from synapse_audit.guard.gradient import adaptive_attack, gradient_attacks, plain_attack
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.silent_changes import STARTS, best_of_starts
from synapse_audit.guard.spared import free_to_move, spared_noise
from synapse_audit.model import BLOCK_OUTPUT, Batch
from synapse_audit.model.hooks import count_hooks, hook_at_points

from .conftest import Guarded


def _states(guarded: GuardedModel, batch: Batch, layer: int) -> torch.Tensor:
    found = []
    point = guarded.classifier.point(BLOCK_OUTPUT, layer)
    with torch.no_grad(), hook_at_points([(point, lambda s: found.append(s.clone()))]):
        guarded.host(**batch)
    return found[0]


@pytest.fixture
def asked(made: Guarded) -> tuple[GuardedModel, Batch]:
    guarded = load_guarded(made.classifier, made.folder)
    return guarded, dict(made.classifier.collate(made.encoded, made.clean.evaluate[:12]))


def test_embeddings_stay_in_their_box(asked: tuple[GuardedModel, Batch]) -> None:
    guarded, batch = asked
    clean, hooks = _states(guarded, batch, 0), count_hooks(guarded.host)
    width = 0.1 * float(clean.square().mean().sqrt())
    with plain_attack(guarded, EMBEDDINGS, 0.1, steps=4)(batch):
        moved = (_states(guarded, batch, 0) - clean).abs()
    assert 0.1 * width < float(moved.max()) < 1.001 * width
    assert count_hooks(guarded.host) == hooks
    assert_allclose(_states(guarded, batch, 0), clean)


@pytest.mark.parametrize("attack", ["known", "spared"])
def test_what_never_varies_of_the_embeddings_is_left_alone(
    asked: tuple[GuardedModel, Batch], attack: str
) -> None:
    """The first token is [CLS] in every text; a move of it raises an alarm."""
    guarded, batch = asked
    clean = _states(guarded, batch, 0)
    known = adaptive_attack(guarded, EMBEDDINGS, 0.3, steps=2)
    with (
        known(batch) if attack == "known" else plain_attack(guarded, SPARED_EMBEDDINGS, 0.3)(batch)
    ):
        moved = (_states(guarded, batch, 0) - clean).abs()
    assert float(moved[:, 0].max()) == 0
    assert float(moved[:, 1].max()) > 0
    with plain_attack(guarded, EMBEDDINGS, 0.3)(batch):
        assert float((_states(guarded, batch, 0) - clean)[:, 0].abs().max()) > 0
        assert bool(guarded(**batch).alarm.any())


def test_what_varies_of_the_pooled_token_is_not_left_alone(made: Guarded) -> None:
    scorer = made.guard.detector.scorers[0]
    spread = scorer.spread.copy()
    spread[::2] = 1.0
    scorers = (replace(scorer, spread=spread), *made.guard.detector.scorers[1:])
    guard = replace(made.guard, detector=replace(made.guard.detector, scorers=scorers))
    guarded = GuardedModel(made.classifier, guard)
    batch = dict(made.classifier.collate(made.encoded, made.clean.evaluate[:3]))
    free = free_to_move(guarded, batch, _states(guarded, batch, 0))
    assert_array_equal(free[:, 0, 1::2], 0)
    assert_array_equal(free[:, 0, ::2], 1)
    assert_array_equal(free[:, 1:], 1)


def test_rows_that_spare_a_token_are_measured_where_one_never_varies(made: Guarded) -> None:
    guarded = load_guarded(made.classifier, made.folder)
    kinds = [attack.kind for attack in gradient_attacks(guarded)]
    noises = [*spared_noise(guarded, draws=2, seed=0)]
    assert kinds.count("gradient, embeddings, pooled token left alone") == 2
    assert [len(one.draws) for one in noises] == [2, 2]
    # In a folder of the first layout it does not count, and nobody has to leave it alone.
    scorer = made.guard.detector.scorers[0]
    blind = (replace(scorer, unit=scorer.spread), *made.guard.detector.scorers[1:])
    guard = replace(made.guard, detector=replace(made.guard.detector, scorers=blind))
    guarded = GuardedModel(made.classifier, guard)
    assert not any("left alone" in one.kind for one in gradient_attacks(guarded))
    assert not [*spared_noise(guarded, draws=2, seed=0)]


def test_noise_leaves_what_is_not_free_to_move_alone(asked: tuple[GuardedModel, Batch]) -> None:
    guarded, batch = asked
    clean = _states(guarded, batch, 0)
    with next(spared_noise(guarded, draws=1, seed=0)).draws[0](batch):
        moved = (_states(guarded, batch, 0) - clean).abs()
    assert float(moved[:, 0].max()) == 0 and float(moved[:, 1].min()) > 0


def test_states_stay_in_their_ranges(asked: tuple[GuardedModel, Batch]) -> None:
    guarded, batch = asked
    clean = guarded.look(batch).pooled
    with adaptive_attack(guarded, STATES, 0.5, steps=4)(batch):
        attacked = guarded.look(batch).pooled
    spread = np.where(np.isfinite(s := guarded.guard.detector.scorers[1].spread), s, 0)
    ends = [getattr(guarded.guard.ranges, end)[1] for end in ("low", "high")]
    moved = np.abs(attacked[1].numpy() - np.clip(clean[1].numpy(), *ends))
    assert (moved <= 0.5 * spread + 1e-5).all() and moved.any()
    for layer in range(1, guarded.classifier.n_layers + 1):
        low, high = (getattr(guarded.guard.ranges, end)[layer] for end in ("low", "high"))
        state = attacked[layer].numpy()
        assert (state >= low - 1e-6).all() and (state <= high + 1e-6).all()


def _broken(guarded: GuardedModel, batch: Batch, attack: Attacked) -> dict[str, torch.Tensor]:
    """Examples whose answer an attack changes, and which of them raise no alarm."""
    clean = guarded(**batch).logits.argmax(dim=1)
    with attack(batch):
        found = guarded(**batch)
    changed = found.logits.argmax(dim=1) != clean
    return {"changed": changed, "silently": changed & ~found.alarm}


@pytest.mark.parametrize("what", [EMBEDDINGS, STATES])
def test_what_the_plain_attack_does_silently_is_not_missed(
    asked: tuple[GuardedModel, Batch], what: str
) -> None:
    """An example counts by its best start, and one start is the end of the plain attack."""
    guarded, batch = asked
    plain = _broken(guarded, batch, plain_attack(guarded, what, 0.6))
    known = _broken(guarded, batch, adaptive_attack(guarded, what, 0.6, steps=2))
    assert bool((known["silently"] | ~plain["silently"]).all())


@pytest.mark.parametrize("what", [EMBEDDINGS, STATES])
def test_without_the_alarm_it_is_at_least_as_strong_as_the_plain_attack(
    asked: tuple[GuardedModel, Batch], what: str
) -> None:
    guarded, batch = asked
    plain = _broken(guarded, batch, plain_attack(guarded, what, 0.6))["changed"]
    free = adaptive_attack(guarded, what, 0.6, steps=2, limit=torch.inf)
    known = _broken(guarded, batch, free)["changed"]
    assert bool(plain.any())
    assert bool((known | ~plain).all())


def test_inside_the_ranges_alone_every_answer_is_changed(asked: tuple[GuardedModel, Batch]) -> None:
    """States may go to the mean of another class, which raises no alarm."""
    guarded, batch = asked
    found = _broken(guarded, batch, adaptive_attack(guarded, STATES, torch.inf, steps=4))
    assert float(found["silently"].float().mean()) >= 0.95


@pytest.mark.parametrize("what", [EMBEDDINGS, STATES])
def test_a_larger_box_holds_more_changes(asked: tuple[GuardedModel, Batch], what: str) -> None:
    guarded, batch = asked
    broken = [
        int(_broken(guarded, batch, adaptive_attack(guarded, what, s, steps=2))["silently"].sum())
        for s in (0.02, 0.5, 1.2)
    ]
    assert broken == sorted(broken) and broken[0] < broken[-1]


def test_who_knows_the_guard_is_seen_less(asked: tuple[GuardedModel, Batch]) -> None:
    guarded, batch = asked
    plain = _broken(guarded, batch, plain_attack(guarded, STATES, 1.0))
    known = _broken(guarded, batch, adaptive_attack(guarded, STATES, 1.0, steps=4))
    assert int(known["silently"].sum()) > int(plain["silently"].sum())


def test_an_example_keeps_its_own_best_start(asked: tuple[GuardedModel, Batch]) -> None:
    """A start that leads nowhere spoils nothing that another one found."""
    guarded, batch = asked
    box = open_box(guarded, batch, STATES, 0.6)
    target = Target.of(guarded, batch, box, limit=guarded.scores.threshold(0.05))
    good, bad = STARTS[STATES]["nearest class"], STARTS[STATES]["no change"]
    worth = []
    for starts in ([good], [good, bad], [bad, good]):
        with torch.enable_grad():
            met = target.met(best_of_starts(target, starts, 4))
        worth.append(torch.where(met.margin > 0, met.excess, torch.inf).detach())
    assert bool((worth[1] <= worth[0] + 1e-3).all() and (worth[2] <= worth[0] + 1e-3).all())
    assert bool(torch.isfinite(worth[0]).any())


def test_changes_toward_a_class_end_at_its_mean(asked: tuple[GuardedModel, Batch]) -> None:
    """Without a limit; means of clean states lie inside their ranges."""
    guarded, batch = asked
    box = open_box(guarded, batch, STATES, torch.inf)
    chosen = torch.arange(12) % len(guarded.guard.detector.scorers[1].centres)
    found = changes_toward(guarded, batch, torch.inf, chosen)
    with torch.no_grad(), box.changed(batch, found):
        pooled = guarded.look(batch).pooled
    for layer in range(1, guarded.classifier.n_layers + 1):
        scorer = guarded.guard.detector.scorers[layer]
        varies = np.isfinite(scorer.spread)
        assert_allclose(
            pooled[layer].numpy()[:, varies], scorer.centres[chosen][:, varies], atol=1e-4
        )


def test_more_steps_do_not_undo_what_few_found(asked: tuple[GuardedModel, Batch]) -> None:
    """An attack that reached its end is not carried further."""
    guarded, batch = asked
    few = _broken(guarded, batch, adaptive_attack(guarded, EMBEDDINGS, 0.4, steps=2))["silently"]
    many = _broken(guarded, batch, adaptive_attack(guarded, EMBEDDINGS, 0.4, steps=4))["silently"]
    assert bool(few.any())
    assert int(many.sum()) >= int(few.sum())
