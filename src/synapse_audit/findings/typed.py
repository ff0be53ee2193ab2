"""What a person can type: how often each kind of edit evades the classifier, and how cheaply.

In: the table of typed edits (one row per example, kind and choice). Out: a rate per kind and class
beside random edits of the same sizes, by size, the cheapest edit of every example, and the worst
kind and class, whose intervals hold for whichever was picked. Rates are over examples that the
untouched model predicts right; examples attacked stand for all of their class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.attacked import AttackedSample, attacked_sample, excess_of, share_of
from synapse_audit.effects.selection import largest_of
from synapse_audit.summary import Figure
from synapse_audit.tables.typed import ATTACKS, CHEAPEST, SIZES

NONE = "no typed edits were asked for (--attack text), or no example was predicted right"


def typed(evidence: Evidence) -> Finding:
    """Rates of every kind of typed edit, the cheapest ones, and the worst of all."""
    table = evidence.typed
    if table is None or table.empty:
        empty = {one.key[1]: one.empty() for one in (ATTACKS, SIZES, CHEAPEST)}
        return Finding("typed", empty, {"typed": Figure.unknown(NONE)})
    sample = attacked_sample(
        evidence.predictions.labels,
        evidence.predictions.predicted,
        np.unique(table["place"].to_numpy()),
        evidence.weights,
        evidence.resampled,
    )
    attacks = pd.DataFrame([*_attack_rows(evidence, table, sample)], columns=ATTACKS.names)
    sizes = pd.DataFrame([*_size_rows(table, sample)], columns=SIZES.names)
    cheapest = pd.DataFrame([*_cheapest_rows(evidence, table, sample)], columns=CHEAPEST.names)
    tables = {"attacks": attacks, "sizes": sizes, "cheapest": cheapest}
    return Finding("typed", tables, {"typed": _figures(attacks, cheapest)})


# ---- tables --------------------------------------------------------------------------------------


def _attack_rows(
    evidence: Evidence, table: pd.DataFrame, sample: AttackedSample
) -> Iterator[dict[str, Any]]:
    for attack, rows in table.groupby("attack", sort=False):
        chosen, random = _of(rows, "chosen"), _of(rows, "random")
        hits = [part["evaded"].to_numpy(dtype=bool) for part in (chosen, random)]
        for name, among in _groups(evidence, sample):
            won = chosen[among & hits[0]]
            yield {
                "attack": attack,
                "class": name,
                "n": int(among.sum()),
                **share_of(sample, hits[0], among, "evaded"),
                **share_of(sample, hits[1], among, "random"),
                **excess_of(sample, hits[0], hits[1], among),
                **{c: float(won[c].median()) for c in ("size", "characters", "queries")},
            }


def _size_rows(table: pd.DataFrame, sample: AttackedSample) -> Iterator[dict[str, Any]]:
    """Share evaded by edits of at most so many words."""
    everyone = np.ones(len(sample.labels), dtype=bool)
    sizes = sorted(table["size"].dropna().unique())
    for attack, rows in table.groupby("attack", sort=False):
        for size in sizes:
            reached = {
                name: _of(rows, name)["size"].to_numpy() <= size for name in ("chosen", "random")
            }
            yield {
                "attack": attack,
                "size": float(size),
                **share_of(sample, reached["chosen"], everyone, "evaded"),
                **share_of(sample, reached["random"], everyone, "random"),
            }


def _cheapest_rows(
    evidence: Evidence, table: pd.DataFrame, sample: AttackedSample
) -> Iterator[dict[str, Any]]:
    """Per class: examples evaded by any kind, and what the one with fewest characters took.

    Random edits count too: whoever types one has evaded the model as well.
    """
    places = np.unique(table["place"].to_numpy())
    won = table[table["evaded"].to_numpy(dtype=bool)].sort_values(
        ["place", "characters", "queries"], kind="stable"
    )
    best = won.drop_duplicates("place").set_index("place")
    hits = np.isin(places, best.index)
    queries = table.groupby("place")["queries"].sum()
    for name, among in _groups(evidence, sample):
        some = best[best.index.isin(places[among])]
        kinds = some["attack"].value_counts()
        yield {
            "class": name,
            "n": int(among.sum()),
            **share_of(sample, hits, among, "evaded"),
            "characters": float(some["characters"].median()),
            "queries": float(queries[places[among]].median()),
            "attack": None if kinds.empty else str(kinds.index[0]),
            "share": np.nan if kinds.empty else float(kinds.iloc[0] / kinds.sum()),
        }


def _groups(
    evidence: Evidence, sample: AttackedSample
) -> Iterator[tuple[str | None, Bool[np.ndarray, " examples"]]]:
    """Everyone (None), then each class that was attacked."""
    yield None, np.ones(len(sample.labels), dtype=bool)
    for label in np.unique(sample.labels):
        yield evidence.classes[label], sample.labels == label


def _of(rows: pd.DataFrame, selection: str) -> pd.DataFrame:
    return rows[rows["selection"] == selection].sort_values("place", ignore_index=True)


# ---- figures -------------------------------------------------------------------------------------


def _figures(attacks: pd.DataFrame, cheapest: pd.DataFrame) -> dict[str, Any]:
    whole = attacks[attacks["class"].isna()]
    found: dict[str, Any] = {
        "any": _figure(cheapest[cheapest["class"].isna()].iloc[0], "evaded"),
        "class": {
            str(row["class"]): _figure(row, "evaded")
            for _, row in cheapest.dropna(subset=["class"]).iterrows()
        },
        "attack": {str(r["attack"]): _figure(r, "evaded") for _, r in whole.iterrows()},
        "random": {str(r["attack"]): _figure(r, "random") for _, r in whole.iterrows()},
    }
    by_class = attacks.dropna(subset=["class"])
    found["worst"] = _picked(whole, ("attack",))
    found["worst_class"] = _picked(by_class, ("attack", "class"))
    return found


def _figure(row: pd.Series, name: str) -> Figure:
    return Figure(row[name], row[f"{name}_low"], row[f"{name}_high"], n=int(row["n"]))


def _picked(rows: pd.DataFrame, names: tuple[str, ...]) -> Figure:
    """The largest rate, with an interval that holds for all of them at once; ties beside it."""
    if rows.empty:
        return Figure.unknown("no class was attacked")
    ends = (rows[c].to_numpy(dtype=np.float64) for c in ("evaded", "evaded_low", "evaded_high"))
    best = largest_of(*ends)
    if not best.value > 0:
        return Figure.unknown("no typed edit of any kind succeeded")
    row = rows.iloc[best.place]
    beside = {name: str(row[name]) for name in names} | {"tied": int(best.tied.sum()) - 1}
    low, high = max(0.0, best.low), min(1.0, best.high)
    return Figure(best.value, low, high, n=int(row["n"]), beside=beside)
