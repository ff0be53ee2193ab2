"""Every benchmark runs, in small, on the bundled classifier, and times what plain hooks compute."""

import builtins
import dis
import importlib
import json
import sys
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from only_findings import only_findings

from synapse_audit import audit
from synapse_audit.config import make_config
from synapse_audit.errors import UsageError
from synapse_audit.plan import HEAD, STREAM, SUFFIX
from synapse_audit.sweep import Cost, Engine, UnitCosts, tapped
from synapse_audit.sweep.clean import clean_pass
from synapse_audit.sweep.runners import RUNNERS

pytestmark = pytest.mark.unchecked

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import bench_sweep

    return bench_sweep


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder benchmarks of the repository")
def test_plain_hooks_of_the_benchmark_give_the_logits_of_the_routes(bench: ModuleType) -> None:
    subject = bench.load_subject("bundled", evaluate=40)
    kinds = {name for name, _, _ in bench.strata(subject.plan)}
    assert kinds == {"single layer", "all layers", "all positions", "head"}
    assert set(subject.plan.routes.values()) == {HEAD, STREAM, SUFFIX}
    cells = [
        cell
        for cell in subject.plan.actions
        if cell.operator in ("mean", "zero") and cell.position == "pooled" and cell.k
    ]
    cells = bench.spread(cells, 6)
    assert len(cells) == 6
    rows = subject.evaluate[:8]
    batch = subject.classifier.collate(subject.encoded, rows)
    plain = bench.RIVALS["plain hooks"](subject)
    with torch.inference_mode(), tapped(subject.classifier) as tap:
        engine = Engine(subject.classifier, subject.site, 0, tap)
        clean = clean_pass(subject.classifier, batch, rows, tap)
        for cell in cells:
            ours = RUNNERS[subject.plan.routes[cell.action]](engine, clean, [cell])[0]
            assert np.allclose(ours.numpy(), plain(batch, cell).numpy(), atol=1e-4), cell.key


SMALL = {
    "bench_canaries": ("--flips", "2", "--rows", "120"),
    "bench_commands": ("--presets",),
    "bench_cores": ("--models", "bundled", "--evaluate", "40"),
    "bench_extract": ("--models", "bundled", "--rows", "12", "--repeats", "1"),
    "bench_guard": ("--models", "bundled", "--rows", "120"),
    "bench_memory": ("--rows", "12"),
    "bench_neurox": ("--rows", "60"),
    "bench_probes": ("--models", "bundled", "--layers", "0"),
    "bench_sweep": (
        *("--models", "bundled", "--evaluate", "60", "--examples", "6", "--rival-cells", "1"),
        *("--mean-cells", "4", "--zero-cells", "2"),
    ),
    "gpu": (
        *("--device", "cpu", "--model", "bundled", "--dtypes", "float32"),
        *("--evaluate", "24", "--examples", "6"),
    ),
}
"""Script → options that make it a matter of seconds."""

LONG = ("bench_memory", "bench_guard", "bench_canaries", "bench_probes", "gpu")
"""Scripts that take seconds even so, which `make proofs` runs."""

FILES = {"bench_sweep": "sweep-bundled"}
"""What a script's results are called where it is not the script's own name."""

OPTIONAL = {"bench_neurox": "neurox"}
"""Scripts that say so and stop where a package is missing, and that package."""


def test_every_script_is_run() -> None:
    scripts = {path.stem for path in FOLDER.glob("bench_*.py")}
    assert scripts <= set(SMALL)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder benchmarks of the repository")
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_calls_nothing_that_is_not_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of scripts that only proofs run: every import succeeds, every global name is defined."""
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module(name)
    code = [compile(Path(str(script.__file__)).read_text("utf-8"), name, "exec")]
    for inner in code:
        code.extend(part for part in inner.co_consts if isinstance(part, CodeType))
    known = {*vars(script), *vars(builtins)}
    read = {
        i.argval for part in code for i in dis.get_instructions(part) if i.opname == "LOAD_GLOBAL"
    }
    assert read and read <= known, read - known


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder benchmarks of the repository")
# A probe that never leaves zero, as with so few rows, correlates with nothing.
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.proof) if name in LONG else name for name in SMALL],
)
def test_a_benchmark_runs_in_small(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = OPTIONAL.get(name)
    if package is not None:
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr("harness.RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *SMALL[name]])
    importlib.import_module(name).main()
    file = tmp_path / f"{FILES.get(name, name.removeprefix('bench_'))}.json"
    assert set(json.loads(file.read_text())) > {"machine", "load_average_at_end"}


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder benchmarks of the repository")
def test_the_claims_of_the_paper_are_printed_from_a_run(
    tiny_folder: Path,
    tiny_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grid = {"draws": 2, "operators": ("zero", "mean"), "fractions": (0.5,), "layer_fractions": ()}
    small = {"rankings": ("paper", "probe"), "budgets": (0.5, 5.0), "constants": (1.0,)}
    folder = tmp_path / "run"
    what = {"model": str(tiny_folder), "data": str(tiny_csv), "preset": "paper"}
    config = make_config({**what, "grid": {**grid, **small}})
    with only_findings("paper", "redundancy", "asymmetry", "faults", "vulnerability"):
        result = audit(config, out=folder)
    monkeypatch.syspath_prepend(str(FOLDER))
    capsys.readouterr()
    claims = importlib.import_module("claims")
    claims.main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| | " + Path(str(tiny_folder)).name + " |"
    assert len(lines) == 2 + len(claims.ROWS)
    cells = dict(line.strip("| ").split(" | ") for line in lines[2:])
    assert cells["evaluated examples"] == str(result.summary["n_evaluate"])
    assert "to " in cells["**C** best published push redirects"]
    assert "none below" in cells["head edit that redirects half (L2)"]


def _fake_run(
    figures: dict[str, object], drops: list[float], half: float, neurons: str
) -> SimpleNamespace:
    """What ``agreement.py`` reads of a run: its summary, effects and identity.

    ``neurons``: action of the last cell, for which runs may choose different neurons.
    """
    effects = pd.DataFrame(
        {
            "cell": ["one", "two", "three", "four"],
            "action": ["a", "b", "c", neurons],
            "tier": ["headline", "headline", None, None],
            "operator": ["mean", "mean", "zero", "zero"],
            "accuracy_drop": drops,
            "accuracy_drop_low": np.array(drops) - half,
            "accuracy_drop_high": np.array(drops) + half,
            "half_width": half,
        }
    )
    identity = {"weights": "w", "data": "d"}
    return SimpleNamespace(summary=figures, effects=effects, manifest={"identity": identity})


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder benchmarks of the repository")
def test_agreement_by_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    agreement = importlib.import_module("agreement")

    def tree(plateau: float, half_point: float, margin: float | None, fragile: str) -> dict:
        ends = {"low": plateau - 0.02, "high": plateau + 0.02}
        return {
            "redundancy": {
                "plateau": {"value": plateau, **ends},
                "half_point": {"value": half_point, "low": half_point, "high": half_point + 0.1},
            },
            "clean": {"margin": {"value": margin, "low": None, "high": None}},
            "asymmetry": {"most_fragile": {"value": fragile}},
        }

    runs = {
        "exact": _fake_run(tree(0.50, 0.7, 2.0, "a"), [0.10, 0.30, 0.0, 0.6], 0.01, "d"),
        "standard": _fake_run(tree(0.51, 0.8, 2.0, "a"), [0.11, 0.20, 0.0, 0.1], 0.05, "e"),
    }
    monkeypatch.setattr(agreement.AuditResult, "load", lambda folder: runs[folder])
    found = agreement.lines(runs["exact"], runs["standard"])
    verdicts = {line.keys[-1]: line.verdict for line in found}
    assert verdicts == {"plateau": "inside", "half_point": "outside", "margin": "same"}
    agreement.main(["exact", "standard"])
    said = capsys.readouterr().out
    assert "| asymmetry.most_fragile | a | a | same |" in said
    # .7 to .8 and .8 to .9 touch.
    assert "outside, intervals overlap" in said
    # Of the two headline cells .10 lies in .06 to .16 and .30 not in .15 to .25.
    assert "| headline | mean | 2 | 50.0% | 0.100 | 0.010 | 0.050 |" in said
    assert "| all | zero | 1 | 100.0% | 0.000 | 0.010 | 0.050 |" in said
    runs["standard"].manifest["identity"]["data"] = "other"
    with pytest.raises(UsageError, match="different data"):
        agreement.main(["exact", "standard"])


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the folder benchmarks of the repository")
def test_more_cores_take_the_sweep_apart_into_whole_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 100 s of cells and a clean pass of 2 s, in 4 batches under 5 chunks: 20 units."""
    monkeypatch.syspath_prepend(str(FOLDER))
    cores = importlib.import_module("bench_cores")
    monkeypatch.setattr(cores, "chunks", lambda plan: range(5))
    whole = Cost({"a": 100.0}, {}, {}, 0.0, {}, 0.0, clean=2.0, findings=7.0)
    tokens = cores.TOKENS_PER_BATCH / 250
    found = cores.Measured(SimpleNamespace(plan=None), UnitCosts({}), tokens)
    took = {n: cores.seconds(found, whole, 1000, n) for n in (1, 8, 512)}
    assert took[1]["sweep"] == pytest.approx(102)
    assert took[8]["sweep"] == pytest.approx((100 + 5 * 2) / 20 * 3), "three rounds of eight"
    assert took[512]["sweep"] == pytest.approx(110 / 20), "no unit is divided"
    assert {t["effects and findings"] for t in took.values()} == {7.0}
