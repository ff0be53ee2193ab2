"""Prompt guards as people have them: two classes, safe and injection, decided at a threshold.

A DeBERTa- and a RoBERTa-shaped classifier, tiny and random, whose heads are fitted to the tiny
rows; audited from the files to the report.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from only_findings import only_findings
from scipy.special import logit, softmax
from tiny import BERT_TOKENS, ROBERTA_TOKENS, Special, tiny_rows, tiny_vocabulary, word_tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DebertaV2Config,
    PreTrainedModel,
    RobertaConfig,
)

from synapse_audit import AuditResult, audit, make_config, render

pytestmark = pytest.mark.unchecked

THRESHOLD = 0.9
NAMES = {0: "safe", 1: "injection"}
SHAPE: dict[str, Any] = {
    "vocab_size": len(tiny_vocabulary()) + 4,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 66,
    "initializer_range": 0.1,
    "id2label": NAMES,
    "label2id": {name: i for i, name in NAMES.items()},
}
DEBERTA = DebertaV2Config(
    relative_attention=True,
    pos_att_type=["p2c", "c2p"],
    position_buckets=8,
    share_att_key=True,
    norm_rel_ebd="layer_norm",
    position_biased_input=False,
    type_vocab_size=0,
    **SHAPE,
)
ROBERTA = RobertaConfig(pad_token_id=1, bos_token_id=0, eos_token_id=2, **SHAPE)
GUARDS = {
    "deberta": (DEBERTA, BERT_TOKENS, "classifier"),
    "roberta": (ROBERTA, ROBERTA_TOKENS, "classifier.out_proj"),
}
GRID = {
    "fractions": (0.5,),
    "layer_fractions": (),
    "rankings": ("probe",),
    "draws": 2,
    "max_examples": 160,
    "budgets": (1.0,),
    "columns": (1.0,),
    "constants": (2.0,),
    "temperatures": (),
    "logit_noise": (),
    "edits": (),
    "sites": ("attention_head",),
    "site_fractions": (0.5,),
}
READ = ("attention", "detection", "operating", "redundancy", "vulnerability")


@torch.no_grad()
def fit_head(model: PreTrainedModel, read: Any, path: str) -> None:
    """Ridge regression of the labels on what the last linear layer reads."""
    rows, head, seen = labelled(), model.get_submodule(path), []
    handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(**read(rows["text"].tolist(), padding=True, return_tensors="pt"))
    handle.remove()
    features = torch.cat([seen[0], torch.ones(len(rows), 1)], dim=1).double()
    wanted = torch.eye(2).double()[[int(label == "injection") for label in rows["label"]]]
    ridge = features.T @ features + 1e-2 * torch.eye(features.shape[1]).double()
    solution = 8 * torch.linalg.solve(ridge, features.T @ wanted).T
    head.weight.copy_(solution[:, :-1])
    head.bias.copy_(solution[:, -1])


def labelled() -> Any:
    rows = tiny_rows()
    rows["label"] = np.where(rows["label"] == "rage", "injection", "safe")
    return rows


def build(folder: Path, config: Any, special: Special, path: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = AutoModelForSequenceClassification.from_config(config).eval()
    read = word_tokenizer(tiny_vocabulary(), special)
    fit_head(model, read, path)
    model.save_pretrained(folder / "model")
    read.save_pretrained(folder / "model")
    labelled().to_csv(folder / "rows.csv", index=False)


def run(folder: Path) -> AuditResult:
    options = {"model": str(folder / "model"), "data": str(folder / "rows.csv"), "preset": "quick"}
    held = {"grid": GRID, "resamples": 100, "exact": True, "threshold": str(THRESHOLD)}
    with only_findings(*READ):
        return audit(make_config({**options, **held, "benign": "safe"}), folder / "run")


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_is_audited_at_its_threshold(name: str, tmp_path: Path) -> None:
    build(tmp_path, *GUARDS[name])
    result = run(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    read = AutoTokenizer.from_pretrained(tmp_path / "model")
    table = result.predictions
    with torch.no_grad():
        texts = labelled().drop_duplicates("text")
        said = model(**read(texts["text"].tolist(), padding=True, return_tensors="pt")).logits
    share = softmax(said.double().numpy(), axis=1)[:, 1]
    alarm = np.where(table["label"] == 1, table["probability"], 1 - table["probability"])
    apart = np.abs(alarm[:, None] - share).min(axis=1)
    assert apart.max() < 1e-5, "the model's own probabilities"
    assert (table["predicted"] == (alarm > THRESHOLD)).all()
    assert ((alarm > 0.5) != (alarm > THRESHOLD)).any(), "or the threshold is not tested"
    shifted = table["logit_1"] - table["logit_0"] - logit(THRESHOLD)
    margin = np.where(table["label"] == 1, shifted, -shifted)
    assert table["margin"].to_numpy() == pytest.approx(margin, abs=1e-4)

    evaluated = table[table["split"] == "evaluate"]
    attacks, rest = (evaluated[evaluated["label"] == c] for c in (1, 0))
    found = result.summary["detection"]
    weighed = [np.average(part["predicted"], weights=part["weight"]) for part in (attacks, rest)]
    assert found["missed_alarm"]["value"] == pytest.approx(1 - weighed[0], abs=1e-6)
    assert found["false_alarm"]["value"] == pytest.approx(weighed[1], abs=1e-6)
    curve = result.findings["operating"]["curve"]
    at = curve[curve["current"].astype(bool) & (curve["class"] == "injection")].iloc[0]
    assert at["threshold"] == pytest.approx(THRESHOLD)
    assert at["predicted"] == evaluated["predicted"].sum()
    assert len(result.findings["attention"]["heads"]) == 8, "2 layers of 4 heads"
    page = render(result, "md")
    assert "Which attention heads matter?" in page and "0.9" in page
