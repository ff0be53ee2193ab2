"""The table of tests of whole curves, which two sections print."""

from __future__ import annotations

from synapse_audit.report.kit import prose
from synapse_audit.report.kit.tables import COUNT, Column, text

CURVE_TESTS = (
    Column("operator", "operator", text),
    Column("ranking", "ranking", text),
    Column("ranked for", "ranked_for", text),
    Column("layers", "layers", text),
    Column("position", "position", text),
    Column("area", "area"),
    Column("t", "t"),
    Column("df", "df", COUNT),
    Column("p", "p_value", prose.p_value),
    Column("p adjusted", "p_adjusted", prose.p_value),
)
