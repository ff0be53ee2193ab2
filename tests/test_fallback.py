"""A model whose blocks cannot be called apart is audited by plain hooks, and that is recorded."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny import tiny_classifier
from transformers import ElectraConfig, ElectraForSequenceClassification

from synapse_audit.config import make_config
from synapse_audit.pipeline.audit import audit

GRID = {
    "max_examples": 120,
    "fractions": [0.5],
    "layer_fractions": [0.5],
    "draws": 2,
    "budgets": [0.5],
    "columns": [0.5],
    "constants": [1.0],
}


@pytest.mark.unchecked
def test_a_projection_between_embeddings_and_blocks(tmp_path: Path, rows: pd.DataFrame) -> None:
    """electra-small projects its embeddings: resuming at layer 0 is impossible."""
    known = tiny_classifier("bert")
    labels = dict(enumerate(sorted(rows["label"].unique())))
    torch.manual_seed(0)
    config = ElectraConfig(
        vocab_size=len(known.tokenizer),
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
    )
    folder = tmp_path / "model"
    ElectraForSequenceClassification(config).save_pretrained(folder)
    known.tokenizer.save_pretrained(folder)

    data = tmp_path / "rows.csv"
    rows.to_csv(data, index=False)
    options = {"model": str(folder), "data": str(data), "preset": "quick", "resamples": 100}
    result = audit(make_config(options | {"grid": GRID}), tmp_path / "run")

    suffix = result.manifest["routes"]["suffix"]
    assert suffix["used"] is False and suffix["largest_gap"] is None
    assert "shapes" in suffix["failure"]
    below = result.effects[(result.effects["layers"] == "0")]
    assert set(below["route"]) == {"full"}
    assert pd.notna(below["accuracy"]).all()
