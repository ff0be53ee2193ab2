"""Gradient attacks keep to their box, and one that knows the guard stays below its threshold."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from synapse_audit.guard import load_guarded
from synapse_audit.guard.gradient import EMBEDDINGS, STATES, gradient_attack
from synapse_audit.guard.guarded import GuardedModel
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
    return guarded, dict(made.classifier.collate(made.encoded, made.clean.evaluate[:24]))


def test_embeddings_stay_in_their_box(asked: tuple[GuardedModel, Batch]) -> None:
    guarded, batch = asked
    clean, hooks = _states(guarded, batch, 0), count_hooks(guarded.host)
    width = 0.1 * float(clean.square().mean().sqrt())
    with gradient_attack(guarded, EMBEDDINGS, 0.1, knows=False, steps=4)(batch):
        moved = (_states(guarded, batch, 0) - clean).abs()
    assert 0.1 * width < float(moved.max()) < 1.001 * width
    assert count_hooks(guarded.host) == hooks
    assert_allclose(_states(guarded, batch, 0), clean)


def test_states_stay_in_their_ranges(asked: tuple[GuardedModel, Batch]) -> None:
    guarded, batch = asked
    clean = guarded.look(batch).pooled
    with gradient_attack(guarded, STATES, 0.5, knows=True, steps=4)(batch):
        attacked = guarded.look(batch).pooled
    spread = np.where(np.isfinite(s := guarded.guard.detector.scorers[1].spread), s, 0)
    ends = [getattr(guarded.guard.ranges, end)[1] for end in ("low", "high")]
    moved = np.abs(attacked[1].numpy() - np.clip(clean[1].numpy(), *ends))
    assert (moved <= 0.5 * spread + 1e-5).all() and moved.any()
    for layer in range(1, guarded.classifier.n_layers + 1):
        low, high = (getattr(guarded.guard.ranges, end)[layer] for end in ("low", "high"))
        state = attacked[layer].numpy()
        assert (state >= low - 1e-6).all() and (state <= high + 1e-6).all()


def test_who_knows_the_guard_is_seen_less(asked: tuple[GuardedModel, Batch]) -> None:
    guarded, batch = asked
    clean = guarded(**batch).logits.argmax(dim=1)
    reached, alarms = {}, {}
    for knows in (False, True):
        with gradient_attack(guarded, STATES, 1.0, knows=knows)(batch):
            found = guarded(**batch)
        changed = found.logits.argmax(dim=1) != clean
        reached[knows] = int((changed & ~found.alarm).sum())
        alarms[knows] = int(found.alarm.sum())
    assert reached[True] > reached[False]
    assert alarms[True] < alarms[False]


def test_no_more_than_one_step_is_kept_than_needed(asked: tuple[GuardedModel, Batch]) -> None:
    """An attack that reached its end without an alarm is not carried further."""
    guarded, batch = asked
    clean = guarded(**batch).logits.argmax(dim=1)
    with gradient_attack(guarded, EMBEDDINGS, 0.3, knows=True, steps=2)(batch):
        few = guarded(**batch)
    with gradient_attack(guarded, EMBEDDINGS, 0.3, knows=True, steps=8)(batch):
        many = guarded(**batch)
    done = (few.logits.argmax(dim=1) != clean) & ~few.alarm
    assert bool(done.any())
    assert_allclose(many.logits[done], few.logits[done], atol=1e-4)
