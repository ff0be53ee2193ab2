"""Flipped bits, noise and scaled gains: what small faults in the weights cost.

Reads ``faults.flips``, ``faults.halving``, ``faults.noise`` and ``faults.gains``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, RANDOM, TOP, Style
from synapse_audit.tables.faults import FLIPS, GAINS, HALVING, NOISE

DROP = Columns("bits", "drop", "drop_low", "drop_high")
FORMATS = ("fp32", "bf16", "fp16", "int8")

TOP_BITS = ("exponent_msb", "sign")
"""The top bit of a format: of the exponent, or in int8 of the number."""
LOSS_AXIS = {"range": [-0.06, 1.03], "tickformat": ".1f", "dtick": 0.2}
LINES: tuple[tuple[str, Style, str, tuple[str, ...]], ...] = (
    ("random top bits", RANDOM, "random", TOP_BITS),
    ("random mantissa bits", MATCHED, "random", ("mantissa",)),
    ("ranked top bits", BOTTOM, "top", TOP_BITS),
    ("searched, any bit", TOP, "searched", ("any",)),
)
PICKED = "picked as the largest of {} tried, so without an interval"
EMPTY = "This section is empty: the run flipped no bit of a weight (table faults.flips)."
READING = (
    "A weight is stored as bits. Flipping the highest bit of its exponent multiplies it by up to "
    "10³⁸; flipping a bit of its mantissa changes it by a few percent or less. Accuracy lost is "
    "shown against the number of bits flipped at once.",
    "Random bits are the mean over draws, shaded where one more draw would lie with 95%. Ranked "
    "bits are those with the largest first-order rise of the loss; searched bits are "
    "chosen one after the other, each tried on examples outside those reported here, by an "
    "attacker who knows the model.",
    "The number format is the one the bits are flipped in. Rounding to it is no part of the "
    "effect: only the difference that the flip makes is added to the weight.",
)
LIMITS = (
    "A search is greedy and tries few candidates: fewer bits may do. It stops where its own "
    "examples fall to chance.",
    "Where a weight becomes infinite or not a number, so may the logits; the prediction is then "
    "the first class whose logit is not a number, as argmax has it. A product would notice that, "
    "but not a wrong answer.",
    "Only the head, and the attention output, the MLP and the last norm of the first and the last "
    "block, are tried; bits are flipped in matrices only, not in norms.",
)


def faults(result: Result) -> Section:
    """How many bits break the model, in which format and where."""
    flips = saved.frame(result, FLIPS).dropna(subset=["bits", "drop"])
    halving = saved.frame(result, HALVING).dropna(subset=["most"])
    noise = saved.frame(result, NOISE).dropna(subset=["drop"])
    gains = saved.frame(result, GAINS).dropna(subset=["drop"])
    untargeted = flips[flips["target"].isna()]
    groups = (_head_panels(untargeted), _block_panels(untargeted))
    answer = [*_halving(halving), *_random(untargeted), *_blocks(halving), *_crashes(flips)]
    return Section(
        label="Flipped bits",
        heading="How many flipped bits break it?",
        answer=tuple(answer or [EMPTY]) + tuple(_others(noise, gains)),
        groups=tuple(group for group in groups if group.figures),
        tables=_tables(flips, halving, noise, gains),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _halving(halving: pd.DataFrame) -> Iterator[str]:
    rows = saved.rows(halving, part="head", selection="searched")
    formats = saved.in_order(rows["format"].tolist(), FORMATS)
    said = [_one_format(saved.rows(rows, format=name).iloc[0]) for name in formats]
    if said:
        yield (
            "Bits of the head that a search must flip to halve the distance between accuracy and "
            f"chance: {prose.listing(said)}."
        )


def _one_format(row: pd.Series) -> str:
    if pd.isna(row["bits"]):
        return f"{prose.plain(row['format'])}: {prose.whole(row['most'])} are not enough"
    span = ""
    if pd.notna(row["low"]) and pd.notna(row["high"]) and row["low"] < row["high"]:
        span = f" ({prose.whole(row['low'])} to {prose.whole(row['high'])})"
    return f"{prose.plain(row['format'])}: {prose.whole(row['bits'])}{span}"


def _random(flips: pd.DataFrame) -> Iterator[str]:
    head = saved.rows(flips, part="head", selection="random")
    for format in saved.in_order(head["format"].tolist(), ["fp32"])[:1]:
        rows = saved.rows(head, format=format)
        said = []
        for kind, name in (("exponent_msb", "top exponent"), ("mantissa", "mantissa")):
            mine = saved.rows(rows, kind=kind).sort_values("bits")
            if len(mine):
                said.append(f"{prose.change(mine.iloc[0])} for {_bits(mine.iloc[0], name)}")
        if said:
            where = f"the head ({prose.plain(format)})"
            yield f"With random flips in {where} accuracy {prose.listing(said)}."


def _bits(row: pd.Series, name: str) -> str:
    return prose.plural(int(row["bits"]), f"{name} bit")


def _blocks(halving: pd.DataFrame) -> Iterator[str]:
    rows = saved.rows(halving[halving["part"] != "head"], selection="searched")
    if len(rows):
        said = [f"{_place(row)} {_one_format(row)}" for _, row in rows.iterrows()]
        yield f"The same inside blocks: {prose.listing(said)}."


def _place(row: pd.Series) -> str:
    layer = "" if pd.isna(row["layer"]) else f" of layer {prose.whole(row['layer'])}"
    return f"{prose.plain(row['part'])}{layer}"


def _crashes(flips: pd.DataFrame) -> Iterator[str]:
    crashed, overflowed = flips[flips["crashed"] > 0], flips[flips["overflowed"] > 0]
    if len(flips) and not len(crashed) and not len(overflowed):
        yield "No flip made a weight or a logit infinite or not a number."
    elif len(flips):
        yield (
            f"In {len(crashed)} of {prose.plural(len(flips), 'setting')} some logits were no "
            f"numbers, in {len(overflowed)} some flipped weights were."
        )


def _others(noise: pd.DataFrame, gains: pd.DataFrame) -> Iterator[str]:
    blocks = noise[noise["layer"].notna()]
    for rows, size, name in (
        (noise[noise["layer"].isna() & (noise["setting"] == "relative")], "sigma", "head columns"),
        (blocks, "sigma", "a weight of a block"),
    ):
        if len(rows):
            worst = saved.extreme(rows, "drop")
            yield (
                f"Gaussian noise on {name} costs most at {prose.number(worst[size], 1)} times the "
                f"weight's root mean square: accuracy {prose.falls(worst['drop'])} on average over "
                f"the draws ({PICKED.format(len(rows))})."
            )
    if len(gains):
        worst = saved.extreme(gains, "drop")
        yield (
            f"Scaling gains of a block's last norm costs most by factor "
            f"{prose.number(worst['factor'], 1)} on {prose.percent(worst['share'])} of layer "
            f"{prose.whole(worst['layer'])} ({_chosen(worst['selection'])}): accuracy "
            f"{prose.falls(worst['drop'])} ({PICKED.format(len(gains))})."
        )


def _chosen(selection: object) -> str:
    return {"top": "ranked", "random": "random"}.get(str(selection), prose.plain(selection))


# ---- figures and tables --------------------------------------------------------------------------


def _head_panels(flips: pd.DataFrame) -> Group:
    head = saved.rows(flips, part="head")
    formats = saved.in_order(head["format"].tolist(), FORMATS)
    panels = {str(f): _lines(saved.rows(head, format=f)) for f in formats}
    return _group("Bits of the head", panels)


def _block_panels(flips: pd.DataFrame) -> Group:
    rows = flips[flips["part"] != "head"]
    panels = {}
    for (part, layer, format), group in rows.groupby(["part", "layer", "format"], sort=True):
        panels[f"{part} of layer {layer:g}, {format}"] = _lines(group)
    return _group("Bits of the first and last block", panels)


def _lines(rows: pd.DataFrame) -> list[Line]:
    found = []
    for name, style, selection, kinds in LINES:
        mine = saved.rows(rows, selection=selection)
        kind = next((k for k in kinds if (mine["kind"] == k).any()), None)
        if kind is not None:
            draw = banded if selection == "random" else line
            found.append(draw(name, style, saved.rows(mine, kind=kind), DROP))
    return found


def _group(title: str, panels: dict[str, list[Line]]) -> Group:
    panels = {name: lines for name, lines in panels.items() if lines}
    figures = tuple(_panel(name, lines) for name, lines in panels.items())
    return Group(title, figures, legend(list(panels.values())), columns=3)


def _panel(name: str, lines: list[Line]) -> Plot:
    ticks = {"tickvals": [1, 2, 5, 10, 20, 50], "ticktext": ["1", "2", "5", "10", "20", "50"]}
    axes = Axes("bits flipped (log)", "accuracy lost", {"type": "log", **ticks}, LOSS_AXIS)
    said = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    return curves(name, lines, axes, alt=f"Accuracy lost in {name}, most bits: {said}.")


def _tables(
    flips: pd.DataFrame, halving: pd.DataFrame, noise: pd.DataFrame, gains: pd.DataFrame
) -> tuple[Table, ...]:
    halving = halving.assign(range=pd.Series(_ranges(halving), halving.index, dtype="object"))
    made = (
        table_of("Bits that halve the distance to chance", halving, HALVING_TABLE),
        table_of("Flipped bits", with_intervals(flips, "drop", "redirect"), FLIP_TABLE),
        table_of("Gaussian noise", with_intervals(noise, "drop"), NOISE_TABLE),
        table_of("Scaled gains", with_intervals(gains, "drop"), GAIN_TABLE),
    )
    return tuple(table for table in made if table.rows)


def _ranges(halving: pd.DataFrame) -> list[str | None]:
    """``1 to 2`` where both ends are known."""
    pairs = zip(halving["low"], halving["high"], strict=True)
    return [
        f"{prose.whole(low)} to {prose.whole(high)}" if pd.notna(low) and pd.notna(high) else None
        for low, high in pairs
    ]


HALVING_TABLE = (
    Column("format", "format", text),
    Column("part", "part", text),
    Column("layer", "layer", COUNT),
    Column("kind of bit", "kind", text),
    Column("chosen", "selection", text),
    Column("bits", "bits", COUNT),
    Column("95% interval", "range", text),
    Column("most tried", "most", COUNT),
)
FLIP_TABLE = (
    Column("format", "format", text),
    Column("part", "part", text),
    Column("layer", "layer", COUNT),
    Column("kind of bit", "kind", text),
    Column("chosen", "selection", text),
    Column("target", "target", text),
    Column("bits", "bits", COUNT),
    Column("accuracy lost", "drop"),
    Column("interval or range", "drop_interval", text),
    Column("redirect rate", "redirect"),
    Column("95% interval", "redirect_interval", text),
    Column("draws overflowed", "overflowed", SHARE),
    Column("no numbers", "crashed", SHARE),
)
NOISE_TABLE = (
    Column("sigma", "setting", text),
    Column("part", "part", text),
    Column("layer", "layer", COUNT),
    Column("size", "sigma"),
    Column("share", "share", SHARE),
    Column("chosen", "selection", text),
    Column("accuracy lost", "drop"),
    Column("band of one more draw", "drop_interval", text),
)
GAIN_TABLE = (
    Column("layer", "layer", COUNT),
    Column("factor", "factor"),
    Column("share", "share", SHARE),
    Column("chosen", "selection", text),
    Column("accuracy lost", "drop"),
    Column("interval or range", "drop_interval", text),
)
