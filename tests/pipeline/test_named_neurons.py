"""Named neurons in a whole run: what is in the tables is what plain hooks say."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from only_findings import only_findings
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from synapse_audit import (
    Address,
    AuditResult,
    audit,
    make_config,
    neurons_of,
    parse_addresses,
    render,
)
from synapse_audit.errors import UsageError
from synapse_audit.neurons.addresses import check_addresses

pytestmark = pytest.mark.unchecked

NAMED = ("2:0-27", "3:mlp_activation:0-40;2:31", "3:head_input:1,2")
GRID = {
    "fractions": (0.25,),
    "layer_fractions": (),
    "rankings": ("probe",),
    "compared": ("activation_gradient",),
    "draws": 2,
    "budgets": (1.0,),
    "constants": (1.0,),
    "max_examples": 200,
    "temperatures": (),
    "logit_noise": (),
}


def _config(folder: Path, data: Path, neurons: tuple[str, ...]) -> Any:
    options = {"model": str(folder), "data": str(data), "preset": "quick", "grid": GRID}
    return make_config({**options, "exact": True, "resamples": 100, "neurons": neurons})


@pytest.fixture(scope="module")
def run(tiny_folder: Path, tiny_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    disable_progress_bar()
    with only_findings("given", "sites", "redundancy", "agreement"):
        config = _config(tiny_folder, tiny_csv, NAMED)
        return audit(config, tmp_path_factory.mktemp("given") / "run")


def _zeroed(folder: Path, texts: list[str], site: str) -> np.ndarray:
    """Predictions of transformers' own model with the named neurons set to 0 at [CLS]."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    blocks = model.bert.encoder.layer

    def output(module: Any, args: Any, out: Any) -> Any:
        states = (out[0] if isinstance(out, tuple) else out).clone()
        states[:, 0, [*range(28), 31]] = 0
        return (states, *out[1:]) if isinstance(out, tuple) else states

    def entry(module: Any, args: Any) -> Any:
        states = args[0].clone()
        if site == "mlp_activation":
            states[:, 0, :41] = 0
        else:
            states[:, [1, 2]] = 0
        return (states, *args[1:])

    if site == "block_output":
        blocks[1].register_forward_hook(output)
    elif site == "mlp_activation":
        blocks[2].output.dense.register_forward_pre_hook(entry)
    else:
        model.classifier.register_forward_pre_hook(entry)
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch).logits.argmax(-1).numpy()


@pytest.mark.parametrize("site", ["block_output", "mlp_activation", "head_input"])
def test_the_drop_is_that_of_plain_hooks(
    run: AuditResult, tiny_folder: Path, rows: pd.DataFrame, site: str
) -> None:
    row = run.findings["given"]["effects"].set_index(["site", "operator"]).loc[(site, "zero")]
    predictions = run.predictions
    chosen = predictions["split"] == "evaluate"
    cell = run.effects[(run.effects["selection"] == "given") & (run.effects["site"] == site)]
    action = cell[cell["operator"] == "zero"]["action"].item()
    ours = run.outcomes.predicted[run.outcomes.row[action]]
    # The rows of the run, found again by what the untouched model says of them.
    texts = rows["text"].tolist()
    labels, logits = predictions[chosen]["label"], predictions[chosen].filter(like="logit_")
    theirs = _zeroed(tiny_folder, texts, site)
    clean = _clean(tiny_folder, texts)
    gaps = np.abs(clean[None] - logits.to_numpy()[:, None]).max(axis=2)
    assert gaps.min(axis=1).max() < 1e-4
    where = gaps.argmin(axis=1)
    assert (ours == theirs[where]).all()
    weights = predictions[chosen]["weight"].to_numpy()
    right = [(said == labels.to_numpy()) for said in (clean[where].argmax(1), theirs[where])]
    drop = np.average(right[0], weights=weights) - np.average(right[1], weights=weights)
    assert row["drop"] == pytest.approx(drop, abs=1e-6)
    assert row["draws"] == 2


def _clean(folder: Path, texts: list[str]) -> np.ndarray:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch).logits.numpy()


def test_addresses_are_those_that_were_given(run: AuditResult) -> None:
    named = dict(run.findings["given"]["effects"].groupby("site")["neurons"].first())
    assert named == {
        "block_output": "2:block_output:0-27,31",
        "head_input": "3:head_input:1-2",
        "mlp_activation": "3:mlp_activation:0-40",
    }
    assert run.manifest["config"]["neurons"] == list(NAMED)
    assert run.manifest["model"]["attn_implementation"] == "sdpa"


def test_no_other_table_takes_them_in(run: AuditResult) -> None:
    """A site that only serves named neurons is not swept, and no curve holds their cells."""
    others = run.effects[run.effects["group"] != "named"]
    assert {*others["site"]} <= {"block_output", "head_weight", "logits"}
    assert not len(run.findings["sites"]["removal"])
    removal = run.findings["redundancy"]["removal"]
    assert removal["fraction"].notna().all()


WIDTHS = {
    "block_output": [32] * 4,
    "mlp_activation": [0, 48, 48, 48],
    "head_input": [0, 0, 0, 32],
}
"""Of the tiny model."""


def _tables(run: AuditResult) -> dict[str, pd.DataFrame]:
    return {file.stem: pd.read_parquet(file) for file in sorted(run.folder.rglob("*.parquet"))}


def test_whoever_names_a_neuron_names_its_site(run: AuditResult) -> None:
    named = {name: table for name, table in _tables(run).items() if "neuron" in table}
    assert {*named} == {"rankings", "redundancy.constants", "agreement.neurons"}
    for name, table in named.items():
        assert len(table), name
        rows = table[["layer", "site", "neuron"]].itertuples(index=False)
        texts = [str(Address(*row)) for row in rows]
        check_addresses(parse_addresses(texts), WIDTHS)
        assert neurons_of(table) == parse_addresses(texts)
        assert "address" not in table or table["address"].tolist() == texts


def test_constants_carry_their_address_in_every_table(run: AuditResult) -> None:
    cells = run.effects[run.effects["selection"] == "constant"]
    constants = run.findings["redundancy"]["constants"]
    assert set(cells["addresses"]) == set(constants["address"])
    assert {one["address"] for one in run.summary["load_bearing"]} <= set(constants["address"])


def test_every_address_in_the_report_can_be_named_again(run: AuditResult) -> None:
    page = render(run)
    sites = "|".join(WIDTHS)
    found = {text.rstrip(",") for text in re.findall(rf"\b\d+:(?:{sites}):[\d,-]+", page)}
    check_addresses(parse_addresses(found), WIDTHS)
    shown = {
        *run.findings["redundancy"]["constants"]["address"],
        *run.findings["agreement"]["neurons"]["address"],
        *run.findings["given"]["effects"]["neurons"],
    }
    assert shown <= found


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("4:0", "expected a layer that has block_output: 0-3"),
        ("2:32", "layer 2 has 32 neurons"),
        ("1:mlp_activation:48", "layer 1 has 48 neurons at mlp_activation"),
        ("2:head_input:0", "has head_input: 3"),
        ("2:mlp:0", "neuron site 'mlp' given"),
        ("2", "LAYER:SITE:INDEX"),
    ],
)
def test_neurons_that_are_not_there_stop_the_run_before_it_starts(
    tiny_folder: Path, tiny_csv: Path, tmp_path: Path, address: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        audit(_config(tiny_folder, tiny_csv, (address,)), tmp_path / "run")
    assert words in str(caught.value)
    # The folder is still free for the corrected command.
    assert not (tmp_path / "run" / "splits.parquet").exists()
