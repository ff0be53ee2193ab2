"""Gradient attacks on a guarded model, by an attacker who knows the guard and by one who does not.

In: a guarded model. Out: :class:`~synapse_audit.guard.attacks.Attack` records without a target;
each changes embeddings or pooled states inside a box (:mod:`synapse_audit.guard.boxes`).

Who does not know the guard climbs the margin of the strongest other class of the host alone:
projected gradient ascent (Madry et al. 2018), one start
(:func:`~synapse_audit.guard.climbing.climb_margin`). Who knows it differentiates through ranges,
head and detector too, and searches a change of the answer without an alarm from several starts
(:mod:`synapse_audit.guard.silent_changes`). Of embeddings such a one leaves alone what never varies
over clean inputs, since the detector sees every change there; somebody who knows the host alone and
happens to do so is measured too.

Limits: such an ascent finds changes, and proves nothing where it finds none. Of a guard that
answers by vote the host's head is differentiated; ranges per class are not. Another package's
detector gives no gradients: the attack goes through the guard's own scores, keeps what raises no
alarm of the other, and is called after that. It is weaker than one through that detector would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from synapse_audit.guard.attacks import Attack, Attacked
from synapse_audit.guard.boxes import (
    EMBEDDINGS,
    SPARED_EMBEDDINGS,
    STATES,
    UNITS,
    Box,
    Changes,
    open_box,
)
from synapse_audit.guard.climbing import PLAIN_STEPS, Target, climb_margin
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.silent_changes import STARTS, STEPS, best_of_starts
from synapse_audit.guard.spared import never_varied
from synapse_audit.model import Batch

ROOM = 0.98
"""Share of the threshold that an attacker who knows it stays below."""
SIZES = {EMBEDDINGS: (0.1, 0.3), STATES: (0.5, 1.0)}
UNSEEN_BY = {EMBEDDINGS: SPARED_EMBEDDINGS}
"""What is changed → what of it an attacker changes who must raise no alarm."""


def gradient_attacks(guarded: GuardedModel) -> Iterator[Attack]:
    """Each kind of change at each size, without and with knowledge of the guard."""
    own = guarded.scores is guarded.own_scores
    name = "adaptive gradient" if own else "adaptive gradient by the guard's own scores"
    for what, sizes in SIZES.items():
        for size in sizes:
            setting = f"{size:g} of the {UNITS[what]}"
            for part in _parts(guarded, what):
                plain = plain_attack(guarded, part, size)
                yield _attack(f"gradient, {part}", setting, plain, starts=1, steps=PLAIN_STEPS)
            known = adaptive_attack(guarded, what, size)
            starts = len(STARTS[what])
            yield _attack(f"{name}, {what}", setting, known, starts=starts, steps=STEPS)


def _parts(guarded: GuardedModel, what: str) -> tuple[str, ...]:
    """All that can be changed; and without what never varies, where there is any of that."""
    spared = what in UNSEEN_BY and never_varied(guarded).any()
    return (what, UNSEEN_BY[what]) if spared else (what,)


def _attack(kind: str, setting: str, attacked: Attacked, *, starts: int, steps: int) -> Attack:
    return Attack(
        kind,
        setting,
        (attacked,),
        on_weights=False,
        if_alarms_stop=f"{kind}, below the threshold",
        starts=starts,
        steps=steps,
    )


def plain_attack(
    guarded: GuardedModel, what: str, size: float, *, steps: int = PLAIN_STEPS
) -> Attacked:
    """The attack on one batch by somebody who knows the host alone, found when it is entered.

    Args:
        what: ``EMBEDDINGS``, ``SPARED_EMBEDDINGS`` or ``STATES``.
        size: half the width of the box.
    """

    def search(batch: Batch, box: Box) -> Changes:
        return climb_margin(Target.of(guarded, batch, box), steps)

    return _attacked(guarded, what, size, search)


def adaptive_attack(
    guarded: GuardedModel,
    what: str,
    size: float,
    *,
    steps: int = STEPS,
    limit: float | None = None,
) -> Attacked:
    """The attack on one batch by somebody who knows the guard, found when it is entered.

    Args:
        what: ``EMBEDDINGS`` or ``STATES``.
        size: half the width of the box.
        steps: from each start.
        limit: own score up to which no alarm is raised; None: a little below its threshold.
            Of embeddings all are moved where it is infinite, and no alarm has to be avoided.
    """
    if limit is None:
        limit = ROOM * guarded.own_scores.threshold(guarded.guard.detector.false_alarm_rate)

    def search(batch: Batch, box: Box) -> Changes:
        target = Target.of(guarded, batch, box, limit=limit)
        return best_of_starts(target, [*STARTS[what].values()], steps)

    part = what if np.isinf(limit) else UNSEEN_BY.get(what, what)
    return _attacked(guarded, part, size, search)


def _attacked(
    guarded: GuardedModel, what: str, size: float, search: Callable[[Batch, Box], Changes]
) -> Attacked:
    @contextmanager
    def attack(batch: Batch) -> Iterator[None]:
        box = open_box(guarded, batch, what, size)
        with torch.enable_grad():
            found = search(batch, box)
        with box.changed(batch, found):
            yield

    return attack
