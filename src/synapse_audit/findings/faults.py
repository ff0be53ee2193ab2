"""Faults: what flipped bits, noise, scaled gains, exchanged rows and shaped pushes do.

In: weight cells of ``effects`` (operators ``bit_flip``, ``gaussian_fault``, ``gain``, ``row_swap``,
``row_scale`` and the shapes of the push), outcomes for the numbers of bits that break the model.
Out: one table per kind of fault, random controls as the mean over draws with the band
of one more draw, and how many bits halve the distance to chance.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.breaking import effective_examples
from synapse_audit.effects.crossings import Losses, smallest_enough
from synapse_audit.effects.curves import draw_range, where
from synapse_audit.effects.no_numbers import no_numbers
from synapse_audit.effects.picked_rows import PickedBy, picked_figure
from synapse_audit.effects.resampled import accuracy, chance, clean_accuracy
from synapse_audit.statistics import paired_interval
from synapse_audit.summary import Figure
from synapse_audit.tables.faults import FLIPS, GAINS, HALVING, HEAD_ROWS, NOISE, SHAPED_PUSHES

DROP = {"accuracy_drop": "drop"}
REDIRECT = {"redirect_rate": "redirect", "collateral": "collateral"}
PUSHES = ("universal", "balanced", "rival", "linf", "sparse", "paper_push")
ROWS = ("row_swap", "row_scale")

ENDS = ["drop", "drop_low", "drop_high"]
RATES = [f"{name}{end}" for name in ("redirect", "collateral") for end in ("", "_low", "_high")]


def faults(evidence: Evidence) -> Finding:
    """Tables of every fault, and the smallest numbers of bits that break the model."""
    flipped = _flips(evidence)
    halving = halving_table(evidence, flipped)
    tables = {
        "flips": flips_table(flipped),
        "halving": halving,
        "noise": noise_table(evidence),
        "gains": gains_table(evidence),
        "rows": rows_table(evidence),
        "pushes": pushes_table(evidence),
    }
    figures = {"halving_bits": _figures(halving), "paper_push": paper_push(tables["pushes"])}
    return Finding("faults", tables, {"faults": figures})


# ---- bit flips -----------------------------------------------------------------------------------


def flips_table(flipped: pd.DataFrame) -> pd.DataFrame:
    """Loss of accuracy per format, kind of bit, part, choice and number of bits.

    ``overflowed`` = share of the draws in which a flipped weight became infinite or no number;
    ``crashed`` = share of examples whose logits were no numbers (scored as a tie of all classes).
    """
    keys = ["format", "kind", "part", "layer", "selection", "target", "strength"]
    shares = {"overflowed": "overflowed", "crashed": "crashed"}
    table = _summed(flipped, keys, {**DROP, **REDIRECT, **shares})
    return _fit(table.rename(columns={"strength": "bits"}), FLIPS.names)


def halving_table(evidence: Evidence, flipped: pd.DataFrame) -> pd.DataFrame:
    """The smallest number of bits at which half the distance from clean to chance is lost.

    Only numbers that were tried count; null where even ``most`` bits do not suffice. ``low`` and
    ``high``: see :func:`synapse_audit.effects.crossings.smallest_enough`. Random choices: of the
    mean accuracy over draws. Targeted searches are left out.
    """
    rows = []
    keys = ["format", "kind", "part", "layer", "selection"]
    for key, group in _groups(flipped[flipped["target"].isna()], keys):
        bits, short = _by_bits(evidence, group)
        rows.append((*key, *smallest_enough(bits, short, 0.0), bits[-1]))
    table = pd.DataFrame(rows, columns=HALVING.names)
    return table.astype(dict.fromkeys(["layer", "bits", "low", "high", "most"], "float64"))


def _flips(evidence: Evidence) -> pd.DataFrame:
    """Bit-flip cells, and what was no number."""
    cells = evidence.cells("bit_flip")
    table = cells.rename(columns={"bit_kind": "kind"}).assign(
        layer=pd.to_numeric(cells["layers"]),
        overflowed=(~np.isfinite(cells["budget_linf"])).astype("float64"),
    )
    if table.empty:
        return table.assign(crashed=pd.Series(dtype="float64"))
    return table.assign(crashed=_crashed(evidence, list(cells["action"])))


def _crashed(evidence: Evidence, actions: Sequence[str]) -> Float[np.ndarray, " cells"]:
    """Share of examples with a logit that is no number."""
    dead = no_numbers(evidence, actions)
    direct = evidence.outcomes.direct
    if direct is not None:
        dead = dead * direct.design_weight[evidence.outcomes.rows(actions)]
    return np.asarray(dead @ evidence.weights / evidence.weights.sum())


def _by_bits(
    evidence: Evidence, group: pd.DataFrame
) -> tuple[Float[np.ndarray, " counts"], Losses]:
    """Numbers of bits, ascending, and how far beyond half of the way to chance each one is."""
    bits = np.unique(group["strength"].to_numpy(dtype=np.float64))
    found, clean, floor = (
        accuracy(evidence, list(group["action"])),
        clean_accuracy(evidence),
        chance(evidence),
    )
    places = [(group["strength"] == n).to_numpy() for n in bits]
    value, samples = (
        (one + other) / 2 - np.stack([part[place].mean(axis=0) for place in places])
        for one, other, part in zip(clean, floor, found, strict=True)
    )
    return bits, Losses(value, *paired_interval(value, samples, effective_examples(evidence)))


def _figures(halving: pd.DataFrame) -> dict[str, Any] | Figure:
    """Per format the searched flips of the head."""
    rows = halving[(halving["part"] == "head") & (halving["selection"] == "searched")]
    if rows.empty:
        return Figure.unknown("no bits were searched for, or no flip changed anything")
    figures = {}
    for row in rows.to_dict("records"):
        known = Figure(row["bits"], row["low"], row["high"])
        most = f"not within the {row['most']:g} bits that the search took"
        figures[str(row["format"])] = known if np.isfinite(row["bits"]) else Figure.unknown(most)
    return figures


# ---- other faults --------------------------------------------------------------------------------


def noise_table(evidence: Evidence) -> pd.DataFrame:
    """Gaussian noise; ``sigma`` relative to the weight's RMS, absolute where setting is paper.

    Every row is a mean over draws of the noise with their range; ``selection`` says which columns
    it fell on (blocks: on the whole weight, as far as ``share`` reaches).
    """
    cells = where(evidence.cells("edit", "paper_edit"), {"operator": "gaussian_fault"})
    cells = cells.assign(
        setting=np.where(cells["group"] == "paper_edit", "paper", "relative"),
        layer=pd.to_numeric(cells["layers"]),
    )
    keys = ["setting", "part", "layer", "strength", "fraction", "selection"]
    table = draw_range(cells, keys, DROP)
    return _fit(table.rename(columns={"strength": "sigma", "fraction": "share"}), NOISE.names)


def gains_table(evidence: Evidence) -> pd.DataFrame:
    """Gains of a block's last norm multiplied by ``factor`` in a share of the dimensions."""
    cells = where(evidence.cells("edit"), {"operator": "gain"})
    cells = cells.assign(layer=pd.to_numeric(cells["layers"]))
    table = _summed(cells, ["layer", "strength", "fraction", "selection"], DROP)
    return _fit(table.rename(columns={"strength": "factor", "fraction": "share"}), GAINS.names)


def rows_table(evidence: Evidence) -> pd.DataFrame:
    """Rows of the head exchanged or multiplied, with what is redirected to the target."""
    cells = evidence.cells("edit")
    cells = cells[cells["operator"].isin(ROWS)]
    return _fit(_named(cells, {**DROP, **REDIRECT}).rename(columns={"strength": "factor"}),
                HEAD_ROWS.names)  # fmt: skip


def pushes_table(evidence: Evidence) -> pd.DataFrame:
    """Shaped pushes of the head; ``size`` in the operator's own unit, ``budget`` = relative L2.

    The unit is relative L2 (balanced, rival), a multiple of the head's RMS per weight (linf),
    weights moved (sparse), or the paper's delta. ``setting`` names the paper's.
    """
    cells = evidence.cells("edit", "paper_edit")
    cells = cells[cells["operator"].isin(PUSHES)]
    norm = float(np.linalg.norm(evidence.head_weight.astype(np.float64)))
    cells = cells.assign(budget=cells["budget_l2"] / norm if norm > 0 else np.nan)
    keys = ["operator", "setting", "target", "fraction", "selection", "strength"]
    table = _summed(cells, keys, REDIRECT, ["budget", "budget_linf", "n_changed"])
    return _fit(
        table.rename(columns={"strength": "size", "fraction": "columns"}), SHAPED_PUSHES.names
    )


def paper_push(pushes: pd.DataFrame) -> Figure:
    """What the paper's setting of the head push that redirects most redirects.

    The interval holds for all settings and targets at once, since the largest was picked.
    """
    rows = where(pushes, {"operator": "paper_push"})
    return picked_figure(
        rows[rows["selection"] != "random"],
        PickedBy("redirect", least=0.0),
        tied="target",
        beside=("setting", "target", "budget"),
        reason="the paper's settings were not run",
    )


# ---- small things --------------------------------------------------------------------------------


def _summed(
    cells: pd.DataFrame, keys: list[str], measures: Mapping[str, str], means: Sequence[str] = ()
) -> pd.DataFrame:
    """Single cells with their own intervals, random ones as mean with a band."""
    drawn = cells["selection"] == "random"
    kept = {**measures, **{name: name for name in means}}
    parts = [_named(cells[~drawn], kept), draw_range(cells[drawn], keys, kept)]
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def _named(cells: pd.DataFrame, measures: Mapping[str, str]) -> pd.DataFrame:
    """Measures and their ends under the tables' names."""
    ends = ("", "_low", "_high")
    return cells.rename(columns={f"{old}{e}": f"{new}{e}" for old, new in measures.items()
                                 for e in ends})  # fmt: skip


def _fit(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    order = [c for c in columns if c in table and c not in (*ENDS, *RATES, "draws")]
    return table.reindex(columns=columns).sort_values(order, ignore_index=True)


def _groups(
    table: pd.DataFrame, keys: list[str]
) -> Iterator[tuple[tuple[Hashable, ...], pd.DataFrame]]:
    for key, rows in table.groupby(keys, dropna=False, sort=True):
        yield tuple(None if pd.isna(part) else part for part in key), rows  # type: ignore[call-overload]
