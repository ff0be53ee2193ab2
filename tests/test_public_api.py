"""The public names, pinned; each is there, lazily, and means the same whatever came first."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import synapse_audit

PUBLIC = {
    # all the way
    *("audit_seeds", "attribute", "Attributions", "SiteInputs"),
    *("Address", "parse_addresses", "format_addresses", "neurons_of", "NamedNeurons"),
    *("audit", "AuditConfig", "AuditResult", "Declined", "Grid", "make_config", "PRESETS"),
    *(
        "subject_of",
        "extended",
        "bundled_data",
        "bundled_fit_data",
        "bundled_model",
        "render",
        "SECTIONS",
    ),
    # stage by stage
    *("Inputs", "table_inputs", "Loading", "DataOptions"),
    *("Classifier", "Encoded", "Family", "FAMILIES", "load_data", "check_label_map", "split"),
    *("extract", "Extraction", "fit_probe", "fit_probes", "probe_table", "layer_statistics"),
    *("rank", "RankingContext", "RANKINGS", "ranking_table", "HeadView", "PlanInputs"),
    *("build_cells", "plan", "Engine", "Site", "tapped", "sweep"),
    *("intervene", "OPERATORS", "EDITS", "measure", "METRICS", "resampled_weights", "FINDINGS"),
    # nouns
    *("LabelledData", "Splits", "Activations", "LayerStatistics", "Predictions", "Probe"),
    *(
        "GLOBAL",
        "Ranking",
        "NeuronSet",
        "Cell",
        "HeadEdit",
        "Plan",
        "Outcomes",
        "Evidence",
        "Finding",
    ),
    # guards
    *("GuardSettings", "build_guard", "load_guarded"),
    # errors
    *("AuditError", "DataError", "ModelError", "RunFolderError", "UsageError"),
}

VERBS = ("plan", "sweep", "audit")
"""Functions that share their name with a module."""

CPU_SECONDS = 0.05
"""What importing the package may take; some 10 ms are seen."""


def test_exactly_these_names_are_public() -> None:
    assert set(synapse_audit.__all__) == PUBLIC
    assert len(synapse_audit.__all__) == len(PUBLIC)
    assert set(dir(synapse_audit)) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there(name: str) -> None:
    assert (getattr(synapse_audit, name) is None) == (name == "GLOBAL")


def test_type_checkers_read_the_same_list_and_no_name_is_renamed_there() -> None:
    stub = Path(str(synapse_audit.__file__)).with_suffix(".pyi")
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    names = [
        (alias.name, alias.asname)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    # The form "X as X" is what makes a name of a stub public.
    assert sorted(names) == sorted((name, name) for name in PUBLIC)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="sweeep"):
        _ = synapse_audit.sweeep


def _python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


BEFORE = (
    "pass",
    "import synapse_audit.plan, synapse_audit.sweep, synapse_audit.pipeline.audit",
    "from synapse_audit.pipeline.audit import *",
    "s.sweep; s.NeuronSet; s.plan",
)
MODULES = """import synapse_audit as s; s.sweep; from synapse_audit.sweep import Engine
from synapse_audit.sweep.site import Site; print(s.Engine is Engine and s.Site is Site)"""
FRESH = """import json, sys
for program in json.loads(sys.stdin.read()):
    for name in [name for name in sys.modules if name.partition(".")[0] == "synapse_audit"]:
        del sys.modules[name]
    exec(program, {})
"""
"""Runs programs one after another, each of which imports the package as if it were the first."""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """Program → what it says; torch, which takes most of the time, is imported once for all."""
    verbs = f"print(*(type(getattr(s, name)).__name__ for name in {VERBS}))"
    programs = [f"import synapse_audit as s\n{before}\n{verbs}" for before in BEFORE]
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        input=json.dumps([*programs, MODULES]),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip([*BEFORE, MODULES], done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("before", BEFORE)
def test_a_verb_stays_a_verb_whatever_was_imported_before(
    said: dict[str, str], before: str
) -> None:
    assert said[before] == "function function function"


def test_the_modules_of_the_verbs_can_still_be_imported_from(said: dict[str, str]) -> None:
    assert said[MODULES] == "True"


def test_importing_the_package_is_light_and_quick() -> None:
    """CPU time of this process, which another one's load does not change; the best of five."""
    program = (
        "import sys, time; start = time.process_time(); import synapse_audit;"
        "print(time.process_time() - start, *({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    runs = [_python(program).split() for _ in range(5)]
    assert min(float(seconds) for seconds, *_ in runs) < CPU_SECONDS
    assert [heavy for _, *heavy in runs] == [[]] * 5
