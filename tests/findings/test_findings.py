"""What every finding owes: tables with fixed columns, figures with ends or a reason."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import Evidence
from synapse_audit.findings import FINDINGS
from synapse_audit.summary import Keys, entry_of, is_choice, is_group, to_json, walk
from synapse_audit.tables import TABLES, problem_of

from .evidence import make_evidence, silence

WITHOUT = {"paper", "silenced"}
"""Findings without tables here: the paper's need its preset, the other quotes effects."""

KEYS = {
    "redundancy": {"redundancy", "load_bearing"},
    "pathways": {"pathways"},
    "sites": {"sites", "steering"},
    "attention": {"attention"},
    "directions": {"directions"},
    "token_means": {"token_means"},
    "given": {"given"},
    "asymmetry": {"asymmetry"},
    "vulnerability": {"vulnerability", "head_edit"},
    "weakest": {"weakest"},
    "certificates": {"certificates"},
    "agreement": {"agreement"},
    "faults": {"faults"},
    "fault_rate": {"fault_rate"},
    "inputs": {"inputs"},
    "typed": {"typed"},
    "membership": {"membership"},
    "paper": {"paper"},
    "profile": {"profile"},
    "calibration": {"calibration"},
    "operating": {"operating"},
    "detection": {"detection"},
    "silenced": {"silenced"},
    "slices": {"slices", "worst_slice"},
}


@cache
def some_evidence() -> Evidence:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 15)
    cells = [silence("top", f, ranked_for=name) for name in (None, "a", "b") for f in (0.1, 0.5)]
    cells += [silence("random", f, draw=d) for f in (0.1, 0.5) for d in range(3)]
    trials = [(cell, generator.integers(0, 3, 45).tolist()) for cell in cells]
    return make_evidence(labels.tolist(), trials)


@cache
def two_phase_evidence() -> Evidence:
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 15)
    known = generator.permutation(45) < 30
    cells = [silence("top", f, ranked_for=name) for name in (None, "a") for f in (0.1, 0.5)]
    cells += [silence("random", f, draw=d) for f in (0.1, 0.5) for d in range(3)]
    trials = [(cell, generator.integers(0, 3, 45).tolist()) for cell in cells]
    stream = [(generator.integers(0, 3, 45).tolist(), known.tolist()) for _ in cells]
    return make_evidence(labels.tolist(), trials, stream=stream)


@cache
def evidence_without_cells() -> Evidence:
    return make_evidence([0, 1, 2] * 5)


def _is_listed(keys: Keys) -> bool:
    return entry_of(keys) is not None or is_choice(keys)


@pytest.mark.parametrize("name", FINDINGS)
@pytest.mark.parametrize("make", [some_evidence, two_phase_evidence, evidence_without_cells])
def test_tables_and_figures_from_evidence_that_is_left_as_it_was(name: str, make, tmp_path: Path):
    evidence = make()
    before = evidence.effects.copy(), evidence.class_effects.copy(), evidence.resampled.copy()
    finding = FINDINGS[name](evidence)
    pd.testing.assert_frame_equal(evidence.effects, before[0])
    pd.testing.assert_frame_equal(evidence.class_effects, before[1])
    assert np.array_equal(evidence.resampled, before[2])
    assert finding.name == name
    declared = {table.key[1] for table in TABLES.values() if table.key[0] == name}
    assert set(finding.tables) == (set() if name in WITHOUT else declared)
    for table_name, table in finding.tables.items():
        path = tmp_path / f"{table_name}.parquet"
        table.to_parquet(path)
        assert table.columns.tolist() == TABLES[f"findings/{name}.{table_name}"].names
        assert problem_of(f"findings/{name}.{table_name}", pd.read_parquet(path)) == ""
    assert set(finding.summary) == KEYS[name]
    found = dict(walk(json.loads(json.dumps(to_json(finding.summary), allow_nan=False))))
    assert found
    for keys, one in found.items():
        assert one.known or one.reason
        assert _is_listed(keys) or (is_group(keys) and not one.known), f"not in CATALOGUE: {keys}"
