"""``run --slice-columns``: figures, report and check of slices whose names are a stranger's."""

import json
import shutil
from pathlib import Path

import pytest
from only_findings import only_findings

from synapse_audit.compare import comparable
from synapse_audit.store import finished

from .calling import CommandLine
from .conftest import MARKUP


def test_slices_from_the_file_to_the_policy(
    cli: CommandLine, single: Path, audited: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    """A plain run, the same with slices (no experiment again), another model with them."""
    plain = Path(shutil.copytree(audited / "run", tmp_path / "plain"))
    out, given = tmp_path / "sliced", ("--data", audited / "rows.csv", "--config", tiny_grid)
    stored = (plain / "outcomes" / "predicted.npy").stat().st_mtime_ns
    unsliced = finished(plain).summary
    assert "--slice-columns" in unsliced["slices"]["reason"]

    sliced = ("run", single / "model", "--slice-columns", "site", "--out")
    with only_findings("slices"):
        called = cli(*sliced, out, "--against", plain)
    assert called.code == 0, called.stderr
    assert not comparable(finished(plain), finished(out)).different
    with only_findings("slices", "redundancy"):
        assert cli(*sliced, plain, *given, "--seed", 3).code == 0
    again = finished(plain)
    assert (plain / "outcomes" / "predicted.npy").stat().st_mtime_ns == stored
    found = again.summary["slices"]["site"]
    assert {key: again.summary[key] for key in ("clean", "redundancy")} == {
        key: unsliced[key] for key in ("clean", "redundancy")
    }

    # The planted classifier is right everywhere.
    table = again.splits
    n = int(((table["split"] == "evaluate") & (table["slice:site"] == MARKUP)).sum())
    assert found[MARKUP]["accuracy"]["value"] == 1.0 and found[MARKUP]["accuracy"]["n"] == n
    page = (plain / "report.html").read_text(encoding="utf-8")
    assert "<script>x" not in page and "\x1b" not in page and "Is it as good on every part" in page

    figure = f"slices.site.{json.dumps(MARKUP)}.accuracy"
    policy = tmp_path / "policy.toml"
    policy.write_text(f"[[rule]]\nfigure = '''{figure}'''\nat_least = 0.5\n", encoding="utf-8")
    checked = cli("check", plain, "--policy", policy)
    assert checked.code == 0 and "\x1b" not in checked.stdout
    policy.write_text(policy.read_text().replace("site", "sight"), encoding="utf-8")
    unknown = cli("check", plain, "--policy", policy)
    assert unknown.code == 2 and "did you mean slices.site" in unknown.errors[0]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("sight", "slice column 'sight' given"),
        ("text", "holds"),
        ("label,label", "expected different names"),
    ],
)
def test_bad_columns_end_in_one_line(
    cli: CommandLine, single: Path, tmp_path: Path, named: str, said: str
) -> None:
    given = ("--data", single / "rows.csv", "--slice-columns", named, "--out", tmp_path / "out")
    called = cli("run", single / "model", *given)
    assert called.code == 2 and len(called.errors) == 1 and said in called.errors[0]
