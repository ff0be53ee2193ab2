"""Any string may be the name of a class: no word of ours, in no column, may be taken for one.

The plan, the effects and every finding are made twice, once with names that nothing else has and
once with words that the tables and the summary themselves hold; the numbers must be the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan.plan_inputs import CLASSES
from plan.test_groups import EVERYTHING, everything

from synapse_audit.artifacts import Evidence, Ranking
from synapse_audit.findings import FINDINGS
from synapse_audit.pipeline.seeds import figures_table, names_table, rankings_table
from synapse_audit.plan import PlanInputs, build_cells
from synapse_audit.rankings import ranking_table
from synapse_audit.summary import to_json
from synapse_audit.summary.paths import dotted, keys_of

from .evidence import make_evidence

pytestmark = pytest.mark.unchecked

NEUTRAL = ("Qaa", "Qbb", "Qcc")
LITERALS = ("global", "all", "any", "total", "everyone", "none", "None", "nan", "null", "clean")
"""Words that were or could be used for no class in particular."""

GRID = EVERYTHING.model_copy(
    update={
        "fractions": (0.25, 0.5),
        "operators": ("mean", "zero"),
        "class_layer_fractions": (0.5,),
        "budgets": (0.5,),
        "constants": (2.0,),
        "bit_counts": (1,),
        "epsilons": (0.3,),
        "deletions": (1,),
        "resamples": 20,
    }
)
LABELS = np.repeat([0, 1, 2], 10)


def renamed(s: PlanInputs, names: Sequence[str]) -> PlanInputs:
    """The same sources of a classifier whose classes have other names."""
    to = dict(zip(CLASSES, names, strict=True))

    def rank(ranking: Ranking) -> Ranking:
        scores = {None if c is None else to[c]: found for c, found in ranking.scores.items()}
        return replace(ranking, scores=scores)

    layers = tuple(
        replace(layer, class_means={to[c]: m for c, m in (layer.class_means or {}).items()})
        for layer in s.statistics
    )
    return replace(
        s,
        classes=tuple(names),
        rankings={method: rank(ranking) for method, ranking in s.rankings.items()},
        statistics=layers,
        sites={n: replace(site, ranking=rank(site.ranking)) for n, site in s.sites.items()},
        column_scores={to[c]: found for c, found in s.column_scores.items()},
        attention=replace(s.attention, ranking=rank(s.attention.ranking)),
    )


def audited(names: Sequence[str]) -> Evidence:
    """All cells of a grid with every group, their predictions drawn at random by their place."""
    s = renamed(everything(GRID), names)
    cells = build_cells(s)
    said = np.random.default_rng(5).integers(0, 3, (len(cells), len(LABELS)))
    trials = list(zip(cells, said.tolist(), strict=True))
    evidence = make_evidence(LABELS.tolist(), trials, grid=s.grid, classes=names, resamples=20)
    alarms = np.full((len(cells), len(LABELS)), 0.5, dtype=np.float32)
    return replace(
        evidence,
        statistics=s.statistics,
        participation=(1.0, 2.0, 3.0),
        rankings=s.rankings,
        benign=names[0],
        outcomes=replace(evidence.outcomes, benign=alarms),
    )


def results(names: Sequence[str]) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Every table, and the summary."""
    evidence = audited(names)
    tables = {"effects": evidence.effects, "class_effects": evidence.class_effects}
    tables["rankings"] = ranking_table(list(evidence.rankings.values()))
    summary: dict[str, Any] = {"classes": list(names)}
    for name, finding in FINDINGS.items():
        found = finding(evidence)
        tables |= {f"{name}.{table}": rows for table, rows in found.tables.items()}
        summary |= to_json(found.summary)
    tables["seeds.figures"] = figures_table([summary, summary])
    tables["seeds.names"] = names_table([summary, summary])
    tables["seeds.rankings"] = rankings_table([tables["rankings"], tables["rankings"]])
    return tables, summary


@cache
def neutral() -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """The answer that no name may change."""
    return results(NEUTRAL)


def words(value: Any) -> Iterator[str]:
    """Every text in a summary: keys and leaves."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield str(name)
            yield from words(part)
    elif isinstance(value, list):
        for part in value:
            yield from words(part)
    elif isinstance(value, str):
        yield value


@cache
def keywords() -> list[str]:
    """Every word that a table or the summary holds besides classes, and some that none may."""
    tables, summary = neutral()
    found = {*LITERALS, *words(summary)}
    for table in tables.values():
        found |= {str(name) for name in table.columns}
        for name in table.columns:
            if not pd.api.types.is_numeric_dtype(table[name]) and name not in ("cell", "action"):
                found |= {str(value) for value in table[name].dropna().unique()}
    return sorted(word for word in found if not any(name in word for name in NEUTRAL))


def translated(value: Any, to: Mapping[str, str]) -> Any:
    """A summary with the neutral names replaced."""
    if isinstance(value, Mapping):
        return {translated(name, to): translated(part, to) for name, part in value.items()}
    if isinstance(value, list):
        return [translated(part, to) for part in value]
    return in_place_of(value, to)


def in_place_of(value: Any, to: Mapping[str, str]) -> Any:
    """Neutral names replaced, also within a sentence; any other value as it is."""
    if not isinstance(value, str):
        return value
    for old, new in to.items():
        value = value.replace(old, new)
    return value


def rows_of(table: pd.DataFrame, to: Mapping[str, str]) -> list[str]:
    """The rows as text, identities aside, in an order that names do not decide."""
    kept = table.drop(columns=["cell", "action"], errors="ignore").astype(object)
    if "figure" in kept:
        paths = [[in_place_of(key, to) for key in keys_of(path)] for path in kept["figure"]]
        kept["figure"] = [dotted(keys) for keys in paths]
    rows = kept.where(kept.notna(), None).to_dict("records")
    return sorted(repr({n: in_place_of(value, to) for n, value in row.items()}) for row in rows)


@pytest.mark.proof
@settings(
    max_examples=10, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
)
@given(st.data())
def test_no_word_of_ours_is_taken_for_a_class_nor_a_class_for_it(data: st.DataObject) -> None:
    chosen = st.lists(st.sampled_from(keywords()), min_size=3, max_size=3, unique=True)
    check(data.draw(chosen))


def test_names_that_once_collided() -> None:
    check(("global", "all", "value"))


def check(words: Sequence[str]) -> None:
    names = sorted(words)  # Where rates tie, tables list classes by name: so both in one order.
    to = dict(zip(NEUTRAL, names, strict=True))
    (tables, summary), (wanted, figures) = results(names), neutral()
    assert summary == translated(figures, to)
    for name, table in wanted.items():
        assert rows_of(tables[name], {}) == rows_of(table, to), name


def test_there_are_words_to_try() -> None:
    assert {"removal", "top", "weight", "budget", "reason", "searched"} <= {*keywords()}
    assert len(keywords()) > 150
