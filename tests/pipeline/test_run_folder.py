"""The run folder is the contract's, and is read without a model."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from planted import CLASSES, LAYERS

from synapse_audit import AuditResult, Classifier, render
from synapse_audit.findings import FINDINGS
from synapse_audit.tables import TABLES

from .planted_runs import Audited, files_of

FILES = {
    # the contract
    *("manifest.json", "splits.parquet", "probes.parquet", "rankings.parquet", "effects.parquet"),
    *("class_effects.parquet", "predictions.parquet", "summary.json"),
    *(f"activations/layer_0{layer}.npy" for layer in range(LAYERS + 1)),
    *(f"outcomes/{name}.npy" for name in ("predicted", "probability", "margin", "kl")),
    # added
    "outcomes/confidence.npy",
    *("activations/head_input.npy", "activations/logits.npy", "activations/others.npz"),
    *("outcomes/actions.parquet", "probes.npz", "sufficiency.parquet"),
}

EFFECTS = """cell group space operator strength site position layers ranking ranked_for selection
fraction k draw source target parameter setting addresses used part format bit_kind unit steps
weight bit budget_l2 budget_linf n_changed n
accuracy accuracy_low accuracy_high accuracy_drop accuracy_drop_low accuracy_drop_high
macro_f1 macro_f1_low macro_f1_high weighted_f1 weighted_f1_low weighted_f1_high
flip_rate flip_rate_low flip_rate_high redirect_rate redirect_rate_low redirect_rate_high
collateral collateral_low collateral_high mean_kl p_value p_adjusted z_random p_random
route n_exact direct_drop""".split()  # noqa: SIM905

COLUMNS = {
    "splits": ["example", "split", "label"],
    "probes": """scope accuracy macro_f1 majority_accuracy fit_accuracy control_accuracy selectivity
null_accuracy strength""".split(),  # noqa: SIM905
    "rankings": ["method", "ranked_for", "layer", "neuron", "score", "rank"],
    "effects": EFFECTS,
    "class_effects": """cell class support recall recall_low recall_high precision f1
recall_drop""".split(),  # noqa: SIM905
    "predictions": ["example", "label", "predicted", "probability", "margin"],
}

SUMMARY = {
    "": {"model", "classes", "n_evaluate", "clean", "redundancy", "asymmetry", "vulnerability"}
    | {"load_bearing", "cost"},
    "clean": {"accuracy", "macro_f1"},
    "redundancy": {"plateau", "half_point", "sufficient_k", "disjoint_sets"},
    "asymmetry": {"most_fragile", "least_fragile", "gap"},
    "vulnerability": set(CLASSES),
}


def test_the_folder_holds_the_files_of_the_contract(single: Audited) -> None:
    files = set(files_of(single.result.folder))
    tables = {name for name in files if name.startswith("findings/")}
    assert files - tables == FILES
    named = {Path(name).name.partition(".")[0] for name in tables}
    # The paper's tables need its preset; "silenced" only quotes figures of the tables of effects;
    # advice is drawn from all findings.
    assert named == {*FINDINGS, "advice"} - {"paper", "silenced"}


@pytest.mark.parametrize("table", sorted(COLUMNS))
def test_tables_start_with_the_columns_of_the_contract(single: Audited, table: str) -> None:
    columns = list(pd.read_parquet(single.result.folder / f"{table}.parquet").columns)
    assert columns[: len(COLUMNS[table])] == COLUMNS[table]


def test_every_saved_table_has_the_declared_columns(single: Audited) -> None:
    folder = single.result.folder
    files = [file.relative_to(folder) for file in folder.rglob("*.parquet")]
    assert len(files) > 40
    for file in files:
        table, declared = pd.read_parquet(folder / file), TABLES[file.with_suffix("").as_posix()]
        some = [re.sub(r"<\w+>", ".+", column.name) for column in declared.optional]
        optional = re.compile("|".join(some) or "(?!)")
        assert [c for c in table if not optional.fullmatch(c)] == declared.names, file
        assert declared.problem(table) == "", file


def test_scopes_of_the_probes(single: Audited) -> None:
    assert set(single.result.probes["scope"]) == {"0", "1", "2", "3", "joint", "head_input"}


def test_summary_has_the_keys_of_the_contract(single: Audited) -> None:
    summary = single.result.summary
    assert set(summary) >= SUMMARY[""]
    for key in set(SUMMARY) - {""}:
        assert set(summary[key]) >= SUMMARY[key]
    for name in SUMMARY["clean"] | SUMMARY["redundancy"]:
        figure = (summary["clean"] | summary["redundancy"])[name]
        assert {"value", "low", "high"} <= set(figure)


def test_the_manifest_says_where_all_this_comes_from(single: Audited) -> None:
    manifest = single.result.manifest
    keys = {"schema", "config", "seed", "versions", "device", "label_map", "splits", "times"}
    assert keys <= set(manifest)
    assert manifest["status"] == "complete"
    assert manifest["label_map"] == {str(i): name for i, name in enumerate(CLASSES)}
    assert sum(manifest["splits"].values()) == len(single.planted.labels)
    weights = Classifier.load(single.folder / "model").fingerprint()
    assert manifest["model"]["sha256"] == weights
    assert len(manifest["data"]["sha256"]) == 64


def test_what_does_not_apply_is_null(single: Audited) -> None:
    effects = single.result.effects
    neuron, logit = effects["space"] == "neuron", effects["space"] == "logit"
    assert effects.loc[neuron, ["target", "budget_l2", "redirect_rate"]].isna().all(axis=None)
    assert effects.loc[logit, ["k", "fraction", "ranking", "position"]].isna().all(axis=None)
    assert effects["p_adjusted"].isna().all(), "two draws allow no test"


def test_a_run_renders_without_its_model(single: Audited, tmp_path: Path) -> None:
    copy = shutil.copytree(single.result.folder, tmp_path / "run")
    page = render(single.result)
    # Commands name the folder as it was given.
    assert render(AuditResult.load(copy)).replace(str(copy), str(single.result.folder)) == page
    assert len(page) > 10_000


def test_summary_is_plain_json_without_nan(single: Audited) -> None:
    text = (single.result.folder / "summary.json").read_text(encoding="utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in summary.json")

    json.loads(text, parse_constant=refuse)
