"""A finished run is read back without a model; anything else is refused in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.errors import RunFolderError
from synapse_audit.store import AuditResult, RunFolder
from synapse_audit.tables import TABLES


def declared(name: str) -> pd.DataFrame:
    """Two rows of a table with its declared columns."""
    kinds = {column.name: column.values.kind for column in TABLES[name].columns}
    return pd.DataFrame({n: ["x"] * 2 if kind == "text" else [0, 1] for n, kind in kinds.items()})


def _finished(path: Path) -> RunFolder:
    folder = RunFolder.claim(path)
    folder.identify({"data": "x"})
    folder.write_json("summary", {"clean": {"accuracy": {"value": 0.5}}})
    return folder


def test_no_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(RunFolderError, match=r"expected a folder with manifest\.json"):
            AuditResult.load(folder)


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    RunFolder.claim(tmp_path).identify({"data": "x"})
    with pytest.raises(RunFolderError, match="is not finished"):
        AuditResult.load(str(tmp_path))


def test_tables_and_findings_are_found_by_name(tmp_path: Path) -> None:
    folder = _finished(tmp_path)
    names = ["predictions", "splits", "probes", "rankings", "effects", "class_effects"]
    for i, name in enumerate(names):
        folder.write_table(name, declared(name).assign(i=i))
    folder.write_table("findings/redundancy.removal", declared("findings/redundancy.removal"))
    folder.write_table("findings/redundancy.layers", declared("findings/redundancy.layers"))
    folder.write_table("findings/asymmetry.matrix", declared("findings/asymmetry.matrix"))
    result = AuditResult.load(tmp_path)
    assert result.summary["clean"]["accuracy"]["value"] == 0.5
    assert result.manifest["identity"] == {"data": "x"}
    for i, name in enumerate(names):
        assert getattr(result, name)["i"].unique().tolist() == [i]
    tables = {finding: sorted(found) for finding, found in result.findings.items()}
    assert tables == {"redundancy": ["layers", "removal"], "asymmetry": ["matrix"]}


def test_outcomes_come_back_with_their_actions(tmp_path: Path) -> None:
    folder = _finished(tmp_path)
    values = np.arange(6).reshape(2, 3)
    folder.write_table("outcomes/actions", pd.DataFrame({"action": ["a", "b"], "route": "full"}))
    folder.write_array("outcomes/predicted", values.astype(np.uint16))
    for name in ("probability", "margin", "kl", "confidence"):
        folder.write_array(f"outcomes/{name}", values.astype(np.float32))
    outcomes = AuditResult.load(tmp_path).outcomes
    assert outcomes.actions == ("a", "b")
    assert outcomes.predicted[outcomes.row["b"]].tolist() == [3, 4, 5]
