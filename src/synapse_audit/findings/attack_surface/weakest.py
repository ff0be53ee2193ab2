"""The weakest point of every space: what breaks the model most cheaply, and what breaks it most.

In: the experiments of every space. Out: per space the cheapest experiment that halves the accuracy
above chance, the cheapest that sends half of the other examples to one class, the largest loss of
accuracy and, where a benign class was named, the most attacks let through. Each was picked among
many, so its interval holds for all of that space at once; the sizes that surely suffice hold for
all spaces and both questions at once, since the smallest of those is what is read first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.curves import TOLERANCE
from synapse_audit.effects.estimates import Estimates
from synapse_audit.effects.redirect_rates import missed
from synapse_audit.effects.resampled import chance, clean_accuracy
from synapse_audit.effects.selection import widened
from synapse_audit.findings.attack_surface.experiments_by_space import (
    RELATIVE,
    SPACES,
    SpaceExperiments,
    experiments_of,
)
from synapse_audit.summary import Figure
from synapse_audit.tables.attack_surface import WEAKEST

ENOUGH = 0.5
"""Share of the other examples that counts as redirected."""

SIZED = ("halves", "redirects")
"""Questions whose answer is a size."""

NAMES = ("operator", "parameter", "strength", "fraction", "aimed", "budget", "unit")
NOT_RUN = "no experiment of this space was run"
NOT_ENOUGH = "none tried is enough"
NO_BUDGET = "no experiment of this space that is enough has a known size"


def weakest(evidence: Evidence) -> Finding:
    """The weakest point of every space, and the cheapest of all that share one unit."""
    spaces = {space: _of_space(evidence, experiments_of(evidence, space)) for space in SPACES}
    rows = [
        {"space": space, "question": question, **_flat(found)}
        for space, answers in spaces.items()
        for question, found in answers.items()
    ]
    table = pd.DataFrame(rows).reindex(columns=WEAKEST.names)
    cheapest = {name: _cheapest(spaces, name) for name in SIZED}
    return Finding("weakest", {"points": table}, {"weakest": spaces | {"cheapest": cheapest}})


def _of_space(evidence: Evidence, experiments: SpaceExperiments) -> dict[str, Any]:
    questions = (
        "halves",
        "redirects",
        "largest_drop",
        *(("missed",) if evidence.benign is not None else ()),
    )
    if not len(experiments.table):
        return dict.fromkeys(questions, Figure.unknown(NOT_RUN))
    every = np.arange(len(experiments.table))
    redirects = [_redirects(experiments, target) for target in range(len(evidence.classes))]
    drops = experiments.table.assign(**_columns(experiments.drop(every)))
    half = float(clean_accuracy(evidence).value[0] - chance(evidence).value[0]) / 2
    found = {
        "halves": _first(drops, half)
        if half > 0
        else Figure.unknown("clean accuracy is at chance"),
        "redirects": _first(pd.concat(redirects, ignore_index=True), ENOUGH),
        "largest_drop": _largest(drops),
    }
    if evidence.benign is not None:
        benign = evidence.classes.index(evidence.benign)
        rates = experiments.rate(
            every, lambda sample: missed(sample, benign), _attacks(evidence, benign)
        )
        found["missed"] = _largest(experiments.table.assign(**_columns(rates)))
    return found


def _redirects(experiments: SpaceExperiments, target: int) -> pd.DataFrame:
    """Redirect rates to one class of the experiments that aim at it, or at none."""
    name = experiments.evidence.classes[target]
    rows = experiments.toward(name)
    found = experiments.rates(rows, target)["redirect_rate"].estimate
    return experiments.table.iloc[rows].assign(aimed=name, **_columns(found))


def _attacks(evidence: Evidence, benign: int) -> np.ndarray:
    return evidence.predictions.labels != benign


def _columns(found: Estimates) -> dict[str, np.ndarray]:
    return {"measured": found.value, "low": found.low, "high": found.high}


def _first(table: pd.DataFrame, level: float) -> Figure:
    """The smallest budget with which enough was measured.

    ``high``: the smallest one with which it is certain, for all spaces and questions at once, each
    having an equal share of the doubt.
    """
    enough = table[table["measured"] >= level - TOLERANCE]
    if enough.empty:
        return Figure.unknown(NOT_ENOUGH)
    sized = enough.dropna(subset=["budget"])
    if sized.empty:
        return Figure.unknown(NO_BUDGET)
    row = sized.sort_values(["budget", "measured"], ascending=[True, False]).iloc[0]
    wide = _wide(table, times=len(SPACES) * len(SIZED))
    sure = table[wide.low >= level - TOLERANCE]["budget"].min()
    return Figure(row["budget"], high=sure, beside=_named(row, table))


def _largest(table: pd.DataFrame) -> Figure:
    """The largest measured value, with an interval that holds for every row at once."""
    known = table.dropna(subset=["measured"])
    if known.empty:
        return Figure.unknown(NOT_RUN)
    place = int(known["measured"].to_numpy().argmax())
    wide, row = _wide(known), known.iloc[place]
    return Figure(row["measured"], wide.low[place], wide.high[place], beside=_named(row, known))


def _wide(table: pd.DataFrame, *, times: int = 1) -> Estimates:
    """Intervals that hold for all rows of so many tables at once, within [−1, 1]."""
    value, low, high = (table[name].to_numpy(dtype=float) for name in ("measured", "low", "high"))
    wide = widened(value, low, high, among=times * len(table))
    return Estimates(value, np.maximum(wide.low, -1.0), np.minimum(wide.high, 1.0))


def _named(row: pd.Series, table: pd.DataFrame) -> dict[str, Any]:
    """Which experiment it was, what it did, and among how many it was picked."""
    named = {name: None if pd.isna(row[name]) else row[name] for name in NAMES}
    plain = {n: float(x) if isinstance(x, np.floating) else x for n, x in named.items()}
    return plain | {"measured": float(row["measured"]), "tried": len(table)}


def _cheapest(spaces: Mapping[str, Mapping[str, Figure]], question: str) -> Figure:
    """The smallest relative budget over all spaces; bits are counted, not measured."""
    known = [
        (found[question].value, space)
        for space, found in spaces.items()
        if found[question].known and found[question].beside["unit"] == RELATIVE
    ]
    if not known:
        return Figure.unknown("in no space was an experiment of known size enough")
    space = min(known)[1]
    found = spaces[space][question]
    return replace(found, beside={**found.beside, "space": space})


def _flat(found: Figure) -> dict[str, Any]:
    plain = {"value": found.value, "low": found.low, "high": found.high}
    return plain | {name: value for name, value in found.beside.items() if name in WEAKEST.names}
