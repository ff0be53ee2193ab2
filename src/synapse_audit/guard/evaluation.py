"""What a guard does against each attack, on the ``evaluate`` examples that it has never seen.

In: a guarded model, encoded examples, labels. Out: one table, a row per kind and size of attack:
what is left without a guard, behind ranges alone, with the hardened head and with the vote; how
often the detector raises an alarm and its area under the curve; how often canaries notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import nn

from synapse_audit.errors import ModelError
from synapse_audit.guard.adaptive import adaptive_attacks
from synapse_audit.guard.attacks import Attack, Attacked, all_attacks
from synapse_audit.guard.gradient import gradient_attacks
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.head_edits import head_edits
from synapse_audit.guard.heads import head_module
from synapse_audit.guard.measuring import UNKNOWN, Rate, Sample, named_rates, of_draws
from synapse_audit.guard.parts import SCORES
from synapse_audit.guard.spared import spared_noise
from synapse_audit.model import Batch, Encoded
from synapse_audit.model.activations import length_batches
from synapse_audit.progress import Progress, Silent
from synapse_audit.tables.guard import EVALUATION

ANSWERS = ("host", "ranges", "hardened", "vote")
"""Without a guard; behind ranges with the host's head, the hardened head, the vote."""

GRADIENT_EXAMPLES = 48
"""Examples that gradient attacks are measured on, at most."""


@dataclass(frozen=True)
class Examples:
    """What a guard is measured on."""

    encoded: Encoded
    rows: Int[np.ndarray, " examples"]
    """Numbers of the ``evaluate`` examples in the data."""
    labels: Int[np.ndarray, " examples"]
    weights: Float[np.ndarray, " examples"]


class Said(NamedTuple):
    """What was said of every example under one attack."""

    classes: Mapping[str, Int[np.ndarray, " examples"]]
    """``ANSWERS`` → predicted class."""
    scores: Float[np.ndarray, "examples scores"]
    """The guard's own three, or the one of another detector."""
    alarm: np.ndarray
    pooled: Sequence[Float[np.ndarray, "examples _"]]


def evaluate_guard(
    guarded: GuardedModel,
    examples: Examples,
    states: Sequence[Float[np.ndarray, "fit _"]],
    *,
    draws: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """One row per kind and size of attack; the first row has no attack.

    Args:
        states: pooled states of ``fit`` per place: what an attacker may know of clean inputs.
        draws: of each random attack.
    """
    whole = _Measured(guarded, examples, seed)
    layers = states[:-1]
    attacks = list(all_attacks(guarded.classifier, layers, draws=draws, seed=seed))
    attacks += list(spared_noise(guarded, draws=draws, seed=seed))
    attacks += list(adaptive_attacks(guarded, states))
    slow = list(gradient_attacks(guarded))
    rows = [whole.row(Attack("none", "", (_nothing,), on_weights=False), [whole.clean], [])]
    with (progress or Silent()).stage("attacks", len(attacks) + len(slow)) as advance:
        for measured, some in ((whole, attacks), (_few(guarded, examples, seed), slow)):
            for attack in some:
                rows += measured.rows(attack)
                advance(1)
    rows += head_edits(guarded, whole.clean.pooled[-1], states[-1], whole.sample)
    return pd.DataFrame(rows).reindex(columns=EVALUATION.names)


def _few(guarded: GuardedModel, examples: Examples, seed: int) -> _Measured:
    """Evenly spaced examples: each step of a gradient attack costs several passes."""
    n = len(examples.rows)
    at = np.linspace(0, n - 1, min(n, GRADIENT_EXAMPLES)).round().astype(int)
    parts = (examples.rows[at], examples.labels[at], examples.weights[at])
    return _Measured(guarded, Examples(examples.encoded, *parts), seed)


def _nothing(batch: Batch) -> AbstractContextManager[None]:
    return nullcontext()


class _Answering:
    """Asks host and guard about all examples under an attack."""

    def __init__(self, guarded: GuardedModel, examples: Examples) -> None:
        self.guarded, self.examples = guarded, examples
        found = {name: head_module(guarded.guard, name) for name in ("hardened", "vote")}
        self.heads: dict[str, nn.Module] = {n: h for n, h in found.items() if h is not None}
        order = np.arange(len(examples.rows))
        lengths = examples.encoded.lengths[examples.rows]
        self.batches = [
            (at, guarded.classifier.collate(examples.encoded, examples.rows[at]))
            for at in length_batches(lengths, order, batch_size=None)
        ]

    @torch.no_grad()
    def under(self, attack: Attacked) -> Said:
        n = len(self.examples.rows)
        classes = {name: np.zeros(n, np.int64) for name in ANSWERS}
        columns = len(SCORES) if self.guarded.scores is self.guarded.own_scores else 1
        scores, alarm = np.zeros((n, columns)), np.zeros(n, bool)
        pooled: list[np.ndarray] = []
        model = self.guarded
        for at, batch in self.batches:
            with attack(batch):
                classes["host"][at] = _first(model.decided(model.host(**batch)))
                seen = model.look(batch)
            classes["ranges"][at] = _first(seen.logits)
            for name, head in self.heads.items():
                if seen.head_input is not None:
                    classes[name][at] = _first(head(seen.head_input.float()))
            scores[at] = model.scores.scaled(seen.pooled).cpu().numpy()
            combined = torch.from_numpy(scores[at].max(axis=1).astype(np.float32))
            p_value = model.scores.p_values(combined.to(model.scores.calibration))
            alarm[at] = (p_value <= model.guard.detector.false_alarm_rate).cpu().numpy()
            for place, state in enumerate(seen.pooled):
                if len(pooled) <= place:
                    pooled.append(np.zeros((n, state.shape[1]), np.float32))
                pooled[place][at] = state.float().cpu().numpy()
        return Said(classes, scores, alarm, pooled)

    def canaries_notice(self, attack: Attacked) -> bool:
        _, batch = self.batches[0]
        with attack(batch):
            try:
                self.guarded.ask_canaries()
            except ModelError:
                return True
        return False


def _first(logits: torch.Tensor) -> np.ndarray:
    """Class with the highest logit; one that is no number counts as none of the others."""
    found: np.ndarray = logits.nan_to_num(nan=-torch.inf).argmax(dim=1).cpu().numpy()
    return found


class _Measured:
    """Figures of attacks on the same examples."""

    def __init__(self, guarded: GuardedModel, examples: Examples, seed: int) -> None:
        self.answering = _Answering(guarded, examples)
        self.sample = Sample(examples.weights, seed)
        self.clean = self.answering.under(_nothing)

    def rows(self, attack: Attack) -> Iterator[dict[str, Any]]:
        """One row, and one in which alarms stop the attack where it asks for that."""
        said = [self.answering.under(draw) for draw in attack.draws]
        caught = [self.answering.canaries_notice(d) for d in attack.draws if attack.on_weights]
        yield self.row(attack, said, caught)
        if attack.if_alarms_stop:
            stopped = attack._replace(kind=attack.if_alarms_stop, alarms_stop=True)
            yield self.row(stopped, said, caught)

    def row(self, attack: Attack, said: Sequence[Said], caught: Sequence[bool]) -> dict[str, Any]:
        """Accuracy under an attack, or the rate of redirected examples where it has a target."""
        facts = {
            "kind": attack.kind,
            "setting": attack.setting,
            "measure": "redirect" if attack.targets else "accuracy",
            "adaptive": attack.kind.startswith("adaptive"),
            "draws": len(said),
            "starts": attack.starts,
            "steps": attack.steps,
            "n": len(self.answering.examples.rows),
        }
        rates = {name: self._answer(name, attack, said) for name in ANSWERS}
        rates["detected"] = self.sample.rate(np.stack([one.alarm for one in said]))
        rates["canaries"] = of_draws(np.array(caught, float)) if attack.on_weights else UNKNOWN
        if attack.kind == "none":
            return facts | named_rates(rates | {"auc": UNKNOWN})
        attacked = np.stack([one.scores for one in said])  # draws, examples, scores
        clean = self.clean.scores
        rates["auc"] = self.sample.area(attacked.max(axis=2), clean.max(axis=1))
        areas = {
            f"auc_{name}": self.sample.area(attacked[:, :, i], clean[:, i]).value
            for i, name in enumerate(SCORES[: clean.shape[1]] if clean.shape[1] > 1 else ())
        }
        return facts | named_rates(rates) | areas

    def _answer(self, name: str, attack: Attack, said: Sequence[Said]) -> Rate:
        found = np.stack([one.classes[name] for one in said])
        stopped = np.stack([one.alarm for one in said]) & (attack.alarms_stop and name != "host")
        if not attack.targets:
            return self.sample.rate((found == self.answering.examples.labels) | stopped)
        target = np.array(attack.targets)[:, None]
        return self.sample.rate(
            (found == target) & ~stopped, self.clean.classes[name][None] != target
        )


def rows_of(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows as JSON has them: unknown is null."""
    for row in table.to_dict("records"):
        yield {str(k): None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}
