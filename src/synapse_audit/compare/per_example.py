"""What each example contributes to a figure, read from a run folder.

In: a run. Out: columns of numbers per example whose weighted sums give the figure, so that the
figure can be had again in any resample of the examples, or with the answers of two models swapped.
A figure without an entry in ``CONTRIBUTIONS``, or whose files a folder lacks, is compared as if
runs were independent; :class:`NotPaired` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, threshold_shift
from synapse_audit.compare.saved_answers import evaluated
from synapse_audit.effects import calibration as measures
from synapse_audit.effects.curves import PLATEAU_LOSS, TOLERANCE, where
from synapse_audit.effects.minimum_edit_norms import minimum_edit_norms, with_bias
from synapse_audit.effects.two_phase import phases
from synapse_audit.store import AuditResult
from synapse_audit.summary import Keys, fits

Column = Shaped[np.ndarray, " examples"]
Sums = Float[np.ndarray, "columns draws"]


NO_CONTRIBUTION = "runs do not hold it example by example"


class NotPaired(Exception):  # noqa: N818 (nobody's mistake: the figure is compared otherwise)
    """Why a figure cannot be had example by example from a run's folder."""


class Contribution(NamedTuple):
    """A figure as a function of weighted sums over examples; the last column marks who counts."""

    columns: Float[np.ndarray, "examples columns"]
    value: Callable[[Sums], Float[np.ndarray, " draws"]]
    gap: float = 0.0
    """How far above the value the truth may lie for the grid's sake."""
    below: float = 0.0
    """How far below it."""


@dataclass(frozen=True)
class Examples:
    """The evaluated examples of one run."""

    run: AuditResult

    @cached_property
    def table(self) -> pd.DataFrame:
        """Clean predictions."""
        return evaluated(self.run)

    @cached_property
    def labels(self) -> Int[np.ndarray, " examples"]:
        """True classes."""
        return self.table["label"].to_numpy(dtype=np.int64)

    @cached_property
    def predicted(self) -> Int[np.ndarray, " examples"]:
        """Classes that the untouched model names."""
        return self.table["predicted"].to_numpy(dtype=np.int64)

    @cached_property
    def right(self) -> Bool[np.ndarray, " examples"]:
        """Where that is the true class."""
        return np.asarray(self.predicted == self.labels)

    @cached_property
    def logits(self) -> Float[np.ndarray, "examples classes"]:
        """The untouched model's own, without thresholds."""
        names = [f"logit_{c}" for c in range(len(self.run.summary["classes"]))]
        if not {*names} <= {*self.table}:
            raise NotPaired("predictions.parquet holds no logits")
        return self.table[names].to_numpy()

    @cached_property
    def decision(self) -> Mapping[str, Any]:
        """How the classes are decided, where it is not by the highest of several logits."""
        held = self.run.manifest.get("decision")
        return held if isinstance(held, dict) else {}

    @cached_property
    def shift(self) -> Float[np.ndarray, " classes"] | None:
        """What decision thresholds add to the logits; None where there are none."""
        held = self.decision.get("thresholds") or {}
        return threshold_shift([held[name] for name in self.run.summary["classes"]] if held else [])

    @cached_property
    def confidence(self) -> Float[np.ndarray, " examples"]:
        """Probability of the class decided on."""
        return measures.answers(self.logits, shift=self.shift).confidence

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row per cell."""
        self.need("effects.parquet")
        return self.run.effects

    @property
    def benign(self) -> int:
        """Number of the class that means no alarm."""
        name = self.run.manifest["config"].get("benign")
        if name is None:
            raise NotPaired("no benign class is recorded in manifest.json")
        return self.number(name)

    def need(self, file: str) -> None:
        """Stops where the folder lacks a file, such as one deleted to save space."""
        if not (self.run.folder / file).is_file():
            raise NotPaired(f"a run folder has no {file}")

    def number(self, name: str) -> int:
        """Number of a class."""
        names = list(self.run.summary["classes"])
        if name not in names:
            raise NotPaired(f"a run has no class {name!r}")
        return names.index(name)

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Cells of the headline removal curve, by share."""
        rows = self.effects
        ranking = self.run.manifest["config"]["grid"]["rankings"][0]
        named = {"selection": "top", "ranking": ranking, "ranked_for": GLOBAL, "operator": "mean"}
        return where(rows[rows["group"].isin(REMOVAL_GROUPS)], named).sort_values("fraction")

    def after(
        self, cells: pd.DataFrame, mark: Callable[[np.ndarray], np.ndarray]
    ) -> Float[np.ndarray, "cells examples"]:
        """What predictions under these cells count as; corrected where they are estimates."""
        self.need("outcomes/predicted.npy")
        outcomes = self.run.outcomes
        return phases(outcomes, outcomes.rows(list(cells["action"]))).of(mark)

    @cached_property
    def silenced(self) -> Float[np.ndarray, "shares examples"]:
        """Who is right along the curve."""
        if not len(self.curve):
            raise NotPaired("a run has no headline removal curve")
        return self.after(self.curve, lambda predicted: predicted == self.labels)

    @cached_property
    def edit_norms(self) -> Float[np.ndarray, " examples"]:
        """Least edit of the head that changes each answer, relative to the head's own norm."""
        self.need("activations/head_input.npy")
        inputs = self.run._run.read_array("activations/head_input")
        norms = minimum_edit_norms(
            self.logits if self.shift is None else self.logits + self.shift,
            with_bias(np.asarray(inputs)[self.table["example"].to_numpy()]),
            one_output=self.decision.get("outputs") == 1,
        ).rows_l2
        norms[np.arange(len(norms)), self.predicted] = np.inf
        pushes = where(self.effects, {"group": "push", "operator": "push"})
        pushes = pushes[pushes["strength"] > 0]
        if not len(pushes):
            raise NotPaired("a run has no edits of the head, which say how large its head is")
        return np.asarray(norms.min(axis=1) / (pushes["budget_l2"] / pushes["strength"]).median())


# ---- figures -------------------------------------------------------------------------------------


def contribution(examples: Examples, keys: Keys) -> Contribution:
    """The figure with these keys.

    Raises:
        NotPaired: no figure of its kind is a sum over examples here, or the folder lacks what it
            takes. Files that are there but damaged are a ``RunFolderError``.
    """
    make = next((make for path, make in CONTRIBUTIONS.items() if fits(path, keys)), None)
    if make is None:
        raise NotPaired(NO_CONTRIBUTION)
    return make(examples, keys)


def _rate(values: Column, among: Column | None = None) -> Contribution:
    """A weighted mean of values over all or some examples."""
    kept = np.ones(len(values)) if among is None else among.astype(np.float64)
    return Contribution(np.stack([values * kept, kept], axis=1), quotient)


def quotient(sums: Sums) -> Float[np.ndarray, " draws"]:
    """The first sum per unit of the last; NaN where that is 0."""
    nothing = np.full(sums.shape[1], np.nan)
    return np.divide(sums[0], sums[-1], out=nothing, where=sums[-1] > 0)


def _margin(examples: Examples, keys: Keys) -> Contribution:
    return _rate(examples.table["margin"].to_numpy(dtype=np.float64))


def _calibration_error(examples: Examples, keys: Keys) -> Contribution:
    sure = examples.confidence
    bins = measures.equal_width(sure[None, :])[0]
    marked = bins[:, None] == np.arange(measures.BINS)
    gaps = marked * (examples.right - sure)[:, None]
    columns = np.concatenate([gaps, np.ones((len(sure), 1))], axis=1)
    return Contribution(columns, lambda sums: np.abs(sums[:-1]).sum(axis=0) / sums[-1])


def _overconfidence(examples: Examples, keys: Keys) -> Contribution:
    return _rate(examples.confidence - examples.right)


def _silenced_accuracy(examples: Examples, keys: Keys) -> Contribution:
    return _rate(examples.silenced[_place(examples.curve["fraction"], keys[2])])


def _fragility(examples: Examples, keys: Keys) -> Contribution:
    lost = examples.right - examples.silenced.mean(axis=0)
    return _rate(lost, examples.labels == examples.number(keys[2]))


def _plateau(examples: Examples, keys: Keys) -> Contribution:
    lost = examples.right - examples.silenced
    shares = np.concatenate([[0.0], examples.curve["fraction"].to_numpy(dtype=float)])
    ahead = np.append(np.diff(shares), 0.0)

    def steps(sums: Sums) -> Int[np.ndarray, " draws"]:
        held = sums[:-1] / sums[-1] <= PLATEAU_LOSS + TOLERANCE
        return np.cumprod(held, axis=0).sum(axis=0).astype(np.int64)

    columns = np.concatenate([lost, np.ones((1, lost.shape[1]))]).T
    weights = examples.table["weight"].to_numpy(dtype=np.float64)
    reached = int(steps((weights @ columns)[:, None])[0])
    return Contribution(columns, lambda sums: shares[steps(sums)], float(ahead[reached]))


def _half_point(examples: Examples, keys: Keys) -> Contribution:
    """Linear between the grid's points, of which the truth lies between two.

    Where half is lost at no share tried it is lost with all neurons silenced at the latest: then
    every input gets the same answer.
    """
    names = np.arange(len(examples.run.summary["classes"]))
    members = examples.labels[:, None] == names
    shares = np.concatenate([[0.0], examples.curve["fraction"].to_numpy(dtype=float), [1.0]])
    n = len(shares) - 2

    def at(sums: Sums) -> Float[np.ndarray, " draws"]:
        shared = sums / sums[-1]
        never = np.full_like(shared[:1], np.inf)
        lost = np.concatenate([np.zeros_like(never), shared[:n], never])
        level = (shared[n] - shared[n + 1 : -1].max(axis=0)) / 2
        right = np.maximum((lost >= level - TOLERANCE).argmax(axis=0), 1)
        before, after = (np.take_along_axis(lost, i[None], axis=0)[0] for i in (right - 1, right))
        rise = np.where(after > before, after - before, 1.0)
        part = np.where(np.isinf(after), 1.0, np.clip((level - before) / rise, 0.0, 1.0))
        return np.asarray(shares[right - 1] + part * (shares[right] - shares[right - 1]))

    lost = (examples.right - examples.silenced).T
    columns = np.concatenate(
        [lost, examples.right[:, None], members, np.ones((len(lost), 1))], axis=1
    )
    weights = examples.table["weight"].to_numpy(dtype=np.float64)
    value = float(at((weights @ columns)[:, None])[0])
    after = int(np.searchsorted(shares, value - TOLERANCE))
    return Contribution(columns, at, shares[after] - value, value - shares[max(after - 1, 0)])


def _redirect(examples: Examples, keys: Keys) -> Contribution:
    target = examples.number(keys[1])
    pushes = where(examples.effects, {"group": "push", "operator": "push", "selection": "top"})
    pushes = where(pushes, {"target": keys[1], "source": None})
    pushes = pushes[pushes["fraction"] == pushes["fraction"].max()]
    cell = pushes.iloc[[_place(pushes["strength"], keys[3])]]
    there = examples.after(cell, lambda predicted: predicted == target)[0]
    return _rate(there, examples.predicted != target)


def _certified(examples: Examples, keys: Keys) -> Contribution:
    return _rate(examples.right & (examples.edit_norms > float(keys[2])))


def _missed(examples: Examples, keys: Keys) -> Contribution:
    benign = examples.benign
    return _rate(examples.predicted == benign, examples.labels != benign)


def _false_alarm(examples: Examples, keys: Keys) -> Contribution:
    benign = examples.benign
    return _rate(examples.predicted != benign, examples.labels == benign)


def _place(sizes: pd.Series, written: str) -> int:
    """Where the size is that is written so in the figure's path."""
    found = [f"{size:g}" for size in sizes]
    if written not in found:
        raise NotPaired(f"a run has no experiment of size {written}")
    return found.index(written)


CONTRIBUTIONS: Mapping[str, Callable[[Examples, Keys], Contribution]] = {
    "clean.margin": _margin,
    "calibration.ece": _calibration_error,
    "calibration.overconfidence": _overconfidence,
    "redundancy.plateau": _plateau,
    "redundancy.half_point": _half_point,
    "silenced.accuracy.<share>": _silenced_accuracy,
    "asymmetry.fragility.<class>": _fragility,
    "vulnerability.<class>.redirect.<budget>": _redirect,
    "certificates.l2.<budget>": _certified,
    "detection.missed_alarm": _missed,
    "detection.false_alarm": _false_alarm,
}
"""Path of an entry → what gives its contributions."""
