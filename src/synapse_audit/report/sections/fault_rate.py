"""Random faults: how often one flipped bit, anywhere in the model, breaks it.

Reads ``fault_rate.strata``, ``fault_rate.places`` and ``fault_rate.totals``.
"""

from __future__ import annotations

import math

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.summary import Figure
from synapse_audit.tables.fault_rate import PLACES, STRATA, TOTALS

PARTS = ("embeddings", "attention", "mlp", "norm", "bias", "other", "head")
BITS = ("sign", "exponent_msb", "exponent_rest", "mantissa")
NAMES = {
    "exponent_msb": "top exponent bit",
    "exponent_rest": "other exponent bits",
    "sign": "sign",
    "mantissa": "mantissa",
    "other": "other (poolers, projections)",
}
HEADLINE = 0.01
"""Share of the predictions that the sentences and the figure speak of."""
EMPTY = "This section is empty: no random faults were asked for (--faults N)."
READING = (
    "A fault flips one bit of one number of the model, drawn at random, as bits of memory fail. "
    "It breaks the model where it changes more than the stated share of the predictions, or where "
    "a logit of any example is infinite or not a number.",
    "Faults are drawn of each kind of bit in each kind of tensor, without replacement: half of "
    "them dealt evenly, half by number of bits. Rates of several kinds together weigh each by how "
    "many bits it has, so they are the chance for a bit that fails anywhere.",
    "Margins hold over which bits were drawn: exact (hypergeometric, or Clopper and Pearson's) "
    "within one kind, Fay and Feuer's for several together.",
)
LIMITS = (
    "One bit at a time, in stored weights only: not in activations, code or caches, and without "
    "the error correction that memory may have.",
    "The margins say nothing about other examples: a fault in the embedding of a token that these "
    "examples do not hold changes nothing here.",
    "Weights in another number format than float32 are left out.",
)


def fault_rate(result: Result) -> Section:
    """The chance that one random fault breaks the model, by kind of tensor and bit."""
    strata = saved.frame(result, STRATA).dropna(subset=["rate"])
    places = saved.frame(result, PLACES).dropna(subset=["rate"])
    totals = saved.frame(result, TOTALS).dropna(subset=["rate"])
    return Section(
        label="Random faults",
        heading="How often does one random bit flip break it?",
        answer=_answer(strata, totals) if len(totals) else (EMPTY,),
        groups=_groups(strata),
        tables=_tables(strata, places, totals),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _answer(strata: pd.DataFrame, totals: pd.DataFrame) -> tuple[str, ...]:
    whole = saved.rows(saved.rows(totals, over="all"), share=HEADLINE)
    if not len(whole):
        return ("No rate is known at the share that is quoted; the tables have the others.",)
    return (_overall(whole.iloc[0]), *_kinds(saved.rows(strata, share=HEADLINE)))


def _overall(row: pd.Series) -> str:
    found = Figure(row["rate"], row["low"], row["high"])
    drawn = prose.plural(int(row["faults"]), "fault")
    return (
        f"One random bit flip anywhere in the model changes more than {prose.percent(HEADLINE)} of "
        f"the predictions with a chance of {_chance(found)}: {prose.whole(row['broken'])} of "
        f"{drawn} did, and {prose.whole(row['no_numbers'])} left logits that are not numbers."
    )


def _chance(found: Figure) -> str:
    """In percent: these chances are small."""
    value, low, high = (prose.percent(end, 2) for end in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _kinds(rows: pd.DataFrame) -> list[str]:
    """Every kind of bit that broke something, and those of which none did."""
    hurt, harmless = rows[rows["broken"] > 0], rows[rows["broken"] == 0]
    said = []
    if len(hurt):
        parts = hurt.sort_values("rate", ascending=False, kind="stable")
        names = [
            f"{_bit(row)} of {_part(row)} {prose.whole(row['broken'])} of "
            f"{prose.whole(row['faults'])}"
            for _, row in parts.iterrows()
        ]
        said.append(f"Faults that did so, by kind: {prose.some(names)}.")
    if len(harmless):
        most = float(harmless["high"].max())
        said.append(
            f"In {len(harmless)} of {prose.plural(len(rows), 'kind')} none did; the largest of "
            f"their upper margins is {prose.percent(most, 2)}."
        )
    return said


def _bit(row: pd.Series) -> str:
    return NAMES.get(str(row["bit_kind"]), prose.plain(row["bit_kind"]))


def _part(row: pd.Series) -> str:
    return prose.plain(row["part"])


# ---- figures and tables --------------------------------------------------------------------------


def _groups(strata: pd.DataFrame) -> tuple[Group, ...]:
    rows = saved.rows(strata, share=HEADLINE)
    if not len(rows):
        return ()
    title = f"Share of faults that change more than {prose.percent(HEADLINE)} of the predictions"
    return (Group("", (_map(title, rows),), columns=1),)


def _map(title: str, rows: pd.DataFrame) -> Plot:
    parts = saved.in_order(rows["part"].tolist(), [p for p in PARTS if p in set(rows["part"])])
    bits = saved.in_order(
        rows["bit_kind"].tolist(), [b for b in BITS if b in set(rows["bit_kind"])]
    )
    known = {(row["part"], row["bit_kind"]): float(row["rate"]) for _, row in rows.iterrows()}
    values = [[known.get((part, bit), math.nan) for bit in bits] for part in parts]
    names = [NAMES.get(str(bit), str(bit)) for bit in bits]
    alt = " ".join(
        f"{part}: {prose.figures(names, row)}." for part, row in zip(parts, values, strict=True)
    )
    matrix = Heat(names, [str(p) for p in parts], values, "kind of bit", "tensor", limit=1.0)
    return heat(title, matrix, alt=f"{title}. {alt}")


def _tables(strata: pd.DataFrame, places: pd.DataFrame, totals: pd.DataFrame) -> tuple[Table, ...]:
    made = (
        table_of("Chance that one random fault breaks the model", _shown(totals), TOTAL_TABLE),
        table_of("Random faults by tensor and bit", _shown(strata), STRATUM_TABLE),
        table_of("Random faults by place of the bit", _shown(places), PLACE_TABLE),
    )
    return tuple(table for table in made if table.rows)


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    renamed = rows.rename(columns={"low": "rate_low", "high": "rate_high"})
    shown = with_intervals(renamed, "rate")
    for column in ("name", "bit_kind"):
        if column in shown:
            shown = shown.assign(**{column: [NAMES.get(str(v), v) for v in shown[column]]})
    return shown


COUNTS = (
    Column("more than", "share", SHARE),
    Column("faults", "faults", COUNT),
    Column("broke it", "broken", COUNT),
    Column("no numbers", "no_numbers", COUNT),
    Column("rate", "rate"),
    Column("95% margin", "rate_interval", text),
    Column("bits in all", "bits", COUNT),
)
TOTAL_TABLE = (Column("of", "name", text), *COUNTS)
STRATUM_TABLE = (Column("tensor", "part", text), Column("bit", "bit_kind", text), *COUNTS)
PLACE_TABLE = (
    Column("tensor", "part", text),
    Column("place", "bit", COUNT),
    Column("kind", "bit_kind", text),
    *COUNTS,
)
